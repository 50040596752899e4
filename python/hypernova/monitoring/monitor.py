"""`monitor`: from an artifact and a log to a report.

Not here: any test or figure (see ``sections`` and the statistics).
"""

from __future__ import annotations

import math
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova._core import Artifact, __version__
from hypernova.errors import MonitorError
from hypernova.monitoring.observations import Training, observe
from hypernova.monitoring.report import MonitorReport
from hypernova.monitoring.report_fields import VERSION, LogCounts, MonitoredArtifact
from hypernova.monitoring.sections.amounts import amounts
from hypernova.monitoring.sections.calibration import estimate_errors, iso, success_changes
from hypernova.monitoring.sections.drift import cluster_mix, novelty
from hypernova.monitoring.sections.history import history
from hypernova.monitoring.sections.routing_gain import routing_gain
from hypernova.monitoring.sections.shadow import shadow_comparisons
from hypernova.monitoring.verdict import (
    NOT_ENOUGH,
    advice,
    commands,
    divided,
    findings,
    outcomes_missing,
    verdict_of,
)
from hypernova.numeric import is_number
from hypernova.outcome_log.segments import paths_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypernova.monitoring.observations import Observations

# Of strangers more are nobody's to read.
MAX_STRANGERS = 20
# Share of decisions without an outcome above which a note warns.
MANY_OPEN = 0.5


def monitor(
    artifact: Artifact | str | os.PathLike[str],
    logs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    since: datetime | str | None = None,
    days: float | None = None,
    level: float = 0.05,
) -> MonitorReport:
    """Tell from an outcome log whether a router is still right.

    Look as often as you like, every day for instance: all intervals and alarms hold at every look
    together. While nothing is wrong, the verdict is ever another than *Keep* or *Not enough
    outcomes* with a probability of at most ``level``. That holds for the whole log, and for a
    window that was chosen before anything was seen; a window chosen after a look can show anything.

    Estimates, gain and costs are judged by decisions of the artifact itself, since recalibrating
    mended those of its ancestors; mix and novelty by decisions of both. Decisions of any other
    artifact are counted and named. An artifact is identified by its sha256, not by its file name.

    Args:
        artifact: An artifact, or the path of one.
        logs: A folder of segments, a segment, or several of either.
        since: Time of the earliest decision that counts, with its zone; text is ISO 8601, and a
            day alone begins in UTC.
        days: Length of the window that counts, back from the latest decision.
        level: Chance of ever a false alarm, of all tests together; above 0 and below 1.

    Returns:
        The verdict and all figures.

    Raises:
        TypeError: ``logs`` is neither a path nor several.
        NotFoundError: There is no such artifact, file or folder.
        ArtifactError: The file is no valid artifact.
        OutcomeLogError: A file cannot be read, or two are copies of one segment.
        MonitorError: An option is out of range.

    Example:
        >>> import hypernova
        >>> report = hypernova.monitor("router.hnv", "outcomes/")  # doctest: +SKIP
        >>> print(report.verdict)  # doctest: +SKIP
        Keep: success is 78.1% where 77.6% was predicted, over 4,210 outcomes; ...
    """
    if not (is_number(level) and 0.0 < level < 1.0):
        raise MonitorError(f"level is {level!r}; expected a number above 0 and below 1")
    if days is not None and not (is_number(days) and 0.0 < days < math.inf):
        raise MonitorError(f"days is {days!r}; expected a number above 0")
    start = None if since is None else _timestamp(since)
    path = artifact.path if isinstance(artifact, Artifact) else artifact
    if not isinstance(artifact, Artifact):
        artifact = Artifact.open(Path(artifact))
    paths = paths_of(logs)
    seen = observe(artifact, paths, since=start, days=days)
    report = _report(
        artifact,
        seen,
        level,
        None if path is None else os.fspath(path),
        [os.fsdecode(each) for each in paths],
    )
    # As its JSON gives it, so that both are equal.
    return MonitorReport.from_dict(report.to_dict())


def _timestamp(since: datetime | str) -> float:
    moment: object = since
    if isinstance(since, str):
        try:
            # A day alone, without a zone, is meant as one of the log, which is in UTC.
            day = len(since) == len("2026-11-26")
            moment = datetime.fromisoformat(f"{since}T00:00:00Z" if day else since)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise MonitorError(
            f"since is {str(since)[:40]!r}; expected a day, or a time with its zone, as "
            "2026-11-26T13:42:41Z"
        )
    return moment.timestamp()


