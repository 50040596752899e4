"""From the decisions of all parts to the dict that a report holds.

Not here: how a figure or an interval is computed (see ``figures``), or what is said of
them in a sentence (see ``verdict``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hypernova._core import Artifact, __version__
from hypernova.artifact.decisions import success_at_centroids
from hypernova.evaluation.baselines import (
    Values,
    group_oracle,
    mixed_values,
    oracle,
    random_choice,
    taken_values,
)
from hypernova.evaluation.figures import Figures, complementarity, rounded
from hypernova.evaluation.intervals import DRAWS
from hypernova.evaluation.protocol import seed_of, test_to_train
from hypernova.evaluation.verdict import Point, points, tasks_to_decide, verdict
from hypernova.training.clustering.describe import describe
from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova.evaluation.protocol import Decided, Part, Whole
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

VERSION = 1
# Standard errors to either side of an estimate, for 95%.
NORMAL_95 = 1.96
# Below this a percentile interval is known to be too narrow, the more so the fewer.
FEW_PROMPTS = 50


@dataclass(frozen=True)
class Trial:
    """What was asked, on what, and everything that was decided.

    Attributes:
        table: Outcomes; each task has one at least.
        vectors: float32 (tasks, dim).
        prompts: (tasks,) the same number for tasks with the same prompt, from 0.
        groups: (tasks,) group numbers, -1 where a task has none.
        group_names: Of the numbers.
        folds: Number of folds.
        repeats: How often the tasks were dealt into folds.
        seed: Of all.
        clusters: As asked for.
        embedder: Its identity.
        cost_weights: Rising, from 0; empty where no cost is known.
        whole: Learned from all tasks.
        parts: Folds of all repeats.
        decided: For each of ``parts``.
        left_out: Groups that were held out.
        left_out_decided: For each of ``left_out``.
        notes: What is to be said besides.
        texts: (tasks,) what of each prompt was embedded.
        shared_text: What prompts share, and what is at stake; None if there is nothing to say.
        alike_prompts: Which prompts have one vector; None if there is nothing to say.
    """

    table: OutcomeTable
    vectors: Floats
    prompts: Ints
    groups: Ints
    group_names: list[str]
    folds: int
    repeats: int
    seed: int
    clusters: int | Literal["auto"]
    embedder: Mapping[str, object]
    cost_weights: Sequence[float]
    whole: Whole
    parts: Sequence[Part]
    decided: Sequence[Decided]
    left_out: Sequence[Part]
    left_out_decided: Sequence[Decided]
    notes: list[str]
    texts: Sequence[str]
    shared_text: dict[str, Any] | None
    alike_prompts: dict[str, Any] | None


def compose(trial: Trial) -> dict[str, Any]:
    """Compute all figures; the dict is JSON-able, docs/evaluation.md lists its fields."""
    table, models = trial.table, trial.table.models
    artifact = Artifact.from_bytes(trial.whole.artifact)
    hindsight = trial.whole.single
    taken = _fill(trial, [d.taken for d in trial.decided])
    figures = _figures(trial, artifact, taken)

    gain = figures.gain("held_out", "best_single")
    over_shuffled = figures.gain("held_out", "shuffled_clusters")
    pareto = [
        Point(weight, figures.figure(f"weight {i}"), figures.gain(f"weight {i}", "best_single"))
        for i, weight in enumerate(trial.cost_weights)
    ]
    rows = _models(figures, models, taken)
    singles = Counter(decided.single for decided in trial.decided)
    single = min(singles, key=lambda m: (-singles[m], m))
    report: dict[str, Any] = {
        "version": VERSION,
        "hypernova": __version__,
        "dataset": _dataset(trial),
        "protocol": _protocol(trial),
        "in_sample": {
            **figures.figure("in_sample"),
            "label": "in-sample: rates and test are the same tasks; says nothing about new ones",
        },
        "held_out": figures.figure("held_out"),
        "best_single": figures.figure("best_single"),
        "best_single_hindsight": {
            **figures.figure(f"model {hindsight}"),
            "model": models[hindsight],
        },
        **{
            name: figures.figure(name) if name in figures else None
            for name in (
                "random",
                "group_oracle",
                "oracle",
                "shuffled_clusters",
                "cost_matched_mix",
            )
        },
        "gain": gain,
        "shared_text": trial.shared_text,
        "alike_prompts": trial.alike_prompts,
        "gain_over_shuffled": {key: over_shuffled[key] for key in ("mean", "ci95", "tasks")},
        "pareto": [
            {
                "cost_weight": point.cost_weight,
                **{key: point.figure[key] for key in ("accuracy", "ci95", "cost_usd")},
            }
            for point in pareto
        ],
        "models": rows,
        "groups": figures.by_group("held_out", "best_single"),
        "leave_one_group_out": _leave_one_group_out(trial, figures) if trial.left_out else None,
        "complementarity": complementarity(table.score, models, hindsight),
        "settings": _settings(trial.decided),
        "clusters": _clusters(trial, artifact),
        "verdict": verdict(gain, over_shuffled, models[single], pareto, rows),
    }
    unscored = figures.unscored("held_out")
    report["notes"] = [*trial.notes, *_notes(trial, report, singles, unscored)]
    plain: dict[str, Any] = rounded(report)
    return plain


def _fill(
    trial: Trial, values: Sequence[Any], empty: float = -1, parts: Sequence[Part] | None = None
) -> Any:
    """Put the values of each part into rows of all tasks, (repeats, tasks)."""
    parts = trial.parts if parts is None else parts
    rows = max(part.row for part in parts) + 1
    filled = np.full((rows, trial.table.n_tasks), empty)
    for part, value in zip(parts, values, strict=True):
        filled[part.row, part.test] = value
    return filled


def _shuffled(trial: Trial) -> Values:
    """The expectation over the shuffles of each part."""
    each = [
        taken_values(trial.table, _fill(trial, [d.shuffled[i] for d in trial.decided]))
        for i in range(len(trial.decided[0].shuffled))
    ]
    return Values(
        mean_known(np.stack([values.score for values in each])),
        mean_known(np.stack([values.cost for values in each])),
    )


def _figures(trial: Trial, artifact: Artifact, taken: Ints) -> Figures:
    table, decided = trial.table, trial.decided
    figures = Figures(trial.prompts, trial.groups, trial.group_names, seed_of(trial.seed, 3))

    def add(name: str, models: Ints) -> None:
        figures.add(name, taken_values(table, models))

    add("held_out", taken)
    add("best_single", _fill(trial, [d.single for d in decided]))
    figures.add("shuffled_clusters", _shuffled(trial))
    add("in_sample", artifact.decide_many(trial.vectors).model_indices[None])
    overlap = test_to_train(trial.parts)
    figures.pair("held_out", "best_single", overlap)
    figures.pair("held_out", "shuffled_clusters", overlap)
    figures.add("random", random_choice(table))
    figures.add("oracle", oracle(table))
    if trial.group_names:
        figures.add("group_oracle", group_oracle(table, trial.groups))
    mixes = [d.mix for d in decided]
    if any(mixes):
        figures.add(
            "cost_matched_mix",
            mixed_values(
                table,
                _fill(trial, [-1 if mix is None else mix.cheap for mix in mixes]),
                _fill(trial, [-1 if mix is None else mix.dear for mix in mixes]),
                _fill(trial, [0.0 if mix is None else mix.share for mix in mixes], 0.0),
            ),
        )
    for m in range(table.n_models):
        figures.add(f"model {m}", Values(table.score[:, m][None], table.cost_usd[:, m][None]))
    for i in range(len(trial.cost_weights)):
        add(f"weight {i}", _fill(trial, [d.by_weight[i] for d in decided]))
        figures.pair(f"weight {i}", "best_single", overlap)
    if trial.left_out:
        decided = trial.left_out_decided
        add("left out", _fill(trial, [d.taken for d in decided], parts=trial.left_out))
        add(
            "left out, best single", _fill(trial, [d.single for d in decided], parts=trial.left_out)
        )
        figures.pair("left out", "left out, best single", test_to_train(trial.left_out))
    figures.draw()
    return figures


def _dataset(trial: Trial) -> dict[str, Any]:
    table = trial.table
    outcomes = int((~np.isnan(table.score)).sum())
    return {
        "name": table.name,
        "tasks": table.n_tasks,
        "different_prompts": int(trial.prompts.max()) + 1,
        "models": list(table.models),
        "groups": len(trial.group_names),
        "outcomes": outcomes,
        "density": outcomes / table.score.size,
        "costs": int((~np.isnan(table.cost_usd)).sum()) / outcomes,
    }


def _protocol(trial: Trial) -> dict[str, Any]:
    return {
        "folds": trial.folds,
        "repeats": trial.repeats,
        "seed": trial.seed,
        "embedder": dict(trial.embedder),
        "clusters": trial.clusters,
        "bootstrap": DRAWS,
        "text": (
            f"{trial.folds} folds, dealt {_times(trial.repeats)}, equal prompts in one fold; "
            "clusters, rates, settings and the best single model are chosen inside the training "
            "part of each fold; intervals are 95% percentile intervals of a bootstrap over "
            f"prompts and repeats with {DRAWS:,} draws, those of gains widened for the training "
            "parts that folds share."
        ),
    }


def _models(figures: Figures, models: tuple[str, ...], taken: Ints) -> list[dict[str, Any]]:
    share = np.bincount(taken.ravel(), minlength=len(models)) / taken.size
    rows = []
    for m, model in enumerate(models):
        figure = figures.figure(f"model {m}")
        del figure["macro"]
        rows.append({"model": model, **figure, "taken": share[m]})
    return rows


def _leave_one_group_out(trial: Trial, figures: Figures) -> dict[str, Any]:
    ours, theirs = "left out", "left out, best single"
    novel = _fill(trial, [d.novel for d in trial.left_out_decided], np.nan, trial.left_out)[0]
    rows = figures.by_group(ours, theirs, novel)
    return {
        "held_out": figures.figure(ours),
        "best_single": figures.figure(theirs),
        "gain": figures.gain(ours, theirs),
        "novel": np.nanmean(novel),
        "groups": [row for row in rows if not np.isnan(row["novel"])],
    }


def _settings(decided: Sequence[Decided]) -> list[dict[str, Any]]:
    times = Counter(tuple(d.setting.items()) for d in decided)
    # Equal counts in the order of the settings, so that jobs and dicts change nothing.
    order = sorted(times, key=lambda setting: (-times[setting], repr(setting)))
    return [{**dict(setting), "times": times[setting]} for setting in order]


def _clusters(trial: Trial, artifact: Artifact) -> list[dict[str, Any]]:
    """The clusters of the artifact that was learned from all tasks: in-sample."""
    nearest = artifact.decide_many(trial.vectors).clusters
    described = describe(trial.texts, trial.vectors, artifact.centroids, nearest)
    n, mean, cost = artifact.counts, artifact.mean, artifact.cost
    success = success_at_centroids(artifact)
    reach = NORMAL_95 * artifact.standard_error
    rows: list[dict[str, Any]] = []
    for c, decision in enumerate(artifact.decide_many(artifact.centroids)):
        cells = [
            {
                "model": model,
                "n": n[c, m],
                "mean": mean[c, m] if n[c, m] else None,
                "success": success[c, m],
                "ci95": np.clip([success[c, m] - reach[c, m], success[c, m] + reach[c, m]], 0, 1),
                "cost_usd": cost[c, m],
            }
            for m, model in enumerate(artifact.models)
        ]
        rows.append(
            {
                "cluster": c,
                "tasks": int((nearest == c).sum()),
                "words": described[c].words,
                "prompts": described[c].prompts,
                "decision": decision.model,
                "reason": decision.reason,
                "cells": cells,
            }
        )
    return rows


def _notes(
    trial: Trial, report: Mapping[str, Any], singles: Counter[int], unscored: float
) -> list[str]:
    """Say what could not be said and why, and what is odd."""
    table, models = trial.table, trial.table.models
    known = ~np.isnan(table.score)
    found: list[str] = []
    different = report["dataset"]["different_prompts"]
    if different < FEW_PROMPTS:
        found.append(f"Only {different} different prompts: intervals of so few are too narrow.")
    if np.ptp(table.score[known]) == 0:
        found.append("All scores are equal: no model can be better than another here.")
    if (known.sum(axis=1) < 2).all():
        found.append(
            "No task has outcomes of two models: which is better on the same task cannot be "
            "said; run the models on the same tasks."
        )
    seldom = [models[m] for m in np.flatnonzero(2 * known.sum(axis=0) < known.sum(axis=0).max())]
    if seldom:
        found.append(
            f"Tried less than half as often as the most tried model, so their rates are rough: "
            f"{', '.join(seldom)}."
        )
    if unscored > 0:
        found.append(
            f"The router took a model without an outcome in {_percent(unscored)} of the held-out "
            "decisions; those are not scored."
        )
    if len(singles) > 1:
        shares = ", ".join(
            f"{models[m]} in {_percent(times / singles.total())}"
            for m, times in singles.most_common()
        )
        found.append(f"The best single model differs among folds: {shares}.")
    if not trial.cost_weights:
        found.append("No cost above zero is known: nothing is said about cost.")
    elif report["dataset"]["costs"] < 1:
        found.append(
            f"Costs are known for {_percent(report['dataset']['costs'])} of the outcomes; figures "
            "on cost are of those, and unknown is not counted as zero."
        )
    if not trial.group_names:
        found.append("The table names no groups: no mean over groups, no best model per group.")
    tasks = tasks_to_decide(report["gain"])
    if tasks is not None:
        found.append(
            f"If the gain is what it seems, about {tasks:,} tasks would have an even chance to "
            "prove it."
        )
    left_out = report["leave_one_group_out"]
    if left_out and left_out["gain"]["ci95"] and left_out["gain"]["ci95"][1] < 0:
        found.append(
            "On groups never seen routing loses "
            f"{points(-left_out['gain']['mean']).lstrip('+')} points to the best single model; "
            f"{_percent(left_out['novel'])} of their prompts were taken for novel."
        )
    accuracy = report["held_out"]["accuracy"]
    if report["gain"]["ci95"] and report["gain"]["ci95"][0] > 0:
        for name, meaning in (
            ("shuffled_clusters", "a router that learned from shuffled prompts"),
            ("cost_matched_mix", "a random mix of two models at the same cost"),
        ):
            if report[name] and report[name]["accuracy"] >= accuracy:
                found.append(
                    f"Odd: {meaning} is as accurate as the router; the gain over the best single "
                    "model may not come from the prompts."
                )
    return found


def _percent(share: float) -> str:
    return "less than 1%" if 0 < share < 0.01 else f"{100 * share:.0f}%"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
