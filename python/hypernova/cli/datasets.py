"""`hypernova datasets`: list public outcome data, and convert its files into outcome tables.

Not here: reading the files (`hypernova.table.sources`), and downloads.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hypernova.cli.arguments import percentage_points
from hypernova.paths import path_label
from hypernova.table import read_routerbench, read_swebench
from hypernova.table.formats.write import check_target
from hypernova.table.sources.public.catalog import PUBLIC_DATASETS

if TYPE_CHECKING:
    import argparse

    from hypernova.cli.arguments import Commands
    from hypernova.table import PublicTable


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "datasets",
        description="List public outcome data and where its files are. Nothing is downloaded.",
    )
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION")
    convert = actions.add_parser("convert", help="make an outcome table of downloaded files")
    sources = convert.add_subparsers(required=True, dest="source", metavar="NAME")

    swebench = sources.add_parser("swebench", help="a leaderboard of SWE-bench")
    swebench.add_argument("leaderboards", metavar="LEADERBOARDS.json")
    swebench.add_argument(
        "problems", metavar="PROBLEMS", help="the problem statements: .parquet, .jsonl or .json"
    )
    swebench.add_argument(
        "--leaderboard",
        metavar="NAME",
        help="which leaderboard, such as Verified, if several have results by task",
    )
    swebench.add_argument(
        "--drop-inconsistent",
        type=percentage_points,
        metavar="POINTS",
        help="leave out models whose results differ from their headline rate by more than these "
        "percentage points; 0 leaves out every one that is reported",
    )
    swebench.set_defaults(run=_convert_swebench)

    routerbench = sources.add_parser("routerbench", help="a wide table in RouterBench's format")
    routerbench.add_argument("wide", metavar="WIDE", help=".csv or .parquet")
    routerbench.set_defaults(run=_convert_routerbench)

    for source in (swebench, routerbench):
        source.add_argument("-o", "--output", required=True, metavar="FOLDER|FILE.jsonl")
        source.add_argument(
            "--models", nargs="+", action="extend", metavar="M", help="only these models"
        )


def _list(_: argparse.Namespace) -> None:
    for source in PUBLIC_DATASETS:
        print(f"{source.name}: {source.content}")
        print(f"  {source.size}")
        print(f"  licence: {source.licence}")
        for file in source.files:
            print(f"  {file}")
        print(f"  format: {source.shape}")
        print(f"  {source.convert or 'no loader'}\n")
    print("Nothing is downloaded: fetch the files yourself, and read their terms.")


def _convert_swebench(arguments: argparse.Namespace) -> None:
    check_target(arguments.output)  # before the work, not after it
    points = arguments.drop_inconsistent
    loaded = read_swebench(
        arguments.leaderboards,
        arguments.problems,
        leaderboard=arguments.leaderboard,
        models=arguments.models,
        max_difference=None if points is None else points / 100,
    )
    _write(loaded, arguments.output)


def _convert_routerbench(arguments: argparse.Namespace) -> None:
    check_target(arguments.output)
    _write(read_routerbench(arguments.wide, models=arguments.models), arguments.output)


def _write(loaded: PublicTable, output: str) -> None:
    import numpy as np

    table = loaded.table
    table.save(output)
    outcomes = int(np.count_nonzero(~np.isnan(table.score)))
    size = f"{table.n_tasks} tasks x {table.n_models} models, {outcomes} outcomes"
    print(f"wrote {path_label(output)}: {size}")
    if loaded.without_outcomes:
        print(f"left out, without results by task: {len(loaded.without_outcomes)} entries")
    if not loaded.discrepancies:
        return
    print("results that disagree with the headline rate of their model:", file=sys.stderr)
    for odd in loaded.discrepancies:
        fate = "kept" if odd.model in table.models else "left out"
        print(
            f"  {odd.model}: headline {100 * odd.headline:.2f}%, results {100 * odd.rate:.2f}% of "
            f"{odd.tasks} tasks ({100 * odd.difference:+.2f} points), {fate}",
            file=sys.stderr,
        )
