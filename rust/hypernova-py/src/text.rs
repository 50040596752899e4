//! Texts: a str of Python for the core, and the core's functions of texts for Python.
//!
//! Not here: the rules of the cut, of blanks and of courtesies, which the core has.
//!
//! The core counts bytes, Python code points. Half a surrogate pair is no character for the core: it
//! is read as U+FFFD, one code point for one, and neither is a blank.

use std::borrow::Cow;
use std::ops::Range;

use hypernova_core::text;
use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice, PyString};

/// From the first code point to the one after the last.
type Span = (usize, usize);

/// Code points of the first piece that is looked at of a str that is not ASCII, and of the largest
/// piece. Of a str that is no longer than the first, Python may keep the UTF-8.
const FIRST_PIECE: usize = 256;
const LARGEST_PIECE: usize = 65_536;

/// Return a text, or what the cut leaves of it: the rules read both alike.
///
/// The text of an ASCII str is that of the str itself. Of a longer str that is not ASCII, the ends are
/// encoded, and all of it only if long runs of blanks there make more of it count; so no copy of it
/// stays with the caller's object, as Python's own UTF-8 would.
///
/// # Errors
///
/// Python ran out of memory.
pub(crate) fn text_for<'t>(
    text: &'t Bound<'_, PyString>,
    rules: &text::ReadingRules,
) -> PyResult<Cow<'t, str>> {
    let (head, tail) = (rules.head_chars, rules.tail_chars);
    let length = text.code_point_len()?;
    if length <= head.saturating_add(tail).saturating_add(1) {
        return utf8(text);
    }
    match cut_of_ends(text, length, head, tail)? {
        Some(cut) => Ok(Cow::Owned(cut)),
        None => whole(text),
    }
}

/// The cut of a str that is not ASCII, if its ends tell it.
fn cut_of_ends(
    text: &Bound<'_, PyString>,
    length: usize,
    head: usize,
    tail: usize,
) -> PyResult<Option<String>> {
    let limit = head.saturating_add(tail).saturating_add(1);
    if length <= limit || is_ascii(text)? {
        return Ok(None);
    }
    let first = slice(text, 0, limit)?;
    let n_last = tail.saturating_add(text::MAX_BLANKS);
    let last = slice(text, length.saturating_sub(n_last), length)?;
    let ends = (utf8(&first)?, utf8(&last)?);
    Ok(text::cut_of_ends(&ends.0, &ends.1, head, tail))
}

/// All of a text, of which no copy stays with the str if it is long.
fn whole<'t>(text: &'t Bound<'_, PyString>) -> PyResult<Cow<'t, str>> {
    if text.code_point_len()? <= FIRST_PIECE || is_ascii(text)? {
        return utf8(text);
    }
    let bytes = encoded(text)?;
    Ok(Cow::Owned(match std::str::from_utf8(bytes.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => without_surrogates(bytes.as_bytes()),
    }))
}

/// The text of a str; without a copy if it is ASCII, or was encoded before.
fn utf8<'t>(text: &'t Bound<'_, PyString>) -> PyResult<Cow<'t, str>> {
    match text.to_str() {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(e) if e.is_instance_of::<PyUnicodeEncodeError>(text.py()) => {
            Ok(Cow::Owned(without_surrogates(encoded(text)?.as_bytes())))
        }
        Err(e) => Err(e),
    }
}

fn is_ascii(text: &Bound<'_, PyString>) -> PyResult<bool> {
    text.call_method0(intern!(text.py(), "isascii"))?.extract()
}

fn slice<'py>(
    text: &Bound<'py, PyString>,
    start: usize,
    stop: usize,
) -> PyResult<Bound<'py, PyString>> {
    let index = |at: usize| isize::try_from(at).unwrap_or(isize::MAX);
    let slice = PySlice::new(text.py(), index(start), index(stop), 1);
    Ok(text.get_item(slice)?.cast_into()?)
}

/// The bytes of a text, halves of surrogate pairs among them.
fn encoded<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = text.call_method1(intern!(text.py(), "encode"), ("utf-8", "surrogatepass"))?;
    Ok(bytes.cast_into()?)
}

