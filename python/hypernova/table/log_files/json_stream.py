"""Read a JSON document in pieces: the entries of an array or an object inside it, one at a time.

Libraries that do so stop at a bare NaN, which evaluation tools write. Not here: files.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from hypernova.strict_json import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova.errors import TableError
    from hypernova.table.source import Source

_Path: TypeAlias = tuple[str, ...]
_CHUNK = 256 * 1024
_BLANKS = ("", " ", "\n", "\r", "\t")
_BLANK = re.compile(r"[ \t\r\n]*")
# What the decoder reports of a text that ends within a value stands this near to the end: at most
# an escape of two surrogates, or the name of a number that is none.
_NEAR_END = 16
# Entries, lists and objects that one value may hold. Each takes some 100 bytes of memory and as few
# as one of the file, of which an archive packs a thousand into one.
MAX_PARTS = 4_000_000
_NUMBER_GOES_ON = (".", "e", "E")
_CUT = "wait until the tool has ended if it is still writing the log; or else leave the log out"
_DAMAGED = "the log is damaged, or no JSON: copy it again, or leave it out"


def walk(
    file: BinaryIO,
    source: Source,
    *streamed: str,
    max_value: int = 256 * 1024 * 1024,
    early: bool = False,
) -> Iterator[tuple[str, Any]]:
    """Yield the values of a JSON document, with arrays and objects that may be large in pieces.

    Args:
        file: UTF-8 JSON, at its beginning.
        source: The file, for messages, in the unit ``line``.
        streamed: Dotted paths of arrays or objects whose entries are yielded one by one, such as
            ``results.results``; an empty one is the document itself, which may then be an array.
        max_value: Bytes that one value may take.
        early: Whether the caller stops after a few values: then a document that is small is read
            value by value too, not at once.

    Yields:
        The dotted path and the value: of each entry of a streamed array under the array's path, of
        each entry of a streamed object under its path and key, of each other value of an object
        that holds none of them under its own path. In the order of the document.

    Raises:
        TableError: the document is no JSON object, is cut short or malformed, or one value is
            larger than `max_value`.
    """
    paths = {tuple(path.split(".")) if path else () for path in streamed}
    text = _Text(file, source, max_value)
    whole = None if early else text.whole()
    if isinstance(whole, dict) or (isinstance(whole, list) and () in paths):
        yield from _values(whole, (), paths)
        return
    first = text.peek()
    if first != "{" and not (first == "[" and () in paths):
        raise text.malformed("does not begin with a JSON object")
    yield from _entries(text, (), paths)
    if text.peek(end=True):
        raise text.malformed("goes on after its JSON")


def _values(
    value: dict[str, Any] | list[Any], path: _Path, paths: set[_Path]
) -> Iterator[tuple[str, Any]]:
    """Yield the values in an array or object that is small and was read whole."""
    if isinstance(value, list):
        name = ".".join(path)
        for entry in value:
            yield name, entry
        return
    for key, entry in value.items():
        place = (*path, key)
        kind = "{" if isinstance(entry, dict) else "[" if isinstance(entry, list) else ""
        if kind and _goes_on(kind, place, paths):
            yield from _values(entry, place, paths)
        else:
            yield ".".join(place), entry


def _entries(text: _Text, path: _Path, paths: set[_Path]) -> Iterator[tuple[str, Any]]:
    """Yield the values in the array or object that comes next."""
    is_object = text.peek() == "{"
    close = "}" if is_object else "]"
    text.skip()
    if text.peek() == close:
        text.skip()
        return
    while True:
        place = path
        if is_object:
            key = text.value()
            if not isinstance(key, str):
                raise text.malformed("has a key that is no text")
            if text.peek() != ":":
                raise text.malformed("lacks a colon after a key")
            text.skip()
            place = (*path, key)
        if is_object and _goes_on(text.peek(), place, paths):
            yield from _entries(text, place, paths)
        else:
            yield ".".join(place), text.value()
        mark = text.peek()
        if mark not in {",", close}:
            raise text.malformed("lacks a comma or a bracket after a value")
        text.skip()
        if mark == close:
            return


def _goes_on(first: str, place: _Path, paths: set[_Path]) -> bool:
    """Return whether the value at a place is walked through, not read whole."""
    if first == "{":
        return any(path[: len(place)] == place for path in paths)
    return first == "[" and place in paths


def holds_too_many_parts(text: str | bytes) -> bool:
    """Return whether JSON has more than `MAX_PARTS` commas and brackets, and is not to be read."""
    if len(text) <= MAX_PARTS:
        return False
    if isinstance(text, bytes):
        return sum(map(text.count, (b",", b"[", b"{"))) > MAX_PARTS
    return sum(map(text.count, (",", "[", "{"))) > MAX_PARTS


class _Text:
    """A part of the document, from the place that was reached."""

    def __init__(self, file: BinaryIO, source: Source, max_value: int) -> None:
        self._file = file
        self._source = source
        self._max = max_value
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False

    def whole(self) -> Any:
        """Return the document if it is small; None if it is large, or is not valid JSON.

        To read a small one at once is several times quicker. Where this returns None, `peek` and
        `value` begin at its beginning.
        """
        self._more()
        if not self._ended and len(self._text) < _CHUNK:
            self._more()
        if not self._ended or len(self._text) > self._max:
            return None
        try:
            begin = _BLANK.match(self._text).end()  # type: ignore[union-attr]
            found, end = self._json.raw_decode(self._text, begin)
        except (ValueError, RecursionError):
            return None
        rest = _BLANK.match(self._text, end)
        return found if rest is not None and rest.end() == len(self._text) else None

    def peek(self, *, end: bool = False) -> str:
        """Return the next character that is not blank; nothing if the document may end and does."""
        if self._text[self._at : self._at + 1] not in _BLANKS:
            return self._text[self._at]
        while True:
            self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                if end:
                    return ""
                raise self._cut()
            self._more()

    def skip(self) -> None:
        """Go on after the character that `peek` returned."""
        self._at += 1

    def value(self) -> Any:
        """Read the value that comes next, and go on after it."""
        self.peek()
        while True:
            try:
                found, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._may_go_on(error):
                    raise self.malformed(error.msg.removesuffix(" at"), error.pos) from error
                problem: Exception | None = error
            # An integer of thousands of digits, or [[[[...
            except (ValueError, RecursionError) as error:
                raise self.malformed(reason_of(error)) from error
            else:
                # Of 1.5e+3 the decoder takes 1.5 where the text ends before the 3.
                partly = len(self._text) - end <= 3 and _is_number(found)
                if not partly or (self._ended and self._text[end : end + 1] not in _NUMBER_GOES_ON):
                    self._check_size(end)
                    self._at = end
                    return found
                problem = None
            if self._ended:
                raise self._cut() from problem
            self._check_size(len(self._text))
            if holds_too_many_parts(self._text[self._at :]):
                raise self._source.error(
                    f"holds a value of more than {MAX_PARTS} parts",
                    "leave the log out",
                    at=self._line_at(self._at),
                )
            self._more()

    def malformed(self, problem: str, at: int | None = None) -> TableError:
        """Return the error for a document that breaks the rules of JSON here."""
        line = self._line_at(self._at if at is None else at)
        return self._source.error(f"is not valid JSON ({problem})", _DAMAGED, at=line)

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Return whether an error may come of the text ending within the value."""
        unterminated = error.msg.startswith("Unterminated string")
        return unterminated or error.pos >= len(self._text) - _NEAR_END

    def _check_size(self, end: int) -> None:
        if end - self._at > self._max:
            raise self._source.error(
                f"holds a value of more than {self._max} bytes",
                "leave the log out",
                at=self._line_at(self._at),
            )

    def _cut(self) -> TableError:
        return self._source.error("is cut short", _CUT, at=self._line_at(len(self._text)))

    def _line_at(self, at: int) -> int:
        return self._line + self._text.count("\n", 0, at)

    def _more(self) -> None:
        """Read on: at least as much as is left, so that a value is begun anew seldom."""
        self._line += self._text.count("\n", 0, self._at)
        left = self._text[self._at :]
        # Never far beyond the largest value: what is refused then need not be held.
        data = self._file.read(max(_CHUNK, min(len(left), self._max - len(left))))
        self._ended = not data
        try:
            read = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            if self._ended:
                raise self._source.error("is cut short", _CUT, at=self._line) from error
            raise self._source.error("is not valid UTF-8", _DAMAGED, at=self._line) from error
        self._text = left + read
        self._at = 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
