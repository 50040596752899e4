"""`hypernova fit`: learn an artifact from an outcome table."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.device import add_device_to
from hypernova.cli.summary import print_summary
from hypernova.paths import check_file, path_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.cli import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("fit", help="learn an artifact from an outcome table")
    parser.add_argument("data", metavar="DATA", help="folder, .jsonl, .csv or .parquet")
    parser.add_argument("-o", "--output", required=True, metavar="ROUTER.hnv")
    parser.add_argument("--embedder", default="static", metavar="static|minilm|DIR")
    add_device_to(parser)
    parser.add_argument("--clusters", type=cluster_count, default="auto", metavar="auto|K")
    add_cluster_prompts_to(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    weight = parser.add_mutually_exclusive_group()
    weight.add_argument(
        "--cost-weight", type=float, default=0.0, metavar="X", help="default, success per USD"
    )
    weight.add_argument(
        "--target-cost",
        type=float,
        metavar="USD",
        help="instead: the most accurate weight that costs at most so much on held-out tasks",
    )
    weight.add_argument(
        "--target-accuracy",
        type=float,
        metavar="P",
        help="instead: the cheapest weight that is at least so accurate on held-out tasks",
    )
    add_skip_shared_to(parser)
    parser.add_argument(
        "--no-describe",
        dest="describe",
        action="store_false",
        help="keep no distinctive words of the clusters in the artifact",
    )
    parser.set_defaults(run=_fit)


def cluster_count(text: str) -> int | str:
    """Read a number of clusters, or ``auto``, for a parser."""
    if text == "auto":
        return text
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected auto or a whole number from 1, got {text!r}")
    return int(text)


def _fit(arguments: argparse.Namespace) -> None:
    # Said before the work, not after it.
    check_file(arguments.output, inputs=[arguments.data, arguments.cluster_prompts])
    artifact = hypernova.fit(
        hypernova.OutcomeTable.read(arguments.data),
        embedder=arguments.embedder,
        device=arguments.device,
        clusters=arguments.clusters,
        seed=arguments.seed,
        cluster_prompts=read_cluster_prompts(arguments),
        cost_weight=arguments.cost_weight,
        target_cost=arguments.target_cost,
        target_accuracy=arguments.target_accuracy,
        describe=arguments.describe,
        skip_shared=arguments.skip_shared,
        progress=sys.stderr.isatty(),
    )
    artifact.save(arguments.output)
    print(f"wrote {path_label(arguments.output)}")
    print_summary(artifact)


def add_cluster_prompts_to(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--cluster-prompts``, the same for fit and evaluate."""
    parser.add_argument(
        "--cluster-prompts",
        metavar="PROMPTS",
        help="find the clusters on these unlabelled prompts: .txt, .jsonl, .csv, .parquet, folder",
    )


def add_skip_shared_to(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--skip-shared``, the same for fit and evaluate."""
    parser.add_argument(
        "--skip-shared",
        action="store_true",
        help="leave out beginnings and ends that many prompts share, here and in every request",
    )


def read_cluster_prompts(arguments: argparse.Namespace) -> Sequence[str] | None:
    """The prompts that ``--cluster-prompts`` names."""
    from hypernova.table import read_prompts

    return None if arguments.cluster_prompts is None else read_prompts(arguments.cluster_prompts)
