"""Assemble an artifact from centroids, estimates and linear corrections.

Not here: learning these. Fitting and evaluation on held-out tasks both assemble here, so that
a figure is measured on the kind of artifact that is shipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import Artifact
from hypernova.artifact.metadata import vectors_identity
from hypernova.training.clustering.clusters import NEAREST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova.artifact.profile import GroupProfiles, TokenProfiles
    from hypernova.numeric import Floats
    from hypernova.training.clustering.clusters import Clusters
    from hypernova.training.estimates.linear_correction import LinearCorrection
    from hypernova.training.estimates.profile import Estimate

NOVELTY_LIMIT = 0.99
NOVELTY_STEPS = 256
# A distance beyond that of any two unit vectors, so that no prompt is novel.
_NOTHING_IS_NOVEL = np.array([4.0, 4.0], dtype=np.float32)


def novelty_quantiles(distances: Floats) -> Floats:
    """Compute quantiles of the distances of prompts from their centroids, float32 (257,)."""
    levels = np.linspace(0.0, 1.0, NOVELTY_STEPS + 1)
    return np.maximum.accumulate(np.quantile(distances, levels).astype(np.float32))


def assemble(
    models: Sequence[str],
    clusters: Clusters,
    estimated: Estimate,
    *,
    shrinkage: float,
    guard_z: float,
    margin: float = 0.0,
    correction: LinearCorrection | None = None,
    groups: GroupProfiles | None = None,
    tokens: TokenProfiles | None = None,
    cost_weight: float = 0.0,
    distances: Floats | None = None,
    identity: Mapping[str, object] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Artifact:
    """Assemble an artifact; equal arguments give equal bytes.

    Args:
        models: Names of the m models.
        clusters: The k clusters.
        estimated: Estimates of k clusters and m models, with their default model.
        shrinkage: Weight of the prior, in outcomes.
        guard_z: Standard errors by which a model must beat the default model.
        margin: Part of an estimated gain in success that does not count.
        correction: Linear corrections of the m models, or None.
        groups: Profiles of the groups that a caller may name, or None.
        tokens: Tokens that the models read and write, or None.
        cost_weight: Default of the policy, in success per USD.
        distances: Distances of held-out prompts from their nearest centroids; without them
            no prompt is novel.
        identity: Identity of the embedder, with ``kind`` and ``fingerprint``.
        metadata: JSON-able, of how the artifact was made.
    """
    profile, centroids = estimated.profile, clusters.centroids
    return Artifact.build(
        models=models,
        centroids=np.ascontiguousarray(centroids, dtype=np.float32),
        counts=profile.counts,
        mean=profile.mean,
        success=profile.success,
        standard_error=profile.standard_error,
        gain_error=profile.gain_error,
        cost=profile.cost,
        latency=profile.latency,
        novelty=_NOTHING_IS_NOVEL if distances is None else novelty_quantiles(distances),
        embedder=identity or vectors_identity("a fold", centroids.shape[1]),
        metadata=metadata or {},
        # A single cluster has no other to share a prompt with.
        sharpness=clusters.sharpness if len(centroids) > 1 else None,
        n_nearest=NEAREST,
        slopes=None if correction is None else correction.slopes,
        offsets=None if correction is None else correction.offsets,
        group_profiles=None if groups is None else groups.to_dict(),
        token_profiles=None if tokens is None else tokens.to_dict(),
        default_model=estimated.default_model,
        cost_weight=cost_weight,
        guard_z=guard_z,
        margin=margin,
        novelty_limit=NOVELTY_LIMIT,
        shrinkage=shrinkage,
    )
