"""An embedder that looks a vector up in a folder, and keeps there what it had to embed.

Not here: files (see ``store``), and the cache in memory of a serving process (see
``hypernova.embedder.cache``).
"""

from __future__ import annotations

import hashlib
import time
import weakref
from typing import TYPE_CHECKING, Final

import numpy as np

from hypernova.embedder.base import TextEmbedder
from hypernova.embedder.shared_text import SkipSharedEmbedder
from hypernova.embedder.stored.store import VectorStore
from hypernova.embedder.stored.vector_file import KEY_BYTES
from hypernova.embedder.text.checks import check_has_text, check_is_text
from hypernova.paths import make_folder, path_label
from hypernova.unpickled import UnpickledCache

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from pathlib import Path

    from hypernova.embedder.base import Vectors
    from hypernova.embedder.stored.vector_file import Keys

# Texts that are looked up at a time, and vectors of one file.
_PART: Final = 8192
# A file holds fewer vectors than that where they took longer.
_WRITE_AFTER_S: Final = 10.0


class StoredEmbedder(TextEmbedder):
    """An embedder that keeps vectors in a folder, so that another run embeds nothing again.

    It has the identity of the embedder that it wraps. Vectors are kept in ``folder`` under the
    fingerprint, by a sha256 of the text, and come back to the bit. `embed` keeps each 8,192
    vectors, or those of 10 seconds, as soon as it has them, and at its end the rest, also if a
    text fails; `embed_one` looks a vector up, and does not keep one.

    The folder may be deleted, in part or whole, at any time, and shared among processes and
    machines; a file that is damaged is not used. Where nothing can be written any more, as on a
    full disk, a warning is logged and embedding goes on. All this costs is embedding again.

    Safe to share among threads. A pickle holds the embedder and the folder's path.

    Args:
        embedder: An open embedder.
        folder: The folder for vectors of any number of embedders; it is made if it is not there.

    Raises:
        TypeError: ``embedder`` is not an open embedder.
        ValueError: ``embedder`` keeps its vectors already.
        WriteError: ``folder`` is a file, or cannot be made or written to.

    Example:
        >>> import tempfile
        >>> from hypernova.embedder import Embedder, StoredEmbedder
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first = StoredEmbedder(Embedder.load("static"), folder).embed(["Sort a list"])
        ...     again = StoredEmbedder(Embedder.load("static"), folder).embed(["Sort a list"])
        >>> bool((first == again).all())
        True
    """

    def __init__(self, embedder: TextEmbedder, folder: str | os.PathLike[str]) -> None:
        if not isinstance(embedder, TextEmbedder):
            raise TypeError(f"embedder is {type(embedder).__name__}, expected an open embedder")
        for layer in _layers(embedder):
            if isinstance(layer, StoredEmbedder):
                raise ValueError(
                    f"the embedder keeps its vectors in {path_label(layer.folder)} already; "
                    "name one folder, in one place"
                )
        # Absolute: the process may go to another folder.
        self._begin(embedder, make_folder(folder).absolute())
        make_folder(self._folder / embedder._vector_fingerprint())

    def _begin(self, embedder: TextEmbedder, folder: Path) -> None:
        self._embedder = embedder
        self._folder = folder
        made = embedder._vector_fingerprint()
        self._store = VectorStore(folder / made, made, embedder.dim)
        weakref.finalize(self, self._store.flush)

    @property
    def embedder(self) -> TextEmbedder:
        """The inner embedder, which makes the vectors."""
        return self._embedder

    @property
    def folder(self) -> Path:
        """The folder, absolute."""
        return self._folder

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
        """The fingerprint of the inner embedder: a kept vector is the same vector."""
        return self._embedder.fingerprint

    @property
    def identity(self) -> dict[str, object]:
        """The identity of the inner embedder; a copy."""
        return self._embedder.identity

    def __reduce__(
        self,
    ) -> tuple[Callable[..., TextEmbedder], tuple[type[StoredEmbedder], TextEmbedder, Path]]:
        return _open_again, (type(self), self._embedder, self._folder)

    def _pickle_key(self) -> Hashable:
        return type(self), self._embedder._pickle_key(), self._folder

    def _vector_fingerprint(self) -> str:
        return self._embedder._vector_fingerprint()

    def _innermost(self) -> TextEmbedder:
        return self._embedder._innermost()

    def _min_batch(self) -> int:
        return self._embedder._min_batch()

    def _max_batch(self) -> int:
        return self._embedder._max_batch()

    def __repr__(self) -> str:
        return f"StoredEmbedder({self._embedder!r}, {str(self._folder)!r})"

    def cut(self, text: str) -> str:
        """Return the text after the cut of the inner embedder."""
        return self._embedder.cut(text)

    def key_of(self, text: str) -> bytes:
        """Return the inner embedder's key; no vector is made or looked up."""
        return self._embedder.key_of(text)

    def read_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Return the spans that the inner embedder reads; no vector is made or looked up."""
        return self._embedder.read_spans(text)

    def embed_one(self, text: str) -> Vectors:
        """Return the vector of one text, from the folder if it is there; it is not kept.

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
        exact = str.__str__(text)
        vectors = np.empty((1, self.dim), dtype=np.float32)
        if self._store.find(_key_array([_key(exact)]), vectors, look=False)[0]:
            vector: Vectors = vectors[0]
            return vector
        return self._embedder.embed_one(exact)

    def _embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        for text, index in zip(texts, indices, strict=True):
            check_is_text(text, index)
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        # The rows of each text that was not found: of one part, or of several that have few.
        missing: dict[bytes, list[int]] = {}
        for start in range(0, len(texts), _PART):
            # An exact str: a subclass may encode as it likes, and change.
            keys = [_key(str.__str__(text)) for text in texts[start : start + _PART]]
            found = self._store.find(
                _key_array(keys), vectors[start : start + len(keys)], look=True
            )
            n_before = len(missing)
            for row in (np.flatnonzero(~found) + start).tolist():
                rows = missing.setdefault(keys[row - start], [])
                if not rows:  # before the part is embedded, not midway
                    check_has_text(texts[row], indices[row])
                rows.append(row)
            n_new = len(missing) - n_before
            if progress is not None and n_new < len(keys):
                progress(len(keys) - n_new)
            if len(missing) >= _PART:
                self._embed_missing(texts, indices, missing, vectors, progress)
                missing = {}
        self._embed_missing(texts, indices, missing, vectors, progress)
        return vectors

    def _embed_missing(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        missing: dict[bytes, list[int]],
        vectors: Vectors,
        progress: Callable[[int], None] | None,
    ) -> None:
        """Embed texts and keep their vectors: what was embedded when a text fails, too.

        Args:
            texts: As for `_embed_indexed`, like ``indices`` and ``progress``.
            indices: Of all texts.
            missing: The rows of each text to embed, by its key.
            vectors: Takes the vectors, float32 (len(texts), dim).
            progress: Of the call.
        """
        keys = list(missing)
        first_rows = [rows[0] for rows in missing.values()]  # the others are repeats
        # The texts that the embedder takes together, so that vectors are those of one call.
        size = self._embedder._max_batch()
        n_made = n_kept = 0
        kept_at = time.monotonic()
        try:
            for start in range(0, len(keys), size):
                rows = first_rows[start : start + size]
                vectors[rows] = self._embedder._embed_indexed(
                    [str.__str__(texts[row]) for row in rows],
                    [indices[row] for row in rows],
                    progress,
                )
                n_made = start + len(rows)
                if n_made - n_kept >= _PART or time.monotonic() - kept_at >= _WRITE_AFTER_S:
                    self._store.keep(keys[n_kept:n_made], vectors[first_rows[n_kept:n_made]])
                    n_kept, kept_at = n_made, time.monotonic()
        finally:
            self._store.keep(
                keys[n_kept:n_made],
                vectors[first_rows[n_kept:n_made]],
                is_end=n_made == len(keys),
            )
        for rows in missing.values():
            if len(rows) > 1:
                vectors[rows[1:]] = vectors[rows[0]]


