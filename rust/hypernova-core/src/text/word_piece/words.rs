//! From a part of a text without added tokens to tokens: its words, and the pieces of each.
//!
//! Not here: added tokens and limits (`mod.rs`).

use super::unicode::{self, BLANK, CHINESE, CONTROL, DECOMPOSES, MARK, ORDER, PUNCTUATION, UPPER};
use super::vocabulary::{SEED, Vocabulary, hash, step};

/// The flags of BERT's normalizer.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the names that the file has for them"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Normalizer {
    /// Drop control characters.
    pub(super) clean_text: bool,
    /// Make each ideograph a word.
    pub(super) chinese: bool,
    /// Decompose, and drop marks.
    pub(super) strip_accents: bool,
    pub(super) lowercase: bool,
}

/// What a byte is to a word of ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Byte {
    Word,
    Blank,
    Punctuation,
    /// Not ASCII, or a control character that is dropped.
    Odd,
}

/// From words to tokens.
pub(super) struct Words {
    pub(super) vocabulary: Vocabulary,
    normalizer: Normalizer,
    /// Of each byte.
    bytes: [Byte; 256],
    /// Each byte in lower case, where that is asked for.
    fold: [u8; 256],
    /// Tokens of the punctuation of ASCII.
    punctuation: [u32; 128],
    unknown: u32,
    prefix: Vec<u8>,
    prefix_hash: u64,
    max_chars: usize,
}

/// What is kept of one text for the next: room.
#[derive(Default)]
pub(super) struct Scratch {
    /// The word so far, normalised; no more of it than the longest that has pieces.
    word: Vec<u8>,
    /// Characters of the word.
    chars: usize,
    /// Marks that wait to be ordered.
    marks: Vec<(u8, char)>,
    /// Hashes of the beginnings of what is left of a word.
    hashes: Vec<u64>,
}

impl Words {
    pub(super) fn new(
        vocabulary: Vocabulary,
        normalizer: Normalizer,
        unknown: u32,
        prefix: &str,
        max_chars: usize,
    ) -> Self {
        let mut bytes = [Byte::Odd; 256];
        let mut fold = [0; 256];
        for byte in 0..=u8::MAX {
            fold[usize::from(byte)] = if normalizer.lowercase {
                byte.to_ascii_lowercase()
            } else {
                byte
            };
            if byte.is_ascii() {
                let class = unicode::class(char::from(byte));
                bytes[usize::from(byte)] = match class {
                    _ if class & CONTROL != 0 && normalizer.clean_text => Byte::Odd,
                    _ if class & BLANK != 0 => Byte::Blank,
                    _ if class & PUNCTUATION != 0 => Byte::Punctuation,
                    _ => Byte::Word,
                };
            }
        }
        let mut words = Self {
            vocabulary,
            normalizer,
            bytes,
            fold,
            punctuation: [unknown; 128],
            unknown,
            prefix: prefix.as_bytes().to_vec(),
            prefix_hash: hash(SEED, prefix.as_bytes()),
            max_chars,
        };
        for byte in (0..128_u8).filter(|&b| bytes[usize::from(b)] == Byte::Punctuation) {
            let found = words
                .vocabulary
                .get(char::from(byte).encode_utf8(&mut [0; 4]));
            words.punctuation[usize::from(byte)] =
                found.filter(|_| max_chars > 0).unwrap_or(unknown);
        }
        words
    }

    /// What a byte is to a word of ASCII.
    #[inline]
    pub(super) fn byte(&self, byte: u8) -> Byte {
        self.bytes[usize::from(byte)]
    }

    /// Whether a character is a word of its own.
    pub(super) fn stands_alone(&self, c: char) -> bool {
        self.normalizer.chinese && unicode::class(c) & CHINESE != 0
    }

    /// Add the token of a character of ASCII that is punctuation.
    #[inline]
    pub(super) fn push_punctuation(&self, byte: u8, tokens: &mut Vec<u32>) {
        tokens.push(self.punctuation[usize::from(byte & 127)]);
    }

    /// Add the tokens of the word, or words, at `start`; return where they end.
    ///
    /// They end at the end, at a blank or at punctuation of ASCII; or earlier, and then nowhere in
    /// particular, once there are `stop` tokens.
    #[inline]
    pub(super) fn push_word(
        &self,
        text: &str,
        start: usize,
        stop: usize,
        scratch: &mut Scratch,
        tokens: &mut Vec<u32>,
    ) -> usize {
        let bytes = text.as_bytes();
        let (mut end, mut hash) = (start, SEED);
        while let Some(&byte) = bytes.get(end) {
            match self.byte(byte) {
                Byte::Word => hash = step(hash, self.fold[usize::from(byte)]),
                Byte::Odd => return self.push_odd(text, start, stop, scratch, tokens),
                Byte::Blank | Byte::Punctuation => break,
            }
            end += 1;
        }
        let word = &bytes[start..end];
        if word.len() > self.max_chars {
            tokens.push(self.unknown);
        } else if let Some(token) = self
            .vocabulary
            .find(hash, |found| self.is_folded(word, found))
        {
            tokens.push(token);
        } else {
            scratch.word.clear();
            scratch
                .word
                .extend(word.iter().map(|&byte| self.fold[usize::from(byte)]));
            self.push_pieces(scratch, tokens);
        }
        end
    }

    /// Whether a word of ASCII in lower case, where that is asked for, is another.
    #[inline]
    fn is_folded(&self, word: &[u8], other: &[u8]) -> bool {
        word.len() == other.len()
            && word
                .iter()
                .zip(other)
                .all(|(&a, &b)| self.fold[usize::from(a)] == b)
    }

