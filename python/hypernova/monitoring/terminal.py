"""Write a monitoring report for a terminal: the verdict, what it rests on, and what is in the log.

Not here: escape sequences in names, which the caller escapes.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, TypeVar

from hypernova.monitoring.observations import PAIR_REASONS
from hypernova.monitoring.wording import (
    interval,
    percent,
    percents,
    points,
    round_up,
    words_of_cluster,
)
from hypernova.offline_page.numbers import plural
from hypernova.outcome_log.join import REASONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.monitoring.report_fields import (
        AmountRow,
        EstimateRow,
        MonitorFields,
        RoutingGain,
        ShadowComparison,
    )

    _Row = TypeVar("_Row", EstimateRow, AmountRow)

_WIDTH = 88
_NAME = 36
# Rows of a table, unless all are asked for; the JSON and the page have all.
_SHOWN = 8
_ALL_REASONS = {**REASONS, **PAIR_REASONS}


def lines(report: MonitorFields, *, every: bool = False) -> list[str]:
    """Write a report, in lines of at most 88 characters but for the verdict and commands.

    Args:
        report: The report.
        every: Write all rows of each table; else at most eight, those that are off first.
    """
    written = [report.verdict, *_wrapped(report.advice)]
    written += [f"  {command}" for command in report.commands]
    written.append("")
    # The verdict says what leads to it; other findings stand below.
    for finding in report.findings:
        if finding.text not in report.verdict:
            written += _wrapped(f"also: {finding.text}")
    written += _wrapped(_what(report))
    written += ["", *_gain(report.gain)]
    written += ["", *_estimates(report, every=every)]
    written += _changes(report)
    written += ["", *_prompts(report)]
    written += _amounts("cost in USD", report.costs, every=every)
    written += _amounts("latency in seconds", report.latencies, every=every)
    for shadow in report.shadows:
        written += ["", *_shadow(shadow)]
    written += _log(report)
    for note in report.notes:
        written += ["", *_wrapped(f"note: {note}")]
    return written


def _what(report: MonitorFields) -> str:
    log, artifact = report.log, report.artifact
    name = artifact.path or "the artifact"
    span = "" if log.first is None else f" from {log.first[:10]} to {(log.last or '')[:10]}"
    ancestors = (
        f", and {log.ancestor_decisions:,} by its ancestors, {log.ancestor_outcomes:,} with an "
        "outcome"
        if log.ancestor_decisions
        else ""
    )
    each, ever = (f"{100 * x:.3g}%" for x in (1 - report.levels.gain, report.levels.total))
    return (
        f"{name} (sha256 {artifact.sha256[:12]}): {plural(log.decisions, 'decision')}{span}, "
        f"{log.outcomes:,} with an outcome{ancestors}. Look as often as you like: each interval "
        f"holds at all looks together with {each}, and while nothing is wrong any alarm ever goes "
        f"off with at most {ever}."
    )


def _gain(gain: RoutingGain) -> list[str]:
    label = f"gain over {_cut(gain.default_model, _NAME - 10)}"
    if gain.known and gain.ci is not None:
        written = [
            f"{label:{_NAME}}  {points(gain.gain)} points, {interval(gain.ci)}, over "
            f"{plural(gain.n, 'decision')}"
        ]
    else:
        why = "none: the router always takes it" if gain.always_default else "unknown"
        written = [f"{label:{_NAME}}  {why}"]
    details = []
    if gain.expected is not None:
        details.append(f"{percent(gain.routed)} of the decisions take another model")
        details.append(f"the estimates expect {points(gain.expected)} points")
    if gain.explored is not None:
        details.append(f"{percent(gain.explored)} are drawn")
    written += _wrapped("; ".join(details), "  ")
    if gain.with_ancestors is not None and gain.ci_with_ancestors is not None:
        written += _wrapped(
            f"with decisions by ancestors {points(gain.with_ancestors)} points, "
            f"{interval(gain.ci_with_ancestors)}, over {gain.n_with_ancestors:,}",
            "  ",
        )
    if gain.needs:
        offers = "; ".join(
            f"explore={need.explore:g}: about {round_up(need.decisions):,}" for need in gain.needs
        )
        written += _wrapped(
            f"further decisions that would tell a gain of {100 * gain.assumed:.1f} points: "
            + offers,
            "  ",
        )
    return written


def _estimates(report: MonitorFields, *, every: bool) -> list[str]:
    found = report.estimates
    written = [f"{'success':{_NAME}}  outcomes  predicted  observed  difference"]
    written += [_estimate(found.overall)]
    for rows, noun in ((found.models, "models"), (found.clusters, "clusters")):
        written += [_estimate(row) for row in _first(rows, every=every)]
        written += _more(rows, noun, every=every)
    return written


def _first(rows: Sequence[_Row], *, every: bool) -> Sequence[_Row]:
    """Choose the rows to show: those that are off first, then the most frequent."""
    return rows if every else sorted(rows, key=lambda row: not row.off)[:_SHOWN]


def _more(rows: Sequence[_Row], noun: str, *, every: bool) -> list[str]:
    hidden = [] if every else sorted(rows, key=lambda row: not row.off)[_SHOWN:]
    if not hidden:
        return []
    off = sum(row.off for row in hidden)
    also = f" ({'all' if off == len(hidden) else f'{off:,} of them'} OFF)" if off else ""
    return [f"... and {len(hidden):,} more {noun}{also}: --all shows them"]


def _estimate(row: EstimateRow) -> str:
    line = f"{_cut(row.name + words_of_cluster(row.words), _NAME):{_NAME}}  {row.n:8,}"
    if row.observed is None or row.predicted is None:
        return f"{line}    unknown"
    difference = f"{points(row.observed - row.predicted):>6}, {interval(row.ci)}"
    off = "  OFF" if row.off else ""
    return f"{line}  {percent(row.predicted):>9}  {percent(row.observed):>8}  {difference}{off}"


def _changes(report: MonitorFields) -> list[str]:
    if not report.changes:
        return ["no model's success is proven to have changed"]
    written = []
    for change in report.changes:
        written += _wrapped(
            f"CHANGED: {change.model}, since about {change.since[:16]}Z: score less estimate was "
            f"{points(change.before)} points over {change.n_before:,} outcomes, and is "
            f"{points(change.after)} ({interval(change.ci_after)}) over {change.n_after:,} since"
        )
    return written


def _prompts(report: MonitorFields) -> list[str]:
    novelty, mix = report.novelty, report.mix
    off = "  OFF" if novelty.off else ""
    written = [
        f"{'novel prompts':{_NAME}}  {percent(novelty.observed)}, "
        f"{percents(novelty.ci)}; in training {percent(novelty.expected)}{off}"
    ]
    off = "  OFF" if mix.off else ""
    written.append(
        f"{'prompts of other clusters':{_NAME}}  {percent(mix.distance)}, at least "
        f"{percent(mix.at_least)}; up to {percent(mix.tolerance)} tolerated{off}"
    )
    if mix.off:
        for share in mix.clusters[:4]:
            words = words_of_cluster(share.words)
            written.append(
                f"  {_cut(f'cluster {share.cluster}{words}', _NAME - 2):{_NAME - 2}}  "
                f"{percent(share.observed)}, in training {percent(share.trained)}"
            )
    return written


def _amounts(name: str, rows: Sequence[AmountRow], *, every: bool) -> list[str]:
    if not rows:
        return []
    written = ["", f"{name:{_NAME}}  outcomes   expected  observed  mean ratio"]
    for row in _first(rows, every=every):
        off = "  OFF" if row.off else ""
        written.append(
            f"{_cut(row.model, _NAME):{_NAME}}  {row.n:8,}  {row.expected:9.4g}  "
            f"{row.observed:8.4g}  {row.ratio:.2f}, {row.ci.low:.2f} to {row.ci.high:.2f}{off}"
        )
    return written + _more(rows, "models", every=every)


def _shadow(shadow: ShadowComparison) -> list[str]:
    written = [
        f"shadow {shadow.sha256[:12]}: {plural(shadow.decisions, 'decision')}, "
        f"{percent(shadow.same)} with the same model"
    ]
    details = []
    if shadow.failed:
        details.append(f"it failed to decide {shadow.failed:,} times")
    if shadow.expected_gain is not None:
        details.append(f"by the estimates of each it gains {points(shadow.expected_gain)} points")
    if shadow.expected_cost is not None:
        details.append(f"its expected costs are {100 * shadow.expected_cost:+.1f}%")
    if shadow.same_score is not None:
        details.append(f"where both agree success is {percent(shadow.same_score)}")
    if shadow.known and shadow.ci is not None:
        details.append(
            f"measured gain {points(shadow.gain)} points, {interval(shadow.ci)}, over "
            f"{plural(shadow.n, 'decision')}"
        )
    else:
        details.append("its gain is unknown, since exploration never took its choice")
    if shadow.unknown_models:
        details.append(
            f"{shadow.unknown_models:,} outcomes are left out, where it chose a model that the "
            "router does not have"
        )
    return written + _wrapped("; ".join(details), "  ")


def _log(report: MonitorFields) -> list[str]:
    log = report.log
    rows = [
        (sum(log.strangers.values()), "decisions by other artifacts"),
        (log.open, "decisions without an outcome so far"),
        (log.answered_by_other, "outcomes of another model than the chosen one, not used"),
        *((n, f"failed requests of {model}") for model, n in log.failed.items()),
        *((n, _ALL_REASONS.get(reason, reason)) for reason, n in log.skipped.items()),
    ]
    rows = [row for row in rows if row[0]]
    if not rows:
        return []
    return ["", f"of {plural(log.lines, 'line')}", *(f"{n:8,}  {text}" for n, text in rows)]


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        break_long_words=False,
        break_on_hyphens=False,
        initial_indent=indent,
        subsequent_indent=indent,
    )


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
