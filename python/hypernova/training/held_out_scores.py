"""Sums of the outcomes of models that were chosen for held-out tasks.

Not here: how they are chosen (see ``model_selection`` and ``cost_weight``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable


@dataclass
class HeldOutScores:
    """Sums of the chosen models' outcomes on held-out tasks, where they have one.

    Args:
        tasks: Number of tasks of the table.

    Attributes:
        n: Number of scores of each task, (tasks,).
        score: Sum of scores, (tasks,).
        regret: Sum of regrets, the task's best score less the chosen model's, (tasks,).
        cost_n: Number of known costs, (tasks,).
        cost: Sum of known costs, USD, (tasks,).
    """

    tasks: int
    n: Floats = field(init=False)
    score: Floats = field(init=False)
    regret: Floats = field(init=False)
    cost_n: Floats = field(init=False)
    cost: Floats = field(init=False)

    def __post_init__(self) -> None:
        for name in ("n", "score", "regret", "cost_n", "cost"):
            setattr(self, name, np.zeros(self.tasks))

    def add(self, table: OutcomeTable, tasks: Ints, chosen: Ints) -> None:
        """Add the outcomes of the models chosen for some held-out tasks.

        Args:
            table: Outcomes.
            tasks: Indices of tasks, (n,).
            chosen: Index of the model chosen for each, (n,).
        """
        score = table.score[tasks, chosen]
        cost = table.cost_usd[tasks, chosen]
        scored, costed = ~np.isnan(score), ~np.isnan(cost)
        at = tasks[scored]
        self.n[at] += 1
        self.score[at] += score[scored]
        # A task with this outcome has a best one, so no row here is all NaN.
        self.regret[at] += np.nanmax(table.score[at], axis=1) - score[scored]
        self.cost_n[tasks[costed]] += 1
        self.cost[tasks[costed]] += cost[costed]

    @property
    def accuracy(self) -> float:
        """Mean score of the chosen models; NaN if there is none."""
        return _mean(self.score, self.n)

    @property
    def mean_regret(self) -> float:
        """Mean regret of the chosen models; NaN if there is none."""
        return _mean(self.regret, self.n)

    @property
    def cost_usd(self) -> float:
        """Mean known cost of the chosen models, USD; NaN if none is known."""
        return _mean(self.cost, self.cost_n)

    def gain_over(self, other: HeldOutScores) -> tuple[float, float]:
        """Compute the mean gain over other choices, paired by task, and its standard error.

        With fewer than two tasks scored on both sides, 0 and infinity.
        """
        both = (self.n > 0) & (other.n > 0)
        gain = self.score[both] / self.n[both] - other.score[both] / other.n[both]
        if len(gain) < 2:
            return 0.0, float("inf")
        return float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))


def _mean(total: Floats, n: Floats) -> float:
    return float(total.sum() / n.sum()) if n.any() else float("nan")