def store_vectors(embedder: TextEmbedder, folder: str | os.PathLike[str]) -> TextEmbedder:
    """Return an embedder that keeps its vectors in a folder, and skips what it skipped before.

    Args:
        embedder: An open embedder. Of one that skips shared parts, the inner one keeps the vectors
            of what remains of a text.
        folder: As for `StoredEmbedder`.

    Raises:
        TypeError: As from `StoredEmbedder`, like the others.
        ValueError: ``embedder`` keeps its vectors already.
        WriteError: ``folder`` cannot be used.

    Example:
        >>> import tempfile
        >>> from hypernova.embedder import Embedder, store_vectors
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store_vectors(Embedder.load("static"), folder).name
        'static'
    """
    if isinstance(embedder, SkipSharedEmbedder):
        return SkipSharedEmbedder(StoredEmbedder(embedder.embedder, folder), embedder.parts)
    return StoredEmbedder(embedder, folder)


def _layers(embedder: TextEmbedder) -> Iterator[TextEmbedder]:
    """Yield an embedder, the one within, and so on."""
    layer: object = embedder
    while isinstance(layer, TextEmbedder):
        yield layer
        layer = getattr(layer, "embedder", None)


def _key(text: str) -> bytes:
    # Of the text and not of its tokens, as of `key_of`: making tokens is most of `static`'s work.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _key_array(keys: list[bytes]) -> Keys:
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, KEY_BYTES)


_unpickled: UnpickledCache[Hashable, StoredEmbedder] = UnpickledCache()


def _open_again(kind: type[StoredEmbedder], embedder: TextEmbedder, folder: Path) -> StoredEmbedder:
    """Open what a pickle names, or return what an equal pickle has opened in this process.

    The folder is not tried: work that began with a disk that had space goes on without.
    """

    def make(_: object) -> StoredEmbedder:
        stored = kind.__new__(kind)
        stored._begin(embedder, folder)
        return stored

    key = kind, embedder._pickle_key(), folder
    try:
        hash(key)
    except TypeError:  # a function that cannot be compared
        return make(None)
    return _unpickled.get(key, make)
