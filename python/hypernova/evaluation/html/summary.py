"""The head of the page: the verdict, the table in numbers, and the main figures.

Not here: all figures side by side (see ``accuracies``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.evaluation.html.number_format import NumberFormat, share_estimated
from hypernova.offline_page.markup import Markup, el, join
from hypernova.offline_page.numbers import count, known, plural, relative
from hypernova.offline_page.scale import Scale, percent_of

if TYPE_CHECKING:
    from hypernova.evaluation.figure_fields import Figure, Gain
    from hypernova.evaluation.report_fields import Dataset, ReportFields


def summary(report: ReportFields, numbers: NumberFormat) -> Markup:
    """Show the verdict, the size of the table, and the figures that the verdict rests on."""
    lead, colon, rest = report.verdict.partition(":")
    verdict = [el("strong", lead + colon), rest] if colon and len(lead) <= 24 else [report.verdict]
    findings = (report.shared_text, report.alike_prompts)
    return el(
        "header",
        el("h1", "Is routing worth it on ", el("bdi", report.dataset.name), "?"),
        el("p", join(verdict), class_="verdict"),
        el("ul", *(el("li", fact) for fact in _facts(report.dataset)), class_="facts"),
        _tiles(report, numbers),
        *(el("p", finding["text"], class_="note") for finding in findings if finding),
    )


def _facts(dataset: Dataset) -> list[str]:
    facts = [plural(dataset.tasks, "task")]
    if dataset.different_prompts != dataset.tasks:
        facts.append(f"{count(dataset.different_prompts)} different prompts")
    repeats = []
    if dataset.repeats is not None:
        share = 100 * dataset.repeats.outcomes / dataset.outcomes
        largest = count(dataset.repeats.largest)
        repeats.append(f"{share:.0f}% of outcomes are means of up to {largest} of a task")
    return [
        *facts,
        plural(len(dataset.models), "model"),
        plural(dataset.groups, "group") if dataset.groups else "no groups",
        f"outcomes for {100 * dataset.density:.0f}% of task-model pairs",
        f"costs known for {100 * dataset.costs:.0f}% of outcomes"
        if dataset.costs
        else "costs unknown",
        *repeats,
    ]


def _tiles(report: ReportFields, numbers: NumberFormat) -> Markup:
    gain, change = report.gain, report.gain.cost_change

    def accuracy(name: str, figure: Figure, note: str, kind: str) -> Markup:
        if figure.estimated is not None:
            note += f"; {share_estimated(figure.estimated)}"
        value = numbers.percent(figure.accuracy)
        return _tile(name, value, numbers.interval(figure.ci95), note, kind)

    change_mean, change_ci95 = (change.mean, change.ci95) if change else (None, None)
    cost_interval = change_ci95 and " to ".join(map(relative, change_ci95))
    return el(
        "dl",
        accuracy("Held-out accuracy", report.held_out, "the router on tasks it had not seen",
                 "router"),
        accuracy("Best single model", report.best_single, "chosen in each fold", "single"),
        _tile("Gain, in points", numbers.points(gain.mean), numbers.points_interval(gain.ci95),
              _paired(gain, numbers), "gain", _gain_strip(gain, numbers)),
        _tile("Cost against best single", relative(change_mean), cost_interval,
              "a task, relative" if change else "not known for this table", "cost"),
        accuracy("In-sample accuracy", report.in_sample, "says nothing about new tasks", "hollow"),
        class_="tiles",
    )  # fmt: skip


def _paired(gain: Gain, numbers: NumberFormat) -> str:
    """Say how many tasks were measured, and what the gain is without estimates."""
    text = f"paired over {plural(gain.tasks, 'task')}"
    part = gain.estimated
    if part is None:
        return text
    return (
        f"{text} with both outcomes, which alone show {numbers.points(part.measured)}; "
        f"{share_estimated(part)}, and whatever the missing ones are, the gain lies from "
        f"{numbers.points(part.low)} to {numbers.points(part.high)}"
    )


def _tile(
    name: str, value: str, interval: str | None, note: str, kind: str, drawing: Markup | None = None
) -> Markup:
    return el(
        "div",
        el("dt", name),
        el("dd", known(value), class_="value"),
        el("dd", f"95%: {interval}", class_="interval") if interval else None,
        drawing,
        el("dd", note, class_="note"),
        class_=f"tile {kind}",
    )


def _gain_strip(gain: Gain, numbers: NumberFormat) -> Markup | None:
    """Draw the interval of the gain against zero."""
    if gain.mean is None or gain.ci95 is None:
        return None
    scale = Scale.over([*gain.ci95, 0.0], 0, 100)
    low, high, zero, mean = (percent_of(scale(value)) for value in (*gain.ci95, 0.0, gain.mean))
    interval = numbers.points_interval(gain.ci95)
    drawing = el(
        "svg",
        el("line", class_="zero", x1=zero, x2=zero, y1=0, y2=18),
        el("line", class_="span", x1=low, x2=high, y1=9, y2=9),
        el("circle", class_="mark", cx=mean, cy=9, r=4.5),
        width="100%",
        height=18,
        role="img",
        aria_label=f"the gain, {interval} points, and a line at zero",
    )
    return el("dd", drawing, class_="strip")
