"""Estimate each model's success in each cluster from sums, with standard errors.

Not here: the sums (see ``sums``), or how strongly estimates are shrunk (see
``hypernova.training.model_selection``).

The estimates are empirical-Bayes shrinkage: a cluster's mean leans on the model's overall
rate, and overall rates lean on the default model's as far as their gap may be noise. Means are
those of the table with its holes filled (see ``completion``), so that models are compared on the
same tasks. Row ``k`` of every array is the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hypernova.artifact.profile import Profile
from hypernova.training.estimates.completion import Completion, complete
from hypernova.training.estimates.outcome_sums import sum_outcomes, sum_pairs
from hypernova.training.estimates.repeats import effective_outcomes
from hypernova.training.estimates.sums import mean_by_cell, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.estimates.sums import Sums

# Weight of the prior of a model's overall rate, in outcomes: the rate of all models together.
OVERALL_WEIGHT = 20.0
# With this number of outcomes a model may be the default, however often others were tried.
MIN_DEFAULT_OUTCOMES = 100
# Standard errors that holes add by which a rate is lowered before the default model is chosen. With
# 0 a model that was tried on half of the tasks may replace one that was tried on all; with 1, whole
# kinds removed from six of ten models cost another point of regret where models differ most by
# kind (`benches.holes`, on the tables of which it was set).
DEFAULT_CAUTION = 0.5
# The largest variance of a score in 0..1, and of the difference of two independent scores.
MAX_SCORE_VARIANCE, MAX_GAIN_VARIANCE = 0.25, 0.5


@dataclass(frozen=True)
class Estimate:
    """A profile, and the default model that its gain errors are about.

    Attributes:
        profile: Estimates for each cluster and model.
        default_model: Index of the default model.
    """

    profile: Profile
    default_model: int

    @property
    def cluster_success(self) -> Floats:
        """Success of each model in each cluster, float64 (k, m)."""
        success: Floats = self.profile.success[:-1].astype(np.float64)
        return success

    @classmethod
    def of(cls, artifact: Artifact) -> Estimate:
        """Read the estimates of an artifact."""
        return cls(Profile.of(artifact), artifact.models.index(artifact.default_model))


def _variance(n: Floats, total: Floats, squares: Floats, max_variance: float) -> Floats:
    """Compute the variance of the values that were summed, float64 (k + 1, m).

    The variance over the whole table is at least the one that a single further value could
    give it: a few equal outcomes do not prove that a model never varies.
    """
    variance = np.maximum(ratio(squares, n, 0.0) - ratio(total, n, 0.0) ** 2, 0.0)
    variance[-1] = np.maximum(variance[-1], max_variance / (n[-1] + 1.0))
    return variance


def overall_success(completion: Completion) -> Floats:
    """Estimate each model's overall success from the completed sums of a table, float64 (m,).

    A model leans on the rate of all models together: one success in one trial is not a rate of
    100%.
    """
    n, score = completion.tasks[-1], completion.score[-1]
    everyone = float(score.sum() / (n.sum() * len(score)))
    shrunk: Floats = (score + OVERALL_WEIGHT * everyone) / (n + OVERALL_WEIGHT)
    return shrunk


def has_enough_outcomes(n: Floats) -> NDArray[np.bool_]:
    """Return which models have enough outcomes to be the default model.

    Args:
        n: Number of outcomes of each model over the whole table, (m,).

    Returns:
        bool (m,): 100 outcomes, or half as many as the most tried model.
    """
    enough: NDArray[np.bool_] = n >= min(n.max() / 2, MIN_DEFAULT_OUTCOMES)
    return enough


def best_single(sums: Sums) -> int:
    """Return the index of the best single model; of equal ones the lower.

    Only models with enough outcomes are candidates: a handful of lucky outcomes makes no
    default model. The rate of a model with holes is lowered by half of the standard error
    that they add.
    """
    return _best_single(sums, complete(sums))


def _best_single(sums: Sums, completion: Completion) -> int:
    sure = overall_success(completion) - DEFAULT_CAUTION * completion.error
    enough = has_enough_outcomes(sums["n"][-1])
    return int(np.argmax(np.where(enough, sure, -np.inf)))


class PairedGains(NamedTuple):
    """Sums of the paired gains over the default model, float64 (k + 1, m) each.

    Attributes:
        n: Number of tasks with an outcome of both models.
        gain: Sum of gains.
        gain2: Sum of squared gains.
    """

    n: Floats
    gain: Floats
    gain2: Floats


@dataclass(frozen=True)
class Evidence:
    """The sums that the estimates of a table's clusters are computed from.

    Attributes:
        sums: Sums of `sum_outcomes`, and of `sum_pairs` with the default model as a reference.
    """

    sums: Sums

    @classmethod
    def of(cls, table: OutcomeTable, clusters: Ints, k: int) -> Evidence:
        """Sum the outcomes of a table.

        Args:
            table: Outcomes.
            clusters: Cluster of each task, (tasks,) in 0..k-1.
            k: Number of clusters.
        """
        sums = sum_outcomes(table.score, table.cost_usd, table.latency_s, clusters, k)
        pairs = sum_pairs(table.score, [best_single(sums)], clusters, k)
        return cls(sums.with_sums(pairs))

    @cached_property
    def completion(self) -> Completion:
        """Sums with the holes filled, of `complete`."""
        return complete(self.sums)

    @cached_property
    def overall(self) -> Floats:
        """Overall success of each model, of `overall_success`."""
        return overall_success(self.completion)

    @cached_property
    def default_model(self) -> int:
        """Index of the best single model, of `best_single`."""
        return _best_single(self.sums, self.completion)

    @cached_property
    def holes_error2(self) -> Floats:
        """Variance that holes add to each model's gain over the default model, float64 (m,)."""
        covariance, default = self.completion.covariance, self.default_model
        diagonal = np.diag(covariance)
        variance: Floats = diagonal + diagonal[default] - 2.0 * covariance[default]
        variance[default] = 0.0
        return np.maximum(variance, 0.0)

    @cached_property
    def pairs(self) -> PairedGains:
        """Paired gains over the default model."""
        at = self.sums.references.index(self.default_model)
        n, gain, gain2 = (self.sums[f"pair_{name}"][at] for name in PairedGains._fields)
        return PairedGains(n, gain, gain2)

    @cached_property
    def pooled(self) -> Floats:
        """Overall success shrunk towards the default model's, of `pooled_success`."""
        return pooled_success(self)

    @cached_property
    def variance(self) -> Floats:
        """Variance of the scores, float64 (k + 1, m)."""
        sums = self.sums
        return _variance(sums["n"], sums["score"], sums["score2"], MAX_SCORE_VARIANCE)

    @cached_property
    def gain_variance(self) -> Floats:
        """Variance of the paired gains over the default model, float64 (k + 1, m)."""
        return _variance(*self.pairs, MAX_GAIN_VARIANCE)


