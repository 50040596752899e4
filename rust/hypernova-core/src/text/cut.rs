//! The cut of a long text to its beginning and its end.
//!
//! Not here: the limit on tokens (see [`super::word_piece`]), and blanks (see `blank`).
//!
//! The rule, for a text of more than `head + tail` characters:
//!
//! 1. a run of more than 256 blanks counts as 256: its first 255, and of the others the first line
//!    end (U+000A or U+000D), or the last where none is a line end;
//! 2. a text that is still longer is its first `head` characters, a space, and its last `tail`; or
//!    the first `head` alone where `tail` is 0.
//!
//! So a run of blanks takes at most 256 of the characters that remain. A character is a code point.
//!
//! Of a text of a megabyte, some kilobytes at its ends are read, and the runs of blanks there.

use std::borrow::Cow;
use std::ops::Range;

use super::blank::{first_visible, last_visible, line_end, shows_nothing};

/// The most blanks in a row that count.
pub const MAX_BLANKS: usize = 256;
/// A longer run holds at least [`MIN_SAMPLED`] of the bytes that stand this far apart.
const STEP: usize = 32;
const MIN_SAMPLED: usize = (MAX_BLANKS + 1) / STEP;

/// Byte ranges of a text, rising.
type Spans = Vec<Range<usize>>;

/// Cut a text by the rule above; cutting the result again changes nothing.
///
/// `head` and `tail` are the numbers of characters to keep of the beginning, from 1, and of the
/// end, from 0. The text itself is returned if it is short enough.
#[must_use]
pub fn cut(text: &str, head: usize, tail: usize) -> Cow<'_, str> {
    if is_whole(text, head, tail) {
        return Cow::Borrowed(text);
    }
    let (first, last) = kept(text, head, tail);
    if let ([only], []) = (&first[..], &last[..]) {
        return Cow::Borrowed(&text[only.clone()]);
    }
    let pieces = |spans: &Spans| spans.iter().map(|span| &text[span.clone()]).collect();
    let mut cut: String = pieces(&first);
    if !last.is_empty() {
        // Without the space, the two ends could join to a word that the text does not hold.
        cut.push(' ');
        cut.push_str(&pieces(&last));
    }
    Cow::Owned(cut)
}

/// Return the byte ranges of a text that [`cut`] keeps: those before the space that it inserts, and
/// those after it.
///
/// Each list rises, with no range empty or next to another. The second is empty where no space is
/// inserted.
#[must_use]
pub fn cut_spans(text: &str, head: usize, tail: usize) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    if is_whole(text, head, tail) {
        let mut whole = Vec::new();
        add(&mut whole, 0..text.len());
        return (whole, Vec::new());
    }
    kept(text, head, tail)
}

/// Cut a text of which only the ends are known, or return None if they do not tell.
///
/// The text has more than `head + tail + 1` characters. `first` holds at least that many of its
/// beginning, and `last` at least `tail + MAX_BLANKS` of its end, or all of it. Only a text that may
/// have a long run of blanks there is not told.
#[must_use]
pub fn cut_of_ends(first: &str, last: &str, head: usize, tail: usize) -> Option<String> {
    if may_have_run(first) || may_have_run(last) {
        return None;
    }
    let (head, tail_start) = (after(first, head)?, before(last, tail).len());
    let head = &first[..first.len() - head.len()];
    if tail == 0 {
        return Some(head.to_owned());
    }
    Some([head, " ", &last[tail_start..]].concat())
}

/// Return whether a text is short enough, or is a cut one: blanks beside the space of a cut text
/// may look like a run.
fn is_whole(text: &str, head: usize, tail: usize) -> bool {
    let limit = head.saturating_add(tail);
    if text.len() <= limit {
        return true;
    }
    after(text, limit).is_none_or(|rest| {
        let mut more = rest.chars();
        more.next().is_none()
            || (tail > 0
                && more.next().is_none()
                && after(text, head).is_some_and(|rest| rest.starts_with(' ')))
    })
}

/// The spans of [`cut_spans`], for a text that is longer than the limit.
fn kept(text: &str, head: usize, tail: usize) -> (Spans, Spans) {
    let limit = head + tail;
    let length_of_first = |n| text.len() - after(text, n).map_or(0, str::len);
    // One more than the limit, which shows whether the text continues.
    let first = &text[..length_of_first(limit + 1)];
    let last = &text[before(text, tail.saturating_add(MAX_BLANKS)).len()..];
    if !may_have_run(first) && !may_have_run(last) {
        let mut spans = (Vec::new(), Vec::new());
        add(&mut spans.0, 0..length_of_first(head));
        add(&mut spans.1, before(text, tail).len()..text.len());
        return spans;
    }
    let first = forward(text, limit + 1);
    if length(text, &first) <= limit {
        return (first, Vec::new());
    }
    (first_of(text, &first, head), backward(text, tail))
}

/// Tell, in little time, whether a text may have a long run of blanks; nearly no text has one.
fn may_have_run(text: &str) -> bool {
    let mut in_a_row = 0;
    for mut at in (0..text.len()).step_by(STEP) {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let is_blank = text[at..].chars().next().is_some_and(shows_nothing);
        in_a_row = if is_blank { in_a_row + 1 } else { 0 };
        if in_a_row == MIN_SAMPLED {
            return true;
        }
    }
    false
}

