r"""Cut a long text to its beginning and its end, and find the characters that remain.

Not here: the limit on tokens (see ``tokenizer`` and ``word_piece``).

A *blank* is a character that shows nothing: whitespace (``str.isspace``), the controls (NUL among
them), and the invisible marks U+00AD, U+061C, U+180E, U+200B to U+200F, U+202A to U+202E, U+2060
to U+206F and U+FEFF. BERT's tokenizer makes no token of any of them.

The rule, for a text of more than ``head_chars + tail_chars`` characters:

1. a run of more than 256 blanks counts as 256: its first 255, and of the others the first line end
   (``\n`` or ``\r``), or the last where none is a line end;
2. a text that is still longer is its first ``head_chars`` characters, a space, and its last
   ``tail_chars``; or the first ``head_chars`` alone where ``tail_chars`` is 0.

So a run of blanks takes at most 256 of the characters that remain.
"""

from __future__ import annotations

import re

# In Unicode, some invisible marks stand between blanks; U+2065 is not assigned.
_BLANKS = (
    "\x00-\x20\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
)
_MAX_BLANKS = 256
_VISIBLE = re.compile(f"[^{_BLANKS}]")
_RUN = re.compile(f"[{_BLANKS}]{{{_MAX_BLANKS + 1},}}")
_LINE_END = re.compile("[\r\n]")
# A long run holds at least eight of the characters that stand 32 apart.
_STEP = 32
_SAMPLED_RUN = re.compile(f"[{_BLANKS}]{{{(_MAX_BLANKS + 1) // _STEP}}}")
_FIRST_PIECE, _LARGEST_PIECE = 256, 65_536

Span = tuple[int, int]  # from the first character to the one after the last


def is_blank(text: str) -> bool:
    """Return whether a text holds blanks alone, or nothing."""
    return _first_visible(text, 0, len(text)) == len(text)


def visible_span(text: str) -> Span:
    """Return the span of a text without the blanks around it; empty if the text is blank."""
    start = _first_visible(text, 0, len(text))
    return start, _last_visible(text, start, len(text))


def cut(text: str, head: int, tail: int) -> str:
    """Cut a text by the rule above; cutting the result again changes nothing.

    Args:
        text: Any text.
        head: Number of characters to keep of the beginning, from 1.
        tail: Number of characters to keep of the end, from 0.

    Returns:
        The cut text; ``text`` itself if it is short enough.
    """
    if len(text) <= head + tail or _is_cut(text, head, tail):
        return text
    # Without the space, the two ends could join to a word that the text does not hold.
    if not _may_have_run(text, head + tail, tail):
        return text[:head] + " " + text[-tail:] if tail else text[:head]
    first, last = _kept(text, head, tail)
    return _of(text, first) + " " + _of(text, last) if last else _of(text, first)


def cut_spans(text: str, head: int, tail: int) -> tuple[list[Span], list[Span]]:
    """Return the spans of a text that `cut` keeps.

    Args:
        text: As for ``cut``.
        head: As for ``cut``.
        tail: As for ``cut``.

    Returns:
        The spans before the space that ``cut`` inserts, and those after it; each list rises, with
        no span empty or next to another. The second is empty where no space is inserted.
    """
    if len(text) <= head + tail or _is_cut(text, head, tail):
        return ([(0, len(text))] if text else []), []
    return _kept(text, head, tail)


def _is_cut(text: str, head: int, tail: int) -> bool:
    """Return whether a long text is a cut one: blanks beside its space may look like a run."""
    return tail > 0 and len(text) == head + 1 + tail and text[head] == " "


def _kept(text: str, head: int, tail: int) -> tuple[list[Span], list[Span]]:
    limit, stop = head + tail, len(text)
    if not _may_have_run(text, limit, tail):
        return [(0, head)], [(stop - tail, stop)] if tail else []
    # One more than the limit, which shows whether the text continues.
    first = _forward(text, limit + 1)
    if _length(first) <= limit:
        return first, []
    return _first_of(first, head), _backward(text, tail)


