"""An interval of a mean that holds at every look.

Not here: the mathematics of the bets (see ``tilts``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hypernova.monitoring.tilts import (
    check_level,
    check_numbers,
    check_range,
    log_sums,
    mean_intervals,
    tilt_grid,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class MeanSequence:
    """An interval of the mean of bounded numbers that may be looked at any time.

    An ordinary 95% interval is right 95 times of 100 if it is looked at once. This one is right
    *at all looks together* in at least 95 series of 100: looking every day, and acting on the
    first day that shows something, costs nothing of that. It is less than twice as wide for it.

    The mean may drift: the interval is of the average, over all numbers so far, of what each was
    expected to be given those before it. It says nothing of the numbers to come.

    The form: a fixed mixture of bets over a grid of tilts (Howard, Ramdas, McAuliffe and Sekhon
    2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences"; Waudby-Smith and Ramdas
    2024, "Estimating means of bounded random variables by betting"); its width adapts to the
    variance. Nothing is assumed but the range and that the numbers come in order of arrival.

    Args:
        low: The least possible number.
        high: The greatest possible one, above ``low``; for weighted numbers, with the greatest
            weight.
        level: The probability that the interval is ever wrong, between 0 and 1.

    Raises:
        MonitorError: The range is empty or not finite, or the level is out of range.

    Example:
        >>> sequence = MeanSequence()
        >>> sequence.add([0.0, 1.0] * 500)
        >>> sequence.n, sequence.mean
        (1000, 0.5)
        >>> low, high = sequence.interval()
        >>> 0.44 < low < 0.5 < high < 0.56
        True
    """

    def __init__(self, *, low: float = 0.0, high: float = 1.0, level: float = 0.05) -> None:
        self._low, self._high = check_range(low, high)
        self._level = check_level(level)
        self._tilts = tilt_grid()
        self._sums = np.zeros(len(self._tilts))
        self._n, self._total = 0, 0.0

    def add(self, values: ArrayLike) -> None:
        """Add numbers in order of arrival; batches and single numbers give the same.

        Args:
            values: (n,) within the range; n may be 0.

        Raises:
            MonitorError: A number is not finite or out of range; none of them is added.
        """
        numbers = check_numbers(values, "values", self._low, self._high)
        u = (numbers - self._low) / (self._high - self._low)
        self._sums += log_sums(np.clip(u, 0.0, 1.0), self._tilts)
        self._n += len(u)
        self._total += float(u.sum())

    @property
    def n(self) -> int:
        """The number of values so far."""
        return self._n

    @property
    def mean(self) -> float:
        """The mean of the values so far; NaN before the first."""
        if not self._n:
            return math.nan
        return self._low + (self._high - self._low) * self._total / self._n

    def interval(self) -> tuple[float, float]:
        """Compute the interval; before the first value, the whole range."""
        low, high = mean_intervals(
            self._sums[None],
            np.array([self._n]),
            np.array([min(self._total / self._n, 1.0) if self._n else 0.5]),
            self._tilts,
            math.log(self._level),
        )
        width = self._high - self._low
        # Rounding of the scale must not lead out of the range.
        return (
            max(self._low, self._low + width * float(low[0])),
            min(self._high, self._low + width * float(high[0])),
        )
