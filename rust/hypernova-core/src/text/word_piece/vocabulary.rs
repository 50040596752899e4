//! The words of a vocabulary and their tokens, in one table over one buffer.
//!
//! Not here: which words are looked up (`words.rs`).
//!
//! The hash of a text is computed a byte at a time, so that reading a word once gives the hashes
//! of all its beginnings.

/// The hash of no text.
pub(super) const SEED: u64 = 0x243F_6A88_85A3_08D3;

/// The hash of a text and one more byte.
#[inline]
pub(super) fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(29)
}

/// The hash of a text and some more bytes.
pub(super) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, &byte| step(hash, byte))
}

/// Where a word stands in the buffer; 0 where there is none.
#[derive(Clone, Copy, Default)]
struct Slot {
    tag: u32,
    start: u32,
}

/// Bytes before each word in the buffer: its token and its length.
const HEADER: usize = 8;
/// Words whose hashes lie so close are chosen to be slow to find.
const MAX_PROBES: usize = 256;

/// A vocabulary.
pub(super) struct Vocabulary {
    /// A power of two of them, at most half of them taken.
    slots: Vec<Slot>,
    shift: u32,
    /// A byte that no slot refers to, and then each word with its header.
    buffer: Vec<u8>,
    words: usize,
    /// Bytes of the longest word.
    longest: usize,
    max_token: Option<u32>,
}

/// The vocabulary is too large, or was made to be slow.
#[derive(Debug)]
pub(super) struct Unfit;

impl Vocabulary {
    /// An empty vocabulary with room for a number of words.
    pub(super) fn with_room(words: usize, bytes: usize) -> Self {
        let slots = (2 * words).next_power_of_two().max(16);
        let mut buffer = Vec::with_capacity(bytes.saturating_add(HEADER * words + 1));
        buffer.push(0);
        Self {
            slots: vec![Slot::default(); slots],
            shift: u64::BITS - slots.trailing_zeros(),
            buffer,
            words: 0,
            longest: 0,
            max_token: None,
        }
    }

    /// Number of words.
    pub(super) fn len(&self) -> usize {
        self.words
    }

    /// Bytes of the longest word.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The highest token.
    pub(super) fn max_token(&self) -> Option<u32> {
        self.max_token
    }

    /// Add a word, or give one that is there another token.
    pub(super) fn insert(&mut self, word: &str, token: u32) -> Result<(), Unfit> {
        let word = word.as_bytes();
        if 2 * (self.words + 1) > self.slots.len() {
            self.grow()?;
        }
        let hash = hash(SEED, word);
        match self.probe(hash, |found| found == word) {
            (_, Some(start)) => {
                self.buffer[start..start + 4].copy_from_slice(&token.to_le_bytes());
            }
            (None, None) => return Err(Unfit),
            (Some(free), None) => {
                let start = u32::try_from(self.buffer.len()).map_err(|_| Unfit)?;
                let length = u32::try_from(word.len()).map_err(|_| Unfit)?;
                self.buffer.extend_from_slice(&token.to_le_bytes());
                self.buffer.extend_from_slice(&length.to_le_bytes());
                self.buffer.extend_from_slice(word);
                self.slots[free] = Slot {
                    tag: hash as u32,
                    start,
                };
                self.words += 1;
                self.longest = self.longest.max(word.len());
            }
        }
        Ok(())
    }

    /// Note the highest token, once all words are there, and give back what is not needed.
    pub(super) fn finish(&mut self) {
        self.max_token = self.tokens().max();
        self.buffer.shrink_to_fit();
    }

    /// The token of a word that a function knows by its bytes and that has a hash.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&[u8]) -> bool) -> Option<u32> {
        let (_, start) = self.probe(hash, is_it);
        start.map(|start| self.number(start))
    }

    /// The token of a word.
    pub(super) fn get(&self, word: &str) -> Option<u32> {
        self.find(hash(SEED, word.as_bytes()), |found| {
            found == word.as_bytes()
        })
    }

    /// The first free slot, and where the word stands in the buffer; neither after too many slots.
    #[inline]
    fn probe(&self, hash: u64, is_it: impl Fn(&[u8]) -> bool) -> (Option<usize>, Option<usize>) {
        let mut at = (hash >> self.shift) as usize;
        for _ in 0..MAX_PROBES {
            let slot = self.slots[at];
            if slot.start == 0 {
                return (Some(at), None);
            }
            if slot.tag == hash as u32 && is_it(self.word(slot.start as usize)) {
                return (None, Some(slot.start as usize));
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        (None, None)
    }

    #[inline]
    fn word(&self, start: usize) -> &[u8] {
        &self.buffer[start + HEADER..][..self.number(start + 4) as usize]
    }

    #[inline]
    fn number(&self, at: usize) -> u32 {
        let bytes = &self.buffer[at..at + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn starts(&self) -> impl Iterator<Item = usize> {
        let mut start = 1;
        std::iter::from_fn(move || {
            let at = start;
            (at < self.buffer.len()).then(|| {
                start += HEADER + self.number(at + 4) as usize;
                at
            })
        })
    }

    fn tokens(&self) -> impl Iterator<Item = u32> {
        self.starts().map(|start| self.number(start))
    }

    fn grow(&mut self) -> Result<(), Unfit> {
        let slots = 2 * self.slots.len();
        self.slots = vec![Slot::default(); slots];
        self.shift = u64::BITS - slots.trailing_zeros();
        let mut start = 1;
        while start < self.buffer.len() {
            let word = self.word(start);
            let (hash, next) = (hash(SEED, word), start + HEADER + word.len());
            let (Some(free), _) = self.probe(hash, |_| false) else {
                return Err(Unfit);
            };
            self.slots[free] = Slot {
                tag: hash as u32,
                start: start as u32,
            };
            start = next;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_others_are_not() {
        let mut vocabulary = Vocabulary::with_room(0, 0);
        for token in 0..5_000 {
            vocabulary.insert(&format!("word{token}"), token).unwrap();
        }
        vocabulary.insert("", 5_000).unwrap();
        vocabulary.insert("word7", 9_000).unwrap();
        vocabulary.finish();
        assert_eq!(vocabulary.len(), 5_001);
        assert_eq!(vocabulary.max_token(), Some(9_000));
        assert_eq!(vocabulary.get("word7"), Some(9_000));
        assert_eq!(vocabulary.get(""), Some(5_000));
        assert_eq!(vocabulary.get("word4999"), Some(4_999));
        assert_eq!(vocabulary.get("word"), None);
        assert_eq!(vocabulary.longest(), 8);
    }
}