def _may_have_run(text: str, limit: int, tail: int) -> bool:
    """Tell, in little time, whether a long run of blanks may matter; nearly no text has one."""
    return (
        _SAMPLED_RUN.search(text[: limit + 1 : _STEP]) is not None
        or _SAMPLED_RUN.search(text[max(0, len(text) - tail - _MAX_BLANKS) :: _STEP]) is not None
    )


def _forward(text: str, room: int) -> list[Span]:
    """Return the spans of the first ``room`` characters, long runs of blanks shortened."""
    spans: list[Span] = []
    at, stop = 0, len(text)
    while room and at < stop:
        run = _RUN.search(text, at, min(stop, at + room + 1))
        if run is None:
            _add(spans, at, min(stop, at + room))
            break
        begin = run.start()
        end = _first_visible(text, begin + _MAX_BLANKS, stop)
        _add(spans, at, begin + _MAX_BLANKS - 1)
        _add(spans, *_last_of_run(text, begin, end))
        room -= begin + _MAX_BLANKS - at
        at = end
    return spans


def _backward(text: str, room: int) -> list[Span]:
    """Return the spans of the last ``room`` characters, long runs of blanks shortened."""
    backwards: list[Span] = []  # from the last to the first
    stop = len(text)
    while room > 0 and stop:
        begin = max(0, stop - room)
        # Far enough back to show that a run is long, even if only one blank of it has room.
        runs = list(_RUN.finditer(text, max(0, begin - _MAX_BLANKS), stop))
        if not runs:
            backwards.append((begin, stop))
            break
        end = runs[-1].end()
        begin = _last_visible(text, 0, end)
        backwards += [
            (end, stop),
            _last_of_run(text, begin, end),
            (begin, begin + _MAX_BLANKS - 1),
        ]
        room -= stop - end + _MAX_BLANKS
        stop = begin
    if room < 0:
        backwards[-1] = backwards[-1][0] - room, backwards[-1][1]
    spans: list[Span] = []
    for first, last in reversed(backwards):
        _add(spans, first, last)
    return spans


def _last_of_run(text: str, begin: int, end: int) -> Span:
    """Return the one character that stands for a long run after its first 255."""
    line_end = _LINE_END.search(text, begin + _MAX_BLANKS - 1, end)
    at = end - 1 if line_end is None else line_end.start()
    return at, at + 1


def _add(spans: list[Span], first: int, last: int) -> None:
    """Append a span, joined with the last one if they touch."""
    if spans and spans[-1][1] == first:
        spans[-1] = spans[-1][0], last
    elif first < last:
        spans.append((first, last))


def _of(text: str, spans: list[Span]) -> str:
    """Return the characters of spans of a text."""
    return "".join([text[first:last] for first, last in spans])


def _length(spans: list[Span]) -> int:
    return sum(last - first for first, last in spans)


def _first_of(spans: list[Span], room: int) -> list[Span]:
    """Return the spans of the first ``room`` characters of spans."""
    firsts: list[Span] = []
    for first, last in spans:
        if not room:
            break
        last = min(last, first + room)
        firsts.append((first, last))
        room -= last - first
    return firsts


# Both search by pieces, so that they read little of a long text that begins and ends with words;
# ``isspace`` takes a tenth of the time of the expression.


def _first_visible(text: str, at: int, stop: int) -> int:
    """Return the start of the first visible character of ``text[at:stop]``, or ``stop``."""
    if at < stop and "!" <= text[at] <= "~":  # as most texts begin
        return at
    size = _FIRST_PIECE
    while at < stop:
        piece = text[at : min(stop, at + size)]
        if not piece.isspace() and (found := _VISIBLE.search(piece)):
            return at + found.start()
        at += size
        size = min(2 * size, _LARGEST_PIECE)
    return stop


def _last_visible(text: str, start: int, stop: int) -> int:
    """Return the end of the last visible character of ``text[start:stop]``, or ``start``."""
    if start < stop and "!" <= text[stop - 1] <= "~":
        return stop
    size = _FIRST_PIECE
    while start < stop:
        piece = text[max(start, stop - size) : stop]
        if not piece.isspace() and (found := _VISIBLE.search(piece[::-1])):
            return stop - found.start()
        stop -= size
        size = min(2 * size, _LARGEST_PIECE)
    return start
