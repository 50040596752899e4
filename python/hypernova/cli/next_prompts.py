"""`hypernova next-prompts`: propose prompts to score next for a model.

Not here: how prompts are chosen (`hypernova.training.model_pool.propose`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.arguments import add_device_to, positive_int
from hypernova.cli.streams import print_json
from hypernova.embedder.shared_text import SharedParts

if TYPE_CHECKING:
    import argparse

    from hypernova.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("next-prompts")
    parser.add_argument("artifact", metavar="ROUTER.hnv")
    parser.add_argument(
        "prompts",
        metavar="PROMPTS",
        help="prompts to choose from: .txt, .jsonl, .csv, .parquet with a prompt column, or folder",
    )
    parser.add_argument(
        "--model", metavar="M", help="a model of the artifact (default: a new model)"
    )
    parser.add_argument("--scored", metavar="OUTCOMES", help="outcomes of a new model so far")
    parser.add_argument(
        "-n", "--count", type=positive_int, default=25, metavar="N", help="how many (default 25)"
    )
    parser.add_argument(
        "--embedder", metavar="DIR", help="the artifact's embedder, if it is not bundled"
    )
    add_device_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.set_defaults(run=_propose)


def _propose(arguments: argparse.Namespace) -> None:
    from hypernova.table import read_prompts
    from hypernova.training.clustering.describe import one_line

    prompts = read_prompts(arguments.prompts)
    scored = arguments.scored
    artifact = hypernova.Artifact.open(arguments.artifact)
    skipped = SharedParts.from_identity(artifact.embedder)
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
            record = {
                "prompt": prompt,
                "index": proposal.index,
                "cluster": proposal.cluster,
                "gain": proposal.gain,
            }
            print_json(record)
        else:
            # Shared text would fill the line.
            distinctive_text = prompt if skipped is None else skipped.remaining(prompt)
            print(f"{proposal.gain:8.5f} {proposal.cluster:7d}  {one_line(distinctive_text, 62)}")
    if not arguments.json:
        print(
            f"expected of all {len(proposals)} together: {proposals[-1].gain:.5f} more success "
            "a decision, on average over the prompts"
        )
