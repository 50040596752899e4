"""Sums of the outcomes of models that were chosen for held-out tasks.

Not here: how they are chosen (see ``model_selection`` and ``cost_weight``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

# Standard errors to either side of a figure, for 95%.
NORMAL_95 = 1.96
# Tasks of a fold over those of its training part, with five folds.
TEST_TO_TRAIN = 0.25


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

    def score_ratio(self, other: HeldOutScores, prompts: Ints) -> Ratio | None:
        """Compute accuracy over that of other choices, on the tasks scored on both sides.

        Args:
            other: The other choices.
            prompts: The same number for tasks with the same prompt, from 0, (tasks,).

        Returns:
            None without such a task, or if the other choices solve none.
        """
        return _ratio(self.score, self.n, other.score, other.n, prompts)

    def cost_ratio(self, other: HeldOutScores, prompts: Ints) -> Ratio | None:
        """Compute cost over that of other choices, on the tasks with both costs known.

        Args:
            other: The other choices.
            prompts: As for `score_ratio`.

        Returns:
            None without such a task, or if the other choices cost nothing.
        """
        return _ratio(self.cost, self.cost_n, other.cost, other.cost_n, prompts)


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means over the same tasks.

    Attributes:
        value: The ratio.
        error: Its standard error over prompts, by the delta method; infinite for one prompt.
    """

    value: float
    error: float

    def interval(self) -> tuple[float, float]:
        """Return the ends of the 95% interval, at least 0; infinite if the error is.

        It is widened for the training parts that folds share, as those of `evaluate` are.
        """
        reach = NORMAL_95 * math.sqrt(1.0 + TEST_TO_TRAIN) * self.error
        return max(self.value - reach, 0.0), self.value + reach


def _ratio(
    ours: Floats, n_ours: Floats, theirs: Floats, n_theirs: Floats, prompts: Ints
) -> Ratio | None:
    both = (n_ours > 0) & (n_theirs > 0)
    above, below = ours[both] / n_ours[both], theirs[both] / n_theirs[both]
    if not below.sum() > 0:
        return None
    value = float(above.sum() / below.sum())
    # What each prompt adds to the error of the ratio (Cochran 1977, chapter 6).
    _, place = np.unique(prompts[both], return_inverse=True)
    residual = np.bincount(place, above - value * below)
    n = len(residual)
    if n < 2:
        return Ratio(value, math.inf)
    spread = math.sqrt(n / (n - 1) * float((residual**2).sum()))
    return Ratio(value, spread / float(below.sum()))


def _mean(total: Floats, n: Floats) -> float:
    return float(total.sum() / n.sum()) if n.any() else float("nan")
