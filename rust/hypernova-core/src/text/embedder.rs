//! A lookup embedder: from a text to a vector of unit length, one text or many on several threads.
//!
//! Not here: what of a text is read ([`ReadingRules`]), its word pieces ([`super::word_piece`]),
//! the rows of a table and their sum ([`super::table`]), and the decision ([`super::route`]).
//!
//! The vector of a text is that of its tokens plus `lead_weight` times that of its lead, brought to
//! length 1. Each text is embedded by itself, so that its vector depends on no other text, on no
//! thread and on no batch.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::ReadingRules;
use super::table::{LookupTable, Scratch};
use super::word_piece::WordPieceTokenizer;
use crate::error::Error;

/// Number of the arithmetic that makes the vectors.
///
/// It is a part of an embedder's identity. An arithmetic that rounds any vector otherwise, in the
/// table, in the lead or in the length, gets the next number.
pub const ARITHMETIC: u32 = 1;

/// Largest deviation from 1 of the length of a vector that the table itself should bring to 1.
const UNIT_TOLERANCE: f32 = 1e-3;
/// Texts that a thread takes at a time.
pub(super) const BLOCK: usize = 16;
/// Texts for which one more thread is worth its start of some 20 us.
const MIN_TEXTS_A_THREAD: usize = 32;
/// Tokens of the trial when an embedder is made; more make it slower and find nothing else.
const MAX_TRIAL_TOKENS: usize = 512;
/// Tokens and bytes of a scratch that is kept from one text to the next.
const MAX_KEPT: usize = 1 << 16;

/// How an embedder reads texts and what it gives: the fields of `embedder.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedderSettings {
    /// The rules by which a text is read.
    pub reading: ReadingRules,
    /// Weight of the lead's vector; 0 where a text has no lead.
    pub lead_weight: f64,
    /// Text that is put before every text and every lead.
    pub prompt: String,
    /// Whether the tokenizer's special tokens are put around a text.
    pub special_tokens: bool,
    /// Largest number of tokens, special ones and those of the prompt among them.
    pub max_tokens: Option<usize>,
    /// Tokens of these that come from the end of a longer text.
    pub tail_tokens: usize,
    /// Length of a vector.
    pub dim: usize,
    /// Whether a vector is brought to length 1, or is expected to have it.
    pub normalize: bool,
}

/// The reason why a text has no vector.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum TextError {
    /// It is empty, or holds blanks alone.
    Empty,
    /// The tokenizer knows nothing in it.
    NoToken,
    /// The table has no row for one of its tokens; [`LookupEmbedder::new`] refuses such a table.
    NoRow,
    /// The sum of its rows has length 0, or one that is not finite.
    NoDirection {
        /// The length.
        length: f32,
    },
    /// The sum has not length 1, and the settings say that it has.
    NotUnit {
        /// The length.
        length: f32,
    },
    /// Its vector and that of its lead add up to 0.
    Cancelled,
}

/// The reason why an embedder with these settings cannot be made of a tokenizer and a table.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The table has vectors of another length.
    #[error("dim is {stated}, and the table's vectors have length {found}")]
    Dim {
        /// Length that the settings state.
        stated: usize,
        /// Length of the table's vectors.
        found: usize,
    },
    /// The tokenizer knows no token.
    #[error("the vocabulary is empty")]
    EmptyVocabulary,
    /// The table has no row for a token.
    #[error("the table has no row for token {token}, the highest of the tokenizer")]
    NoRow {
        /// The highest token.
        token: u32,
    },
    /// The token limit leaves no room for a text.
    #[error("max_tokens is {limit}, expected more than the {special} special tokens of a text")]
    NoRoom {
        /// The limit.
        limit: usize,
        /// Number of special tokens, which count whether they are used or not.
        special: usize,
    },
    /// The tail takes all of the limit.
    #[error(
        "tail_tokens is {tail}, expected less than the {room} that max_tokens leaves beside the \
         special tokens"
    )]
    NoHead {
        /// Tokens of the tail.
        tail: usize,
        /// Tokens that the limit leaves.
        room: usize,
    },
    /// The vector of the highest token has no finite length, or not length 1 where it should.
    #[error("a trial with {length} times token {token} gave a vector of another length than 1")]
    Trial {
        /// The token.
        token: u32,
        /// Number of tokens.
        length: usize,
    },
}

