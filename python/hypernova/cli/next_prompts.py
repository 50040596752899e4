"""`hypernova next-prompts`: propose prompts to score next for a model.

Not here: how prompts are chosen (`hypernova.training.model_pool.propose`), and how evaluation tools
want them (`hypernova.cli.eval_tasks`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.arguments import add_embedder_to, positive_int
from hypernova.cli.eval_tasks import FORMATS, EvalPrompt, check_eval_target, write_eval_prompts
from hypernova.cli.streams import print_json
from hypernova.embedder.shared_text import SharedParts
from hypernova.offline_page.numbers import plural
from hypernova.paths import path_label

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from hypernova.cli.arguments import Commands
    from hypernova.table.prompt_fields import PromptFields


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("next-prompts")
    parser.add_argument("artifact", metavar="ROUTER.hnv")
    parser.add_argument(
        "prompts",
        metavar="PROMPTS",
        help="prompts to choose from: .txt, .jsonl, .csv, .parquet with a prompt column, folder, "
        "or logs of evaluation tools",
    )
    parser.add_argument(
        "--model", metavar="M", help="a model of the artifact (default: a new model)"
    )
    parser.add_argument("--scored", metavar="OUTCOMES", help="outcomes of a new model so far")
    parser.add_argument(
        "-n", "--count", type=positive_int, default=25, metavar="N", help="how many (default 25)"
    )
    add_embedder_to(parser)
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
    parser.set_defaults(run=_propose)


def _propose(arguments: argparse.Namespace) -> None:
    from hypernova.training.clustering.describe import one_line

    output, scored = arguments.output, arguments.scored
    format_ = arguments.format or "jsonl"
    if output is None and arguments.format is not None:
        arguments.parser.error("--format is of the file that -o/--output names; give one")
    if output is not None:  # before the work
        check_eval_target(output, format_, [arguments.artifact, arguments.prompts, scored])
    prompts, read_fields = _read_pool(arguments.prompts)
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
    without_target = 0
    if output is not None:
        indices = [proposal.index for proposal in proposals]
        written = _with_fields(prompts, indices, read_fields(indices))
        write_eval_prompts(output, format_, written)
        without_target = sum("target" not in prompt.fields for prompt in written)
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
            print(
                f"wrote {path_label(output)}: {plural(len(proposals), 'prompt')}, format {format_}"
            )
        if without_target and format_ != "jsonl":
            # An empty target stands in every answer: Inspect's match calls all of them correct.
            print(
                f"note: {without_target} of them have no target: score them by one that needs none "
                "and not by comparing, or give PROMPTS with the field target"
            )


def _read_pool(
    path: str,
) -> tuple[Sequence[str], Callable[[Sequence[int]], dict[int, PromptFields]]]:
    """Return the prompts to choose from, and a reader of what stands beside some of them."""
    from hypernova.table import read_logs, read_prompts
    from hypernova.table.importing.read import are_logs
    from hypernova.table.prompt_fields import PromptFields, read_prompt_fields

    if not (Path(path).exists() and are_logs(path)):
        return read_prompts(path), lambda indices: read_prompt_fields(path, indices)
    table = read_logs(path, min_models=1).table

    def of_tasks(indices: Sequence[int]) -> dict[int, PromptFields]:
        groups = {i: {"group": table.groups[i]} if table.groups[i] else {} for i in indices}
        return {i: PromptFields(table.task_ids[i], groups[i]) for i in indices}

    return table.prompts, of_tasks


def _with_fields(
    prompts: Sequence[str], indices: Sequence[int], rows: dict[int, PromptFields]
) -> list[EvalPrompt]:
    """Return proposed prompts with their ids, or else their numbers, and their fields."""
    return [
        EvalPrompt(rows[i].task_id or f"prompt-{i}", prompts[i], rows[i].fields) for i in indices
    ]