/// Replace each half of a surrogate pair: three bytes by three, of which no character has the first
/// two.
fn without_surrogates(bytes: &[u8]) -> String {
    let mut bytes = bytes.to_vec();
    for at in 2..bytes.len() {
        if bytes[at - 2] == 0xed && bytes[at - 1] >= 0xa0 {
            bytes[at - 2..=at].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    // All that is left is UTF-8.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Byte ranges that rise, as spans of code points; all bytes behind a text count as one each.
fn code_points(text: &str, ranges: &[Range<usize>]) -> Vec<Span> {
    let (mut at, mut n) = (0, 0);
    let mut count_to = |end: usize| {
        n += text
            .get(at..end)
            .map_or(end - at, |piece| piece.chars().count());
        at = end;
        n
    };
    ranges
        .iter()
        .map(|range| (count_to(range.start), count_to(range.end)))
        .collect()
}

/// Return whether a text holds blanks alone, or nothing.
///
/// A *blank* is a character that shows nothing: whitespace, the controls (NUL among them), and the
/// invisible marks U+00AD, U+061C, U+180E, U+200B to U+200F, U+202A to U+202E, U+2060 to U+206F and
/// U+FEFF.
///
/// Args:
///     text: Any text.
///
/// Example:
///     >>> from hypernova._core import is_blank
///     >>> is_blank(" " + chr(0x200B)), is_blank("Hi")
///     (True, False)
#[pyfunction]
pub(crate) fn is_blank(text: &Bound<'_, PyString>) -> PyResult<bool> {
    Ok(first_visible(text)? == text.code_point_len()?)
}

/// Return the span of a text without the blanks around it; empty if the text is blank.
///
/// Args:
///     text: Any text.
///
/// Returns:
///     The index of its first character, and that of the one after its last.
///
/// Example:
///     >>> from hypernova._core import visible_span
///     >>> visible_span("  Hi ")
///     (2, 4)
#[pyfunction]
pub(crate) fn visible_span(text: &Bound<'_, PyString>) -> PyResult<Span> {
    let start = first_visible(text)?;
    let mut stop = text.code_point_len()?;
    let mut size = FIRST_PIECE;
    while start < stop {
        let begin = stop.saturating_sub(size).max(start);
        let piece = slice(text, begin, stop)?;
        let piece = utf8(&piece)?;
        let visible = text::visible_span(&piece);
        if !visible.is_empty() {
            return Ok((start, stop - piece[visible.end..].chars().count()));
        }
        stop = begin;
        size = (2 * size).min(LARGEST_PIECE);
    }
    Ok((start, start))
}

/// The first code point that is no blank, or the length.
fn first_visible(text: &Bound<'_, PyString>) -> PyResult<usize> {
    let length = text.code_point_len()?;
    let (mut at, mut size) = (0, FIRST_PIECE);
    while at < length {
        let piece = slice(text, at, length.min(at + size))?;
        let piece = utf8(&piece)?;
        let visible = text::visible_span(&piece);
        if !visible.is_empty() {
            return Ok(at + piece[..visible.start].chars().count());
        }
        at += size;
        size = (2 * size).min(LARGEST_PIECE);
    }
    Ok(length)
}

/// Cut a long text to its beginning and its end; cutting the result again changes nothing.
///
/// The rule, for a text of more than ``head + tail`` characters:
///
/// 1. a run of more than 256 blanks counts as 256: its first 255, and of the others the first line
///    end (U+000A or U+000D), or the last where none is a line end;
/// 2. a text that is still longer is its first ``head`` characters, a space, and its last ``tail``;
///    or the first ``head`` alone where ``tail`` is 0.
///
/// So a run of blanks takes at most 256 of the characters that remain.
///
/// Args:
///     text: Any text.
///     head: Number of characters to keep of the beginning, from 1.
///     tail: Number of characters to keep of the end, from 0.
///
/// Returns:
///     The cut text; ``text`` itself if it is short enough.
///
/// Example:
///     >>> from hypernova._core import cut
///     >>> cut("Sort the list of shops", 4, 5)
///     'Sort shops'
#[pyfunction]
pub(crate) fn cut<'py>(
    text: &Bound<'py, PyString>,
    head: usize,
    tail: usize,
) -> PyResult<Bound<'py, PyString>> {
    let length = text.code_point_len()?;
    if length <= head.saturating_add(tail) {
        return Ok(text.clone());
    }
    let (first, last) = cut_spans(text, head, tail)?;
    if first == [(0, length)] {
        return Ok(text.clone());
    }
    let mut pieces = Vec::new();
    for (begin, end) in first {
        pieces.push(slice(text, begin, end)?);
    }
    if !last.is_empty() {
        pieces.push(PyString::new(text.py(), " "));
    }
    for (begin, end) in last {
        pieces.push(slice(text, begin, end)?);
    }
    let joined = PyString::new(text.py(), "").call_method1("join", (pieces,))?;
    Ok(joined.cast_into()?)
}

/// Return the spans of a text that `cut` keeps.
///
/// Args:
///     text: As for ``cut``.
///     head: As for ``cut``.
///     tail: As for ``cut``.
///
/// Returns:
///     The spans before the space that ``cut`` inserts, and those after it; each list rises, with
///     no span empty or next to another. The second is empty where no space is inserted.
///
/// Example:
///     >>> from hypernova._core import cut_spans
///     >>> cut_spans("Sort the list of shops", 4, 5)
///     ([(0, 4)], [(17, 22)])
#[pyfunction]
pub(crate) fn cut_spans(
    text: &Bound<'_, PyString>,
    head: usize,
    tail: usize,
) -> PyResult<(Vec<Span>, Vec<Span>)> {
    let length = text.code_point_len()?;
    if cut_of_ends(text, length, head, tail)?.is_some() {
        let last = (tail > 0).then_some((length - tail, length));
        return Ok((vec![(0, head)], last.into_iter().collect()));
    }
    let is_ascii = is_ascii(text)?;
    let text = whole(text)?;
    let (first, last) = text::cut_spans(&text, head, tail);
    // Of a long text, not all is to be counted.
    let counted = if is_ascii { "" } else { &*text };
    Ok((code_points(counted, &first), code_points(counted, &last)))
}

/// Return the spans of a text that are left when the parts that say nothing are skipped.
///
/// Args:
///     text: Any text.
///
/// Returns:
///     The spans, rising and disjoint, to be joined with a line end between two; none where the
///     text is read as it is, because nothing would be skipped, or nothing visible left.
///
/// Example:
///     >>> from hypernova._core import kept_spans
///     >>> kept_spans("Hi! Sort the shops. Thanks in advance!")
///     [(4, 19)]
#[pyfunction]
pub(crate) fn kept_spans(text: &Bound<'_, PyString>) -> PyResult<Vec<Span>> {
    let text = whole(text)?;
    Ok(code_points(&text, &text::kept_spans(&text)))
}

/// An embedder's rules for the reading of a text: the cut, the courtesies and the lead.
///
/// The *lead* of a text is its first line that is not blank, stripped and then cut to
/// ``lead_chars`` characters; a line ends with a line feed or a carriage return.
///
/// Args:
///     head_chars: Number of characters to keep of the beginning of a long text, from 1.
///     tail_chars: Number of characters to keep of its end, from 0.
///     lead_chars: The most characters of a lead, from 1.
///     has_lead: Whether the lead has a weight of its own.
///     skip_courtesy: Whether the parts that say nothing of a text's task are skipped.
///
/// Example:
///     >>> from hypernova._core import ReadingRules
///     >>> rules = ReadingRules(1536, 512, lead_chars=4, has_lead=True, skip_courtesy=True)
///     >>> rules.read("Hi! Sort the shops.")
///     ('Sort the shops.', (0, 4))
#[pyclass(frozen, module = "hypernova._core")]
pub(crate) struct ReadingRules(text::ReadingRules);

#[pymethods]
impl ReadingRules {
    #[new]
    #[pyo3(signature = (head_chars, tail_chars, *, lead_chars, has_lead, skip_courtesy))]
    fn new(
        head_chars: usize,
        tail_chars: usize,
        lead_chars: usize,
        has_lead: bool,
        skip_courtesy: bool,
    ) -> Self {
        Self(text::ReadingRules {
            head_chars,
            tail_chars,
            lead_chars,
            has_lead,
            skip_courtesy,
        })
    }

    /// Return the part of a text that is tokenised, and the span of the lead in it.
    ///
    /// Args:
    ///     text: Any text. Half a surrogate pair is read as U+FFFD.
    ///
    /// Returns:
    ///     The text after the cut, without courtesies, and the span of its lead; None for the span
    ///     where the lead has no weight or is all that is visible. None if the text is blank.
    ///
    /// Example:
    ///     >>> from hypernova._core import ReadingRules
    ///     >>> rules = ReadingRules(4, 5, lead_chars=160, has_lead=False, skip_courtesy=False)
    ///     >>> rules.read("Sort the list of shops"), rules.read(" ")
    ///     (('Sort shops', None), None)
    fn read(&self, text: &Bound<'_, PyString>) -> PyResult<Option<(String, Option<Span>)>> {
        let text = text_for(text, &self.0)?;
        Ok(self.0.read(&text).map(|reading| {
            let lead = reading
                .lead
                .map(|lead| code_points(&reading.text, &[lead])[0]);
            (reading.text.into_owned(), lead)
        }))
    }
}
