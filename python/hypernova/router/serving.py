"""An artifact with the embedder that it was fitted with: what one request sees.

Not here: when another one takes its place (see ``router``).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hypernova.embedder import CachedEmbedder
from hypernova.embedder.of_artifact import (
    adapted_to,
    check_bundled_for,
    has_bundled,
    label_of,
    load_bundled_for,
)
from hypernova.errors import EmbedderMismatchError
from hypernova.unpickled import Unpickled

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder


class Serving:
    """An artifact and its embedder, which is loaded when it is first asked for.

    Args:
        artifact: What decides.
        embedder: Open, and the artifact's own, or None for the bundled one.
        threads: Threads that embed one text.
        device: Where the embedder is loaded.
        cache: Size of the cache that is put around it, or None.

    Raises:
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
    ) -> None:
        self.artifact = artifact
        self.threads = threads
        self.device: Device = device
        self.cache = cache
        self._lock = threading.Lock()
        self._embedder: TextEmbedder | None = None
        if embedder is not None:
            self._embedder = self._cached(adapted_to(artifact.embedder, embedder))

    @property
    def embedder(self) -> TextEmbedder:
        """Loaded when first read, with its cache; raises as ``Router.embedder``."""
        if self._embedder is None:
            with self._lock:  # two first requests load it once
                if self._embedder is None:
                    self._embedder = self._load()
        return self._embedder

    @property
    def loaded(self) -> TextEmbedder | None:
        """The embedder, if it has been loaded."""
        return self._embedder

    def replaced_by(self, artifact: Artifact, given: TextEmbedder | None) -> Serving:
        """The same with another artifact; an embedder that was loaded stays or is loaded.

        What can be asked of this one can be asked of the other: if it routes text, so does the
        other; if not, the other takes vectors of the same kind.

        Args:
            artifact: What takes over.
            given: The embedder that the caller has chosen, or None.

        Raises:
            EmbedderMismatchError: The embedder that was given is not the artifact's, or there is
                no bundled one for it, or it takes other vectors.
            EmbedderError: The bundled one is damaged.
        """
        # Read once: a request may be loading it now.
        loaded = self._embedder
        old, identity = self.artifact.embedder, artifact.embedder
        same = all(old[key] == identity[key] for key in ("fingerprint", "kind", "dim"))
        new = Serving(artifact, given, threads=self.threads, device=self.device, cache=self.cache)
        if same and loaded is not None:
            new._embedder = loaded  # with what its cache holds
        elif not same and given is None:
            if not has_bundled(old):
                _check_takes_vectors_of(old, identity)
            elif loaded is None:
                check_bundled_for(identity)
            else:
                _ = new.embedder  # now, and not when the next request waits for it
        return new

    def _load(self) -> TextEmbedder:
        identity = self.artifact.embedder
        return self._cached(load_bundled_for(identity, threads=self.threads, device=self.device))

    def _cached(self, embedder: TextEmbedder) -> TextEmbedder:
        return embedder if self.cache is None else CachedEmbedder(embedder, self.cache)


# By the artifact's sha256 and path, and all else that a router is opened with.
_unpickled: Unpickled[tuple[str, object, Hashable], Serving] = Unpickled()


def serving_of_pickle(
    artifact: Artifact,
    embedder: TextEmbedder | None,
    *,
    threads: int,
    device: Device,
    cache: int | None,
) -> Serving:
    """Give what serves a router that came with a pickle: the same to all that are alike.

    A pool sends the router again with every task; this way its embedder is loaded once, and
    its cache is of use. An embedder that another one has loaded is taken over.

    Args:
        artifact: As in `Serving`, like all that follows.
        embedder: Given by the caller, or None.
        threads: Threads that embed one text.
        device: Where the embedder is loaded.
        cache: Size of the cache, or None.

    Raises:
        EmbedderMismatchError: The embedder is not the artifact's.
    """
    of_embedder = None if embedder is None else embedder._key_of_pickle()
    like = of_embedder, artifact.embedder["fingerprint"], threads, device, cache

    def make(others: Iterable[tuple[tuple[str, object, Hashable], Serving]] = ()) -> Serving:
        for (_, _, its), other in others:
            if its == like and other.loaded is not None:
                return other.replaced_by(artifact, embedder)
        return Serving(artifact, embedder, threads=threads, device=device, cache=cache)

    try:
        hash(like)
    except TypeError:  # a function that nothing can be told of
        return make()
    return _unpickled.get((artifact.sha256, artifact.path, like), make)


def _check_takes_vectors_of(old: dict[str, object], new: dict[str, object]) -> None:
    """Refuse an artifact for a router that only vectors can be sent to, if it takes others."""
    both = old["kind"] == new["kind"] == "vectors"
    if not (both and old["dim"] == new["dim"]):
        raise EmbedderMismatchError(
            f"the present artifact takes vectors of {label_of(old)}, of dimension {old['dim']}, "
            f"and the new one those of {label_of(new)}, of dimension {new['dim']}: open it with a "
            "router of its own"
        )
