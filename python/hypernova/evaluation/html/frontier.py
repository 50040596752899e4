"""The accuracy-cost frontier: held-out, with single models and controls on it.

Not here: where labels go (see ``plot``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypernova.evaluation.html.figures import Figures, both_ends, known, usd
from hypernova.evaluation.html.markup import Markup, el
from hypernova.evaluation.html.plot import Label, Placed, Scale, place, shorten
from hypernova.evaluation.html.tables import note, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# A linear axis shows no more than a decade well.
DECADE = 10.0
# How far below the lowest figure that matters the axis goes, as a share of their span.
DEPTH = 0.12
# Intervals closer than this, in pixels, would be one blot: the first one is drawn.
APART = 16

CONTROLS = (
    ("best_single", "Best single", "single"),
    ("random", "Random", "control"),
    ("shuffled_clusters", "Shuffled clusters", "control"),
    ("cost_matched_mix", "Cost-matched mix", "control"),
    ("group_oracle", "Best per group", "bound"),
)


@dataclass(frozen=True)
class Point:
    """A figure with a known cost.

    Attributes:
        name: To be read beside it.
        kind: ``router``, ``single``, ``control``, ``bound`` or ``model``.
        cost: USD a task.
        accuracy: Share, 0 to 1.
        ci95: Interval of the accuracy, or None.
    """

    name: str
    kind: str
    cost: float
    accuracy: float
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Canvas:
    """Size of a drawing and its frame, in pixels of its own.

    ``beyond`` is room to the right of the dearest figure, where labels fit.
    """

    width: int
    height: int
    font: float
    name_characters: int
    beyond: float
    left: float = 46
    right: float = 14
    top: float = 12
    bottom: float = 44


WIDE = Canvas(960, 540, 12.5, 34, 110)
# Not the wide one shrunk: its letters would be too small to read.
NARROW = Canvas(360, 460, 12.0, 19, 30)


def frontier(report: Mapping[str, Any], figures: Figures) -> Markup:
    """Draw accuracy against cost, with the same numbers as a table."""
    heading = el("h2", "Accuracy against cost")
    router = _points(
        (f"cost weight {point['cost_weight']:g}", "router", point) for point in report["pareto"]
    )
    if not router:
        reason = (
            "No cost is known in this table, so there is no frontier to draw."
            if not report["dataset"]["costs"]
            else "The router's cost is not known, so there is no frontier to draw."
        )
        return el("section", heading, el("p", reason, class_="missing"), id="cost")
    controls = _points(
        (name, kind, report[key]) for key, name, kind in CONTROLS if report[key] is not None
    )
    names = _short([model["model"] for model in report["models"]])
    models = _points(
        (name, "model", model) for name, model in zip(names, report["models"], strict=True)
    )
    low = _lowest([*router, *controls])
    shown = [point for point in models if point.accuracy >= low]
    below = len(models) - len(shown)
    unpriced = len(report["models"]) - len(models)
    of = f"of {len(report['models'])} models"
    notes = []
    if below:
        notes.append(
            f"{below} {of} below {figures.percent(low)}: not drawn, see the models' table."
        )
    if unpriced:
        notes.append(f"{unpriced} {of} without a known cost: not drawn.")
    return el(
        "section",
        heading,
        el(
            "p",
            "The line is the router on tasks it had not seen, at rising weights of cost; vertical "
            "strokes are 95% intervals, where there is room. Single models are in hindsight. Up "
            "and to the left is better.",
        ),
        el(
            "figure",
            el("div", _drawing(WIDE, router, controls, shown), class_="wide"),
            el("div", _drawing(NARROW, router, controls, shown), class_="narrow"),
            _legend([*router, *controls, *shown]),
        ),
        el("p", " ".join(notes), class_="note") if notes else None,
        _table(report, figures),
        id="cost",
    )


def _short(names: Sequence[str]) -> list[str]:
    """Names without a last part in parentheses, a date mostly, where they still differ."""
    cut = [name.partition(" (")[0] if name.endswith(")") else name for name in names]
    return [
        short if cut.count(short) == 1 else name for short, name in zip(cut, names, strict=True)
    ]


def _points(given: Iterable[tuple[str, str, Mapping[str, Any]]]) -> list[Point]:
    points = []
    for name, kind, figure in given:
        cost, accuracy = figure["cost_usd"], figure["accuracy"]
        if cost is not None and accuracy is not None:
            points.append(Point(name, kind, cost, accuracy, both_ends(figure["ci95"])))
    return points


def undominated(models: Sequence[Point]) -> list[Point]:
    """The single models that no other one beats at their cost or less, dearest first."""
    best: list[Point] = []
    for point in sorted(models, key=lambda point: (point.cost, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best[::-1]


def _lowest(points: Sequence[Point]) -> float:
    """Where the axis of accuracy may start, for the router and what it is compared with.

    Poor models would press what matters into a strip; they are named under the drawing.
    """
    ends: list[float] = []
    for point in points:
        ends += [point.accuracy, *(point.ci95 or ())]
    return max(0.0, min(ends) - DEPTH * (max(ends) - min(ends)))


def _drawing(
    canvas: Canvas, router: Sequence[Point], controls: Sequence[Point], models: Sequence[Point]
) -> Markup:
    everything = [*router, *controls, *models]
    right, bottom = canvas.width - canvas.right, canvas.height - canvas.bottom
    costs = [point.cost for point in everything]
    log = min(costs) > 0 and max(costs) > DECADE * min(costs)
    x = Scale.over(costs, canvas.left, right - canvas.beyond, log=log)
    ends = [end for point in router for end in point.ci95 or ()]
    y = Scale.over([*(point.accuracy for point in everything), *ends], bottom, canvas.top)
    labels = [
        Label(shorten(name, canvas.name_characters), x(point.cost), y(point.accuracy), point.kind)
        for name, point in _named(router, controls, models)
    ]
    marks = [(x(point.cost), y(point.accuracy)) for point in everything]
    frame = (canvas.left + 2, canvas.top, right, bottom - 2)
    placed = place(labels, marks, _along(router, x, y), frame, canvas.font)
    return el(
        "svg",
        el("title", "Accuracy against cost a task"),
        *_grid(canvas, x, y),
        *_line(router, x, y),
        *(_leader(label) for label in placed),
        *(_mark(point, x, y) for point in models),
        *(_mark(point, x, y) for point in [*controls, *router]),
        *(_text(label, canvas) for label in placed),
        viewBox=f"0 0 {canvas.width} {canvas.height}",
        role="img",
        font_size=canvas.font,
    )


def _named(
    router: Sequence[Point], controls: Sequence[Point], models: Sequence[Point]
) -> list[tuple[str, Point]]:
    """What gets a label, the most important first."""
    points = [
        *(point for point in controls if point.kind == "single"),
        *undominated(models),
        *(point for point in controls if point.kind != "single"),
    ]
    return [("Router", router[0]), *((point.name, point) for point in points)]


def _intervals(router: Sequence[Point], x: Scale) -> list[tuple[float, float, float]]:
    """Cost, low and high of the intervals that are drawn: as many as stay apart."""
    drawn: list[tuple[float, float, float]] = []
    for point in router:
        if point.ci95 and all(abs(x(point.cost) - x(other[0])) >= APART for other in drawn):
            drawn.append((point.cost, *point.ci95))
    return drawn


def _along(router: Sequence[Point], x: Scale, y: Scale) -> list[tuple[float, float]]:
    """Points of the router's line and intervals, close enough that no label slips between."""
    strokes = [((a.cost, a.accuracy), (b.cost, b.accuracy)) for a, b in pairwise(router)]
    strokes += [((cost, low), (cost, high)) for cost, low, high in _intervals(router, x)]
    points = []
    for (cost, accuracy), (other_cost, other_accuracy) in strokes:
        start, end = (x(cost), y(accuracy)), (x(other_cost), y(other_accuracy))
        steps = max(2, int(math.dist(start, end) / 6))
        points += [
            (start[0] + (end[0] - start[0]) * i / steps, start[1] + (end[1] - start[1]) * i / steps)
            for i in range(steps + 1)
        ]
    return points


