//! Stamps: addresses, dates, times of day, ages, pages and counts in a line of a message.
//!
//! Not here: what a line with a stamp is (see `courtesy`).
//!
//! Each is found by its form. Letters and digits of a form are ASCII's, in either case. Beside a
//! form, and in an address, a letter or a number of any script is a part of a word, as Unicode has
//! them (`Alphabetic`, and the categories of numbers).

use std::ops::Range;

use super::super::blank::position;
use super::steps;

/// Letters that may follow the beginning of a month.
const MAX_MORE_LETTERS: usize = 6;
const AGES: [&str; 6] = ["minute", "hour", "day", "week", "month", "year"];
/// Things that are counted, and whether they may have an `s`.
const COUNTED: [(&str, bool); 4] = [
    ("message", true),
    ("replies", false),
    ("comment", true),
    ("attachment", true),
];
/// The most characters of an address on each side of its `@`.
const MAX_ADDRESS: usize = 64;

/// Digits, and the first letters of months and of a page.
static BEGINS_FORM: [bool; 256] = {
    let mut begins = [false; 256];
    let first = b"0123456789adfjmnopsADFJMNOPS";
    let mut i = 0;
    while i < first.len() {
        begins[first[i] as usize] = true;
        i += 1;
    }
    begins
};

/// Return whether a line holds a digit or the mark of an address, as all stamps do and few lines.
pub(super) fn may_be_in(line: &str) -> bool {
    let is_one = |byte: u8| byte == b'@' || byte.is_ascii_digit();
    position(line.as_bytes(), is_one).is_some()
}

/// Return whether a line has a form that a line with a stamp must have.
///
/// Words of these forms are in lower case.
pub(super) fn has_form(line: &str) -> bool {
    steps::add(line.len());
    let bytes = line.as_bytes();
    let is_digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    let begins_form = |at: usize| match &bytes[at..] {
        [b'@', ..] => true,
        [b' ', b'a', b'g', b'o', ..] => ends_word(&line[at + 4..]),
        [b' ', a, b, c, d, ..] => is_digits(&[*a, *b, *c, *d]) && ends_word(&line[at + 5..]),
        [b'0'..=b'9', rest @ ..] => match rest {
            [b'/' | b'.' | b':' | b'-', next, ..] | [b' ', b'o', b'f', b' ', next, ..] => {
                next.is_ascii_digit()
            }
            [b' ', b'm' | b'r' | b'c' | b'a', ..] => true,
            _ => false,
        },
        _ => false,
    };
    let mut bytes = bytes.iter().enumerate();
    bytes.any(|(at, byte)| matches!(byte, b' ' | b'0'..=b'9' | b'@') && begins_form(at))
}

/// Find the first stamp of a line from a byte on, where a character begins.
pub(super) fn find(line: &str, from: usize) -> Option<Range<usize>> {
    let bytes = line.as_bytes();
    let has_address = bytes[from..].contains(&b'@');
    for at in from..bytes.len() {
        steps::add(1);
        let begins_form = BEGINS_FORM[usize::from(bytes[at])];
        if !(begins_form || has_address && line.is_char_boundary(at)) {
            continue;
        }
        let before = match at.checked_sub(1).map(|before| bytes[before]) {
            Some(byte) if byte.is_ascii() => Some(char::from(byte)),
            _ => line[..at].chars().next_back(),
        };
        if before.is_some_and(is_word) {
            continue;
        }
        let scan = Scan { line, at };
        let mut found = None;
        if has_address && !before.is_some_and(is_of_name) {
            found = scan.address();
        }
        if let Some(found) = found.or_else(|| scan.stamp()) {
            return Some(at..found.at);
        }
    }
    None
}

/// A place in a line. Each method returns the place behind what it found.
#[derive(Clone, Copy)]
struct Scan<'t> {
    line: &'t str,
    at: usize,
}

