"""The typed figures of the learning curve.

Not here: how they are computed (see ``learning_curve``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypernova.evaluation.figure_fields import Gain
    from hypernova.report_values import Interval

SHARE_NAMES = {0.25: "a quarter", 0.5: "half", 1.0: "all"}


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """Held-out figures of routers that learned from a share of each training part.

    Attributes:
        share: Share of the training part, 0 to 1.
        tasks: Number of tasks that were learned from, on average.
        accuracy: Of the router.
        best_single: Accuracy of the best single model of the same tasks.
        gain: Router less best single model of the same tasks: what someone with no more tasks
            would have gained.
        over_smaller: Router less the router of the point before, on the same test tasks; None at
            the first point.
        saving: The same routers under the cost weight that saves most and loses no accuracy on
            the other folds, less the best single model; None without costs.
    """

    share: float
    tasks: int
    accuracy: float | None
    best_single: float | None
    gain: Gain
    over_smaller: Gain | None
    saving: Gain | None

    @property
    def label(self) -> str:
        """The share in words, and the number of tasks."""
        return f"{SHARE_NAMES[self.share]}, {self.tasks:,} tasks"


@dataclass(frozen=True, kw_only=True)
class Doubling:
    """Forecast of the accuracy that the router gains with twice as many tasks.

    Attributes:
        tasks: Twice the number of tasks of the whole training part.
        mean: Accuracy added, 0 to 1: half of what the last doubling added above the best single
            model; None if unknown.
        ci95: Its interval, over both laws of docs/evaluation.md; None if unknown.
    """

    tasks: int
    mean: float | None
    ci95: Interval | None

    @property
    def is_proven(self) -> bool:
        """Whether the interval lies above 0."""
        return self.ci95 is not None and self.ci95.low > 0


@dataclass(frozen=True, kw_only=True)
class LearningCurve:
    """Gain and saving with fewer tasks, and what twice as many would add.

    Attributes:
        points: By rising number of tasks; the last is the whole training part.
        repeats: Number of times that the tasks were dealt into folds for it.
        doubling: With twice as many tasks; None where there is no smaller part.
        text: What the curve shows, in a sentence.
    """

    points: tuple[CurvePoint, ...]
    repeats: int
    doubling: Doubling | None
    text: str
