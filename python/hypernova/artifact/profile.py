"""The profiles of an artifact's models, and copies of the artifact with other models.

Not here: which models, and their estimates.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from hypernova._core import Artifact

# Metadata that holds for the models that the table was fitted with, and for no others.
FIGURES = ("in_sample", "selection", "target", "shared_text", "alike_prompts", "uncomparable")
# Fields with a row for each model; the others have a column.
BY_MODEL = ("slopes", "offsets")


@dataclass(frozen=True)
class Profile:
    """The columns of m models; a row for each of k clusters and a last one for the whole table.

    Attributes:
        counts: float64 (k + 1, m), numbers of outcomes; effective ones where several are of one
            task, or aged.
        mean: float32 (k + 1, m), mean scores.
        success: float32 (k + 1, m), success estimates.
        standard_error: float32 (k + 1, m), of ``success``.
        gain_error: float32 (k + 1, m), of the paired gain over the default model.
        cost: float32 (k + 1, m), USD; NaN where unknown.
        latency: float32 (k + 1, m), seconds; NaN where unknown.
        slopes: float32 (m, dim), of the linear correction; None without one.
        offsets: float32 (m,); None as ``slopes``.
    """

    counts: NDArray[np.float64]
    mean: NDArray[np.float32]
    success: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    gain_error: NDArray[np.float32]
    cost: NDArray[np.float32]
    latency: NDArray[np.float32]
    slopes: NDArray[np.float32] | None
    offsets: NDArray[np.float32] | None

    @classmethod
    def of(cls, artifact: Artifact) -> Profile:
        """Read the columns of all models of an artifact."""
        return cls(*(getattr(artifact, field.name) for field in fields(cls)))

    def rows(self, rows: NDArray[np.int64]) -> Profile:
        """Keep these rows, and no linear correction."""
        columns: dict[str, Any] = dict.fromkeys(BY_MODEL)
        for field in fields(self):
            if field.name not in BY_MODEL:
                columns[field.name] = np.ascontiguousarray(getattr(self, field.name)[rows])
        return Profile(**columns)


@dataclass(frozen=True)
class GroupProfiles:
    """The profiles of g groups that a caller may name.

    Attributes:
        names: Names of the groups.
        tasks: Number of tasks of each, float64 (g,).
        profile: A row for each group, (g, m), without linear correction.
        offsets: float32 (g, m), of the linear correction inside a group; None without one.
        slopes: float32 (m, dim); None as ``offsets``.
    """

    names: Sequence[str]
    tasks: NDArray[np.float64]
    profile: Profile
    offsets: NDArray[np.float32] | None = None
    slopes: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, artifact: Artifact) -> GroupProfiles | None:
        """Read those of an artifact; None if it has none."""
        arrays = artifact.group_profiles
        if arrays is None:
            return None
        apart = {name: arrays.pop(name, None) for name in ("names", "tasks", *BY_MODEL)}
        return cls(profile=Profile(**arrays, slopes=None, offsets=None), **apart)

    def to_dict(self) -> dict[str, object]:
        """Return the argument ``group_profiles`` of `Artifact.build`."""
        arrays = {field.name: getattr(self.profile, field.name) for field in fields(self.profile)}
        arrays |= {"names": list(self.names), "tasks": self.tasks}
        arrays |= {"offsets": self.offsets, "slopes": self.slopes}
        return {name: values for name, values in arrays.items() if values is not None}


@dataclass(frozen=True)
class TokenProfiles:
    """The tokens that m models read and write for a task; NaN where unknown.

    Attributes:
        per_prompt: float32 (m, 2), input tokens of an empty prompt and of each character.
        input: float32 (k + 1, m), mean input tokens.
        output: float32 (k + 1, m), mean output tokens.
        group_input: float32 (g, m), as ``input``, of groups; None without groups.
        group_output: float32 (g, m), as ``group_input``.
    """

    per_prompt: NDArray[np.float32]
    input: NDArray[np.float32]
    output: NDArray[np.float32]
    group_input: NDArray[np.float32] | None = None
    group_output: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, artifact: Artifact) -> TokenProfiles | None:
        """Read those of an artifact; None if it has none."""
        arrays = artifact.token_profiles
        return None if arrays is None else cls(**arrays)

    def to_dict(self) -> dict[str, object]:
        """Return the argument ``token_profiles`` of `Artifact.build`."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: values for name, values in arrays.items() if values is not None}


