"""Write a report for a terminal: the verdict and the main figures.

Not here: escape sequences in names, which the caller escapes.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from hypernova.evaluation.verdict import points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.figure_fields import Figure
    from hypernova.evaluation.frontier_fields import FrontierPoint
    from hypernova.evaluation.report_fields import Dataset, ReportFields
    from hypernova.report_values import Interval

_ROWS = (
    ("held_out", "router, held-out"),
    ("best_single", "best single model, held-out"),
    ("in_sample", "router, in-sample (too good)"),
    ("best_single_hindsight", "best single, in hindsight"),
    ("cost_matched_mix", "mix of two at the same cost"),
    ("shuffled_clusters", "router on shuffled prompts"),
    ("random", "random model"),
    ("group_oracle", "best model per group, hindsight"),
    ("oracle", "best model per task, hindsight"),
)
_WIDTH = 88
# Points of the frontier that are shown.
_SHOWN = 6


def _repeats_text(dataset: Dataset) -> str:
    """Say that outcomes are means of several, in a sentence with a blank after it."""
    if dataset.repeats is None:
        return ""
    return (
        f"{dataset.repeats.outcomes:,} of {dataset.outcomes:,} outcomes are means of up to "
        f"{dataset.repeats.largest:,} of one model on one task; a task counts once. "
    )


def lines(report: ReportFields) -> list[str]:
    """Write a report, in lines of at most 88 characters but for the verdict."""
    dataset, gain, by_prompts = report.dataset, report.gain, report.gain_over_shuffled
    written = [
        report.verdict,
        "",
        *_wrapped(
            f"{dataset.name}: {dataset.tasks:,} tasks, {len(dataset.models)} models. "
            + _repeats_text(dataset)
            + report.protocol.text
        ),
        "",
        f"{'':32}  accuracy  95% interval       cost/task",
    ]
    figures = ((label, getattr(report, field)) for field, label in _ROWS)
    written += [_row(label, figure) for label, figure in figures if figure is not None]
    written += _missing_outcomes(report)
    if gain.ci95 is not None:
        written += ["", f"gain {_points(gain.mean, gain.ci95)}"]
        if gain.macro is not None:
            written[-1] += f"; mean over groups {points(gain.macro, 2)}"
    if by_prompts.ci95 is not None:
        written.append(f"of it by prompts {_points(by_prompts.mean, by_prompts.ci95)}")
    named = report.group_given
    if named is not None and named.gain.ci95 is not None:
        written.append(f"gain with group= given {_points(named.gain.mean, named.gain.ci95)}")
    unseen = report.unseen_kinds
    if unseen is not None and unseen.gain.ci95 is not None:
        written.append(f"gain on kinds left out {_points(unseen.gain.mean, unseen.gain.ci95)}")
    for finding in (report.shared_text, report.alike_prompts):
        if finding is not None:
            written += ["", *_wrapped(finding["text"])]
    left_out = report.leave_one_group_out
    if left_out is not None:
        written += ["", "groups never seen (each left out in turn)"]
        written.append(_row("router", left_out.held_out))
        written.append(_row("best single model", left_out.best_single))
        written.append(f"{'share taken for novel':32}  {left_out.novel:.3f}")
    frontier = _evenly_spaced(report.pareto)
    if frontier:
        written += ["", "router, held-out, by cost weight"]
        written += [_row(f"{point.cost_weight:.3g} per USD", point) for point in frontier]
        over_mix = report.frontier_gain
        if over_mix is not None and over_mix.mean is not None and over_mix.ci95 is not None:
            written += _wrapped(
                "over a random mix of two models at the same cost, mean over all cost weights: "
                f"{_points(over_mix.mean, over_mix.ci95)}"
            )
    written += _learning_curve(report)
    for text in _closing(report):
        written += _wrapped(text) or [""]
    for note in report.notes:
        written += ["", *_wrapped(f"note: {note}")]
    return written


def _missing_outcomes(report: ReportFields) -> list[str]:
    """Write what the gain is without estimates, and within which bounds; empty if all is known."""
    shown = [getattr(report, field) for field, _ in _ROWS]
    if not any(figure is not None and figure.estimated for figure in shown):
        return []
    written = _wrapped(
        "est.: share of the decisions whose outcome is missing and is estimated; the intervals "
        "hold the errors of these estimates"
    )
    part = report.gain.estimated
    if part is not None:
        measured = "unknown" if part.ci95 is None else _points(part.measured, part.ci95)
        written += [
            "",
            *_wrapped(
                f"gain where both outcomes are known, {_percent(1 - part.share)} of the decisions: "
                f"{measured}; bounds of the gain, whatever the missing outcomes are: "
                f"{points(part.low, 2)} to {points(part.high, 2)}"
            ),
        ]
    return written


def _closing(report: ReportFields) -> list[str]:
    """Write the area under the frontier, or what calls buy, and calibration: a sentence each."""
    written = []
    area, calls, gap = report.aiq, report.call_frontier, report.gap_recovered
    if area is not None:
        written.append(
            f"AIQ, accuracy averaged over costs from ${area.low_usd:.3g} to ${area.high_usd:.3g}: "
            f"{area.router:.4f}; mixes of two models, in hindsight, {area.single_models:.4f}"
        )
    if gap is not None:
        written.append(
            f"APGR {gap.apgr:.3f} (a random mix 0.5): {_percent(gap.calls_for_50)} of calls to "
            f"{gap.strong} recover half of its lead over {gap.weak}, "
            f"{_percent(gap.calls_for_80)} recover 80%"
        )
    elif calls is not None and calls.gain.mean is not None and calls.gain.ci95 is not None:
        written.append(
            f"over a random mix with as many calls to {calls.model}, mean over all prices of a "
            f"call: {_points(calls.gain.mean, calls.gain.ci95)}"
        )
    calibration = report.calibration
    if calibration is not None:
        written.append(
            f"success estimates, held-out: calibration error {calibration.error:.3f}; Brier score "
            f"{calibration.brier:.3f}, of plain rates {calibration.brier_of_rates:.3f}"
        )
    return ["", *written] if written and not report.pareto else written


def _learning_curve(report: ReportFields) -> list[str]:
    """Write gain and saving by the number of tasks, and what more would add."""
    curve = report.learning_curve
    if curve is None:
        return []
    written = ["", "gain of routers that learned from a part of the training tasks"]
    for point in curve.points:
        ends = point.gain.ci95
        gain = "unknown" if ends is None else _points(point.gain.mean, ends)
        written.append(f"{point.label:32}  {gain}")
    saved = [
        f"{point.label:32}  {points(change.mean)}%, accuracy {points(point.saving.mean, 2)} points"
        for point in curve.points
        if point.saving is not None and (change := point.saving.cost_change) is not None
    ]
    if saved:
        written += ["their cost, under the weight that lost no accuracy on the other folds", *saved]
    return [*written, *_wrapped(curve.text)]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _points(mean: float | None, ci95: Interval) -> str:
    low, high = (points(end, 2) for end in ci95)
    return f"{points(mean, 2)} points, 95% interval {low} to {high}"


def _row(label: str, figure: Figure | FrontierPoint) -> str:
    if figure.accuracy is None or figure.ci95 is None:
        return f"{label:32}  unknown"
    low, high = figure.ci95
    line = f"{label:32}  {figure.accuracy:.4f}    {low:.4f} to {high:.4f}"
    if figure.cost_usd is not None:
        line += f"   ${figure.cost_usd:.4g}"
    if figure.estimated is not None:
        share = figure.estimated.share
        line = f"{line:73}  {'<1%' if share < 0.01 else _percent(share)} est."
    return line


def _evenly_spaced(frontier: Sequence[FrontierPoint]) -> list[FrontierPoint]:
    """Choose a few points, evenly spaced in cost, from the dearest to the cheapest."""
    priced = [(point.cost_usd, point) for point in frontier if point.cost_usd is not None]
    if not priced:
        return []
    dearest, cheapest = priced[0][0], min(cost for cost, _ in priced)
    shown: list[FrontierPoint] = []
    for step in range(_SHOWN):
        target = dearest + (cheapest - dearest) * step / (_SHOWN - 1)
        _, nearest = min(priced, key=lambda pair: abs(pair[0] - target))
        if nearest not in shown:
            shown.append(nearest)
    return shown
