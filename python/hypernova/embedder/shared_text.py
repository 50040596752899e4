"""Leave the beginnings and ends that many prompts of a table shared out of every text.

Not here: finding them (see ``hypernova.training.shared_text``). A shared part is held as its
length and its sha256, so that an artifact holds no text of a prompt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from hypernova._core import visible_span
from hypernova.artifact.metadata import fingerprint_of_identity
from hypernova.embedder.base import TextEmbedder
from hypernova.embedder.text.checks import check_is_text
from hypernova.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from hypernova.embedder.base import Vectors

# The field of an embedder's identity that lists the shared parts.
SHARED_TEXT_FIELD: Final = "skip"
# Bounds the work of a request: it hashes its text for each length of a part.
MAX_PARTS: Final = 64
_WORD = re.compile(r"[^\W_]")
_SHA256 = re.compile("[0-9a-f]{64}")


class SharedPart(NamedTuple):
    """A beginning or an end that many prompts shared, without its text.

    Attributes:
        at: ``"start"`` or ``"end"``.
        chars: Its length in characters (code points), from 1.
        sha256: Of its UTF-8, half a surrogate pair encoded as three bytes; 64 hex digits.

    Example:
        >>> from hypernova.embedder import SharedPart
        >>> SharedPart.from_text("start", "You are a careful engineer.").chars
        27
    """

    at: Literal["start", "end"]
    chars: int
    sha256: str

    @classmethod
    def from_text(cls, at: Literal["start", "end"], text: str) -> SharedPart:
        """Describe a beginning or an end by its length and its sha256.

        Args:
            at: ``"start"`` or ``"end"``.
            text: The beginning or the end.
        """
        import hashlib

        return cls(at, len(text), hashlib.sha256(_bytes(text)).hexdigest())


class SharedParts:
    """Shared parts of prompts, and the rule by which a text loses them.

    A text is stripped of blanks first. It loses the longest known beginning; then the rest is
    stripped again and loses the longest known end: one of each at most. A part stays where
    no letter or digit would remain without it. A text without a known part remains as it is,
    blanks included.

    Args:
        parts: At most 64; equal ones count once.

    Raises:
        ValueError: ``parts`` holds more, or none.

    Example:
        >>> from hypernova.embedder import SharedPart, SharedParts
        >>> parts = SharedParts([SharedPart.from_text("start", "You are a careful engineer.")])
        >>> parts.remaining("You are a careful engineer. Fix the race")
        'Fix the race'
    """

    def __init__(self, parts: Iterable[SharedPart]) -> None:
        self.parts = tuple(sorted(set(parts)))
        if not 1 <= len(self.parts) <= MAX_PARTS:
            raise ValueError(
                f"{len(self.parts)} shared parts were given, expected 1 to {MAX_PARTS}"
            )
        self._starts, self._ends = self._by_length("start"), self._by_length("end")

    def _by_length(self, at: str) -> list[tuple[int, frozenset[bytes]]]:
        """Return the digests of each length, the shortest length first."""
        lengths: dict[int, set[bytes]] = {}
        for part in self.parts:
            if part.at == at:
                lengths.setdefault(part.chars, set()).add(bytes.fromhex(part.sha256))
        return [(chars, frozenset(lengths[chars])) for chars in sorted(lengths)]

    @classmethod
    def from_identity(cls, identity: Mapping[str, object]) -> SharedParts | None:
        """Read the shared parts of an embedder's identity; None if it lists none.

        Raises:
            ArtifactError: The list is malformed.
        """
        if SHARED_TEXT_FIELD not in identity:
            return None
        entries = identity[SHARED_TEXT_FIELD]
        if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_PARTS:
            raise ArtifactError(
                f"section EMBD: the field {SHARED_TEXT_FIELD!r} is malformed, expected a list of "
                f"1 to {MAX_PARTS} shared parts; fit the artifact again"
            )
        return cls(_checked_part(value, index) for index, value in enumerate(entries))

    def to_list(self) -> list[dict[str, object]]:
        """Return the parts as an identity lists them, always in the same order."""
        return [part._asdict() for part in self.parts]

    def remaining_span(self, text: str) -> tuple[int, int]:
        """Return where the rest of a text lies: ``text[start:end]`` without the shared parts."""
        first, last = _strip(text, 0, len(text))
        n_start = self._start_length(text, first, last)
        start, _ = _strip(text, first + n_start, last)
        n_end = self._end_length(text, start, last)
        if not n_start and not n_end:
            return 0, len(text)
        return _strip(text, start, last - n_end)

    def remaining(self, text: str) -> str:
        """Return a text without its shared parts; the text itself where it has none."""
        start, end = self.remaining_span(text)
        return text[start:end]

    def lengths(self, text: str) -> tuple[int, int]:
        """Return the lengths of the beginning and of the end that a text loses; 0 for none."""
        first, last = _strip(text, 0, len(text))
        n_start = self._start_length(text, first, last)
        start, _ = _strip(text, first + n_start, last)
        return n_start, self._end_length(text, start, last)

    def _start_length(self, text: str, first: int, last: int) -> int:
        import hashlib

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

    def _end_length(self, text: str, first: int, last: int) -> int:
        import hashlib

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

    `fit` makes one with ``skip_shared=True``, and the artifact records it: its identity is
    that of the inner embedder with the parts, so that it has a fingerprint of its own.

    Args:
        embedder: An open embedder.
        parts: The beginnings and ends to leave out.

    Raises:
        TypeError: ``embedder`` is not an open embedder.
        ValueError: ``embedder`` skips shared parts already.
    """

    def __init__(self, embedder: TextEmbedder, parts: SharedParts) -> None:
        if not isinstance(embedder, TextEmbedder):
            raise TypeError(f"embedder is {type(embedder).__name__}, expected an open embedder")
        if SHARED_TEXT_FIELD in embedder.identity:
            raise ValueError("the embedder skips shared parts already; give its inner embedder")
        self._embedder = embedder
        self._parts = parts
        self._identity = {**embedder.identity, SHARED_TEXT_FIELD: parts.to_list()}
        self._fingerprint = fingerprint_of_identity(self._identity)

    @property
    def embedder(self) -> TextEmbedder:
        """The inner embedder, which embeds the rest of each text."""
        return self._embedder

    @property
    def parts(self) -> SharedParts:
        """The beginnings and ends that are left out."""
        return self._parts

    @property
    def name(self) -> str:
        """The name of the inner embedder."""
        return self._embedder.name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._embedder.dim

    @property
    def fingerprint(self) -> str:
        """The sha256 of the identity's canonical JSON, as 64 hex digits."""
        return self._fingerprint

    @property
    def identity(self) -> dict[str, object]:
        """The identity of the inner embedder, with the parts; a copy."""
        return {**self._identity, SHARED_TEXT_FIELD: self._parts.to_list()}

    def _pickle_key(self) -> Hashable:
        return type(self), self._embedder._pickle_key(), self._parts

    def _vector_fingerprint(self) -> str:
        inner = self._embedder._vector_fingerprint()
        if inner == self._embedder.fingerprint:
            return self._fingerprint
        return fingerprint_of_identity({"of": inner, SHARED_TEXT_FIELD: self._parts.to_list()})

    def _innermost(self) -> TextEmbedder:
        return self._embedder._innermost()

    def _min_batch(self) -> int:
        return self._embedder._min_batch()

    def _max_batch(self) -> int:
        return self._embedder._max_batch()

    def __repr__(self) -> str:
        return f"SkipSharedEmbedder({self._embedder!r}, {len(self._parts.parts)} parts)"

    def cut(self, text: str) -> str:
        """Return the text without shared parts, after the cut of the inner embedder."""
        return self._embedder.cut(self._parts.remaining(text))

    def key_of(self, text: str) -> bytes:
        """Return the inner embedder's key of the text without shared parts."""
        check_is_text(text, None)
        return self._embedder.key_of(self._parts.remaining(text))

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Return the parts of a text that its vector depends on, none of them shared."""
        check_is_text(text, None)
        start, end = self._parts.remaining_span(text)
        inner = self._embedder.read_spans(text[start:end])
        return tuple((start + first, start + last) for first, last in inner)

    def embed_one(self, text: str) -> Vectors:
        """Embed one text without its shared parts.

        Args:
            text: As for the inner embedder.

        Returns:
            float32 of shape (dim,) and length 1.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: As from the inner embedder, like the next.
            EmbedderError: As from the inner embedder.
        """
        check_is_text(text, None)
        return self._embedder.embed_one(self._parts.remaining(text))

    def _embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        for text, index in zip(texts, indices, strict=True):
            check_is_text(text, index)
        return self._embedder._embed_indexed(
            [self._parts.remaining(text) for text in texts], indices, progress
        )


def _checked_part(value: Any, index: int) -> SharedPart:
    """Read one entry of the field; an artifact may come from anywhere."""
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
        f"section EMBD: entry {index} of the field {SHARED_TEXT_FIELD!r} is malformed, expected at "
        '("start" or "end"), chars (an integer from 1) and sha256 (64 hex digits); fit the '
        "artifact again"
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the bounds of ``text[start:end]`` without the blanks at its ends."""
    first, last = visible_span(text[start:end])
    return start + first, start + last
