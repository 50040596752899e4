"""`hypernova inspect`: show what an artifact holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import hypernova
from hypernova.cli.summary import print_summary

if TYPE_CHECKING:
    import argparse

    from hypernova import Artifact
    from hypernova.cli import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("inspect", help="show what an artifact holds")
    parser.add_argument("artifact", metavar="ROUTER.hnv")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_inspect)


def _inspect(arguments: argparse.Namespace) -> None:
    artifact = hypernova.Artifact.open(arguments.artifact)
    if arguments.json:
        print(json.dumps(_inspection(artifact), ensure_ascii=False))
        return
    print_summary(artifact)
    print("\ncluster   tasks  success  model taken")
    chosen = artifact.decide_many(artifact.centroids)
    for cluster, decision in enumerate(chosen):
        entry = decision.ranking[0]
        tasks = artifact.counts[cluster].max()
        print(f"{cluster:7d} {tasks:7g}  {entry.success:7.3f}  {decision.model}")


def _inspection(artifact: Artifact) -> dict[str, Any]:
    def rows(values: Any) -> Any:
        return [[None if v != v else v for v in row] for row in values.tolist()]  # NaN: unknown

    return {
        "version": list(artifact.version),
        "sha256": artifact.sha256,
        "clusters": artifact.clusters,
        "dim": artifact.dim,
        "models": list(artifact.models),
        "default_model": artifact.default_model,
        "policy": artifact.policy,
        "embedder": json.loads(artifact.embedder),
        "metadata": json.loads(artifact.metadata or "{}"),
        "profiles": {
            "n": rows(artifact.counts),
            "mean": rows(artifact.mean),
            "success": rows(artifact.success),
            "standard_error": rows(artifact.standard_error),
            "gain_error": rows(artifact.gain_error),
            "cost_usd": rows(artifact.cost),
            "latency_s": rows(artifact.latency),
        },
    }
