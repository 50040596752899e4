"""The profile of an artifact's models, and copies of the artifact with other models.

Not here: which models, and their estimates.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from hypernova._core import Artifact

# Metadata that holds for the models that the table was fitted with, and for no others.
FIGURES = ("in_sample", "selection", "target", "shared_text", "alike_prompts")
# Fields with a row for each model; the others have a column.
BY_MODEL = ("slopes", "offsets")


@dataclass(frozen=True)
class Profile:
    """The columns of m models; a row for each of k clusters and a last one for the whole table.

    Attributes:
        counts: float64 (k + 1, m), numbers of outcomes.
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

    def beside(self, other: Profile) -> Profile:
        """Append the columns of other models."""
        return self._with_each(
            lambda name, values, axis: np.concatenate([values, getattr(other, name)], axis=axis)
        )

    def only(self, models: Sequence[int]) -> Profile:
        """Keep the columns of these indices, in this order."""
        return self._with_each(lambda _, values, axis: np.take(values, models, axis=axis))

    def _with_each(self, change: Callable[[str, Any, int], Any]) -> Profile:
        """Change each array that there is; ``change`` takes its name, it and its axis of models."""
        changed: dict[str, Any] = {}
        for field in fields(self):
            values, axis = getattr(self, field.name), 0 if field.name in BY_MODEL else 1
            if values is not None:
                values = np.ascontiguousarray(change(field.name, values, axis))
            changed[field.name] = values
        return Profile(**changed)


def rebuild(
    artifact: Artifact,
    models: Sequence[str],
    profile: Profile,
    default_model: str,
    metadata: Mapping[str, object],
) -> Artifact:
    """Copy an artifact with other models; clusters, policy and embedder keep their bits.

    Args:
        artifact: To be copied.
        models: Names of the m models.
        profile: Their columns.
        default_model: Name of one of them.
        metadata: Of the copy.
    """
    columns = {field.name: getattr(profile, field.name) for field in fields(profile)}
    return artifact.replace(
        models=models, default_model=models.index(default_model), metadata=metadata, **columns
    )


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
