"""The router on each group, and on kinds never seen.

Not here: the mean over groups (see ``accuracies``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.evaluation.report_fields import UnseenGroupFigures
from hypernova.offline_page.markup import Markup, el, table
from hypernova.offline_page.numbers import count, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.html.number_format import NumberFormat
    from hypernova.evaluation.report_fields import GroupFigures, ReportFields


def groups(report: ReportFields, numbers: NumberFormat) -> Markup:
    """Show held-out accuracy by group, the largest gain first."""
    heading = el("h2", "By group")
    if not report.groups:
        text = "The tasks of this table carry no groups."
        return el("section", heading, el("p", text, class_="missing"), id="groups")
    return el(
        "section",
        heading,
        el("p", "Held-out. Small groups gain and lose by chance; look for large ones."),
        _table("Held-out accuracy by group", report.groups, numbers),
        id="groups",
    )


def _table(name: str, rows: Sequence[GroupFigures], numbers: NumberFormat) -> Markup:
    largest = max((abs(row.gain) for row in rows if row.gain is not None), default=0.0)
    novel = any(isinstance(row, UnseenGroupFigures) for row in rows)
    estimated = any(row.estimated for row in rows)
    return table(
        name,
        [
            "Group",
            "Tasks",
            "Router",
            "Best single",
            "Gain, points",
            *(["Estimated"] * estimated),
            *(["Novel"] * novel),
        ],
        (
            [
                el("bdi", row.group),
                count(row.tasks),
                known(numbers.percent(row.accuracy)),
                known(numbers.percent(row.best_single)),
                _gain(row.gain, largest, numbers),
                *([numbers.percent(row.estimated)] if estimated else []),
                *([numbers.percent(row.novel)] if isinstance(row, UnseenGroupFigures) else []),
            ]
            for row in sorted(
                rows, key=lambda row: (row.gain is None, -(row.gain or 0.0), -row.tasks)
            )
        ),
    )


def _gain(gain: float | None, largest: float, numbers: NumberFormat) -> Markup:
    """Write a gain with a bar: to the right of the middle, or to the left for a loss."""
    if gain is None:
        return known("unknown")
    share = 50 * abs(gain) / largest if largest else 0.0
    drawing = el(
        "svg",
        el("line", class_="zero", x1="50%", x2="50%", y1=0, y2=14),
        el(
            "rect",
            class_="gain" if gain > 0 else "loss",
            x=f"{50 if gain > 0 else 50 - share:.2f}%",
            y=3,
            width=f"{share:.2f}%",
            height=8,
        ),
        class_="diverging",
        width=90,
        height=14,
        aria_hidden="true",
    )
    return el("span", drawing, el("b", numbers.points(gain)), class_="gain")


def unseen_kinds(report: ReportFields, numbers: NumberFormat) -> Markup | None:
    """Show what routing gains on kinds that were left out; None if none was."""
    facts = report.unseen_kinds
    if facts is None:
        return None
    interval = numbers.points_interval(facts.gain.ci95)
    what = "groups" if facts.kinds == "groups" else "clusters of prompts"
    each = "each" if facts.sets == facts.left_out else f"each of {count(facts.sets)} sets of them"
    worst = "unknown" if facts.worst.gain is None else f"{numbers.points(facts.worst.gain)} points"
    return el(
        "section",
        el("h2", "On kinds that the table lacks"),
        el("p", facts.text),
        el(
            "p",
            f"Of {count(facts.left_out)} {what}, {each} was left out of learning in turn, and the "
            "router tested on it: ",
            el("b", numbers.points(facts.gain.mean), " points"),
            f" (95% interval {interval})" if interval else None,
            " over the best single model of the rest. The worst was ",
            el("bdi", facts.worst.name),
            f", {count(facts.worst.tasks)} tasks: {worst}; another kind may do worse. ",
            numbers.percent(facts.novel),
            " of the prompts were taken for novel.",
        ),
        id="unseen-kinds",
    )


def leave_one_group_out(report: ReportFields, numbers: NumberFormat) -> Markup | None:
    """Show the router on kinds of task never seen; None if that was not asked for."""
    facts = report.leave_one_group_out
    if facts is None:
        return None
    interval = numbers.points_interval(facts.gain.ci95)
    return el(
        "section",
        el("h2", "On a group never seen"),
        el(
            "p",
            "Each group in turn was left out of training, and the router tested on it: ",
            el("b", known(numbers.percent(facts.held_out.accuracy))),
            " against ",
            el("b", known(numbers.percent(facts.best_single.accuracy))),
            " for the best single model of the other groups, a difference of ",
            el("b", numbers.points(facts.gain.mean), " points"),
            f" (95% interval {interval})" if interval else None,
            ". ",
            numbers.percent(facts.novel),
            " of the prompts were taken for novel and went to the default model.",
        ),
        _table("Accuracy on groups left out", facts.groups, numbers),
        id="leave-one-group-out",
    )