/// Buffers of one thread, so that embedding allocates nothing in the steady state.
#[derive(Default)]
struct Buffers {
    tokens: Vec<u32>,
    lead: Vec<u32>,
    text: String,
    vector: Vec<f32>,
    scratch: Scratch,
}

impl Buffers {
    /// Give back the memory of an unusually long text.
    fn shrink(&mut self) {
        if self.tokens.capacity() > MAX_KEPT || self.lead.capacity() > MAX_KEPT {
            self.tokens = Vec::new();
            self.lead = Vec::new();
        }
        if self.text.capacity() > MAX_KEPT {
            self.text = String::new();
        }
    }
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// A tokenizer and a table with the settings of an embedder; immutable, so that threads share it.
#[derive(Clone)]
pub struct LookupEmbedder {
    tokenizer: Arc<WordPieceTokenizer>,
    table: Arc<LookupTable>,
    settings: EmbedderSettings,
    /// Special tokens before and after a text.
    around: (Vec<u32>, Vec<u32>),
    /// Tokens that a text may have with its prompt, and those of them that come from its end.
    limit: Option<(usize, usize)>,
    /// Tokens of an empty text: one with no more holds none.
    n_added: usize,
}

impl LookupEmbedder {
    /// Put a tokenizer, a table and settings together, and try the highest token.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] where they do not fit one another.
    pub fn new(
        tokenizer: Arc<WordPieceTokenizer>,
        table: Arc<LookupTable>,
        settings: EmbedderSettings,
    ) -> Result<Self, SettingsError> {
        if settings.dim != table.dim() {
            return Err(SettingsError::Dim {
                stated: settings.dim,
                found: table.dim(),
            });
        }
        let token = tokenizer.max_token();
        let token = token.ok_or(SettingsError::EmptyVocabulary)?;
        if token as usize >= table.vocabulary() {
            return Err(SettingsError::NoRow { token });
        }
        let mut around = tokenizer.special_tokens();
        let special = around.0.len() + around.1.len();
        if !settings.special_tokens {
            around = (Vec::new(), Vec::new());
        }
        let limit = match settings.max_tokens {
            None => None,
            Some(limit) if limit <= special => {
                return Err(SettingsError::NoRoom { limit, special });
            }
            Some(limit) if settings.tail_tokens > 0 && limit - special <= settings.tail_tokens => {
                return Err(SettingsError::NoHead {
                    tail: settings.tail_tokens,
                    room: limit - special,
                });
            }
            Some(limit) => Some((
                limit - around.0.len() - around.1.len(),
                settings.tail_tokens,
            )),
        };
        let mut made = Self {
            tokenizer,
            table,
            settings,
            around,
            limit,
            n_added: 0,
        };
        made.n_added = BUFFERS.with_borrow_mut(|buffers| {
            made.encode("", &mut buffers.text, &mut buffers.tokens);
            buffers.tokens.len()
        });
        made.try_token(token)?;
        Ok(made)
    }

    /// Embed the highest token, so that a table that does not fit is found now and not under load.
    fn try_token(&self, token: u32) -> Result<(), SettingsError> {
        let length = match self.settings.max_tokens {
            Some(limit) => limit.min(MAX_TRIAL_TOKENS),
            None => 2,
        };
        let mut vector = vec![0.0; self.dim()];
        let summed = BUFFERS.with_borrow_mut(|buffers| {
            let tokens = vec![token; length];
            self.rows(&tokens, &mut buffers.scratch, &mut vector)
        });
        // Some tables keep rows of zeros for tokens without a meaning.
        let zeros = summed.is_ok() && vector.iter().all(|&x| x == 0.0);
        if zeros || summed.and_then(|()| self.finish(&mut vector)).is_ok() {
            return Ok(());
        }
        Err(SettingsError::Trial { token, length })
    }

