"""`hypernova fit`: learn an artifact from an outcome table.

Not here: learning (`hypernova.training`).
"""

from __future__ import annotations

import sys
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
from hypernova.cli.summary import print_summary
from hypernova.paths import check_file, path_label

if TYPE_CHECKING:
    import argparse

    from hypernova.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("fit")
    parser.add_argument(
        "data", metavar="DATA", help="folder, .jsonl, .csv or .parquet; also evaluation logs"
    )
    parser.add_argument("-o", "--output", required=True, metavar="ROUTER.hnv")
    parser.add_argument("--embedder", default="static", metavar="static|minilm|DIR")
    add_device_to(parser)
    parser.add_argument("--clusters", type=cluster_count, default="auto", metavar="auto|K")
    add_cluster_prompts_to(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    add_unseen_to(parser)
    weight = parser.add_mutually_exclusive_group()
    weight.add_argument(
        "--cost-weight",
        type=float,
        default=0.0,
        metavar="X",
        help="default cost weight, in success per USD",
    )
    weight.add_argument(
        "--target-cost",
        type=float,
        metavar="USD",
        help="choose the most accurate cost weight that costs at most USD a task, held out",
    )
    weight.add_argument(
        "--target-accuracy",
        type=float,
        metavar="P",
        help="choose the cheapest cost weight whose accuracy is at least P, held out",
    )
    weight.add_argument(
        "--quality",
        type=float,
        metavar="Q",
        help="choose the cheapest cost weight that keeps this share of the best single model's "
        "accuracy, held out: 0.98",
    )
    weight.add_argument(
        "--savings",
        type=float,
        metavar="S",
        help="choose the most accurate cost weight that saves this share of the best single "
        "model's cost, held out: 0.4",
    )
    add_skip_shared_to(parser)
    add_prices_to(parser)
    add_scale_to(parser)
    parser.add_argument(
        "--no-describe",
        dest="describe",
        action="store_false",
        help="keep no distinctive words of the clusters in the artifact",
    )
    parser.set_defaults(run=_fit)


def _fit(arguments: argparse.Namespace) -> None:
    # Before the work, not after it.
    check_file(
        arguments.output, inputs=[arguments.data, arguments.cluster_prompts, arguments.prices]
    )
    artifact = hypernova.fit(
        read_outcomes(arguments),
        embedder=arguments.embedder,
        device=arguments.device,
        clusters=arguments.clusters,
        seed=arguments.seed,
        unseen=arguments.unseen,
        cluster_prompts=read_cluster_prompts(arguments),
        cost_weight=arguments.cost_weight,
        target_cost=arguments.target_cost,
        target_accuracy=arguments.target_accuracy,
        quality=arguments.quality,
        savings=arguments.savings,
        describe=arguments.describe,
        skip_shared=arguments.skip_shared,
        vectors=arguments.vectors,
        engine=arguments.engine,
        jobs=arguments.jobs,
        progress=sys.stderr.isatty(),
    )
    for note in artifact.metadata.get("notes", ()):
        print(f"note: {note}", file=sys.stderr)
    artifact.save(arguments.output)
    print(f"wrote {path_label(arguments.output)}")
    print_summary(artifact)
