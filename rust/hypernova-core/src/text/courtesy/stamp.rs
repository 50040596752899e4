//! Stamps: addresses, dates, times of day, ages, pages and counts in a line of a message.
//!
//! Not here: what a line with a stamp is (see `courtesy`).
//!
//! Each is found by its form. Letters, digits and parts of words are those of ASCII, in either case.

use std::ops::Range;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
/// Months of which four letters are known; the letters that may follow are counted from there.
const LONGER_MONTHS: [&str; 3] = ["june", "july", "sept"];
const MAX_MORE_LETTERS: usize = 6;
const AGES: [&str; 6] = ["minute", "hour", "day", "week", "month", "year"];
/// Things that are counted, and whether they may have an `s`.
const COUNTED: [(&str, bool); 4] = [
    ("message", true),
    ("replies", false),
    ("comment", true),
    ("attachment", true),
];
/// The most bytes of an address on each side of its `@`.
const MAX_ADDRESS: usize = 64;

/// Return whether a line may hold a stamp, in little time: without one of these forms it has none.
///
/// Words of these forms are in lower case.
pub(super) fn may_be_in(line: &[u8]) -> bool {
    (0..line.len()).any(|at| match &line[at..] {
        [b'@', ..] => true,
        [b' ', b'a', b'g', b'o', rest @ ..] => ends_word(rest),
        [b' ', a, b, c, d, rest @ ..] => {
            [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) && ends_word(rest)
        }
        [digit, rest @ ..] if digit.is_ascii_digit() => match rest {
            [b'/' | b'.' | b':' | b'-', next, ..] | [b' ', b'o', b'f', b' ', next, ..]
                if next.is_ascii_digit() =>
            {
                true
            }
            [b' ', b'm' | b'r' | b'c' | b'a', ..] => true,
            _ => false,
        },
        _ => false,
    })
}

/// Find the first stamp of a line from a byte on.
pub(super) fn find(line: &[u8], from: usize) -> Option<Range<usize>> {
    let mut starts = from..line.len();
    starts.find_map(|at| Some(at..end(line, at)?))
}

/// Return the end of the stamp that begins at a byte.
fn end(line: &[u8], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).map(|before| line[before]);
    if before.is_some_and(is_word_byte) {
        return None;
    }
    let scan = Scan { line, at };
    let begins_address = !before.is_some_and(is_name_byte);
    if let Some(found) = scan.address().filter(|_| begins_address) {
        return Some(found.at);
    }
    let found = if line[at].is_ascii_digit() {
        scan.date()
            .or_else(|| scan.date_by_day())
            .or_else(|| scan.time())
            .or_else(|| scan.age())
            .or_else(|| scan.count())
    } else {
        scan.date_by_month().or_else(|| scan.page())
    };
    found.map(|found| found.at)
}

/// A place in a line. Each method returns the place behind what it found.
#[derive(Clone, Copy)]
struct Scan<'t> {
    line: &'t [u8],
    at: usize,
}

impl Scan<'_> {
    /// `name@place`
    fn address(self) -> Option<Self> {
        let place = self
            .some(1, MAX_ADDRESS, is_name_byte)?
            .one_of(b"@")?
            .some(1, MAX_ADDRESS, |byte| byte != b'+' && is_name_byte(byte))?;
        Some(place)
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
        let known = LONGER_MONTHS.iter().find_map(|name| self.letters(name));
        let known = known.or_else(|| MONTHS.iter().find_map(|name| self.letters(name)))?;
        let end = known.some(0, MAX_MORE_LETTERS, |byte| byte.is_ascii_alphabetic())?;
        Some(end.maybe(b'.'))
    }

    /// A year behind a month or a day.
    fn year(self) -> Option<Self> {
        self.maybe(b',').one_of(b" ")?.digits(4, 4)?.word_end()
    }

    /// As many bytes of a kind as there are, and not more than `max`.
    fn some(self, min: usize, max: usize, is_one: impl Fn(u8) -> bool) -> Option<Self> {
        let rest = &self.line[self.at..];
        let n = rest.iter().take(max).take_while(|&&byte| is_one(byte));
        let n = n.count();
        (n >= min).then(|| self.behind(n))
    }

    fn digits(self, min: usize, max: usize) -> Option<Self> {
        self.some(min, max, |byte| byte.is_ascii_digit())
    }

    fn letters(self, letters: &str) -> Option<Self> {
        let found = self.line[self.at..].get(..letters.len())?;
        let is_it = found.eq_ignore_ascii_case(letters.as_bytes());
        is_it.then(|| self.behind(letters.len()))
    }

    fn one_of(self, bytes: &[u8]) -> Option<Self> {
        let found = self.line.get(self.at)?;
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

/// Return whether a word that ends before these bytes does not go on in them.
fn ends_word(rest: &[u8]) -> bool {
    !rest.first().copied().is_some_and(is_word_byte)
}

pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A byte of the name in an address.
fn is_name_byte(byte: u8) -> bool {
    is_word_byte(byte) || matches!(byte, b'.' | b'+' | b'-')
}
