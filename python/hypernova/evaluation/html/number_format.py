"""Write the figures of a report for people: per cent, points and intervals.

Not here: computing figures; the page shows those of the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypernova.offline_page.markup import Markup, el
from hypernova.offline_page.numbers import signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.figure_fields import Estimated
    from hypernova.evaluation.report_fields import ReportFields
    from hypernova.report_values import Interval

# With fewer tasks a second decimal would be noise.
TASKS_FOR_TWO_DECIMALS = 2000


@dataclass(frozen=True)
class NumberFormat:
    """The form of the figures of one report.

    Attributes:
        decimals: Decimals of per cent and points.
    """

    decimals: int

    @classmethod
    def of(cls, report: ReportFields) -> NumberFormat:
        """Choose the decimals by the number of tasks."""
        return cls(2 if report.dataset.tasks >= TASKS_FOR_TWO_DECIMALS else 1)

    def percent(self, share: float | None) -> str:
        """Write a share of 0..1 in per cent."""
        return "unknown" if share is None else f"{100 * share:.{self.decimals}f}%"

    def interval(self, ci95: Interval | None) -> str | None:
        """Write an interval of shares, without the sign of per cent; None if unknown."""
        return ci95 and " to ".join(f"{100 * end:.{self.decimals}f}" for end in ci95)

    def points(self, gain: float | None) -> str:
        """Write a difference of shares, in percentage points with its sign."""
        return "unknown" if gain is None else signed(100 * gain, self.decimals)

    def points_interval(self, ci95: Interval | None) -> str | None:
        """Write an interval of differences; None if unknown."""
        return ci95 and " to ".join(self.points(end) for end in ci95)


def share_estimated(part: Estimated) -> str:
    """Write the share of decisions whose outcome is estimated."""
    share = "less than 1%" if part.share < 0.01 else f"{100 * part.share:.0f}%"
    return f"{share} of the outcomes estimated"


def note_estimated(parts: Sequence[Estimated | None]) -> Markup | None:
    """Write the share of estimated outcomes at the points of a line; None if all are known."""
    shares = [part.share for part in parts if part is not None]
    if not shares:
        return None
    text = f"Outcomes that are missing are estimated: up to {100 * max(shares):.0f}% at a point."
    return el("p", text, class_="note")
