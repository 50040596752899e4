"""Which models an artifact takes, where its own limits may leave none.

Not here: what a caller is told then (``NoCandidateError``); here the artifact is described.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import NoCandidateError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova._core import Artifact, Decision
    from hypernova.numeric import Floats, Ints
    from hypernova.router import RouteOptions

# Lifts the limits that an artifact's policy may set, for whoever asks about its estimates.
NO_LIMITS: RouteOptions = {"max_cost_usd": math.inf, "min_success": 0.0}
# In `models_taken`: no model.
NONE = -1


def decisions(artifact: Artifact, vectors: NDArray[np.float32]) -> list[Decision | None]:
    """Decide for each vector under the artifact's defaults; None where they leave no model."""
    try:
        return list(artifact.decide_many(vectors))
    except NoCandidateError:
        return [_decision(artifact, vector) for vector in vectors]


def _decision(artifact: Artifact, vector: NDArray[np.float32]) -> Decision | None:
    try:
        return artifact.decide(vector)
    except NoCandidateError:
        return None


def models_taken(artifact: Artifact, vectors: NDArray[np.float32]) -> Ints:
    """Give the index of the model that is taken for each vector, (n,); `NONE` for no model."""
    try:
        return artifact.decide_many(vectors).model_indices
    except NoCandidateError:
        place = {model: m for m, model in enumerate(artifact.models)}
        found = decisions(artifact, vectors)
        return np.array([NONE if d is None else place[d.model] for d in found], dtype=np.int32)


def success_at_centres(artifact: Artifact) -> Floats:
    """Estimate each model's success for a prompt at the centre of each cluster, (k, m).

    Asked of the core, so that it is what routing goes by: shared among the nearest
    clusters, and lifted, if the artifact does so.
    """
    place = {model: m for m, model in enumerate(artifact.models)}
    # A ranking leaves out what the artifact's own limits exclude.
    decisions = artifact.decide_many(artifact.centroids, **NO_LIMITS)
    found = artifact.success[:-1].astype(np.float64)
    for cluster, decision in enumerate(decisions):
        if decision.reason == "default_novel":
            continue  # a centre that no prompt is near: its own row says more
        for entry in decision.ranking:
            found[cluster, place[entry.model]] = entry.success
    return found
