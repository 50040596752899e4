"""Write figures for the page: points, per cent, times, and intervals drawn on a common scale.

Not here: computing figures; the page shows those of the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.offline_page.markup import Markup, el, note
from hypernova.offline_page.numbers import signed
from hypernova.offline_page.scale import Scale, percent_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.report_values import Interval


def points(gain: float | None) -> str:
    """Write a difference of shares, in percentage points with its sign."""
    return "unknown" if gain is None else signed(100 * gain, 1)


def points_interval(ci: Interval | None) -> str | None:
    """Write an interval of differences; None if unknown."""
    return None if ci is None else f"{points(ci.low)} to {points(ci.high)}"


def percent(share: float | None) -> str:
    """Write a share in per cent."""
    return "unknown" if share is None else f"{100 * share:.1f}%"


def percent_interval(ci: Interval) -> str:
    """Write an interval of shares."""
    return f"{100 * ci.low:.1f} to {100 * ci.high:.1f}%"


def day(time: str | None) -> str:
    """Write the day of a time in ISO 8601."""
    return "unknown" if time is None else time[:10]


def minute(time: str) -> str:
    """Write a time in ISO 8601 to the minute."""
    return f"{time[:10]} {time[11:16]} UTC"


def scale_of(intervals: Iterable[Interval], *marks: float, most: float = 1.0) -> Scale:
    """Span intervals for a drawing that is as wide as its place, cut where one is far wider.

    Args:
        intervals: To be drawn.
        *marks: Values that must lie on the scale.
        most: Greatest distance from 0 that is shown.
    """
    ends = [min(max(end, -most), most) for ci in intervals for end in ci]
    return Scale.over([*ends, *marks], 0, 100)


def strip(
    ci: Interval,
    mean: float | None,
    scale: Scale,
    marks: Sequence[float] = (0.0,),
    *,
    off: bool = False,
    label: str,
) -> Markup:
    """Draw an interval and its mean against marks, which are dashed lines.

    Args:
        ci: The interval; ends beyond the scale are cut.
        mean: Where the dot is; None for none.
        scale: Of `scale_of`.
        marks: Values of the dashed lines.
        off: Whether it is proven to be wrong, and drawn in the other colour.
        label: The drawing in words.
    """
    low, high = (min(max(end, scale.low), scale.high) for end in ci)
    parts = [
        el("line", class_="zero", x1=percent_of(scale(mark)), x2=percent_of(scale(mark)), y1=0,
           y2=18)
        for mark in marks
    ]  # fmt: skip
    parts.append(
        el("line", class_="span", x1=percent_of(scale(low)), x2=percent_of(scale(high)), y1=9, y2=9)
    )
    if mean is not None and scale.low <= mean <= scale.high:
        parts.append(el("circle", class_="mark", cx=percent_of(scale(mean)), cy=9, r=4.5))
    drawing = el("svg", *parts, width="100%", height=18, role="img", aria_label=label)
    return el("div", drawing, class_="strip off" if off else "strip")


def off_tag(off: bool, text: str = "off") -> Markup | None:
    """Mark a figure that is proven to be wrong."""
    return el("span", text, class_="alarm") if off else None


def words_note(words: Sequence[str]) -> Markup | None:
    """Write the first distinctive words of a cluster under its name."""
    return note(el("bdi", ", ".join(words[:4]))) if words else None
