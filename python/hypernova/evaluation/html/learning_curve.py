"""How many tasks are enough: the gain of routers that learned from fewer, and a forecast.

Not here: computing the curve (`hypernova.evaluation.learning_curve`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.offline_page.markup import Markup, el, note, table
from hypernova.offline_page.numbers import count, known, relative
from hypernova.offline_page.scale import Scale

if TYPE_CHECKING:
    from hypernova.evaluation.html.number_format import NumberFormat
    from hypernova.evaluation.learning_curve_fields import CurvePoint, LearningCurve
    from hypernova.evaluation.report_fields import ReportFields

WIDTH, HEIGHT, FONT = 500, 320, 14
LEFT, RIGHT, TOP, BOTTOM = 52, 490, 12, 268


def learning_curve(report: ReportFields, numbers: NumberFormat) -> Markup | None:
    """Draw the gain against the number of tasks; None where the report has no curve."""
    curve = report.learning_curve
    if curve is None:
        return None
    dealt = "one repeat" if curve.repeats == 1 else f"{count(curve.repeats)} repeats"
    return el(
        "section",
        el("h2", "How many tasks are enough"),
        el(
            "p",
            "Gain of routers that learned from a part of each training part, over the best single "
            "model of the same tasks, with 95% intervals. The last stroke is what twice as many "
            "tasks would add to the router's accuracy.",
        ),
        el(
            "figure",
            _drawing(curve),
            el("figcaption", el("p", curve.text), _table(curve, numbers)),
            class_="keyed",
        ),
        note(f"Of {dealt} of the {report.protocol.repeats}, so the gain with all tasks may differ "
             "from that of the verdict. Nothing is said beyond twice as many tasks."),
        id="tasks",
    )  # fmt: skip


def _table(curve: LearningCurve, numbers: NumberFormat) -> Markup:
    saves = any(point.saving for point in curve.points)

    def row(point: CurvePoint) -> list[Markup | str]:
        interval = numbers.points_interval(point.gain.ci95)
        cells = [
            point.label,
            el("span", known(numbers.points(point.gain.mean)), note(interval or "no interval")),
        ]
        if saves:
            cells.append(_saving(point, numbers))
        return cells

    columns = ["Tasks", "Gain, points", *(["Cost at no loss"] if saves else [])]
    drawn = table("Gain by number of tasks", columns, map(row, curve.points))
    if not saves:
        return drawn
    return el(
        "div",
        drawn,
        note("Cost at no loss: of the same routers, under the cost weight that saves most and "
             "loses no accuracy on the other folds; below it the accuracy, in points. Both "
             "against the best single model."),
    )  # fmt: skip


def _saving(point: CurvePoint, numbers: NumberFormat) -> Markup:
    change = point.saving and point.saving.cost_change
    if point.saving is None or change is None:
        return known("unknown")
    accuracy = numbers.points(point.saving.mean)
    return el("span", relative(change.mean), note(f"accuracy {accuracy}"))


def _drawing(curve: LearningCurve) -> Markup:
    tasks = [point.tasks for point in curve.points]
    last, more = curve.points[-1], curve.doubling
    if more is not None:
        tasks.append(more.tasks)
    x = Scale.over(tasks, LEFT, RIGHT - 20, log=True)
    values = [0.0]
    for point in curve.points:
        values += [end for end in (point.gain.mean, *(point.gain.ci95 or ())) if end is not None]
    forecast: tuple[float, float] | None = None
    if more is not None and more.ci95 is not None and last.gain.mean is not None:
        forecast = last.gain.mean + more.ci95.low, last.gain.mean + more.ci95.high
        values += forecast
    y = Scale.over(values, BOTTOM, TOP)
    parts: list[Markup] = []
    heights = y.ticks(6)
    decimals = 0 if all(abs(100 * t - round(100 * t)) < 1e-6 for t in heights) else 1
    for tick in heights:
        parts.append(el("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y(tick), y2=y(tick)))
        label = f"{100 * tick:+.{decimals}f}" if tick else "0"
        parts.append(el("text", label, x=LEFT - 6, y=y(tick) + 5, text_anchor="end"))
    for number in tasks:
        at = x(number)
        parts.append(el("text", count(number), x=at, y=BOTTOM + 19, text_anchor="middle"))
    zero = y(0.0)
    parts.append(el("polyline", class_="hull", points=f"{LEFT},{zero:.1f} {RIGHT},{zero:.1f}"))
    there = [(x(p.tasks), p.gain) for p in curve.points if p.gain.mean is not None]
    for at, gain in there:
        if gain.ci95 is not None:
            low, high = map(y, gain.ci95)
            parts.append(el("line", class_="whisker", x1=at, x2=at, y1=low, y2=high))
    path = " ".join(f"{at:.1f},{y(gain.mean or 0.0):.1f}" for at, gain in there)
    parts.append(el("polyline", class_="line", points=path))
    parts += [
        el("circle", class_="router", cx=at, cy=y(gain.mean or 0.0), r=4.5) for at, gain in there
    ]
    if forecast is not None and more is not None:
        at = x(more.tasks)
        ends = " ".join(f"{at:.1f},{y(end):.1f}" for end in forecast)
        parts.append(el("polyline", class_="hull", points=ends))
    title = "Gain over the best single model, in points, against the number of tasks"
    return el(
        "svg",
        el("title", title),
        *parts,
        el("text", "tasks learned from", x=RIGHT, y=BOTTOM + 42, text_anchor="end"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=title,
        font_size=FONT,
    )
