"""In-sample against held-out, with the baselines, on one scale.

Not here: costs against accuracy (see ``frontier``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.evaluation.html.number_format import NumberFormat, share_estimated
from hypernova.offline_page.markup import Markup, el, note
from hypernova.offline_page.numbers import known, usd
from hypernova.offline_page.scale import Scale, percent_of

if TYPE_CHECKING:
    from hypernova.evaluation.figure_fields import Figure
    from hypernova.evaluation.report_fields import ReportFields

# Field, name, meaning, and classes of the mark; under headings.
ROWS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "The router": (
        ("in_sample", "In-sample", "tested on the tasks it was fitted to", "hollow router"),
        ("held_out", "Held-out", "tested on tasks it had not seen", "router"),
        ("group_given", "Held-out, group given", "the caller names each task's group", "router"),
    ),
    "One model for everything": (
        ("best_single", "Best single", "chosen on each fold's training tasks", "single"),
        ("best_single_hindsight", "Best single, in hindsight", "", "hollow single"),
    ),
    "Baselines": (
        ("random", "Random", "each task to any model", "baseline"),
        ("shuffled_clusters", "Shuffled clusters", "routers that learned from shuffled prompts",
         "baseline"),
        ("cost_matched_mix", "Cost-matched mix",
         "two single models, mixed at random to the router's cost", "baseline"),
        ("best_of_group", "Best model of the group",
         "chosen on each fold's training tasks, the group given", "baseline"),
    ),
    "Bounds": (
        ("group_oracle", "Best model per group", "in hindsight", "hollow bound"),
        ("oracle", "Best model per task", "in hindsight; no router reaches it", "hollow bound"),
    ),
}  # fmt: skip
# Columns that a table must have for a figure.
NEEDS = {"group_oracle": "groups", "cost_matched_mix": "costs"}


def _figure(report: ReportFields, field: str) -> Figure | None:
    given = report.group_given
    if field == "group_given":
        return None if given is None else given.held_out
    if field == "best_of_group":
        return None if given is None else given.best_of_group
    figure: Figure | None = getattr(report, field)
    return figure


def accuracies(report: ReportFields, numbers: NumberFormat) -> Markup:
    """Draw the accuracy of each figure with its interval."""
    named = {field: name for rows in ROWS.values() for field, name, *_ in rows}
    figures: dict[str, Figure] = {
        field: figure for field in named if (figure := _figure(report, field)) is not None
    }
    values = [v for f in figures.values() for v in (f.accuracy, *(f.ci95 or ())) if v is not None]
    scale = Scale.over(values, 0, 100)
    reference = report.best_single.accuracy
    macro = any(figure.macro is not None for figure in figures.values())
    priced = any(figure.cost_usd is not None for figure in figures.values())
    head = el(
        "tr",
        el("th", "Figure", scope="col"),
        el("th", _axis(scale), scope="col", class_="track", aria_label="drawing"),
        el("th", "Accuracy, 95% interval", scope="col", class_="number"),
        el("th", "Cost a task", scope="col", class_="number cost") if priced else None,
        el("th", "Mean of groups", scope="col", class_="number macro") if macro else None,
    )

    def row(field: str, name: str, meaning: str, kind: str) -> Markup:
        figure = figures[field]
        cost, mean = known(usd(figure.cost_usd)), known(numbers.percent(figure.macro))
        return el(
            "tr",
            el("th", name, note(el("bdi", getattr(figure, "model", meaning))), scope="row"),
            el("td", _track(scale, reference, kind, figure), class_="track"),
            el(
                "td",
                el("b", known(numbers.percent(figure.accuracy))),
                note(numbers.interval(figure.ci95) or "no interval"),
                note(share_estimated(figure.estimated)) if figure.estimated else None,
                class_="number",
            ),
            el("td", cost, class_="number cost") if priced else None,
            el("td", mean, class_="number macro") if macro else None,
        )

    body: list[Markup] = []
    for heading, rows in ROWS.items():
        track = el("td", _track(scale, reference, "single"), class_="track")
        rest = el("td", colspan=1 + priced + macro)
        body.append(el("tr", el("th", heading, scope="rowgroup"), track, rest, class_="kind"))
        body += [row(*each) for each in rows if each[0] in figures]
    missing = [f"{named[field]} needs {need}" for field, need in NEEDS.items()
               if field not in figures]  # fmt: skip
    label = report.in_sample.label.removeprefix("in-sample:").strip().rstrip(".")
    return el(
        "section",
        el("h2", "In-sample against held-out"),
        el(
            "p",
            "Only held-out figures say what to expect of the next task. ",
            el("b", "In-sample"),
            f": {label}. The vertical line is the best single model; hollow marks knew the "
            "answers.",
        ),
        el("table", el("thead", head), el("tbody", *body), class_="dots"),
        _by_prompts(report, numbers),
        el("p", f"Not shown: {'; '.join(missing)}.", class_="note") if missing else None,
        id="accuracy",
    )


def _by_prompts(report: ReportFields, numbers: NumberFormat) -> Markup:
    """State the part of the gain that the prompts have."""
    gain = report.gain_over_shuffled
    interval = numbers.points_interval(gain.ci95)
    return el(
        "p",
        "Of the gain, the prompts have ",
        el("b", numbers.points(gain.mean), " points"),
        f" (95%: {interval})" if interval else "",
        ", the lead over routers that learned from shuffled prompts.",
        class_="note",
    )


def _axis(scale: Scale) -> Markup:
    ticks = scale.ticks(5)
    decimals = 0 if all(abs(100 * tick - round(100 * tick)) < 1e-6 for tick in ticks) else 1
    texts = (
        el("text", f"{100 * tick:.{decimals}f}", x=percent_of(scale(tick)), y=12,
           text_anchor="middle")
        for tick in ticks
    )  # fmt: skip
    return el("svg", *texts, width="100%", height=16, aria_hidden="true")


def _track(
    scale: Scale, reference: float | None, kind: str, figure: Figure | None = None
) -> Markup:
    """Draw a figure and its interval beside the line of the best single model."""
    parts: list[Markup] = []
    if reference is not None:
        x = percent_of(scale(reference))
        parts.append(el("line", class_="reference", x1=x, x2=x, y1=0, y2="100%"))
    if figure and figure.ci95:
        low, high = (percent_of(scale(end)) for end in figure.ci95)
        parts.append(el("line", class_="span", x1=low, x2=high, y1="50%", y2="50%"))
    if figure and figure.accuracy is not None:
        x = percent_of(scale(figure.accuracy))
        parts.append(el("circle", class_="mark", cx=x, cy="50%", r=5))
    return el("svg", *parts, width="100%", height=30, class_=kind, aria_hidden="true")
