"""Embed prompts with the embedder that an artifact was fitted with.

Not here: routing; a router holds its embedder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.embedder import open_embedder
from hypernova.embedder.resolve import load_bundled_for, match_embedder
from hypernova.errors import EmbedderMismatchError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable


def vectors_of_table(
    artifact: Artifact,
    table: OutcomeTable,
    embedder: str | os.PathLike[str] | TextEmbedder | None,
    device: Device,
) -> Floats:
    """Return the vectors of a table's prompts for an artifact, float32 (tasks, dim).

    For an artifact that routes vectors only, the table must bring them. For any other the
    prompts are embedded even if the table brings vectors, which may be of another origin.

    Raises:
        EmbedderMismatchError: The table brings no such vectors, or the embedder is not the
            artifact's.
    """
    identity = artifact.embedder
    if identity["kind"] == "text":
        return embed_for(artifact, table.prompts, embedder, device)
    vectors = table.embedding
    if vectors is None or vectors.shape[1] != artifact.dim:
        found = "no embedding" if vectors is None else f"vectors of {vectors.shape[1]} dimensions"
        raise EmbedderMismatchError(
            f"the artifact routes vectors of {artifact.dim} dimensions only ({identity['name']}), "
            f"and the table {table.name} brings {found}; add a column embedding of that origin"
        )
    return np.ascontiguousarray(vectors)


def embed_for(
    artifact: Artifact,
    texts: Sequence[str],
    embedder: str | os.PathLike[str] | TextEmbedder | None,
    device: Device,
) -> Floats:
    """Embed texts with the artifact's embedder, float32 (n, dim).

    Raises:
        EmbedderMismatchError: The artifact routes vectors only, or the embedder is not its own.
    """
    identity = artifact.embedder
    if embedder is None:
        used: TextEmbedder = load_bundled_for(identity, device=device)
    else:
        used = match_embedder(identity, open_embedder(embedder, device=device))
    return used.embed(list(texts))
