"""What several commands print of an artifact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypernova import Artifact


def print_summary(artifact: Artifact) -> None:
    """What an artifact is and how it did, each figure labelled."""
    metadata: dict[str, Any] = json.loads(artifact.metadata or "{}")
    identity = json.loads(artifact.embedder)
    print(
        f"{artifact.clusters} clusters, {len(artifact.models)} models, "
        f"default {artifact.default_model}, embedder {identity['name']}"
    )
    if "in_sample" in metadata:
        figures = metadata["in_sample"]
        print(
            f"in-sample accuracy        {figures['accuracy']:.4f} with {figures['models_used']} "
            f"models; best single {figures['best_single']:.4f} ({figures['best_single_model']})\n"
            "                          rates and test are the same tasks: "
            "this says nothing about new ones"
        )
    if "selection" in metadata:
        figures = metadata["selection"]
        print(
            f"cross-validated accuracy  {figures['accuracy']:.4f}; "
            f"best single of each fold {figures['best_single']:.4f}\n"
            f"                          {figures['folds']} folds, {figures['repeats']} times; they "
            "also chose the setting, so slightly too good"
        )
