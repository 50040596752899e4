"""Choose the margin of the policy, on held-out tasks and on kinds of task that were left out.

Not here: the estimates of either (see ``cross_validation``), or an unbiased figure (see
``hypernova.evaluation``).

A margin is the part of an estimated gain over the default model that does not count. It keeps
prompts of kinds that the table lacks, and whatever a small table only seems to say, with the
default model, and costs small gains on kinds that return. The value of a margin is what a router
with it gains, less what that may be wrong by:

    (1 - unseen) * gain + unseen * (gain on a kind left out - NEW_KIND * unseen * its spread)
        - FEW_TASKS / prompts * standard error of the sum

The best of many margins is the luckiest one, so a smaller margin of which the value is above 0 is
kept where no larger one is better by `BETTER` standard errors of their difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.cross_validation import FoldEstimates

# Share of prompts that are of kinds that the table lacks, if nobody says otherwise.
UNSEEN = 0.1
# Candidates, in success; with the last one nothing is routed for its success.
MARGINS = (*(m / 100 for m in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30)), 1.0)
# Standard errors by which a gain must exceed 0, times the number of different prompts. What is
# learned from few tasks loses on average, so their luck counts less: 5 standard errors with 30
# prompts, 1.2 with 120, next to none with thousands. Set on draws of 30 to 600 tasks from seven
# tables (docs/experiments.md).
FEW_TASKS = 150.0
# Standard deviations between kinds that the next one may be worse than their mean, where all
# prompts are of unseen kinds; set on the same tables.
NEW_KIND = 2.0
# Standard errors by which a larger margin must be better where no prompts are of unseen kinds; none
# where half of them are: caution needs no proof there.
BETTER = 1.0
# Values that differ by less are equal.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class GainsByMargin:
    """Gains over the default model under each margin of `MARGINS`.

    Attributes:
        mean: Mean gain of a task, float64 (margins,).
        covariance: Of these means, float64 (margins, margins).
        spread: Standard deviation of the mean gain of another kind from that mean, float64
            (margins,); 0 for tasks that were not held out by their kind.
    """

    mean: Floats
    covariance: Floats
    spread: Floats


@dataclass(frozen=True)
class ClaimedGains:
    """Gains that the models with the highest estimates claim for held-out tasks, and make.

    Attributes:
        tasks: Index of each task, (n,); a task may be held out several times.
        claimed: Estimated gain over the default model, float64 (n,).
        gained: Its score less the default model's, float64 (n,); 0 without an outcome of either.
    """

    tasks: Ints
    claimed: Floats
    gained: Floats

    @classmethod
    def of(
        cls, table: OutcomeTable, parts: Sequence[FoldEstimates], success: Sequence[Floats]
    ) -> ClaimedGains:
        """Look up what the estimates of held-out tasks came to.

        Args:
            table: Outcomes.
            parts: Estimates of the tasks of each fold.
            success: Averaged estimates of their success, (n, m) each.
        """
        tasks, claimed, gained = [], [], []
        for part, estimated in zip(parts, success, strict=True):
            best, rows = estimated.argmax(axis=1), np.arange(len(part.test))
            claimed.append(estimated[rows, best] - estimated[:, part.default_model])
            score = table.score[part.test]
            gained.append(np.nan_to_num(score[rows, best] - score[:, part.default_model]))
            tasks.append(part.test)
        return cls(np.concatenate(tasks), np.concatenate(claimed), np.concatenate(gained))

    def under(self, margin: float) -> Floats:
        """Return what each held-out task gains under a margin, (n,)."""
        gained: Floats = np.where(self.claimed > margin, self.gained, 0.0)
        return gained

    def by_task(self) -> GainsByMargin:
        """Average over tasks: each counts once, however often it was held out."""
        places, place = np.unique(self.tasks, return_inverse=True)
        times, n = np.bincount(place), len(places)
        of_task = np.stack([np.bincount(place, self.under(margin)) / times for margin in MARGINS])
        # Of one task nothing is known but its gain.
        covariance = np.cov(of_task) / n if n > 1 else np.full((len(MARGINS),) * 2, np.inf)
        return GainsByMargin(of_task.mean(axis=1), covariance, np.zeros(len(MARGINS)))

    def by_kind(self, kinds: Ints) -> GainsByMargin:
        """Average over tasks that were held out with all of their kind.

        Args:
            kinds: Kind of each task of the table, (tasks,).
        """
        _, kind = np.unique(kinds[self.tasks], return_inverse=True)
        n = np.bincount(kind).astype(np.float64)
        weight, k = n / n.sum(), len(n)
        gained = [self.under(margin) for margin in MARGINS]
        of_kind = np.stack([np.bincount(kind, values) / n for values in gained])
        squares = np.stack([np.bincount(kind, values**2) / n for values in gained])
        mean = of_kind @ weight
        apart = of_kind - mean[:, None]
        between = (apart * weight) @ apart.T
        # The means of kinds with few tasks differ by chance as well.
        chance = (squares - of_kind**2) @ (weight / np.maximum(n - 1, 1))
        variance = np.maximum(np.diag(between) * k / max(k - 1, 1) - chance, 0.0)
        return GainsByMargin(mean, between / max(k - 1, 1), np.sqrt(variance * (1 + 1 / k)))


def choose_margin(
    returning: GainsByMargin, left_out: GainsByMargin | None, unseen: float, prompts: int
) -> int:
    """Choose the smallest margin with a value above 0 that no larger one is proven to exceed.

    Args:
        returning: Of held-out tasks.
        left_out: Of kinds that were left out; None where there are none.
        unseen: Share of prompts that are expected to be of kinds that the table lacks.
        prompts: Number of different prompts of the table.

    Returns:
        Index of the margin in `MARGINS`; the last one if no margin has a value above 0.
    """
    value, covariance = returning.mean, returning.covariance
    if left_out is not None:
        pessimistic = left_out.mean - NEW_KIND * unseen * left_out.spread
        value = (1.0 - unseen) * value + unseen * pessimistic
        covariance = (1.0 - unseen) ** 2 * covariance + unseen**2 * left_out.covariance
    variance = np.diag(covariance)
    value = value - FEW_TASKS / prompts * np.sqrt(variance)
    needed = BETTER * max(1.0 - 2.0 * unseen, 0.0)
    for at in range(len(MARGINS) - 1):
        if value[at] > _ROUNDING:
            apart = np.maximum(variance[at:] + variance[at] - 2.0 * covariance[at, at:], 0.0)
            better = value[at:] - value[at] > needed * np.sqrt(apart) + _ROUNDING
            if not better.any():
                return at
    return len(MARGINS) - 1
