"""Measure how often monitoring cries wolf in a year of daily looks, and how late it sees a drop.

Not here: logs and files; a world gives the columns that reading its log would give.

A world has kinds of prompts, models with a success on each kind, and prompts that lie between two
kinds. Its artifact is fitted on vectors of these kinds; the estimates that its decisions log are
the truth, blended for the prompt, or with errors as a table of 1,500 tasks leaves them. In half of
the worlds nothing changes for a year. In the others the default model loses five points on day 120.

    python -m benches.monitoring_worlds [--rates 20 200 2000] [--worlds N] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from benches.record import processor, source_state, write_page

import hypernova
from hypernova.monitoring.estimate_checks import EstimateCheck, e_bh
from hypernova.monitoring.gains import GainSequence
from hypernova.monitoring.monitor import _report as report_of
from hypernova.monitoring.observations import Columns, Observations, Training
from hypernova.monitoring.sections.calibration import TOLERANCE, success_changes
from hypernova.monitoring.verdict import divided
from hypernova.outcome_log import LogTally

DAYS, DROP_DAY, DROP = 365, 120, 0.05
KINDS, MODELS, TASKS = 12, 5, 1500
EXPLORE = (0.05, 0.1)
# Standard error of a kind's estimate of a model, and of the model's over all kinds.
ERRORS = {"exact": 0.0, "fitted": math.sqrt(0.2 / (TASKS / KINDS))}
LEVEL = 0.05
DAY_S = 86_400.0


@cache
def fitted() -> tuple[hypernova.Artifact, np.ndarray]:
    """Fit an artifact on vectors around `KINDS` places, and give the shares of its clusters."""
    rng = np.random.default_rng(0)
    kind = np.arange(TASKS) % KINDS
    vectors = np.eye(16)[kind] + 0.05 * rng.normal(size=(TASKS, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    success = np.array([0.75, 0.7, 0.7, 0.65, 0.6])
    table = hypernova.OutcomeTable.from_arrays(
        task_ids=[f"t{i}" for i in range(TASKS)],
        prompts=[f"prompt {i}" for i in range(TASKS)],
        models=[f"m{j}" for j in range(MODELS)],
        score=(rng.random((TASKS, MODELS)) < success).astype(float),
        embedding=vectors,
    )
    artifact = hypernova.fit(table, clusters=KINDS)
    assert artifact.n_clusters == KINDS
    assert artifact.default_model == "m0"
    sizes = Training.of(artifact).sizes
    return artifact, sizes / sizes.sum()


@dataclass
class Year:
    """All decisions of a world's year, in order, with their truth.

    Attributes:
        columns: Those of a log's outcomes.
        residual: Mean residual of each decision by the truth.
        gain: Mean gain over the default model of each decision, by the truth.
        ends: Number of decisions by the end of each day.
        explore: Share of decisions whose model is drawn.
        drop: Whether the default model lost five points.
    """

    columns: Columns
    residual: np.ndarray
    gain: np.ndarray
    ends: np.ndarray
    explore: float
    drop: bool


def simulate(rate: int, explore: float, error: float, *, drop: bool, seed: int) -> Year:
    """Draw the decisions and outcomes of a year; exact at any rate for the same seed and world."""
    rng = np.random.default_rng([seed, rate, round(1000 * explore), round(1000 * error), drop])
    _, shares = fitted()
    hardness = rng.normal(0, 0.12, (KINDS, 1))
    level = rng.normal(0, 0.03, MODELS)
    level[level.argmax()] += 0.03  # a default model that is chosen for about half of the prompts
    truth = 0.68 + level + hardness + rng.normal(0, 0.04, (KINDS, MODELS))
    truth = np.clip(truth, 0.08, 0.97)
    estimate = np.clip(truth + rng.normal(0, 1, truth.shape) * error, 0.02, 0.98)
    # The first model is the default: the best by the estimates.
    best = int((shares @ estimate).argmax())
    order = [best, *(j for j in range(MODELS) if j != best)]
    truth, estimate = truth[:, order], estimate[:, order]
    n = rate * DAYS
    kind, other = rng.choice(KINDS, (2, n), p=shares)
    part = rng.uniform(0.5, 1.0, (n, 1))
    success = part * estimate[kind] + (1 - part) * estimate[other]
    chosen = np.where(success.max(axis=1) > success[:, 0] + 0.01, success.argmax(axis=1), 0)
    explored = rng.random(n) < explore
    model = np.where(explored, rng.integers(0, MODELS, n), chosen)
    rows = np.arange(n)
    real = part * truth[kind] + (1 - part) * truth[other]
    day = np.repeat(np.arange(DAYS), rate)
    if drop:
        real[:, 0] -= np.where(day >= DROP_DAY, DROP, 0.0)
    routed = (1 - explore) * real[rows, chosen] + explore * real.mean(axis=1)
    taken = model != chosen
    time_s = (rows + rng.random(n)) / rate * DAY_S
    ratio = rng.gamma(4.0, 0.25, (2, n))
    values: dict[str, Any] = {
        "time": time_s, "decided": time_s, "artifact": np.zeros(n, np.int16),
        "model": model.astype(np.int16), "row": kind.astype(np.int32),
        "propensity": np.where(taken, 0.0, 1 - explore) + explore / MODELS,
        "success": success[rows, model], "score": (rng.random(n) < real[rows, model]) * 1.0,
        "cost": ratio[0] * 0.001, "latency": ratio[1], "expected_cost": np.full(n, 0.001),
        "expected_latency": np.ones(n), "default": np.zeros(n, np.int16),
        "default_success": success[:, 0], "candidates": np.full(n, MODELS, np.int32),
        "explored": taken.astype(np.int8), "fallback": np.zeros(n, np.int8),
        "shadow": np.full(n, -1, np.int16), "shadow_model": np.full(n, -1, np.int16),
        "shadow_success": np.full(n, np.nan), "cluster": kind.astype(np.int32),
        "novelty": rng.random(n), "named": np.zeros(n, np.int8),
        "shadow_cost": np.full(n, np.nan),
    }  # fmt: skip
    return Year(
        Columns(values),
        residual=real[rows, model] - success[rows, model],
        gain=routed - real[:, 0],
        ends=rate * np.arange(1, DAYS + 1),
        explore=explore,
        drop=drop,
    )


@dataclass
class Looks:
    """Daily looks at one world for a year; days count from 0, None where a thing never was.

    Attributes:
        rate: Decisions a day.
        kind: Key of `ERRORS`.
        explore: Share of decisions whose model is drawn.
        drop: Whether the default model lost five points.
        default_share: Share of the decisions that took it.
        true_gain: Over it, mean of the year.
        named: Days on which a model or a cluster was named as off, though right on average.
        default_named: Day on which the default model first was named, rightly or not.
        changes: Day of the alarm of each model with one, as the command reports it.
        outcomes: Of the default model, from its drop to the alarm.
        decisions: Of all models, likewise.
        start_error: Days from the drop to the start that the alarm states.
        gain_wrong: Days on which the interval did not hold the gain.
        gain_told: Day on which it first left 0.
        verdicts: The command's action at some looks, by day.
        findings: Kinds of findings that were ever false at those looks.
    """

    rate: int
    kind: str
    explore: float
    drop: bool
    default_share: float = 0.0
    true_gain: float = 0.0
    named: int = 0
    default_named: int | None = None
    changes: dict[int, int] = field(default_factory=dict)
    outcomes: int | None = None
    decisions: int | None = None
    start_error: float | None = None
    gain_wrong: int = 0
    gain_told: int | None = None
    verdicts: dict[int, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def watch(year: Year, looks: Looks) -> None:
    """Look at a year every day, with the statistics and settings of the command."""
    levels = divided(LEVEL)
    looks.default_share = float((year.columns["model"] == 0).mean())
    looks.true_gain = float(year.gain.mean())
    watch_changes(year, levels.changes, looks)
    watch_estimates(year, levels.calibration, looks)
    watch_gain(year, levels.gain, looks)


def watch_changes(year: Year, level: float, looks: Looks) -> None:
    """Find changes as the command does; an alarm tells its day, so that one look is as good."""
    artifact, rows = fitted()[0], year.columns
    for change in success_changes(artifact, rows, level):
        found_at, model = seconds(change.found), artifact.models.index(change.model)
        day = looks.changes[model] = int(found_at // DAY_S)
        if model == 0 and year.drop and day >= DROP_DAY:
            start = DROP_DAY * DAY_S
            looks.start_error = seconds(change.since) / DAY_S - DROP_DAY
            times = rows["time"]
            looks.outcomes = count_between(times[rows["model"] == 0], start, found_at)
            looks.decisions = count_between(times, start, found_at)


def seconds(time: str) -> float:
    return datetime.datetime.fromisoformat(time).timestamp()


def count_between(times: np.ndarray, start: float, end: float) -> int:
    return int(np.searchsorted(times, end, side="right") - np.searchsorted(times, start))


def watch_estimates(year: Year, level: float, looks: Looks) -> None:
    """Count the days on which a group is named whose residuals are within the tolerance."""
    rows = year.columns
    checks = [EstimateCheck(n, tolerance=TOLERANCE) for n in (MODELS, KINDS + 1)]
    columns = [rows["model"].astype(int), rows["row"].astype(int)]
    # Of each group: the sum of the true mean residuals so far.
    truth = [np.zeros(MODELS), np.zeros(KINDS + 1)]
    start = 0
    for day, end in enumerate(year.ends):
        here = slice(start, end)
        for check, groups, total in zip(checks, columns, truth, strict=True):
            check.add(groups[here], rows["success"][here], rows["score"][here])
            total += np.bincount(groups[here], year.residual[here], len(total))
        start = end
        off = e_bh(np.concatenate([check.log_e for check in checks]), level)
        n = np.maximum(np.concatenate([check.n for check in checks]), 1)
        right = np.abs(np.concatenate(truth)) / n <= TOLERANCE
        looks.named += bool((off & right).any())
        if off[0] and looks.default_named is None:
            looks.default_named = day


def watch_gain(year: Year, level: float, looks: Looks) -> None:
    """Count the days on which the interval does not hold the mean gain so far."""
    rows = year.columns
    sequence = GainSequence(level=level, max_weight=MODELS / year.explore)
    true = np.cumsum(year.gain) / np.arange(1, len(year.gain) + 1)
    start = 0
    for day, end in enumerate(year.ends):
        here = slice(start, end)
        sequence.add(
            rows["score"][here],
            rows["propensity"][here],
            rows["model"][here] == 0,
            rows["default_success"][here],
        )
        start, figure = end, sequence.figure()
        looks.gain_wrong += not figure.low <= true[end - 1] <= figure.high
        if looks.gain_told is None and not figure.low <= 0 <= figure.high:
            looks.gain_told = day


def watch_verdicts(year: Year, step: int, looks: Looks) -> None:
    """Take the command's own report at every ``step``-th day, and its false findings.

    That estimates are off may be true, and is counted by `watch_estimates`; that something changed,
    or that routing loses where it gains, is false in a world without a change.
    """
    artifact = fitted()[0]
    false = {"mix", "novelty", "change", "cost", "latency"}
    if looks.kind == "exact":
        false |= {"calibration"}
    if year.gain.mean() >= 0:
        false |= {"gain"}
    found: set[str] = set()
    for day in range(step - 1, DAYS, step):
        rows = Columns({name: v[: year.ends[day]] for name, v in year.columns.values.items()})
        seen = Observations(
            decisions=rows,
            outcomes=rows,
            models=list(artifact.models),
            artifacts=[artifact.sha256],
            shadows=[],
            strangers=Counter(),
            answered_by_other=0,
            tally=LogTally(lines=2 * len(rows), decisions=len(rows), outcomes=len(rows)),
            skipped=Counter(),
            notes=[],
            defaults_logged=1.0,
            since=None,
        )
        report = report_of(artifact, seen, LEVEL, None, [])
        looks.verdicts[day] = report.action
        found |= {each.kind for each in report.findings} & false
    looks.findings = sorted(found)


def run(arguments: argparse.Namespace) -> list[Looks]:
    """Run all worlds; each combination of `ERRORS` and `EXPLORE` in turn."""
    kinds = [(kind, explore) for explore in EXPLORE for kind in ERRORS]
    done = []
    for rate in arguments.rates:
        for drop, worlds in ((False, arguments.worlds), (True, arguments.drops)):
            for seed in range(worlds):
                kind, explore = kinds[seed % len(kinds)]
                year = simulate(rate, explore, ERRORS[kind], drop=drop, seed=seed)
                looks = Looks(rate, kind, explore, drop)
                watch(year, looks)
                # The command reads the whole log at each look: few of them where it is long.
                if not drop and seed < arguments.verdicts * (1 if rate > 500 else 5):
                    watch_verdicts(year, 1 if seed < 1 and rate < 50 else 30, looks)
                done.append(looks)
        print(f"{rate} decisions a day: {time.process_time():.0f} s", file=sys.stderr, flush=True)
    return done


def middle(values: list[float], part: float = 0.5) -> str:
    return f"{np.quantile(values, part):,.0f}" if values else "-"


def tables(done: list[Looks]) -> list[str]:
    """Write the figures of all worlds as tables."""
    lines = [
        "## A year without a change",
        "",
        "| decisions a day | errors | worlds | false alarm of a change | right and named as off "
        "| gain outside its interval, at any look | worlds with the command's verdicts | of them "
        "ever with a false finding | gain told from 0 |",
        "| ---: | --- |" + " ---: |" * 7,
    ]
    still = [each for each in done if not each.drop]
    keys = sorted({(each.rate, each.kind) for each in still})
    for rate, kind in [*keys, (0, "all")]:
        here = [each for each in still if kind == "all" or (each.rate, each.kind) == (rate, kind)]
        read = [each for each in here if each.verdicts]
        lines.append(
            f"| {rate or 'all'} | {kind} | {len(here)} "
            f"| {sum(bool(each.changes) for each in here)} "
            f"| {sum(each.named > 0 for each in here)} "
            f"| {sum(each.gain_wrong > 0 for each in here)} "
            f"| {len(read)} | {sum(bool(each.findings) for each in read)} "
            f"| {sum(each.gain_told is not None for each in here)} |"
        )
    lines += [
        "",
        f"## The default model loses {100 * DROP:.0f} points on day {DROP_DAY}",
        "",
        "| decisions a day | errors | worlds | found in the year | or named as off "
        "| days to the alarm, median and 90% | decisions | outcomes of the default model "
        "| start off by, days | gain outside |",
        "| ---: | --- |" + " ---: |" * 8,
    ]
    dropped = [each for each in done if each.drop]
    for rate, kind in sorted({(each.rate, each.kind) for each in dropped}):
        here = [each for each in dropped if (each.rate, each.kind) == (rate, kind)]
        found = [each for each in here if each.decisions is not None]
        days = [each.changes[0] - DROP_DAY + 1 for each in found]
        known = [each for each in here if each in found or each.default_named is not None]
        lines.append(
            f"| {rate} | {kind} | {len(here)} | {len(found)} | {len(known)} "
            f"| {middle(days)} / {middle(days, 0.9)} "
            f"| {middle([each.decisions for each in found])} "
            f"| {middle([each.outcomes for each in found])} "
            f"| {middle([abs(each.start_error) for each in found])} "
            f"| {sum(each.gain_wrong > 0 for each in here)} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=int, nargs="+", default=[20, 200, 2000])
    parser.add_argument("--worlds", type=int, default=40, help="without a change, of each rate")
    parser.add_argument("--drops", type=int, default=20, help="with a drop, of each rate")
    parser.add_argument("--verdicts", type=int, default=3, help="worlds with reports")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    done = run(arguments)
    commit, changed = source_state()
    share = np.mean([each.default_share for each in done])
    record = [
        f"# Monitoring in simulated worlds, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, uncommitted changes: {changed}, "
        f"{time.process_time() / 60:.1f} minutes of one core. Each world is a service for a year, "
        f"with {KINDS} kinds of prompts, {MODELS} models and exploration of "
        f"{' or '.join(map(str, EXPLORE))}; its default model takes {100 * share:.0f}% of the "
        f"prompts. Estimates are *exact*, or have the errors of a *fitted* table of {TASKS:,} "
        f"tasks. All tests share an error level of {LEVEL}, looked at every day; the command's own "
        "report is taken every 30 days, and daily in one world. *Gain told*: worlds in which the "
        "interval left 0. `python -m benches.monitoring_worlds`.",
        "",
        *tables(done),
        "",
    ]
    print("\n".join(record))
    write_page(record, arguments.output, commit, "monitoring-worlds")
    if arguments.output is not None:
        path = arguments.output / f"{datetime.date.today()}-{commit}-monitoring-worlds.json"
        worlds = [asdict(each) for each in done]
        path.write_text(json.dumps({"level": LEVEL, "worlds": worlds}) + "\n", encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
