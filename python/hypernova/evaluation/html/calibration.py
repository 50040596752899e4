"""Whether success estimates can be taken at their word: a reliability diagram and its table.

Not here: which model is chosen by them (see ``frontier``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.offline_page.markup import Markup, el, table
from hypernova.offline_page.numbers import count
from hypernova.offline_page.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.frontier_fields import CalibrationBin
    from hypernova.evaluation.report_fields import ReportFields

WIDTH, HEIGHT, FONT = 500, 400, 14
LEFT, RIGHT, TOP, BOTTOM = 52, 490, 12, 348
# Area of the largest dot, as a radius.
RADIUS = 11.0


def calibration(report: ReportFields) -> Markup | None:
    """Draw mean score against mean estimate; None where the report does not know it."""
    found = report.calibration
    if found is None:
        return None
    better = "better" if found.brier < found.brier_of_rates else "no better"
    rows = (
        [
            f"{100 * each.low:.0f} to {100 * each.high:.0f}%",
            count(each.n),
            "" if each.estimate is None else f"{100 * each.estimate:.1f}%",
            "" if each.score is None else f"{100 * each.score:.1f}%",
        ]
        for each in found.bins
    )
    return el(
        "section",
        el("h2", "Estimates against outcomes"),
        el(
            "p",
            "For each task that it had not seen, the router estimates every model's success. Dots "
            "on the dashed line are estimates that came true; larger dots are more estimates.",
        ),
        el(
            "figure",
            _drawing(found.bins),
            el(
                "figcaption",
                table("Estimates and outcomes", ["Estimate", "Number", "Mean", "Outcomes"], rows),
            ),
            class_="keyed",
        ),
        el(
            "p",
            "Expected calibration error ",
            el("b", f"{found.error:.3f}"),
            ", the mean distance from the line. Brier score ",
            el("b", f"{found.brier:.3f}"),
            f", {better} than {found.brier_of_rates:.3f} of each model's plain rate, which is the "
            f"same for every task. {count(found.n)} estimates, of one repeat.",
        ),
        id="calibration",
    )


def _drawing(bins: Sequence[CalibrationBin]) -> Markup:
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), Scale(0.0, 1.0, BOTTOM, TOP)
    most = max(each.n for each in bins)
    parts: list[Markup] = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        text = f"{100 * tick:.0f}%"
        parts += [
            el("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y(tick), y2=y(tick)),
            el("line", class_="grid", x1=x(tick), x2=x(tick), y1=TOP, y2=BOTTOM),
            el("text", text, x=LEFT - 6, y=y(tick) + 5, text_anchor="end"),
            el("text", text, x=x(tick), y=BOTTOM + 19, text_anchor="end" if tick else "middle"),
        ]
    for each in bins:
        if each.estimate is None or each.score is None:
            continue
        parts.append(
            el(
                "circle",
                el("title", f"{count(each.n)} estimates: {100 * each.estimate:.1f}% expected, "
                   f"{100 * each.score:.1f}% came true"),
                class_="router",
                cx=x(each.estimate),
                cy=y(each.score),
                r=max(RADIUS * (each.n / most) ** 0.5, 2.5),
            )
        )  # fmt: skip
    title = "Mean outcome against mean success estimate"
    return el(
        "svg",
        el("title", title),
        *parts[: 4 * 5],
        el("polyline", class_="hull", points=f"{LEFT},{BOTTOM} {RIGHT},{TOP}"),
        *parts[4 * 5 :],
        el("text", "success estimate", x=RIGHT, y=BOTTOM + 40, text_anchor="end"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=title,
        font_size=FONT,
    )