    /// As `push_word`, for words of any characters.
    fn push_odd(
        &self,
        text: &str,
        start: usize,
        stop: usize,
        scratch: &mut Scratch,
        tokens: &mut Vec<u32>,
    ) -> usize {
        let Normalizer {
            clean_text,
            chinese,
            strip_accents,
            ..
        } = self.normalizer;
        scratch.word.clear();
        scratch.chars = 0;
        let mut end = text.len();
        for (at, c) in text[start..].char_indices() {
            if c.is_ascii() && matches!(self.byte(c as u8), Byte::Blank | Byte::Punctuation)
                || tokens.len() >= stop
            {
                end = start + at;
                break;
            }
            let class = unicode::class(c);
            if class & CONTROL != 0 && clean_text {
                continue;
            }
            let is_alone = class & CHINESE != 0 && chinese;
            if is_alone {
                self.end_word(scratch, tokens);
            }
            if !strip_accents {
                self.push_char(c, class, scratch, tokens);
            } else if class & DECOMPOSES != 0 {
                unicode::decompose(c, |c| {
                    self.push_ordered(c, unicode::class(c), scratch, tokens);
                });
            } else {
                self.push_ordered(c, class, scratch, tokens);
            }
            if is_alone {
                self.end_word(scratch, tokens);
            }
        }
        self.end_word(scratch, tokens);
        end
    }

    /// Add a decomposed character to the word: marks in their canonical order, or not at all.
    fn push_ordered(&self, c: char, class: u8, scratch: &mut Scratch, tokens: &mut Vec<u32>) {
        if class & (MARK | ORDER) == 0 {
            self.push_marks(scratch, tokens);
            self.push_char(c, class, scratch, tokens);
        } else if class & MARK == 0 {
            // The order does not matter in a word that is too long.
            if scratch.chars + scratch.marks.len() < self.max_chars {
                scratch.marks.push((unicode::order(c), c));
            } else {
                self.push_marks(scratch, tokens);
                self.push_char(c, class, scratch, tokens);
            }
        } else if class & ORDER != 0 {
            self.push_marks(scratch, tokens);
        }
    }

    /// Add the marks that wait.
    fn push_marks(&self, scratch: &mut Scratch, tokens: &mut Vec<u32>) {
        if scratch.marks.is_empty() {
            return;
        }
        let mut marks = std::mem::take(&mut scratch.marks);
        marks.sort_by_key(|&(order, _)| order);
        for (_, mark) in marks.drain(..) {
            self.push_char(mark, unicode::class(mark), scratch, tokens);
        }
        scratch.marks = marks;
    }

    /// Add a character to the word in lower case, where that is asked for.
    fn push_char(&self, c: char, class: u8, scratch: &mut Scratch, tokens: &mut Vec<u32>) {
        if class & UPPER == 0 || !self.normalizer.lowercase {
            return self.push_normalized(c, class, scratch, tokens);
        }
        let (first, second) = unicode::lower(c);
        for c in std::iter::once(first).chain(second) {
            self.push_normalized(c, unicode::class(c), scratch, tokens);
        }
    }

    /// Add a normalised character to the word, or end the word with it.
    #[inline]
    fn push_normalized(&self, c: char, class: u8, scratch: &mut Scratch, tokens: &mut Vec<u32>) {
        if class & (BLANK | PUNCTUATION) != 0 {
            self.end_word(scratch, tokens);
            if class & BLANK != 0 {
                return;
            }
        }
        if scratch.chars < self.max_chars {
            scratch
                .word
                .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        scratch.chars += 1;
        if class & PUNCTUATION != 0 {
            self.end_word(scratch, tokens);
        }
    }

    /// Add the tokens of the word, and begin another.
    fn end_word(&self, scratch: &mut Scratch, tokens: &mut Vec<u32>) {
        self.push_marks(scratch, tokens);
        if scratch.chars > self.max_chars {
            tokens.push(self.unknown);
        } else if scratch.chars > 0 {
            self.push_pieces(scratch, tokens);
        }
        scratch.word.clear();
        scratch.chars = 0;
    }

    /// Add the pieces of a word that is not too long: the longest beginning in the vocabulary, and
    /// so on with what is left.
    fn push_pieces(&self, scratch: &mut Scratch, tokens: &mut Vec<u32>) {
        let Scratch { word, hashes, .. } = scratch;
        let (mut start, before) = (0, tokens.len());
        while start < word.len() {
            let (seed, prefix): (_, &[u8]) = match start {
                0 => (SEED, &[]),
                _ => (self.prefix_hash, &self.prefix),
            };
            let room = self.vocabulary.longest().saturating_sub(prefix.len());
            let left = &word[start..];
            hashes.clear();
            let mut state = seed;
            hashes.extend(left.iter().take(room).map(|&byte| {
                state = step(state, byte);
                state
            }));
            let found = hashes.iter().enumerate().rev().find_map(|(last, &hash)| {
                let piece = &left[..=last];
                // A piece ends between characters, where the next byte begins one.
                if left.get(last + 1).is_some_and(|&byte| byte & 0xC0 == 0x80) {
                    return None;
                }
                let is_it = |found: &[u8]| found.strip_prefix(prefix) == Some(piece);
                self.vocabulary
                    .find(hash, is_it)
                    .map(|token| (last + 1, token))
            });
            let Some((length, token)) = found else {
                tokens.truncate(before);
                tokens.push(self.unknown);
                return;
            };
            tokens.push(token);
            start += length;
        }
    }
}
