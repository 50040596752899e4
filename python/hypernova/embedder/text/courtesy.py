r"""Find the parts of a text that say nothing of its task, so that an embedder may skip them.

Not here: the cut of a long text (see ``cut``). These are rules about forms: closed classes of words
(pronouns, prepositions, auxiliaries), words of courtesy and words about messages themselves, and
the layouts of e-mail, chat and markdown. No sentence is listed.

A text is divided into sentences, at line ends and behind ``. ! ? : ;`` and a blank. A sentence is
skipped if

1. it holds no words but those of `WORDS`, apart from addresses, dates and times of day: so do
   separators, labels such as ``Q:`` or ``Problem 1.``, tags such as ``<user>`` and the marks of
   a code block;
2. it begins with a greeting and has at most two more words, or begins with thanks, regards or
   an apology and has at most two words besides those of `WORDS`;
3. it assigns a role: ``You are a patient teacher.``;
4. it is a header of a message: a line such as ``From:`` with an address or a date, a line with a
   time of day or a date and at most two other words, or ``On Tuesday somebody wrote:``;
5. it is a line after one that signs off and ends with a comma, and holds at most four words,
   capitalised ones or those of `WORDS`; at most four such lines.

Marks of headings, quotations and lists in front of a line, and quotation marks around it, are
skipped too; ``>>>`` and three quotation marks are no such marks. Indented lines are code, and read
as they are. A text of which nothing would be left is kept whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypernova.embedder.text.cut import is_blank

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova.embedder.text.cut import Span

_CLOSED = """
a an the this that these those such same other another some any each every all both either neither
no not none nothing something anything everything someone anyone everyone somebody anybody i me my
mine myself we us our ours you your yours yourself he him his she her hers it its they them their
theirs one ones who whom whose which what when where why how here there now then be am is are was
were been being do does did done doing have has had having can could may might must shall should
will would ought s m t re ve ll let lets isn don doesn didn won wouldn couldn of in on at by for
from to into onto with without within about as than like via per over under up down out off
between among through during before after since until till against around and or but nor so if
because although though while whether yet also too very quite rather just only even still again
already ever never always often sometimes soon later once more most less least much many few
little lot lots bit enough yes okay ok well really actually maybe perhaps
greatly deeply highly hugely extremely
first last next new old
good great nice sure own back make made
"""
_COURTESY = """
hi hello hey hiya greetings dear morning afternoon evening night day welcome thanks thank thankyou
thx ty tia cheers please pls plz kindly sorry apologies pardon excuse bother appreciate
appreciated appreciation grateful gratefully obliged lifesaver wonderful amazing awesome regards
sincerely truly faithfully respectfully best wishes warm kind wish hope hoping wonder wondering
glad happy looking forward advance advise luck everybody folks team guys sir madam friend friends
help helping helped helpful assist assistance support hear hearing know knowing weekend today
tomorrow yesterday week care consideration time busy possible asap urgent urgently important need
needs needed want wants love trying try stuck quick quickly posting post community forum sense
"""
_MESSAGE = """
question questions q answer answers ask asked asking reply replies respond response responses
prompt prompts input output instruction instructions inst request requests task tasks user users
assistant human ai bot chatgpt gpt claude gemini llm model system chat conversation message
messages text description title subject fw fwd below above following problem issue details
detailed detail brief briefly concise concisely short long longer clear clearly careful carefully
step steps think thinking thought reason reasoning explain explanation explanations work show
final read deep breath plain simple simply english language information info note notes edit
edited update updated ps p.s sent posted created wrote write forwarded original status open closed
priority medium high low end begin start page fixed typo give take provide tell copied pasted copy
paste attached attachment mail email iphone android ipad mobile phone outlook get ago days hours
hour minutes minute pm br div mon tue wed thu fri sat sun monday tuesday wednesday thursday friday
saturday sunday jan feb mar apr jun jul aug sep sept oct nov dec january february march april june
july august september october november december
"""
WORDS = frozenset(f"{_CLOSED} {_COURTESY} {_MESSAGE}".split())

_GREETINGS = frozenset(("hi", "hello", "hey", "dear", "greetings"))
_THANKS = frozenset(("thanks", "thank", "thx", "cheers", "regards", "sorry", "apologies"))
_ROLE_WORDS = """
assistant expert specialist professional teacher tutor helper model bot chatbot ai agent advisor
consultant engineer scientist developer programmer writer professor analyst system
"""
_ROLES = frozenset(_ROLE_WORDS.split())
_ASSIGNING = (["you", "are"], ["act", "as"], ["imagine", "you", "are"], ["pretend", "you", "are"])
_SIGN_OFF = frozenset(
    ("regards", "sincerely", "yours", "truly", "faithfully", "cheers", "thanks", "wishes")
)
_LABELS = frozenset(("question", "problem", "task", "prompt", "exercise", "item"))
_HEADERS = frozenset(("from", "to", "cc", "bcc", "date", "sent", "received", "subject"))
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
_STAMP = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{1,64}"
    r"|\b\d{4}-\d\d?-\d\d?\b|\b\d\d?[/.]\d\d?[/.]\d{2,4}\b"
    rf"|\b\d\d?\.? {_MONTH},? \d{{4}}\b|\b{_MONTH} \d\d?,? \d{{4}}\b"
    r"|\b\d\d?:\d\d(?::\d\d)?\b(?: [+-]\d{4}\b)?"
    r"|\b\d{1,3} (?:minute|hour|day|week|month|year)s? ago\b|\bpage \d{1,4} of \d{1,4}\b"
    r"|\b\d{1,4} (?:messages?|replies|comments?|attachments?)\b",
    re.IGNORECASE,
)
# Whether a text may hold a stamp, in little time.
_MAYBE_STAMP = re.compile(r"@|\d[/.:-]\d| \d{4}\b| ago\b|\d of \d|\d [mrca]")
_FENCE = re.compile(r"(?:```+|~~~+)[ \t]*[\w+-]*")
_MARKS = re.compile(r"(?:(?:#{1,6}|>|[*+-])[ \t]+|[\"'`](?=[^\s\"'`*])|\*{1,3}(?=[^\s\"'`*]))+")
_FIRST_MARKS, _LAST_MARKS = frozenset("#>*+-\"'`"), frozenset("\"'`*")
_QUOTES = re.compile(r"(?<=[^\s\"'`*])(?:[\"'`]|\*{1,3})[ \t]*$")


def kept_spans(text: str) -> list[Span]:
    """Return the spans of a text that are left when the parts that say nothing are skipped.

    Args:
        text: Any text.

    Returns:
        The spans, rising and disjoint, to be joined with a line end between two; none where the
        text is read as it is, because nothing would be skipped, or nothing visible left.
    """
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
    return len(words) == 2 and words[0] in _LABELS and words[1].isdigit()


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