impl Scan<'_> {
    /// Any stamp but an address, behind a character that is no part of a word, or behind none.
    fn stamp(self) -> Option<Self> {
        match self.line.as_bytes()[self.at] {
            b'0'..=b'9' => self
                .date()
                .or_else(|| self.date_by_day())
                .or_else(|| self.time())
                .or_else(|| self.age())
                .or_else(|| self.count()),
            b'a'..=b'z' | b'A'..=b'Z' => self.date_by_month().or_else(|| self.page()),
            _ => None,
        }
    }

    /// `name@place`
    fn address(self) -> Option<Self> {
        let is_of_place = |character| character != '+' && is_of_name(character);
        let at = self.some(1, MAX_ADDRESS, is_of_name)?.one_of(b"@")?;
        at.some(1, MAX_ADDRESS, is_of_place)
    }

    /// `2024-06-07`, `7.6.2024`, `6/7/24`
    fn date(self) -> Option<Self> {
        let by_year = || {
            self.digits(4, 4)?
                .one_of(b"-")?
                .digits(1, 2)?
                .one_of(b"-")?
                .digits(1, 2)
        };
        let by_day = || {
            self.digits(1, 2)?
                .one_of(b"/.")?
                .digits(1, 2)?
                .one_of(b"/.")?
                .digits(2, 4)
        };
        by_year().or_else(by_day)?.word_end()
    }

    /// `7. June, 2024`
    fn date_by_day(self) -> Option<Self> {
        let day = self.digits(1, 2)?.maybe(b'.').one_of(b" ")?;
        day.month()?.year()
    }

    /// `June 7, 2024`
    fn date_by_month(self) -> Option<Self> {
        self.month()?.one_of(b" ")?.digits(1, 2)?.year()
    }

    /// `18:44`, `18:44:10 +0200`
    fn time(self) -> Option<Self> {
        let minutes = self.digits(1, 2)?.one_of(b":")?.digits(2, 2)?;
        let seconds = || minutes.one_of(b":")?.digits(2, 2)?.word_end();
        let time = seconds().or_else(|| minutes.word_end())?;
        let zone = || time.one_of(b" ")?.one_of(b"+-")?.digits(4, 4)?.word_end();
        zone().or(Some(time))
    }

    /// `3 days ago`
    fn age(self) -> Option<Self> {
        let number = self.digits(1, 3)?.one_of(b" ")?;
        let ago = |unit: &&str| {
            let unit = number.letters(unit)?;
            let plural = unit.letters("s").unwrap_or(unit);
            plural.letters(" ago")?.word_end()
        };
        AGES.iter().find_map(ago)
    }

    /// `page 1 of 2`
    fn page(self) -> Option<Self> {
        let number = self.letters("page ")?.digits(1, 4)?;
        number.letters(" of ")?.digits(1, 4)?.word_end()
    }

    /// `12 replies`
    fn count(self) -> Option<Self> {
        let number = self.digits(1, 4)?.one_of(b" ")?;
        let counted = |&(name, has_plural): &(&str, bool)| {
            let name = number.letters(name)?;
            let plural = name.letters("s").filter(|_| has_plural);
            plural.unwrap_or(name).word_end()
        };
        COUNTED.iter().find_map(counted)
    }

    /// The name of a month or its beginning, with more letters, and a full stop.
    fn month(self) -> Option<Self> {
        let letters = self.line.as_bytes()[self.at..].first_chunk::<4>()?;
        let n_known = match &letters.map(|letter| letter.to_ascii_lowercase()) {
            b"june" | b"july" | b"sept" => 4,
            [b'j', b'a', b'n', _]
            | [b'f', b'e', b'b', _]
            | [b'm', b'a', b'r' | b'y', _]
            | [b'a', b'p', b'r', _]
            | [b'j', b'u', b'n' | b'l', _]
            | [b'a', b'u', b'g', _]
            | [b's', b'e', b'p', _]
            | [b'o', b'c', b't', _]
            | [b'n', b'o', b'v', _]
            | [b'd', b'e', b'c', _] => 3,
            _ => return None,
        };
        let is_letter = |character: char| character.is_ascii_alphabetic();
        let end = self.behind(n_known).some(0, MAX_MORE_LETTERS, is_letter)?;
        Some(end.maybe(b'.'))
    }

    /// A year behind a month or a day.
    fn year(self) -> Option<Self> {
        self.maybe(b',').one_of(b" ")?.digits(4, 4)?.word_end()
    }

    /// As many characters of a kind as there are, and not more than `max`.
    fn some(self, min: usize, max: usize, is_one: impl Fn(char) -> bool) -> Option<Self> {
        let mut n = 0;
        let mut rest = self.line[self.at..].chars();
        let mut length = 0;
        while n < max
            && let Some(character) = rest.next().filter(|&character| is_one(character))
        {
            n += 1;
            length += character.len_utf8();
        }
        steps::add(length);
        (n >= min).then(|| self.behind(length))
    }

    fn digits(self, min: usize, max: usize) -> Option<Self> {
        self.some(min, max, |character| character.is_ascii_digit())
    }

    fn letters(self, letters: &str) -> Option<Self> {
        let found = self.line.as_bytes()[self.at..].get(..letters.len())?;
        let is_it = found.eq_ignore_ascii_case(letters.as_bytes());
        is_it.then(|| self.behind(letters.len()))
    }

    fn one_of(self, bytes: &[u8]) -> Option<Self> {
        let found = self.line.as_bytes().get(self.at)?;
        bytes.contains(found).then(|| self.behind(1))
    }

    fn maybe(self, byte: u8) -> Self {
        self.one_of(&[byte]).unwrap_or(self)
    }

    fn word_end(self) -> Option<Self> {
        ends_word(&self.line[self.at..]).then_some(self)
    }

    fn behind(self, n: usize) -> Self {
        Self {
            at: self.at + n,
            ..self
        }
    }
}

/// Return whether a word that ends before a text does not go on in it.
fn ends_word(rest: &str) -> bool {
    !rest.starts_with(is_word)
}

/// Return whether a character is a part of a word.
pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Return whether a character is one of the name in an address.
fn is_of_name(character: char) -> bool {
    is_word(character) || matches!(character, '.' | '+' | '-')
}
