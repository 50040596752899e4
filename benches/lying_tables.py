"""Measure how often notes on a table find what was made wrong in it, and how often they cry wolf.

Not here: what a table that lies does to a router. Each model of each sample table in turn gets
scores out of order within each group, scores that are all 0 or all 1, the scores of another model,
scores divided by 100, or costs a thousand times too high or too low; and so do draws of a few
tasks. A note is false where nothing was made wrong.

    python -m benches.lying_tables [TABLE...] [--tasks 200 500] [--draws 50] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from benches.paths import sample_tables
from benches.quality.__main__ import TABLES
from benches.record import processor, source_state, write_page

import hypernova

SEEDS = 3
# A kind, and the words of its note.
KINDS = {
    "out of order": "out of order",
    "all 0": "All scores are the same",
    "all 1": "All scores are the same",
    "a copy": "Identical scores",
    "divided by 100": "divided by 100 twice",
    "costs, a tenth": "Some costs are far",
    "costs, all": "The costs of",
}


def falsified(table, kind: str, m: int, rng):
    """Make one thing wrong for a model; None where the table has nothing that could be."""
    score, cost = table.score.copy(), table.cost_usd.copy()
    known = ~np.isnan(score[:, m])
    if not known.any():
        return None
    if kind == "out of order":
        groups = np.unique([str(group) for group in table.groups], return_inverse=True)[1]
        order = np.lexsort((rng.random(len(score)), groups))
        rows, place = order[known[order]], np.flatnonzero(known)
        score[place[np.argsort(groups[place], kind="stable")], m] = score[rows, m]
    elif kind.startswith("all "):
        score[known, m] = float(kind[-1])
    elif kind == "a copy":
        other = int(rng.choice(np.delete(np.arange(table.n_models), m)))
        score[:, m] = score[:, other]
    elif kind == "divided by 100":
        score[:, m] /= 100
    else:
        if np.isnan(cost[:, m]).all():
            return None
        rows = known & (rng.random(len(score)) < 0.1) if kind == "costs, a tenth" else known
        cost[rows, m] *= rng.choice([1e3, 1e-3])
    return replace(table, score=score, cost_usd=cost)


def is_found(notes: list[str], kind: str, model: str) -> bool:
    """Whether a note of the kind names the model, or says that there are more than it names."""
    return any(
        KINDS[kind] in note and (model in note or " more" in note.split(";")[0]) for note in notes
    )


def measure(table, kinds: list[str], models, seeds: range) -> dict[str, list[bool]]:
    """Whether each thing that was made wrong was found, by kind."""
    found: dict[str, list[bool]] = {kind: [] for kind in kinds}
    for kind in kinds:
        for m in models:
            for seed in seeds:
                wrong = falsified(table, kind, m, np.random.default_rng([seed, m]))
                if wrong is not None:
                    found[kind].append(is_found(wrong.notes(), kind, table.models[m]))
    return found


def measure_draws(table, tasks: int, draws: int, kinds: list[str]) -> dict[str, Any]:
    """Share found and notes on nothing, over draws of a few tasks; three models of each."""
    found: dict[str, list[bool]] = {kind: [] for kind in kinds}
    false: list[str] = []
    for draw in range(draws):
        rng = np.random.default_rng([draw, tasks])
        part = table.subset(np.sort(rng.choice(table.n_tasks, tasks, replace=False)))
        false += part.notes()
        models = rng.permutation(table.n_models)[:3].tolist()
        for kind, each in measure(part, kinds, models, range(draw, draw + 1)).items():
            found[kind] += each
    return {"found": found, "false": false}


def share(found: list[bool]) -> str:
    return f"{100 * np.mean(found):.0f}" if found else "-"


def row(name: str, found: dict[str, list[bool]], false: int, of: int) -> str:
    cells = [f"`{name}`", *(share(found[kind]) for kind in KINDS), f"{false} of {of}"]
    return f"| {' | '.join(cells)} |"


def head(title: str) -> list[str]:
    return [
        f"## {title}",
        "",
        f"| table | {' | '.join(KINDS)} | false notes |",
        f"| --- |{' ---: |' * (len(KINDS) + 1)}",
    ]


def timing() -> str:
    """Time the notes of a large made-up table."""
    rng = np.random.default_rng(0)
    n, m = 131_072, 60
    score = (rng.normal(size=(n, m)) < rng.normal(size=(n, 1))).astype(float)
    table = hypernova.OutcomeTable.from_arrays(
        task_ids=[str(i) for i in range(n)],
        prompts=["x"] * n,
        models=[f"m{i}" for i in range(m)],
        score=score,
        cost_usd=10 ** rng.normal(-3, 0.3, (n, m)),
        groups=[str(i % 20) for i in range(n)],
    )
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert table.notes() == []
        seconds.append(time.perf_counter() - start)
    return f"{n:,} tasks x {m} models with costs: {min(seconds):.2f} s, best of 5."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    parser.add_argument("--tasks", type=int, nargs="+", default=[200, 500])
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    missing = [name for name in arguments.tables if not (sample_tables() / name).exists()]
    if missing:
        sys.exit(f"{sample_tables()} lacks {', '.join(missing)}; set HYPERNOVA_SHARED")
    start = time.monotonic()
    tables = {
        name: hypernova.OutcomeTable.read(sample_tables() / name) for name in arguments.tables
    }
    lines = head(f"Whole tables, every model, {SEEDS} seeds; found in %")
    for name, table in tables.items():
        found = measure(table, list(KINDS), range(table.n_models), range(SEEDS))
        lines.append(row(name, found, len(table.notes()), 1))
        print(lines[-1], file=sys.stderr, flush=True)
    false: Counter[str] = Counter()
    for tasks in arguments.tasks:
        lines += ["", *head(f"{arguments.draws} draws of {tasks} tasks, 3 models each; found in %")]
        for name, table in tables.items():
            if table.n_tasks <= tasks:
                continue
            drawn = measure_draws(table, tasks, arguments.draws, list(KINDS))
            lines.append(row(name, drawn["found"], len(drawn["false"]), arguments.draws))
            false.update(f"`{name}`, {tasks} tasks: {note}" for note in drawn["false"])
            print(lines[-1], file=sys.stderr, flush=True)
    if false:
        lines += ["", "False notes:", "", *(f"- {n} x {note}" for note, n in false.items())]
    commit, changed = source_state()
    record = [
        f"# Tables that lie, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, uncommitted changes: "
        f"{changed}, {(time.monotonic() - start) / 60:.0f} minutes. One thing "
        "is made wrong for one model, and `OutcomeTable.notes()` must name it. *Out of order*: its "
        "scores are shuffled within each group. *Costs*: a thousand times too high or too low, for "
        "a tenth of its outcomes or for all. *False notes*: on the tables as they are, and on how "
        f"many of them. Time of notes: {timing()} `python -m benches.lying_tables`.",
        "",
        *lines,
        "",
    ]
    print("\n".join(record))
    write_page(record, arguments.output, commit, "lying-tables")


if __name__ == "__main__":
    main()
