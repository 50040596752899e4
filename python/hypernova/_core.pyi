"""The compiled core: artifacts, nearest centroids, the decision rule."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Self, TypedDict, Unpack, final

import numpy as np
from numpy.typing import NDArray

from hypernova.route_options import BatchRouteOptions, RouteOptions

__all__ = [
    "DEBUG_BUILD",
    "Artifact",
    "Decision",
    "Decisions",
    "LookupEmbedder",
    "LookupTable",
    "RankingEntry",
    "ReadingRules",
    "WordPieceTokenizer",
    "__version__",
    "_artifact",
    "_decision",
    "_decisions",
    "_grounds",
    "_ranking_entry",
    "cut",
    "cut_spans",
    "is_blank",
    "kept_spans",
    "nearest_centroids",
    "sha256",
    "visible_span",
]

__version__: str
DEBUG_BUILD: bool

class _Changes(TypedDict, total=False):
    models: Sequence[str]
    centroids: NDArray[np.float32]
    counts: NDArray[np.float64]
    mean: NDArray[np.float32]
    success: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    gain_error: NDArray[np.float32]
    cost: NDArray[np.float32]
    latency: NDArray[np.float32]
    novelty: NDArray[np.float32]
    embedder: Mapping[str, object] | str
    metadata: Mapping[str, object] | str
    default_model: int
    cost_weight: float
    latency_weight: float
    max_cost_usd: float | None
    min_success: float
    guard_z: float
    margin: float
    novelty_limit: float
    shrinkage: float
    sharpness: float | None
    n_nearest: int
    slopes: NDArray[np.float32] | None
    offsets: NDArray[np.float32] | None
    group_profiles: Mapping[str, Any] | None
    token_profiles: Mapping[str, Any] | None

@final
class Artifact:
    """All that routing needs, in one immutable and validated object that threads may share.

    `hypernova.fit` makes one, `open` reads one from a ``.hnv`` file, and `replace` copies one with
    changes. A pickle holds it by value, with its path made absolute; a copy is the object itself.

    Arrays are read-only copies. Of k clusters and m models, a profile array is (k + 1, m): a row
    for each cluster and a last one for the whole table, a column for each model.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact  # the bundled one
        >>> artifact.default_model in artifact.models
        True
        >>> artifact.success.shape == (artifact.n_clusters + 1, artifact.n_models)
        True
        >>> artifact.decide(artifact.centroids[0]).cluster
        0
    """

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models; an index into them means the same model everywhere."""
    @property
    def n_models(self) -> int:
        """Number of models, m."""
    @property
    def n_clusters(self) -> int:
        """Number of clusters, k."""
    @property
    def dim(self) -> int:
        """Length of a vector."""
    @property
    def groups(self) -> dict[str, float]:
        """The groups that a caller may name: by name, the number of tasks of each.

        A new dict; empty where the artifact has no groups.
        """
    @property
    def group_profiles(self) -> dict[str, Any] | None:
        """Profiles of the groups, by name of the array; None where the artifact has no groups.

        A new dict of the arguments of `build` under ``group_profiles``.
        """
    @property
    def token_profiles(self) -> dict[str, Any] | None:
        """Tokens of the models, by name of the array; None where they are unknown.

        A new dict of the arguments of `build` under ``token_profiles``.
        """
    @property
    def default_model(self) -> str:
        """Name of the default model: the best single model of the table."""
    @property
    def margin(self) -> float:
        """Part of an estimated gain in success over the default model that does not count.

        0 in an artifact without a margin. It protects prompts of kinds that the table lacks; a
        prompt whose group the caller names is decided without it.
        """
    @property
    def policy(self) -> dict[str, Any]:
        """The policy: defaults of the route options, and the values of the decision rule.

        A new dict of ``cost_weight``, ``latency_weight``, ``max_cost_usd``, ``min_success``,
        ``guard_z``, ``margin``, ``novelty_limit``, ``shrinkage`` and ``default_model``, a name; the
        others are as in `build`. To change it changes nothing in the artifact; see `replace`.
        """
    @property
    def embedder(self) -> dict[str, Any]:
        """Identity of the embedder that made the vectors, parsed at each read.

        A new dict with ``kind``, which is ``"text"`` or ``"vectors"``, ``name``, ``dim``,
        ``fingerprint`` and fields of the embedder's own. To change it changes nothing in the
        artifact; see `replace`.

        Example:
            >>> import hypernova
            >>> hypernova.Router.open().artifact.embedder["name"]
            'static'
        """
    @property
    def embedder_json(self) -> str:
        """The text of a JSON object that `embedder` is parsed from, as it stands in the file."""
    @property
    def metadata(self) -> dict[str, Any]:
        """How the artifact was made, parsed at each read.

        A new dict; empty where the file holds no metadata, or something other than a JSON object.
        To change it changes nothing in the artifact; see `replace`.

        Example:
            >>> import hypernova
            >>> hypernova.Router.open().artifact.metadata["seed"]
            0
        """
    @property
    def metadata_json(self) -> str:
        """The text that `metadata` is parsed from, as in the file; empty if it has none.

        Any program may have written it: it need not be JSON.
        """
    @property
    def sha256(self) -> str:
        """The sha256 of the file's bytes, 64 hexadecimal digits: the artifact's own identity."""
    @property
    def path(self) -> os.PathLike[str] | None:
        """Path of the file that it was opened from; None if it was made otherwise."""
    @property
    def mapped(self) -> bool:
        """Whether the file is mapped, and must not be written in place."""
    @property
    def version(self) -> tuple[int, int]:
        """Version of the file's format, major and minor."""
    @property
    def level(self) -> str:
        """SIMD level of the search: scalar, neon, avx2, avx512 or avx512vnni."""
    @property
    def centroids(self) -> NDArray[np.float32]:
        """Centroids of the clusters, float32 (k, dim)."""
    @property
    def counts(self) -> NDArray[np.float64]:
        """Numbers of outcomes, float64 (k + 1, m); they may be fractional."""
    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean scores, float32 (k + 1, m), 0 to 1; 0 where nothing was counted."""
    @property
    def success(self) -> NDArray[np.float32]:
        """Success estimates, float32 (k + 1, m), 0 to 1: shrunk mean scores."""
    @property
    def standard_error(self) -> NDArray[np.float32]:
        """Standard errors of ``success``, float32 (k + 1, m)."""
    @property
    def gain_error(self) -> NDArray[np.float32]:
        """Standard errors of the paired gain over the default model, float32 (k + 1, m)."""
    @property
    def cost(self) -> NDArray[np.float32]:
        """Mean costs of a task in USD, float32 (k + 1, m); NaN where unknown."""
    @property
    def latency(self) -> NDArray[np.float32]:
        """Mean latencies of a task in seconds, float32 (k + 1, m); NaN where unknown."""
    @property
    def novelty_quantiles(self) -> NDArray[np.float32]:
        """Quantiles of the distances of training prompts to their centroids, float32 (q,)."""
    @property
    def sharpness(self) -> float | None:
        """How fast a cluster's share falls with its squared distance; None without shares.

        Then the nearest cluster counts alone.
        """
    @property
    def n_nearest(self) -> int | None:
        """Number of nearest clusters that have a share, 1 to 16; None as ``sharpness``."""
    @property
    def slopes(self) -> NDArray[np.float32] | None:
        """Slopes of the linear correction, float32 (m, dim); None where there is none."""
    @property
    def offsets(self) -> NDArray[np.float32] | None:
        """Offsets of the linear correction, its values at 0, float32 (m,); None as ``slopes``."""
    @staticmethod
    def open(path: str | os.PathLike[str], *, mmap: bool | Literal["auto"] = "auto") -> Artifact:
        """Read or map a file and validate all of it.

        Args:
            path: A ``.hnv`` file.
            mmap: ``"auto"`` reads a file of up to 4 MiB into memory, where nobody can cut or change
                it, and maps a larger one; True maps, and False reads, any file. A mapped file must
                not be written to or cut while the artifact lives: its bytes would no longer be
                those that were validated, and a page that is gone ends the process. To rename
                another file over it, as `save` does, is safe. Windows refuses that of a mapped
                file, so ``"auto"`` reads any file there.

        Raises:
            ValueError: ``mmap`` is a str other than ``"auto"``.
            TypeError: ``mmap`` is neither a str nor a bool.
            NotFoundError: There is no such file.
            ArtifactError: The file cannot be read or breaks a rule of FORMAT.md.
            KernelError: ``HYPERNOVA_SIMD`` asks for a kernel that this CPU lacks.

        Example:
            >>> import hypernova
            >>> hypernova.Router.open().artifact.save("router.hnv")
            >>> hypernova.Artifact.open("router.hnv").path
            PosixPath('router.hnv')
        """

    @staticmethod
    def from_bytes(data: bytes) -> Artifact:
        """Validate a copy of the bytes of a file.

        Args:
            data: The bytes, as `to_bytes` gives them.

        Raises:
            ArtifactError: The bytes break a rule of FORMAT.md.
            KernelError: As in `open`.
        """

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
        embedder: Mapping[str, object] | str,
        metadata: Mapping[str, object] | str,
        default_model: int,
        cost_weight: float = 0.0,
        latency_weight: float = 0.0,
        max_cost_usd: float | None = None,
        min_success: float = 0.0,
        guard_z: float = 0.0,
        margin: float = 0.0,
        novelty_limit: float = 1.0,
        shrinkage: float = 0.0,
        sharpness: float | None = None,
        n_nearest: int = 8,
        slopes: NDArray[np.float32] | None = None,
        offsets: NDArray[np.float32] | None = None,
        group_profiles: Mapping[str, Any] | None = None,
        token_profiles: Mapping[str, Any] | None = None,
    ) -> Artifact:
        """Make an artifact of its values; their rules are those of FORMAT.md.

        Arrays are C-contiguous; shapes are of k clusters, m models and vectors of length dim.

        Args:
            models: Names of the models, all different.
            centroids: float32 (k, dim).
            counts: float64 (k + 1, m), numbers of outcomes, at least 0.
            mean: float32 (k + 1, m), mean scores, 0 to 1; 0 where nothing was counted.
            success: float32 (k + 1, m), success estimates, 0 to 1.
            standard_error: float32 (k + 1, m), of ``success``, at least 0.
            gain_error: float32 (k + 1, m), of the paired gain over the default model, at least 0.
            cost: float32 (k + 1, m), mean USD of a task; NaN where unknown.
            latency: float32 (k + 1, m), mean seconds of a task; NaN where unknown.
            novelty: float32 (q,), rising quantiles of the distances of training prompts.
            embedder: Identity of the embedder, a mapping with ``kind``, ``name``, ``dim`` and
                ``fingerprint``; or the text of a JSON object, which is taken as it stands.
            metadata: How the artifact was made, a mapping; or a text, as ``embedder``.
            default_model: Index of the default model.
            cost_weight: Default of the route option, success per USD.
            latency_weight: Default of the route option, success per second.
            max_cost_usd: Default of the route option, USD; None is no limit.
            min_success: Default of the route option, 0 to 1.
            guard_z: Standard errors of the paired gain by which a model must beat the default
                model, at least 0.
            margin: Part of an estimated gain in success over the default model that does not count,
                unless the caller names the prompt's group; at least 0.
            novelty_limit: Novelty above which a prompt is novel, 0 to 1.
            shrinkage: Number of outcomes with which the estimates lean on the overall rate.
            sharpness: How fast a cluster's share falls with its squared distance, at least 0; with
                None the nearest cluster counts alone.
            n_nearest: Number of nearest clusters that have a share, 1 to 16; without ``sharpness``
                it means nothing.
            slopes: float32 (m, dim), of the linear correction; None is no correction.
            offsets: float32 (m,), of the linear correction; None as ``slopes``.
            group_profiles: Profiles of the g groups that a caller may name; None is no groups. A
                mapping of ``names``; ``tasks``, float64 (g,), the number of tasks of each;
                ``counts``, ``mean``, ``success``, ``standard_error``, ``gain_error``, ``cost`` and
                ``latency``, (g, m) and else as those of clusters; and, both or neither,
                ``offsets``, float32 (g, m), and ``slopes``, float32 (m, dim), of the linear
                correction inside a group.
            token_profiles: Tokens that the models read and write, NaN where unknown; None is
                unknown for all. A mapping of ``per_prompt``, float32 (m, 2), the input tokens of an
                empty prompt and of each further character; ``input`` and ``output``, float32
                (k + 1, m), mean tokens of a task; and with groups ``group_input`` and
                ``group_output``, float32 (g, m).

        Raises:
            VectorError: An array is not C-contiguous or has the wrong dtype.
            ArtifactError: A value breaks a rule of FORMAT.md.
            TypeError: An argument is missing, unknown or of the wrong type, or only one of
                ``slopes`` and ``offsets`` is given; also in a mapping.
        """

    def replace(self, **changes: Unpack[_Changes]) -> Artifact:
        """Copy the artifact with other values.

        All that is not changed keeps its bits; ``path`` is None. Values that depend on each other
        are given together: other ``models`` need all profile arrays, and ``default_model`` is an
        index into them.

        Args:
            **changes: Any arguments of `build`.

        Raises:
            TypeError: `build` has no such argument, or as in `build`.
            VectorError: As in `build`.
            ArtifactError: As in `build`.

        Example:
            >>> import hypernova
            >>> artifact = hypernova.Router.open().artifact
            >>> cheaper = artifact.replace(cost_weight=0.05)
            >>> cheaper.policy["cost_weight"]
            0.05
            >>> cheaper.replace(cost_weight=0.0).sha256 == artifact.sha256
            True
        """
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file: a temporary one beside it, synced, then renamed over it.

        Args:
            path: Where to; a file that stands there is replaced as a whole.

        Raises:
            ArtifactWriteError: The file could not be written, or a device or a pipe is there; a
                file that stood there still stands.
        """

    def to_bytes(self) -> bytes:
        """Copy the bytes of the file.

        Returns:
            The bytes that `save` writes; `sha256` is theirs.
        """

    def decide(
        self,
        vector: NDArray[np.float32],
        **options: Unpack[RouteOptions],
    ) -> Decision:
        """Decide for one vector.

        Args:
            vector: float32 (dim,), contiguous and finite, made by the artifact's embedder.
            cost_weight: As in `hypernova.RouteOptions`, like all that follow; None is the
                artifact's default.
            latency_weight: Success per second.
            max_cost_usd: USD of a task.
            min_success: 0 to 1.
            allow: Names of models.
            deny: Names of models.
            prices: By model, USD of a task, or USD of a million input and output tokens.
            previous_model: Name of a model.
            switch_cost: Utility.
            explore: Chance, 0 to 1.
            explore_seed: 0 to 2**64 - 1.
            on_novel: ``"default"``, ``"best_overall"`` or ``"error"``.
            group: Name of the prompt's group.
            prompt_chars: Number of characters of the prompt.
            input_tokens: Number of tokens of the prompt.

        Returns:
            The decision.

        Raises:
            VectorError: Dtype, shape, strides or a value of the vector are wrong.
            UnknownModelError: An option names a model that the artifact does not hold.
            NoCandidateError: The limits leave no model.
            NovelPromptError: The vector is novel, and ``on_novel`` is ``"error"``.
            PolicyError: An option is out of range.
            TypeError: An option is of the wrong type, or there is none of that name.

        Example:
            >>> import hypernova
            >>> artifact = hypernova.Router.open().artifact
            >>> vector = artifact.centroids[0]
            >>> first = artifact.decide(vector).model
            >>> artifact.decide(vector, deny=[first]).reason
            'constrained'
        """

    def decide_many(
        self,
        matrix: NDArray[np.float32],
        **options: Unpack[BatchRouteOptions],
    ) -> Decisions:
        """Decide for each row of a matrix.

        Args:
            matrix: float32 (n, dim), C-contiguous and finite.
            **options: See `hypernova.BatchRouteOptions`; they hold for all rows, but ``group``,
                ``prompt_chars`` and ``input_tokens`` may be lists with a value for each row.

        Returns:
            The decisions as columns; an index gives a single `Decision`.

        Raises:
            VectorError: As in `decide`, with the row.
            UnknownModelError: As in `decide`.
            NoCandidateError: The limits leave no model for a row, which is named.
            NovelPromptError: A row is novel, and ``on_novel`` is ``"error"``.
            PolicyError: As in `decide`.
            TypeError: As in `decide`.

        Example:
            >>> import hypernova
            >>> artifact = hypernova.Router.open().artifact
            >>> decisions = artifact.decide_many(artifact.centroids[:2], cost_weight=0.1)
            >>> decisions.clusters.tolist()
            [0, 1]
        """

    def explain(
        self,
        vector: NDArray[np.float32],
        **options: Unpack[RouteOptions],
    ) -> tuple[bool, list[Any], list[Any]]:
        """Give the grounds of a decision as rows of values; `hypernova.Router.explain` names them.

        Limits that leave no model are no error here.

        Args:
            vector: As in `decide`.
            **options: See `hypernova.RouteOptions`.

        Returns:
            Whether the vector is novel; a row for each of the nearest clusters, as
            `hypernova.router.NearCluster` begins; a row for each model, as
            `hypernova.router.ModelEstimate`.

        Raises:
            VectorError: As in `decide`.
            UnknownModelError: As in `decide`.
            PolicyError: As in `decide`.
            TypeError: As in `decide`.
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
        **options: Unpack[RouteOptions],
    ) -> tuple[RankingEntry, ...]:
        """Rank the models for a prompt of which nothing can be read, such as an image.

        The default model comes first if it is allowed, or ``previous_model`` if leaving it does not
        gain more than ``switch_cost``; then the others in the order of the rule. Success, cost and
        latency are those of the whole table, and nothing is drawn.

        Args:
            **options: See `hypernova.RouteOptions`.

        Returns:
            The models that meet the limits, the first to ask first; empty if there is none.

        Raises:
            UnknownModelError: As in `decide`.
            PolicyError: As in `decide`.
            TypeError: As in `decide`.

        Example:
            >>> import hypernova
            >>> artifact = hypernova.Router.open().artifact
            >>> artifact.rank_unread()[0].model == artifact.default_model
            True
        """

    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]: ...

@final
class Decision:
    """The ranking of the models for a prompt, and why the first of them was taken.

    A pickle holds it with its ranking and its id, and without the artifact that made it; a copy is
    the object itself.

    Example:
        >>> import hypernova
        >>> decision = hypernova.Router.open().route("Fix the race in the scheduler")
        >>> decision.model == decision.ranking[0].model
        True
        >>> decision.after_failure(decision.model).reason
        'fallback'
    """

    @property
    def model(self) -> str:
        """Name of the model to call: the first of ``ranking``."""
    @property
    def ranking(self) -> tuple[RankingEntry, ...]:
        """A `RankingEntry` for each model that the options allow, the best first."""
    @property
    def cluster(self) -> int:
        """Index of the nearest cluster."""
    @property
    def distance(self) -> float:
        """Euclidean distance from that cluster's centroid."""
    @property
    def novelty(self) -> float:
        """Share of the training prompts that lie nearer to their centroids, 0 to 1."""
    @property
    def reason(self) -> str:
        """Why the model was taken.

        - ``routed``: the outcomes of prompts like it say that this model beats the default one
        - ``default_no_evidence``: the default model; nothing is proven to beat it for prompts
          like it
        - ``default_novel``: the prompt is unlike the training prompts, so the whole table decides
        - ``constrained``: the first choice was not allowed
        - ``stayed``: another model does not gain enough to leave the conversation's
        - ``explored``: drawn, to learn how it does
        - ``fallback``: a model that went before it has failed
        - ``best_overall``: the prompt is unlike the training prompts; the best of the whole table
        """
    @property
    def group(self) -> str | None:
        """Name of the group whose profile decided: the one that the caller named.

        None if none was named, or one that the artifact does not hold.
        """
    @property
    def unknown_group(self) -> bool:
        """Whether the caller named a group that the artifact does not hold.

        The prompt was then decided as if none was named.
        """
    @property
    def propensity(self) -> float:
        """Chance with which the model was taken, 0 to 1; 1 unless the caller explores."""
    @property
    def id(self) -> str:
        """32 hexadecimal digits that no other decision has, by which a log finds it.

        Given when first read: that takes a tenth of the time of a decision.
        """
    @property
    def artifact(self) -> str:
        """The sha256 of the artifact that decided, 64 hexadecimal digits."""
    @property
    def default_model(self) -> str:
        """Name of the default model of the artifact that decided."""
    @property
    def shadow(self) -> Decision | None:
        """The decision of the router's shadow for the same prompt.

        None without a shadow, or if the shadow has failed. See `hypernova.Router.open`.
        """
    @property
    def shadow_error(self) -> str | None:
        """The code of the error with which the shadow failed, such as ``"no_candidate"``.

        None without a shadow, or if it decided.
        """
    @property
    def shadow_artifact(self) -> str | None:
        """The sha256 of the shadow's artifact, also if it failed; None without a shadow."""
    def with_shadow(self, shadow: Decision) -> Decision:
        """Return the decision with that of another artifact as its shadow.

        Args:
            shadow: The decision of the other artifact for the same prompt. A shadow that it has
                itself is left out.

        Returns:
            The same decision, with the same id and with the shadow.

        Example:
            >>> import hypernova
            >>> router = hypernova.Router.open()
            >>> decision = router.route("Fix the race in the scheduler")
            >>> both = decision.with_shadow(router.route("Fix the race in the scheduler"))
            >>> both.id == decision.id, both.shadow.model == both.model
            (True, True)
        """
    def with_failed_shadow(self, artifact: str, error: str) -> Decision:
        """Return the decision with the failure of another artifact as its shadow.

        Args:
            artifact: The sha256 of the other artifact.
            error: The code of its error: 1 to 64 letters ``a`` to ``z``, digits and underscores.

        Returns:
            The same decision, with the same id.

        Raises:
            ValueError: ``artifact`` is no sha256 in lower case, or ``error`` no code.
        """
    def to_dict(self) -> dict[str, Any]:
        """Give all values of the decision as plain ones, for JSON and logs.

        Returns:
            A dict of ``model``, ``reason``, ``cluster``, ``distance``, ``novelty``, ``ranking``, a
            list of what `RankingEntry.to_dict` gives, ``artifact``, ``id``, ``propensity``,
            ``group`` and ``unknown_group``. That of the shadow is ``shadow.to_dict()``.

        Example:
            >>> import hypernova
            >>> decision = hypernova.Router.open().route("Fix the race in the scheduler")
            >>> values = decision.to_dict()
            >>> values["ranking"][0]["model"] == values["model"] == decision.model
            True
        """
    def after_failure(self, model: str) -> Decision:
        """Decide again without a model that failed, and those that failed before it.

        The same options hold, but for ``previous_model`` and ``explore``, which have had their
        effect. The reason is ``fallback``, the id is another one, and there is no shadow.

        Args:
            model: Name of the model that failed, most often this decision's.

        Returns:
            The decision for one of the models that are left.

        Raises:
            UnknownModelError: The artifact does not hold the model.
            NoCandidateError: It was the last one that the options allow.
            TypeError: ``model`` is not a str.

        Example:
            >>> import hypernova
            >>> decision = hypernova.Router.open().route("Fix the race in the scheduler")
            >>> decision.after_failure(decision.model).model == decision.ranking[1].model
            True
        """

    def attempts(self) -> Iterator[Decision]:
        """Iterate over this decision and, as model after model fails, those of `after_failure`.

        A decision that the loop goes on from counts as failed, so leave the loop with the answer.

        Returns:
            An iterator, which makes each decision when it is asked for it, and ends after the last
            model that the options allow.

        Example:
            >>> import hypernova
            >>> decision = hypernova.Router.open().route("Fix the race in the scheduler")
            >>> for attempt in decision.attempts():
            ...     if attempt.model != decision.model:  # in place of a call that succeeds
            ...         break
            >>> attempt.model == decision.ranking[1].model, attempt.reason
            (True, 'fallback')
        """

    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]: ...

