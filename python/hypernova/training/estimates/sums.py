"""Sum each model's outcomes by cluster: the sufficient statistics of the estimates.

Not here: which cluster a task is in, or the estimates (see ``profile``).

The sums of two parts of a table add up to those of the whole, so that a table can be read
in pieces. Row ``k`` of every array is the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.numeric import Floats, Ints


@dataclass(frozen=True)
class Sums:
    """Sums over the tasks of each cluster; float64 (k + 1, m) each.

    Attributes:
        n: Number of outcomes.
        score: Sum of scores.
        score2: Sum of squared scores.
        cost_n: Number of outcomes with a known cost.
        cost: Sum of known costs, USD.
        latency_n: Number of outcomes with a known latency.
        latency: Sum of known latencies, seconds.
    """

    n: Floats
    score: Floats
    score2: Floats
    cost_n: Floats
    cost: Floats
    latency_n: Floats
    latency: Floats

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Sums)))


@dataclass(frozen=True)
class PairSums:
    """Sums of the paired gain over one reference model; float64 (k + 1, m) each.

    Attributes:
        n: Number of tasks with an outcome of both models.
        gain: Sum of gains.
        gain2: Sum of squared gains.
    """

    n: Floats
    gain: Floats
    gain2: Floats

    def __add__(self, other: PairSums) -> PairSums:
        return PairSums(self.n + other.n, self.gain + other.gain, self.gain2 + other.gain2)


def _by_cluster(values: Floats, clusters: Ints, k: int) -> tuple[Floats, Floats]:
    """Count and sum the values that are not NaN, by cluster and over all tasks."""
    m = values.shape[1]
    known = ~np.isnan(values)
    cell = (clusters[:, None] * np.int64(m) + np.arange(m)).ravel()

    def added(weights: Floats) -> Floats:
        rows = np.bincount(cell, weights=weights.ravel(), minlength=k * m).reshape(k, m)
        return np.vstack([rows, rows.sum(axis=0)])

    return added(known.astype(np.float64)), added(np.where(known, values, 0.0))


def sum_up(score: Floats, cost_usd: Floats, latency_s: Floats, clusters: Ints, k: int) -> Sums:
    """Sum the outcomes of a table by cluster.

    Args:
        score: (n, m) in 0..1, NaN where there is no outcome.
        cost_usd: (n, m), NaN where unknown.
        latency_s: (n, m), NaN where unknown.
        clusters: (n,) in 0..k-1.
        k: Number of clusters.
    """
    n, total = _by_cluster(score, clusters, k)
    _, squares = _by_cluster(score**2, clusters, k)
    return Sums(
        n, total, squares, *_by_cluster(cost_usd, clusters, k), *_by_cluster(latency_s, clusters, k)
    )


def sum_pairs(score: Floats, reference: int, clusters: Ints, k: int) -> PairSums:
    """Sum the paired gains over the model ``reference`` by cluster; shapes as in `sum_up`."""
    difference = score - score[:, [reference]]
    n, total = _by_cluster(difference, clusters, k)
    return PairSums(n, total, _by_cluster(difference**2, clusters, k)[1])


def mean_known(values: Floats, axis: int = 0) -> Floats:
    """Average the values along an axis that are not NaN; NaN where all are."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    with np.errstate(invalid="ignore"):
        mean: Floats = total / known.sum(axis=axis)
    return mean


def ratio(total: Floats, n: Floats, otherwise: Floats | float) -> Floats:
    """Divide totals by counts; ``otherwise`` where the count is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, total / n, otherwise)