def pooled_success(evidence: Evidence) -> Floats:
    """Shrink each model's overall rate towards the default model's, float64 (m,).

    The positive-part estimator of James and Stein, as in Efron and Morris 1975: the gap
    between the two rates is shrunk as far as it may be noise. So of two models that the
    outcomes do not tell apart neither is preferred everywhere. A model without enough outcomes
    is at least a standard error behind the default model: too little data is no reason to treat
    it as equal, or to prefer it.
    """
    sums, pairs, default = evidence.sums, evidence.pairs, evidence.default_model
    overall = evidence.overall
    gap = overall - overall[default]
    paired = evidence.gain_variance[-1] / np.maximum(pairs.n[-1], 1.0)
    each = evidence.variance[-1] / np.maximum(sums["n"][-1], 1.0)
    holes = evidence.holes_error2
    # Models that share few tasks, or none, are compared on the tasks of each.
    unpaired = each + each[default]
    noise = np.where(pairs.n[-1] < sums["n"][-1], np.minimum(paired, unpaired), paired) + holes
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(gap != 0.0, np.maximum(1.0 - noise / gap**2, 0.0), 1.0)
    cautious = np.minimum(overall, overall[default] - np.sqrt(each + holes))
    pooled: Floats = np.where(
        has_enough_outcomes(sums["n"][-1]), overall[default] + kept * gap, np.maximum(cautious, 0.0)
    )
    return pooled


