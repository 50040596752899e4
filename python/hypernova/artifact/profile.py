"""An artifact taken apart, changed and put together again.

Not here: what is changed. What is not changed keeps its bits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova._core import Artifact
from hypernova.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Figures that hold for the models that the table was fitted with, and for no others.
FIGURES = ("in_sample", "selection", "target", "shared_text", "alike_prompts")


@dataclass(frozen=True)
class Profile:
    """The columns of some models; a row for each cluster and one for the whole table.

    Attributes:
        counts: float64 (k + 1, m).
        mean: float32 (k + 1, m), like all that follow but the last two.
        success: Shrunk success estimates.
        standard_error: Of ``success``.
        gain_error: Of the gain over the default model.
        cost: USD, NaN where unknown.
        latency: Seconds, NaN where unknown.
        slopes: float32 (m, dim), or None.
        offsets: float32 (m,), or None.
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
        """Read all columns."""
        return cls(*(getattr(artifact, field.name) for field in fields(cls)))

    def beside(self, other: Profile) -> Profile:
        """Put the columns of other models after these."""
        return self._each(
            lambda mine, theirs, axis: np.concatenate([mine, theirs], axis=axis), other
        )

    def only(self, models: list[int]) -> Profile:
        """Keep the columns of these indices, in this order."""
        return self._each(lambda mine, _, axis: np.take(mine, models, axis=axis), self)

    def _each(self, change: Any, other: Profile) -> Profile:
        changed: dict[str, Any] = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            axis = 0 if field.name in ("slopes", "offsets") else 1
            changed[field.name] = (
                None if mine is None else np.ascontiguousarray(change(mine, theirs, axis))
            )
        return Profile(**changed)


def rebuild(
    artifact: Artifact,
    models: list[str],
    profile: Profile,
    default_model: str,
    metadata: Mapping[str, object],
) -> Artifact:
    """Make an artifact with other models and the same clusters, policy and embedder."""
    given: dict[str, Any] = {field.name: getattr(profile, field.name) for field in fields(profile)}
    given.update(artifact.policy, default_model=models.index(default_model))
    if artifact.nearest is not None:
        given["nearest"] = artifact.nearest
    return Artifact.build(
        models=models,
        centroids=artifact.centroids,
        novelty=artifact.novelty_quantiles,
        embedder=artifact.embedder,
        metadata=canonical_json(metadata),
        sharpness=artifact.sharpness,
        **given,
    )


def metadata_of(artifact: Artifact) -> dict[str, Any]:
    """Metadata as an object; empty where another writer left something else there."""
    try:
        found = json.loads(artifact.metadata or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def noted(artifact: Artifact, change: Mapping[str, object]) -> dict[str, Any]:
    """Metadata with one more change in the list ``changes``.

    Figures of the fit are put aside under ``as_fitted``, with the models they are of:
    they are not those of the artifact that is made.

    Args:
        artifact: Before the change; its sha256 is noted.
        change: What was done, without the text of any prompt.
    """
    metadata = metadata_of(artifact)
    figures = {name: metadata.pop(name) for name in FIGURES if name in metadata}
    if figures:
        metadata["as_fitted"] = {"models": list(artifact.models), **figures}
    before = metadata.get("changes")
    metadata["changes"] = [
        *(before if isinstance(before, list) else []),
        {**change, "from": artifact.sha256},
    ]
    return metadata
