//! Added tokens: each is one token wherever it stands in a text, before anything else is done.
//!
//! Not here: those that are looked for in the normalised text; they are left to the package
//! tokenizers.

use std::ops::Range;

/// More are left to the package tokenizers: each is compared with the text on its own.
pub(super) const MAX_TOKENS: usize = 1_000;

/// The added tokens of a tokenizer.
pub(super) struct AddedTokens {
    /// The longest first, so that the first that matches is the longest.
    tokens: Vec<(Box<[u8]>, u32)>,
    /// Bytes with which one starts.
    starts: [bool; 256],
    /// Bytes that one contains.
    contains: [bool; 256],
    start_with_punctuation: bool,
}

impl AddedTokens {
    /// Added tokens by their text, of which none is empty.
    pub(super) fn new(tokens: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut tokens: Vec<_> = tokens
            .into_iter()
            .map(|(text, token)| (text.into_bytes().into_boxed_slice(), token))
            .collect();
        tokens.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let (mut starts, mut contains) = ([false; 256], [false; 256]);
        for (text, _) in &tokens {
            starts[usize::from(text[0])] = true;
            text.iter()
                .for_each(|&byte| contains[usize::from(byte)] = true);
        }
        let start_with_punctuation = tokens
            .iter()
            .all(|(text, _)| text[0].is_ascii_punctuation());
        Self {
            tokens,
            starts,
            contains,
            start_with_punctuation,
        }
    }

    /// The length and the token of that with which a text starts.
    #[inline]
    pub(super) fn at(&self, text: &[u8]) -> Option<(usize, u32)> {
        if !self.starts[usize::from(*text.first()?)] {
            return None;
        }
        let found = self
            .tokens
            .iter()
            .find(|(token, _)| text.starts_with(token));
        found.map(|(text, token)| (text.len(), *token))
    }

    /// The first in a text, and its token.
    pub(super) fn find(&self, text: &str) -> Option<(Range<usize>, u32)> {
        let bytes = text.as_bytes();
        (0..bytes.len()).find_map(|start| {
            let (length, token) = self.at(&bytes[start..])?;
            Some((start..start + length, token))
        })
    }

    /// Whether one contains a byte.
    pub(super) fn contains(&self, byte: u8) -> bool {
        self.contains[usize::from(byte)]
    }

    /// Whether all are ASCII.
    pub(super) fn is_ascii(&self) -> bool {
        !self.contains[128..].contains(&true)
    }

    /// Whether all start with punctuation of ASCII.
    pub(super) fn start_with_punctuation(&self) -> bool {
        self.start_with_punctuation
    }
}
