"""Measure how many decisions change with the seed of a fit, or with a few tasks less.

Not here: how good the decisions are (`benches.quality`). For each sample table, artifacts are
fitted with other seeds, and without a random twentieth of the tasks, and decide all prompts of the
table beside the artifact of seed 0 and all tasks.

    python -m benches.stability [TABLE...] [--seeds 3] [--draws 3] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from pathlib import Path

import numpy as np
from benches.paths import sample_tables
from benches.quality.__main__ import TABLES
from benches.record import processor, source_state, write_page
from threadpoolctl import threadpool_limits

import hypernova
from hypernova.embedder import Embedder
from hypernova.training.trainer import learn

# Share of the tasks that is left out, and what may change, in percent.
LEFT_OUT = 20
MAX_BY_SEED, MAX_BY_TASKS = 5.0, 10.0


def changes(table, vectors, seeds: int, draws: int) -> tuple[list[float], list[float], str]:
    """Shares of decisions that change, in percent: by each seed, and by each draw of tasks."""

    def decided(rows=None, seed: int = 0):
        part = table if rows is None else table.subset(rows)
        learned = learn(part, vectors if rows is None else vectors[rows], seed=seed)
        guards.append(learned.setting.guard_z)
        return learned.artifact().decide_many(vectors).model_indices

    guards: list[float] = []
    as_it_is = decided()
    by_seed = [100.0 * float(np.mean(decided(seed=s) != as_it_is)) for s in range(1, seeds + 1)]
    by_tasks = []
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(table.n_tasks)
        rows = np.sort(order[table.n_tasks // LEFT_OUT :])
        by_tasks.append(100.0 * float(np.mean(decided(rows) != as_it_is)))
    return by_seed, by_tasks, " ".join(f"{guard:g}" for guard in guards)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    parser.add_argument("--embedder", default="static")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    embedder = Embedder.load(arguments.embedder)
    start, rows = time.monotonic(), []
    for name in arguments.tables:
        path = sample_tables() / name if name in TABLES else Path(name)
        if not path.exists():
            print(f"skipped {name}: {path} is missing; set HYPERNOVA_SHARED", file=sys.stderr)
            continue
        table = hypernova.OutcomeTable.read(path)
        vectors = embedder.embed(list(table.prompts))
        with threadpool_limits(1):  # more gain little, and lose much beside other work
            by_seed, by_tasks, guards = changes(table, vectors, arguments.seeds, arguments.draws)
        shares = [" / ".join(f"{share:.1f}" for share in found) for found in (by_seed, by_tasks)]
        within = max(by_seed) <= MAX_BY_SEED and max(by_tasks) <= MAX_BY_TASKS
        cells = [
            f"`{table.name}`",
            f"{table.n_tasks:,}",
            *shares,
            guards,
            "yes" if within else "no",
        ]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    if not rows:
        sys.exit("no table to measure on; name one, or set HYPERNOVA_SHARED")
    commit, changed = source_state()
    record = [
        f"# Decisions that change with the seed or with a few tasks, {datetime.date.today()}, "
        f"commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, `{embedder.name}`, uncommitted changes: "
        f"{changed}, {(time.monotonic() - start) / 60:.0f} minutes. "
        "Share of all prompts of the table, in percent, that another model is chosen for than "
        "by the artifact of seed 0 and all tasks: with each of some other seeds, and without a "
        f"random {LEFT_OUT}th of the tasks, drawn anew each time. *Guard* is that of each "
        f"artifact, in order. *Within*: at most {MAX_BY_SEED:g}% by a seed and "
        f"{MAX_BY_TASKS:g}% by tasks. `python -m benches.stability`.",
        "",
        f"| table | tasks | by the seed, % | without a {LEFT_OUT}th of the tasks, % | guard "
        "| within |",
        "| --- | ---: | --- | --- | --- | --- |",
        *rows,
    ]
    write_page(record, arguments.output, commit, "stability")


if __name__ == "__main__":
    main()
