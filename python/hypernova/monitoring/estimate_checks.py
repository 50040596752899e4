"""Whether observed success is as predicted, by model or by cluster.

Not here: the mathematics of the bets (see ``tilts``), or since when it is not (see ``changes``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import MonitorError
from hypernova.monitoring.tilts import (
    CHUNK,
    check_lengths,
    check_level,
    check_number,
    check_numbers,
    log_wealth,
    mean_intervals,
    tilt_grid,
)
from hypernova.numeric import is_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hypernova.numeric import Floats, Ints


class EstimateCheck:
    """Evidence, group by group, that success is not as predicted.

    The evidence of a group is an *e-value*: a gambler bets, at fair odds and starting with 1, that
    the group's mean residual (score less prediction) lies outside the tolerance, and this is the
    gambler's wealth. If it lies within, the wealth *ever* reaches 20 with a probability of at most
    1 in 20. So a large e-value is evidence, whenever one looks. Half of the money bets on each
    sign.

    The residual may drift; the null hypothesis is about its average so far. Estimates of single
    prompts may be wrong as long as they are right on average over the group.

    The form: as `MeanSequence`, on residuals. `e_bh` says which groups may be named together.

    Args:
        n_groups: Number of groups (models or clusters), at least 1.
        tolerance: Mean residuals up to this, of either sign, are as predicted; 0 to below 1.

    Raises:
        MonitorError: An argument is out of range.

    Example:
        >>> check = EstimateCheck(2, tolerance=0.02)
        >>> check.add([0, 1] * 400, [0.5] * 800, [1.0, 1.0, 0.0, 1.0] * 200)
        >>> check.n, check.predicted, check.observed
        (array([400, 400]), array([0.5, 0.5]), array([0.5, 1. ]))
        >>> e_bh(check.log_e, 0.05)
        array([False,  True])
    """

    def __init__(self, n_groups: int, *, tolerance: float = 0.0) -> None:
        if not is_number(n_groups) or n_groups < 1 or n_groups != int(n_groups):
            raise MonitorError(f"n_groups is {n_groups!r}; expected an integer from 1 on")
        margin = check_number(tolerance, "tolerance", 0.0, math.nextafter(1.0, 0.0))
        self._tilts = tilt_grid()
        # Residuals are in -1..1: each sign bets against the end of the tolerance on its side.
        self._against = (1.0 + np.sign(self._tilts) * margin) / 2
        self._sums = np.zeros((int(n_groups), len(self._tilts)))
        self._n = np.zeros(int(n_groups), dtype=np.int64)
        self._predicted, self._observed = np.zeros(int(n_groups)), np.zeros(int(n_groups))

    def add(self, groups: ArrayLike, predicted: ArrayLike, observed: ArrayLike) -> None:
        """Add outcomes in order of arrival; batches and single outcomes give the same.

        Args:
            groups: (n,) integers, the group of each outcome, from 0.
            predicted: (n,) success estimate of the model that answered, 0 to 1.
            observed: (n,) score, 0 to 1.

        Raises:
            MonitorError: The lengths differ or a value is out of range; none of them is added.
        """
        group = self._check_groups(groups)
        estimate = check_numbers(predicted, "predicted", 0.0, 1.0)
        score = check_numbers(observed, "observed", 0.0, 1.0)
        check_lengths(groups=group, predicted=estimate, observed=score)
        count = len(self._n)
        self._n += np.bincount(group, minlength=count)
        self._predicted += np.bincount(group, estimate, count)
        self._observed += np.bincount(group, score, count)
        u = (1.0 + score - estimate) / 2
        for start in range(0, len(u), CHUNK):
            here = group[start : start + CHUNK]
            order = np.argsort(here, kind="stable")
            logs = np.log1p(np.outer(u[start : start + CHUNK][order], self._tilts))
            there, first = np.unique(here[order], return_index=True)
            self._sums[there] += np.add.reduceat(logs, first, axis=0)

    def _check_groups(self, groups: ArrayLike) -> Ints:
        numbers = np.asarray(groups)
        if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
            raise MonitorError("groups is no sequence of integers")
        whole = numbers.astype(np.int64)
        if len(whole) and not 0 <= whole.min() <= whole.max() < len(self._n):
            raise MonitorError(
                f"groups holds {whole.min()} to {whole.max()}; expected 0 to {len(self._n) - 1}"
            )
        return whole

    @property
    def n(self) -> Ints:
        """The number of outcomes of each group, (n_groups,)."""
        return self._n.copy()

    @property
    def predicted(self) -> Floats:
        """The mean prediction of each group, (n_groups,); NaN where there is no outcome."""
        return self._mean(self._predicted)

    @property
    def observed(self) -> Floats:
        """The mean score of each group, (n_groups,); NaN where there is no outcome."""
        return self._mean(self._observed)

    def _mean(self, totals: Floats) -> Floats:
        mean = np.full(len(totals), math.nan)
        np.divide(totals, self._n, out=mean, where=self._n > 0)
        return mean

    @property
    def log_e(self) -> Floats:
        """The logarithm of each group's e-value, (n_groups,); 0 where there is no outcome."""
        return log_wealth(self._sums, self._n, self._against, self._tilts)

    def intervals(self, level: float) -> tuple[Floats, Floats]:
        """Compute an interval of each group's mean residual (observed less predicted).

        Each is right at all looks together with probability 1 - level at least; for a statement
        on all groups at once, divide the level by their number.

        Args:
            level: The probability that one of them is ever wrong, between 0 and 1.

        Returns:
            The lower and the upper ends, (n_groups,) each; -1 and 1 where there is no outcome.

        Raises:
            MonitorError: The level is out of range.
        """
        residual = np.nan_to_num(self.observed - self.predicted)
        low, high = mean_intervals(
            self._sums,
            self._n,
            (1.0 + residual) / 2,
            self._tilts,
            math.log(check_level(level)),
        )
        return 2 * low - 1, 2 * high - 1


def e_bh(log_e: ArrayLike, level: float) -> NDArray[np.bool_]:
    """Select the groups whose null hypotheses may be rejected together (e-Benjamini-Hochberg).

    Of the groups that are named, the expected share of false ones is at most ``level``, however
    the groups depend on each other and at whichever look one stops (Wang and Ramdas 2022, "False
    discovery rate control with e-values"). If nothing is wrong in any group, one is ever named with
    a probability of at most ``level``.

    Args:
        log_e: (groups,) logarithms of e-values.
        level: The expected share of false ones, between 0 and 1.

    Returns:
        (groups,) whether each may be named.

    Raises:
        MonitorError: The level is out of range, or a value is NaN.

    Example:
        >>> e_bh([0.0, 8.0, 3.0], 0.05)
        array([False,  True, False])
    """
    rate = check_level(level)
    evidence = check_numbers(log_e, "log_e", -math.inf, math.inf)
    order = np.argsort(-evidence, kind="stable")
    # The k-th greatest needs groups / (level * k).
    needed = np.log(len(evidence) / np.arange(1, len(evidence) + 1)) - math.log(rate)
    enough = np.flatnonzero(evidence[order] >= needed)
    named = np.zeros(len(evidence), dtype=bool)
    if len(enough):
        named[order[: enough[-1] + 1]] = True
    return named
