"""`hypernova evaluate`: judge on held-out tasks whether routing is worth it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.device import add_device_to
from hypernova.cli.fit import add_skip_shared_to, add_structure_to, cluster_count, read_structure

if TYPE_CHECKING:
    import argparse

    from hypernova.cli import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate", help="judge on held-out tasks whether routing is worth it"
    )
    parser.add_argument("data", metavar="DATA", help="folder, .jsonl, .csv or .parquet")
    parser.add_argument("--folds", type=int, default=5, metavar="N")
    parser.add_argument(
        "--repeats", type=int, default=10, metavar="N", help="how often tasks are dealt into folds"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--embedder", default="static", metavar="static|minilm|DIR")
    add_device_to(parser)
    parser.add_argument("--clusters", type=cluster_count, default="auto", metavar="auto|K")
    add_structure_to(parser)
    parser.add_argument(
        "--leave-one-group-out",
        action="store_true",
        help="hold out each group as well: kinds of task never seen",
    )
    add_skip_shared_to(parser)
    parser.add_argument("--jobs", type=int, metavar="N", help="processes; by default all cores")
    parser.add_argument("--json", metavar="PATH", help="write all figures")
    parser.add_argument("--html", metavar="PATH", help="write a page to look at, one offline file")
    parser.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    from hypernova.judging.report import check_folder, write_text

    for path in (arguments.json, arguments.html):
        if path is not None:
            check_folder(path)  # said before the work, not after it
    report = hypernova.evaluate(
        hypernova.OutcomeTable.read(arguments.data),
        folds=arguments.folds,
        repeats=arguments.repeats,
        seed=arguments.seed,
        embedder=arguments.embedder,
        device=arguments.device,
        clusters=arguments.clusters,
        structure=read_structure(arguments),
        leave_one_group_out=arguments.leave_one_group_out,
        skip_shared=arguments.skip_shared,
        jobs=arguments.jobs,
        progress=sys.stderr.isatty(),
    )
    if arguments.json is not None:
        text = json.dumps(report.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
        write_text(arguments.json, text + "\n")
    if arguments.html is not None:
        report.to_html(arguments.html)
    print(report)
