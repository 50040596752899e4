"""The verdict, its figures, and in-sample against held-out with the controls.

Not here: costs against accuracy (see ``frontier``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova.evaluation.html.figures import (
    Figures,
    Interval,
    both_ends,
    count,
    known,
    plural,
    relative,
    usd,
)
from hypernova.evaluation.html.markup import Markup, el, join
from hypernova.evaluation.html.plot import Scale

if TYPE_CHECKING:
    from collections.abc import Mapping

# Heading, key, name, what it is, and how it is marked.
ROUTER, SINGLE, CONTROLS, BOUNDS = "The router", "One model for everything", "Controls", "Bounds"
ROWS = (
    (ROUTER, "in_sample", "In-sample", "tested on the tasks it was fitted on", "hollow router"),
    (ROUTER, "held_out", "Held-out", "tested on tasks it had not seen", "router"),
    (SINGLE, "best_single", "Best single", "chosen on each fold's training tasks", "single"),
    (SINGLE, "best_single_hindsight", "Best single, in hindsight", "", "hollow single"),
    (CONTROLS, "random", "Random", "each task to any model", "control"),
    (CONTROLS, "shuffled_clusters", "Shuffled clusters",
     "the router, its prompts dealt to clusters at random", "control"),
    (CONTROLS, "cost_matched_mix", "Cost-matched mix",
     "two single models, mixed at random to the router's cost", "control"),
    (BOUNDS, "group_oracle", "Best model per group", "in hindsight", "hollow bound"),
    (BOUNDS, "oracle", "Best model per task", "in hindsight; no router reaches it",
     "hollow bound"),
)  # fmt: skip
# Why a figure may be null.
NEEDS = {"group_oracle": "groups", "cost_matched_mix": "costs"}


def overview(report: Mapping[str, Any], figures: Figures) -> Markup:
    """Say what was judged, the verdict, and the figures it rests on."""
    dataset = report["dataset"]
    facts = [
        plural(dataset["tasks"], "task"),
        plural(len(dataset["models"]), "model"),
        plural(dataset["groups"], "group") if dataset["groups"] else "no groups",
        f"outcomes for {100 * dataset['density']:.0f}% of task-model pairs",
        "costs unknown"
        if not dataset["costs"]
        else f"costs known for {100 * dataset['costs']:.0f}% of outcomes",
    ]
    if dataset["different_prompts"] != dataset["tasks"]:
        facts.insert(1, f"{count(dataset['different_prompts'])} different prompts")
    lead, colon, rest = report["verdict"].partition(":")
    verdict = (
        join([el("strong", lead + colon), rest])
        if colon and len(lead) <= 24
        else join([report["verdict"]])
    )
    return el(
        "header",
        el("h1", "Is routing worth it on ", el("bdi", dataset["name"]), "?"),
        el("p", verdict, class_="verdict"),
        el("ul", *(el("li", fact) for fact in facts), class_="facts"),
        _tiles(report, figures),
        *(
            el("p", report[key]["text"], class_="note")
            for key in ("shared_text", "alike_prompts")
            if report.get(key) is not None  # a report of an older version has none
        ),
    )


def _tiles(report: Mapping[str, Any], figures: Figures) -> Markup:
    gain = report["gain"]
    cost = gain["cost_change"]

    def accuracy(key: str, name: str, note: str, kind: str) -> Markup:
        figure = report[key]
        return _tile(
            name, figures.percent(figure["accuracy"]), figures.interval(figure["ci95"]), note, kind
        )

    return el(
        "dl",
        accuracy("held_out", "Held-out accuracy", "the router on tasks it had not seen", "router"),
        accuracy("best_single", "Best single model", "chosen in each fold", "single"),
        _tile(
            "Gain, in points",
            figures.points(gain["mean"]),
            figures.points_interval(gain["ci95"]),
            f"paired over {plural(gain['tasks'], 'task')}",
            "gain",
            _gain_strip(gain, figures),
        ),
        _tile(
            "Cost against best single",
            relative(None if cost is None else cost["mean"]),
            None if cost is None else _relative_interval(cost["ci95"]),
            "not known for this table" if cost is None else "a task, relative",
            "cost",
        ),
        accuracy("in_sample", "In-sample accuracy", "says nothing about new tasks", "hollow"),
        class_="tiles",
    )


def _tile(
    name: str, value: str, interval: str | None, note: str, kind: str, picture: Markup | None = None
) -> Markup:
    return el(
        "div",
        el("dt", name),
        el("dd", known(value), class_="value"),
        el("dd", f"95%: {interval}", class_="interval") if interval else None,
        picture,
        el("dd", note, class_="note"),
        class_=f"tile {kind}",
    )


def _gain_strip(gain: Mapping[str, Any], figures: Figures) -> Markup | None:
    """The gain's interval against zero."""
    interval = figures.points_interval(gain["ci95"])
    ends = both_ends(gain["ci95"])
    if ends is None or gain["mean"] is None:
        return None
    low, high = ends
    scale = Scale.over([low, high, 0.0], 0, 100)
    drawing = el(
        "svg",
        el("line", class_="zero", x1=_at(scale(0)), x2=_at(scale(0)), y1=0, y2=18),
        el("line", class_="span", x1=_at(scale(low)), x2=_at(scale(high)), y1=9, y2=9),
        el("circle", class_="mark", cx=_at(scale(gain["mean"])), cy=9, r=4.5),
        width="100%",
        height=18,
        role="img",
        aria_label=f"the gain, {interval} points, and a line at zero",
    )
    return el("dd", drawing, class_="strip")


