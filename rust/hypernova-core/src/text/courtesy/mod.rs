//! The parts of a text that say nothing of its task, so that an embedder may skip them.
//!
//! Not here: the cut of a long text (see `cut`).
//!
//! - `words`: the words that the rules name
//! - `split`: the words of a part of a text
//! - `stamp`: addresses, dates, times of day and the like
//! - `steps`: a count of the bytes that are looked at, in tests
//!
//! These are rules about forms: closed classes of words (pronouns, prepositions, auxiliaries), words
//! of courtesy and words about messages themselves, and the layouts of e-mail, chat and markdown. No
//! sentence is listed.
//!
//! A text is divided into sentences, at line ends and behind `. ! ? : ;` and a blank (a space or a
//! tab). A sentence is skipped if
//!
//! 1. it holds no words but stop words, apart from addresses, dates and times of day: so do
//!    separators, labels such as `Q:` or `Problem 1.`, tags such as `<user>` and the marks of a code
//!    block;
//! 2. it begins with a greeting and has at most two more words, or begins with thanks, regards or an
//!    apology and has at most two words besides stop words;
//! 3. it assigns a role: `You are a patient teacher.`;
//! 4. it is a header of a message: a line such as `From:` with an address or a date, a line with a
//!    time of day or a date and at most two other words, or `On Tuesday somebody wrote:`;
//! 5. it is a line after one that signs off and ends with a comma, and holds at most four words,
//!    capitalised ones or stop words; at most four such lines.
//!
//! Marks of headings, quotations and lists in front of a line, and quotation marks around it, are
//! skipped too; `>>>` and three quotation marks are no such marks. Indented lines are code, and read
//! as they are. A text of which nothing would be left is kept whole. What is left is not read a
//! second time: a sentence would be a line then, which may look like a header or a name.
//!
//! Whitespace is Unicode's and U+001C to U+001F, capitals and letters beside a stamp are Unicode's (of
//! the version that the compiler has), digits are ASCII's.

mod split;
mod stamp;
mod steps;
mod words;

use std::ops::Range;

use super::blank::{is_blank, is_space, line_end, position};
use split::{Word, Words};
use words::{Kinds, is_stop_word};

/// The beginnings of a sentence that assigns a role.
const ASSIGNING: [&[&str]; 4] = [
    &["you", "are"],
    &["act", "as"],
    &["imagine", "you", "are"],
    &["pretend", "you", "are"],
];
/// Most words of a sentence that assigns a role.
const MAX_ROLE_WORDS: usize = 20;
/// Most words of a line of a signature, and most lines.
const MAX_SIGNED_WORDS: usize = 4;
const MAX_SIGNED_LINES: usize = 4;
/// Most words of a header, and of the names in a greeting or a header.
const MAX_HEADER_WORDS: usize = 20;
const MAX_NAMES: usize = 2;
/// Most marks of a heading, and of emphasis.
const MAX_HASHES: usize = 6;
const MAX_STARS: usize = 3;
/// Fewest marks of a code block.
const MIN_FENCE: usize = 3;

/// Return the byte ranges of a text that are left when the parts that say nothing are skipped.
///
/// The ranges rise, to be joined with a line end between two. There are none where the text is read
/// as it is, because nothing would be skipped, or nothing visible left.
#[must_use]
pub fn kept_spans(text: &str) -> Vec<Range<usize>> {
    let mut kept = Kept::of(text);
    let mut n_signed = 0; // lines that may still belong to a signature
    let mut begin = 0;
    while begin < text.len() {
        let end = line_end(&text.as_bytes()[begin..]).map_or(text.len(), |end| begin + end);
        let line = Part { text, begin, end };
        let mut kinds = line.words().map(Word::kinds);
        let mut signs_off = false;
        let holds_stop_words_alone = kinds.all(|kinds| {
            signs_off |= kinds.any(Kinds::SIGN_OFF);
            kinds.any(Kinds::STOP)
        });
        if line.is_indented() {
            n_signed = 0;
            kept.keep(begin..end);
        } else if holds_stop_words_alone {
            if signs_off && line.written().trim_end_matches(is_space).ends_with(',') {
                n_signed = MAX_SIGNED_LINES;
            }
        } else if n_signed > 0 && line.is_name() {
            n_signed -= 1;
        } else {
            n_signed = 0;
            if !line.is_header() {
                line.without_marks().keep_sentences(&mut kept);
            }
        }
        begin = end + 1;
    }
    kept.spans()
}

/// The spans to keep, from the first to the last.
struct Kept<'t> {
    text: &'t str,
    before: Vec<Range<usize>>,
    last: Range<usize>,
}

