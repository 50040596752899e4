"""Intervals of means over tasks: a percentile bootstrap over prompts and repeats.

Not here: the choice of the means (see ``figures``).

The intervals are percentile intervals (Efron and Tibshirani 1993, chapter 13) of draws
that take prompts and, independently, repeats with replacement: the pigeonhole bootstrap
of Owen (2007), made for tables where two things vary at once. Tasks with the same prompt
are drawn together. A task is one piece of evidence however often it was dealt into folds:
its value is its mean over the drawn repeats.

The draws do not show the effect of another training part: the training parts of all folds
overlap, and the variance of cross-validation has no unbiased estimate (Bengio and
Grandvalet 2004). `widened` corrects for most of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from hypernova.report_values import Interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from hypernova.numeric import Floats, Ints

DRAWS = 2000
LEVEL = 0.95
# Numbers in one batch of draws: 16 MB.
BATCH = 2_000_000

Key = TypeVar("Key", bound="Hashable")


def draw_means(
    values: Mapping[Key, Floats], prompts: Ints, *, seed: int, draws: int = DRAWS
) -> dict[Key, Floats]:
    """Draw prompts and repeats with replacement, and compute the means of each draw.

    All values share the draws, so that a function of several means can be computed draw
    by draw.

    Args:
        values: float64 (repeats, tasks), or (1, tasks) where all repeats are equal; NaN
            is left out.
        prompts: (tasks,) the same number for tasks that are drawn together, from 0.
        seed: The same values and seed give the same draws.
        draws: Number of draws.

    Returns:
        (draws,) for each of the values; NaN where a draw holds no known value.
    """
    rng = np.random.default_rng(seed)
    different = int(prompts.max()) + 1
    repeats = max(len(rows) for rows in values.values())
    known = {key: ~np.isnan(rows) for key, rows in values.items()}
    filled = {key: np.where(known[key], rows, 0.0) for key, rows in values.items()}
    batches: dict[Key, list[Floats]] = {key: [] for key in values}
    step = max(1, BATCH // max(len(prompts), different))
    even = np.full(repeats, 1 / repeats)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        picked = rng.integers(different, size=(count, different))
        picked += different * np.arange(count)[:, None]
        times = np.bincount(picked.ravel(), minlength=count * different)
        weight = times.reshape(count, different)[:, prompts].astype(np.float64)
        of_repeat = rng.multinomial(repeats, even, size=count).astype(np.float64)
        for key in values:
            batches[key].append(weighted_means(filled[key], known[key], weight, of_repeat))
    return {key: np.concatenate(means) for key, means in batches.items()}


def weighted_means(filled: Floats, known: Floats, weight: Floats, of_repeat: Floats) -> Floats:
    """Compute weighted means of tasks' weighted means over repeats.

    Args:
        filled: (repeats or 1, tasks) values, 0 where unknown.
        known: Whether each value is known, the same shape.
        weight: (draws, tasks) number of times that each task was drawn.
        of_repeat: (draws, repeats) number of times that each repeat was drawn.

    Returns:
        (draws,); NaN where no known value was drawn.
    """
    if len(filled) == 1 or known.all():
        # The same repeats are known of every task: sums over tasks come first, as products.
        if len(filled) == 1:
            of_repeat = np.ones((len(weight), 1))
        total = (of_repeat * (weight @ filled.T)).sum(axis=1)
        n = (of_repeat * (weight @ known.T.astype(np.float64))).sum(axis=1)
        with np.errstate(invalid="ignore"):
            of_all: Floats = total / n
        return of_all
    total = of_repeat @ filled
    times = of_repeat @ known.astype(np.float64)
    there = times > 0
    np.divide(total, times, out=total, where=there)
    with np.errstate(invalid="ignore"):
        of_known: Floats = np.einsum("bt,bt->b", weight, total) / np.einsum(
            "bt,bt->b", weight, there.astype(np.float64)
        )
    return of_known


def interval(draws: Floats) -> Interval | None:
    """Find the central 95% of the draws that are not NaN; None if all are."""
    there = draws[~np.isnan(draws)]
    if not len(there):
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(there, [tail, 1 - tail])
    return Interval(float(low), float(high))


def widened(ends: Interval | None, mean: float, test_to_train: float) -> Interval | None:
    """Widen an interval around its mean for the training parts that the folds share.

    Nadeau and Bengio (2003), as used for repeated folds by Bouckaert and Frank (2004): with
    many repeats the variance is that of the tasks times ``1 + test_to_train``. With it the
    intervals of benches/coverage.py hold a true gain about 90 times of 100, without it 85.

    Args:
        ends: The result of `interval`.
        mean: The mean that ``ends`` belong to.
        test_to_train: Number of tasks of a test part over that of its training part.
    """
    if ends is None:
        return None
    stretch = math.sqrt(1 + test_to_train)
    low, high = ends
    return Interval(mean - stretch * (mean - low), mean + stretch * (high - mean))
