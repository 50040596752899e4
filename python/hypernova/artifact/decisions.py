"""Ask an artifact what it decides at many vectors, where its own limits may leave no model.

Not here: serving. A caller whose limits leave no model gets a ``NoCandidateError``; a
description of the artifact goes on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import NoCandidateError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova._core import Artifact, Decision, Decisions
    from hypernova.numeric import Floats, Ints
    from hypernova.route_options import RouteOptions

# Overrides the limits that an artifact's policy may set, to read its estimates of all models.
NO_LIMITS: RouteOptions = {"max_cost_usd": math.inf, "min_success": 0.0}
# Index in place of a model, in what `chosen_models` returns.
NO_MODEL = -1


def decisions_or_none(artifact: Artifact, vectors: NDArray[np.float32]) -> list[Decision | None]:
    """Decide for each vector under the artifact's defaults.

    Args:
        artifact: Whose decisions they are.
        vectors: float32 (n, dim).

    Returns:
        n decisions; None where the artifact's own limits leave no model.
    """
    try:
        return list(artifact.decide_many(vectors))
    except NoCandidateError:
        return [_decision_or_none(artifact, vector) for vector in vectors]


def _decision_or_none(artifact: Artifact, vector: NDArray[np.float32]) -> Decision | None:
    try:
        return artifact.decide(vector)
    except NoCandidateError:
        return None


def chosen_models(artifact: Artifact, vectors: NDArray[np.float32]) -> Ints:
    """Choose a model for each vector under the artifact's defaults.

    Args:
        artifact: Whose decisions they are.
        vectors: float32 (n, dim).

    Returns:
        Indices of the chosen models, (n,); `NO_MODEL` where the limits leave none.
    """
    try:
        return artifact.decide_many(vectors).model_indices
    except NoCandidateError:
        index = {model: m for m, model in enumerate(artifact.models)}
        found = decisions_or_none(artifact, vectors)
        return np.array([NO_MODEL if d is None else index[d.model] for d in found], dtype=np.int32)


def success_at_centroids(artifact: Artifact) -> Floats:
    """Estimate each model's success for a prompt at the centroid of each cluster.

    The estimates are the core's, with which it routes: shared among the nearest clusters and
    linearly corrected, where the artifact does either.

    Returns:
        float64 (k, m).
    """
    # A ranking leaves out models that the artifact's own limits exclude.
    decisions = artifact.decide_many(artifact.centroids, **NO_LIMITS)
    found = estimates_of(decisions)
    # No prompt is near a centroid that is novel to itself: its own row is the better estimate.
    novel = decisions.reason_codes == decisions.reasons.index("default_novel")
    return np.where(novel[:, None], artifact.success[:-1].astype(np.float64), found)


def estimates_of(decisions: Decisions) -> Floats:
    """Read each model's success estimate from decisions without limits.

    Args:
        decisions: Of `Artifact.decide_many`, with `NO_LIMITS`.

    Returns:
        float64 (n, m); NaN for a model that the options left out.
    """
    index = {model: m for m, model in enumerate(decisions.models)}
    found = np.full((len(decisions), len(index)), np.nan)
    for row, decision in zip(found, decisions, strict=True):
        for entry in decision.ranking:
            row[index[entry.model]] = entry.success
    return found
