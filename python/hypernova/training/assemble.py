"""Put centroids and profiles together into an artifact.

Not here: where they come from. Fitting and choosing on held-out tasks both come
through here, so that a figure is that of the thing that is shipped.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import Artifact
from hypernova.canonical import canonical_json
from hypernova.training.clustering.clusters import NEAREST, SHARPNESS
from hypernova.training.estimates.profile import estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova.numeric import Floats
    from hypernova.training.estimates.linear_correction import Lifts
    from hypernova.training.estimates.profile import Evidence

NOVELTY_LIMIT = 0.99
NOVELTY_STEPS = 256
# Farther than any two unit vectors: nothing is novel.
_NOTHING_IS_NOVEL = np.array([4.0, 4.0], dtype=np.float32)


def vectors_identity(origin: str, dim: int) -> dict[str, object]:
    """Identity of vectors that came with a table: it routes no text."""
    identity: dict[str, object] = {"kind": "vectors", "name": origin, "dim": dim}
    digest = hashlib.sha256(canonical_json(identity).encode()).hexdigest()
    return {**identity, "fingerprint": digest}


def novelty_quantiles(distances: Floats) -> Floats:
    """Quantiles of the distances of prompts from their centroids, float32 (257,)."""
    levels = np.linspace(0.0, 1.0, NOVELTY_STEPS + 1)
    return np.maximum.accumulate(np.quantile(distances, levels).astype(np.float32))


def assemble(
    models: Sequence[str],
    centroids: Floats,
    evidence: Evidence,
    *,
    shrinkage: float,
    guard_z: float,
    lifts: Lifts | None = None,
    cost_weight: float = 0.0,
    distances: Floats | None = None,
    identity: Mapping[str, object] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Artifact:
    """Make an artifact of clusters and what happened in them.

    Args:
        models: Names of the m models.
        centroids: float32 (k, dim).
        evidence: Sums over k clusters and m models.
        shrinkage: Weight of the prior, in outcomes.
        guard_z: Standard errors by which a model must beat the default model.
        lifts: Linear corrections, or None.
        cost_weight: Default of the policy, success per USD.
        distances: Distances of prompts that the clusters were not fitted on; without
            them nothing is novel.
        identity: The embedder's, with ``kind`` and ``fingerprint``.
        metadata: How the artifact was made.
    """
    profiles = estimate(evidence, shrinkage)
    return Artifact.build(
        models=models,
        centroids=np.ascontiguousarray(centroids, dtype=np.float32),
        counts=profiles.counts.astype(np.float64),
        mean=profiles.mean,
        success=profiles.success,
        standard_error=profiles.standard_error,
        gain_error=profiles.gain_error,
        cost=profiles.cost,
        latency=profiles.latency,
        novelty=_NOTHING_IS_NOVEL if distances is None else novelty_quantiles(distances),
        embedder=canonical_json(identity or vectors_identity("a fold", centroids.shape[1])),
        metadata=canonical_json(metadata or {}),
        # One cluster has nothing to share with.
        sharpness=SHARPNESS if len(centroids) > 1 else None,
        nearest=NEAREST,
        slopes=None if lifts is None else lifts.slopes,
        offsets=None if lifts is None else lifts.offsets,
        default_model=profiles.default_model,
        cost_weight=cost_weight,
        guard_z=guard_z,
        novelty_limit=NOVELTY_LIMIT,
        shrinkage=shrinkage,
    )
