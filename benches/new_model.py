"""Compare ways in which a model joins by few scored prompts with the full fit, held out.

Not here: the cost of the prompts. Each model of the table is left out in turn; the rest is fitted,
the model joins by n of its outcomes on the training part, and the test part is routed. All ways
see the same folds and, where prompts are drawn at random, the same prompts.

    python -m benches.new_model DATA [--embedder static] [--folds 5] [--draws 2] [--record FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from benches.paths import ROOT
from benches.record import output_of, processor

import hypernova
from hypernova.artifact.profile import ModelColumns, rebuild
from hypernova.embedder import Embedder
from hypernova.evaluation.protocol import fold_splits
from hypernova.training.estimates.linear_correction import Coordinates, fit_ridges
from hypernova.training.estimates.outcome_sums import sum_products
from hypernova.training.model_pool import next_prompts
from hypernova.training.model_pool.add import estimate_new_model, outcomes_of
from hypernova.training.model_pool.prior import LocatedPrompts, Prior
from hypernova.training.trainer import learn

PROMPTS = (25, 50, 100, 200)
# `next_prompts` proposes batches, each with the outcomes of those before.
BATCH = 25
# Weight of the ridge regression of "own ridge".
RIDGE_WEIGHT = 60.0
# As `fit` chooses, and with a guard of some standard errors.
SETTINGS: dict[str, float | None] = {"as fitted": None, "unguarded": 0.0, "guarded": 1.0}
WAYS = {
    "overall": "its overall rate, leaning on everyone's with 20 outcomes; no linear correction",
    "level": "the mean of the others in each cluster, shifted; the mean of their corrections",
    "mix": "what `add-model` does: the others' mean, shifted, and a mix of their differences",
    "mix, own ridge": "the same, and a ridge regression of what it leaves unexplained",
    "mix, paired": "the same as mix, with the default model's outcomes on the same prompts",
    "mix, proposed": "the same as mix, on prompts of `next-prompts`, 25 at a time",
}


def columns(table, keep: list[int]):
    """Select some models of a table."""
    return hypernova.OutcomeTable.from_arrays(
        task_ids=table.task_ids,
        prompts=table.prompts,
        groups=table.groups,
        models=[table.models[j] for j in keep],
        score=table.score[:, keep],
        name=table.name,
        min_models=1,
    )


def overall(artifact, new):
    """Estimate a column from its own outcomes alone, as `fit` would."""
    a, everyone = artifact.policy["shrinkage"], float(artifact.success[-1].mean())
    n = new.columns.profile.counts[:, 0]
    total = n * new.columns.profile.mean[:, 0]
    rate = (total[-1] + 20 * everyone) / (n[-1] + 20)
    success = (total + a * rate) / (n + a)
    success[-1] = rate
    corrected = new.columns.profile.slopes is not None
    return replace(
        new.columns.profile,
        success=success[:, None].astype(np.float32),
        slopes=np.zeros_like(new.columns.profile.slopes) if corrected else None,
        offsets=np.zeros_like(new.columns.profile.offsets) if corrected else None,
    )


def level(artifact, new, scored):
    """Estimate a column as the others' mean, shifted overall and by cluster."""
    prior = Prior(artifact, new.noise)
    expected, features = prior.prompts(scored.located)
    features[:, prior.mix] = 0.0
    noises = np.full(len(expected), new.noise)
    posterior = prior.posterior(features, scored.score - expected, noises)
    rows_expected, rows = prior.rows()
    success = rows_expected + rows @ posterior.weights
    correction = prior.linear_correction(posterior)
    return replace(
        new.columns.profile,
        success=np.clip(success, 0, 1)[:, None].astype(np.float32),
        slopes=None if correction is None else correction.slopes,
        offsets=None if correction is None else correction.offsets,
    )


