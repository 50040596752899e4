r"""The rules by which a text is read, in plain Python: the oracle of the core's.

Not here: tokens. The core states the rules (``cut.rs``, ``courtesy/mod.rs``, ``reading.rs``), and
the words that they name stand there alone (``courtesy/words.rs``).

Python's letters are not quite the core's: a mark or a symbol that Unicode counts as alphabetic is
a part of a word there, and newer versions have more letters. `ALIKE` are the others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

Span = tuple[int, int]

ALIKE = st.characters(exclude_categories=("Mn", "Mc", "Me", "So", "Cn"))
# In Unicode, some invisible marks stand between blanks; U+2065 is not assigned.
BLANKS = "".join(
    map(
        chr,
        (
            *range(0x21), *range(0x7F, 0xA1), 0xAD, 0x61C, 0x1680, 0x180E, *range(0x2000, 0x2010),
            *range(0x2028, 0x2030), *range(0x205F, 0x2070), 0x3000, 0xFEFF,
        ),
    )
)  # fmt: skip

_SOURCE = (ROOT / "rust/hypernova-core/src/text/courtesy/words.rs").read_text(encoding="utf-8")
_LISTS = {
    name: words.strip("\\").split()
    for name, words in re.findall(r'^const ([A-Z_]+): &str =\s+"(.*?)";', _SOURCE, re.S | re.M)
}
WORDS = frozenset(_LISTS["CLOSED"] + _LISTS["COURTESY"] + _LISTS["MESSAGE"])
_GREETINGS, _THANKS, _ROLES, _SIGN_OFF, _LABELS, _HEADERS = (
    frozenset(_LISTS[name])
    for name in ("GREETINGS", "THANKS", "ROLES", "SIGN_OFF", "LABELS", "HEADERS")
)
_ASSIGNING = (["you", "are"], ["act", "as"], ["imagine", "you", "are"], ["pretend", "you", "are"])
# Most words of a sentence that assigns a role, of a line of a signature, of a header, and of the
# names in a greeting or a header; and most lines of a signature.
_MAX_ROLE_WORDS, _MAX_SIGNED_WORDS, _MAX_HEADER_WORDS, _MAX_NAMES = 20, 4, 20, 2
_MAX_SIGNED_LINES = 4

_LINE_END = re.compile(r"[\r\n]+")
_SENTENCE_END = re.compile(r"(?<=[.!?:;])[ \t]+")
# Characters that are no part of a word; letters are lowered, all other characters stay.
_WORDLESS = "\t.,!?:;\"'()[]{}<>#*`-=_|/~\u2013\u2014\u2018\u2019\u201c\u201d\u2026"
_PLAIN = str.maketrans(
    dict.fromkeys(_WORDLESS, " ") | {chr(code): chr(code + 32) for code in range(65, 91)}
)
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]{0,6}\.?"
# Letters and digits of a form are ASCII's, parts of words are Unicode's.
_EDGE = r"(?u:\b)"
_STAMP = re.compile(
    (
        r"(?u:(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{1,64})"
        r"|(?ai:\b\d{4}-\d\d?-\d\d?\b|\b\d\d?[/.]\d\d?[/.]\d{2,4}\b"
        rf"|\b\d\d?\.? {_MONTH},? \d{{4}}\b|\b{_MONTH} \d\d?,? \d{{4}}\b"
        r"|\b\d\d?:\d\d(?::\d\d)?\b(?: [+-]\d{4}\b)?"
        r"|\b\d{1,3} (?:minute|hour|day|week|month|year)s? ago\b|\bpage \d{1,4} of \d{1,4}\b"
        r"|\b\d{1,4} (?:messages?|replies|comments?|attachments?)\b)"
    ).replace(r"\b", _EDGE)
)
# A form that a line with a stamp must have.
_MAYBE_STAMP = re.compile(
    r"@|(?a:\d[/.:-]\d| \d{4}\b| ago\b|\d of \d|\d [mrca])".replace(r"\b", _EDGE)
)
_FENCE = re.compile(r"(?:```+|~~~+)[ \t]*[\w+-]*")
_MARKS = re.compile(r"(?:(?:#{1,6}|>|[*+-])[ \t]+|[\"'`](?=[^\s\"'`*])|\*{1,3}(?=[^\s\"'`*]))+")
_FIRST_MARKS, _LAST_MARKS = frozenset("#>*+-\"'`"), frozenset("\"'`*")
_QUOTES = re.compile(r"(?<=[^\s\"'`*])(?:[\"'`]|\*{1,3})[ \t]*$")


def is_blank(text: str) -> bool:
    return not text.strip(BLANKS)


def visible_span(text: str) -> Span:
    start = len(text) - len(text.lstrip(BLANKS))
    return start, start + len(text.strip(BLANKS))


def cut(text: str, head: int, tail: int) -> str:
    """The rule of the cut, over the whole text."""
    limit = head + tail
    if len(text) <= limit or (tail and len(text) == limit + 1 and text[head] == " "):
        return text

    def shorter(run: re.Match[str]) -> str:
        rest = run[0][255:]
        return run[0][:255] + next((c for c in rest if c in "\r\n"), rest[-1])

    text = re.sub(f"[{re.escape(BLANKS)}]{{257,}}", shorter, text)
    if len(text) <= limit:
        return text
    return text[:head] + (" " + text[-tail:] if tail else "")


def read(text: str, head: int, tail: int, lead: int) -> tuple[str, Span | None] | None:
    """A text after the cut, without courtesies, and the span of its lead where it is a part."""
    text = re.sub("[\ud800-\udfff]", "\ufffd", cut(text, head, tail))
    if is_blank(text):
        return None
    text = "\n".join(text[a:b] for a, b in kept_spans(text)) or text
    start, end = visible_span(text)
    line = re.split("[\r\n]", text[start:end], maxsplit=1)[0].rstrip()[:lead]
    return text, (start, start + len(line)) if len(line) < end - start else None


def kept_spans(text: str) -> list[Span]:
    """The spans of a text that are left when the parts that say nothing are skipped."""
    plain = text.translate(_PLAIN)
    kept: list[Span] = []
    signed, begin = 0, 0  # lines that may still belong to a signature
    for end, following in _line_ends(text):
        words = plain[begin:end].split()
        if text[begin:end][:1] in (" ", "\t") and not text[begin:end].isspace():
            signed = 0
            _keep(text, begin, end, kept)
        elif WORDS.issuperset(words):
            if not _SIGN_OFF.isdisjoint(words) and text[begin:end].rstrip().endswith(","):
                signed = _MAX_SIGNED_LINES
        elif signed and _is_name(text[begin:end].split(), words):
            signed -= 1
        else:
            signed = 0
            if len(words) > _MAX_HEADER_WORDS or not _is_header(text[begin:end].strip(), words):
                _keep_sentences(text, plain, begin, end, kept)
        begin = following
    if kept == [(0, len(text))] or all(is_blank(text[a:b]) for a, b in kept):
        return []
    return kept


def _line_ends(text: str) -> Iterator[Span]:
    """Yield where each line of a text ends, and where the next one begins."""
    for found in _LINE_END.finditer(text):
        yield found.span()
    yield len(text), len(text)


def _keep_sentences(text: str, plain: str, begin: int, end: int, kept: list[Span]) -> None:
    """Add the sentences of a line that say something, without the marks around the line."""
    line = text[begin:end].strip()
    if line[0] in _FIRST_MARKS:
        start = text.index(line[0], begin)
        if marks := _MARKS.match(text, start, end):
            begin = marks.end()
    if line[-1] in _LAST_MARKS and (marks := _QUOTES.search(text, begin, end)):
        end = marks.start()
    at = begin
    for found in _SENTENCE_END.finditer(text, begin, end):
        _keep_sentence(text, plain, at, found.start(), kept)
        at = found.end()
    _keep_sentence(text, plain, at, end, kept)


def _keep_sentence(text: str, plain: str, begin: int, end: int, kept: list[Span]) -> None:
    words = plain[begin:end].split()
    if WORDS.issuperset(words) or _is_greeting(words) or _is_label(words) or _assigns_role(words):
        return
    _keep(text, begin, end, kept)


def _keep(text: str, begin: int, end: int, kept: list[Span]) -> None:
    if kept and text[kept[-1][1] : begin].isspace():
        kept[-1] = kept[-1][0], end
    else:
        kept.append((begin, end))


def _is_greeting(words: list[str]) -> bool:
    if words[0] in _THANKS:
        return sum(word not in WORDS for word in words) <= _MAX_NAMES
    return words[0] in _GREETINGS and len(words) <= 1 + _MAX_NAMES


def _is_label(words: list[str]) -> bool:
    return len(words) == 2 and words[0] in _LABELS and words[1].isascii() and words[1].isdigit()


def _assigns_role(words: list[str]) -> bool:
    start = 1 if words[0] == "system" else 0
    return (
        len(words) <= _MAX_ROLE_WORDS
        and any(words[start : start + len(form)] == form for form in _ASSIGNING)
        and not _ROLES.isdisjoint(words)
    )


def _is_header(line: str, words: list[str]) -> bool:
    """Return whether a short line is a header of a message, or a mark of a code block."""
    if line[:3] in ("```", "~~~"):
        return _FENCE.fullmatch(line) is not None
    if words[0] == "on" and line.endswith("wrote:"):
        return True
    if _MAYBE_STAMP.search(line) is None or _STAMP.search(line) is None:
        return False
    others = _STAMP.sub(" ", line).translate(_PLAIN).split()
    return words[0] in _HEADERS or sum(word not in WORDS for word in others) <= _MAX_NAMES


def _is_name(written: list[str], words: list[str]) -> bool:
    return len(words) <= _MAX_SIGNED_WORDS and all(
        word[0].isupper() or word.lower() in WORDS for word in written
    )