    /// Length of a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.settings.dim
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &EmbedderSettings {
        &self.settings
    }

    /// Embed one text.
    ///
    /// # Errors
    ///
    /// [`TextError`]; the values of `vector` are then unspecified.
    ///
    /// # Panics
    ///
    /// If `vector` has another length than [`Self::dim`].
    pub fn embed(&self, text: &str, vector: &mut [f32]) -> Result<(), TextError> {
        assert_eq!(vector.len(), self.dim(), "the length of a vector");
        BUFFERS.with_borrow_mut(|buffers| {
            let found = self.embed_with(text, buffers, vector);
            buffers.shrink();
            found
        })
    }

    fn embed_with(
        &self,
        text: &str,
        buffers: &mut Buffers,
        vector: &mut [f32],
    ) -> Result<(), TextError> {
        let has_lead = self.tokenize(text, buffers)?;
        let scratch = &mut buffers.scratch;
        self.rows(&buffers.tokens, scratch, vector)?;
        self.finish(vector)?;
        if !has_lead {
            return Ok(());
        }
        buffers.vector.resize(self.dim(), 0.0);
        self.rows(&buffers.lead, scratch, &mut buffers.vector)?;
        self.finish(&mut buffers.vector)?;
        let weight = self.settings.lead_weight as f32;
        for (sum, lead) in vector.iter_mut().zip(&buffers.vector) {
            *sum += weight * lead;
        }
        let length = length(vector);
        if length == 0.0 {
            return Err(TextError::Cancelled);
        }
        divide(vector, length);
        Ok(())
    }

    fn rows(
        &self,
        tokens: &[u32],
        scratch: &mut Scratch,
        vector: &mut [f32],
    ) -> Result<(), TextError> {
        let summed = self.table.embed(tokens, scratch, vector);
        summed.map_err(|error| match error {
            Error::SumNotFinite => TextError::NoDirection { length: f32::NAN },
            _ => TextError::NoRow,
        })
    }

    /// Bring a sum of rows to length 1, or check that it has it.
    fn finish(&self, vector: &mut [f32]) -> Result<(), TextError> {
        let length = length(vector);
        if !(length > 0.0 && length < f32::INFINITY) {
            return Err(TextError::NoDirection { length });
        }
        if self.settings.normalize {
            divide(vector, length);
        } else if (length - 1.0).abs() > UNIT_TOLERANCE {
            return Err(TextError::NotUnit { length });
        }
        Ok(())
    }

    /// Embed two texts, the turns of a conversation, and give the mean of their vectors.
    ///
    /// Where one of them is blank or holds no token, it is the vector of the other; where the two
    /// cancel, that of the last.
    ///
    /// # Errors
    ///
    /// [`TextError`] if neither of them has a vector.
    ///
    /// # Panics
    ///
    /// As [`Self::embed`].
    pub fn embed_turns(
        &self,
        first: &str,
        last: &str,
        vector: &mut [f32],
    ) -> Result<(), TextError> {
        /// Two unit vectors with a shorter sum point away from each other: the sum is mostly the
        /// rounding of float32.
        const MIN_SUM: f32 = 1e-3;
        let unread = |error| matches!(error, TextError::Empty | TextError::NoToken);
        match self.embed(last, vector) {
            Err(error) if unread(error) => return self.embed(first, vector),
            found => found?,
        }
        let mut sum = vec![0.0; self.dim()];
        match self.embed(first, &mut sum) {
            Err(error) if unread(error) => return Ok(()),
            found => found?,
        }
        for (sum, now) in sum.iter_mut().zip(&*vector) {
            *sum += now;
        }
        let length = length(&sum);
        if length >= MIN_SUM {
            vector.copy_from_slice(&sum);
            divide(vector, length);
        }
        Ok(())
    }

