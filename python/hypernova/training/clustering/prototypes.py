"""Find centroids that tell groups of tasks apart.

Not here: routing by group. A prompt's group is read in training only; at request time
the nearest centroids decide, as with any other clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.clustering.kmeans import (
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
ITERATIONS = 25
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
    start: Prototypes,
    seed: int,
    sharpness: float,
    check: Callable[[], None] | None = None,
    tasks: Ints | None = None,
) -> Prototypes:
    """Move the centroids of each group to where they tell the groups apart.

    Robust soft learning vector quantization (RSLVQ; Seo and Obermayer 2003): L-BFGS
    maximises the likelihood of each task's group under the soft assignment that serves,
    starting at the mean of the tasks that each centroid stands for, with a quadratic penalty on
    leaving it. Of more than `MAX_SAMPLE` tasks a seeded sample is read.

    Args:
        vectors: float32 (n, dim), rows of unit length.
        groups: (n,) of `group_indices`.
        start: Centroids of each group, of `start_prototypes`; those without a task are dropped.
        seed: Of the sample.
        sharpness: Of the soft assignment (FORMAT.md, *Rows and shares*).
        check: Called now and then; it raises to give up.
        tasks: Indices of the tasks to read; None for all.
    """
    rows = _draw(groups if tasks is None else groups[tasks], seed)
    if tasks is not None:
        rows = tasks[rows]
    vectors, groups = vectors[rows], groups[rows]
    centres, owner = _means(vectors, groups, start)
    mine = owner[None, :] == groups[:, None]
    n, shape = np.float32(len(vectors)), centres.shape
    sharp, penalty = np.float32(sharpness), np.float32(PENALTY)

    def loss(flat: Floats) -> tuple[float, Floats]:
        if check:
            check()
        centroids = flat.reshape(shape).astype(np.float32)
        # Logits of squared distances; the vector's own square cancels out. In place: copies of
        # this size are most of the memory that training takes.
        weights = vectors @ centroids.T
        weights -= 0.5 * (centroids**2).sum(axis=1)
        weights *= sharp
        weights -= weights.max(axis=1, keepdims=True)
        np.exp(weights, out=weights)
        own = weights * mine
        total, total_own = weights.sum(axis=1), own.sum(axis=1)
        # The nearest centroid of the own group may be so far that its weight is 0 in float32.
        total_own = np.maximum(total_own, np.finfo(np.float32).tiny)
        weights /= total[:, None]
        own /= total_own[:, None]
        slope = np.subtract(weights, own, out=weights)
        slope /= n
        gradient = sharp * (slope.T @ vectors - slope.sum(axis=0)[:, None] * centroids)
        moved = centroids - centres
        gradient += penalty * moved
        value = float((np.log(total) - np.log(total_own)).mean())
        value += float(penalty) / 2 * float((moved**2).sum())
        return value, gradient.astype(np.float64).ravel()

    found = minimise(loss, centres.astype(np.float64).ravel(), ITERATIONS)
    centroids = found.reshape(shape).astype(np.float32)
    order = order_by_size(vectors, centroids)
    return Prototypes(np.ascontiguousarray(centroids[order]), owner[order])


def _draw(groups: Ints, seed: int) -> Ints | slice:
    """Draw `MAX_SAMPLE` tasks with a seed, and some of each group: a small one may be missed."""
    rows = sample_rows(len(groups), MAX_SAMPLE, seed)
    if isinstance(rows, slice):
        return rows
    few = [np.flatnonzero(groups == group)[:MIN_GROUP_TASKS] for group in np.unique(groups)]
    return np.union1d(rows, np.concatenate(few))


def start_prototypes(vectors: Floats, groups: Ints, seed: int) -> Prototypes:
    """Find the k-means centroids of each group, by falling size of their clusters.

    Args:
        vectors: float32 (n, dim), rows of unit length.
        groups: (n,) of `group_indices`.
        seed: Of k-means.

    Raises:
        MissingExtraError: faiss is not installed.
    """
    share = max(TASKS_PER_PROTOTYPE, len(vectors) / MAX_PROTOTYPES)
    centroids, owner = [], []
    for group in np.unique(groups).tolist():
        own = vectors[groups == group]
        k = max(1, round(len(own) / share))
        found = kmeans(own, min(k, len(own)), seed, starts=STARTS)
        centroids.append(found)
        owner += [group] * len(found)
    return Prototypes(np.concatenate(centroids), np.array(owner))


def _means(vectors: Floats, groups: Ints, start: Prototypes) -> tuple[Floats, Ints]:
    """Return the mean of the tasks of a group next to each of its centroids, and the groups."""
    means, owner = [], []
    for group in np.unique(groups).tolist():
        own, centroids = vectors[groups == group], start.centroids[start.groups == group]
        nearest, _ = assign(own, centroids)
        sums = sum_by_cluster(own, nearest, len(centroids))
        n = np.bincount(nearest, minlength=len(centroids))
        means.append((sums[n > 0] / n[n > 0, None]).astype(np.float32))
        owner += [group] * int((n > 0).sum())
    return np.concatenate(means), np.array(owner)
