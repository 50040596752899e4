"""`hypernova next-prompts`: propose prompts to score next for a model.

Not here: how prompts are chosen (`hypernova.training.model_pool.propose`), and how evaluation tools
want them (`hypernova.cli.eval_tasks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.arguments import add_device_to, positive_int
from hypernova.cli.eval_tasks import FORMATS, EvalPrompt, check_eval_target, write_eval_prompts
from hypernova.cli.streams import print_json
from hypernova.embedder.shared_text import SharedParts
from hypernova.paths import path_label

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from hypernova import Proposal
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
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="write the prompts, with their ids and the other fields of PROMPTS, such as target",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="format of OUT: a .jsonl file of prompts (jsonl, the default) or of samples for "
        "Inspect's json_dataset (inspect), or a folder with a task of lm-evaluation-harness "
        "(lm-eval); the scorer is yours",
    )
    parser.set_defaults(run=_propose, usage_error=parser.error)


def _propose(arguments: argparse.Namespace) -> None:
    from hypernova.table import read_prompts
    from hypernova.training.clustering.describe import one_line

    output, scored = arguments.output, arguments.scored
    format_ = arguments.format or "jsonl"
    if output is None and arguments.format is not None:
        arguments.usage_error("--format is of the file that -o/--output names; give one")
    if output is not None:  # before the work
        check_eval_target(output, format_, [arguments.artifact, arguments.prompts, scored])
    prompts = read_prompts(arguments.prompts)
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
    if output is not None:
        write_eval_prompts(output, format_, _with_fields(arguments.prompts, prompts, proposals))
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
        if output is not None:
            print(f"wrote {path_label(output)}: {len(proposals)} prompts, format {format_}")


def _with_fields(
    path: str, prompts: Sequence[str], proposals: Sequence[Proposal]
) -> list[EvalPrompt]:
    """Return the proposed prompts with their ids, or else their numbers, and their fields."""
    from hypernova.table.prompt_fields import read_prompt_fields

    indices = [proposal.index for proposal in proposals]
    rows = read_prompt_fields(path, indices)
    return [
        EvalPrompt(rows[index].task_id or f"prompt-{index}", prompts[index], rows[index].fields)
        for index in indices
    ]
