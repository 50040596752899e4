"""Count outcomes with repeats behind them: how many outcomes of different tasks tell as much.

Not here: merging repeats into one outcome (`hypernova.table.repeats`), or standard errors: those
are of tasks' mean scores, whose variance is smaller by itself where repeats are behind them.

Ten outcomes of one task tell less than those of ten tasks, because most of what an outcome shows
belongs to the task. Kish's design effect (Survey Sampling, 1965, section 5.4) says how much less:
a mean of ``n`` outcomes of one task varies as much as one of ``n / (1 + (n - 1) * rho)`` outcomes
of different tasks, where ``rho`` is the share of an outcome's variance that lies between tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.outcome_sums import SCORE_BITS, rounded, sum_outcomes
from hypernova.training.estimates.sums import REPEAT_SUMS, Sums, sum_by_cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova.numeric import Floats, Ints

# A mean score times its number of outcomes is a number of successes if it is this near to a whole
# one: means are often written with two digits.
_WHOLE = 0.02


def sum_repeats(score: Floats, n: Floats, clusters: Ints, k: int) -> Sums:
    """Sum what the repeats of outcomes tell, by cluster.

    Args:
        score: Mean scores (tasks, m), NaN where there is no outcome.
        n: Number of outcomes behind each, (tasks, m), 1 or more.
        clusters: (tasks,) in 0..k-1.
        k: Number of clusters.

    Returns:
        float64 (k + 1, m) each, row ``k`` for all tasks: ``repeat_n``, the number of outcomes with
        ``n`` above 1; ``repeat_saved``, the sum of ``1 - 1/n``; and ``repeat_within``, the sum of
        their variances within a task, estimated as those of successes and failures
        (``score * (1 - score) * n / (n - 1)``), and 0 where the outcomes were none.
    """
    m = score.shape[1]
    repeated = (n > 1.0) & ~np.isnan(score)
    mean, behind = np.where(repeated, score, 0.0), np.where(repeated, n, 2.0)
    successes = mean * behind
    binary = np.abs(successes - np.rint(successes)) <= _WHOLE
    within = mean * (1.0 - mean) * behind / (behind - 1.0)
    found = (
        repeated.astype(np.float64),
        np.where(repeated, 1.0 - 1.0 / behind, 0.0),
        np.where(repeated & binary, within, 0.0),
    )
    cells = clusters[:, None] * np.int64(m) + np.arange(m)
    rows = [sum_by_cell(rounded(values, SCORE_BITS), cells, (k, m)) for values in found]
    whole = [np.vstack([each, each.sum(axis=0)]) for each in rows]
    return Sums(dict(zip(REPEAT_SUMS, whole, strict=True)))


def share_between_tasks(sums: Sums) -> float:
    """Estimate ``rho``, the share of an outcome's variance that lies between tasks, 0 to 1.

    One share serves all models: few tables have enough repeats for one each. Outcomes that are no
    successes and failures, of which a mean does not show the variance, raise it towards 1, where
    repeats tell nothing more than one outcome does.

    Args:
        sums: Of `sum_outcomes` and `sum_repeats`.
    """
    n, score, score2 = (sums[name][-1] for name in ("n", "score", "score2"))
    repeated, saved, within = (sums[name][-1] for name in REPEAT_SUMS)
    degrees = float(np.maximum(n - 1.0, 0.0).sum())
    if not repeated.any() or not degrees:
        return 1.0
    of_task = float(within.sum() / repeated.sum())
    squares = np.maximum(score2 - score**2 / np.maximum(n, 1.0), 0.0)
    of_means = float(squares.sum()) / degrees
    between = max(of_means - of_task * float((n - saved).sum() / n.sum()), 0.0)
    return between / (between + of_task) if of_task else 1.0


def effective_outcomes(sums: Sums) -> NDArray[np.float64]:
    """Return the effective number of outcomes, float64 (k + 1, m).

    The number of outcomes of different tasks whose mean is as certain as the mean of these tasks'
    mean scores, in which each task has the same weight: with ``T`` tasks
    ``T**2 / sum(rho + (1 - rho) / n)``. That is ``T`` without repeats, and never more than the
    number of all outcomes.

    Args:
        sums: Of `sum_outcomes`, and of `sum_repeats` if outcomes are repeated.
    """
    n = sums["n"].astype(np.float64)
    if any(name not in sums for name in REPEAT_SUMS):
        return n
    kept = np.maximum(n, 1.0) - (1.0 - share_between_tasks(sums)) * sums["repeat_saved"]
    effective: NDArray[np.float64] = n * (np.maximum(n, 1.0) / kept)
    return effective


def count_effective(score: Floats, n: Floats, clusters: Ints, k: int) -> NDArray[np.float64]:
    """Return the `effective_outcomes` of mean scores; arguments as for `sum_repeats`."""
    nothing = np.full(score.shape, np.nan)
    sums = sum_outcomes(score, nothing, nothing, clusters, k)
    return effective_outcomes(sums.with_sums(sum_repeats(score, n, clusters, k)))