    /// Embed many texts on several threads: the rows of `matrix`, in the order of `texts`.
    ///
    /// `go_on` is called after some texts with their number, from any of the threads; the work ends
    /// early where it returns false, and some rows are then unspecified.
    ///
    /// # Errors
    ///
    /// The first text that has no vector, by its index; the values of `matrix` are then
    /// unspecified.
    ///
    /// # Panics
    ///
    /// If `matrix` has not as many rows as there are texts.
    pub fn embed_many(
        &self,
        texts: &[&str],
        threads: NonZeroUsize,
        matrix: &mut [f32],
        go_on: impl Fn(usize) -> bool + Sync,
    ) -> Result<(), (usize, TextError)> {
        assert_eq!(
            matrix.len(),
            texts.len() * self.dim(),
            "a row for each text"
        );
        let first_error = FirstError::default();
        let rows = matrix.chunks_mut(BLOCK * self.dim());
        let blocks = Mutex::new(texts.chunks(BLOCK).zip(rows).enumerate());
        on_threads(texts.len(), threads, || {
            loop {
                let block = locked(&blocks).next();
                let Some((block, (texts, rows))) = block else {
                    return;
                };
                for (i, (text, row)) in texts.iter().zip(rows.chunks_mut(self.dim())).enumerate() {
                    let at = block * BLOCK + i;
                    if first_error.is_before(at) {
                        return;
                    }
                    if let Err(error) = self.embed(text, row) {
                        first_error.put(at, error);
                        return;
                    }
                }
                if !go_on(texts.len()) {
                    return;
                }
            }
        });
        first_error.into_result()
    }

    /// Give the tokens of a text and those of its lead, where the lead counts.
    ///
    /// # Errors
    ///
    /// [`TextError::Empty`] or [`TextError::NoToken`].
    pub fn tokens(&self, text: &str) -> Result<(Vec<u32>, Option<Vec<u32>>), TextError> {
        let mut buffers = Buffers::default();
        let has_lead = self.tokenize(text, &mut buffers)?;
        Ok((buffers.tokens, has_lead.then_some(buffers.lead)))
    }

    /// Give 32 bytes that two texts share if, and only if, they have the same tokens: the sha256 of
    /// the number of the text's tokens, these, and those of its lead, each as a little-endian i64.
    ///
    /// # Errors
    ///
    /// As [`Self::tokens`].
    pub fn key_of(&self, text: &str) -> Result<[u8; 32], TextError> {
        BUFFERS.with_borrow_mut(|buffers| {
            let has_lead = self.tokenize(text, buffers)?;
            let mut key = Sha256::new();
            key.update((buffers.tokens.len() as u64).to_le_bytes());
            let lead: &[u32] = if has_lead { &buffers.lead } else { &[] };
            for &token in buffers.tokens.iter().chain(lead) {
                key.update(u64::from(token).to_le_bytes());
            }
            buffers.shrink();
            Ok(key.finalize().into())
        })
    }

    /// Put the tokens of a text and of its lead into the buffers, and tell whether the lead counts.
    fn tokenize(&self, text: &str, buffers: &mut Buffers) -> Result<bool, TextError> {
        let reading = self.settings.reading.read(text).ok_or(TextError::Empty)?;
        self.encode(&reading.text, &mut buffers.text, &mut buffers.tokens);
        if buffers.tokens.len() <= self.n_added {
            return Err(TextError::NoToken);
        }
        let Some(lead) = reading.lead else {
            return Ok(false);
        };
        let lead = reading.text.get(lead).unwrap_or_default();
        self.encode(lead, &mut buffers.text, &mut buffers.lead);
        Ok(buffers.lead.len() > self.n_added)
    }

