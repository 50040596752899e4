"""Read the metadata of an artifact, which any program may have written.

Not here: the metadata that fitting and changing an artifact write.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypernova._core import Artifact


def metadata_of(artifact: Artifact) -> dict[str, Any]:
    """Give the metadata of an artifact; empty where they are no JSON object."""
    try:
        metadata = json.loads(artifact.metadata or "{}")
    except (ValueError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def words_of(artifact: Artifact) -> list[list[str]] | None:
    """Give the distinctive words of each cluster; None if the artifact holds none."""
    words = metadata_of(artifact).get("words")
    if (
        isinstance(words, list)
        and len(words) == artifact.n_clusters
        and all(isinstance(row, list) and all(isinstance(w, str) for w in row) for row in words)
    ):
        return words
    return None
