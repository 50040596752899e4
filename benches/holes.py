"""Compare what is claimed with the truth where some models were never tried on some kinds.

Not here: tables as they are (`benches.quality`). Ten models of a sample table have all outcomes on
a draw of its tasks. Six of them then lose whole kinds of tasks, each kind with a probability of
0.4, at least one and never all. What is learned and claimed sees the table with these holes; the
truth is computed on the complete one:

- *Default model*: its regret is the mean score of the best single model on the complete table less
  that of the model that `fit` makes the default one.
- *Gain*: `evaluate` says, from outcomes that are known, what its routers gain over the best single
  model of each fold. True is the gain of the same decisions over the same best single models, of
  the same folds, with every outcome known. Neither the routers nor the best single models are
  chosen anew: a router that learned without holes would be another one, and a user without a
  router would have the default model that the holes gave. What is lost by that model is the regret.

    python -m benches.holes [TABLE...] [--draws 10] [--tasks 1200] [--repeats 2] [-o FOLDER]
                            [--no-claims]
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from benches.paths import sample_tables
from benches.record import processor, source_state, write_page
from threadpoolctl import threadpool_limits

import hypernova
from hypernova.embedder import open_embedder
from hypernova.evaluation.protocol import decide_split, fold_splits

TABLES = ("zeroeval", "mmlu_pro", "routerdc", "llmrouter_mixed")
# Of these, kinds differ most in difficulty; in the others also in which model is good at them.
DIFFICULTY_ALONE = ("zeroeval", "mmlu_pro")
MODELS, LOSING, LOST = 10, 6, 0.4
FOLDS = 5
MAX_REGRET, MIN_HELD = 0.2, 0.9


def with_holes(score, kinds, rng):
    """Remove whole kinds from some models; scores (tasks, m), the kind of each task (tasks,)."""
    holes, names = score.copy(), np.unique(kinds)
    m = score.shape[1]
    for model in rng.choice(m, min(LOSING, m - 1), replace=False):
        gone = rng.random(len(names)) < LOST
        if not gone.any():
            gone[rng.integers(len(names))] = True
        if gone.all():
            gone[rng.integers(len(names))] = False
        holes[np.isin(kinds, names[gone]), model] = np.nan
    return holes


def plain_best(score) -> int:
    """The model with the best plain mean, as a comparison of unlike tasks has it."""
    return int(np.nanargmax(np.nanmean(score, axis=0)))


def draw_of(table, vectors, tasks: int, seed: int):
    """A table with holes, and its complete scores, (tasks, m); equal prompts come together."""
    rng = np.random.default_rng([seed, 7])
    complete = np.flatnonzero(~np.isnan(table.score).any(axis=0))
    means = table.score[:, complete].mean(axis=0)
    models = complete[np.argsort(-means, kind="stable")][:MODELS]
    prompts = table.prompt_groups()
    place = rng.permutation(prompts.max() + 1)[prompts]
    rows = np.sort(np.argsort(place, kind="stable")[:tasks])
    score = table.score[np.ix_(rows, models)]
    kinds = np.array([str(table.groups[i]) for i in rows])
    drawn = hypernova.OutcomeTable.from_arrays(
        task_ids=[table.task_ids[i] for i in rows],
        prompts=[table.prompts[i] for i in rows],
        # In the order of the columns, so that an index is that of the complete scores.
        models=[f"{i:02} {table.models[m]}" for i, m in enumerate(models)],
        score=with_holes(score, kinds, rng),
        groups=kinds.tolist(),
        embedding=vectors[rows],
    )
    return drawn, score


def decided(table, repeats: int, seed: int):
    """Choices of the routers and the best single models that `evaluate` has, (repeats, tasks)."""
    shape = repeats, table.n_tasks
    chosen, single = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    for split in fold_splits(table.prompt_groups(), FOLDS, repeats, seed):
        # Shuffles decide nothing here.
        bare = type(split)(split.repeat, split.train, split.test, split.seed)
        found = decide_split(table, table.embedding, bare, "auto", ())
        chosen[split.repeat, split.test], single[split.repeat, split.test] = (
            found.chosen,
            found.single,
        )
    return chosen, single


def measure(name: str, table, vectors, tasks: int, repeats: int, seed: int, claims: bool):
    """Figures of one draw, in points."""
    drawn, complete = draw_of(table, vectors, tasks, seed)
    chosen, single = decided(drawn, repeats, seed)
    rows = np.arange(len(complete))
    gain = float(
        np.mean(
            [complete[rows, c] - complete[rows, s] for c, s in zip(chosen, single, strict=True)]
        )
    )
    artifact = hypernova.fit(drawn, describe=False, seed=seed)
    default = drawn.models.index(artifact.default_model)
    means = complete.mean(axis=0)
    found: dict[str, Any] = {
        "table": name, "draw": seed, "missing": 100 * float(np.isnan(drawn.score).mean()),
        "regret": 100 * float(means.max() - means[default]),
        "plain_regret": 100 * float(means.max() - means[plain_best(drawn.score)]),
        "untried": 100 * float(np.mean([np.isnan(drawn.score[rows, c]) for c in chosen])),
        "truth": 100 * gain,
    }  # fmt: skip
    if claims:
        report = hypernova.evaluate(drawn, folds=FOLDS, repeats=repeats, seed=seed)
        low, high = (math.nan if end is None else 100 * end for end in report.gain.ci95)
        found |= {
            "claim": 100 * report.gain.mean, "low": low, "high": high,
            "verdict": report.verdict.split(".")[0].split(":")[0],
            "routes": report.verdict.startswith("Route"),
        }  # fmt: skip
    return found


def held(row) -> bool:
    """Whether the claimed interval holds the truth; figures of a report have few digits."""
    return bool(row["low"] - 5e-3 <= row["truth"] <= row["high"] + 5e-3)


def summary(name: str, rows) -> str:
    """One row of the table over the draws of a sample table."""
    mean = {
        key: float(np.mean([row[key] for row in rows]))
        for key in ("regret", "plain_regret", "truth")
    }
    cells = [
        f"`{name}`",
        f"{mean['regret']:.2f}",
        f"{mean['plain_regret']:.2f}",
        f"{mean['truth']:+.2f}",
    ]
    if "claim" in rows[0]:
        inside = sum(map(held, rows))
        wrong = sum(row["routes"] and row["truth"] < 0 for row in rows)
        claim = float(np.mean([row["claim"] for row in rows]))
        good = inside >= MIN_HELD * len(rows) and not wrong
        good &= name not in DIFFICULTY_ALONE or mean["regret"] <= MAX_REGRET
        cells += [f"{claim:+.2f}", f"{inside} of {len(rows)}", str(wrong), "yes" if good else "no"]
    return f"| {' | '.join(cells)} |"


def detail(row) -> str:
    cells = [f"`{row['table']}`", str(row["draw"]), f"{row['missing']:.0f}", f"{row['regret']:.2f}"]
    cells += [f"{row['untried']:.0f}", f"{row['truth']:+.2f}"]
    if "claim" in row:
        cells += [f"{row['claim']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})", row["verdict"]]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    parser.add_argument("--draws", type=int, default=10, help="the seeds are 0 to this less one")
    parser.add_argument("--tasks", type=int, default=1200)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--no-claims", action="store_true", help="leave `evaluate` out")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    missing = [name for name in arguments.tables if not (sample_tables() / name).exists()]
    if missing:
        sys.exit(f"{sample_tables()} lacks {', '.join(missing)}; set HYPERNOVA_SHARED")
    start, claims = time.monotonic(), not arguments.no_claims
    found = []
    for name in arguments.tables:
        table = hypernova.OutcomeTable.read(sample_tables() / name)
        vectors = open_embedder("static").embed(list(table.prompts))
        for seed in range(arguments.draws):
            with threadpool_limits(1):  # more gain little, and lose much beside other work
                row = measure(
                    name, table, vectors, arguments.tasks, arguments.repeats, seed, claims
                )
            found.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    commit, changed = source_state()
    more = " claimed gain | interval holds the truth | *Route* at a loss | good |" if claims else ""
    lines = " ---: | ---: | ---: | --- |" if claims else ""
    record = [
        f"# Kinds that some models were never tried on, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, `static`, uncommitted changes: "
        f"{changed}, {(time.monotonic() - start) / 60:.0f} minutes. "
        f"{arguments.tasks:,} tasks and the {MODELS} best models of each table without holes; "
        f"{LOSING} of them lose kinds of tasks, each with a probability of {LOST}. Draws with the "
        f"seeds 0 to {arguments.draws - 1}, {FOLDS} folds, {arguments.repeats} repeats; all in "
        "points. *Regret*: of the default model of `fit` against the best single model on the "
        "complete table, and of the model with the best plain mean. *True gain*: of the decisions "
        "of `evaluate` over the best single models of its folds, on the complete table. *Good*: "
        f"the interval holds the truth in {MIN_HELD:.0%} of the draws, *Route* is never said at a "
        f"loss, and on {' and '.join(f'`{name}`' for name in DIFFICULTY_ALONE)} the mean regret "
        f"is at most {MAX_REGRET}. `python -m benches.holes`.",
        "",
        f"| table | regret | regret by plain means | true gain |{more}",
        f"| --- | ---: | ---: | ---: |{lines}",
        *(
            summary(name, [row for row in found if row["table"] == name])
            for name in arguments.tables
        ),
        "",
        "| table | draw | outcomes missing, % | regret | chosen without an outcome, % | true gain |"
        + (" claimed | verdict |" if claims else ""),
        "| --- | ---: | ---: | ---: | ---: | ---: |" + (" --- | --- |" if claims else ""),
        *map(detail, found),
        "",
    ]
    print("\n".join(record))
    write_page(record, arguments.output, commit, "holes")


if __name__ == "__main__":
    main()
