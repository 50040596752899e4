"""Accuracy against cost: the router's frontier, with single models and baselines on it.

Not here: the intervals of baselines (see ``accuracies``).

One drawing serves all widths: its points have numbers, and a table beside it their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hypernova.evaluation.baselines import upper_hull
from hypernova.evaluation.html.number_format import NumberFormat, note_estimated
from hypernova.offline_page.markup import Markup, el, note, table
from hypernova.offline_page.numbers import known, plural, usd
from hypernova.offline_page.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.evaluation.figure_fields import Figure
    from hypernova.evaluation.frontier_fields import FrontierPoint
    from hypernova.evaluation.report_fields import ReportFields, SingleModel
    from hypernova.report_values import Interval

# A linear axis shows no more than a decade well.
DECADE = 10.0
# How far below the lowest router or baseline the axis goes, as a share of their span.
DEPTH = 0.12
# In units of the drawing: letters are 10 pixels high on a page of 400, 16 on a wide one.
WIDTH, HEIGHT, FONT = 500, 400, 14
LEFT, RIGHT, TOP, BOTTOM = 48, 490, 12, 348
# Room for numbers beside the dearest point.
BESIDE = 40
# Intervals closer than this would be one blot: the first one is drawn.
APART = 14
# Points of the line of mixes between two models.
MIXES = 13
# More single models than this have a number only if no other one beats them.
NUMBERED = 12

BASELINES = (
    ("best_single", "Best single, chosen in each fold", "single"),
    ("random", "Random", "baseline"),
    ("shuffled_clusters", "Shuffled clusters", "baseline"),
    ("cost_matched_mix", "Cost-matched mix", "baseline"),
    ("group_oracle", "Best per group, in hindsight", "bound"),
)


@dataclass(frozen=True)
class Mark:
    """A figure with a known cost, to be drawn.

    Attributes:
        name: Its name in the table.
        kind: ``router``, ``single``, ``baseline``, ``bound`` or ``model``.
        cost: USD a task.
        accuracy: 0 to 1.
        ci95: Interval of the accuracy.
    """

    name: str
    kind: str
    cost: float
    accuracy: float
    ci95: Interval | None


def frontier(report: ReportFields, numbers: NumberFormat) -> Markup:
    """Draw accuracy against cost, with the same numbers as a table."""
    heading = el("h2", "Accuracy against cost")
    router = _marks(
        (f"cost weight {point.cost_weight:g}", "router", point) for point in report.pareto
    )
    if not router:
        costs = report.dataset.costs
        reason = "The router's cost is not known" if costs else "No cost is known in this table"
        text = f"{reason}, so there is no frontier to draw."
        return el("section", heading, el("p", text, class_="missing"), id="cost")
    baselines = _marks(
        (name, kind, figure)
        for field, name, kind in BASELINES
        if (figure := getattr(report, field)) is not None
    )
    priced = _marks((model.model, "model", model) for model in report.models)
    low = _lowest([*router, *baselines])
    models = sorted((m for m in priced if m.accuracy >= low), key=lambda m: -m.accuracy)
    numbered = [*baselines, *(models if len(models) <= NUMBERED else undominated(models))]
    others = [mark for mark in models if mark not in numbered]
    notes = ""
    if below := len(priced) - len(models):
        where = f"below {numbers.percent(low)}: not drawn, see the models' table."
        notes += f"{below} of {len(report.models)} models {where} "
    if unpriced := len(report.models) - len(priced):
        notes += f"{unpriced} of {len(report.models)} models without a known cost: not drawn."
    return el(
        "section",
        heading,
        el(
            "p",
            "The line is the router on tasks it had not seen, at rising cost weights; vertical "
            "strokes are 95% intervals, where there is room. Single models are in hindsight, and "
            "the dashed line is what random mixes of two of them reach. Up and to the left is "
            "better.",
        ),
        el(
            "figure",
            _drawing(router, numbered, others, mixes(models)),
            el("figcaption", _key(router[0], numbered, others, numbers)),
            class_="keyed",
        ),
        el("p", notes, class_="note") if notes else None,
        _areas(report, numbers),
        note_estimated([point.estimated for point in report.pareto]),
        _frontier_table(router, numbers),
        id="cost",
    )


def _areas(report: ReportFields, numbers: NumberFormat) -> Markup | None:
    """State how far the line lies above the mixes, and both areas."""
    gain, area = report.frontier_gain, report.aiq
    parts: list[Markup | str] = []
    if gain is not None:
        interval = numbers.points_interval(gain.ci95)
        parts += [
            "Over a random mix of two models at the same cost, mean over all cost weights: ",
            el("b", known(numbers.points(gain.mean)), " points"),
            f" (95%: {interval}). " if interval else ". ",
        ]
    if area is not None:
        parts += [
            "Accuracy averaged over costs from that of the cheapest model to that of the dearest "
            "(AIQ): ",
            el("b", numbers.percent(area.router)),
            f"; mixes of two models, in hindsight, {numbers.percent(area.single_models)}.",
        ]
    return el("p", *parts) if parts else None


def _marks(
    named: Iterable[tuple[str, str, Figure | FrontierPoint | SingleModel]],
) -> list[Mark]:
    return [
        Mark(name, kind, figure.cost_usd, figure.accuracy, figure.ci95)
        for name, kind, figure in named
        if figure.cost_usd is not None and figure.accuracy is not None
    ]


def undominated(models: Sequence[Mark]) -> list[Mark]:
    """Find the single models that no other one beats at their cost or less, best first."""
    best: list[Mark] = []
    for mark in sorted(models, key=lambda mark: (mark.cost, -mark.accuracy)):
        if not best or mark.accuracy > best[-1].accuracy:
            best.append(mark)
    return best[::-1]


def mixes(models: Sequence[Mark]) -> list[tuple[float, float]]:
    """Find the best accuracy of random mixes of two single models, for rising costs.

    Returns:
        Pairs of cost and accuracy, several between two models: on an axis of ratios a mix is no
        straight line.
    """
    cost, accuracy = (np.array([getattr(m, key) for m in models]) for key in ("cost", "accuracy"))
    hull = upper_hull(cost, accuracy)
    found: list[tuple[float, float]] = []
    for i, j in pairwise(hull):
        share = np.linspace(0.0, 1.0, MIXES)
        costs, accuracies = (v[i] + share * (v[j] - v[i]) for v in (cost, accuracy))
        found += zip(costs.tolist(), accuracies.tolist(), strict=True)
    return found


def _lowest(marks: Sequence[Mark]) -> float:
    """Find the start of the axis: poor models would press what matters into a strip."""
    ends: list[float] = []
    for mark in marks:
        ends += [mark.accuracy, *(mark.ci95 or ())]
    return max(0.0, min(ends) - DEPTH * (max(ends) - min(ends)))


def _drawing(
    router: Sequence[Mark],
    numbered: Sequence[Mark],
    others: Sequence[Mark],
    mixed: Sequence[tuple[float, float]],
) -> Markup:
    marks = [*others, *router, *numbered[::-1]]
    costs = [mark.cost for mark in marks]
    log = min(costs) > 0 and max(costs) > DECADE * min(costs)
    x = Scale.over(costs, LEFT, RIGHT - BESIDE, log=log)
    ends = [end for mark in router for end in mark.ci95 or ()]
    y = Scale.over([*(mark.accuracy for mark in marks), *ends], BOTTOM, TOP)
    first, last = (f"{100 * m.accuracy:.1f}% for {usd(m.cost)}" for m in (router[0], router[-1]))

    def path(through: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{x(cost):.1f},{y(accuracy):.1f}" for cost, accuracy in through)

    return el(
        "svg",
        el("title", "Accuracy against cost a task", id="cost-title"),
        el("desc", f"The router goes from {first} to {last} a task. The table that follows names "
           "the numbered points.", id="cost-desc"),
        *_grid(x, y),
        *_whiskers(router, x, y),
        el("polyline", class_="hull", points=path(mixed)) if mixed else "",
        el("polyline", class_="line", points=path((m.cost, m.accuracy) for m in router)),
        *(_shape(mark, x(mark.cost), y(mark.accuracy)) for mark in marks),
        *(el("text", text, class_="label", x=left, y=middle + 0.35 * FONT)
          for text, left, middle in labels(numbered, x, y)),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby="cost-title cost-desc",
        font_size=FONT,
    )  # fmt: skip


def labels(numbered: Sequence[Mark], x: Scale, y: Scale) -> list[tuple[str, float, float]]:
    """Write the numbers of marks, from 1, beside them; where there is no room they share a label.

    Labels grow to the right only, and marks come from left to right, so no two collide.

    Returns:
        Text, left end and middle of each label.
    """
    found: list[tuple[list[int], float, float]] = []
    spots = [(x(mark.cost), y(mark.accuracy)) for mark in numbered]
    for number, mark in sorted(enumerate(numbered, 1), key=lambda pair: x(pair[1].cost)):
        left = x(mark.cost) + 6
        near: list[list[int]] = []
        above, below = y(mark.accuracy) - 7, y(mark.accuracy) + 8
        hides = any(left < a < left + FONT and abs(b - above) < 10 for a, b in spots)
        for middle in (below, above) if hides else (above, below):
            there = [
                shared
                for shared, start, height in found
                if left < start + text_width(_numbers(shared)) + 4 and abs(middle - height) < FONT
            ]
            if not there:
                found.append(([number], left, middle))
                break
            near += there
        else:
            near[0].append(number)
    return [(_numbers(shared), left, middle) for shared, left, middle in found]


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def text_width(text: str) -> float:
    """Bound the width of a label; digits are narrower than 0.6 em in system fonts."""
    return 0.6 * FONT * len(text)


def _grid(x: Scale, y: Scale) -> list[Markup]:
    parts = []
    heights = y.ticks(7)
    decimals = 0 if all(abs(100 * t - round(100 * t)) < 1e-6 for t in heights) else 1
    for tick in heights:
        text = f"{100 * tick:.{decimals}f}%"
        parts.append(el("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y(tick), y2=y(tick)))
        parts.append(el("text", text, x=LEFT - 6, y=y(tick) + 5, text_anchor="end"))
    for tick in x.ticks(5):
        parts.append(el("line", class_="grid", x1=x(tick), x2=x(tick), y1=TOP, y2=BOTTOM))
        parts.append(el("text", _price(tick), x=x(tick), y=BOTTOM + 19, text_anchor="middle"))
    title = "cost a task, USD" + (" (each step a ratio)" if x.log else "")
    return [*parts, el("text", title, x=RIGHT, y=BOTTOM + 42, text_anchor="end")]


def _price(tick: float) -> str:
    """Write a round price with no more digits than it has."""
    return f"${tick:,.0f}" if tick >= 1 and tick == int(tick) else f"${tick:.10f}".rstrip("0")


def _whiskers(router: Sequence[Mark], x: Scale, y: Scale) -> list[Markup]:
    """Draw the intervals of the router that are far enough apart."""
    drawn: list[float] = []
    parts = []
    for mark in router:
        at = x(mark.cost)
        if mark.ci95 and all(abs(at - other) >= APART for other in drawn):
            drawn.append(at)
            low, high = map(y, mark.ci95)
            parts.append(el("line", class_="whisker", x1=at, x2=at, y1=low, y2=high))
    return parts


def _shape(mark: Mark, x: float, y: float) -> Markup:
    """Draw a mark: kinds are told apart by shape as well as by colour."""
    title = el("title", f"{mark.name}: {100 * mark.accuracy:.2f}% for {usd(mark.cost)} a task")
    if mark.kind in {"router", "model"}:
        radius = 4.5 if mark.kind == "router" else 3.5
        return el("circle", title, class_=mark.kind, cx=x, cy=y, r=radius)
    corners = {
        "single": ((0, -7), (7, 0), (0, 7), (-7, 0)),
        "baseline": ((-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)),
        "bound": ((0, -6), (6, 5), (-6, 5)),
    }[mark.kind]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return el("polygon", title, class_=mark.kind, points=points)


def _key(
    router: Mark, numbered: Sequence[Mark], others: Sequence[Mark], numbers: NumberFormat
) -> Markup:
    """Make the table that names the points of the drawing."""

    def point(mark: Mark, number: str, name: Markup | str) -> Markup:
        shape, box = _shape(mark, 9, 9), "0 0 18 18"
        symbol = el("svg", shape, width=18, height=18, viewBox=box, aria_hidden="true")
        return el("span", symbol, el("b", number), name, class_="point")

    rows = [(point(router, "", "Router, held-out"), router)]
    rows += [
        (point(mark, f"{number}", el("bdi", mark.name)), mark)
        for number, mark in enumerate(numbered, 1)
    ]
    cells = [[name, numbers.percent(mark.accuracy), usd(mark.cost)] for name, mark in rows]
    if others:
        cells.append([point(others[0], "", plural(len(others), "other single model")), "", ""])
    return table("Points of the drawing", ["Point", "Accuracy", "Cost a task"], cells)


def _frontier_table(router: Sequence[Mark], numbers: NumberFormat) -> Markup:
    rows = (
        [m.name, numbers.percent(m.accuracy), numbers.interval(m.ci95) or "none", usd(m.cost)]
        for m in router
    )
    columns = ["Router at", "Accuracy", "95% interval", "Cost a task"]
    return el(
        "details",
        el("summary", "The line as a table"),
        table("The router at each cost weight", columns, rows),
        note("Cost weights are in success per USD. Other sections have the other intervals."),
    )
