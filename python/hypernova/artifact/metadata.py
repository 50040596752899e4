"""Metadata of an artifact, which any program may have written: what of it can be relied on.

Not here: the metadata that fitting and changing an artifact write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypernova._core import Artifact


def is_object(artifact: Artifact) -> bool:
    """Tell whether the metadata is a JSON object, or absent, so that a field can be added to it.

    Args:
        artifact: Its ``metadata`` is an empty dict either way.
    """
    return bool(artifact.metadata) or "".join(artifact.metadata_json.split()) in ("", "{}")


def words_of(artifact: Artifact) -> list[list[str]] | None:
    """Read the distinctive words of each cluster.

    Returns:
        A list of words for each cluster; None if the metadata has none, or of another form.
    """
    words = artifact.metadata.get("words")
    if (
        isinstance(words, list)
        and len(words) == artifact.n_clusters
        and all(isinstance(row, list) and all(isinstance(w, str) for w in row) for row in words)
    ):
        return words
    return None
