//! What BERT's normalizer and pre-tokenizer do with a character.
//!
//! Not here: the tables themselves (`tables.rs`), which follow the package tokenizers and not the
//! version of Unicode that this compiler knows.

use super::tables::{
    DECOMPOSED, DECOMPOSED_ENDS, DECOMPOSED_TEXT, KEPT_MARKS, LETTERS, LOWER, ROWS, RUNS,
};

/// Dropped by the cleaning.
pub(super) const CONTROL: u8 = 1;
/// Words end here.
pub(super) const BLANK: u8 = 1 << 1;
/// A word of its own.
pub(super) const PUNCTUATION: u8 = 1 << 2;
/// An ideograph, which may be a word of its own.
pub(super) const CHINESE: u8 = 1 << 3;
/// Decomposes into characters of which not all are dropped.
pub(super) const DECOMPOSES: u8 = 1 << 4;
/// Dropped with the accents.
pub(super) const MARK: u8 = 1 << 5;
/// Has a lower case.
pub(super) const UPPER: u8 = 1 << 6;
/// A mark that is not dropped and may change places with others; or one that is dropped over
/// which none moves.
pub(super) const ORDER: u8 = 1 << 7;

const ROW: usize = ROWS[0].len();

/// The row of each 128 characters.
static INDEX: [u8; 0x11_0000 / ROW] = {
    let mut index = [0; 0x11_0000 / ROW];
    let (mut at, mut run) = (0, 0);
    while run < RUNS.len() {
        let mut left = RUNS[run].1;
        while left > 0 {
            index[at] = RUNS[run].0;
            at += 1;
            left -= 1;
        }
        run += 1;
    }
    assert!(at == index.len());
    index
};

/// The class of each character of each row.
static CLASSES: [[u8; ROW]; ROWS.len()] = {
    let mut bits = [0; 128];
    let mut letter = 0;
    while letter < LETTERS.len() {
        bits[LETTERS[letter].0 as usize] = LETTERS[letter].1;
        letter += 1;
    }
    let mut classes = [[0; ROW]; ROWS.len()];
    let mut row = 0;
    while row < ROWS.len() {
        let mut column = 0;
        while column < ROW {
            classes[row][column] = bits[ROWS[row][column] as usize];
            column += 1;
        }
        row += 1;
    }
    classes
};

/// The bits of a character.
#[inline]
pub(super) fn class(c: char) -> u8 {
    let code = c as usize;
    CLASSES[usize::from(INDEX[code / ROW])][code % ROW]
}

/// Call a function with each character to which one of class [`DECOMPOSES`] decomposes, without
/// the marks that are dropped.
pub(super) fn decompose(c: char, mut each: impl FnMut(char)) {
    const FIRST: [u32; 3] = [0x1100, 0x1161, 0x11A7];
    let code = c as u32;
    if let Some(syllable @ 0..11_172) = code.checked_sub(0xAC00) {
        // Hangul: each syllable is two or three letters.
        let letters = [syllable / 588, syllable % 588 / 28, syllable % 28];
        for (i, (first, letter)) in FIRST.into_iter().zip(letters).enumerate() {
            if i < 2 || letter > 0 {
                char::from_u32(first + letter)
                    .into_iter()
                    .for_each(&mut each);
            }
        }
    } else if let Ok(at) = DECOMPOSED.binary_search(&code) {
        let start = at
            .checked_sub(1)
            .map_or(0, |before| DECOMPOSED_ENDS[before]);
        let range = usize::from(start)..usize::from(DECOMPOSED_ENDS[at]);
        DECOMPOSED_TEXT[range].chars().for_each(each);
    } else {
        each(c);
    }
}

/// The lower case of a character of class [`UPPER`], of which one has two characters.
pub(super) fn lower(c: char) -> (char, Option<char>) {
    let found = LOWER.binary_search_by_key(&(c as u32), |&(upper, _)| upper);
    let first = found.ok().and_then(|at| char::from_u32(LOWER[at].1));
    (first.unwrap_or(c), (c == '\u{130}').then_some('\u{307}'))
}

/// The number by which a mark of class [`ORDER`] that is not dropped is ordered.
pub(super) fn order(c: char) -> u8 {
    let found = KEPT_MARKS.binary_search_by_key(&(c as u32), |&(mark, _)| mark);
    found.map_or(0, |at| KEPT_MARKS[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_their_classes() {
        assert_eq!(class('a'), 0);
        assert_eq!(class('A'), UPPER);
        assert_eq!(class('!'), PUNCTUATION);
        assert_eq!(class('\t'), BLANK);
        assert_eq!(class('\u{b}'), CONTROL | BLANK);
        assert_eq!(class('\u{301}'), MARK);
        assert_eq!(class('中'), CHINESE);
        assert_eq!(class('É'), UPPER | DECOMPOSES);
        assert_eq!(
            class('\u{10ffff}'),
            CONTROL * u8::from(class('\u{10ffff}') > 0)
        );
    }

    #[test]
    fn decompositions_and_lower_cases() {
        let decomposed = |c| {
            let mut text = String::new();
            decompose(c, |c| text.push(c));
            text
        };
        assert_eq!(decomposed('é'), "e");
        assert_eq!(decomposed('각'), "\u{1100}\u{1161}\u{11A8}");
        assert_eq!(decomposed('가'), "\u{1100}\u{1161}");
        assert_eq!(decomposed('\u{C0}'), "A");
        assert_eq!(lower('Я'), ('я', None));
        assert_eq!(lower('\u{130}'), ('i', Some('\u{307}')));
        assert_eq!(order('\u{1d165}'), 216);
    }
}
