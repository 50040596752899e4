"""The interface of every embedder: name, dimension, fingerprint, and texts to vectors.

Not here: any way to make a vector (see ``embedder`` and ``function``) or to keep it (see
``cache`` and ``stored``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from hypernova.embedder.text.checks import check_has_text, check_is_sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt

    from hypernova._core import LookupEmbedder

    # Imported under TYPE_CHECKING only, like NumPy: a router of the bundled model loads none.
    Vectors: TypeAlias = npt.NDArray[np.float32]

# Of an embedder that is not ours, and may call a service.
_BATCH = 256


class TextEmbedder(ABC):
    """Turns texts into float32 vectors of unit length; accepted wherever an embedder is.

    `Embedder` runs a model, `CallableEmbedder` calls a function, `CachedEmbedder` keeps vectors in
    memory, `StoredEmbedder` in a folder.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The name in artifacts and messages."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a vector."""

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
            EmbedderError: The vector has a wrong shape or no direction.
        """

    def embed(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> Vectors:
        """Embed many texts, in batches.

        Args:
            texts: The texts, each treated as ``embed_one`` treats it.
            progress: Called after each batch with its number of texts.

        Returns:
            float32 of shape (len(texts), dim), C-contiguous, in the order of ``texts``, each row
            of length 1 and, up to float rounding, the same as from ``embed_one``.

        Raises:
            TypeError: ``texts`` is one str or no sequence, or one of the texts is not a str.
            TextError: A text is empty, only blanks, or holds no token; the message has its
                index.
            EmbedderError: A vector has a wrong shape or no direction.
        """
        check_is_sequence(texts, "embed_one")
        return self._embed_indexed(texts, range(len(texts)), progress)

    @abstractmethod
    def _embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        """Do the work of ``embed``; ``indices`` name the texts in messages."""

    def _pickle_key(self) -> Hashable:
        """Return a key that is equal for one embedder that was unpickled twice in a process."""
        return self

    def _vector_fingerprint(self) -> str:
        """Return the fingerprint of the vectors as they are made here.

        It differs from `fingerprint` where that is an artifact's that states no arithmetic, and the
        core makes the vectors: kept vectors must not mix the two.
        """
        return self.fingerprint

    def _innermost(self) -> TextEmbedder:
        """Return the embedder that makes the vectors, without cache and shared text."""
        return self

    def _lookup(self) -> LookupEmbedder | None:
        """Return the core's own embedder, if this is all that embedding a text here is."""
        return None

    def _min_batch(self) -> int:
        """Return the number of texts that take about as long as one text."""
        return _BATCH

    def _max_batch(self) -> int:
        """Return the number of texts that `_embed_indexed` takes together.

        In parts of that size, each but the last, the same texts get the same vectors to the bit.
        """
        return _BATCH

    def cut(self, text: str) -> str:
        """Return the text after the stated cut, on which alone a vector depends."""
        return text

    def key_of(self, text: str) -> bytes:
        """Return a key of a text; equal keys mean equal vectors.

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
        import hashlib

        return hashlib.sha256(self.cut(text).encode("utf-8", "surrogatepass")).digest()

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Return the parts of a text that its vector depends on; by default all of it.

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
