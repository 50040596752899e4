"""Sum up what each model achieved in each cluster, and estimate from the sums.

Not here: which cluster a task is in (see ``cluster``), or how strongly estimates
are shrunk (see ``select``).

Sums add up: those of two parts of a table, added, are those of the whole, so that
a table can be read in pieces. Row ``k`` of every array is the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.sums import PairSums, Sums, ratio, sum_pairs, sum_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

# Outcomes at the rate of all models together that each model's overall rate leans on.
OVERALL_WEIGHT = 20.0
# Outcomes with which a model may be the default model, however often others were tried.
ENOUGH_OUTCOMES = 100
# Outcomes at the model's overall rate that its rate in a group leans on.
GROUP_WEIGHT = 20.0
# The largest variance of a score in 0..1, and of the difference of two independent ones.
SCORE_VARIANCE, GAIN_VARIANCE = 0.25, 0.5


@dataclass(frozen=True)
class Profiles:
    """What an artifact holds for each (cluster, model); see FORMAT.md for the shapes."""

    counts: Floats
    mean: Floats
    success: Floats
    standard_error: Floats
    gain_error: Floats
    cost: Floats
    latency: Floats
    default_model: int


def _variance(n: Floats, total: Floats, squares: Floats, largest: float) -> Floats:
    """Variance of the values that were summed, float64 (k + 1, m).

    That of the whole table is at least what one more value may make it: a few equal
    outcomes do not prove that a model never varies.
    """
    variance = np.maximum(ratio(squares, n, 0.0) - ratio(total, n, 0.0) ** 2, 0.0)
    variance[-1] = np.maximum(variance[-1], largest / (n[-1] + 1.0))
    return variance


def overall_success(sums: Sums) -> Floats:
    """Estimate each model's overall success, float64 (m,).

    A model with few outcomes leans on the rate of all models together: one
    outcome of one is not a hundred per cent.
    """
    n, score = sums.n[-1], sums.score[-1]
    everyone = float(score.sum() / n.sum())
    shrunk: Floats = (score + OVERALL_WEIGHT * everyone) / (n + OVERALL_WEIGHT)
    return shrunk


def often_tried(sums: Sums) -> NDArray[np.bool_]:
    """Which models have outcomes enough to be the default model, (m,)."""
    n = sums.n[-1]
    enough: NDArray[np.bool_] = n >= min(n.max() / 2, ENOUGH_OUTCOMES)
    return enough


def best_single(sums: Sums) -> int:
    """Index of the best single model; of equal ones the lower.

    Only models that were tried often enough are asked: a handful of lucky outcomes
    makes no default model.
    """
    return int(np.argmax(np.where(often_tried(sums), overall_success(sums), -np.inf)))


@dataclass(frozen=True)
class Evidence:
    """All that a table says about its clusters.

    Attributes:
        sums: Of `sum_up`.
        default_model: Of `best_single`.
        pairs: Of `sum_pairs`, against the default model.
        groups: Group of each cluster, (k,), or None: clusters of a group lean on its
            rates first.
    """

    sums: Sums
    default_model: int
    pairs: PairSums
    groups: Ints | None = None

    @classmethod
    def of(
        cls, table: OutcomeTable, clusters: Ints, k: int, groups: Ints | None = None
    ) -> Evidence:
        """Sum up a table whose tasks have been assigned to ``k`` clusters, (tasks,)."""
        sums = sum_up(table.score, table.cost_usd, table.latency_s, clusters, k)
        default = best_single(sums)
        return cls(sums, default, sum_pairs(table.score, default, clusters, k), groups)


def pulled_success(evidence: Evidence) -> Floats:
    """Pull each model's overall rate to the default model's, float64 (m,).

    As far as the gap between the two may be noise (the positive-part estimator of James
    and Stein, as in Efron and Morris 1975): of two models that nothing tells apart
    neither is preferred everywhere. Only a model that was tried as often as a default
    model must be is pulled: one of which little is known is not as good for that.
    """
    sums, pairs, default = evidence.sums, evidence.pairs, evidence.default_model
    overall = overall_success(sums)
    gap = overall - overall[default]
    paired = _variance(pairs.n, pairs.gain, pairs.gain2, GAIN_VARIANCE)[-1]
    paired = paired / np.maximum(pairs.n[-1], 1.0)
    each = _variance(sums.n, sums.score, sums.score2, SCORE_VARIANCE)[-1]
    each = each / np.maximum(sums.n[-1], 1.0)
    # Models that share few tasks, or none, are told apart by the others.
    unpaired = each + each[default]
    noise = np.where(pairs.n[-1] < sums.n[-1], np.minimum(paired, unpaired), paired)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(gap != 0.0, np.maximum(1.0 - noise / gap**2, 0.0), 1.0)
    kept = np.where(often_tried(sums), kept, 1.0)
    pulled: Floats = overall[default] + kept * gap
    return pulled


def _shrunk_success(evidence: Evidence, shrinkage: float) -> Floats:
    """Shrunk estimates of the clusters, float64 (k, m)."""
    sums, pulled = evidence.sums, pulled_success(evidence)
    n = sums.n[:-1]
    # What is taken off a model's overall rate is taken off its rate in each cluster, or
    # the clusters together would say again what the pull took back.
    score = sums.score[:-1] - n * (overall_success(sums) - pulled)
    prior = np.broadcast_to(pulled, n.shape)
    if evidence.groups is not None:
        number = int(evidence.groups.max()) + 1
        in_group = np.zeros((2, number, len(pulled)))
        np.add.at(in_group[0], evidence.groups, n)
        np.add.at(in_group[1], evidence.groups, score)
        rates = (in_group[1] + GROUP_WEIGHT * pulled) / (in_group[0] + GROUP_WEIGHT)
        prior = rates[evidence.groups]
    with np.errstate(invalid="ignore"):
        shrunk = (score + shrinkage * prior) / (n + shrinkage)
    return np.where(n > 0, shrunk, prior)


def _shrunk_error(
    n: Floats, variance: Floats, weight: float, overall: Floats, overall_error: Floats
) -> Floats:
    """Standard error of an estimate shrunk with ``weight``, float64 (k, m).

    The variance is shrunk as the mean is: three equal outcomes do not prove that
    a model never varies. The rate that the estimate leans on has an error of its own.
    """
    pooled = (n * variance + weight * overall) / (n + weight)
    leaning = weight / (n + weight)
    error: Floats = np.sqrt(pooled / (n + weight) + (leaning * overall_error) ** 2)
    return error


def estimate(evidence: Evidence, shrinkage: float) -> Profiles:
    """Shrink the means and state their errors (DESIGN, *The decision rule*).

    ``success = (n * mean + a * prior) / (n + a)`` with ``a`` = ``shrinkage``, less what
    `pulled_success` takes off the model's rate. The prior is the pulled rate, or that of
    the cluster's group, which leans on the former; a cell without outcomes is its prior.
    The last row is the overall estimate, not pulled. The
    errors are those of an estimate that leans on a prior worth ``max(a, 1)`` outcomes
    and on the error of the overall rate.

    Args:
        evidence: The sums.
        shrinkage: Weight of the prior, in outcomes.
    """
    sums, pairs, default_model = evidence.sums, evidence.pairs, evidence.default_model
    n = sums.n
    weight = max(shrinkage, 1.0)
    mean = ratio(sums.score, n, 0.0)
    shrunk = _shrunk_success(evidence, shrinkage)

    variance = _variance(n, sums.score, sums.score2, SCORE_VARIANCE)
    overall_error = np.sqrt(variance[-1] / np.maximum(n[-1], 1.0))
    error = _shrunk_error(n[:-1], variance[:-1], weight, variance[-1], overall_error)

    gain_variance = _variance(pairs.n, pairs.gain, pairs.gain2, GAIN_VARIANCE)
    overall_gain_error = np.sqrt(gain_variance[-1] / np.maximum(pairs.n[-1], 1.0))
    gain_error = _shrunk_error(
        pairs.n[:-1], gain_variance[:-1], weight, gain_variance[-1], overall_gain_error
    )

    def stacked(rows: Floats, last: Floats) -> Floats:
        return np.vstack([rows, last[None]]).astype(np.float32)

    def expense(total: Floats, known: Floats) -> Floats:
        overall = ratio(total[-1], known[-1], np.nan)
        return ratio(total, known, overall).astype(np.float32)

    gain_errors = stacked(gain_error, overall_gain_error)
    gain_errors[:, default_model] = 0.0
    return Profiles(
        counts=n,
        mean=mean.astype(np.float32),
        success=np.clip(stacked(shrunk, overall_success(sums)), 0.0, 1.0),
        standard_error=stacked(error, overall_error),
        gain_error=gain_errors,
        cost=expense(sums.cost, sums.cost_n),
        latency=expense(sums.latency, sums.latency_n),
        default_model=default_model,
    )
