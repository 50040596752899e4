"""Embed the prompts of an outcome table.

Not here: embedders (see ``hypernova.embedder``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.metadata import vectors_identity
from hypernova.embedder import SkipSharedEmbedder, open_embedder
from hypernova.embedder.shared_text import SHARED_TEXT_FIELD
from hypernova.errors import EmbedderMismatchError, FitError
from hypernova.progress import progress_bar
from hypernova.training.shared_text import SharedText, find_shared_text

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
    """Open the embedder for a table, and find the shared text of its prompts.

    Args:
        table: Whose prompts are to be embedded.
        embedder: As in `fit`.
        skip_shared: Whether the embedder leaves the shared text out.
        device: As in `fit`.

    Returns:
        The embedder, None if the table holds vectors; and the shared text, empty where the
        table holds vectors or the embedder skips shared text already.

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
    if not skip_shared and SHARED_TEXT_FIELD in opened.identity:
        return opened, SharedText(None, table.n_tasks)
    shared = find_shared_text(table.prompts)
    if skip_shared and shared.parts is not None:
        return SkipSharedEmbedder(opened, shared.parts), shared
    return opened, shared


def embed_table(
    table: OutcomeTable,
    embedder: str | os.PathLike[str] | TextEmbedder,
    cluster_prompts: Sequence[str] | None,
    progress: bool,
    *,
    device: Device = "cpu",
) -> tuple[Floats, Floats | None, Mapping[str, object]]:
    """Embed the prompts of a table, and those to cluster on instead, if any.

    Args:
        table: Its own vectors are used if it holds some.
        embedder: As in `fit`.
        cluster_prompts: As in `fit`.
        progress: Show a progress bar for steps longer than a second.
        device: As in `fit`.

    Returns:
        Vectors of the tasks, float32 (tasks, dim); vectors of ``cluster_prompts``, float32
        (prompts, dim), or None; and the embedder's identity for the artifact.

    Raises:
        EmbedderMismatchError: The table holds vectors and ``cluster_prompts`` are given.
        FitError: ``cluster_prompts`` is empty.
    """
    if table.embedding is not None:
        if cluster_prompts is not None:
            raise EmbedderMismatchError(
                f"the table {table.name} brings vectors, so cluster_prompts cannot be embedded "
                "to match; leave cluster_prompts out or drop the embedding column"
            )
        origin = table.embedding_origin or f"embedding column of {table.name}"
        return table.embedding, None, vectors_identity(origin, table.embedding.shape[1])
    if cluster_prompts is not None and not len(cluster_prompts):
        raise FitError("cluster_prompts holds no prompts; pass at least one")
    used = open_embedder(embedder, device=device)
    texts = [*table.prompts, *(cluster_prompts or ())]
    with progress_bar(len(texts), f"embedding with {used.name}", progress) as tick:
        vectors = used.embed(texts, progress=tick)
    identity = {**used.identity, "kind": "text", "fingerprint": used.fingerprint}
    n = table.n_tasks
    return vectors[:n], None if cluster_prompts is None else vectors[n:], identity


def embed_without(
    table: OutcomeTable,
    embedder: TextEmbedder,
    parts: SharedParts,
    cluster_prompts: Sequence[str] | None,
    vectors: Floats,
    cluster_vectors: Floats | None,
    progress: bool,
) -> tuple[Floats, Floats | None]:
    """Embed again what `embed_table` embedded, without the shared parts.

    Args:
        table: Outcomes.
        embedder: Which made the vectors; it skips nothing.
        parts: Shared parts to leave out.
        cluster_prompts: As in `embed_table`.
        vectors: float32 (tasks, dim), of the whole prompts.
        cluster_vectors: float32 (prompts, dim), of the whole ``cluster_prompts``, or None.
        progress: Show a progress bar for steps longer than a second.

    Returns:
        Vectors of the tasks and of ``cluster_prompts``, in the shapes given.
    """
    texts, before = [*table.prompts, *(cluster_prompts or ())], vectors
    if cluster_vectors is not None:
        before = np.concatenate([vectors, cluster_vectors])
    with progress_bar(len(texts), "embedding without the shared text", progress) as tick:
        without = vectors_without(embedder, texts, before, parts, tick)
    n = table.n_tasks
    return without[:n], None if cluster_vectors is None else without[n:]


def text_reader(embedder: TextEmbedder) -> Callable[[str], str]:
    """Return the function that leaves out of a text the shared parts that an embedder skips."""
    return embedder.parts.remaining if isinstance(embedder, SkipSharedEmbedder) else str


def vectors_without(
    embedder: TextEmbedder,
    texts: Sequence[str],
    vectors: Floats,
    parts: SharedParts,
    tick: Callable[[int], None] | None = None,
) -> Floats:
    """Embed again the texts that have shared parts, without these; other vectors stay.

    Args:
        embedder: Which made the vectors; it skips nothing.
        texts: n texts.
        vectors: float32 (n, dim), of the whole texts.
        parts: Shared parts to leave out.
        tick: Called with the number of texts that are newly done.

    Returns:
        float32 (n, dim).
    """
    rests = [parts.remaining(text) for text in texts]
    changed = [i for i, (text, rest) in enumerate(zip(texts, rests, strict=True)) if text != rest]
    found = vectors.copy()
    if tick is not None:
        tick(len(texts) - len(changed))
    if changed:
        found[changed] = embedder.embed([rests[i] for i in changed], progress=tick)
    return found