def _grid(canvas: Canvas, x: Scale, y: Scale) -> list[Markup]:
    right, bottom = canvas.width - canvas.right, canvas.height - canvas.bottom
    parts = []
    heights = y.ticks(7)
    decimals = 0 if all(abs(100 * t - round(100 * t)) < 1e-6 for t in heights) else 1
    for tick in heights:
        parts.append(el("line", class_="grid", x1=canvas.left, x2=right, y1=y(tick), y2=y(tick)))
        parts.append(
            el("text", f"{100 * tick:.{decimals}f}%", class_="tick", x=canvas.left - 6,
               y=y(tick) + 4, text_anchor="end")
        )  # fmt: skip
    for tick in x.ticks(canvas.width // 80):
        parts.append(el("line", class_="grid", x1=x(tick), x2=x(tick), y1=canvas.top, y2=bottom))
        parts.append(
            el("text", _price(tick), class_="tick", x=x(tick), y=bottom + 17, text_anchor="middle")
        )
    parts.append(
        el(
            "text",
            "cost a task, USD" + (" (each step a ratio)" if x.log else ""),
            class_="axis",
            x=right,
            y=bottom + 36,
            text_anchor="end",
        )
    )
    return parts


def _price(tick: float) -> str:
    """A round price: no more digits than it has."""
    return f"${tick:,.0f}" if tick >= 1 and tick == int(tick) else f"${tick:.10f}".rstrip("0")


def _line(router: Sequence[Point], x: Scale, y: Scale) -> list[Markup]:
    parts = [
        el("line", class_="whisker", x1=x(cost), x2=x(cost), y1=y(low), y2=y(high))
        for cost, low, high in _intervals(router, x)
    ]
    path = " ".join(f"{x(point.cost):.1f},{y(point.accuracy):.1f}" for point in router)
    return [*parts, el("polyline", class_="line", points=path)]


def _mark(point: Point, x: Scale, y: Scale) -> Markup:
    title = f"{point.name}: {100 * point.accuracy:.2f}% for {usd(point.cost)} a task"
    return _shape(point.kind, x(point.cost), y(point.accuracy), title)


def _shape(kind: str, x: float, y: float, title: str | None = None) -> Markup:
    """The mark of a kind: told apart by its shape as well as by its colour."""
    said = el("title", title) if title else None
    if kind in {"router", "model"}:
        return el("circle", said, class_=kind, cx=x, cy=y, r=5 if kind == "router" else 3.5)
    corners = {
        "single": ((0, -7), (7, 0), (0, 7), (-7, 0)),
        "control": ((-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)),
        "bound": ((0, -6), (6, 5), (-6, 5)),
    }[kind]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return el("polygon", said, class_=kind, points=points)


def _leader(placed: Placed) -> Markup | None:
    if not placed.far:
        return None
    (x, y), label = placed.anchor, placed.label
    return el("line", class_="leader", x1=label.x, y1=label.y, x2=x, y2=y)


def _text(placed: Placed, canvas: Canvas) -> Markup:
    left, top, right, _ = placed.box
    # Against the mark, so that the width that was set aside for a wider font is not a gap.
    anchor = "end" if right <= placed.label.x else "start" if left >= placed.label.x else "middle"
    x = {"end": right, "start": left, "middle": (left + right) / 2}[anchor]
    y = top + canvas.font * 0.95
    return el(
        "text", placed.label.text, class_=f"label {placed.label.kind}", x=x, y=y, text_anchor=anchor
    )


KINDS = {
    "router": "the router, held-out",
    "single": "best single model, chosen in each fold",
    "control": "controls",
    "bound": "best model per group, in hindsight",
    "model": "single models, in hindsight",
}


def _legend(points: Sequence[Point]) -> Markup:
    present = {point.kind for point in points}
    return el(
        "figcaption",
        *(
            el(
                "span",
                el("svg", _shape(kind, 9, 9), width=18, height=18, viewBox="0 0 18 18",
                   aria_hidden="true"),
                meaning,
            )
            for kind, meaning in KINDS.items()
            if kind in present
        ),
        class_="legend",
    )  # fmt: skip


def _table(report: Mapping[str, Any], figures: Figures) -> Markup:
    rows = [(f"Router, cost weight {point['cost_weight']:g}", point) for point in report["pareto"]]
    rows += [(name, report[key]) for key, name, _ in CONTROLS if report[key] is not None]
    return el(
        "details",
        el("summary", "The same numbers as a table"),
        table(
            "Accuracy against cost",
            ["Figure", "Accuracy", "95% interval", "Cost a task"],
            (
                [
                    name,
                    known(figures.percent(figure["accuracy"])),
                    figures.interval(figure["ci95"]) or "none",
                    known(usd(figure["cost_usd"])),
                ]
                for name, figure in rows
            ),
        ),
        note("Cost weight is in success per USD. Single models are in the table of models."),
    )
