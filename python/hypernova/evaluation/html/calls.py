"""Accuracy against calls to one model: where no cost is known, or two models span the table.

Not here: accuracy against cost (see ``frontier``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.evaluation.html.number_format import note_estimated
from hypernova.offline_page.markup import Markup, el, join, table
from hypernova.offline_page.numbers import known
from hypernova.offline_page.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.frontier_fields import CallFrontier, GapRecovered
    from hypernova.evaluation.html.number_format import NumberFormat
    from hypernova.evaluation.report_fields import ReportFields

WIDTH, HEIGHT, FONT = 500, 360, 14
LEFT, RIGHT, TOP, BOTTOM = 52, 490, 12, 308


def calls(report: ReportFields, numbers: NumberFormat) -> Markup | None:
    """Draw both trades of calls that the report has; None if it has none."""
    parts = []
    if report.call_frontier is not None:
        parts.append(_frontier(report.call_frontier, report, numbers))
    if report.gap_recovered is not None:
        parts.append(_gap(report.gap_recovered, numbers))
    if not parts:
        return None
    return el("section", el("h2", "Accuracy against calls"), *parts, id="calls")


def _frontier(trade: CallFrontier, report: ReportFields, numbers: NumberFormat) -> Markup:
    points = [(p.calls, p.accuracy) for p in trade.points if p.accuracy is not None]
    single = {model.model: model.accuracy for model in report.models}
    ends = [(0.0, single.get(trade.other)), (1.0, single.get(trade.model))]
    mixed = [(share, value) for share, value in ends if value is not None]
    interval = numbers.points_interval(trade.gain.ci95)
    return join(
        [
            el(
                "p",
                "No cost is known here. The line is the router on tasks it had not seen, while the "
                "price of a call to ",
                el("bdi", trade.model),
                " rises and other models are free; the dashed line is a random mix with ",
                el("bdi", trade.other),
                ". Calls are no costs: what a call is worth, only its price says.",
            ),
            _drawing("Accuracy against the share of calls to the best single model", points,
                     mixed if len(mixed) == 2 else []),
            el(
                "p",
                "Over a mix with as many calls, mean over all prices: ",
                el("b", known(numbers.points(trade.gain.mean)), " points"),
                f" (95%: {interval})." if interval else ".",
            ),
            note_estimated([point.estimated for point in trade.points]),
            el(
                "details",
                el("summary", "The line as a table"),
                table(
                    "The router at each price of a call",
                    ["Success per call", "Calls", "Accuracy", "95% interval", "Over the mix"],
                    (
                        [
                            f"{p.call_weight:.3g}",
                            numbers.percent(p.calls),
                            known(numbers.percent(p.accuracy)),
                            numbers.interval(p.ci95) or "none",
                            known(numbers.points(p.over_mix.mean)),
                        ]
                        for p in trade.points
                    ),
                ),
            ),
        ]
    )  # fmt: skip


def _gap(gap: GapRecovered, numbers: NumberFormat) -> Markup:
    points = [(point.calls, point.accuracy) for point in gap.curve]
    interval = gap.ci95 and " to ".join(f"{end:.3f}" for end in gap.ci95)
    return join(
        [
            el("h3", "Two models"),
            el(
                "p",
                el("bdi", gap.strong),
                " is more accurate than ",
                el("bdi", gap.weak),
                ". The line sends it the prompts whose success estimates differ most, first; the "
                "dashed line is a random choice of as many.",
            ),
            _drawing(
                "Accuracy against the share of calls to the stronger model",
                points,
                [points[0], points[-1]],
            ),
            el(
                "dl",
                _fact("Gap recovered, mean over all shares (APGR)",
                      f"{gap.apgr:.3f}" + (f" (95%: {interval})" if interval else "")),
                _fact("A random mix recovers", "0.500"),
                _fact("Calls that recover half of the gap", numbers.percent(gap.calls_for_50)),
                _fact("Calls that recover 80%", numbers.percent(gap.calls_for_80)),
                class_="facts",
            ),
        ]
    )  # fmt: skip


def _fact(name: str, value: str) -> Markup:
    return el("div", el("dt", name), el("dd", value))


def _drawing(
    title: str, points: Sequence[tuple[float, float]], mixed: Sequence[tuple[float, float]]
) -> Markup:
    """Draw accuracy over shares of 0 to 1."""
    x = Scale(0.0, 1.0, LEFT, RIGHT)
    y = Scale.over([value for _, value in (*points, *mixed)], BOTTOM, TOP)
    heights = y.ticks(7)
    decimals = 0 if all(abs(100 * t - round(100 * t)) < 1e-6 for t in heights) else 1

    def path(through: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x(share):.1f},{y(value):.1f}" for share, value in through)

    grid: list[Markup] = []
    for tick in heights:
        grid.append(el("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y(tick), y2=y(tick)))
        label = f"{100 * tick:.{decimals}f}%"
        grid.append(el("text", label, x=LEFT - 6, y=y(tick) + 5, text_anchor="end"))
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        grid.append(el("line", class_="grid", x1=x(tick), x2=x(tick), y1=TOP, y2=BOTTOM))
        end = "end" if tick == 1.0 else "middle"
        grid.append(el("text", f"{100 * tick:.0f}%", x=x(tick), y=BOTTOM + 19, text_anchor=end))
    return el(
        "figure",
        el(
            "svg",
            el("title", title),
            *grid,
            el("polyline", class_="hull", points=path(mixed)) if mixed else "",
            el("polyline", class_="line", points=path(points)),
            *(el("circle", class_="router", cx=x(share), cy=y(value), r=3.5)
              for share, value in points),
            el("text", "share of calls", x=RIGHT, y=BOTTOM + 42, text_anchor="end"),
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            aria_label=title,
            font_size=FONT,
        ),
        class_="keyed",
    )  # fmt: skip