def own_ridge(new, scored):
    """The column of `mix` with a linear correction of its own on top, with the ridge of `fit`."""
    expected, features = new.prior.prompts(scored.located)
    left = scored.score - expected - features @ new.posterior.weights
    x, y = Coordinates.of(scored.located.vectors), left[:, None]
    (correction,) = fit_ridges(sum_products(x.values, y), [RIDGE_WEIGHT], x.basis)
    column = new.columns.profile
    return replace(
        column,
        slopes=column.slopes + correction.slopes,
        offsets=column.offsets + correction.offsets,
    )


def with_column(artifact, name: str, column):
    names = [*artifact.models, name]
    known = replace(ModelColumns.of(artifact), groups=None, tokens=None)
    columns = known.beside(ModelColumns(column))
    return rebuild(artifact, names, columns, artifact.default_model, {})


def proposed(artifact, train, vectors, j: int, most: int) -> list[int]:
    """List tasks of the training part in the order in which they are proposed."""
    tasks: list[int] = []
    while len(tasks) < most:
        free = np.setdiff1d(np.arange(train.n_tasks), tasks)
        scored = None
        if tasks:
            scored = replace(columns(train.subset(np.array(tasks)), [j]), embedding=vectors[tasks])
        found = next_prompts(artifact, vectors[free], scored=scored, count=BATCH)
        tasks += [int(free[one.index]) for one in found]
    return tasks


def learned(train, vectors, seed: int, guard_z: float | None):
    """Return the artifact that `fit` learns, with another guard if one is given."""
    result = learn(train, vectors, seed=seed)
    if guard_z is not None:
        result = replace(result, setting=replace(result.setting, guard_z=guard_z))
    return result.artifact()


def run(table, vectors, guard_z, ways, folds: int, draws: int):
    """Score the chosen models, (models left out, tasks), by way and number of prompts."""
    m = table.n_models
    taken: dict[tuple[str, int], np.ndarray] = {}

    def note(way: str, n: int, j: int, test, artifact, part: float) -> None:
        into = taken.setdefault((way, n), np.zeros((m, table.n_tasks)))
        place = np.array([table.models.index(name) for name in artifact.models])
        models = place[artifact.decide_many(vectors[test]).model_indices]
        into[j, test] += part * np.nan_to_num(table.score[test, models])

    for fold in fold_splits(table.prompt_groups(), folds, 1, 0):
        train, x = table.subset(fold.train), vectors[fold.train]
        full = learned(train, x, fold.seed, guard_z)
        for j in range(m):
            rest = columns(train, [i for i in range(m) if i != j])
            artifact = learned(rest, x, fold.seed, guard_z)
            note("without", 0, j, fold.test, artifact, 1.0)
            note("full fit", 0, j, fold.test, full, 1.0)
            pair = columns(train, [j, table.models.index(artifact.default_model)])
            everything = LocatedPrompts.of(artifact, x)
            scored = outcomes_of(artifact, pair, everything, table.models[j])
            has = np.flatnonzero(~np.isnan(train.score[:, j]))

            def part_of(rows, paired: bool, scored=scored, has=has):
                at = np.searchsorted(has, rows)
                return replace(
                    scored,
                    located=scored.located.subset(at),
                    score=scored.score[at],
                    default=scored.default[at] if paired else np.full(len(at), np.nan),
                    cost_usd=scored.cost_usd[at],
                    latency_s=scored.latency_s[at],
                )

            for draw in range(draws):
                order = np.random.default_rng([fold.seed, j, draw]).permutation(has)
                for n in PROMPTS:
                    few = part_of(order[:n], False)
                    new = estimate_new_model(artifact, few)
                    made = {
                        "overall": lambda a=artifact, b=new: overall(a, b),
                        "level": lambda a=artifact, b=new, c=few: level(a, b, c),
                        "mix": lambda b=new: b.columns.profile,
                        "mix, own ridge": lambda b=new, c=few: own_ridge(b, c),
                        "mix, paired": lambda a=artifact, o=order, n=n, part=part_of: (
                            estimate_new_model(a, part(o[:n], True)).columns.profile
                        ),
                    }
                    for way in set(ways) & set(made):
                        joined = with_column(artifact, table.models[j], made[way]())
                        note(way, n, j, fold.test, joined, 1.0 / draws)
            if "mix, proposed" in ways:
                order = proposed(artifact, train, x, j, max(PROMPTS))
                for n in PROMPTS:
                    new = estimate_new_model(artifact, part_of(np.array(order[:n]), False))
                    joined = with_column(artifact, table.models[j], new.columns.profile)
                    note("mix, proposed", n, j, fold.test, joined, 1.0)
    return taken


