"""Tell groups apart by their prompts: linear discriminant analysis, as centroids.

Not here: routing by a known group. A prompt's group is read in training only; at request time
the nearest centroids decide, as with any other clusters.

The probability of a group given a vector x is a softmax of ``slope . x + offset`` (Fisher 1936;
Hastie, Tibshirani and Friedman 2009, 4.3). That is also the share of a centroid in a soft
assignment: a centroid c has the logit ``sharpness * (c . x - c . c / 2)``, so the slopes give the
centroids up to a vector that all have in common, and that vector is chosen to give the offsets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.clustering.clusters import Clusters

if TYPE_CHECKING:
    from hypernova.numeric import Floats
    from hypernova.training.estimates.sums import Sums

# Share of the mean variance that is added to the variance of each direction within groups. A
# tenth and ten times as much told groups apart as well (docs/experiments.md).
WITHIN_WEIGHT = 0.3
# Directions in which slopes differ by less than this share of the largest give no offsets.
MIN_DIFFERENCE = 1e-3
# Length of the centroids' move towards the mean of all tasks. Prompts of other kinds are then
# told apart by distance about as well as by that to the nearest of 48 clusters of prompts
# (docs/experiments.md).
NOVELTY_PULL = 1.0


def discriminate(sums: Sums, basis: Floats | None = None) -> Clusters:
    """Find the clusters whose shares in a vector are the probabilities of the groups with tasks.

    Args:
        sums: Sums of `sum_groups`.
        basis: Of the `Coordinates` whose sums these are.
    """
    groups = np.flatnonzero(sums["group_n"] > 0)
    n = sums["group_n"][groups]
    means = sums["group_vector"][groups] / n[:, None]
    within = sums["group_gram"] / n.sum() - (means * (n / n.sum())[:, None]).T @ means
    dim = len(within) if basis is None else len(basis)
    within[np.diag_indices(len(within))] += WITHIN_WEIGHT * max(float(np.trace(within)), 1e-9) / dim
    slopes = np.linalg.solve(within, means.T).T
    offsets = np.log(n / n.sum()) - 0.5 * (slopes * means).sum(axis=1)
    # A softmax has only differences.
    slopes, offsets = slopes - slopes.mean(axis=0), offsets - offsets.mean()
    squares = (slopes**2).sum(axis=1)
    sharpness = float(max(np.sqrt(squares.mean()), 1.0))
    behind = -offsets - squares / (2.0 * sharpness)
    shift = np.linalg.lstsq(slopes, behind - behind.mean(), rcond=MIN_DIFFERENCE)[0]
    # A move that slopes do not feel changes no share. Towards the mean of all tasks, it makes what
    # is far from all groups far from all centroids.
    mean = sums["group_vector"].sum(axis=0) / n.sum()
    felt = np.linalg.svd(slopes, full_matrices=False)
    rows = felt.Vh[MIN_DIFFERENCE * felt.S[0] < felt.S]
    apart = mean - rows.T @ (rows @ mean)
    length = float(np.linalg.norm(apart))
    if length > 0.0:
        shift = shift + NOVELTY_PULL / length * apart
    centroids = slopes / sharpness + shift
    if basis is not None:
        centroids = centroids @ basis.T
    return Clusters(
        np.ascontiguousarray(centroids, dtype=np.float32), float(np.float32(sharpness)), groups
    )
