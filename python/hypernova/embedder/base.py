"""What every embedder has in common: a name, a dimension, a fingerprint, and texts to vectors.

Not here: how a vector is made (see ``embedder`` and ``function``) or kept (see ``cache``).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hypernova.canonical import canonical_json
from hypernova.embedder.text.cut import is_blank
from hypernova.errors import TextError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

Vectors = npt.NDArray[np.float32]


class TextEmbedder(ABC):
    """What turns texts into float32 vectors of unit length; accepted wherever an embedder is.

    `Embedder` runs a model, `CallableEmbedder` calls a function, `CachedEmbedder` remembers.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called, in artifacts and in messages."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """How many numbers a vector has."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """The sha256 of the identity's canonical JSON, as 64 hex digits."""

    @property
    @abstractmethod
    def identity(self) -> dict[str, object]:
        """Every setting that affects a vector; a copy."""

    @abstractmethod
    def embed_one(self, text: str) -> Vectors:
        """Embed one text.

        Args:
            text: At least one visible character.

        Returns:
            float32 of shape (dim,) and length 1.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
            EmbedderError: The vector is not what was promised.
        """

    def embed(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> Vectors:
        """Embed many texts, in batches.

        Args:
            texts: The texts, each treated as ``embed_one`` treats it.
            progress: Called as the work goes on, each time with the number of texts that are
                newly done.

        Returns:
            float32 of shape (len(texts), dim), C-contiguous, in the order of ``texts``, each row
            of length 1 and, up to float rounding, the same as from ``embed_one``.

        Raises:
            TypeError: ``texts`` is one str, or one of the texts is not a str.
            TextError: A text is empty, only blanks, or holds no token; the message has its
                index.
            EmbedderError: A vector is not what was promised.
        """
        if isinstance(texts, str):
            raise TypeError("texts is a str, expected a sequence of str; use embed_one")
        return self._embed_at(texts, range(len(texts)), progress)

    @abstractmethod
    def _embed_at(
        self,
        texts: Sequence[str],
        places: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        """Do what ``embed`` does; ``places`` are the indices of the texts, for messages."""

    def _key_of_pickle(self) -> Hashable:
        """Give what is equal if this is the same embedder, unpickled twice in a process."""
        return self

    def cut(self, text: str) -> str:
        """Give what is left of a text after the stated cut: all that a vector depends on."""
        return text

    def key_of(self, text: str) -> bytes:
        """Give a key of what a text's vector depends on; equal keys mean equal vectors.

        Args:
            text: As for ``embed_one``.

        Returns:
            32 bytes, by default a sha256 of the text after the cut. Texts of one key have the
            same vector, to the bit, each embedded alone.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
        """
        check_has_text(text, None)
        return hashlib.sha256(self.cut(text).encode("utf-8", "surrogatepass")).digest()

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Tell which characters of a text its vector depends on; by default all.

        Args:
            text: As for ``embed_one``.

        Returns:
            Spans (first character, the one after the last), rising and disjoint.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
        """
        check_has_text(text, None)
        return ((0, len(text)),)


def fingerprint_of_identity(identity: Mapping[str, Any]) -> str:
    """Give the sha256 of an identity's canonical JSON."""
    text = canonical_json(identity)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_is_text(text: object, place: int | None) -> None:
    """Refuse what is not a str."""
    if not isinstance(text, str):
        raise TypeError(f"{label(place)} is {type(text).__name__}, expected str")


def check_has_text(text: object, place: int | None) -> None:
    """Refuse what is not a str, or holds blanks alone."""
    check_is_text(text, place)
    assert isinstance(text, str)
    if is_blank(text):
        raise empty(place)


def empty(place: int | None) -> TextError:
    """The error for a text of blanks alone."""
    return TextError(f"{label(place)} is empty: expected at least one visible character")


def label(place: int | None) -> str:
    """Name a text in a message, by its index if it is one of several."""
    return "the text" if place is None else f"text {place}"