def interval(gain: np.ndarray) -> str:
    """Format the mean over tasks and its 95% interval by bootstrap, in points."""
    rng = np.random.default_rng(0)
    means = [gain[rng.integers(0, len(gain), len(gain))].mean() for _ in range(2000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * gain.mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def lines_of(table, taken, ways) -> list[str]:
    """Format the tables of a setting as lines of Markdown."""
    heads = " | ".join(str(n) for n in PROMPTS)
    without, full = taken["without", 0], taken["full fit", 0]
    lines = [
        f"Mean over the {table.n_models} models left out: without the new model "
        f"{without.mean():.4f}, full fit {full.mean():.4f}.",
        "",
        f"| joins by | {heads} | 100 prompts, points over without it (95%) |",
        f"| --- | {' | '.join('---' for _ in PROMPTS)} | --- |",
    ]
    for way in ways:
        cells = " | ".join(f"{taken[way, n].mean():.4f}" for n in PROMPTS)
        over = interval((taken[way, 100] - without).mean(axis=0))
        lines.append(f"| {way} | {cells} | {over} |")
    if "mix, proposed" in ways:
        several = [(taken["mix, proposed", n] - taken["mix", n]).mean(axis=0) for n in PROMPTS]
        lines += ["", "Proposed less drawn, points: " + "; ".join(map(interval, several)) + "."]
    lines += ["", f"| left out | without | {heads} | full fit |"]
    lines.append(f"| --- | --- | {' | '.join('---' for _ in PROMPTS)} | --- |")
    shown = [way for way in ("mix", "mix, proposed") if way in ways]
    for j, name in enumerate(table.models):
        cells = " | ".join(
            " / ".join(f"{taken[way, n][j].mean():.4f}" for way in shown) for n in PROMPTS
        )
        lines.append(f"| {name} | {without[j].mean():.4f} | {cells} | {full[j].mean():.4f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--embedder", default="static")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--record", metavar="FOLDER", help="write a record there")
    arguments = parser.parse_args()
    start = time.process_time()
    table = hypernova.OutcomeTable.read(arguments.data)
    vectors = Embedder.load(arguments.embedder).embed(list(table.prompts))
    commit = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    today = datetime.date.today()
    lines = [
        f"# New models on {table.name}, {today}, commit {commit}",
        "",
        f"`python -m benches.new_model {Path(arguments.data).name} --folds {arguments.folds} "
        f"--draws {arguments.draws}`, `{arguments.embedder}`, {processor()}. Held-out accuracy "
        f"over {arguments.folds} folds; each model is left out, the rest is fitted, and it joins "
        "by the stated number of its outcomes on the training part.",
        "",
        *(f"- *{way}*: {what}" for way, what in WAYS.items()),
    ]
    for name, guard_z in SETTINGS.items():
        # Proposals for all would double the time.
        ways = [way for way in WAYS if way != "mix, own ridge"]
        if name == "unguarded":
            ways = ["overall", "level", "mix", "mix, own ridge"]
        elif name != "as fitted":
            ways.remove("mix, proposed")
        taken = run(table, vectors, guard_z, ways, arguments.folds, arguments.draws)
        lines += ["", f"## {name}", "", *lines_of(table, taken, ways)]
    lines += ["", f"{time.process_time() - start:.0f} s of processor time."]
    print("\n".join(lines))
    if arguments.record is not None:
        path = ROOT / arguments.record / f"{today}-{commit}-new-model.md"
        path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
