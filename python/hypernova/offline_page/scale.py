"""Scales of drawings, with round ticks.

Not here: the drawings (see ``frontier`` and ``accuracies``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Scale:
    """A map from values to positions, linear or logarithmic.

    Attributes:
        low: Value at ``start``.
        high: Value at ``end``.
        start: Position of ``low``.
        end: Position of ``high``.
        log: Whether equal ratios are equal distances; ``low`` must be above 0 then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, *, log: bool = False) -> Scale:
        """Span the values with a margin at both ends."""
        low, high = min(values), max(values)
        if log:
            margin = max(0.04 * math.log(high / low), 0.05)
            return cls(low / math.exp(margin), high * math.exp(margin), start, end, log)
        margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - margin, high + margin, start, end)

    def __call__(self, value: float) -> float:
        """Give the position of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Choose round values within the scale, about ``count`` at most."""
        if self.log:
            return self._log_ticks(count)
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / count))
        step *= next(f for f in (1, 2, 5, 10) if (self.high - self.low) / (f * step) <= count)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        # Rounded, or 0.7000000000000001 would be written so.
        return [round(i * step, 12) for i in range(first, last + 1)]

    def _log_ticks(self, count: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            ticks = [float(f"{factor}e{decade}") for decade in decades for factor in factors]
            ticks = [tick for tick in ticks if self.low <= tick <= self.high]
            if len(ticks) <= count:
                break
        return ticks


def percent_of(position: float) -> str:
    """Write a position of 0 to 100 for a drawing that is as wide as its place."""
    return f"{position:.2f}%"