@final
class RankingEntry:
    """A model's place in a ranking; equal to an entry with the same values.

    Example:
        >>> import hypernova
        >>> entry = hypernova.Router.open().artifact.rank_unread()[0]
        >>> list(entry.to_dict())
        ['model', 'success', 'cost_usd', 'latency_s', 'n', 'utility']
    """

    @property
    def model(self) -> str:
        """Name of the model."""
    @property
    def success(self) -> float:
        """Success estimate for the prompt, 0 to 1.

        Where the artifact has shares it is blended over the nearest clusters, and where it has a
        linear correction, that of the vector is added.
        """
    @property
    def cost_usd(self) -> float | None:
        """Expected cost of a task in USD, the caller's price if given; None if unknown."""
    @property
    def latency_s(self) -> float | None:
        """Expected latency of a task in seconds; None if unknown."""
    @property
    def n(self) -> float:
        """Number of outcomes that were counted there; may be fractional."""
    @property
    def utility(self) -> float:
        """Success less weighted cost and latency: the ranking goes by it."""
    def to_dict(self) -> dict[str, Any]:
        """Give the values of the entry by name, for JSON and logs.

        Returns:
            A dict of ``model``, ``success``, ``cost_usd``, ``latency_s``, ``n`` and ``utility``.
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]: ...

@final
class Decisions:
    """The decisions for the n rows of a matrix: columns, and a sequence of `Decision`.

    Columns are read-only arrays (n,). A pickle holds the artifact as well, by value; a copy is the
    object itself.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> decisions = artifact.decide_many(artifact.centroids[:3])
        >>> decisions.models[decisions.model_indices[0]] == decisions[0].model
        True
        >>> len(decisions)
        3
    """

    @property
    def model_indices(self) -> NDArray[np.int32]:
        """Indices of the models into ``models``, int32."""
    @property
    def clusters(self) -> NDArray[np.int32]:
        """Indices of the nearest clusters, int32."""
    @property
    def distances(self) -> NDArray[np.float32]:
        """Euclidean distances from the nearest centroids, float32."""
    @property
    def novelties(self) -> NDArray[np.float32]:
        """Shares of the training prompts that lie nearer to their centroids, float32, 0 to 1."""
    @property
    def reason_codes(self) -> NDArray[np.uint8]:
        """Indices of the reasons into ``reasons``, uint8."""
    @property
    def models(self) -> tuple[str, ...]:
        """Names of all models of the artifact."""
    @property
    def reasons(self) -> tuple[str, ...]:
        """Names of all reasons; see `Decision.reason`."""
    def _columns(self, others: int) -> dict[str, NDArray[Any]]:
        """Give what a table of decisions has of each row's ranking, without an object for a row.

        Args:
            others: Number of models after the first, from 0.

        Returns:
            Arrays by name, NaN where unknown: ``success``, ``cost_usd`` and ``latency_s`` of the
            first model and ``propensity``, float64 (n,); ``next``, int32 (n * others,), the indices
            of the models after it, row by row, -1 where there are fewer.
        """
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Decision]: ...
    def __getitem__(self, index: int, /) -> Decision: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]: ...

@final
class WordPieceTokenizer:
    """BERT's tokenizer, equal to the package tokenizers. Safe to share among threads.

    Example:
        >>> from pathlib import Path
        >>> import hypernova
        >>> from hypernova._core import WordPieceTokenizer
        >>> folder = Path(hypernova.__file__).parent / "bundled" / "static"
        >>> tokenizer = WordPieceTokenizer.from_json((folder / "tokenizer.json").read_bytes())
        >>> tokenizer.encode("Hello, world").tolist()
        [7592, 1010, 2088]
    """

    @staticmethod
    def from_json(data: bytes) -> WordPieceTokenizer | None:
        """Read a ``tokenizer.json``.

        Args:
            data: Bytes of the file.

        Returns:
            The tokenizer; None if it is of another kind, or has a part that only the package
            tokenizers knows.

        Raises:
            EmbedderError: The bytes are no tokenizer.

        Example:
            >>> from hypernova._core import WordPieceTokenizer
            >>> WordPieceTokenizer.from_json(b'{"model": {"type": "BPE"}}') is None
            True
        """

    def encode(
        self, text: str, limit: tuple[int, int] | None = None, *, special: bool = False
    ) -> NDArray[np.int64]:
        """Return the token ids of a text.

        Args:
            text: Any text without lone surrogates.
            limit: Number of tokens that are kept, without special ones, and how many of them are
                the last of the text; the others are the first. None keeps all.
            special: Whether the special tokens of the tokenizer are put around the text.

        Returns:
            Token ids, int64 (tokens,); read-only.

        Raises:
            UnicodeEncodeError: The text holds a lone surrogate.

        Example:
            >>> from pathlib import Path
            >>> import hypernova
            >>> from hypernova._core import WordPieceTokenizer
            >>> folder = Path(hypernova.__file__).parent / "bundled" / "minilm"
            >>> tokenizer = WordPieceTokenizer.from_json((folder / "tokenizer.json").read_bytes())
            >>> tokenizer.encode("one two three four", limit=(3, 1), special=True).tolist()
            [101, 2028, 2048, 2176, 102]
        """

    @property
    def vocabulary(self) -> int:
        """Number of words and added tokens."""

    @property
    def max_token(self) -> int | None:
        """The highest token id; None if there is none."""

    @property
    def special_tokens(self) -> tuple[list[int], list[int]]:
        """Special tokens before and after a text."""

@final
class LookupTable:
    """The tables of an ONNX file whose graph looks rows of tokens up and adds them.

    Its vectors agree with those of onnxruntime for the same file to 1e-6, and are the same on every
    CPU, bit by bit. For embedders whose tokens the core does not make.

    Example:
        >>> from importlib.resources import files
        >>> from hypernova._core import LookupTable
        >>> table = LookupTable.open(files("hypernova") / "bundled" / "static" / "model.onnx")
        >>> table.embed([2023, 2003]).shape == (table.dim,)
        True
    """

    @staticmethod
    def open(
        path: str | os.PathLike[str],
        *,
        sha256: str | None = None,
        mmap: bool | Literal["auto"] = "auto",
    ) -> LookupTable | None:
        """Read or map an ONNX file, and recognise its graph.

        Args:
            path: An ONNX file.
            sha256: The SHA-256 that the file must have, 64 hex digits; None for any.
            mmap: As for `Artifact.open`.

        Returns:
            The table, or None if the graph is no lookup.

        Raises:
            ValueError: ``mmap`` is a str other than ``"auto"``.
            TypeError: ``mmap`` is neither a str nor a bool.
            NotFoundError: There is no such file.
            EmbedderError: The file cannot be read, has another SHA-256, is cut short, or holds a
                table that breaks a rule.
            KernelError: ``HYPERNOVA_SIMD`` asks for a kernel that this CPU lacks.
        """
    @property
    def dim(self) -> int:
        """Dimension of a vector."""
    @property
    def vocabulary(self) -> int:
        """Number of tokens; a token is below it."""
    @property
    def is_mapped(self) -> bool:
        """Whether the file is mapped."""
    def embed(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Embed a text's tokens.

        Args:
            tokens: Ids of the tokens in their order, each at least 0 and below ``vocabulary``.

        Returns:
            The vector, float32 (dim,), read-only; zeros for no token.

        Raises:
            EmbedderError: A token is none of the table's, or its rows are not finite.
            OverflowError: A token is negative, or does not fit 32 bits.
        """

