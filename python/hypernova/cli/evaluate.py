"""`hypernova evaluate`: measure on held-out tasks whether routing is worth it.

Not here: the evaluation and its report (`hypernova.evaluation`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.arguments import (
    add_cluster_prompts_to,
    add_device_to,
    add_prices_to,
    add_scale_to,
    add_skip_shared_to,
    add_unseen_to,
    cluster_count,
    read_cluster_prompts,
    read_outcomes,
)
from hypernova.cli.streams import print_error
from hypernova.errors import HypernovaError, WriteError
from hypernova.paths import check_file, write_file

if TYPE_CHECKING:
    import argparse

    from hypernova import Report
    from hypernova.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("evaluate")
    parser.add_argument(
        "data", metavar="DATA", help="folder, .jsonl, .csv or .parquet; also evaluation logs"
    )
    parser.add_argument("--folds", type=int, default=5, metavar="N")
    parser.add_argument(
        "--repeats",
        type=int,
        default=10,
        metavar="N",
        help="how often tasks are dealt into folds (default 10)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    add_unseen_to(parser)
    parser.add_argument("--embedder", default="static", metavar="static|minilm|DIR")
    add_device_to(parser)
    parser.add_argument("--clusters", type=cluster_count, default="auto", metavar="auto|K")
    add_cluster_prompts_to(parser)
    parser.add_argument(
        "--leave-one-group-out",
        action="store_true",
        help="also hold out each group: kinds of task never seen",
    )
    parser.add_argument(
        "--no-learning-curve",
        dest="learning_curve",
        action="store_false",
        help="leave out the figures of routers that learned from fewer tasks",
    )
    add_skip_shared_to(parser)
    parser.add_argument(
        "--max-tasks",
        type=int,
        metavar="N",
        help="evaluate on a sample of a larger table (default 131,072)",
    )
    add_prices_to(parser)
    add_scale_to(parser)
    parser.add_argument("--json", metavar="PATH", help="write all figures as JSON")
    parser.add_argument("--html", metavar="PATH", help="write the report as one offline page")
    parser.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    for path, other in ((arguments.json, None), (arguments.html, arguments.json)):
        if path is not None:  # before the work, not after it
            check_file(
                path,
                inputs=[arguments.data, arguments.cluster_prompts, arguments.prices],
                stream=True,
            )
            if other is not None and Path(path).absolute() == Path(other).absolute():
                raise WriteError(f"{path}: is named by both --json and --html; name two files")
    sample = {} if arguments.max_tasks is None else {"max_tasks": arguments.max_tasks}
    report = hypernova.evaluate(
        read_outcomes(arguments),
        folds=arguments.folds,
        repeats=arguments.repeats,
        seed=arguments.seed,
        unseen=arguments.unseen,
        embedder=arguments.embedder,
        device=arguments.device,
        clusters=arguments.clusters,
        cluster_prompts=read_cluster_prompts(arguments),
        leave_one_group_out=arguments.leave_one_group_out,
        learning_curve=arguments.learning_curve,
        skip_shared=arguments.skip_shared,
        **sample,
        vectors=arguments.vectors,
        engine=arguments.engine,
        jobs=arguments.jobs,
        progress=sys.stderr.isatty(),
    )
    # The report is printed first: it took the longest, and a full disk must not lose it. Each
    # output is tried, whether or not the others failed.
    failed: list[HypernovaError | OSError] = []
    for write in (_print, _write_json, _write_html):
        try:
            write(report, arguments)
        except (HypernovaError, OSError) as error:
            failed.append(error)
    # A broken pipe, as with `| head`, counts only if nothing else failed.
    failed.sort(key=lambda error: not isinstance(error, BrokenPipeError))
    for earlier in failed[:-1]:
        if not isinstance(earlier, BrokenPipeError):
            print_error(earlier)
    if failed:
        raise failed[-1]


def _print(report: Report, _: argparse.Namespace) -> None:
    print(report, flush=True)


def _write_json(report: Report, arguments: argparse.Namespace) -> None:
    if arguments.json is not None:
        text = json.dumps(report.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
        write_file(arguments.json, (text + "\n").encode("utf-8"))


def _write_html(report: Report, arguments: argparse.Namespace) -> None:
    if arguments.html is not None:
        report.to_html(arguments.html)