def _shrunk_success(evidence: Evidence, shrinkage: float) -> Floats:
    """Shrink the clusters' completed means towards the pooled rates, float64 (k, m)."""
    completion, pooled = evidence.completion, evidence.pooled
    n = completion.tasks[:-1]
    # The shift of a model's overall rate shifts its rate in each cluster too, or the clusters
    # together would restore the gap that shrinkage removed.
    score = completion.score[:-1] - n * (evidence.overall - pooled)
    prior = np.broadcast_to(pooled, score.shape)
    with np.errstate(invalid="ignore"):
        shrunk = (score + shrinkage * prior) / (n + shrinkage)
    return np.where(n > 0, shrunk, prior)


def _shrunk_error(
    n: Floats, variance: Floats, weight: float, overall: Floats, overall_error: Floats
) -> Floats:
    """Compute the standard error of an estimate shrunk with ``weight``, float64 (k, m).

    The variance is shrunk like the mean: three equal outcomes do not prove that a model
    never varies. The error of the rate that the estimate leans on is added.
    """
    pooled = (n * variance + weight * overall) / (n + weight)
    leaning = weight / (n + weight)
    error: Floats = np.sqrt(pooled / (n + weight) + (leaning * overall_error) ** 2)
    return error


def estimate(evidence: Evidence, shrinkage: float) -> Estimate:
    """Estimate success by empirical-Bayes shrinkage, with standard errors.

    ``success = (n * mean + a * prior) / (n + a)`` with ``a`` = ``shrinkage`` and the number of
    tasks and the mean of the completed sums; the mean is shifted like the model's overall rate
    in `pooled_success`. The prior is that pooled rate; a cell without tasks is its prior. The last
    row is the overall estimate, not pooled. The errors are those of an estimate that leans on a
    prior worth ``max(a, 1)`` outcomes, and include the errors of the overall rate and of what
    holes are filled with.

    Args:
        evidence: Sums over k clusters and m models.
        shrinkage: Weight of the prior, in outcomes.

    Returns:
        The profile, without linear correction, and the default model of ``evidence``.
    """
    sums, pairs, default_model = evidence.sums, evidence.pairs, evidence.default_model
    n = sums["n"]
    weight = max(shrinkage, 1.0)
    mean = ratio(sums["score"], n, 0.0)
    shrunk = _shrunk_success(evidence, shrinkage)

    variance = evidence.variance
    overall_error = np.sqrt(variance[-1] / np.maximum(n[-1], 1.0))
    error = _shrunk_error(n[:-1], variance[:-1], weight, variance[-1], overall_error)
    completion = evidence.completion
    holes = completion.cell_error**2

    gain_variance = evidence.gain_variance
    overall_gain_error = np.sqrt(gain_variance[-1] / np.maximum(pairs.n[-1], 1.0))
    gain_error = _shrunk_error(
        pairs.n[:-1], gain_variance[:-1], weight, gain_variance[-1], overall_gain_error
    )

    def stacked(rows: Floats, last: Floats, holes2: Floats, last2: Floats) -> Floats:
        added = np.sqrt(np.vstack([holes2, last2]))
        errors: Floats = np.hypot(np.vstack([rows, last]), added).astype(np.float32)
        return errors

    gain_errors = stacked(
        gain_error, overall_gain_error, holes + holes[:, [default_model]], evidence.holes_error2
    )
    gain_errors[:, default_model] = 0.0
    profile = Profile(
        counts=effective_outcomes(sums),
        mean=mean.astype(np.float32),
        success=np.clip(np.vstack([shrunk, evidence.overall]), 0.0, 1.0).astype(np.float32),
        standard_error=stacked(error, overall_error, holes, np.diag(completion.covariance)),
        gain_error=gain_errors,
        cost=mean_by_cell(sums["cost"], sums["cost_n"]),
        latency=mean_by_cell(sums["latency"], sums["latency_n"]),
        slopes=None,
        offsets=None,
    )
    return Estimate(profile, default_model)
