//! The words of a part of a text: what is between whitespace and the marks that are no part of a
//! word.
//!
//! Not here: which words the rules of courtesies name (see `words`).

use super::super::blank::is_space;
use super::steps;
use super::words::{Kinds, Letters, MAX_BYTES};

/// Characters beside whitespace that are no part of a word.
fn separates(character: char) -> bool {
    is_space(character)
        || matches!(
            character,
            '\u{2013}'
                | '\u{2014}'
                | '\u{2018}'
                | '\u{2019}'
                | '\u{201c}'
                | '\u{201d}'
                | '\u{2026}'
        )
}
const ASCII_SEPARATORS: &[u8] = b".,!?:;\"'()[]{}<>#*`-=_|/~ \t\n\x0b\x0c\r\x1c\x1d\x1e\x1f";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Separator,
    Letter,
    Other,
    NotAscii,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        if byte >= 0x80 {
            classes[byte] = Class::NotAscii;
        } else if (byte as u8).is_ascii_alphabetic() {
            classes[byte] = Class::Letter;
        }
        byte += 1;
    }
    let mut i = 0;
    while i < ASCII_SEPARATORS.len() {
        classes[ASCII_SEPARATORS[i] as usize] = Class::Separator;
        i += 1;
    }
    classes
};

/// A word of a text.
#[derive(Clone, Copy)]
pub(super) struct Word<'t> {
    written: &'t [u8],
    kinds: Kinds,
}

impl Word<'_> {
    /// Return the lists that the word is in.
    pub(super) fn kinds(self) -> Kinds {
        self.kinds
    }

    /// Return whether it is a word of ASCII letters, in either case.
    pub(super) fn is(self, lower: &str) -> bool {
        self.written.eq_ignore_ascii_case(lower.as_bytes())
    }

    /// Return whether it holds digits alone.
    pub(super) fn is_number(self) -> bool {
        self.written.iter().all(u8::is_ascii_digit)
    }
}

/// The words of `text[begin..end]`, one after the other.
#[derive(Clone)]
pub(super) struct Words<'t> {
    text: &'t str,
    at: usize,
    end: usize,
}

impl<'t> Words<'t> {
    pub(super) fn of(text: &'t str, begin: usize, end: usize) -> Self {
        Self {
            text,
            at: begin,
            end,
        }
    }

    /// Go to the next word, or to the end.
    fn skip_separators(&mut self) {
        let text = self.text.as_bytes();
        while self.at < self.end {
            match CLASSES[usize::from(text[self.at])] {
                Class::Separator => self.at += 1,
                Class::NotAscii => match self.not_ascii() {
                    (length, true) => self.at += length,
                    (_, false) => break,
                },
                Class::Letter | Class::Other => break,
            }
        }
    }

    /// Go to the end of a word from a place within; return whether only letters were there.
    fn skip_word(&mut self) -> bool {
        let text = self.text.as_bytes();
        let mut is_letters = true;
        while self.at < self.end {
            match CLASSES[usize::from(text[self.at])] {
                Class::Letter => self.at += 1,
                Class::Separator => break,
                Class::Other => {
                    is_letters = false;
                    self.at += 1;
                }
                Class::NotAscii => match self.not_ascii() {
                    (_, true) => break,
                    (length, false) => {
                        is_letters = false;
                        self.at += length;
                    }
                },
            }
        }
        is_letters
    }

    /// Return the length of a character that is not ASCII, and whether it separates words.
    fn not_ascii(&self) -> (usize, bool) {
        match self.text.as_bytes()[self.at] {
            // No separator begins with these.
            0xc3..=0xdf => (2, false),
            0xe4..=0xef => (3, false),
            0xf0.. => (4, false),
            _ => {
                let character = self.text[self.at..].chars().next().unwrap_or_default();
                (character.len_utf8(), separates(character))
            }
        }
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = Word<'t>;

    fn next(&mut self) -> Option<Word<'t>> {
        let text = self.text.as_bytes();
        let start = self.at;
        self.skip_separators();
        let begin = self.at;
        let word = (begin < self.end).then(|| {
            let letters = Letters::at_start_of(&text[begin..], self.end - begin);
            self.at += letters.n;
            let is_letters = self.skip_word() && letters.n < MAX_BYTES;
            Word {
                written: &text[begin..self.at],
                kinds: if is_letters {
                    letters.kinds()
                } else {
                    Kinds::NONE
                },
            }
        });
        steps::add(self.at - start);
        word
    }

    /// Words that are skipped are not looked up.
    fn nth(&mut self, n: usize) -> Option<Word<'t>> {
        let start = self.at;
        for _ in 0..n {
            self.skip_separators();
            self.skip_word();
        }
        steps::add(self.at - start);
        self.next()
    }
}
