"""The typed figures of a report: means with their intervals, and gains.

Not here: points and areas of frontiers (see ``frontier_fields``), and the report that holds them
all (see ``report_fields``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypernova.report_values import Interval


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """Decisions in a figure or gain whose outcome is missing, and is estimated.

    Attributes:
        share: Share of the decisions, 0 to 1.
        low: Least mean that is possible, whatever the missing outcomes are.
        high: Greatest mean that is possible.
        measured: Mean over the decisions that have outcomes; None without any.
        ci95: Its interval; None of a figure, which is not tested.
    """

    share: float
    low: float
    high: float
    measured: float | None
    ci95: Interval | None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Accuracy and cost of one way to choose models.

    Attributes:
        accuracy: Mean score over tasks, 0 to 1, missing outcomes estimated; None without a
            decision.
        ci95: Interval of the accuracy.
        cost_usd: Mean cost of a task, unknown costs estimated; None if no cost is known.
        macro: Mean over the named groups of the group's mean score; None without groups.
        n: Number of tasks scored.
        estimated: What of the accuracy is estimated; None if each decision has an outcome.
    """

    accuracy: float | None
    ci95: Interval | None
    cost_usd: float | None
    macro: float | None
    n: int
    estimated: Estimated | None = None


@dataclass(frozen=True, kw_only=True)
class LabelledFigure(Figure):
    """A figure that is not held-out, with a ``label`` that says so."""

    label: str


@dataclass(frozen=True, kw_only=True)
class HindsightFigure(Figure):
    """The figure of the single ``model`` that is the best in hindsight."""

    model: str


@dataclass(frozen=True, kw_only=True)
class CostChange:
    """Relative change in cost: -0.2 is a fifth cheaper.

    Attributes:
        mean: Over the tasks where both costs are known or estimated.
        ci95: Its interval.
    """

    mean: float
    ci95: Interval | None


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Accuracy of the router less that of the best single model, paired by task.

    Attributes:
        mean: Over all tasks, missing outcomes estimated; None without a decision.
        ci95: Its interval, with the errors of the estimates; None without a decision.
        macro: Mean over the named groups of the group's gain; None without groups.
        tasks: Number of tasks that both have an outcome for.
        cost_change: Relative change in cost; None if costs are unknown.
        estimated: What of the mean is estimated; None if nothing is.
    """

    mean: float | None
    ci95: Interval | None
    macro: float | None
    tasks: int
    cost_change: CostChange | None
    estimated: Estimated | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the interval lies above 0, and that of measured outcomes alone does too."""
        return self.lies_above(0.0)

    def lies_above(self, bound: float) -> bool:
        """Whether the interval lies above a bound, and that of measured outcomes alone does too."""
        if self.ci95 is None or self.ci95.low <= bound:
            return False
        if self.estimated is None:
            return True
        return self.estimated.ci95 is not None and self.estimated.ci95.low > bound


@dataclass(frozen=True, kw_only=True)
class GroupGiven:
    """Held-out figures of a router whose caller names each prompt's group.

    Attributes:
        held_out: The router.
        gain: Router less best single model of each fold.
        over_text: Router less the router that reads the text alone.
        best_of_group: The model with the best mean score in the group's training part.
        over_best_of_group: Router less that choice.
        frontier_gain: As the report's, of this router; None if costs are unknown.
    """

    held_out: Figure
    gain: Gain
    over_text: Gain
    best_of_group: Figure
    over_best_of_group: Gain
    frontier_gain: Gain | None = None


@dataclass(frozen=True, kw_only=True)
class GainOverShuffled:
    """Accuracy of the router less that of routers that learned from shuffled prompts.

    Attributes:
        mean, ci95, tasks, estimated: As in `Gain`.
    """

    mean: float | None
    ci95: Interval | None
    tasks: int
    estimated: Estimated | None = None
