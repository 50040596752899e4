"""The drawing of success over time: predicted and observed.

Not here: whether a change is proven (see ``success``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.monitoring.html.figures import day, percent
from hypernova.offline_page.markup import Markup, el, table
from hypernova.offline_page.numbers import count, usd
from hypernova.offline_page.scale import Scale

if TYPE_CHECKING:
    from hypernova.monitoring.report_fields import HistoryPart, MonitorFields

WIDTH, HEIGHT, FONT = 720, 260, 13
LEFT, RIGHT, TOP, BOTTOM = 48, 708, 12, 218


def timeline(report: MonitorFields) -> Markup | None:
    """Draw predicted and observed success over time; nothing where there are too few outcomes."""
    parts = report.history
    if not parts:
        return None
    return el(
        "section",
        el("h2", "Success over time"),
        el(
            "p",
            f"Parts of about {count(parts[0].n)} outcomes each, in order of arrival. A part that "
            "sticks out may be chance; what is proven stands in the other sections.",
        ),
        el("figure", _drawing(parts)),
        el(
            "p",
            el("span", el("i", class_="swatch observed"), "observed"),
            el("span", el("i", class_="swatch predicted"), "predicted"),
            class_="legend",
        ),
        el(
            "details",
            el("summary", "As a table"),
            table(
                "Success over time",
                ["Since", "Outcomes", "Predicted", "Observed", "Mean cost"],
                [
                    [
                        day(part.since), count(part.n), percent(part.predicted),
                        percent(part.observed), usd(part.cost_usd),
                    ]
                    for part in parts
                ],
            ),
        ),
        id="time",
    )  # fmt: skip


def _drawing(parts: tuple[HistoryPart, ...]) -> Markup:
    values = [value for part in parts for value in (part.predicted, part.observed)]
    y = Scale.over([*values, max(min(values) - 0.05, 0.0), min(max(values) + 0.05, 1.0)],
                   BOTTOM, TOP)  # fmt: skip
    x = Scale(0.0, len(parts) - 1.0, LEFT + 36, RIGHT - 36)
    marks: list[Markup] = []
    for tick in y.ticks(5):
        marks += [
            el("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y(tick), y2=y(tick)),
            el("text", f"{100 * tick:.0f}%", x=LEFT - 6, y=y(tick) + 4, text_anchor="end"),
        ]
    # A log of one day shows the time of day.
    within = parts[0].since[:10] == parts[-1].since[:10]
    step = -(-len(parts) // 6)
    for at in range(0, len(parts), step):
        text = parts[at].since[11:16] if within else day(parts[at].since)
        marks.append(el("text", text, x=x(at), y=BOTTOM + 22, text_anchor="middle"))
    lines = [
        el("polyline", class_=kind, points=" ".join(
            f"{x(at):.1f},{y(getattr(part, field)):.1f}" for at, part in enumerate(parts)))
        for kind, field in (("line predicted", "predicted"), ("line", "observed"))
    ]  # fmt: skip
    dots = [
        el("circle",
           el("title", f"{day(part.since)}: {percent(part.observed)} observed, "
              f"{percent(part.predicted)} predicted, {count(part.n)} outcomes"),
           class_="router", cx=x(at), cy=y(part.observed), r=4)
        for at, part in enumerate(parts)
    ]  # fmt: skip
    title = "Observed and predicted success over time"
    return el(
        "svg",
        el("title", title),
        *marks,
        *lines,
        *dots,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=title,
        font_size=FONT,
        class_="timeline",
    )
