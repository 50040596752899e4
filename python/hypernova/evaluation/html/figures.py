"""Write figures for people: per cent, points, dollars, intervals, and what is unknown.

Not here: computing any; the page shows what the report holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hypernova.evaluation.html.markup import Markup, el, join

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Interval: TypeAlias = "Sequence[float | None] | None"

# With fewer tasks a second decimal would be noise.
TASKS_FOR_TWO_DECIMALS = 2000
MINUS = "\N{MINUS SIGN}"
UNKNOWN = el("span", "unknown", class_="unknown")


@dataclass(frozen=True)
class Figures:
    """How the figures of one report are written.

    Attributes:
        decimals: Of per cent and points.
    """

    decimals: int

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Figures:
        """Choose the decimals by the number of tasks."""
        return cls(2 if report["dataset"]["tasks"] >= TASKS_FOR_TWO_DECIMALS else 1)

    def percent(self, share: float | None) -> str:
        """A share of 0..1 in per cent."""
        return "unknown" if share is None else f"{100 * share:.{self.decimals}f}%"

    def interval(self, ci95: Interval) -> str | None:
        """An interval of shares, without the sign of per cent; None if it is unknown."""
        ends = both_ends(ci95)
        return ends and " to ".join(f"{100 * end:.{self.decimals}f}" for end in ends)

    def points(self, gain: float | None) -> str:
        """A difference of shares, in percentage points with its sign."""
        return "unknown" if gain is None else signed(100 * gain, self.decimals)

    def points_interval(self, ci95: Interval) -> str | None:
        """An interval of differences; None if it is unknown."""
        ends = both_ends(ci95)
        return ends and " to ".join(self.points(end) for end in ends)


def both_ends(ci95: Interval) -> tuple[float, float] | None:
    """The ends of an interval, or None if one is unknown."""
    if ci95 is None or ci95[0] is None or ci95[1] is None:
        return None
    return ci95[0], ci95[1]


def signed(value: float, decimals: int) -> str:
    """A number with its sign; what rounds to zero has none."""
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+") + text


def usd(cost: float | None) -> str:
    """Dollars with three significant digits, at least cents."""
    if cost is None:
        return "unknown"
    if cost >= 1 or cost == 0:
        return f"${cost:,.2f}"
    digits = 3
    while digits < 9 and round(cost, digits) * 10**digits < 100:
        digits += 1
    return f"${cost:.{digits}f}"


def relative(change: float | None) -> str:
    """A relative change in per cent, with its sign."""
    return "unknown" if change is None else signed(100 * change, 1) + "%"


def count(n: float) -> str:
    """A number of things, thousands apart; a weighted one may be fractional."""
    return f"{n:,.0f}" if float(n).is_integer() else f"{n:,.1f}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """A number and what it counts."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def known(value: str) -> Markup:
    """A written figure, with what is unknown set apart."""
    return UNKNOWN if value == "unknown" else join([value])
