"""An artifact with its embedder: the state that one request reads.

Not here: the change to another artifact (see ``Router.reload``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from hypernova._core import Artifact
from hypernova.embedder.backend import LoadOptions
from hypernova.embedder.resolve import (
    check_bundled_for,
    embedder_label,
    has_bundled,
    load_bundled_for,
    match_embedder,
)
from hypernova.errors import EmbedderMismatchError
from hypernova.forked import ForkSafeLock
from hypernova.paths import path_label
from hypernova.router.shadow import ShadowedArtifact, takes_vectors_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from hypernova._core import Decision, LookupEmbedder
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.route_options import BatchRouteOptions


class Serving:
    """An artifact and its embedder, which is loaded when it is first read.

    Args:
        artifact: The artifact that decides.
        embedder: An open embedder, the artifact's own; None for the bundled one.
        threads: Threads that embed one text.
        device: Device that the embedder is loaded on.
        cache: Size of the cache that is put around the embedder; None for no cache.
        mmap: How the embedder's model file is opened.
        shadow: An artifact that decides beside the first, for the log; None for none.

    Attributes:
        decide: Decides for a vector: the artifact's own method, or that of both with a shadow.
        lookup: The core's embedder, which decides for a text in one call; None where there is none,
            where something is put around it, where there is a shadow, or before it is loaded.
        is_quick: Whether a text is embedded in microseconds, by the core.

    Raises:
        ValueError: ``cache`` is no whole number from 1, or ``threads``, ``device`` or ``mmap``
            is unknown.
        TypeError: ``threads`` is no whole number, or ``artifact`` no artifact.
        EmbedderMismatchError: The embedder is not the artifact's.
    """

    def __init__(
        self,
        artifact: Artifact,
        embedder: TextEmbedder | None,
        *,
        threads: int,
        device: Device,
        cache: int | None,
        mmap: bool | Literal["auto"] = "auto",
        shadow: Artifact | None = None,
    ) -> None:
        if not isinstance(artifact, Artifact):
            a_path = isinstance(artifact, str | os.PathLike)
            found = f"the path {path_label(artifact)!r}" if a_path else type(artifact).__name__
            raise TypeError(
                f"the artifact is {found}, expected an Artifact; Router.open takes a path"
            )
        if cache is not None:
            from hypernova.embedder.cache import check_size

            check_size(cache)
        LoadOptions(threads, device, mmap=mmap).check()
        self.artifact = artifact
        self.threads = threads
        self.device: Device = device
        self.cache = cache
        self.mmap: bool | Literal["auto"] = mmap
        self.shadow = shadow
        self._both = None if shadow is None else ShadowedArtifact(artifact, shadow)
        self.decide: Callable[..., Decision] = (self._both or artifact).decide
        self.lookup: LookupEmbedder | None = None
        self.is_quick = False
        self._lock = ForkSafeLock()
        self._embedder: TextEmbedder | None = None
        if embedder is not None:
            self._take(self._cached(match_embedder(artifact.embedder, embedder)))

    @property
    def embedder(self) -> TextEmbedder:
        """The embedder with its cache, loaded when first read; raises as ``Router.embedder``."""
        if self._embedder is None:
            with self._lock:  # two first requests load it once
                if self._embedder is None:
                    self._take(self._load())
        assert self._embedder is not None
        return self._embedder

    def decide_each(
        self, vectors: NDArray[np.float32], options: BatchRouteOptions
    ) -> list[Decision]:
        """Return the decision for each row, with that of the shadow."""
        return list((self._both or self.artifact).decide_many(vectors, **options))

    def load_lookup(self) -> LookupEmbedder | None:
        """Return ``lookup`` after the embedder is loaded."""
        _ = self.embedder
        return self.lookup

    @property
    def loaded(self) -> TextEmbedder | None:
        """The embedder, if it has been loaded."""
        return self._embedder

    @property
    def reads_text(self) -> bool:
        """True if there is an embedder: the given one, or a bundled one that the artifact names."""
        return self._embedder is not None or has_bundled(self.artifact.embedder)

    def with_artifact(self, artifact: Artifact, given: TextEmbedder | None) -> Serving:
        """Return the same with another artifact; a loaded embedder is kept, or its like loaded.

        Whatever can be asked of this one can be asked of the other: if it routes text, so does
        the other; if not, the other takes vectors of the same kind.

        Args:
            artifact: The artifact that takes over.
            given: The embedder that the caller has chosen, or None.

        Raises:
            EmbedderMismatchError: The given embedder is not the artifact's, or no bundled one is,
                or the artifact takes other vectors.
            EmbedderError: The bundled embedder is damaged.
        """
        loaded = self._embedder  # once: another request may be loading it now
        old, new = self.artifact.embedder, artifact.embedder
        same = takes_vectors_of(self.artifact, artifact)
        other = Serving(
            artifact,
            given,
            threads=self.threads,
            device=self.device,
            cache=self.cache,
            mmap=self.mmap,
            shadow=self.shadow,
        )
        if same and loaded is not None:
            other._take(loaded)  # with the vectors in its cache
        elif not same and given is None:
            if not has_bundled(old):
                _check_takes_vectors_of(old, new)
            elif loaded is None:
                check_bundled_for(new)
            else:
                _ = other.embedder  # loaded now, so that no request waits for it
        return other

    def _load(self) -> TextEmbedder:
        identity = self.artifact.embedder
        return self._cached(
            load_bundled_for(identity, threads=self.threads, device=self.device, mmap=self.mmap)
        )

    def _take(self, embedder: TextEmbedder) -> None:
        self.is_quick = embedder._innermost()._lookup() is not None
        self.lookup = None if self.shadow is not None else embedder._lookup()
        self._embedder = embedder

    def _cached(self, embedder: TextEmbedder) -> TextEmbedder:
        if self.cache is None:
            return embedder
        from hypernova.embedder.cache import CachedEmbedder

        return CachedEmbedder(embedder, self.cache)


def _check_takes_vectors_of(old: dict[str, object], new: dict[str, object]) -> None:
    """Refuse an artifact of other vectors for a router that only vectors can be sent to."""
    both = old["kind"] == new["kind"] == "vectors"
    if not (both and old["dim"] == new["dim"]):
        raise EmbedderMismatchError(
            f"the present artifact takes vectors of {embedder_label(old)}, of dimension "
            f"{old['dim']}, and the new one those of {embedder_label(new)}, of dimension "
            f"{new['dim']}: open it with a router of its own"
        )
