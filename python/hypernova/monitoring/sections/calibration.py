"""Predicted against observed success by model and by cluster, and models whose success changed.

Not here: the tests (see ``estimate_checks`` and ``changes``). Only outcomes of decisions by the
artifact itself count: an ancestor's estimates were mended by recalibrating, with those outcomes.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from hypernova.monitoring.changes import ChangeDetector
from hypernova.monitoring.estimate_checks import EstimateCheck, e_bh
from hypernova.monitoring.report_fields import EstimateErrors, EstimateRow, SuccessChange
from hypernova.report_values import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypernova._core import Artifact
    from hypernova.monitoring.observations import Columns, Training
    from hypernova.numeric import Ints

# Estimates that are off by up to 2 points change few decisions, and a table of 500 tasks leaves as
# much: the standard error of a mean of 500 scores.
TOLERANCE = 0.02
# An estimate that is always off by up to this is no change, and one beyond is rare. Not to assume
# that estimates were right before is what keeps a fit on some 1,500 tasks from false alarms: with a
# baseline of 0 and a slack of 1.5 points they came in 7 of 12 simulated worlds.
ALWAYS_OFF = 0.05
# With it a drop of 5 points on day 120 is found a month later at 200 decisions a day, as without.
SLACK = 0.005
# Of a model whose residual was never right there is no change; calibration names it.
MIN_BEFORE = 50
MIN_CHANGE = 0.02
# The times that a date can hold, in seconds since 1970.
FIRST = datetime.min.replace(tzinfo=UTC).timestamp()
LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def estimate_errors(
    artifact: Artifact, outcomes: Columns, training: Training, level: float
) -> EstimateErrors:
    """Compare estimates with outcomes.

    Args:
        artifact: The artifact.
        outcomes: Of its own decisions.
        training: For the words of clusters.
        level: Of each interval, and of what is named as off.
    """
    k, m = artifact.n_clusters, artifact.n_models
    predicted = outcomes["success"].astype(np.float64)
    observed = outcomes["score"].astype(np.float64)

    def check(groups: Ints, n: int) -> EstimateCheck:
        made = EstimateCheck(n, tolerance=TOLERANCE)
        made.add(groups, predicted, observed)
        return made

    by_model = check(outcomes["model"], m)
    by_cluster = check(outcomes["row"], k + 1)
    overall = check(np.zeros(len(outcomes), np.int64), 1)
    # Together: a model and the cluster that it is taken in tell much the same story.
    off = e_bh(np.concatenate([by_model.log_e, by_cluster.log_e]), level)
    names = [*(f"cluster {c}" for c in range(k)), "novel prompts"]
    return EstimateErrors(
        tolerance=TOLERANCE,
        overall=_rows(overall, ["all outcomes"], [()], [False], level)[0],
        models=_rows(by_model, artifact.models, [()] * m, off[:m], level),
        clusters=_rows(
            by_cluster, names, [*(tuple(words) for words in training.words), ()], off[m:], level
        ),
    )


def _rows(
    check: EstimateCheck,
    names: Sequence[str],
    words: Sequence[Sequence[str]],
    off: Sequence[bool] | NDArray[np.bool_],
    level: float,
) -> tuple[EstimateRow, ...]:
    """Make a row of each group with outcomes, the most frequent first; a single one always."""
    low, high = check.intervals(level)
    n, predicted, observed = check.n, check.predicted, check.observed
    order = sorted(range(len(names)), key=lambda at: (-n[at], at))
    return tuple(
        EstimateRow(
            name=names[at],
            words=tuple(words[at]),
            n=int(n[at]),
            predicted=_number(predicted[at]),
            observed=_number(observed[at]),
            ci=Interval(float(low[at]), float(high[at])),
            off=bool(off[at]),
        )
        for at in order
        if n[at] or len(names) == 1
    )


def success_changes(
    artifact: Artifact, outcomes: Columns, level: float
) -> tuple[SuccessChange, ...]:
    """Find the models whose success changed against their estimates, the largest change first.

    Args:
        artifact: The artifact.
        outcomes: Of its own decisions.
        level: Chance of a false alarm, for all models together.
    """
    found = []
    for model, name in enumerate(artifact.models):
        rows = outcomes.where(outcomes["model"] == model)
        if not len(rows):
            continue
        detector = ChangeDetector(
            baseline=0.0,
            baseline_error=ALWAYS_OFF,
            slack=SLACK,
            level=level / artifact.n_models,
            low=-1.0,
            high=1.0,
        )
        detector.add(rows["score"].astype(float) - rows["success"], rows["time"])
        change = detector.change()
        if change is None:
            continue
        before, after = change.before, change.after
        # Of a model that was off all the time there is no change: calibration names it.
        if before.n < MIN_BEFORE or abs(after.mean - before.mean) < MIN_CHANGE:
            continue
        found.append(
            SuccessChange(
                model=name,
                is_default=name == artifact.default_model,
                since=iso(change.since),
                found=iso(change.found_at),
                before=before.mean,
                after=after.mean,
                ci_after=Interval(after.low, after.high),
                n_before=before.n,
                n_after=after.n,
            )
        )
    return tuple(sorted(found, key=lambda change: -abs(change.points)))


def iso(time: float) -> str:
    """Write a time as ISO 8601 in UTC, to the second, within the years 1 to 9999."""
    within = min(max(time, FIRST), LAST)
    return datetime.fromtimestamp(within, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
