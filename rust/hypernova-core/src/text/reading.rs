//! The *reading* of a text: what of it is tokenised, after the cut and without courtesies, and its
//! lead.
//!
//! Not here: the rules of the cut (see `cut`) and of courtesies (see `courtesy`), and tokens.

use std::borrow::Cow;
use std::ops::Range;

use super::blank::{is_blank, is_space, line_end, visible_span};
use super::courtesy::kept_spans;
use super::cut::{after, cut};

/// An embedder's rules for the reading of a text; lengths count characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingRules {
    /// Characters of a long text that are kept of its beginning, from 1.
    pub head_chars: usize,
    /// Characters of a long text that are kept of its end, from 0.
    pub tail_chars: usize,
    /// The most characters of a lead, from 1.
    pub lead_chars: usize,
    /// Whether the lead has a weight of its own.
    pub has_lead: bool,
    /// Whether courtesies are skipped.
    pub skip_courtesy: bool,
}

/// The part of a text that is tokenised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<'t> {
    /// The text after the cut, without courtesies: their gaps hold a line end.
    pub text: Cow<'t, str>,
    /// The bytes of the lead in `text`; None where it has no weight, or is all that is visible.
    pub lead: Option<Range<usize>>,
}

impl ReadingRules {
    /// Read a text; None if it shows nothing.
    #[must_use]
    pub fn read<'t>(&self, text: &'t str) -> Option<Reading<'t>> {
        let text = cut(text, self.head_chars, self.tail_chars);
        if is_blank(&text) {
            return None;
        }
        let text = match text {
            _ if !self.skip_courtesy => text,
            Cow::Borrowed(text) => without_courtesies(text),
            Cow::Owned(text) => Cow::Owned(without_courtesies(&text).into_owned()),
        };
        let lead = self.has_lead.then(|| self.lead(&text)).flatten();
        Some(Reading { text, lead })
    }

    /// Return the lead of a text: its first line that is not blank, stripped, then cut; None where
    /// it is all that is visible, or nothing. A line ends with a line feed or a carriage return.
    #[must_use]
    pub fn lead(&self, text: &str) -> Option<Range<usize>> {
        let visible = visible_span(text);
        let text = &text[visible.clone()];
        let line = line_end(text.as_bytes()).map_or(text, |end| &text[..end]);
        let line = line.trim_end_matches(is_space);
        let lead = &line[..line.len() - after(line, self.lead_chars).map_or(0, str::len)];
        let is_part = !lead.is_empty() && lead.len() < text.len();
        is_part.then(|| visible.start..visible.start + lead.len())
    }
}

/// Return a text without its courtesies.
fn without_courtesies(text: &str) -> Cow<'_, str> {
    match &kept_spans(text)[..] {
        [] => Cow::Borrowed(text),
        [only] => Cow::Borrowed(&text[only.clone()]),
        spans => {
            let pieces: Vec<&str> = spans.iter().map(|span| &text[span.clone()]).collect();
            Cow::Owned(pieces.join("\n"))
        }
    }
}
