"""The compiled core: artifact, nearest centroid, decision rule."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DEBUG_BUILD",
    "Artifact",
    "Decision",
    "Decisions",
    "RankingEntry",
    "__version__",
    "_artifact",
    "_decision",
    "_decisions",
    "_ranking_entry",
    "nearest_centroids",
]

__version__: str
DEBUG_BUILD: bool

@final
class Artifact:
    """Everything that routing needs: immutable, validated, safe to share among threads.

    It pickles by value, with its path made absolute; a copy is the object itself.

    Profile arrays have a row for each cluster and a last one for the whole table,
    and a column for each model. All arrays are read-only copies.

    Attributes:
        models: Names; an index into it means the same model everywhere.
        n_clusters: Number of clusters, k.
        dim: Dimension of a vector.
        default_model: The best single model of the table.
        policy: Defaults of the decision rule.
        embedder: The embedder's identity, JSON.
        metadata: How the artifact was made, JSON; empty if the file does not say.
        sha256: Of the file's bytes, 64 hex digits.
        path: Where it was opened from, if anywhere.
        mapped: Whether that file is mapped, and must not be written in place.
        version: Of the format, major and minor.
        level: The kernel that searches it: scalar, neon, avx2, avx512 or
            avx512vnni.
        centroids: float32 (k, dim).
        counts: float64 (k + 1, models), outcomes counted.
        mean: float32 (k + 1, models), mean score; 0 where nothing was counted.
        success: float32 (k + 1, models), shrunk success estimate.
        standard_error: float32 (k + 1, models), of ``success``.
        gain_error: float32 (k + 1, models), of the paired gain over the default model.
        cost: float32 (k + 1, models), mean USD per task; NaN where unknown.
        latency: float32 (k + 1, models), mean seconds per task; NaN where unknown.
        novelty_quantiles: float32 (q,), of the distances of training prompts.
        sharpness: How fast a cluster's share falls with its squared distance; None
            where the nearest cluster counts alone.
        nearest: How many of the nearest clusters have a share, 1 to 16; None as
            ``sharpness``.
        slopes: float32 (models, dim), what the vector adds to each model's success
            estimate; None where nothing is added.
        offsets: float32 (models,), what is added where the vector is 0; None as
            ``slopes``.
    """

    @property
    def models(self) -> tuple[str, ...]: ...
    @property
    def n_clusters(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def default_model(self) -> str: ...
    @property
    def policy(self) -> dict[str, Any]: ...
    @property
    def embedder(self) -> str: ...
    @property
    def metadata(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def path(self) -> os.PathLike[str] | None: ...
    @property
    def mapped(self) -> bool: ...
    @property
    def version(self) -> tuple[int, int]: ...
    @property
    def level(self) -> str: ...
    @property
    def centroids(self) -> NDArray[np.float32]: ...
    @property
    def counts(self) -> NDArray[np.float64]: ...
    @property
    def mean(self) -> NDArray[np.float32]: ...
    @property
    def success(self) -> NDArray[np.float32]: ...
    @property
    def standard_error(self) -> NDArray[np.float32]: ...
    @property
    def gain_error(self) -> NDArray[np.float32]: ...
    @property
    def cost(self) -> NDArray[np.float32]: ...
    @property
    def latency(self) -> NDArray[np.float32]: ...
    @property
    def novelty_quantiles(self) -> NDArray[np.float32]: ...
    @property
    def sharpness(self) -> float | None: ...
    @property
    def nearest(self) -> int | None: ...
    @property
    def slopes(self) -> NDArray[np.float32] | None: ...
    @property
    def offsets(self) -> NDArray[np.float32] | None: ...
    @staticmethod
    def open(path: str | os.PathLike[str], *, mmap: bool | Literal["auto"] = "auto") -> Artifact:
        """Read or map a file and validate all of it.

        Args:
            path: A ``.hnv`` file.
            mmap: ``"auto"`` reads a file of up to 4 MiB into memory, where nobody can cut
                or change it, and maps a larger one; True maps, and False reads, any file.
                A mapped file must not be written to or cut while the artifact lives: what
                was validated is so no more, and a page that is gone ends the process. To
                rename another file over it, as `save` does, is safe.

        Raises:
            ValueError: ``mmap`` is a str other than ``"auto"``.
            TypeError: ``mmap`` is neither a str nor a bool.
            NotFoundError: There is no such file.
            ArtifactError: It cannot be read or breaks a rule of FORMAT.md.
            KernelError: ``HYPERNOVA_SIMD`` asks for a kernel that this CPU lacks.
        """

    @staticmethod
    def from_bytes(data: bytes) -> Artifact:
        """Validate a copy of the bytes of a file; raises as `open`."""

    @staticmethod
    def build(
        *,
        models: Sequence[str],
        centroids: NDArray[np.float32],
        counts: NDArray[np.float64],
        mean: NDArray[np.float32],
        success: NDArray[np.float32],
        standard_error: NDArray[np.float32],
        gain_error: NDArray[np.float32],
        cost: NDArray[np.float32],
        latency: NDArray[np.float32],
        novelty: NDArray[np.float32],
        embedder: str,
        metadata: str,
        default_model: int,
        cost_weight: float = 0.0,
        latency_weight: float = 0.0,
        max_cost_usd: float | None = None,
        min_success: float = 0.0,
        guard_z: float = 0.0,
        novelty_limit: float = 1.0,
        shrinkage: float = 0.0,
        sharpness: float | None = None,
        nearest: int = 8,
        slopes: NDArray[np.float32] | None = None,
        offsets: NDArray[np.float32] | None = None,
    ) -> Artifact:
        """Make an artifact of values; shapes and rules are those of FORMAT.md.

        Without ``sharpness``, ``nearest`` means nothing.

        Raises:
            VectorError: An array is not contiguous or has the wrong dtype.
            ArtifactError: A value breaks a rule of FORMAT.md.
            TypeError: Only one of ``slopes`` and ``offsets`` is given.
        """

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file: a temporary one beside it, synced, then renamed.

        Raises:
            ArtifactWriteError: It could not be written, or a device or a pipe is there;
                what stood there still stands.
        """

    def to_bytes(self) -> bytes:
        """The file, byte for byte."""

    def decide(
        self,
        vector: NDArray[np.float32],
        *,
        cost_weight: float | None = None,
        latency_weight: float | None = None,
        max_cost_usd: float | None = None,
        min_success: float | None = None,
        allow: Collection[str] | None = None,
        deny: Collection[str] | None = None,
        prices: Mapping[str, float] | None = None,
        previous_model: str | None = None,
        switch_cost: float | None = None,
        explore: float | None = None,
        explore_seed: int | None = None,
        on_novel: str | None = None,
    ) -> Decision:
        """Decide for one vector; see `hypernova.Router.decide`."""

    def decide_many(
        self,
        matrix: NDArray[np.float32],
        *,
        cost_weight: float | None = None,
        latency_weight: float | None = None,
        max_cost_usd: float | None = None,
        min_success: float | None = None,
        allow: Collection[str] | None = None,
        deny: Collection[str] | None = None,
        prices: Mapping[str, float] | None = None,
        previous_model: str | None = None,
        switch_cost: float | None = None,
        explore: float | None = None,
        explore_seed: int | None = None,
        on_novel: str | None = None,
    ) -> Decisions:
        """Decide for each row of a matrix; see `hypernova.Router.decide_many`."""

    def explain(
        self,
        vector: NDArray[np.float32],
        *,
        cost_weight: float | None = None,
        latency_weight: float | None = None,
        max_cost_usd: float | None = None,
        min_success: float | None = None,
        allow: Collection[str] | None = None,
        deny: Collection[str] | None = None,
        prices: Mapping[str, float] | None = None,
        previous_model: str | None = None,
        switch_cost: float | None = None,
        explore: float | None = None,
        explore_seed: int | None = None,
        on_novel: str | None = None,
    ) -> tuple[bool, list[Any], list[Any]]:
        """Whether a vector is novel, the clusters near it, and each model's estimate, as rows.

        `hypernova.Router.explain` names their fields. Limits that leave no model are no error.

        Raises:
            VectorError: As in `decide`.
            UnknownModelError: As in `decide`.
            PolicyError: As in `decide`.
        """

    def is_novel(self, distances: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Find which distances from the nearest centroid are those of novel prompts.

        Args:
            distances: float32 (n,), C-contiguous, as of `nearest_centroids` or of
                `Decisions.distances`.

        Returns:
            Whether each prompt is novel, bool (n,); read-only.

        Raises:
            VectorError: Not a C-contiguous float32 array.

        Example:
            >>> import hypernova
            >>> artifact = hypernova.Router.open().artifact
            >>> artifact.is_novel(artifact.novelty_quantiles[[0, -1]]).tolist()
            [False, True]
        """

    def rank_unread(
        self,
        *,
        cost_weight: float | None = None,
        latency_weight: float | None = None,
        max_cost_usd: float | None = None,
        min_success: float | None = None,
        allow: Collection[str] | None = None,
        deny: Collection[str] | None = None,
        prices: Mapping[str, float] | None = None,
        previous_model: str | None = None,
        switch_cost: float | None = None,
        explore: float | None = None,
        explore_seed: int | None = None,
        on_novel: str | None = None,
    ) -> tuple[RankingEntry, ...]:
        """Rank the models for a prompt of which nothing can be read, such as an image.

        The default model comes first if it is allowed, or ``previous_model`` if leaving it
        does not gain more than ``switch_cost``; then the others as the rule has them. Success,
        cost and latency are those of the whole table, and nothing is drawn.

        Returns:
            The models that meet the limits, the first to ask first; empty if there is none.

        Raises:
            UnknownModelError: As in `decide`.
            PolicyError: As in `decide`.
        """

    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]: ...

@final
class Decision:
    """Which model, and why.

    It pickles with its ranking and its id, and without the artifact that made it; a copy is the
    object itself.

    Attributes:
        model: Name of the model to call: the first of ``ranking``.
        ranking: All models that the options allow, the best first; built when read.
        cluster: Index of the nearest centroid.
        distance: Euclidean distance from it.
        novelty: Share of the training prompts that lie nearer to their centroids, 0 to 1.
        reason: ``routed``, ``default_no_evidence``, ``default_novel``, ``constrained``,
            ``stayed``, ``explored``, ``fallback`` or ``best_overall``.
        propensity: Chance with which the model was taken; 1 unless the caller explores.
        id: 32 hex digits that no other decision has; given when first read.
        artifact: sha256 of the artifact that decided, 64 hex digits.
    """

    @property
    def model(self) -> str: ...
    @property
    def ranking(self) -> tuple[RankingEntry, ...]: ...
    @property
    def cluster(self) -> int: ...
    @property
    def distance(self) -> float: ...
    @property
    def novelty(self) -> float: ...
    @property
    def reason(self) -> str: ...
    @property
    def propensity(self) -> float: ...
    @property
    def id(self) -> str: ...
    @property
    def artifact(self) -> str: ...
    def after_failure(self, model: str) -> Decision:
        """Decide again without a model that failed, and those that failed before it.

        The same options hold, but for ``previous_model`` and ``explore``, which have had
        their say. The reason is ``fallback``, and the id is another one.

        Args:
            model: The one that failed, most often this decision's.

        Raises:
            UnknownModelError: The artifact does not hold it.
            NoCandidateError: It was the last one that the options allow.
        """

    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]: ...

@final
class RankingEntry:
    """A model's place in a ranking; equal to one with the same values.

    Attributes:
        model: Name.
        success: Shrunk success estimate, 0 to 1; where the artifact says so, blended
            over the nearest clusters and lifted by the vector.
        cost_usd: Expected cost of a task, the caller's price if given; None if unknown.
        latency_s: Expected latency of a task; None if unknown.
        n: Outcomes that were counted in the cluster; may be fractional.
        utility: What the ranking goes by.
    """

    @property
    def model(self) -> str: ...
    @property
    def success(self) -> float: ...
    @property
    def cost_usd(self) -> float | None: ...
    @property
    def latency_s(self) -> float | None: ...
    @property
    def n(self) -> float: ...
    @property
    def utility(self) -> float: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]: ...

@final
class Decisions:
    """Columns of many decisions; arrays are read-only, (n,).

    They pickle with their artifact, by value; a copy is the object itself.

    Attributes:
        model_indices: int32, into ``models``.
        clusters: int32.
        distances: float32.
        novelties: float32.
        reason_codes: uint8, into ``reasons``.
        models: Names of all models.
        reasons: Names of all reasons.
    """

    @property
    def model_indices(self) -> NDArray[np.int32]: ...
    @property
    def clusters(self) -> NDArray[np.int32]: ...
    @property
    def distances(self) -> NDArray[np.float32]: ...
    @property
    def novelties(self) -> NDArray[np.float32]: ...
    @property
    def reason_codes(self) -> NDArray[np.uint8]: ...
    @property
    def models(self) -> tuple[str, ...]: ...
    @property
    def reasons(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Decision]: ...
    def __getitem__(self, index: int, /) -> Decision: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]: ...

def nearest_centroids(
    matrix: NDArray[np.float32], centroids: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Nearest centroid, int32 (n,), and distance, float32 (n,), of each row.

    Args:
        matrix: float32 (n, dim).
        centroids: float32 (k, dim).

    Raises:
        VectorError: Dtype, shape, strides or a value are wrong.
    """

# By these a pickle makes an object again; they check what they are given.
def _artifact(*state: Any) -> Artifact: ...
def _decision(*state: Any) -> Decision: ...
def _decisions(*state: Any) -> Decisions: ...
def _ranking_entry(*state: Any) -> RankingEntry: ...
