"""Find centroids that tell groups of tasks apart.

Not here: routing by group. A prompt's group is read in training only; at request time
the nearest centroids decide, as with any other clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.clustering.kmeans import (
    SAMPLE_VECTORS,
    assign,
    kmeans,
    order_by_size,
    sample_rows,
    sum_by_cluster,
)
from hypernova.training.clustering.lbfgs import minimise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.numeric import Floats, Ints

# Groups with fewer tasks are merged into one, "the rest".
MIN_GROUP_TASKS = 20
TASKS_PER_PROTOTYPE = 120
MAX_PROTOTYPES = 64
STARTS = 2
# More steps, and more directions, told held-out groups apart no better (docs/experiments.md).
ITERATIONS = 12
DIRECTIONS = 64
# Prototypes are trained on a seeded sample of at most this many tasks.
MAX_SAMPLE = 8192
# Weight of a prototype's squared distance from its start: it keeps the prototype among the
# prompts that it stands for. On `llmrouter_mixed` a third and three times as much routed
# as well.
PENALTY = 3e-3


@dataclass(frozen=True)
class Prototypes:
    """Centroids that each belong to one group.

    Attributes:
        centroids: float32 (k, dim).
        groups: Group of each centroid, (k,) in 0..groups-1.
    """

    centroids: Floats
    groups: Ints


@dataclass(frozen=True)
class PrototypeStart:
    """Where prototypes start, and the directions in which they move.

    Attributes:
        groups: Group of each of k clusters, (k,); a prototype starts at its cluster's mean.
        assigned: Cluster of each task, (n,), of the task's group.
        directions: Orthonormal rows, float32 (at most `DIRECTIONS`, dim).
    """

    groups: Ints
    assigned: Ints
    directions: Floats


def group_indices(groups: Sequence[str | None]) -> Ints | None:
    """Number the groups that are large enough to learn from.

    Args:
        groups: Of each task, None where a task has none.

    Returns:
        The number of each task's group, (tasks,); tasks without a group and those of small
        groups have the last number. None if fewer than two groups are large enough.
    """
    names, inverse, sizes = np.unique(
        ["" if group is None else f"g{group}" for group in groups],
        return_inverse=True,
        return_counts=True,
    )
    large = (sizes >= MIN_GROUP_TASKS) & (names != "")
    if large.sum() < 2:
        return None
    numbers = np.where(large, np.cumsum(large) - 1, large.sum())
    return numbers[inverse]


def train_prototypes(
    vectors: Floats,
    groups: Ints,
    start: PrototypeStart,
    seed: int,
    sharpness: float,
    check: Callable[[], None] | None = None,
    tasks: Ints | None = None,
) -> Prototypes:
    """Move the centroids of each group to where they tell the groups apart.

    Robust soft learning vector quantization (RSLVQ; Seo and Obermayer 2003): L-BFGS
    maximises the likelihood of each task's group under the soft assignment that serves,
    starting at the mean of the tasks that each centroid stands for, with a quadratic penalty on
    leaving it. Centroids move in the start's directions, which takes a third of the time of
    all. Of more than `MAX_SAMPLE` tasks a seeded sample is read.

    Args:
        vectors: float32 (n, dim), rows of unit length.
        groups: (n,) of `group_indices`.
        start: Of `start_prototypes` for these vectors; clusters without a task are dropped.
        seed: Of the sample.
        sharpness: Of the soft assignment (FORMAT.md, *Rows and shares*).
        check: Called now and then; it raises to give up.
        tasks: Indices of the tasks to read; None for all.
    """
    rows = _draw(groups if tasks is None else groups[tasks], seed)
    if tasks is not None:
        rows = tasks[rows]
    vectors, groups, assigned = vectors[rows], groups[rows], start.assigned[rows]
    n = np.bincount(assigned, minlength=len(start.groups))
    sums = sum_by_cluster(vectors, assigned, len(n))
    centres = (sums[n > 0] / n[n > 0, None]).astype(np.float32)
    owner = start.groups[n > 0]
    mine = owner[None, :] == groups[:, None]
    sharp, penalty = np.float32(sharpness), np.float32(PENALTY)
    # Coordinates in the directions. A centroid is its centre and a move: the logits of squared
    # distances are those of the centres, and what the move adds. A vector's own square cancels.
    points, centred = vectors @ start.directions.T, centres @ start.directions.T
    at_start = sharp * (vectors @ centres.T - 0.5 * (centres**2).sum(axis=1))
    points *= sharp
    mean = 1 / np.float32(len(vectors))

    def loss(flat: Floats) -> tuple[float, Floats]:
        if check:
            check()
        moves = flat.reshape(centred.shape).astype(np.float32)
        # In place: copies of this size are most of the memory that training takes.
        weights = points @ moves.T
        weights += at_start
        weights -= sharp * ((centred + 0.5 * moves) * moves).sum(axis=1)
        weights -= weights.max(axis=1, keepdims=True)
        np.exp(weights, out=weights)
        own = weights * mine
        total, total_own = weights.sum(axis=1), own.sum(axis=1)
        # The nearest centroid of the own group may be so far that its weight is 0 in float32.
        total_own = np.maximum(total_own, np.finfo(np.float32).tiny)
        weights *= (mean / total)[:, None]
        own *= (mean / total_own)[:, None]
        slope = np.subtract(weights, own, out=weights)
        gradient = slope.T @ points - sharp * slope.sum(axis=0)[:, None] * (centred + moves)
        gradient += penalty * moves
        value = float((np.log(total) - np.log(total_own)).mean())
        value += float(penalty) / 2 * float((moves**2).sum())
        return value, gradient.astype(np.float64).ravel()

    moves = minimise(loss, np.zeros(centred.size), ITERATIONS).reshape(centred.shape)
    centroids = centres + moves.astype(np.float32) @ start.directions
    order = order_by_size(vectors, centroids)
    return Prototypes(np.ascontiguousarray(centroids[order]), owner[order])


def _draw(groups: Ints, seed: int) -> Ints | slice:
    """Draw `MAX_SAMPLE` tasks with a seed, and some of each group: a small one may be missed."""
    rows = sample_rows(len(groups), MAX_SAMPLE, seed)
    if isinstance(rows, slice):
        return rows
    few = [np.flatnonzero(groups == group)[:MIN_GROUP_TASKS] for group in np.unique(groups)]
    return np.union1d(rows, np.concatenate(few))


def start_prototypes(vectors: Floats, groups: Ints, seed: int) -> PrototypeStart:
    """Find clusters of each group by k-means, by falling size.

    The directions are the leading principal ones of a seeded sample of the vectors.

    Args:
        vectors: float32 (n, dim), rows of unit length.
        groups: (n,) of `group_indices`.
        seed: Of k-means and sample.

    Raises:
        MissingExtraError: faiss is not installed.
    """
    share = max(TASKS_PER_PROTOTYPE, len(vectors) / MAX_PROTOTYPES)
    owner: list[int] = []
    assigned = np.empty(len(vectors), dtype=np.int64)
    for group in np.unique(groups).tolist():
        own = groups == group
        k = max(1, round(int(own.sum()) / share))
        centroids = kmeans(vectors[own], k, seed, starts=STARTS)
        assigned[own] = len(owner) + assign(vectors[own], centroids)[0]
        owner += [group] * len(centroids)
    points = vectors[sample_rows(len(vectors), SAMPLE_VECTORS, seed)]
    directions = np.linalg.eigh(points.T @ points)[1][:, : -DIRECTIONS - 1 : -1].T
    return PrototypeStart(np.array(owner), assigned, np.ascontiguousarray(directions))