/// Return the spans of the first `room` characters, long runs of blanks shortened.
fn forward(text: &str, mut room: usize) -> Spans {
    let mut spans = Vec::new();
    let mut begin = 0;
    while room > 0 && begin < text.len() {
        let rest = &text[begin..];
        let Some((n_before, run)) = first_long_run(rest, room) else {
            let end = text.len() - after(rest, room).map_or(0, str::len);
            add(&mut spans, begin..end);
            break;
        };
        let run = begin + run..begin + run + first_visible(&rest[run..]);
        let (firsts, last) = shortened(text, &run);
        add(&mut spans, begin..firsts.end);
        add(&mut spans, last);
        room -= n_before + MAX_BLANKS;
        begin = run.end;
    }
    spans
}

/// Return the spans of the last `room` characters, long runs of blanks shortened.
fn backward(text: &str, mut room: usize) -> Spans {
    let mut backwards = Vec::new(); // from the last to the first
    let mut stop = text.len();
    while room > 0 && stop > 0 {
        let rest = &text[..stop];
        let Some((n_after, end)) = last_long_run(rest, room) else {
            backwards.push(before(rest, room).len()..stop);
            break;
        };
        let run = last_visible(&rest[..end])..end;
        let (firsts, last) = shortened(text, &run);
        backwards.extend([end..stop, last]);
        room -= n_after + 1;
        let start = before(&text[firsts.clone()], room).len();
        backwards.push(firsts.start + start..firsts.end);
        room = room.saturating_sub(MAX_BLANKS - 1);
        stop = run.start;
    }
    let mut spans = Vec::new();
    for span in backwards.into_iter().rev() {
        add(&mut spans, span);
    }
    spans
}

/// Find the first long run whose shortened form lies within the first `room` characters: their
/// number before it, and its first byte.
fn first_long_run(text: &str, room: usize) -> Option<(usize, usize)> {
    let (mut start, mut in_a_row) = (0, 0);
    for (n, (at, character)) in text.char_indices().take(room + 1).enumerate() {
        if !shows_nothing(character) {
            in_a_row = 0;
            continue;
        }
        if in_a_row == 0 {
            start = at;
        }
        in_a_row += 1;
        if in_a_row > MAX_BLANKS {
            return Some((n + 1 - in_a_row, start));
        }
    }
    None
}

/// Find the last long run of which at least one character lies within the last `room` ones: the
/// number of characters behind it, and its end.
fn last_long_run(text: &str, room: usize) -> Option<(usize, usize)> {
    let (mut end, mut in_a_row) = (0, 0);
    // Far enough back to show that a run is long, even if only one blank of it has room.
    let characters = text.char_indices().rev().take(room + MAX_BLANKS);
    for (n, (at, character)) in characters.enumerate() {
        if !shows_nothing(character) {
            in_a_row = 0;
            continue;
        }
        if in_a_row == 0 {
            end = at + character.len_utf8();
        }
        in_a_row += 1;
        if in_a_row > MAX_BLANKS {
            return Some((n + 1 - in_a_row, end));
        }
    }
    None
}

/// Return what a long run counts as: its first 255 blanks, and the one that stands for the others.
fn shortened(text: &str, run: &Range<usize>) -> (Range<usize>, Range<usize>) {
    let blanks = &text[run.clone()];
    let others = after(blanks, MAX_BLANKS - 1).unwrap_or_default();
    let others_start = run.end - others.len();
    let last = line_end(others.as_bytes()).map_or_else(
        || run.start + before(blanks, 1).len()..run.end,
        |at| others_start + at..others_start + at + 1,
    );
    (run.start..others_start, last)
}

/// Append a span, joined with the last one if they touch.
fn add(spans: &mut Spans, span: Range<usize>) {
    match spans.last_mut() {
        _ if span.is_empty() => {}
        Some(last) if last.end == span.start => last.end = span.end,
        _ => spans.push(span),
    }
}

/// Return the spans of the first `room` characters of spans.
fn first_of(text: &str, spans: &Spans, mut room: usize) -> Spans {
    let mut firsts = Vec::new();
    for span in spans {
        let piece = &text[span.clone()];
        let end = span.end - after(piece, room).map_or(0, str::len);
        add(&mut firsts, span.start..end);
        room -= text[span.start..end].chars().count();
    }
    firsts
}

/// Return the number of characters in spans.
fn length(text: &str, spans: &Spans) -> usize {
    let lengths = spans.iter().map(|span| text[span.clone()].chars().count());
    lengths.sum()
}

/// Return a text after its first `n` characters; None if it has fewer.
pub(super) fn after(text: &str, n: usize) -> Option<&str> {
    if text.as_bytes().get(..n)?.is_ascii() {
        return Some(&text[n..]);
    }
    let mut rest = text.chars();
    rest.nth(n - 1)?;
    Some(rest.as_str())
}

/// Return a text before its last `n` characters; nothing if it has no more than these.
fn before(text: &str, n: usize) -> &str {
    let Some(start) = text.len().checked_sub(n) else {
        return "";
    };
    if text.as_bytes()[start..].is_ascii() {
        return &text[..start];
    }
    let mut rest = text.chars();
    rest.nth_back(n - 1);
    rest.as_str()
}