@final
class LookupEmbedder:
    """A tokenizer and a table with an embedder's settings; immutable, so that threads share it.

    `hypernova.Embedder` makes one, and its texts and vectors are those of this.

    Args:
        tokenizer: The word pieces.
        table: The rows.
        settings: The fields of an ``embedder.json``, checked.
        model: Path of the table's file, for messages.

    Raises:
        NotImplementedError: They do not fit one another, or ask for what is not known here.

    Example:
        >>> import hypernova
        >>> lookup = hypernova.Embedder.load("static")._lookup()
        >>> lookup.route(hypernova.Router.open().artifact, "Fix the race in the scheduler").cluster
        1
    """

    ARITHMETIC: Final[int]

    def __new__(
        cls,
        tokenizer: WordPieceTokenizer,
        table: LookupTable,
        settings: dict[str, Any],
        model: str | os.PathLike[str],
    ) -> Self: ...
    @property
    def dim(self) -> int:
        """Length of a vector."""
    def embed_one(self, text: str) -> NDArray[np.float32]:
        """Embed one text.

        Args:
            text: At least one visible character.

        Returns:
            float32 of shape (dim,) and length 1.

        Raises:
            TypeError: ``text`` is not a str.
            TextError: The text is empty, only blanks, or holds no token.
            EmbedderError: Its vector has no direction.
        """
    def embed_turns(self, first: str, last: str) -> NDArray[np.float32]:
        """Embed a conversation: the mean of the vectors of two turns, brought to length 1.

        Where one turn holds no token, its vector is that of the other; where the two cancel, that
        of the last.

        Args:
            first: The first turn.
            last: The last turn.

        Returns:
            float32 of shape (dim,) and length 1.

        Raises:
            TextError: Neither turn holds a token.
            TypeError: As in `embed_one`, like all that it raises.
        """
    def embed_many(
        self,
        texts: Sequence[str],
        *,
        indices: Sequence[int] | None = None,
        threads: int = 1,
        progress: Callable[[int], object] | None = None,
    ) -> NDArray[np.float32]:
        """Embed many texts.

        Args:
            texts: The texts.
            indices: The number of each text in messages; by default its index.
            threads: Number of threads, from 1; the vectors do not depend on it.
            progress: Called after some texts with their number.

        Returns:
            float32 of shape (len(texts), dim), each row to the bit that of `embed_one`.

        Raises:
            TypeError: A text is not a str.
            TextError: As in `embed_one`, with the number of the first such text.
            EmbedderError: As in `embed_one`, with the number of the text.
        """
    def route(self, artifact: Artifact, text: str, **options: Unpack[RouteOptions]) -> Decision:
        """Decide for a text.

        Args:
            artifact: The artifact that decides.
            text: As in `embed_one`.
            **options: See `hypernova.RouteOptions`.

        Returns:
            The decision: that of ``artifact.decide`` for the text's vector.

        Raises:
            TypeError: As in `embed_one`, like the next two.
            TextError: The text is empty, only blanks, or holds no token.
            EmbedderError: Its vector has no direction.
            VectorError: As in `Artifact.decide`, like all that follow.
            UnknownModelError: An option names a model that the artifact does not hold.
            NoCandidateError: The limits leave no model.
            NovelPromptError: The text is novel, and ``on_novel`` is ``"error"``.
            PolicyError: An option is out of range.
        """
    def route_turns(
        self, artifact: Artifact, first: str, last: str, **options: Unpack[RouteOptions]
    ) -> Decision:
        """Decide for a conversation, by the vector of `embed_turns`.

        Args:
            artifact: As in `route`.
            first: The first turn.
            last: The last turn.
            **options: See `hypernova.RouteOptions`.

        Raises:
            TextError: Neither turn holds a token.
            TypeError: As in `route`, like all that it raises.
        """
    def route_many(
        self,
        artifact: Artifact,
        texts: Sequence[str],
        *,
        threads: int = 1,
        **options: Unpack[BatchRouteOptions],
    ) -> list[Decision]:
        """Decide for each of many texts.

        Args:
            artifact: As in `route`.
            texts: The texts.
            threads: Number of threads, from 1; the decisions do not depend on it.
            **options: See `hypernova.BatchRouteOptions`.

        Returns:
            The decisions, those of ``artifact.decide_many`` for the vectors, in the order of
            ``texts``.

        Raises:
            TypeError: As in `route`, with the number of the text.
            TextError: As in `route`, with the number of the first such text.
            EmbedderError: As in `route`, with the number of the text.
            VectorError: As in `Artifact.decide_many`, like all that it raises.
        """
    def tokens(self, text: str) -> tuple[list[int], list[int] | None]:
        """Give the tokens of a text, and those of its lead.

        Args:
            text: As in `embed_one`.

        Returns:
            Token ids; and those of the lead, or None where it does not count.

        Raises:
            TypeError: As in `embed_one`, like the next.
            TextError: The text is empty, only blanks, or holds no token.
        """
    def key_of(self, text: str) -> bytes:
        """Give a key that two texts share if, and only if, they have the same tokens.

        Args:
            text: As in `embed_one`.

        Returns:
            32 bytes: a sha256 of the tokens of the text and of its lead.

        Raises:
            TypeError: As in `embed_one`, like the next.
            TextError: The text is empty, only blanks, or holds no token.
        """

