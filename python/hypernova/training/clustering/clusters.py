"""Clusters, however they were found, and how a vector is shared among them.

Not here: finding them (see ``cluster`` and ``prototypes``), or which are best (see
``select``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova.training.clustering.kmeans import STARTS, kmeans
from hypernova.training.clustering.prototypes import group_indices, train_prototypes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.numeric import Floats, Ints

# Of the soft assignment. Half and twice of the sharpness, and 16 clusters instead of 8,
# routed as well or a little worse on `llmrouter_mixed` (docs/experiments.md).
SHARPNESS = 30.0
NEAREST = 8

Source = Literal["prompts", "groups"]


@dataclass(frozen=True)
class Structure:
    """Clusters of embedding space.

    Attributes:
        centroids: float32 (k, dim).
        groups: Group of each cluster, (k,), or None if no groups were used.
    """

    centroids: Floats
    groups: Ints | None = None

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centroids)

    def shares(self, vectors: Floats) -> Floats:
        """Share of each cluster in each vector (FORMAT.md, *Rows and shares*), float64 (n, k)."""
        return shares(vectors, self.centroids, SHARPNESS, NEAREST)


def shares(vectors: Floats, centroids: Floats, sharpness: float, nearest: int) -> Floats:
    """Share of each cluster in each vector (FORMAT.md, *Rows and shares*), float64 (n, k)."""
    points = vectors.astype(np.float64)
    centres = centroids.astype(np.float64)
    # Squared distances, up to what all clusters share.
    squared = (centres**2).sum(axis=1) - 2.0 * (points @ centres.T)
    if len(centroids) > nearest:
        # Stable: of equally far clusters those of lower index, as in the core.
        farther = np.argsort(squared, axis=1, kind="stable")[:, nearest:]
        np.put_along_axis(squared, farther, np.inf, axis=1)
    weights = np.exp(-0.5 * sharpness * (squared - squared.min(axis=1, keepdims=True)))
    found: Floats = weights / weights.sum(axis=1, keepdims=True)
    return found


def find_structure(
    vectors: Floats,
    source: Source,
    clusters: int,
    seed: int,
    *,
    groups: Sequence[str | None] = (),
    starts: int = STARTS,
    tick: Callable[[int], None] | None = None,
) -> Structure:
    """Find clusters.

    Args:
        vectors: float32 (n, dim), rows of unit length.
        source: ``"prompts"``: k-means of the vectors; ``"groups"``: prototypes that tell
            the groups apart.
        clusters: How many; read for ``"prompts"`` only.
        seed: Same input and seed, same clusters.
        groups: Of each task, for ``"groups"``.
        starts: Of k-means.
        tick: As in `kmeans`.
    """
    if source == "groups":
        numbers = group_indices(groups)
        if numbers is not None:  # a part of the table may hold too little of each
            found = train_prototypes(vectors, numbers, seed, SHARPNESS)
            return Structure(found.centroids, found.groups)
        clusters = 1
    return Structure(kmeans(vectors, clusters, seed, starts=starts, tick=tick))
