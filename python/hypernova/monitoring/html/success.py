"""Sections on success: the gain, changes, and predicted against observed success.

Not here: prompts and costs (see ``prompts`` and ``amounts``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.monitoring.html.figures import (
    minute,
    off_tag,
    percent,
    points,
    points_interval,
    scale_of,
    strip,
)
from hypernova.monitoring.wording import round_up
from hypernova.offline_page.markup import Markup, el, join, note, table
from hypernova.offline_page.numbers import count, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.monitoring.report_fields import EstimateRow, MonitorFields
    from hypernova.offline_page.scale import Scale

# An interval wider than this to either side says only that there are few outcomes.
WIDEST = 0.25


def gain(report: MonitorFields) -> Markup:
    """Show the gain over the default model, or how much exploration would tell it."""
    found = report.gain
    sentences = [
        f"{percent(found.routed)} of the decisions take another model than ",
        el("bdi", found.default_model),
        ", the default model. ",
    ]
    if found.expected is not None:
        sentences.append(
            f"By the router's own estimates that gains {points(found.expected)} points. "
        )
    if found.known:
        sentences.append(
            f"Measured, exploration included, it gains {points(found.gain)} points "
            f"({points_interval(found.ci)}), over {plural(found.n, 'decision')}. "
        )
    elif found.always_default:
        sentences.append("There is nothing to gain or to lose but by exploring. ")
    elif found.without_overlap:
        sentences.append(
            "Whether it does cannot be known from this log: without exploration nobody sees what "
            "the default model would have answered where another was taken. "
        )
    if found.with_ancestors is not None:
        sentences.append(
            f"With the decisions of ancestors it is {points(found.with_ancestors)} points "
            f"({points_interval(found.ci_with_ancestors)}), over "
            f"{plural(found.n_with_ancestors, 'decision')}. "
        )
    left_out = [
        (found.without_overlap, "were not explored"),
        (found.without_default, "were not allowed the default model"),
        (found.fallbacks, "followed a failure"),
    ]
    said = ", ".join(f"{count(n)} {why}" for n, why in left_out if n)
    return el(
        "section",
        el("h2", "Gain over the default model"),
        el("p", join(sentences)),
        el("p", f"Left out: {said}.", class_="note") if said else None,
        _needs(report),
        id="gain",
    )


def _needs(report: MonitorFields) -> Markup | None:
    found = report.gain
    if not found.needs:
        return None
    rows = [[f"explore={need.explore:g}", count(round_up(need.decisions))] for need in found.needs]
    return join(
        [
            el(
                "p",
                f"To tell a gain of {100 * found.assumed:.1f} points from none takes about so many "
                "further decisions with an outcome:",
            ),
            el("div", table("Decisions to tell the gain", ["Share explored", "Decisions"], rows),
               class_="narrow"),
        ]
    )  # fmt: skip


def changes(report: MonitorFields) -> Markup:
    """Show the models whose success changed, and since when."""
    heading = el("h2", "Models that changed")
    if not report.changes:
        return el(
            "section",
            heading,
            el("p", "No model's success is proven to have changed against its estimates."),
            id="changes",
        )
    rows = [
        [
            join(
                [
                    el("bdi", change.model),
                    note("the default model") if change.is_default else None,
                ]
            ),
            minute(change.since),
            f"{points(change.before)} over {count(change.n_before)}",
            join([
                f"{points(change.after)} over {count(change.n_after)}",
                note(points_interval(change.ci_after)),
            ]),
            join([el("b", points(change.points))]),
        ]
        for change in report.changes
    ]  # fmt: skip
    return el(
        "section",
        heading,
        el(
            "p",
            "Score less estimate, in points, before and after the most likely time of the change. "
            "That time is a best guess; that there was a change is proven.",
        ),
        table("Models that changed", ["Model", "Since about", "Before", "After", "Change"], rows),
        id="changes",
    )


def success(report: MonitorFields) -> Markup:
    """Show predicted and observed success of each model and each cluster."""
    found = report.estimates
    shown = [found.overall, *found.models, *found.clusters]
    tolerance = found.tolerance
    # The most frequent rows set the scale; rare ones would make all others a dot.
    enough = [row.ci for row in shown if row.ci.high - row.ci.low <= 2 * WIDEST]
    scale = scale_of([*enough], -0.1, 0.1, most=WIDEST)
    return el(
        "section",
        el("h2", "Predicted and observed success"),
        el(
            "p",
            "Each bar is the interval of observed less predicted success, in points; the dashed "
            "line is at 0. A row is ",
            el("span", "off", class_="alarm"),
            f" if it is proven to be wrong by more than {100 * tolerance:.0f} points.",
        ),
        _rows("Model", [found.overall, *found.models], scale),
        _rows("Cluster", found.clusters, scale),
        id="success",
    )  # fmt: skip


def _rows(first: str, rows: Sequence[EstimateRow], scale: Scale) -> Markup | None:
    if not rows:
        return None
    return table(
        f"Predicted and observed success by {first.lower()}",
        [first, "Outcomes", "Predicted", "Observed", "Difference", ""],
        [_row(row, scale) for row in rows],
    )


def _row(row: EstimateRow, scale: Scale) -> list[Markup | str]:
    known = row.observed is not None and row.predicted is not None
    residual = row.observed - row.predicted if known else None  # type: ignore[operator]
    said = points_interval(row.ci) or ""
    return [
        join(
            [el("bdi", row.name), note(el("bdi", ", ".join(row.words[:4]))) if row.words else None]
        ),
        count(row.n),
        percent(row.predicted),
        percent(row.observed),
        join([points(residual), " ", off_tag(row.off), note(said)]),
        strip(row.ci, residual, scale, off=row.off, label=f"{row.name}: {said} points"),
    ]
