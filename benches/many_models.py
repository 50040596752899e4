"""Measure what models that are no better cost, where models are many and tasks are few.

Not here: whole tables (`benches.quality`). Few tasks of a sample table are drawn to fit on, and
the others are decided. A table has the 5, 10, 20 or all best models, or the 10 best and others that
are no better: copies whose outcomes are shuffled within each group, so that no prompt tells more of
them than its group does, or over all tasks. (A copy that is shuffled over all tasks is as good at
hard kinds of prompt as at easy ones, and so truly better at the hard ones: there is more to gain.)

    python -m benches.many_models [TABLE...] [--tasks 500 1700] [--draws 4] [-o FOLDER]
                                  [--pythonpath FOLDER OF ANOTHER VERSION]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from benches.paths import ROOT, sample_tables
from benches.record import processor, source_state, write_page
from threadpoolctl import threadpool_limits

import hypernova
from hypernova.embedder import open_embedder

TABLES = ("mmlu_pro", "zeroeval_holes")
# Models that are taken, and what fills a table up to how many.
BEST = 10
WORLDS = (
    *(("real", n) for n in (5, 10, 20, 1000)),
    *((kind, n) for kind in ("within groups", "over all") for n in (20, 40, 70)),
)


def adjusted_rates(score):
    """Rates of the models adjusted for the tasks that they come from, (m,)."""
    known = ~np.isnan(score)
    effect, rates = np.zeros(len(score)), np.nansum(score, axis=0) / known.sum(axis=0)
    for _ in range(30):
        rest = np.where(known, score - rates, 0.0)
        effect = rest.sum(axis=1) / (known.sum(axis=1) + 1)
        rest = np.where(known, score - effect[:, None], 0.0)
        rates = rest.sum(axis=0) / known.sum(axis=0)
    return rates


def scores_of(kind: str, models: int, score, groups, rng):
    """Outcomes of a world, (tasks, models)."""
    order = np.argsort(-adjusted_rates(score), kind="stable")
    if kind == "real":
        return score[:, order[:models]]
    columns = list(score[:, order[:BEST]].T)
    for i in range(models - len(columns)):
        copy = columns[i % BEST].copy()
        for members in groups if kind == "within groups" else [np.arange(len(copy))]:
            copy[members] = copy[rng.permutation(members)]
        columns.append(copy)
    return np.stack(columns, axis=1)


def by_group(score, groups, default: int):
    """The best model of each group, by the mean score where it was tried half as often as any."""
    best = {}
    for group in set(groups):
        rows = score[groups == group]
        n = (~np.isnan(rows)).sum(axis=0)
        rates = np.where(2 * n >= max(n.max(), 1), np.nansum(rows, axis=0) / np.maximum(n, 1), -1)
        best[group] = int(np.argmax(rates)) if n.any() else default
    return best


def measure(name: str, tasks: int, draws: int) -> list[dict[str, Any]]:
    """Gains in points for each draw and world, with the version that runs."""
    path = sample_tables() / name if name in TABLES or not Path(name).exists() else Path(name)
    table = hypernova.OutcomeTable.read(path)
    vectors = open_embedder("static").embed(list(table.prompts))
    names = np.array([str(group) for group in table.groups])
    members = [np.flatnonzero(names == group) for group in sorted(set(names))]
    numbers = np.unique(np.array(table.prompts, dtype=object), return_inverse=True)[1]
    found = []
    for draw in range(draws):
        # Equal prompts are all fitted on, or none is.
        place = np.random.default_rng([draw, 0]).permutation(numbers.max() + 1)[numbers]
        order = np.argsort(place, kind="stable")
        train, test = np.sort(order[:tasks]), np.sort(order[tasks:])
        for kind, models in WORLDS:
            rng = np.random.default_rng([draw, 1])
            score = scores_of(kind, models, table.score, members, rng)
            fit_on = hypernova.OutcomeTable.from_arrays(
                task_ids=[table.task_ids[i] for i in train],
                prompts=[table.prompts[i] for i in train],
                models=[f"model {m}" for m in range(score.shape[1])],
                score=score[train],
                groups=[table.groups[i] for i in train],
                embedding=vectors[train],
            )
            with threadpool_limits(1):  # more gain little, and lose much beside other work
                artifact = hypernova.fit(fit_on, describe=False, seed=draw)
            # Models without an outcome may have been left out.
            place_of = {model: int(model.split()[1]) for model in artifact.models}
            chosen = np.array([place_of[model] for model in artifact.models])[
                artifact.decide_many(vectors[test]).model_indices
            ]
            single = place_of[artifact.default_model]
            known = by_group(score[train], names[train], single)
            of_group = np.array([known.get(group, single) for group in names[test]])
            rows = np.arange(len(test))
            base = score[test][:, single]
            found.append(
                {
                    "table": name, "tasks": tasks, "draw": draw, "kind": kind,
                    "models": score.shape[1], "single": 100 * float(np.nanmean(base)),
                    "gain": 100 * float(np.nanmean(score[test][rows, chosen] - base)),
                    "group": 100 * float(np.nanmean(score[test][rows, of_group] - base)),
                }
            )  # fmt: skip
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


def other_version(path: str, arguments: list[str]) -> tuple[str, list[dict[str, Any]]]:
    """Measure with another version, in a process of its own."""
    command = [sys.executable, "-m", "benches.many_models", *arguments, "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([path, str(ROOT)])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{path}: the other version does not measure")
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["version"], answer["found"]


def mean_and_error(values: list[float]) -> str:
    """Write a mean with its standard error over draws."""
    if len(values) < 2:
        return f"{np.mean(values):+.2f}"
    return f"{np.mean(values):+.2f} ({np.std(values, ddof=1) / len(values) ** 0.5:.2f})"


def section(name: str, tasks: int, versions: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Write the table of one sample table and number of tasks."""
    head = ["models", "best single, accuracy", *versions, "now, beside its 10 real ones"]
    lines = [f"## `{name}`, {tasks:,} tasks", ""]
    lines.append(f"| {' | '.join([*head, 'best model of each group'])} |")
    lines.append("| --- |" + " ---: |" * len(head))
    now = [row for row in versions["now"] if (row["table"], row["tasks"]) == (name, tasks)]
    base = {row["draw"]: row["gain"] for row in now if (row["kind"], row["models"]) == ("real", 10)}
    worlds = dict.fromkeys((row["kind"], row["models"]) for row in now)
    for kind, models in worlds:

        def of(rows, key, kind=kind, models=models):
            world = (name, tasks, kind, models)
            return [
                row[key]
                for row in rows
                if (row["table"], row["tasks"], row["kind"], row["models"]) == world
            ]

        beside = [gain - base[draw] for draw, gain in enumerate(of(now, "gain"))]
        what = "best" if kind == "real" else f"10 best and copies shuffled {kind}"
        cells = [
            f"{models} {what}",
            f"{np.mean(of(now, 'single')):.1f}",
            *(mean_and_error(of(rows, "gain")) for rows in versions.values()),
            mean_and_error(beside),
            mean_and_error(of(now, "group")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=TABLES, metavar="TABLE")
    parser.add_argument("--tasks", type=int, nargs="+", default=[1700, 500])
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--pythonpath", help="folder of another version's package")
    parser.add_argument("--json", action="store_true", help="print figures and write no record")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    missing = [name for name in arguments.tables if not (sample_tables() / name).exists()]
    if missing:
        sys.exit(f"{sample_tables()} lacks {', '.join(missing)}; set HYPERNOVA_SHARED")
    start = time.monotonic()
    found = [
        row
        for name in arguments.tables
        for tasks in arguments.tasks
        for row in measure(name, tasks, arguments.draws)
    ]
    if arguments.json:
        print(json.dumps({"version": hypernova.__version__, "found": found}))
        return
    versions = {"now": found}
    if arguments.pythonpath:
        same = [*arguments.tables, "--draws", str(arguments.draws)]
        same += ["--tasks", *map(str, arguments.tasks)]
        version, others = other_version(arguments.pythonpath, same)
        versions[version] = others
    commit, changed = source_state()
    record = [
        f"# Many models and few tasks, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, `static`, uncommitted changes: "
        f"{changed}, {(time.monotonic() - start) / 60:.0f} minutes. Gain in "
        "points over the best single model of the tasks that were fitted on, on all other tasks; "
        f"means of {arguments.draws} draws of tasks, with standard errors. *Now, beside its 10 "
        "real ones* is paired by draw; the best single model may be another one. The best models "
        "are the best of the whole table. The best model of each group is chosen on the tasks that "
        "were fitted on, and is given the group of each prompt. `python -m benches.many_models`.",
        "",
        *(
            line
            for name in arguments.tables
            for tasks in arguments.tasks
            for line in section(name, tasks, versions)
        ),
    ]
    print("\n".join(record))
    write_page(record, arguments.output, commit, "many-models")


if __name__ == "__main__":
    main()
