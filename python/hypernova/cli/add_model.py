"""`hypernova add-model`: add a model from some scored prompts, without fitting again.

Not here: how its success is estimated (`hypernova.training.model_pool`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypernova
from hypernova.cli.arguments import add_embedder_to
from hypernova.paths import check_file, path_label

if TYPE_CHECKING:
    import argparse

    from hypernova import AddedModel, Artifact
    from hypernova.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("add-model")
    parser.add_argument("artifact", metavar="ROUTER.hnv")
    parser.add_argument(
        "outcomes",
        metavar="OUTCOMES",
        help="outcomes of the model: .jsonl, .csv, .parquet, folder, or evaluation logs",
    )
    parser.add_argument("-o", "--output", required=True, metavar="NEW.hnv")
    parser.add_argument(
        "--model",
        action="append",
        dest="models",
        metavar="M",
        help="model to add (may be repeated; default: all but the default model)",
    )
    add_embedder_to(parser)
    parser.set_defaults(run=_add)


def _add(arguments: argparse.Namespace) -> None:
    check_file(arguments.output, inputs=[arguments.outcomes])  # before the work
    done = hypernova.add_model(
        hypernova.Artifact.open(arguments.artifact),
        hypernova.OutcomeTable.read(arguments.outcomes, min_models=1),
        models=arguments.models,
        embedder=arguments.embedder,
        device=arguments.device,
    )
    done.artifact.save(arguments.output)
    print(f"wrote {path_label(arguments.output)}")
    for added in done.models:
        _print(done.artifact, added)


def _print(made: Artifact, added: AddedModel) -> None:
    default = made.models.index(made.default_model)
    success, error = made.success[-1, default], made.standard_error[-1, default]
    pairs = f", {added.paired} of them also by {made.default_model}" if added.paired else ""
    print(f"{added.model}: {added.prompts} scored prompts{pairs}")
    print(
        f"  success over all  {added.success:.4f} ± {added.error:.4f}; "
        f"default {made.default_model} {success:.4f} ± {error:.4f}"
    )
    print(
        f"  chosen now        at the centres of {added.clusters_chosen} of {made.n_clusters} "
        f"clusters, for {added.prompts_chosen} of {added.prompts} scored prompts"
    )
    needed = f"{made.policy['guard_z']:g} standard errors"
    if made.margin:
        needed += f", beyond a margin of {made.margin:g}"
    if added.clusters_proven:
        allowed = f"at the centres of {added.clusters_proven} clusters"
    else:
        allowed = "nowhere yet; hypernova next-prompts says which prompts to score"
    print(f"  past the guard    {allowed} (gain above {needed})")
    if added.novel:
        print(f"  {added.novel} of the prompts are unlike all that the artifact was fitted on")