    /// Put the tokens that the table is given for what was read of a text, or for a lead.
    fn encode(&self, text: &str, buffer: &mut String, tokens: &mut Vec<u32>) {
        tokens.clear();
        tokens.extend_from_slice(&self.around.0);
        if self.settings.prompt.is_empty() {
            self.tokenizer.encode_into(text, self.limit, tokens);
        } else {
            buffer.clear();
            buffer.push_str(&self.settings.prompt);
            buffer.push_str(text);
            self.tokenizer.encode_into(buffer, self.limit, tokens);
        }
        tokens.extend_from_slice(&self.around.1);
    }
}

/// The first text that failed, by its index, of those that threads work on.
pub(super) struct FirstError<E> {
    at: AtomicUsize,
    error: Mutex<Option<(usize, E)>>,
}

impl<E> Default for FirstError<E> {
    fn default() -> Self {
        Self {
            at: AtomicUsize::new(usize::MAX),
            error: Mutex::new(None),
        }
    }
}

impl<E> FirstError<E> {
    /// Whether a text before this one has failed.
    pub(super) fn is_before(&self, at: usize) -> bool {
        self.at.load(Ordering::Relaxed) < at
    }

    pub(super) fn put(&self, at: usize, error: E) {
        let mut first = locked(&self.error);
        if first.as_ref().is_none_or(|(first, _)| at < *first) {
            *first = Some((at, error));
            self.at.store(at, Ordering::Relaxed);
        }
    }

    pub(super) fn into_result(self) -> Result<(), (usize, E)> {
        let error = self.error.into_inner();
        error
            .unwrap_or_else(PoisonError::into_inner)
            .map_or(Ok(()), Err)
    }
}

/// Run a function on this thread, and on as many more as are asked for and worth their start.
pub(super) fn on_threads(texts: usize, threads: NonZeroUsize, work: impl Fn() + Sync) {
    let threads = threads.get().min(texts / MIN_TEXTS_A_THREAD);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where no thread can be started, those that run do the work.
            let started = std::thread::Builder::new().spawn_scoped(scope, &work);
            if started.is_err() {
                break;
            }
        }
        work();
    });
}

/// Lock what no panic can leave in a state that others must not see.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Euclidean length, by one fixed order of additions: eight sums, each of every eighth square, and
/// the sums of their halves, quarters and eighths.
fn length(vector: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let eights = vector.chunks_exact(8);
    for (sum, x) in sums.iter_mut().zip(eights.remainder()) {
        *sum += x * x;
    }
    for eight in eights {
        for (sum, x) in sums.iter_mut().zip(eight) {
            *sum += x * x;
        }
    }
    let fours: [f32; 4] = std::array::from_fn(|i| sums[i] + sums[i + 4]);
    ((fours[0] + fours[2]) + (fours[1] + fours[3])).sqrt()
}

fn divide(vector: &mut [f32], length: f32) {
    for x in vector {
        *x /= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_that_of_the_definition() {
        for n in [1_usize, 7, 8, 9, 16, 511, 512] {
            let vector: Vec<f32> = (1..=n).map(|i| (i as f32 * 0.37).sin()).collect();
            let exact: f64 = vector.iter().map(|&x| f64::from(x).powi(2)).sum();
            let found = f64::from(length(&vector));
            assert!((found / exact.sqrt() - 1.0).abs() < 1e-6, "{n}: {found}");
        }
        assert!(length(&[f32::NAN, 1.0]).is_nan());
    }

    #[test]
    fn the_error_of_the_lowest_index_is_the_first() {
        let first = FirstError::default();
        for at in [7, 3, 5] {
            first.put(at, at * 10);
        }
        assert!(first.is_before(4) && !first.is_before(3));
        assert_eq!(first.into_result(), Err((3, 30)));
    }
}
