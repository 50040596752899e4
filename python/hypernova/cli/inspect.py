"""`hypernova inspect`: show the content of an artifact.

Not here: held-out figures, which need outcomes: `hypernova evaluate` has them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import hypernova
from hypernova.artifact.metadata import words_of
from hypernova.cli.streams import print_json, wants_colour
from hypernova.cli.summary import heat_map, print_summary
from hypernova.errors import EmbedderMismatchError
from hypernova.router import BUNDLED_ARTIFACT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from hypernova import Artifact
    from hypernova.cli.arguments import Commands
    from hypernova.training.clustering.describe import Description


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("inspect")
    parser.add_argument(
        "artifact", metavar="ROUTER.hnv", nargs="?", help="by default the bundled artifact"
    )
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="an outcome table: also show the prompts most typical of each cluster",
    )
    parser.set_defaults(run=_inspect)


def _inspect(arguments: argparse.Namespace) -> None:
    artifact = hypernova.Artifact.open(
        BUNDLED_ARTIFACT if arguments.artifact is None else arguments.artifact
    )
    described = None if arguments.data is None else _described(artifact, arguments.data)
    if arguments.json:
        print_json(_inspection(artifact, described))
        return
    print_summary(artifact)
    print()
    print("\n".join(heat_map(artifact, colour=wants_colour())))
    _print_descriptions(artifact, described)


def _described(artifact: Artifact, data: str) -> list[Description]:
    """Describe the artifact's clusters by the prompts of a table."""
    import numpy as np

    from hypernova.artifact.decisions import NO_LIMITS
    from hypernova.progress import progress_bar
    from hypernova.training.clustering.describe import describe
    from hypernova.training.embedding import texts_read

    table = hypernova.OutcomeTable.read(data)
    texts: Sequence[str] = table.prompts
    if artifact.embedder["kind"] == "vectors":
        vectors = table.embedding
        if vectors is None or vectors.shape[1] != artifact.dim:
            raise EmbedderMismatchError(
                f"{data}: the artifact routes vectors of {artifact.dim} dimensions and no text, "
                "and the table has none of that dimension; give the table that it was fitted on"
            )
    else:
        embedder = hypernova.Router(artifact).embedder
        texts = texts_read(table, embedder)
        what = f"embedding with {embedder.name}"
        with progress_bar(table.n_tasks, what, sys.stderr.isatty()) as tick:
            vectors = embedder.embed(list(table.prompts), progress=tick)
    # Without limits: each prompt belongs to its nearest cluster, whichever models remain there.
    clusters = artifact.decide_many(np.ascontiguousarray(vectors), **NO_LIMITS).clusters
    return describe(texts, vectors, artifact.centroids, clusters)


def _print_descriptions(artifact: Artifact, described: list[Description] | None) -> None:
    from hypernova.training.clustering.describe import one_line

    words = words_of(artifact) if described is None else [d.words for d in described]
    if words is None:
        print("\nthe artifact holds no distinctive words; --data DATA finds them")
        return
    print("\ndistinctive words" + ("" if described is None else " and most typical prompts"))
    for cluster, distinctive in enumerate(words):
        text = " ".join(one_line(word) for word in distinctive)
        print(f"{cluster:4d}  {text or '(no distinctive word)'}")
        if described is not None:
            for prompt in described[cluster].prompts:
                print(f"      - {one_line(prompt, 72)}")


def _inspection(artifact: Artifact, described: list[Description] | None) -> dict[str, Any]:
    def json_rows(values: Any) -> Any:
        return [[None if v != v else v for v in row] for row in values.tolist()]  # NaN: unknown

    from hypernova.artifact.decisions import decisions_or_none

    words = words_of(artifact) if described is None else [d.words for d in described]
    # Under the artifact's own limits, as for a caller without options.
    chosen = decisions_or_none(artifact, artifact.centroids)
    return {
        "version": list(artifact.version),
        "sha256": artifact.sha256,
        "clusters": artifact.n_clusters,
        "dim": artifact.dim,
        "models": list(artifact.models),
        "default_model": artifact.default_model,
        "policy": artifact.policy,
        "sharpness": artifact.sharpness,
        "nearest": artifact.n_nearest,
        "lifted": artifact.slopes is not None,
        "groups": artifact.groups,
        "embedder": artifact.embedder,
        "metadata": artifact.metadata,
        "profiles": {
            "n": json_rows(artifact.counts),
            "mean": json_rows(artifact.mean),
            "success": json_rows(artifact.success),
            "standard_error": json_rows(artifact.standard_error),
            "gain_error": json_rows(artifact.gain_error),
            "cost_usd": json_rows(artifact.cost),
            "latency_s": json_rows(artifact.latency),
        },
        "descriptions": [
            {
                "cluster": cluster,
                "model": None if decision is None else decision.model,
                "reason": "no_candidate" if decision is None else decision.reason,
                "words": None if words is None else words[cluster],
                "prompts": None if described is None else described[cluster].prompts,
            }
            for cluster, decision in enumerate(chosen)
        ],
    }