def nearest_centroids(
    matrix: NDArray[np.float32], centroids: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the nearest centroid of each row of a matrix, by the search that routes.

    Of centroids at the same distance the one with the lowest index is taken.

    Args:
        matrix: float32 (n, dim), C-contiguous and finite.
        centroids: float32 (k, dim), C-contiguous and finite, with k at least 1.

    Returns:
        Indices of the centroids, int32 (n,), and Euclidean distances from them, float32 (n,); both
        are read-only.

    Raises:
        VectorError: A dtype, a shape, strides or a value is wrong.
        KernelError: ``HYPERNOVA_SIMD`` asks for a kernel that this CPU lacks.

    Example:
        >>> import numpy as np
        >>> from hypernova._core import nearest_centroids
        >>> centroids = np.eye(2, dtype=np.float32)
        >>> clusters, distances = nearest_centroids(centroids[[1]], centroids)
        >>> int(clusters[0]), float(distances[0])
        (1, 0.0)
    """

def sha256(data: bytes) -> str:
    """Hash bytes with SHA-256.

    A process that routes needs no other hash, and is spared ``hashlib`` with its OpenSSL.

    Args:
        data: Any bytes.

    Returns:
        64 hex digits.

    Example:
        >>> from hypernova._core import sha256
        >>> sha256(b"")[:16]
        'e3b0c44298fc1c14'
    """

# A pickle calls these; they check their arguments.

def _artifact(*state: Any) -> Artifact:
    """Make the `Artifact` of a pickle again."""

def _decision(*state: Any) -> Decision:
    """Make the `Decision` of a pickle again."""

def _decisions(*state: Any) -> Decisions:
    """Make the `Decisions` of a pickle again."""

def _ranking_entry(*state: Any) -> RankingEntry:
    """Make the `RankingEntry` of a pickle again."""

def _grounds(decision: Decision) -> tuple[Artifact, NDArray[np.float32]] | None:
    """Return the artifact that decided and the prompt's vector, for a log's sketch.

    Args:
        decision: A decision.

    Returns:
        The artifact and the vector, float32 (dim,); None for a decision out of a pickle, and
        where no ranking needs the vector, because the artifact neither blends clusters nor
        corrects estimates.
    """

@final
class ReadingRules:
    """An embedder's rules for the reading of a text: the cut, the courtesies and the lead.

    The *lead* of a text is its first line that is not blank, stripped and then cut to
    ``lead_chars`` characters; a line ends with a line feed or a carriage return.

    Args:
        head_chars: Number of characters to keep of the beginning of a long text, from 1.
        tail_chars: Number of characters to keep of its end, from 0.
        lead_chars: The most characters of a lead, from 1.
        has_lead: Whether the lead has a weight of its own.
        skip_courtesy: Whether the parts that say nothing of a text's task are skipped.

    Example:
        >>> from hypernova._core import ReadingRules
        >>> rules = ReadingRules(1536, 512, lead_chars=4, has_lead=True, skip_courtesy=True)
        >>> rules.read("Hi! Sort the shops.")
        ('Sort the shops.', (0, 4))
    """

    def __new__(
        cls,
        head_chars: int,
        tail_chars: int,
        *,
        lead_chars: int,
        has_lead: bool,
        skip_courtesy: bool,
    ) -> Self: ...
    def read(self, text: str) -> tuple[str, tuple[int, int] | None] | None:
        """Return the part of a text that is tokenised, and the span of the lead in it.

        Args:
            text: Any text. Half a surrogate pair is read as U+FFFD.

        Returns:
            The text after the cut, without courtesies, and the span of its lead; None for the span
            where the lead has no weight or is all that is visible. None if the text is blank.

        Example:
            >>> from hypernova._core import ReadingRules
            >>> rules = ReadingRules(4, 5, lead_chars=160, has_lead=False, skip_courtesy=False)
            >>> rules.read("Sort the list of shops"), rules.read(" ")
            (('Sort shops', None), None)
        """

def cut(text: str, head: int, tail: int) -> str:
    """Cut a long text to its beginning and its end; cutting the result again changes nothing.

    The rule, for a text of more than ``head + tail`` characters:

    1. a run of more than 256 blanks counts as 256: its first 255, and of the others the first line
       end (U+000A or U+000D), or the last where none is a line end;
    2. a text that is still longer is its first ``head`` characters, a space, and its last ``tail``;
       or the first ``head`` alone where ``tail`` is 0.

    So a run of blanks takes at most 256 of the characters that remain.

    Args:
        text: Any text.
        head: Number of characters to keep of the beginning, from 1.
        tail: Number of characters to keep of the end, from 0.

    Returns:
        The cut text; ``text`` itself if it is short enough.

    Example:
        >>> from hypernova._core import cut
        >>> cut("Sort the list of shops", 4, 5)
        'Sort shops'
    """

def cut_spans(
    text: str, head: int, tail: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the spans of a text that `cut` keeps.

    Args:
        text: As for ``cut``.
        head: As for ``cut``.
        tail: As for ``cut``.

    Returns:
        The spans before the space that ``cut`` inserts, and those after it; each list rises, with
        no span empty or next to another. The second is empty where no space is inserted.

    Example:
        >>> from hypernova._core import cut_spans
        >>> cut_spans("Sort the list of shops", 4, 5)
        ([(0, 4)], [(17, 22)])
    """

def is_blank(text: str) -> bool:
    """Return whether a text holds blanks alone, or nothing.

    A *blank* is a character that shows nothing: whitespace, the controls (NUL among them), and the
    invisible marks U+00AD, U+061C, U+180E, U+200B to U+200F, U+202A to U+202E, U+2060 to U+206F and
    U+FEFF.

    Args:
        text: Any text.

    Example:
        >>> from hypernova._core import is_blank
        >>> is_blank(" " + chr(0x200B)), is_blank("Hi")
        (True, False)
    """

def kept_spans(text: str) -> list[tuple[int, int]]:
    """Return the spans of a text that are left when the parts that say nothing are skipped.

    Args:
        text: Any text.

    Returns:
        The spans, rising and disjoint, to be joined with a line end between two; none where the
        text is read as it is, because nothing would be skipped, or nothing visible left.

    Example:
        >>> from hypernova._core import kept_spans
        >>> kept_spans("Hi! Sort the shops. Thanks in advance!")
        [(4, 19)]
    """

def visible_span(text: str) -> tuple[int, int]:
    """Return the span of a text without the blanks around it; empty if the text is blank.

    Args:
        text: Any text.

    Returns:
        The index of its first character, and that of the one after its last.

    Example:
        >>> from hypernova._core import visible_span
        >>> visible_span("  Hi ")
        (2, 4)
    """
