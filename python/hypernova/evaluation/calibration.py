"""Compare held-out success estimates with what came of them.

Not here: the estimates, which an artifact gives as it serves (see ``protocol``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.evaluation.frontier_fields import Calibration, CalibrationBin

if TYPE_CHECKING:
    from hypernova.numeric import Floats

BINS = 10


@dataclass
class CalibrationSums:
    """Sums over estimates, of which many are added in parts.

    Attributes:
        n: Number of estimates of each bin, (bins,).
        estimate: Sum of the estimates, (bins,).
        score: Sum of the scores, (bins,).
        squared: Sum of the squared distances of estimate and score.
        squared_of_rates: The same for the models' rates.
    """

    n: Floats
    estimate: Floats
    score: Floats
    squared: float = 0.0
    squared_of_rates: float = 0.0

    @classmethod
    def none(cls) -> CalibrationSums:
        """Return the sums of no estimates."""
        return cls(np.zeros(BINS), np.zeros(BINS), np.zeros(BINS))

    def add(self, estimates: Floats, score: Floats, rates: Floats) -> None:
        """Add the estimates for held-out tasks.

        Args:
            estimates: (tasks, models), 0 to 1.
            score: (tasks, models), NaN where there is no outcome.
            rates: Mean score of each model in the training part, (models,); NaN without any.
        """
        known = ~np.isnan(score) & ~np.isnan(rates)
        found, came = estimates[known].astype(np.float64), score[known]
        place = np.minimum((found * BINS).astype(np.int64), BINS - 1)
        self.n += np.bincount(place, minlength=BINS)
        self.estimate += np.bincount(place, found, minlength=BINS)
        self.score += np.bincount(place, came, minlength=BINS)
        self.squared += float(((found - came) ** 2).sum())
        self.squared_of_rates += float(np.nansum((rates - score) ** 2))

    def calibration(self) -> Calibration | None:
        """Compute the figures; None without an estimate."""
        n = int(self.n.sum())
        if not n:
            return None
        return Calibration(
            error=float(np.abs(self.estimate - self.score).sum() / n),
            brier=self.squared / n,
            brier_of_rates=self.squared_of_rates / n,
            n=n,
            bins=tuple(
                CalibrationBin(
                    low=b / BINS,
                    high=(b + 1) / BINS,
                    n=int(self.n[b]),
                    estimate=float(self.estimate[b] / self.n[b]) if self.n[b] else None,
                    score=float(self.score[b] / self.n[b]) if self.n[b] else None,
                )
                for b in range(BINS)
            ),
        )
