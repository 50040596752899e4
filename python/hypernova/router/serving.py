"""An artifact with the embedder that it was fitted with: what one request sees.

Not here: when another one takes its place (see ``router``).
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from hypernova.embedder import (
    CachedEmbedder,
    Embedder,
    TextEmbedder,
    bundled_embedders,
    find_bundled,
)
from hypernova.embedder.function import SOURCE as CALLABLE
from hypernova.errors import EmbedderMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernova._core import Artifact
    from hypernova.embedder import Device


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
        self._embedder = None if embedder is None else self._checked(embedder)

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
        if identity["kind"] == "vectors":
            raise EmbedderMismatchError(
                f"this artifact routes vectors only ({identity['name']}): call decide or "
                "decide_many with vectors of the same origin"
            )
        folder = find_bundled(str(identity["fingerprint"]))
        if folder is None and identity.get("source") == CALLABLE:
            raise EmbedderMismatchError(
                f"the artifact was fitted with the callable embedder {_label(identity)}, which "
                "an artifact cannot hold: pass embedder=hypernova.CallableEmbedder(function, "
                f"name={identity['name']!r}, dim={identity['dim']})"
            )
        if folder is None:
            raise EmbedderMismatchError(
                f"the artifact was fitted with the embedder {_label(identity)}, which is none of "
                f"the bundled ones ({', '.join(sorted(bundled_embedders()))}): "
                "pass embedder= with its folder"
            )
        return self._checked(Embedder.load(folder, threads=self._threads, device=self._device))

    def _checked(self, embedder: TextEmbedder) -> TextEmbedder:
        """The embedder, if it is the artifact's, with its cache."""
        identity = identity_of(self.artifact)
        if embedder.fingerprint != identity["fingerprint"]:
            given = {"name": embedder.name, "fingerprint": embedder.fingerprint}
            raise EmbedderMismatchError(
                f"the artifact was fitted with the embedder {_label(identity)}, and the one given "
                f"is {_label(given)}: pass the former, or fit again with the latter"
            )
        return embedder if self._cache is None else CachedEmbedder(embedder, self._cache)


def identity_of(artifact: Artifact) -> dict[str, object]:
    """Who made the artifact's vectors."""
    # Validated when the artifact was opened.
    identity: dict[str, object] = json.loads(artifact.embedder)
    return identity


def _label(identity: Mapping[str, object]) -> str:
    """Name and fingerprint: two embedders may share a name."""
    return f"{identity['name']} ({str(identity['fingerprint'])[:12]})"
