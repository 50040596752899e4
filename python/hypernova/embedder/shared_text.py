"""Leave out the beginnings and ends that many prompts of a table shared, in every text.

Not here: finding them (see ``hypernova.training.shared_text``). A shared part is known by its
length and its sha256, so that an artifact can hold it without the text of a prompt.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from hypernova.embedder.base import (
    TextEmbedder,
    Vectors,
    check_is_text,
    fingerprint_of_identity,
)
from hypernova.embedder.text.cut import visible_span
from hypernova.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

# The field of an identity that lists the parts.
FIELD: Final = "skip"
# A request is held against as many lengths as there are parts, at most.
MAX_PARTS: Final = 64
_WORD = re.compile(r"[^\W_]")
_SHA256 = re.compile("[0-9a-f]{64}")


class SharedPart(NamedTuple):
    """A beginning or an end that many prompts shared, without its text.

    Attributes:
        at: ``"start"`` or ``"end"``.
        chars: Its length in characters (code points), from 1.
        sha256: Of its UTF-8, half a surrogate pair encoded as three bytes; 64 hex digits.
    """

    at: Literal["start", "end"]
    chars: int
    sha256: str

    @classmethod
    def of(cls, at: Literal["start", "end"], text: str) -> SharedPart:
        """Describe the part that this text is."""
        return cls(at, len(text), hashlib.sha256(_bytes(text)).hexdigest())


class SharedParts:
    """Shared parts, and what they leave of a text.

    A text is stripped of blanks first. It loses the longest beginning that is known, then of
    what is left, stripped again, the longest end: one of each at most. A part stays where
    nothing with a letter or a digit would be left without it. Where no part is found, all
    of the text is left, blanks included.

    Args:
        parts: At most 64; equal ones count once.

    Raises:
        ValueError: There are more, or none.
    """

    def __init__(self, parts: Iterable[SharedPart]) -> None:
        self.parts = tuple(sorted(set(parts)))
        if not 1 <= len(self.parts) <= MAX_PARTS:
            raise ValueError(
                f"{len(self.parts)} shared parts were given, expected 1 to {MAX_PARTS}"
            )
        self._starts, self._ends = self._by_length("start"), self._by_length("end")

    def _by_length(self, at: str) -> list[tuple[int, frozenset[bytes]]]:
        """Digests by length, the shortest first."""
        lengths: dict[int, set[bytes]] = {}
        for part in self.parts:
            if part.at == at:
                lengths.setdefault(part.chars, set()).add(bytes.fromhex(part.sha256))
        return [(chars, frozenset(lengths[chars])) for chars in sorted(lengths)]

    @classmethod
    def of_identity(cls, identity: Mapping[str, object]) -> SharedParts | None:
        """Read the parts of an embedder's identity; None if it skips nothing.

        Raises:
            ArtifactError: They are malformed.
        """
        if FIELD not in identity:
            return None
        listed = identity[FIELD]
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_PARTS:
            raise ArtifactError(
                f"section EMBD: the field {FIELD!r} is malformed, expected a list of 1 to "
                f"{MAX_PARTS} shared parts; fit the artifact again"
            )
        return cls(_part(value, index) for index, value in enumerate(listed))

    def listed(self) -> list[dict[str, object]]:
        """List the parts for an identity, always in the same order."""
        return [part._asdict() for part in self.parts]

    def span(self, text: str) -> tuple[int, int]:
        """Find what is left of a text: ``text[start:end]``."""
        first, last = _stripped(text, 0, len(text))
        skipped = self._start(text, first, last)
        start, _ = _stripped(text, first + skipped, last)
        found = self._end(text, start, last)
        if not skipped and not found:
            return 0, len(text)
        return _stripped(text, start, last - found)

    def left(self, text: str) -> str:
        """Give what is left of a text; it is the text itself where no part is found."""
        start, end = self.span(text)
        return text[start:end]

    def found(self, text: str) -> tuple[int, int]:
        """Give the lengths of the beginning and the end that a text loses; 0 for none."""
        first, last = _stripped(text, 0, len(text))
        skipped = self._start(text, first, last)
        start, _ = _stripped(text, first + skipped, last)
        return skipped, self._end(text, start, last)

    def _start(self, text: str, first: int, last: int) -> int:
        hashed, at, longest = hashlib.sha256(), first, 0
        for chars, digests in self._starts:
            end = first + chars
            if end >= last:
                break
            hashed.update(_bytes(text[at:end]))
            at = end
            if hashed.digest() in digests and _WORD.search(text, end, last):
                longest = chars
        return longest

    def _end(self, text: str, first: int, last: int) -> int:
        longest = 0
        for chars, digests in self._ends:
            start = last - chars
            if start <= first:
                break
            digest = hashlib.sha256(_bytes(text[start:last])).digest()
            if digest in digests and _WORD.search(text, first, start):
                longest = chars
        return longest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedParts) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __repr__(self) -> str:
        return f"SharedParts({list(self.parts)!r})"


class SkipSharedEmbedder(TextEmbedder):
    """An embedder that leaves shared beginnings and ends out of every text.

    `fit` makes one with ``skip_shared=True``, and the artifact remembers it: its identity is
    that of the embedder within and the parts, so that it has a fingerprint of its own.

    Args:
        embedder: An open embedder.
        parts: What is left out.

    Raises:
        TypeError: ``embedder`` is not an open embedder.
        ValueError: ``embedder`` skips shared parts already.
    """

    def __init__(self, embedder: TextEmbedder, parts: SharedParts) -> None:
        if not isinstance(embedder, TextEmbedder):
            raise TypeError(f"embedder is {type(embedder).__name__}, expected an open embedder")
        if FIELD in embedder.identity:
            raise ValueError("the embedder skips shared parts already; give the one within")
        self._embedder = embedder
        self._parts = parts
        self._identity = {**embedder.identity, FIELD: parts.listed()}
        self._fingerprint = fingerprint_of_identity(self._identity)

    @property
    def embedder(self) -> TextEmbedder:
        """The embedder that is given what is left."""
        return self._embedder

    @property
    def parts(self) -> SharedParts:
        """The parts that are left out."""
        return self._parts

    @property
    def name(self) -> str:
        """The name of the embedder within."""
        return self._embedder.name

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""
        return self._embedder.dim

    @property
    def fingerprint(self) -> str:
        """The sha256 of the identity's canonical JSON, as 64 hex digits."""
        return self._fingerprint

    @property
    def identity(self) -> dict[str, object]:
        """The identity of the embedder within, and the parts; a copy."""
        return {**self._identity, FIELD: self._parts.listed()}

    def _key_of_pickle(self) -> Hashable:
        return type(self), self._embedder._key_of_pickle(), self._parts

    def __repr__(self) -> str:
        return f"SkipSharedEmbedder({self._embedder!r}, {len(self._parts.parts)} parts)"

    def cut(self, text: str) -> str:
        """Leave the shared parts out, and cut what is left as the embedder within does."""
        return self._embedder.cut(self._parts.left(text))

    def key_of(self, text: str) -> bytes:
        """Give the key of what is left of a text, by the embedder within."""
        check_is_text(text, None)
        return self._embedder.key_of(self._parts.left(text))

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Tell which characters of a text count: those of what is left, by the embedder within."""
        check_is_text(text, None)
        start, end = self._parts.span(text)
        inner = self._embedder.read_spans(text[start:end])
        return tuple((start + first, start + last) for first, last in inner)

    def embed_one(self, text: str) -> Vectors:
        """Embed what is left of one text.

        Args:
            text: As the embedder within takes it.

        Returns:
            float32 of shape (dim,) and length 1.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: As from the embedder within, like what follows.
            EmbedderError: As from the embedder within.
        """
        check_is_text(text, None)
        return self._embedder.embed_one(self._parts.left(text))

    def _embed_at(
        self,
        texts: Sequence[str],
        places: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        for text, place in zip(texts, places, strict=True):
            check_is_text(text, place)
        return self._embedder._embed_at(
            [self._parts.left(text) for text in texts], places, progress
        )


def _part(value: Any, index: int) -> SharedPart:
    """One entry of the field, checked: an artifact may come from anywhere."""
    if (
        isinstance(value, dict)
        and set(value) == set(SharedPart._fields)
        and value["at"] in ("start", "end")
        and type(value["chars"]) is int
        and 1 <= value["chars"] < 2**31
        and isinstance(value["sha256"], str)
        and _SHA256.fullmatch(value["sha256"])
    ):
        return SharedPart(**value)
    raise ArtifactError(
        f"section EMBD: entry {index} of the field {FIELD!r} is malformed, expected at "
        '("start" or "end"), chars (an integer from 1) and sha256 (64 hex digits); fit the '
        "artifact again"
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """The bounds of a part of a text without the blanks at its ends."""
    first, last = visible_span(text[start:end])
    return start + first, start + last