def _at(share: float) -> str:
    """A position in a drawing that is as wide as its place: per cent, not pixels."""
    return f"{share:.2f}%"


def _relative_interval(ci95: Interval) -> str | None:
    ends = both_ends(ci95)
    return ends and " to ".join(relative(end) for end in ends)


def against(report: Mapping[str, Any], figures: Figures) -> Markup:
    """Draw every figure of accuracy with its interval, on one scale."""
    shown = [row for row in ROWS if report[row[1]] is not None]
    values = [
        value
        for row in shown
        for value in (report[row[1]]["accuracy"], *(report[row[1]]["ci95"] or ()))
        if value is not None
    ]
    scale = Scale.over(values, 0, 100)
    reference = report["best_single"]["accuracy"]
    macro = any(report[row[1]]["macro"] is not None for row in shown)
    priced = any(report[row[1]]["cost_usd"] is not None for row in shown)
    head = el(
        "tr",
        el("th", "Figure", scope="col"),
        el("th", _axis(scale), scope="col", class_="track", aria_label="drawing"),
        el("th", "Accuracy, 95% interval", scope="col", class_="number"),
        el("th", "Cost a task", scope="col", class_="number cost") if priced else None,
        el("th", "Mean of groups", scope="col", class_="number macro") if macro else None,
    )
    body: list[Markup] = []
    above = ""
    for heading, key, name, note, kind in shown:
        figure = report[key]
        if heading != above:
            name_of_rows = el("th", heading, scope="rowgroup")
            line = el("td", _dot({}, scale, reference, "single"), class_="track")
            body.append(
                el("tr", name_of_rows, line, el("td", colspan=1 + priced + macro), class_="kind")
            )
            above = heading
        note = figure.get("model") or note
        body.append(
            el(
                "tr",
                el("th", name, el("span", el("bdi", note), class_="note"), scope="row"),
                el("td", _dot(figure, scale, reference, kind), class_="track"),
                el(
                    "td",
                    el("b", known(figures.percent(figure["accuracy"]))),
                    el("span", figures.interval(figure["ci95"]) or "no interval", class_="note"),
                    class_="number",
                ),
                el("td", known(usd(figure["cost_usd"])), class_="number cost") if priced else None,
                el("td", known(figures.percent(figure["macro"])), class_="number macro")
                if macro
                else None,
                class_="plotted",
            )
        )
    missing = [f"{row[2]} needs {NEEDS[row[1]]}" for row in ROWS if report[row[1]] is None]
    return el(
        "section",
        el("h2", "In-sample against held-out"),
        el(
            "p",
            "Only held-out figures say what to expect of the next task. ",
            el("b", "In-sample"),
            f": {_plain(report['in_sample']['label'])}. The vertical line is the best single "
            "model; hollow marks knew the answers.",
        ),
        el("table", el("thead", head), el("tbody", *body), class_="dots"),
        _by_prompts(report, figures),
        el("p", f"Not shown: {'; '.join(missing)}.", class_="note") if missing else None,
        id="accuracy",
    )


def _by_prompts(report: Mapping[str, Any], figures: Figures) -> Markup:
    """How much of the gain the prompts have: what no shuffle of them reaches."""
    gain = report["gain_over_shuffled"]
    interval = figures.points_interval(gain["ci95"])
    return el(
        "p",
        "Of the gain, the prompts have ",
        el("b", figures.points(gain["mean"]), " points"),
        f" (95%: {interval})" if interval else "",
        ": by so much the router beats one that learned from shuffled prompts.",
        class_="note",
    )


def _plain(label: str) -> str:
    return label.removeprefix("in-sample:").strip().rstrip(".")


def _axis(scale: Scale) -> Markup:
    ticks = scale.ticks(5)
    decimals = 0 if all(abs(100 * tick - round(100 * tick)) < 1e-6 for tick in ticks) else 1
    return el(
        "svg",
        *(
            el("text", f"{100 * tick:.{decimals}f}", x=_at(scale(tick)), y=12, text_anchor="middle")
            for tick in ticks
        ),
        width="100%",
        height=16,
        aria_hidden="true",
    )


def _dot(figure: Mapping[str, Any], scale: Scale, reference: float | None, kind: str) -> Markup:
    parts: list[Markup] = []
    if reference is not None:
        x = _at(scale(reference))
        parts.append(el("line", class_="reference", x1=x, x2=x, y1=0, y2="100%"))
    ends = both_ends(figure.get("ci95"))
    if ends:
        low, high = (_at(scale(end)) for end in ends)
        parts.append(el("line", class_="span", x1=low, x2=high, y1="50%", y2="50%"))
    if figure.get("accuracy") is not None:
        x = _at(scale(figure["accuracy"]))
        parts.append(el("circle", class_="mark", cx=x, cy="50%", r=5))
    return el("svg", *parts, width="100%", height=30, class_=kind, aria_hidden="true")


def gain_sentence(gain: Mapping[str, Any], figures: Figures) -> str:
    """The gain in a sentence's words, as for leaving one group out."""
    interval = figures.points_interval(gain["ci95"])
    text = f"{figures.points(gain['mean'])} points"
    return f"{text} (95% interval {interval})" if interval else text