impl<'t> Kept<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            before: Vec::new(),
            last: 0..0,
        }
    }

    /// Add a span, joined with the last one if only whitespace is between them.
    fn keep(&mut self, span: Range<usize>) {
        let gap = &self.text[self.last.end..span.start];
        steps::add(gap.len());
        if self.last.is_empty() {
            self.last = span;
        } else if !gap.is_empty() && gap.chars().all(is_space) {
            self.last.end = span.end;
        } else {
            self.before.push(std::mem::replace(&mut self.last, span));
        }
    }

    fn spans(mut self) -> Vec<Range<usize>> {
        if self.before.is_empty() && (self.last.is_empty() || self.last == (0..self.text.len())) {
            return Vec::new();
        }
        self.before.push(self.last);
        if self
            .before
            .iter()
            .all(|span| is_blank(&self.text[span.clone()]))
        {
            self.before.clear();
        }
        self.before
    }
}

/// A line or a sentence of a text.
#[derive(Clone, Copy)]
struct Part<'t> {
    text: &'t str,
    begin: usize,
    end: usize,
}

impl<'t> Part<'t> {
    fn written(self) -> &'t str {
        &self.text[self.begin..self.end]
    }

    fn words(self) -> Words<'t> {
        Words::of(self.text, self.begin, self.end)
    }

    fn is_indented(self) -> bool {
        let written = self.written();
        written.starts_with([' ', '\t']) && !written.chars().all(is_space)
    }

    /// Return whether a short line is a header of a message, or a mark of a code block.
    fn is_header(self) -> bool {
        let line = self.written().trim_matches(is_space);
        // From the cheap to the dear: of nearly all lines, little more than some bytes are looked at.
        if let Some(is_mark) = marks_code(line) {
            return is_mark && self.has_at_most_words(MAX_HEADER_WORDS);
        }
        let Some(first) = self.words().next() else {
            return false;
        };
        let is_reply = first.is("on") && line.ends_with("wrote:");
        if !(is_reply || stamp::may_be_in(line)) || !self.has_at_most_words(MAX_HEADER_WORDS) {
            return false;
        }
        is_reply
            || stamp::has_form(line)
                && stamp::find(line, 0).is_some()
                && (first.kinds().any(Kinds::HEADER) || has_few_words_beside_stamps(line))
    }

    /// Return whether a line is of a signature: names, titles and stop words.
    fn is_name(self) -> bool {
        self.has_at_most_words(MAX_SIGNED_WORDS)
            && self.written().split(is_space).all(|word| {
                word.starts_with(char::is_uppercase) || word.is_empty() || is_stop_word(word)
            })
    }

    /// Return a line without the marks in front of it and the quotation marks behind it.
    fn without_marks(self) -> Self {
        let line = self.written().trim_end_matches(is_space);
        let blanks = line.len() - line.trim_start_matches(is_space).len();
        let first = self.begin + blanks;
        let begin = match end_of_marks(&self.text[..self.end], first) {
            end if end == first => self.begin,
            end => end,
        };
        let end = start_of_quotes(self.text, begin, self.end);
        Self { begin, end, ..self }
    }

    /// Keep the sentences of a line that say something.
    fn keep_sentences(self, kept: &mut Kept<'t>) {
        let bytes = &self.text.as_bytes()[..self.end];
        let mut begin = self.begin;
        let mut at = self.begin;
        while let Some(end) = sentence_end(&bytes[at..]) {
            at += end + 1;
            let n_blanks = blanks(&bytes[at..]);
            if n_blanks > 0 {
                let sentence = Self {
                    begin,
                    end: at,
                    ..self
                };
                sentence.keep_sentence(kept);
                at += n_blanks;
                begin = at;
            }
        }
        Self { begin, ..self }.keep_sentence(kept);
    }

    fn keep_sentence(self, kept: &mut Kept<'t>) {
        if !self.says_nothing() {
            kept.keep(self.begin..self.end);
        }
    }

    fn says_nothing(self) -> bool {
        let mut words = self.words();
        let Some(first) = words.next() else {
            return true;
        };
        let kinds = first.kinds();
        (kinds.any(Kinds::STOP) && n_names(words, 0) == 0)
            || (kinds.any(Kinds::THANKS) && n_names(self.words(), MAX_NAMES) <= MAX_NAMES)
            || (kinds.any(Kinds::GREETING) && self.has_at_most_words(1 + MAX_NAMES))
            || (kinds.any(Kinds::LABEL) && self.is_label())
            || (kinds.any(Kinds::ASSIGNING) && self.assigns_role())
    }

    fn has_at_most_words(self, max: usize) -> bool {
        self.words().nth(max).is_none()
    }

    /// Return whether a label is followed by a number alone.
    fn is_label(self) -> bool {
        let mut words = self.words().skip(1);
        words.next().is_some_and(Word::is_number) && words.next().is_none()
    }

    fn assigns_role(self) -> bool {
        let begins_with = |form: &&[&str]| {
            let mut words = self.words().peekable();
            words.next_if(|word| word.is("system"));
            form.iter()
                .all(|expected| words.next().is_some_and(|word| word.is(expected)))
        };
        ASSIGNING.iter().any(begins_with)
            && self.has_at_most_words(MAX_ROLE_WORDS)
            && self.words().any(|word| word.kinds().any(Kinds::ROLE))
    }
}

