"""Find models that hardly agree with the others on which tasks are hard.

Not here: the sentence on them (`notes`).

On real tables a task that is hard for some models is hard for others too, within a group as well.
Where a model's scores correlate with the others' no more than by chance, its rows are likely out
of order. Group means are subtracted first: a model whose rows are out of order within a benchmark
still agrees on which benchmark is hard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova.numeric import Floats, Ints

# A model is reported if its agreement lies nearer to none than to half of what is typical, and
# these two are four standard errors apart. Then a column out of order is found, and a model that
# agrees half as well as the typical one is spared, with at least 97.7%. A model that agrees by more
# than three standard errors agrees more than by chance, and is spared however much is typical.
_TYPICAL_Z = 8.0
_MAX_Z = 3.0
_ROUNDING = 1e-20


@dataclass(frozen=True)
class Agreement:
    """How much each model agrees with the others; NaN where nothing can be said.

    Attributes:
        correlation: float64 (models,), of a model's scores with the mean of the others' on the
            same tasks, within groups.
        z: Its covariance in standard errors of the permutation distribution, float64 (models,).
        typical: Correlation that a model would have which agrees as the median of the others
            does, and whose scores are spread as this one's, float64 (models,).
        typical_z: `z` of a model that agrees as much as is typical, float64 (models,).
        tasks: Tasks that are compared, int64 (models,).
    """

    correlation: Floats
    z: Floats
    typical: Floats
    typical_z: Floats
    tasks: Ints

    @property
    def disagreeing(self) -> Ints:
        """Models whose rows are likely out of order, as rising indices."""
        with np.errstate(invalid="ignore"):  # NaN is no sign of anything
            bound = np.minimum(self.typical_z / 4, _MAX_Z)
            return np.flatnonzero((self.typical_z >= _TYPICAL_Z) & (self.z < bound))


def agreement(score: Floats, groups: Ints) -> Agreement:
    """Correlate each model's scores with the mean of the others', within groups.

    The mean of a model in a group is subtracted from its scores there, so that a task that strong
    models alone were tried on does not look easy. If the outcomes of a model were permuted within
    each group, its covariance with the others' mean would have the expectation 0 and the variance
    `sum_g a_g b_g / (n_g - 1)`, where `a_g` and `b_g` are the sums of squares of the two over the
    `n_g` tasks of group g (Hoeffding 1951, *A combinatorial central limit theorem*).

    Args:
        score: float64 (tasks, models); NaN is a hole.
        groups: Number of each task's group, from 0, rising, int64 (tasks,).
    """
    n_models = score.shape[1]
    by_group = _Groups(groups)
    known = ~np.isnan(score)
    own = by_group.centred(score, known)
    n_others = known.sum(axis=1, keepdims=True) - known
    compared = known & (n_others > 0)
    others = (own.sum(axis=1, keepdims=True) - own) / np.maximum(n_others, 1)
    own, others = by_group.centred(own, compared), by_group.centred(others, compared)
    n = by_group.sums(compared.astype(np.float64))
    # What is left of equal scores is rounding.
    a, b = (np.where(s > _ROUNDING * n, s, 0.0) for s in map(by_group.sums, (own**2, others**2)))
    covariance = (own * others).sum(axis=0)
    spread = np.sqrt(a.sum(axis=0) * b.sum(axis=0))
    error = np.sqrt((a * b / np.maximum(n - 1, 1)).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation, z, scale = (
            np.where(error > 0, of / by, np.nan)
            for of, by in ((covariance, spread), (covariance, error), (spread, error))
        )
        # Scores that are nearly all equal cannot correlate as much: mean deviation by standard
        # deviation (Geary 1935), for 0 and 1 in proportion to the latter.
        evenness = np.abs(own).sum(axis=0) / np.sqrt(a.sum(axis=0) * compared.sum(axis=0))
        even = correlation / evenness
    typical = np.full(n_models, np.nan)
    for m in range(n_models):
        rest = np.delete(even, m)
        if not np.isnan(rest).all():
            typical[m] = np.nanmedian(rest) * evenness[m]
    return Agreement(correlation, z, typical, typical * scale, compared.sum(axis=0))


class _Groups:
    """Sums over the tasks of each group; the tasks of a group follow one another."""

    def __init__(self, groups: Ints) -> None:
        self._starts = np.flatnonzero(np.diff(groups, prepend=-1))
        self._place = np.repeat(
            np.arange(len(self._starts)), np.diff(self._starts, append=len(groups))
        )

    def sums(self, values: Floats) -> Floats:
        """Sum over each group, (groups, models)."""
        return np.add.reduceat(values, self._starts, axis=0)

    def centred(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """Subtract each model's mean in the group, where it is known; the rest becomes 0."""
        values = np.where(known, values, 0.0)
        means = self.sums(values) / np.maximum(self.sums(known.astype(np.float64)), 1.0)
        return np.where(known, values - means[self._place], 0.0)
