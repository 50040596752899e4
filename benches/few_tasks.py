"""Measure whether a fit on few tasks loses against the best single model of those tasks.

Not here: what `evaluate` says of such a table, and many models (`benches.many_models`). Few tasks
of a sample table are drawn to fit on, whole prompts at a time, and the others are decided. A draw
of fewer tasks lies inside that of more.

    python -m benches.few_tasks [TABLE...] [--tasks 30 60 ...] [--draws 8] [--embedder static]
                                [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from benches.many_models import mean_and_error
from benches.paths import sample_tables
from benches.quality.__main__ import TABLES
from benches.record import processor, source_state, write_page
from threadpoolctl import threadpool_limits

import hypernova
from hypernova.embedder import open_embedder

TASKS = (30, 60, 120, 250, 600, 1000)
# A draw leaves at least this share of the tasks to be decided.
MIN_TEST = 0.4
# Most points that a table may lose on average, and the numbers of tasks that this is asked of.
MAX_LOSS = 0.3
ASKED = (30, 600)


def measure(name: str, sizes: list[int], draws: int, embedder: str) -> list[dict[str, Any]]:
    """Gains in points for each number of tasks and draw."""
    path = sample_tables() / name if name in TABLES else Path(name)
    table = hypernova.OutcomeTable.read(path)
    vectors = open_embedder(embedder).embed(list(table.prompts))
    numbers = table.prompt_groups()
    found = []
    for tasks in [size for size in sizes if size <= (1 - MIN_TEST) * table.n_tasks]:
        for draw in range(draws):
            # Equal prompts are all fitted on, or none is.
            place = np.random.default_rng(draw).permutation(numbers.max() + 1)[numbers]
            order = np.argsort(place, kind="stable")
            last = place[order[tasks - 1]]
            train, test = np.flatnonzero(place <= last), np.flatnonzero(place > last)
            part = table.subset(train)
            fit_on = hypernova.OutcomeTable.from_arrays(
                task_ids=part.task_ids,
                prompts=part.prompts,
                models=part.models,
                score=part.score,
                cost_usd=part.cost_usd,
                groups=part.groups,
                embedding=vectors[train],
            )
            start = time.perf_counter()
            artifact = hypernova.fit(fit_on, describe=False, seed=draw)
            seconds = time.perf_counter() - start
            # Models without an outcome may have been left out.
            column = np.array([table.models.index(model) for model in artifact.models])
            chosen = column[artifact.decide_many(vectors[test]).model_indices]
            single = column[artifact.models.index(artifact.default_model)]
            score = table.score[test]
            base = score[:, single]
            gain = score[np.arange(len(test)), chosen] - base
            found.append(
                {
                    "table": table.name, "tasks": tasks, "draw": draw,
                    "single": 100 * float(np.nanmean(base)), "gain": 100 * float(np.nanmean(gain)),
                    "routed": 100 * float(np.mean(chosen != single)),
                    "unscored": 100 * float(np.isnan(gain).mean()), "seconds": seconds,
                }
            )  # fmt: skip
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


def rows_of(found: list[dict[str, Any]]) -> list[str]:
    """Write a row for each table and number of tasks."""
    rows = []
    for name in dict.fromkeys(row["table"] for row in found):
        of_table = [row for row in found if row["table"] == name]
        sizes = list(dict.fromkeys(row["tasks"] for row in of_table))
        smaller = None
        for tasks in sizes:
            of_size = [row for row in of_table if row["tasks"] == tasks]
            gains = [row["gain"] for row in of_size]
            accuracy = np.array([row["single"] + row["gain"] for row in of_size])
            step = "" if smaller is None else mean_and_error(list(accuracy - smaller))
            smaller = accuracy
            cells = [
                f"`{name}`",
                f"{tasks:,}",
                f"{np.mean([row['single'] for row in of_size]):.1f}",
                mean_and_error(gains),
                f"{min(gains):+.2f}",
                step,
                *(
                    f"{np.mean([row[key] for row in of_size]):.0f}"
                    for key in ("routed", "unscored")
                ),
                f"{np.mean([row['seconds'] for row in of_size]):.2f}",
                "" if not ASKED[0] <= tasks <= ASKED[1]
                else "yes" if np.mean(gains) >= -MAX_LOSS else "no",
            ]  # fmt: skip
            rows.append(f"| {' | '.join(cells)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    parser.add_argument("--tasks", type=int, nargs="+", default=TASKS)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--embedder", default="static")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    start, found = time.monotonic(), []
    for name in arguments.tables:
        if not (sample_tables() / name if name in TABLES else Path(name)).exists():
            print(
                f"skipped {name}: not in {sample_tables()}; set HYPERNOVA_SHARED", file=sys.stderr
            )
            continue
        with threadpool_limits(1):  # more gain little, and lose much beside other work
            found += measure(name, arguments.tasks, arguments.draws, arguments.embedder)
    if not found:
        sys.exit("no table to measure on; name one, or set HYPERNOVA_SHARED")
    commit, changed = source_state()
    head = ["table", "tasks", "best single, accuracy", "gain", "worst draw", "step", "routed, %",
            "unscored, %", "fit, s", "within"]  # fmt: skip
    record = [
        f"# Few tasks, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, `{arguments.embedder}`, uncommitted "
        f"changes: {changed}, {(time.monotonic() - start) / 60:.0f} minutes. "
        "Gain in points over the best single model of the tasks that were fitted on, on all other "
        f"tasks; means of {arguments.draws} draws of tasks, with the standard error over draws. "
        "*Step*: accuracy of the router less that with the fewer tasks of the row above. "
        "*Routed*: decisions for another model than the best single one. *Unscored*: decisions "
        "without an outcome of one of the two, which are left out of the gain. *Within*: no more "
        f"than {MAX_LOSS} points lost on average, with {ASKED[0]} to {ASKED[1]} tasks. "
        "`python -m benches.few_tasks`.",
        "",
        f"| {' | '.join(head)} |",
        "| --- |" + " ---: |" * (len(head) - 2) + " --- |",
        *rows_of(found),
        "",
    ]
    print("\n".join(record))
    write_page(record, arguments.output, commit, "few-tasks")


if __name__ == "__main__":
    main()
