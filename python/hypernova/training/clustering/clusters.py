"""Clusters of embedding space, and each cluster's share in a vector.

Not here: finding them (see ``kmeans`` and ``discriminant``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.numeric import Floats, Ints

# The soft assignment that serves clusters of prompts. Half and twice the sharpness, and 16
# nearest clusters instead of 8, routed as well or a little worse on `llmrouter_mixed`
# (docs/experiments.md).
SHARPNESS = 30.0
NEAREST = 8

# Vectors whose shares are computed at a time: it bounds copies in float64.
_PIECE = 1024


@dataclass(frozen=True)
class Clusters:
    """Clusters of embedding space.

    Attributes:
        centroids: float32 (k, dim).
        sharpness: Of the soft assignment.
        groups: Number of each cluster's group, (k,), or None if the clusters are of prompts.
    """

    centroids: Floats
    sharpness: float = SHARPNESS
    groups: Ints | None = None

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centroids)

    def shares(self, vectors: Floats) -> Floats:
        """Compute shares as `shares` does, with the number that serves."""
        return shares(vectors, self.centroids, self.sharpness, NEAREST)


def shares(vectors: Floats, centroids: Floats, sharpness: float, nearest: int) -> Floats:
    """Compute the share of each cluster in each vector (FORMAT.md, *Rows and shares*).

    Args:
        vectors: float32 (n, dim).
        centroids: float32 (k, dim).
        sharpness: Of the soft assignment: a weight is ``exp(-sharpness / 2 * distance**2)``.
        nearest: Number of clusters with a share above 0.

    Returns:
        float64 (n, k); each row adds up to 1.
    """
    # Equal centroids have equal distances, in whatever order a product is added up.
    number: dict[bytes, int] = {}
    place = [number.setdefault(row.tobytes(), len(number)) for row in centroids]
    places = centroids[np.unique(place, return_index=True)[1]].astype(np.float64)
    half = 0.5 * (places**2).sum(axis=1)
    found = np.empty((len(vectors), len(centroids)))
    for start in range(0, len(vectors), _PIECE):
        points = vectors[start : start + _PIECE].astype(np.float64)
        # Half of the squared distances, less the vector's own square, which all clusters have
        # in common. In place: most of the time goes to copies of this size.
        behind = points @ places.T
        np.subtract(half, behind, out=behind)
        if len(places) < len(centroids):
            behind = behind[:, place]
        if len(centroids) > nearest:
            _keep_nearest(behind, nearest)
        behind -= behind.min(axis=1, keepdims=True)
        behind *= -sharpness
        weights = np.exp(behind, out=behind)
        weights /= weights.sum(axis=1, keepdims=True)
        found[start : start + _PIECE] = weights
    return found


def _keep_nearest(distances: Floats, nearest: int) -> None:
    """Move all but the nearest clusters of each row to infinity, in place."""
    limit = np.partition(distances, nearest - 1, axis=1)[:, nearest - 1 : nearest]
    far = distances > limit
    # Of equally far clusters those of lower index are nearest, as in the core.
    for row in np.flatnonzero((~far).sum(axis=1) > nearest):
        far[row, np.argsort(distances[row], kind="stable")[nearest:]] = True
    distances[far] = np.inf
