"""Route text and vectors with an artifact.

Not here: how an artifact comes to be; serving imports nothing of training.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from hypernova._core import Artifact, Decision, Decisions
from hypernova.embedder import (
    CachedEmbedder,
    CacheInfo,
    Embedder,
    TextEmbedder,
    bundled_embedders,
    find_bundled,
    open_embedder,
)
from hypernova.embedder.cache import check_size
from hypernova.embedder.device import Device, check_device
from hypernova.embedder.function import SOURCE as CALLABLE
from hypernova.errors import EmbedderMismatchError
from hypernova.progress import bar

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

BUNDLED_ARTIFACT = Path(__file__).parent / "bundled" / "default.hnv"


class Wishes(TypedDict, total=False):
    """What a caller may ask for; what is left out is the artifact's default.

    Attributes:
        cost_weight: Success per USD, at least 0.
        latency_weight: Success per second, at least 0.
        max_cost_usd: Dearest expected cost of a task. A model whose cost is unknown
            does not meet it.
        min_success: Least shrunk success estimate, 0 to 1.
        allow: Models to choose from.
        deny: Models not to choose.
        prices: Expected cost of a task in USD by model, instead of the profile's.
    """

    cost_weight: float | None
    latency_weight: float | None
    max_cost_usd: float | None
    min_success: float | None
    allow: Collection[str] | None
    deny: Collection[str] | None
    prices: Mapping[str, float] | None


class Router:
    """Decide which model should answer a prompt. Safe to share among threads.

    The embedder is loaded when the first text comes, or when `embedder` is first
    read: do that at start-up to spare the first request. A router that is given
    vectors only never loads it.

    Args:
        artifact: Of `hypernova.fit`, or `Artifact.open`.
        embedder: Name of a bundled embedder, a folder, or an open embedder (`Embedder`,
            `CallableEmbedder`); by default the bundled one that the artifact was fitted
            with.
        threads: Threads that embed one text.
        device: Where the embedder is loaded, ``"cpu"``, ``"cuda"`` or ``"auto"``, as in
            `Embedder.load`. An open embedder has its own.
        cache: Keep the vectors of so many texts, those used last (`CachedEmbedder`); by
            default none.

    Raises:
        EmbedderMismatchError: The embedder is not the artifact's.
        NotFoundError: There is no such embedder.
        EmbedderError: The embedder's folder is damaged.
        MissingExtraError: ``device`` is ``"cuda"``, and onnxruntime has none. Like the next,
            raised when the embedder is loaded.
        DeviceError: ``device`` is ``"cuda"``, and it cannot be used here.
        ValueError: ``device`` is unknown, or given for an open embedder; or ``cache`` is no
            whole number from 1, or given for an embedder that has a cache.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        embedder: str | os.PathLike[str] | TextEmbedder | None = None,
        threads: int = 1,
        device: Device = "cpu",
        cache: int | None = None,
    ) -> None:
        check_device(device)
        if cache is not None:
            check_size(cache)
        self._artifact = artifact
        self._threads = threads
        self._device: Device = device
        self._cache = cache
        self._lock = threading.Lock()
        self._embedder: TextEmbedder | None = None
        if type(self).decide is Router.decide:
            # The method of the core in place of ours, which only calls it: a call of
            # Python's costs a fifth of a whole decision.
            self.decide = artifact.decide  # type: ignore[method-assign]
        if embedder is not None:
            self._embedder = self._checked(open_embedder(embedder, device=device, threads=threads))

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        embedder: str | os.PathLike[str] | TextEmbedder | None = None,
        threads: int = 1,
        device: Device = "cpu",
        cache: int | None = None,
    ) -> Router:
        """Open an artifact.

        The file is mapped and validated whole. Replace it by renaming another over
        it, as `Artifact.save` does; never write into it.

        Args:
            path: A ``.hnv`` file; by default the bundled artifact, fitted on
                SWE-bench Verified.
            embedder: As in `Router`.
            threads: As in `Router`.
            device: As in `Router`.
            cache: As in `Router`.

        Raises:
            NotFoundError: There is no such file.
            ArtifactError: It is not a valid artifact.
            EmbedderMismatchError: As in `Router`, like all that it raises.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open(cache=10_000)
            >>> for _ in range(3):
            ...     decision = router.route("Fix the race in the scheduler")
            >>> router.cache_info()
            CacheInfo(hits=2, misses=1, maxsize=10000, currsize=1)
        """
        artifact = Artifact.open(BUNDLED_ARTIFACT if path is None else Path(path))
        return cls(artifact, embedder=embedder, threads=threads, device=device, cache=cache)

    @property
    def artifact(self) -> Artifact:
        """What it decides by."""
        return self._artifact

    @property
    def embedder(self) -> TextEmbedder:
        """What turns text into vectors; loaded when first read. With the cache, if there is one.

        Raises:
            EmbedderMismatchError: The artifact routes vectors only, or was fitted with
                an embedder that is not bundled.
        """
        if self._embedder is None:
            with self._lock:  # two first requests load it once
                if self._embedder is None:
                    self._embedder = self._load()
        return self._embedder

    def cache_info(self) -> CacheInfo | None:
        """Tell hits, misses, and how full the cache is; None if there is no cache."""
        if isinstance(self._embedder, CachedEmbedder):
            return self._embedder.cache_info()
        return None if self._cache is None else CacheInfo(0, 0, self._cache, 0)

    def _load(self) -> TextEmbedder:
        identity = self._identity()
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
        identity = self._identity()
        if embedder.fingerprint != identity["fingerprint"]:
            given = {"name": embedder.name, "fingerprint": embedder.fingerprint}
            raise EmbedderMismatchError(
                f"the artifact was fitted with the embedder {_label(identity)}, and the one given "
                f"is {_label(given)}: pass the former, or fit again with the latter"
            )
        return embedder if self._cache is None else CachedEmbedder(embedder, self._cache)

    def _identity(self) -> dict[str, object]:
        # Validated when the artifact was opened.
        identity: dict[str, object] = json.loads(self._artifact.embedder)
        return identity

    def route(self, text: str, **wishes: Unpack[Wishes]) -> Decision:
        """Decide which model should answer a prompt.

        Args:
            text: The prompt; cut by the embedder's stated rule if it is long.
            **wishes: See `Wishes`.

        Returns:
            The decision: ``model``, ``ranking``, ``cluster``, ``distance``,
            ``novelty`` and ``reason``.

        Raises:
            TextError: The text is empty.
            UnknownModelError: A wish names a model that the artifact does not hold.
            NoCandidateError: The limits leave no model.
            PolicyError: A wish is out of range.
            EmbedderMismatchError: As in `embedder`.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> router.route("Fix the race in the scheduler").reason in {
            ...     "routed", "default_no_evidence", "default_novel"}
            True
        """
        return self._artifact.decide(self.embedder.embed_one(text), **wishes)

    def route_many(
        self, texts: Sequence[str], *, progress: bool = False, **wishes: Unpack[Wishes]
    ) -> list[Decision]:
        """Decide for each of many prompts.

        Args:
            texts: The prompts; they are embedded in batches of similar length.
            progress: Show a bar on standard error if it takes longer than a second.
            **wishes: See `Wishes`.

        Returns:
            The decisions, in the order of ``texts``.

        Raises:
            TypeError: ``texts`` is one str.
            TextError: A text is empty; the message has its index.
            MissingExtraError: ``progress``, and the extra ``train`` is not installed.
            UnknownModelError: As in `route`, like all that follows.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one str; pass a list of them, or call route")
        if not len(texts):
            return []
        embedder = self.embedder
        with bar(len(texts), f"embedding with {embedder.name}", progress) as tick:
            vectors = embedder.embed(texts, progress=tick)
        return list(self.decide_many(vectors, **wishes))

    def decide(self, vector: NDArray[np.float32], **wishes: Unpack[Wishes]) -> Decision:
        """Decide for one vector.

        Args:
            vector: float32 (dim,), contiguous and finite, made by the artifact's embedder.
            **wishes: See `Wishes`.

        Raises:
            VectorError: Dtype, shape, strides or a value are wrong.
            UnknownModelError: As in `route`, like what follows.
            NoCandidateError: The limits leave no model.
            PolicyError: A wish is out of range.
        """
        return self._artifact.decide(vector, **wishes)

    def decide_many(self, matrix: NDArray[np.float32], **wishes: Unpack[Wishes]) -> Decisions:
        """Decide for each row of a matrix.

        Args:
            matrix: float32 (n, dim), C-contiguous and finite.
            **wishes: See `Wishes`.

        Returns:
            Columns: ``model_indices`` into ``models``, ``clusters``, ``distances``,
            ``novelties``, and ``reason_codes`` into ``reasons``, as read-only arrays
            (n,); an index gives a single `Decision`.

        Raises:
            VectorError: As in `decide`, with the row.
            UnknownModelError: As in `decide`, like what follows.
            NoCandidateError: The limits leave no model for some row, which is named.
            PolicyError: A wish is out of range.
        """
        return self._artifact.decide_many(matrix, **wishes)

    def __repr__(self) -> str:
        return f"<hypernova.Router: {self._artifact!r}>"


def _label(identity: Mapping[str, object]) -> str:
    """Name and fingerprint: two embedders may share a name."""
    return f"{identity['name']} ({str(identity['fingerprint'])[:12]})"
