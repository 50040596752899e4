"""Groups: how the router does on each, and on a group it has never seen.

Not here: the mean over groups (see ``accuracies``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova.evaluation.html.accuracies import gain_sentence
from hypernova.evaluation.html.figures import Figures, count, known
from hypernova.evaluation.html.markup import Markup, el
from hypernova.evaluation.html.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def groups(report: Mapping[str, Any], figures: Figures) -> Markup:
    """Show held-out accuracy by group, the largest gain first."""
    heading = el("h2", "By group")
    rows = report["groups"]
    if not rows:
        text = "The tasks of this table carry no groups."
        return el("section", heading, el("p", text, class_="missing"), id="groups")
    return el(
        "section",
        heading,
        el("p", "Held-out. Small groups gain and lose by chance; look for large ones."),
        _table("Held-out accuracy by group", rows, figures),
        id="groups",
    )


def _table(name: str, rows: Sequence[Mapping[str, Any]], figures: Figures) -> Markup:
    longest = max((abs(row["gain"]) for row in rows if row["gain"] is not None), default=0.0)
    novel = any("novel" in row for row in rows)
    return table(
        name,
        ["Group", "Tasks", "Router", "Best single", "Gain, points", *(["Novel"] * novel)],
        (
            [
                el("bdi", row["group"]),
                count(row["tasks"]),
                known(figures.percent(row["accuracy"])),
                known(figures.percent(row["best_single"])),
                _gain(row["gain"], longest, figures),
                *([known(figures.percent(row.get("novel")))] * novel),
            ]
            for row in sorted(
                rows, key=lambda row: (row["gain"] is None, -(row["gain"] or 0.0), -row["tasks"])
            )
        ),
    )


def _gain(gain: float | None, longest: float, figures: Figures) -> Markup:
    """A gain with a bar to the right of the middle, a loss with one to the left."""
    if gain is None:
        return known("unknown")
    share = 50 * abs(gain) / longest if longest else 0.0
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
    return el("span", drawing, el("b", figures.points(gain)), class_="gain")


def leave_one_group_out(report: Mapping[str, Any], figures: Figures) -> Markup | None:
    """Show what happens on a kind of task never seen; None if that was not asked for."""
    facts = report["leave_one_group_out"]
    if facts is None:
        return None
    held_out, single = facts["held_out"], facts["best_single"]
    return el(
        "section",
        el("h2", "On a group never seen"),
        el(
            "p",
            "Each group in turn was left out of training, and the router tested on it: ",
            el("b", known(figures.percent(held_out["accuracy"]))),
            " against ",
            el("b", known(figures.percent(single["accuracy"]))),
            " for the best single model of the other groups, a difference of ",
            el("b", gain_sentence(facts["gain"], figures)),
            ". ",
            known(figures.percent(facts["novel"])),
            " of the prompts were flagged as novel and went to the default model.",
        ),
        _table("Accuracy on groups left out", facts["groups"], figures),
        id="leave-one-group-out",
    )
