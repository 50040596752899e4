"""The command: compare routers on outcome tables and write a record.

Not here: anything about the comparison itself (see ``compare``).
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import time
from pathlib import Path

from benches.paths import sample_tables
from benches.quality.compare import check, compare
from benches.quality.record import ROOT, Run, commit, write_record

import hypernova
from hypernova.embedder import Embedder
from hypernova.errors import EvaluationError, HypernovaError
from hypernova.training.embedding import embed_table

TABLES = (
    "swebench_verified",
    "llmrouter_mixed",
    "routellm_mmlu",
    "mmlu_pro",
    "routerdc",
    "zeroeval",
    "zeroeval_holes",
    "routerbench3",
)
# By default tables are dealt until about so many tasks were held out, at most so often.
HELD_OUT_TASKS, MAX_REPEATS = 3000, 6


def main(argv: list[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benches.quality",
        description="Compare routers on outcome tables, and write a record.",
    )
    parser.add_argument(
        "tables",
        nargs="*",
        default=TABLES,
        metavar="TABLE",
        help="an outcome table, or the name of a sample table; by default all samples",
    )
    parser.add_argument("--embedder", default="static", metavar="static|minilm|DIR")
    parser.add_argument("--folds", type=int, default=5, metavar="N")
    parser.add_argument(
        "--repeats",
        type=_repeats,
        action="append",
        default=[],
        metavar="[TABLE=]N",
        help="times that tasks are dealt into folds; with a name, for that table only; "
        "by default once, and smaller tables up to 6 times",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes; by default all cores")
    parser.add_argument(
        "--record", type=Path, default=ROOT / "benches" / "record", metavar="FOLDER"
    )
    arguments = parser.parse_args(argv)
    try:
        _run(arguments)
    except HypernovaError as error:
        print(f"bench-quality: {error}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    repeats = dict(arguments.repeats)
    jobs = arguments.jobs or len(os.sched_getaffinity(0))
    limits = {"folds": (arguments.folds, 2), "jobs": (jobs, 1), "seed": (arguments.seed, 0)}
    for name, (value, minimum) in limits.items():
        if value < minimum:
            raise EvaluationError(f"{name} is {value}; expected a whole number from {minimum}")
    if not arguments.record.is_dir():
        raise EvaluationError(f"{arguments.record}: no such folder; make it, or name another")
    found = [path for name in arguments.tables if (path := _table_path(name)) is not None]
    if not found:
        raise EvaluationError("no table to compare on; name one, or set HYPERNOVA_SHARED")
    tables = [hypernova.OutcomeTable.read(path) for path in found]
    for table in tables:
        check(table, arguments.folds)  # all tables, before the work on the first one
    unknown = sorted(set(repeats) - {None} - {table.name for table in tables}, key=str)
    if unknown:
        raise EvaluationError(f"repeats are given for {unknown[0]}, which is none of the tables")
    state, changed = commit()  # of the sources that run, whatever is committed meanwhile
    start, load = time.monotonic(), os.getloadavg()[0]
    embedder = Embedder.load(arguments.embedder)
    comparisons = []
    for table in tables:
        embedded = embed_table(table, embedder, None, sys.stderr.isatty())
        usual = min(max(round(HELD_OUT_TASKS / table.n_tasks), 1), MAX_REPEATS)
        times = repeats.get(table.name, repeats.get(None, usual))
        comparison = compare(
            table,
            embedded.vectors,
            embedder=str(embedded.identity["name"]),
            folds=arguments.folds,
            repeats=times,
            seed=arguments.seed,
            jobs=jobs,
            progress=sys.stderr.isatty(),
        )
        comparisons.append(comparison)
        leads = (f"{row.router} {row.accuracy:.4f}" for row in comparison.rows)
        print(f"{table.name}: {', '.join(leads)}", flush=True)
    options = [
        f"--repeats {n}" if name is None else f"--repeats {name}={n}" for name, n in repeats.items()
    ]
    command = " ".join(
        [
            "python -m benches.quality",
            *(table.name for table in tables),
            f"--embedder {embedder.name} --folds {arguments.folds}",
            *options,
            f"--seed {arguments.seed}",
        ]
    )
    run = Run(
        command=command,
        commit=state,
        changed=changed,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        jobs=jobs,
        load=load,
        minutes=(time.monotonic() - start) / 60,
    )
    print(write_record(arguments.record, run, comparisons))


def _repeats(text: str) -> tuple[str | None, int]:
    name, _, number = text.rpartition("=")
    if not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected N or TABLE=N, N from 1")
    return name or None, int(number)


def _table_path(name: str) -> Path | None:
    """Find a table; a missing sample table is skipped with a message."""
    path = Path(name)
    if name not in TABLES or path.exists():
        return path
    sample = sample_tables() / name
    if sample.is_dir():
        return sample
    print(f"skipped {name}: {sample} is missing; set HYPERNOVA_SHARED", file=sys.stderr)
    return None


if __name__ == "__main__":
    sys.exit(main())
