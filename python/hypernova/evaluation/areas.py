"""Areas under curves of accuracy: against cost, and against calls to the stronger of two models.

Not here: the decisions (see ``protocol``), or the mean gain over mixes (see ``figures``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.evaluation.baselines import upper_hull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.numeric import Floats


def mean_accuracy(
    cost: Sequence[float], accuracy: Sequence[float], low: float, high: float
) -> float:
    """Compute RouterBench's AIQ of points (Hu et al. 2024, arXiv 2403.12031, section 3).

    It is the area under the non-decreasing convex hull of the points from ``low`` to ``high``,
    divided by that range: the accuracy that random mixes of the points reach, averaged over all
    costs. Beyond the dearest point of the hull more money buys nothing. Below the cheapest one,
    points are mixed with the null router of the paper, which costs nothing and solves nothing.

    Args:
        cost: Mean cost of each point, USD.
        accuracy: Accuracy of each, 0 to 1.
        low: Start of the range, USD.
        high: Its end, above the start.
    """
    x, y = np.array(cost, dtype=np.float64), np.array(accuracy, dtype=np.float64)
    hull = upper_hull(x, y)
    x, y = np.concatenate([[0.0], x[hull]]), np.concatenate([[0.0], y[hull]])
    if x[1] == 0.0:  # a point that costs nothing
        x, y = x[1:], y[1:]
    at = np.unique([low, high, *x[(x > low) & (x < high)]])
    return float(np.trapezoid(np.interp(at, x, y), at) / (high - low))


@dataclass(frozen=True)
class CallOrder:
    """The place of each task in the order in which a falling threshold sends it to one model.

    Tasks of equal margin are sent together; at a share of calls within them, each with the
    same probability.

    Attributes:
        start: Share of the tasks that go before, (repeats, tasks); NaN where there is no margin.
        width: Share of the tasks with the same margin, (repeats, tasks).
    """

    start: Floats
    width: Floats

    @classmethod
    def of(cls, margins: Floats) -> CallOrder:
        """Order the tasks of each repeat by margin, (repeats, tasks), the highest first."""
        start, width = np.full(margins.shape, np.nan), np.full(margins.shape, np.nan)
        for row, values in enumerate(margins):
            there = ~np.isnan(values)
            _, place, size = np.unique(-values[there], return_inverse=True, return_counts=True)
            n = max(int(there.sum()), 1)
            start[row, there] = ((np.cumsum(size) - size) / n)[place]
            width[row, there] = (size / n)[place]
        return cls(start, width)

    def sent(self, calls: float) -> Floats:
        """Compute the probability that each task is sent at a share of calls, 0 to 1."""
        return np.clip((calls - self.start) / self.width, 0.0, 1.0)

    def sent_on_average(self) -> Floats:
        """Compute the mean of `sent` over all shares of calls."""
        mean: Floats = 1.0 - self.start - self.width / 2
        return mean


def first_reach(calls: Sequence[float], recovered: Sequence[float], share: float) -> float:
    """Find the least share of calls at which a curve reaches a share of the gap.

    Args:
        calls: Rising shares of calls; the last is 1.
        recovered: Share of the gap at each; the last is 1.
        share: Share of the gap, 0 to 1.

    Returns:
        A share of calls, on the line between two points of the curve.
    """
    place = next(i for i, value in enumerate(recovered) if value >= share)
    if place == 0:
        return calls[0]
    low, high = recovered[place - 1], recovered[place]
    return calls[place - 1] + (calls[place] - calls[place - 1]) * (share - low) / (high - low)
