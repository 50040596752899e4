//! Characters that show nothing, and texts of them alone.
//!
//! Not here: the cut of a long text, which shortens runs of blanks (see `cut`).
//!
//! A *blank* is a character that shows nothing: whitespace, the controls (NUL among them), and the
//! invisible marks U+00AD, U+061C, U+180E, U+200B to U+200F, U+202A to U+202E, U+2060 to U+206F and
//! U+FEFF. BERT's tokenizer makes no token of any of them.

use std::ops::Range;

/// Bytes that are looked at together.
const LANES: usize = 16;

/// Return whether a character shows nothing. U+2065, among the marks, is not assigned.
pub(super) fn shows_nothing(character: char) -> bool {
    matches!(
        character,
        '\0'..=' '
            | '\u{7f}'..='\u{a0}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{1680}'
            | '\u{180e}'
            | '\u{2000}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}'
            | '\u{205f}'..='\u{206f}'
            | '\u{3000}'
            | '\u{feff}'
    )
}

/// Return whether a character is whitespace: Unicode's, and the separators U+001C to U+001F.
///
/// Python's `str.isspace`, `strip` and `split` have this definition.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// Return whether a text holds blanks alone, or nothing.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    first_visible(text) == text.len()
}

/// Return the bytes of a text without the blanks around it; an empty range at its end if the text
/// is blank.
#[must_use]
pub fn visible_span(text: &str) -> Range<usize> {
    let start = first_visible(text);
    start..start + last_visible(&text[start..])
}

/// Return where the first visible character of a text begins, or the length of the text.
pub(super) fn first_visible(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        if !shows_nothing(character) {
            break;
        }
        at += character.len_utf8();
        while bytes[at..].first_chunk().is_some_and(are_blank) {
            at += LANES;
        }
    }
    at
}

/// Return where the last visible character of a text ends, or 0.
pub(super) fn last_visible(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = text.len();
    while let Some(character) = text[..end].chars().next_back() {
        if !shows_nothing(character) {
            break;
        }
        end -= character.len_utf8();
        while bytes[..end].last_chunk().is_some_and(are_blank) {
            end -= LANES;
        }
    }
    end
}

/// Return where the first line feed or carriage return of a text is.
pub(super) fn line_end(bytes: &[u8]) -> Option<usize> {
    position(bytes, |byte| byte == b'\n' || byte == b'\r')
}

/// Return where the first byte of a kind is that few bytes are of; several are looked at together.
pub(super) fn position(bytes: &[u8], is_one: impl Fn(u8) -> bool) -> Option<usize> {
    let mut at = 0;
    // Counted, so that a compiler compares all at once.
    while let Some(chunk) = bytes[at..].first_chunk::<LANES>()
        && chunk.iter().filter(|byte| is_one(**byte)).count() == 0
    {
        at += LANES;
    }
    let found = bytes[at..].iter().position(|byte| is_one(*byte));
    found.map(|found| at + found)
}

fn are_blank(bytes: &[u8; LANES]) -> bool {
    // Counted, so that a compiler compares all at once.
    let is_blank = |byte: &&u8| **byte <= b' ' || **byte == 0x7f;
    bytes.iter().filter(is_blank).count() == LANES
}
