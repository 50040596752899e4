"""`hypernova remove-model` and `hypernova rename-model`.

Not here: how the artifact changes (`hypernova.training.model_pool`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypernova
from hypernova.paths import check_file, path_label

if TYPE_CHECKING:
    import argparse

    from hypernova._core import Decision
    from hypernova.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Add both commands to the parser."""
    remove = commands.add_parser("remove-model")
    remove.add_argument("artifact", metavar="ROUTER.hnv")
    remove.add_argument("models", nargs="+", metavar="M")
    remove.add_argument("-o", "--output", required=True, metavar="NEW.hnv")
    remove.add_argument(
        "--default", metavar="M", help="the new default model, if the old one is removed"
    )
    remove.set_defaults(run=_remove)
    rename = commands.add_parser("rename-model")
    rename.add_argument("artifact", metavar="ROUTER.hnv")
    rename.add_argument("old", metavar="OLD")
    rename.add_argument("new", metavar="NEW")
    rename.add_argument("-o", "--output", required=True, metavar="NEW.hnv")
    rename.set_defaults(run=_rename)


def _remove(arguments: argparse.Namespace) -> None:
    from hypernova.artifact.decisions import decisions_or_none

    check_file(arguments.output)
    before = hypernova.Artifact.open(arguments.artifact)
    made = hypernova.remove_model(before, arguments.models, default=arguments.default)
    made.save(arguments.output)
    print(f"wrote {path_label(arguments.output)}")
    # Under the artifact's own limits, which may leave no model, before or after.
    was, now = (decisions_or_none(a, a.centroids) for a in (before, made))
    moved = sum(_model(a) != _model(b) for a, b in zip(was, now, strict=True))
    print(
        f"removed {', '.join(arguments.models)}; {len(made.models)} models are left, "
        f"default {made.default_model}"
    )
    print(f"another model is chosen at the centres of {moved} of {made.n_clusters} clusters")


def _model(decision: Decision | None) -> str | None:
    return None if decision is None else decision.model


def _rename(arguments: argparse.Namespace) -> None:
    check_file(arguments.output)
    before = hypernova.Artifact.open(arguments.artifact)
    hypernova.rename_model(before, arguments.old, arguments.new).save(arguments.output)
    print(f"wrote {path_label(arguments.output)}")
    print(f"{arguments.old} is now {arguments.new}; no decision is changed by that")