/// Return the number of words that are no stop words, at most one more than `max`.
fn n_names(words: Words<'_>, max: usize) -> usize {
    let names = words.filter(|word| !word.kinds().any(Kinds::STOP));
    names.take(max + 1).count()
}

/// Return where the first mark is that may end a sentence.
fn sentence_end(bytes: &[u8]) -> Option<usize> {
    position(bytes, |byte| {
        matches!(byte, b'.' | b'!' | b'?' | b':' | b';')
    })
}

/// Return whether a stripped line that begins as the mark of a code block does is one: the mark, and
/// the name of a language.
fn marks_code(line: &str) -> Option<bool> {
    let mark = *line
        .as_bytes()
        .first()
        .filter(|byte| matches!(byte, b'`' | b'~'))?;
    let n_marks = count(line.as_bytes(), mark);
    if n_marks < MIN_FENCE {
        return None;
    }
    let language = line[n_marks..].trim_start_matches([' ', '\t']);
    let is_part = |character| stamp::is_word(character) || matches!(character, '+' | '-');
    Some(language.chars().all(is_part))
}

/// Return whether a line has few words that are no stop words, without its stamps.
fn has_few_words_beside_stamps(line: &str) -> bool {
    let (mut at, mut n) = (0, 0);
    loop {
        let stamp = stamp::find(line, at);
        let end = stamp.as_ref().map_or(line.len(), |stamp| stamp.start);
        n += n_names(Words::of(line, at, end), MAX_NAMES);
        match stamp {
            _ if n > MAX_NAMES => return false,
            Some(stamp) => at = stamp.end,
            None => return true,
        }
    }
}

/// Return the end of the marks of headings, quotations, lists and emphasis that begin at a byte.
fn end_of_marks(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    loop {
        let rest = &bytes[at..];
        let Some(&mark) = rest.first() else {
            return at;
        };
        let n_marks = count(rest, mark);
        let n_blanks = blanks(&rest[n_marks.min(rest.len())..]);
        let is_list = match mark {
            b'#' => n_marks <= MAX_HASHES,
            b'>' | b'*' | b'+' | b'-' => n_marks == 1,
            _ => false,
        };
        let is_quote = match mark {
            b'"' | b'\'' | b'`' => n_marks == 1,
            b'*' => n_marks <= MAX_STARS,
            _ => false,
        };
        if is_list && n_blanks > 0 {
            at += n_marks + n_blanks;
        } else if is_quote && text[at + n_marks..].starts_with(is_quoted) {
            at += n_marks;
        } else {
            return at;
        }
    }
}

/// Return where the quotation marks or stars at the end of a line start, or its end.
fn start_of_quotes(text: &str, begin: usize, end: usize) -> usize {
    let line = text[..end].trim_end_matches([' ', '\t']);
    let quoted = match line.as_bytes().last() {
        Some(b'*') => line.trim_end_matches('*'),
        Some(b'"' | b'\'' | b'`') => &line[..line.len() - 1],
        _ => return end,
    };
    let n_marks = line.len() - quoted.len();
    let is_mark = n_marks <= MAX_STARS && quoted.ends_with(is_quoted) && quoted.len() >= begin;
    if is_mark { quoted.len() } else { end }
}

/// Return whether a character stands beside a mark of a quotation: neither whitespace nor a mark.
fn is_quoted(character: char) -> bool {
    !is_space(character) && !matches!(character, '"' | '\'' | '`' | '*')
}

/// Return the number of spaces and tabs at the beginning.
fn blanks(bytes: &[u8]) -> usize {
    let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
    bytes.iter().take_while(is_blank).count()
}

/// Return how often a byte stands at the beginning.
fn count(bytes: &[u8], mark: u8) -> usize {
    let n = bytes.iter().take_while(|&&byte| byte == mark).count();
    steps::add(n);
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "a@",
            "@",
            "x.",
            "+",
            "1",
            "12",
            "1:00",
            "3 days",
            " ago",
            "page 1 of",
            "1999",
            "may",
            "june 7, ",
            "the",
            "of",
            "thanks",
            "hi",
            "you are",
            "sort",
            "#",
            "# ",
            "*",
            "* ",
            "\"",
            "'",
            "`",
            "> ",
            "-",
            ". ",
            ".",
            "? ",
            "  ",
            "\t",
            "\n",
            "\u{a0}",
            "\u{200b}",
            "é",
            "\u{2014}",
            "yours,\n",
            "on",
            "wrote:",
            "```",
            "~",
        ]);
        prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Whatever is repeated, in one line or in many: each byte is looked at a few times.
        #[test]
        fn the_bytes_looked_at_are_linear(first in pieces(), more in pieces(), last in pieces()) {
            for length in [2_000, 16_000] {
                let text = format!("{first}{}{last}", more.repeat(length / more.len()));
                steps::take();
                let _ = kept_spans(&text);
                let n_steps = steps::take();
                prop_assert!(n_steps <= 16 * text.len(), "{n_steps} of {}", text.len());
            }
        }
    }
}
