"""From the prompts of a table to vectors.

Not here: embedders themselves (see ``hypernova.embedder``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.embedder import SkipSharedEmbedder, open_embedder
from hypernova.embedder.skip import FIELD
from hypernova.errors import EmbedderMismatchError, FitError
from hypernova.progress import bar
from hypernova.training.assemble import vectors_identity
from hypernova.training.shared_text import SharedText, find_shared

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from hypernova.embedder import Device, SharedParts, TextEmbedder
    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable


def open_for(
    table: OutcomeTable,
    embedder: str | os.PathLike[str] | TextEmbedder,
    *,
    skip_shared: bool,
    device: Device = "cpu",
) -> tuple[TextEmbedder | None, SharedText]:
    """Open the embedder of a table, and find what its prompts share.

    Returns:
        The embedder, None if the table holds vectors; with ``skip_shared`` it leaves out what
        was found. And what was found: nothing, where the embedder skips shared text already.

    Raises:
        EmbedderMismatchError: ``skip_shared``, and the table holds vectors.
        ValueError: ``skip_shared``, and the embedder skips shared text already.
    """
    if table.embedding is not None:
        if skip_shared:
            raise EmbedderMismatchError(
                f"the table {table.name} brings vectors, so nothing can be left out of its "
                "prompts; leave skip_shared out or drop the embedding column"
            )
        return None, SharedText(None, table.n_tasks)
    opened = open_embedder(embedder, device=device)
    if not skip_shared and FIELD in opened.identity:
        return opened, SharedText(None, table.n_tasks)
    shared = find_shared(table.prompts)
    if skip_shared and shared.parts is not None:
        return SkipSharedEmbedder(opened, shared.parts), shared
    return opened, shared


def embed_table(
    table: OutcomeTable,
    embedder: str | os.PathLike[str] | TextEmbedder,
    structure: Sequence[str] | None,
    progress: bool,
    *,
    device: Device = "cpu",
) -> tuple[Floats, Floats | None, Mapping[str, object]]:
    """Give the vectors of a table and of structure prompts, and who made them.

    Returns:
        float32 (tasks, dim), the same for ``structure`` or None, and the identity
        for the artifact.
    """
    if table.embedding is not None:
        if structure is not None:
            raise EmbedderMismatchError(
                f"the table {table.name} brings vectors, so structure prompts cannot be embedded "
                "to match; leave structure out or drop the embedding column"
            )
        origin = table.embedding_origin or f"embedding column of {table.name}"
        return table.embedding, None, vectors_identity(origin, table.embedding.shape[1])
    if structure is not None and not len(structure):
        raise FitError("structure holds no prompts; pass at least one")
    used = open_embedder(embedder, device=device)
    texts = [*table.prompts, *(structure or ())]
    with bar(len(texts), f"embedding with {used.name}", progress) as tick:
        vectors = used.embed(texts, progress=tick)
    identity = {**used.identity, "kind": "text", "fingerprint": used.fingerprint}
    n = table.n_tasks
    return vectors[:n], None if structure is None else vectors[n:], identity


def embed_left(
    table: OutcomeTable,
    embedder: TextEmbedder,
    parts: SharedParts,
    structure: Sequence[str] | None,
    vectors: Floats,
    structure_vectors: Floats | None,
    progress: bool,
) -> tuple[Floats, Floats | None]:
    """Give the vectors of `embed_table` as they are without the shared parts."""
    texts, before = [*table.prompts, *(structure or ())], vectors
    if structure_vectors is not None:
        before = np.concatenate([vectors, structure_vectors])
    with bar(len(texts), "embedding without the shared text", progress) as tick:
        left = vectors_left(embedder, texts, before, parts, tick)
    n = table.n_tasks
    return left[:n], None if structure_vectors is None else left[n:]


def texts_read(embedder: TextEmbedder) -> Callable[[str], str]:
    """Give what an embedder reads a text as: without the shared parts that it skips."""
    return embedder.parts.left if isinstance(embedder, SkipSharedEmbedder) else str


def vectors_left(
    embedder: TextEmbedder,
    texts: Sequence[str],
    vectors: Floats,
    parts: SharedParts,
    tick: Callable[[int], None] | None = None,
) -> Floats:
    """Embed again what loses something without the shared parts; the other vectors stay.

    Args:
        embedder: Which made the vectors; it skips nothing.
        texts: n of them.
        vectors: float32 (n, dim), of the whole texts.
        parts: What is left out.
        tick: Called with the number of texts that are newly done.

    Returns:
        float32 (n, dim).
    """
    left = [parts.left(text) for text in texts]
    changed = [i for i, (text, rest) in enumerate(zip(texts, left, strict=True)) if text != rest]
    found = vectors.copy()
    if tick is not None:
        tick(len(texts) - len(changed))
    if changed:
        found[changed] = embedder.embed([left[i] for i in changed], progress=tick)
    return found