def _report(
    artifact: Artifact, seen: Observations, level: float, path: str | None, logs: list[str]
) -> MonitorReport:
    levels = divided(level)
    training = Training.of(artifact)
    own = seen.of_artifact()
    policy = artifact.policy
    has_ancestors = len(own) < len(seen.outcomes)
    gain = routing_gain(artifact, seen.outcomes, levels.gain, has_ancestors=has_ancestors)
    estimates = estimate_errors(artifact, own, training, levels.calibration)
    changes = success_changes(artifact, own, levels.changes)
    prompts = novelty(artifact, seen.decisions, levels.drift / 2.0)
    mix = cluster_mix(artifact, seen.decisions, training, levels.drift / 2.0)
    costs = amounts(artifact, own, "cost", levels.costs / 2.0)
    latencies = amounts(artifact, own, "latency", levels.costs / 2.0)
    found = findings(
        gain, prompts, mix, changes, estimates, costs, latencies,
        weighs_latency=float(policy["latency_weight"]) > 0.0,
    )  # fmt: skip
    more = outcomes_missing(estimates, levels.calibration)
    counts = _counts(seen, own_outcomes=len(own))
    action, verdict = verdict_of(found, gain, estimates, more, _no_outcomes(seen, counts))
    return MonitorReport(
        version=VERSION,
        hypernova=__version__,
        action=action,
        verdict=verdict,
        advice=advice(action, found, gain, only_strangers=bool(_only_strangers(counts))),
        commands=commands(action, found, path, logs),
        more_outcomes=more if action == NOT_ENOUGH else None,
        findings=found,
        artifact=MonitoredArtifact(
            path=path,
            sha256=artifact.sha256,
            default_model=artifact.default_model,
            models=artifact.n_models,
            clusters=artifact.n_clusters,
            ancestors=len(seen.artifacts) - 1,
        ),
        log=counts,
        levels=levels,
        gain=gain,
        estimates=estimates,
        history=history(seen.outcomes),
        changes=changes,
        novelty=prompts,
        mix=mix,
        costs=costs,
        latencies=latencies,
        shadows=shadow_comparisons(artifact, seen, levels.gain),
        notes=_notes(seen, counts),
    )


def _counts(seen: Observations, own_outcomes: int) -> LogCounts:
    decisions, outcomes, tally = seen.decisions, seen.outcomes, seen.tally
    own = int((decisions["artifact"] == 0).sum())
    ends = [*decisions["time"][-1:], *outcomes["time"][-1:]]
    skipped = tally.skipped + seen.skipped
    return LogCounts(
        lines=tally.lines,
        decisions=own,
        ancestor_decisions=len(decisions) - own,
        outcomes=own_outcomes,
        ancestor_outcomes=len(outcomes) - own_outcomes,
        open=tally.open,
        first=iso(float(decisions["time"][0])) if len(decisions) else None,
        last=iso(float(max(ends))) if ends else None,
        since=None if seen.since is None else iso(seen.since),
        strangers=dict(seen.strangers.most_common(MAX_STRANGERS)),
        answered_by_other=seen.answered_by_other,
        failed=dict(sorted(tally.failed_by_model.items())),
        skipped=dict(sorted(skipped.items())),
    )


def _only_strangers(counts: LogCounts) -> str:
    """Say that the log is of other artifacts altogether; empty if it is not."""
    if counts.decisions or counts.ancestor_decisions or not counts.strangers:
        return ""
    n, (most, of_most) = sum(counts.strangers.values()), next(iter(counts.strangers.items()))
    return (
        f"none of the log's {n:,} decisions is by this artifact or one that it was recalibrated "
        f"from; {of_most:,} are by the artifact with sha256 {most[:12]}"
    )


def _no_outcomes(seen: Observations, counts: LogCounts) -> str:
    """Say why none of the outcomes counts; empty if some do, or if there are none."""
    strangers = _only_strangers(counts)
    if strangers or counts.outcomes:
        return strangers
    if counts.ancestor_outcomes:
        return f"all {counts.ancestor_outcomes:,} are of decisions by its ancestors"
    there = seen.tally.outcomes
    if not there:
        return ""
    reasons = {
        **counts.skipped,
        "answered_by_other": counts.answered_by_other,
        "failed": sum(counts.failed.values()),
    }
    most = max(reasons, key=lambda reason: reasons[reason])
    text = {**MonitorReport.REASONS, **_UNUSED}.get(most, most)
    return f"none of the log's {there:,} outcomes counts; most often: {text}"


# Outcomes that are counted apart, as reasons.
_UNUSED = {
    "answered_by_other": "another model than the chosen one answered",
    "failed": "the request failed",
}


def _notes(seen: Observations, counts: LogCounts) -> tuple[str, ...]:
    notes = list(seen.notes)
    if counts.strangers:
        named = ", ".join(f"{sha256[:12]} ({n:,})" for sha256, n in counts.strangers.items())
        notes.append(
            "decisions by artifacts that this one was not recalibrated from are left out, by "
            f"sha256: {named}"
        )
    decided = counts.decisions + counts.ancestor_decisions
    known = counts.outcomes + counts.ancestor_outcomes
    if known and known < (1.0 - MANY_OPEN) * decided:
        notes.append(
            f"only {known:,} of {decided:,} decisions have an outcome that counts; if outcomes "
            "are missing for a reason, such as that users rate only bad answers, all figures "
            "of success are of those that are rated"
        )
    if known and seen.defaults_logged < 1.0:
        share = f"{100 * (1.0 - seen.defaults_logged):.0f}%"
        notes.append(
            f"{share} of the outcomes are of decisions that do not name their default model, as "
            "logs of hypernova 0.1 do not; it is taken to be the artifact's, allowed each time"
        )
    if counts.answered_by_other:
        notes.append(
            f"another model than the chosen one answered {counts.answered_by_other:,} times; "
            "these outcomes are counted and not used"
        )
    if counts.failed:
        notes.append(
            f"{sum(counts.failed.values()):,} requests failed and have no score; if a failure "
            "is as bad as a wrong answer, log it as a score of 0"
        )
    if counts.since is not None:
        notes.append(
            f"decisions before {counts.since} are left out; the error level holds only if that "
            "window was chosen before anything was seen"
        )
    return tuple(notes)
