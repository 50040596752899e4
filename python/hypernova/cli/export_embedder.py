"""`hypernova export-embedder`: turn a sentence-transformers model into an embedder folder.

Not here: the export itself (`hypernova.export`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from hypernova.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("export-embedder")
    parser.add_argument(
        "source",
        metavar="DIR_OR_PACKAGE",
        help="a folder that sentence-transformers saved, or an installed package that holds one",
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="the folder to make")
    parser.add_argument(
        "--int8", action="store_true", help="store weights and multiply with 8 bits"
    )
    parser.add_argument("--name", help="name of the embedder (default: that of the source)")
    parser.add_argument(
        "--prompt", metavar="NAME", help="which of the model's prompts to put before each text"
    )
    parser.add_argument(
        "--lead-weight",
        type=float,
        default=0,
        metavar="W",
        help="extra weight of a text's first line (default 0, as in the bundled embedders)",
    )
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    from hypernova.export import export_embedder

    made = export_embedder(
        arguments.source,
        arguments.output,
        int8=arguments.int8,
        name=arguments.name,
        prompt=arguments.prompt,
        lead_weight=arguments.lead_weight,
    )
    print(f"{made.folder}: {made.name}, {made.dim} dimensions, {made.max_tokens} tokens")
    if made.prompt:
        print(f"before each text: {made.prompt!r}")
    print(
        f"cosine to the model, {made.samples} texts: worst {made.worst_cosine:.6f}, "
        f"median {made.median_cosine:.6f}"
    )
    print(f"use it: hypernova fit DATA -o router.hnv --embedder {made.folder}")
