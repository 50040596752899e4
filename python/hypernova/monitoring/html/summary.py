"""The head of the page: the verdict, its reasons, and the figures that it rests on.

Not here: figures of single models and clusters (see ``success``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.monitoring.html.figures import (
    day,
    percent,
    percent_interval,
    points,
    points_interval,
    scale_of,
    strip,
)
from hypernova.offline_page.markup import Markup, el
from hypernova.offline_page.numbers import count, known, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.monitoring.report_fields import MonitorFields

REMEDIES = {
    "stop_routing": "leads to Stop routing",
    "fit_again": "leads to Fit again",
    "recalibrate": "leads to Recalibrate",
    None: "for your notice",
}
# A colour beside the word, never in its place.
KINDS = {"keep": "good", "not_enough_outcomes": "waiting"}


def summary(report: MonitorFields) -> Markup:
    """Show the verdict, what was read, and the main figures."""
    lead, colon, rest = report.verdict.partition(":")
    findings = [finding for finding in report.findings if finding.text not in report.verdict]
    return el(
        "header",
        el("h1", "Is the router still right?"),
        el(
            "p",
            el("strong", lead + colon, class_=f"action {KINDS.get(report.action, 'bad')}"),
            rest,
            class_="verdict",
        ),
        el("p", report.advice),
        el("p", el("code", *(each for each in _lined(report.commands))))
        if report.commands
        else None,
        el("ul", *(el("li", fact) for fact in _facts(report)), class_="facts"),
        _tiles(report),
        el(
            "ul",
            *(
                el("li", "Also proven: ", finding.text, " (", REMEDIES.get(finding.remedy, ""), ")")
                for finding in findings
            ),
            class_="findings",
        )
        if findings
        else None,
        el(
            "p",
            "Look as often as you like: each interval holds at all looks together with "
            f"{100 * (1 - report.levels.gain):.3g}%, and while nothing is wrong any alarm on this "
            f"page ever goes off with at most {100 * report.levels.total:.3g}%.",
            class_="note",
        ),
    )


def _lined(commands: Sequence[str]) -> list[Markup | str]:
    lined: list[Markup | str] = []
    for command in commands:
        lined += [el("br"), command] if lined else [command]
    return lined


def _facts(report: MonitorFields) -> list[str]:
    log, artifact = report.log, report.artifact
    facts = [
        artifact.path or "artifact in memory",
        f"sha256 {artifact.sha256[:12]}",
        plural(log.decisions, "decision"),
        f"{count(log.outcomes)} with an outcome",
    ]
    if log.ancestor_decisions:
        facts.append(f"{plural(log.ancestor_decisions, 'decision')} by ancestors")
    if log.first is not None:
        facts.append(f"{day(log.first)} to {day(log.last)}")
    return facts


def _tiles(report: MonitorFields) -> Markup:
    overall, gain, novelty, mix = (
        report.estimates.overall, report.gain, report.novelty, report.mix,
    )  # fmt: skip
    residual = (
        None
        if overall.observed is None or overall.predicted is None
        else overall.observed - overall.predicted
    )
    interval = points_interval(gain.ci)
    most = max(report.costs, key=lambda row: abs(row.ratio - 1), default=None)
    return el(
        "dl",
        _tile(
            "Observed success",
            percent(overall.observed),
            f"{points(residual)} points from the predicted {percent(overall.predicted)}"
            if overall.n
            else "no outcomes",
            strip(overall.ci, residual, scale_of([overall.ci], 0.0, most=0.5),
                  label=f"{points_interval(overall.ci)} points, and a line at 0")
            if overall.n
            else None,
            off=any(row.off for row in (*report.estimates.models, *report.estimates.clusters)),
        ),
        _tile(
            "Gain over the default, in points",
            points(gain.gain),
            f"{interval}, over {gain.default_model}"
            if interval
            else f"the router always takes {gain.default_model}"
            if gain.always_default
            else f"over {gain.default_model}: nothing was explored",
            strip(gain.ci, gain.gain, scale_of([gain.ci], 0.0, most=0.3),
                  off=gain.ci.high < 0, label=f"{interval} points, and a line at 0")
            if gain.ci
            else None,
            off=gain.ci is not None and gain.ci.high < 0,
        ),
        _tile(
            "Novel prompts",
            percent(novelty.observed),
            f"{percent_interval(novelty.ci)}; {percent(novelty.expected)} in training",
            off=novelty.off,
        ),
        _tile(
            "Prompts of other clusters",
            percent(mix.distance),
            f"at least {percent(mix.at_least)}; {percent(mix.tolerance)} tolerated",
            off=mix.off,
        ),
        _tile(
            "Cost against the profile",
            "unknown" if most is None else f"{most.ratio:.2f} times",
            "no costs in the log" if most is None else f"the farthest: {most.model}",
            off=any(row.off for row in report.costs),
        ),
        class_="tiles",
    )  # fmt: skip


def _tile(
    name: str, value: str, note: str, drawing: Markup | None = None, *, off: bool = False
) -> Markup:
    return el(
        "div",
        el("dt", name),
        el("dd", known(value), class_="value"),
        el("dd", drawing) if drawing else None,
        el("dd", note, class_="note"),
        class_="tile off" if off else "tile router",
    )
