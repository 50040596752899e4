"""`hypernova next-prompts`: which prompts to score next for a model.

Not here: how they are chosen (see `hypernova.training.model_pool.propose`).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.device import add_device_to
from hypernova.cli.streams import print_json
from hypernova.embedder.skip import SharedParts

if TYPE_CHECKING:
    from hypernova.cli import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("next-prompts", help="propose prompts to score for a model")
    parser.add_argument("artifact", metavar="ROUTER.hnv")
    parser.add_argument(
        "prompts",
        metavar="PROMPTS",
        help="to choose from: .txt, .jsonl, .csv or .parquet with a prompt column, or folder",
    )
    parser.add_argument(
        "--model", metavar="M", help="one that the artifact holds, or a new one (the default)"
    )
    parser.add_argument(
        "--scored", metavar="OUTCOMES", help="outcomes that a new model has already"
    )
    parser.add_argument("-n", "--count", type=_count, default=25, metavar="N")
    parser.add_argument("--embedder", metavar="DIR", help="if the artifact's is not bundled")
    add_device_to(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=_propose)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def _propose(arguments: argparse.Namespace) -> None:
    from hypernova.table import read_prompts
    from hypernova.training.clustering.describe import one_line

    prompts = read_prompts(arguments.prompts)
    scored = arguments.scored
    artifact = hypernova.Artifact.open(arguments.artifact)
    skipped = SharedParts.of_identity(artifact.embedder)
    proposals = hypernova.next_prompts(
        artifact,
        prompts,
        model=arguments.model,
        scored=None if scored is None else hypernova.OutcomeTable.read(scored, min_models=1),
        count=arguments.count,
        embedder=arguments.embedder,
        device=arguments.device,
    )
    if not arguments.json:
        print(f"{'gain':>8} {'cluster':>7}  prompt")
    for proposal in proposals:
        prompt = prompts[proposal.index]
        if arguments.json:
            told = {
                "prompt": prompt,
                "index": proposal.index,
                "cluster": proposal.cluster,
                "gain": proposal.gain,
            }
            print_json(told)
        else:
            # The line's room is for what tells prompts apart.
            told_apart = prompt if skipped is None else skipped.left(prompt)
            print(f"{proposal.gain:8.5f} {proposal.cluster:7d}  {one_line(told_apart, 62)}")
    if not arguments.json:
        print(
            f"expected of all {len(proposals)} together: {proposals[-1].gain:.5f} more success "
            "a decision, on average over the prompts"
        )
