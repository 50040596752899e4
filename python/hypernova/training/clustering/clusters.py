"""Find clusters of prompts, and compute each cluster's share in a vector.

Not here: the two methods (see ``kmeans`` and ``prototypes``), or the choice between them
(see ``hypernova.training.model_selection``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova.training.clustering.kmeans import kmeans
from hypernova.training.clustering.prototypes import (
    group_indices,
    start_prototypes,
    train_prototypes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.numeric import Floats, Ints
    from hypernova.training.clustering.prototypes import PrototypeStart

# The soft assignment that serves. Half and twice the sharpness, and 16 nearest clusters
# instead of 8, routed as well or a little worse on `llmrouter_mixed` (docs/experiments.md).
SHARPNESS = 30.0
NEAREST = 8

# Vectors whose shares are computed at a time: it bounds copies in float64.
_PIECE = 1024

ClusterSource = Literal["prompts", "groups"]


@dataclass(frozen=True)
class Clusters:
    """Clusters of embedding space.

    Attributes:
        centroids: float32 (k, dim).
        groups: Group of each cluster, (k,), or None if the clusters were found without groups.
    """

    centroids: Floats
    groups: Ints | None = None

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centroids)

    def shares(self, vectors: Floats) -> Floats:
        """Compute shares as `shares` does, with the sharpness and number that serve."""
        return shares(vectors, self.centroids, SHARPNESS, NEAREST)


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


def find_clusters(
    vectors: Floats,
    source: ClusterSource,
    clusters: int,
    seed: int,
    *,
    groups: Sequence[str | None] = (),
    starts: int | None = None,
    start: PrototypeStart | None = None,
    tick: Callable[[int], None] | None = None,
) -> Clusters:
    """Find clusters by k-means, or as prototypes of the groups.

    Args:
        vectors: float32 (n, dim), rows of unit length.
        source: ``"prompts"`` for `kmeans`, ``"groups"`` for `train_prototypes`; a table
            without two large groups gets one cluster then.
        clusters: Number of clusters; read for ``"prompts"`` only.
        seed: Same input and seed, same clusters.
        groups: Of each task, for ``"groups"``.
        starts: Random starts of k-means, as in `kmeans`.
        start: Of `start_prototypes` with the same vectors, groups and seed, if it is known.
        tick: As in `kmeans`.
    """
    if source == "groups":
        numbers = group_indices(groups)
        if numbers is not None:  # the training part of a fold may hold too few of each
            start = start or start_prototypes(vectors, numbers, seed)
            return find_group_clusters(vectors, numbers, start, seed)
        clusters = 1
    return Clusters(kmeans(vectors, clusters, seed, starts, tick))


def find_group_clusters(
    vectors: Floats,
    groups: Ints,
    start: PrototypeStart,
    seed: int,
    check: Callable[[], None] | None = None,
    tasks: Ints | None = None,
) -> Clusters:
    """Find clusters as prototypes of the groups; arguments as in `train_prototypes`."""
    found = train_prototypes(vectors, groups, start, seed, SHARPNESS, check, tasks)
    return Clusters(found.centroids, found.groups)
