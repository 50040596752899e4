//! BERT's tokenizer: from a text to the tokens of its word pieces, equal to the package
//! `tokenizers`.
//!
//! Not here: any other tokenizer, which is left to that package, and what of a text is read
//! ([`super::ReadingRules`]).
//!
//! - `json.rs`: reads a `tokenizer.json`, or leaves it to the package
//! - `vocabulary.rs`: the words and their tokens
//! - `words.rs`: normalises and splits a text, and looks its words up
//! - `unicode.rs`, `tables.rs`: what the package does with each character
//! - `added.rs`: tokens that are found in a text as they are
//!
//! A word of ASCII is read once, which gives its hash, and looked up whole; only a word that the
//! vocabulary lacks is cut into pieces. On two virtual cores with AVX-512, other work beside,
//! quickest of 400 runs: 14 tokens in 0.2 us and 196 in 3.0 us, 15 ns each; 35 ns each (CPU time) of
//! 30,000 prompts that are read once, whose branches are not foreseen. Pieces take two fifths
//! of the instructions of prompts of 200 tokens, so that a cache of words that were met would save
//! at most 1.2 us of them, as long as they recur. It is not kept: it would cost a lock, and the
//! vocabulary is such a table already.
//!
//! The crate `tokenizers` 0.23.2 (no default features but `fancy-regex`, which it needs), in the
//! same place, on the same prompts: 16 us and 171 us, 60 to 75 times as long. It reads
//! the 466 KB of a `tokenizer.json` in 26 ms, where this takes 1.4 ms, adds 3.4 MB to a stripped
//! library, and brings 59 crates more.

mod added;
mod json;
mod tables;
#[cfg(test)]
mod tests;
mod unicode;
mod vocabulary;
mod words;

use std::cell::Cell;

use self::added::AddedTokens;
use self::words::{Byte, Scratch, Words};
use crate::error::Error;

/// BERT's tokenizer.
pub struct WordPieceTokenizer {
    words: Words,
    added: AddedTokens,
    vocabulary: usize,
    max_token: Option<u32>,
    /// Special tokens before and after a text.
    special: (Vec<u32>, Vec<u32>),
}

thread_local! {
    /// Room that one text leaves to the next.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl WordPieceTokenizer {
    /// Read a `tokenizer.json`; `None` for a tokenizer of another kind.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenizer`] if the bytes are no JSON, or the ids of the vocabulary are no token
    /// ids.
    pub fn from_json(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let of_contents = |contents: json::Contents| Self {
            words: contents.words,
            added: contents.added,
            vocabulary: contents.vocabulary,
            max_token: contents.max_token,
            special: contents.special,
        };
        Ok(json::read(bytes)?.map(of_contents))
    }

    /// Number of words and added tokens.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The highest token id; `None` if there is none.
    #[must_use]
    pub fn max_token(&self) -> Option<u32> {
        self.max_token
    }

    /// Special tokens before and after a text.
    #[must_use]
    pub fn special_tokens(&self) -> (Vec<u32>, Vec<u32>) {
        self.special.clone()
    }

    /// Add the tokens of a text, without special tokens.
    ///
    /// Of more tokens than `limit.0`, the first `limit.0 - limit.1` and the last `limit.1` are
    /// kept, and not all others are looked up.
    pub fn encode_into(&self, text: &str, limit: Option<(usize, usize)>, tokens: &mut Vec<u32>) {
        // A thread that ends has no room any more.
        let kept = SCRATCH.try_with(Cell::take).ok().flatten();
        let mut scratch = kept.unwrap_or_default();
        match limit {
            None => {
                self.push(text, usize::MAX, &mut scratch, tokens);
            }
            Some((all, last)) => self.push_limited(text, all, last, &mut scratch, tokens),
        }
        SCRATCH
            .try_with(|kept| kept.set(Some(scratch)))
            .unwrap_or_default();
    }

    fn push_limited(
        &self,
        text: &str,
        all: usize,
        last: usize,
        scratch: &mut Scratch,
        tokens: &mut Vec<u32>,
    ) {
        let before = tokens.len();
        let last = last.min(all);
        let stop = before.saturating_add(all).saturating_add(1);
        let is_done = self.push(text, stop, scratch, tokens);
        let found = tokens.len() - before;
        if found <= all {
            return;
        }
        let first = before + all - last;
        if is_done || last == 0 {
            tokens.drain(first..before + found - last);
            return;
        }
        // The last tokens are those of the end of the text, from a place on at which all that is
        // read before makes no difference.
        let mut window = last.saturating_mul(8).saturating_add(64);
        loop {
            let start = self.split_from(text, text.len().saturating_sub(window));
            if start == 0 || start < text.len() {
                tokens.truncate(first);
                self.push(&text[start..], usize::MAX, scratch, tokens);
                let found = tokens.len() - first;
                if start == 0 {
                    // All of the text: the first tokens are there twice.
                    tokens.drain(first..first + found.saturating_sub(last));
                    return;
                }
                if found >= last {
                    tokens.drain(first..first + found - last);
                    return;
                }
            }
            window = window.saturating_mul(2);
        }
    }

    /// The first place from a byte on where the tokens behind do not depend on what is before; the
    /// end of the text if there is none, and 0 for the first byte.
    fn split_from(&self, text: &str, from: usize) -> usize {
        let Some(from) = from.checked_sub(1) else {
            return 0;
        };
        let from = (0..=from)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        for (at, c) in text[from..].char_indices() {
            let is_split = if c.is_ascii() {
                let is_end = matches!(self.words.byte(c as u8), Byte::Blank | Byte::Punctuation);
                is_end && !self.added.contains(c as u8)
            } else {
                self.words.stands_alone(c) && self.added.is_ascii()
            };
            if is_split {
                return from + at + c.len_utf8();
            }
        }
        text.len()
    }

    /// Add the tokens of a text until there are `stop`; return whether all are there.
    fn push(&self, text: &str, stop: usize, scratch: &mut Scratch, tokens: &mut Vec<u32>) -> bool {
        if self.added.start_with_punctuation() {
            return self.push_words(text, stop, scratch, tokens);
        }
        let mut rest = text;
        while let Some((range, token)) = self.added.find(rest) {
            if !self.push_words(&rest[..range.start], stop, scratch, tokens) {
                return false;
            }
            tokens.push(token);
            rest = &rest[range.end..];
        }
        self.push_words(rest, stop, scratch, tokens)
    }

    /// As `push`, with those added tokens alone that start with punctuation.
    fn push_words(
        &self,
        text: &str,
        stop: usize,
        scratch: &mut Scratch,
        tokens: &mut Vec<u32>,
    ) -> bool {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.words.byte(byte) {
                Byte::Blank => at += 1,
                Byte::Punctuation => {
                    if let Some((length, token)) = self.added.at(&bytes[at..]) {
                        tokens.push(token);
                        at += length;
                    } else {
                        self.words.push_punctuation(byte, tokens);
                        at += 1;
                    }
                }
                Byte::Word | Byte::Odd => {
                    at = self.words.push_word(text, at, stop, scratch, tokens);
                }
            }
            if tokens.len() >= stop {
                return at >= bytes.len();
            }
        }
        true
    }
}
