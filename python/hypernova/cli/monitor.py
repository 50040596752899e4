"""`hypernova monitor`: tell from an outcome log whether a router is still right.

Not here: the figures and the verdict (`hypernova.monitoring`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.arguments import add_outcome_logs_to, days_number, error_level
from hypernova.cli.streams import print_json
from hypernova.outcome_log.segments import files_of
from hypernova.paths import check_file

if TYPE_CHECKING:
    import argparse

    from hypernova.cli.arguments import Commands

# Under --fail-unless-keep, so that a schedule tells a verdict from an error, which is 1.
NOT_KEPT = 3


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("monitor")
    parser.add_argument("artifact", metavar="ROUTER.hnv")
    add_outcome_logs_to(parser)
    window = parser.add_mutually_exclusive_group()
    window.add_argument(
        "--since",
        metavar="TIME",
        help="leave out decisions before this day or time, such as 2026-11-26 (UTC) or "
        "2026-11-26T13:42:41Z; choose it before you look, or the error level does not hold",
    )
    window.add_argument(
        "--days",
        type=days_number,
        metavar="N",
        help="leave out decisions more than N days before the latest one; choose N before you look",
    )
    parser.add_argument(
        "--level",
        type=error_level,
        default=0.05,
        metavar="P",
        help="chance that any alarm is ever false, at all looks together (default 0.05)",
    )
    parser.add_argument("--html", metavar="PATH", help="write the report as one offline page")
    parser.add_argument("--json", action="store_true", help="print all figures as one JSON object")
    parser.add_argument(
        "--all",
        action="store_true",
        help="print all models and clusters, not just the eight of each that matter most",
    )
    parser.add_argument(
        "--fail-unless-keep",
        action="store_true",
        help="exit with code 3 unless the verdict is Keep or Not enough outcomes",
    )
    parser.set_defaults(run=_monitor)


def _monitor(arguments: argparse.Namespace) -> int:
    if arguments.html is not None:  # before the work, not after it
        segments = files_of(arguments.logs)
        check_file(arguments.html, inputs=[arguments.artifact, *segments], stream=True)
    report = hypernova.monitor(
        arguments.artifact,
        arguments.logs,
        since=arguments.since,
        days=arguments.days,
        level=arguments.level,
    )
    if arguments.json:
        print_json(report.to_dict())
    else:
        print(report.text(every=arguments.all), flush=True)
    if arguments.html is not None:
        report.to_html(arguments.html)
    kept = report.action in ("keep", "not_enough_outcomes")
    return NOT_KEPT if arguments.fail_unless_keep and not kept else 0
