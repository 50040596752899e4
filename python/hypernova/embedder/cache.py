"""Keep the vectors of the most recent texts.

Not here: any way to make a vector; any embedder can be wrapped.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from hypernova.embedder.base import TextEmbedder
from hypernova.embedder.shared_text import SkipSharedEmbedder
from hypernova.embedder.text.checks import check_is_text
from hypernova.forked import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from hypernova.embedder.base import Vectors


class CacheInfo(NamedTuple):
    """Statistics of a cache, named as those of ``functools.lru_cache``.

    Attributes:
        hits: Texts whose vector was in the cache, or was computed in the same call.
        misses: Texts that were embedded, with or without success.
        maxsize: Number of vectors that the cache can hold.
        currsize: Number of vectors that it holds now.
    """

    hits: int
    misses: int
    maxsize: int
    currsize: int


class CachedEmbedder(TextEmbedder):
    """An embedder that keeps the vectors of recently used texts; safe to share among threads.

    It has the identity of the embedder that it wraps. A text that fails is not kept. Threads
    that miss the same text at the same time each embed it: none waits for another. A kept
    vector is that of the text's first embedding, alone or in a batch; the two agree up
    to float rounding.

    The key of an entry is the text after the embedder's stated cut, which bounds its size; a
    `CallableEmbedder` has no cut. An entry takes the key, ``4 * dim`` bytes and about 200
    more.

    Args:
        embedder: An open embedder.
        size: Number of vectors to keep, from 1; the least recently used one makes room.

    Raises:
        TypeError: ``embedder`` is not an open embedder.
        ValueError: ``size`` is not a whole number from 1, or ``embedder`` has a cache already.

    Example:
        >>> from hypernova.embedder import CachedEmbedder, Embedder
        >>> embedder = CachedEmbedder(Embedder.load("static"), 1000)
        >>> for text in ["Sort a list", "Join two tables", "Sort a list"]:
        ...     _ = embedder.embed_one(text)
        >>> embedder.cache_info()
        CacheInfo(hits=1, misses=2, maxsize=1000, currsize=2)
    """

    def __init__(self, embedder: TextEmbedder, size: int) -> None:
        check_size(size)
        inner = embedder.embedder if isinstance(embedder, SkipSharedEmbedder) else embedder
        if isinstance(inner, CachedEmbedder):
            raise ValueError("the embedder has a cache already; give one size, in one place")
        if not isinstance(embedder, TextEmbedder):
            raise TypeError(f"embedder is {type(embedder).__name__}, expected an open embedder")
        self._embedder = embedder
        self._size = size
        self._lock = ForkSafeLock()
        # Bytes, which nobody can change; an array, even a read-only one, can be given another
        # shape or dtype by whoever holds it.
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._hits = self._misses = 0

    @property
    def embedder(self) -> TextEmbedder:
        """The inner embedder, which makes the vectors."""
        return self._embedder

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
        """The fingerprint of the inner embedder: a cache changes no vector."""
        return self._embedder.fingerprint

    @property
    def identity(self) -> dict[str, object]:
        """The identity of the inner embedder; a copy."""
        return self._embedder.identity

    def __reduce__(self) -> tuple[type[CachedEmbedder], tuple[TextEmbedder, int]]:
        return type(self), (self._embedder, self._size)  # the texts of one process stay there

    def _pickle_key(self) -> Hashable:
        return type(self), self._embedder._pickle_key(), self._size

    def _vector_fingerprint(self) -> str:
        return self._embedder._vector_fingerprint()

    def _innermost(self) -> TextEmbedder:
        return self._embedder._innermost()

    def _min_batch(self) -> int:
        return self._embedder._min_batch()

    def _max_batch(self) -> int:
        return self._embedder._max_batch()

    def __repr__(self) -> str:
        return f"CachedEmbedder({self._embedder!r}, {self._size})"

    def cache_info(self) -> CacheInfo:
        """Return the number of hits, misses and entries."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, self._size, len(self._kept))

    def cache_clear(self) -> None:
        """Drop all vectors, and set hits and misses to 0."""
        with self._lock:
            self._kept.clear()
            self._hits = self._misses = 0

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
        """Return the vector of one text, from the cache if it is there.

        Args:
            text: As for the inner embedder.

        Returns:
            float32 of shape (dim,) and length 1, read-only.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: As from the inner embedder, like the next.
            EmbedderError: As from the inner embedder.
        """
        import numpy as np

        key = self._key(text, None)
        with self._lock:
            kept = self._look_up(key)
        if kept is None:
            # The text and not its key: a cut text may be cut again to another one.
            kept = self._embedder.embed_one(str.__str__(text)).tobytes()
            with self._lock:
                self._keep(key, kept)
        return np.frombuffer(kept, dtype=np.float32)

    def _embed_indexed(
        self,
        texts: Sequence[str],
        indices: Sequence[int],
        progress: Callable[[int], None] | None,
    ) -> Vectors:
        import numpy as np

        keys = [self._key(text, index) for text, index in zip(texts, indices, strict=True)]
        vectors = np.empty((len(keys), self.dim), dtype=np.float32)
        missing: dict[str, list[int]] = {}
        with self._lock:
            for row, key in enumerate(keys):
                if key in missing:
                    missing[key].append(row)
                    self._hits += 1
                elif (kept := self._look_up(key)) is None:
                    missing[key] = [row]
                else:
                    vectors[row] = np.frombuffer(kept, dtype=np.float32)
        if progress is not None and len(missing) < len(keys):
            progress(len(keys) - len(missing))
        if missing:
            # Texts and not their keys, as in `embed_one`; messages name the first of equal texts.
            first_rows = [rows[0] for rows in missing.values()]
            made = self._embedder._embed_indexed(
                [str.__str__(texts[row]) for row in first_rows],
                [indices[row] for row in first_rows],
                progress,
            )
            for vector, rows in zip(made, missing.values(), strict=True):
                vectors[rows] = vector
            with self._lock:
                # A batch larger than the cache keeps its end.
                for key, vector in list(zip(missing, made, strict=True))[-self._size :]:
                    self._keep(key, vector.tobytes())
        return vectors

    def _key(self, text: str, index: int | None) -> str:
        check_is_text(text, index)
        # An exact str: a subclass may compare and hash as it likes, and change.
        return self._embedder.cut(str.__str__(text))

    def _look_up(self, key: str) -> bytes | None:
        """Return a kept vector, and count a hit or a miss; the caller holds the lock."""
        kept = self._kept.get(key)
        if kept is None:
            self._misses += 1
        else:
            self._hits += 1
            self._kept.move_to_end(key)
        return kept

    def _keep(self, key: str, vector: bytes) -> None:
        """Keep a vector as the most recent one; the caller holds the lock."""
        # If another thread was first, its vector stays.
        self._kept.setdefault(key, vector)
        self._kept.move_to_end(key)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)


def check_size(size: int) -> None:
    """Refuse a size that is not a whole number from 1.

    Raises:
        ValueError: It is not.
    """
    if type(size) is not int or size < 1:
        raise ValueError(f"the cache's size is {size!r}, expected a whole number from 1")
