"""An artifact with the embedder that it was fitted with: what one request sees.

Not here: when another one takes its place (see ``router``).
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from hypernova.embedder import CachedEmbedder
from hypernova.embedder.of_artifact import adapted_to, load_bundled_for

if TYPE_CHECKING:
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
        self._threads = threads
        self._device: Device = device
        self._cache = cache
        self._lock = threading.Lock()
        self._embedder: TextEmbedder | None = None
        if embedder is not None:
            self._embedder = self._cached(adapted_to(identity_of(artifact), embedder))

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

        Args:
            artifact: What takes over.
            given: The embedder that the caller has chosen, or None.

        Raises:
            EmbedderMismatchError: The embedder that was given is not the artifact's, or there is
                no bundled one for it.
        """
        same = self._embedder
        if same is not None and same.fingerprint != identity_of(artifact)["fingerprint"]:
            same = None
        new = Serving(
            artifact,
            given if same is None else None,
            threads=self._threads,
            device=self._device,
            cache=self._cache,
        )
        if same is not None:
            new._embedder = same  # with what its cache holds
        elif self._embedder is not None:
            _ = new.embedder  # now, and not when the next request waits for it
        return new

    def _load(self) -> TextEmbedder:
        identity = identity_of(self.artifact)
        return self._cached(load_bundled_for(identity, threads=self._threads, device=self._device))

    def _cached(self, embedder: TextEmbedder) -> TextEmbedder:
        return embedder if self._cache is None else CachedEmbedder(embedder, self._cache)


def identity_of(artifact: Artifact) -> dict[str, object]:
    """Who made the artifact's vectors."""
    # Validated when the artifact was opened.
    identity: dict[str, object] = json.loads(artifact.embedder)
    return identity
