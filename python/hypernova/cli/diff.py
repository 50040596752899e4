"""`hypernova diff`: what a new artifact would change, for people and for pipelines.

Not here: the comparison (`hypernova.comparison`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import hypernova
from hypernova.artifact.usable_prices import usable_prices
from hypernova.cli.arguments import (
    add_device_to,
    add_route_options_to,
    route_options,
    share,
)
from hypernova.cli.streams import print_error, print_json
from hypernova.paths import path_label

if TYPE_CHECKING:
    import argparse

    from hypernova import Artifact, ArtifactDiff
    from hypernova.cli.arguments import Commands
    from hypernova.prices import Price

# More changes than --fail-over allows; apart from 1, an error, so that a pipeline can tell.
EXIT_EXCEEDED = 3


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "diff",
        epilog="Exit code 3 under --fail-over: more changes than that, or the new artifact is not "
        "compatible, or nothing could be compared.",
    )
    parser.add_argument("old", metavar="OLD.hnv", help="the artifact in use")
    parser.add_argument("new", metavar="NEW.hnv", help="the artifact that would take over")
    parser.add_argument(
        "--prompts",
        metavar="PROMPTS",
        help="compare for these prompts: .txt, .jsonl, .csv, .parquet, folder, pattern, or an "
        "outcome table, whose outcomes measure the change",
    )
    parser.add_argument(
        "--log",
        nargs="+",
        metavar="LOG",
        help="compare by the traffic of an outcome log, best with NEW as the shadow of OLD",
    )
    parser.add_argument(
        "--fail-over",
        type=share,
        metavar="SHARE",
        help="exit with code 3 if a larger share of decisions changes, 0 to 1",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--name-groups",
        action="store_true",
        help="let the group of each prompt of an outcome table decide, as for callers that name it",
    )
    parser.add_argument(
        "--embedder", metavar="DIR", help="the embedder of an artifact, if it is not bundled"
    )
    add_device_to(parser)
    add_route_options_to(parser)
    parser.set_defaults(run=_diff)


def _diff(arguments: argparse.Namespace) -> int:
    limit = arguments.fail_over
    old, new = (hypernova.Artifact.open(path) for path in (arguments.old, arguments.new))
    prices = {} if arguments.price_file is None else _prices_of(old, new, arguments.price_file)
    found = hypernova.diff(
        old,
        new,
        prompts=arguments.prompts,
        log=arguments.log,
        name_groups=arguments.name_groups,
        embedder=arguments.embedder,
        device=arguments.device,
        progress=sys.stderr.isatty(),
        **route_options(arguments, prices),
    )
    if arguments.json:
        print_json(found.to_dict())
    else:
        print(found)
    return 0 if limit is None else _gate(found, limit)


def _prices_of(old: Artifact, new: Artifact, path: str) -> dict[str, Price]:
    """Read the prices that both artifacts can use, as far as they hold the model.

    A price for tokens whose number one of the two does not know would be an error there, and used
    by the other alone it would compare different prices.
    """
    read = hypernova.read_prices(path, models=list(dict.fromkeys((*old.models, *new.models))))
    usable = [usable_prices(artifact, read) for artifact in (old, new)]
    unknown = {model for found in usable for model in found.without_tokens}
    if unknown:
        print(
            f"{path_label(path)}: these models keep the costs of the table, since an artifact does "
            f"not know their tokens: {', '.join(sorted(unknown))}",
            file=sys.stderr,
        )
    return {model: price for model, price in read.items() if model not in unknown}


def _gate(found: ArtifactDiff, limit: float) -> int:
    """Print why a pipeline should stop, and return the exit code."""
    if not found.exceeds(limit):
        return 0
    if not found.compatibility.compatible:
        print_error(f"the new artifact is not compatible: {found.compatibility.problems[0]}")
    elif found.share_changed is None:
        print_error("it cannot be told how many decisions change; give --prompts that both read")
    else:
        print_error(
            f"{100 * found.share_changed:.4g}% of the decisions change, and --fail-over allows "
            f"{100 * limit:g}%"
        )
    return EXIT_EXCEEDED