@dataclass(frozen=True)
class ModelColumns:
    """All that an artifact holds of some models.

    Attributes:
        profile: Profile of clusters.
        groups: Profiles of groups; None without groups.
        tokens: Tokens; None where they are unknown.
    """

    profile: Profile
    groups: GroupProfiles | None = None
    tokens: TokenProfiles | None = None

    @classmethod
    def of(cls, artifact: Artifact) -> ModelColumns:
        """Read the columns of all models of an artifact."""
        return cls(Profile.of(artifact), GroupProfiles.of(artifact), TokenProfiles.of(artifact))

    def beside(self, other: ModelColumns) -> ModelColumns:
        """Append the columns of other models, with the same groups; unknown tokens are NaN."""
        return self._with_each(
            lambda values, name, axis: np.concatenate([values, other._array(name)], axis=axis)
        )

    def only(self, models: Sequence[int]) -> ModelColumns:
        """Keep the columns of these indices, in this order."""
        return self._with_each(lambda values, _, axis: np.take(values, models, axis=axis))

    def _array(self, name: str) -> Any:
        found: Any = self
        for step in name.split("."):
            found = getattr(found, step)
        return found

    def _with_each(self, change: Callable[[Any, str, int], Any]) -> ModelColumns:
        """Change each array that there is; ``change`` takes it, its name and its axis of models."""

        def changed(part: Any, of: str, by_model: Sequence[str] = BY_MODEL) -> dict[str, Any]:
            arrays = {}
            for field in fields(part):
                values = getattr(part, field.name)
                if isinstance(values, np.ndarray) and field.name != "tasks":
                    axis = 0 if field.name in by_model else 1
                    values = change(values, f"{of}.{field.name}", axis)
                    arrays[field.name] = np.ascontiguousarray(values)
            return arrays

        groups, tokens = self.groups, self.tokens
        if groups is not None:
            profile = replace(groups.profile, **changed(groups.profile, "groups.profile"))
            groups = replace(groups, profile=profile, **changed(groups, "groups", ("slopes",)))
        if tokens is not None:
            tokens = replace(tokens, **changed(tokens, "tokens", ("per_prompt",)))
        own = replace(self.profile, **changed(self.profile, "profile"))
        return ModelColumns(own, groups, tokens)


def rebuild(
    artifact: Artifact,
    models: Sequence[str],
    columns: ModelColumns,
    default_model: str,
    metadata: Mapping[str, object],
) -> Artifact:
    """Copy an artifact with other models; clusters, policy and embedder keep their bits.

    Args:
        artifact: To be copied.
        models: Names of the m models.
        columns: All that is known of them.
        default_model: Name of one of them.
        metadata: Of the copy.
    """
    profile, groups, tokens = columns.profile, columns.groups, columns.tokens
    return artifact.replace(
        models=models,
        default_model=models.index(default_model),
        metadata=metadata,
        group_profiles=None if groups is None else groups.to_dict(),
        token_profiles=None if tokens is None else tokens.to_dict(),
        **{field.name: getattr(profile, field.name) for field in fields(profile)},
    )


def clusters_of_groups(artifact: Artifact) -> NDArray[np.int64]:
    """Return the row of the profile that is nearest in kind to each group's, (g,).

    Where clusters were learned from groups, that is the group's own cluster, which has the same
    number; else the whole table.
    """
    n, k = len(artifact.groups), artifact.n_clusters
    setting = artifact.metadata.get("setting")
    own = isinstance(setting, dict) and setting.get("source") == "groups" and n <= k
    return np.arange(n) if own else np.full(n, k)


def noted(artifact: Artifact, change: Mapping[str, object]) -> dict[str, Any]:
    """Give an artifact's metadata with one more change in the list ``changes``.

    Figures of the fit are moved to ``as_fitted``, with the models that they are of: they do not
    hold for the artifact that is made.

    Args:
        artifact: Before the change; its sha256 is noted.
        change: A JSON object that describes the change, without the text of any prompt.
    """
    metadata = artifact.metadata
    figures = {name: metadata.pop(name) for name in FIGURES if name in metadata}
    if figures:
        metadata["as_fitted"] = {"models": list(artifact.models), **figures}
    before = metadata.get("changes")
    metadata["changes"] = [
        *(before if isinstance(before, list) else []),
        {**change, "from": artifact.sha256},
    ]
    return metadata
