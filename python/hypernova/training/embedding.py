"""Embed the prompts of an outcome table.

Not here: embedders (see ``hypernova.embedder``).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.metadata import vectors_identity
from hypernova.embedder import SkipSharedEmbedder, open_embedder
from hypernova.embedder.shared_text import SHARED_TEXT_FIELD
from hypernova.errors import EmbedderMismatchError, FitError
from hypernova.parallel import HERE, pickles
from hypernova.progress import progress_bar
from hypernova.training.shared_text import SharedText, find_shared_text

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from hypernova.embedder import Device, SharedParts, TextEmbedder
    from hypernova.numeric import Floats
    from hypernova.parallel import Mapper
    from hypernova.table import OutcomeTable

# Texts that are embedded together, and their number from which other processes, each with an
# embedder of its own in memory, pay.
PART_TEXTS, MIN_PARALLEL_TEXTS = 2048, 32_768


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


@dataclass(frozen=True)
class EmbeddedTable:
    """The vectors of a table's prompts, and those to find clusters on instead, if any.

    Attributes:
        vectors: Of the tasks, float32 (tasks, dim).
        cluster_vectors: Of the cluster prompts, float32 (prompts, dim), or None.
        identity: Identity of the embedder, for the artifact.
    """

    vectors: Floats
    cluster_vectors: Floats | None
    identity: Mapping[str, object]


def embed_table(
    table: OutcomeTable,
    embedder: TextEmbedder | None,
    cluster_prompts: Sequence[str] | None,
    progress: bool,
    *,
    mapper: Mapper = HERE,
) -> EmbeddedTable:
    """Embed the prompts of a table, and those to cluster on instead, if any.

    Args:
        table: Its own vectors are used if it holds some.
        embedder: From `open_for`.
        cluster_prompts: As in `fit`.
        progress: Show a progress bar for steps longer than a second.
        mapper: Where many prompts are embedded.

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
        identity = vectors_identity(origin, table.embedding.shape[1])
        return EmbeddedTable(table.embedding, None, identity)
    if cluster_prompts is not None and not len(cluster_prompts):
        raise FitError("cluster_prompts holds no prompts; pass at least one")
    assert embedder is not None  # the table holds no vectors
    vectors = embed_texts(embedder, table.prompts, mapper, progress)
    cluster_vectors = None
    if cluster_prompts is not None:
        cluster_vectors = embed_texts(embedder, cluster_prompts, mapper, progress)
    identity = {**embedder.identity, "kind": "text", "fingerprint": embedder.fingerprint}
    return EmbeddedTable(vectors, cluster_vectors, identity)


def embed_texts(
    embedder: TextEmbedder, texts: Sequence[str], mapper: Mapper, progress: bool
) -> Floats:
    """Embed texts in parts, which may be embedded elsewhere, float32 (texts, dim).

    The vector of a text may depend, in its last bits, on the texts that are embedded with it;
    parts are the same ones wherever they are embedded.

    Args:
        embedder: An open embedder.
        texts: At least one text.
        mapper: Where many texts are embedded, if the embedder runs on the CPU and pickles.
        progress: Show a progress bar for steps longer than a second.
    """
    description = f"embedding with {embedder.name}"
    if mapper.here or len(texts) < MIN_PARALLEL_TEXTS or not travels(embedder):
        with progress_bar(len(texts), description, progress) as tick:
            return embed_parts(embedder, texts, tick=tick)
    starts = range(0, len(texts), PART_TEXTS)
    parts = mapper.map(
        (partial(embed_parts, embedder, texts[i : i + PART_TEXTS], first=i) for i in starts),
        total=len(starts),
        description=description,
        progress=progress,
        shared=(embedder,),
    )
    vectors = np.empty((len(texts), embedder.dim), dtype=np.float32)
    with closing(parts):
        for i, part in zip(starts, parts, strict=True):
            vectors[i : i + PART_TEXTS] = part
    return vectors


def embed_parts(
    embedder: TextEmbedder,
    texts: Sequence[str],
    *,
    first: int = 0,
    tick: Callable[[int], None] | None = None,
) -> Floats:
    """Embed texts in parts, in this process.

    Args:
        embedder: An open embedder.
        texts: At least one text.
        first: Index of the first text, for messages.
        tick: Called with the number of texts that are newly done.
    """
    vectors = np.empty((len(texts), embedder.dim), dtype=np.float32)
    for i in range(0, len(texts), PART_TEXTS):
        part = texts[i : i + PART_TEXTS]
        indices = range(first + i, first + i + len(part))
        vectors[i : i + PART_TEXTS] = embedder._embed_indexed(part, indices, tick)
    return vectors


def travels(embedder: TextEmbedder) -> bool:
    """Return whether an embedder can and should run in several processes of this machine."""
    return getattr(embedder._innermost(), "device", "cpu") == "cpu" and pickles(embedder)


def embed_without(
    table: OutcomeTable,
    embedder: TextEmbedder,
    parts: SharedParts,
    cluster_prompts: Sequence[str] | None,
    whole: EmbeddedTable,
    progress: bool,
) -> EmbeddedTable:
    """Embed again what `embed_table` embedded, without the shared parts.

    Args:
        table: Outcomes.
        embedder: Which made the vectors; it skips nothing.
        parts: Shared parts to leave out.
        cluster_prompts: As in `embed_table`.
        whole: Of the whole prompts.
        progress: Show a progress bar for steps longer than a second.
    """
    texts, before = [*table.prompts, *(cluster_prompts or ())], whole.vectors
    if whole.cluster_vectors is not None:
        before = np.concatenate([before, whole.cluster_vectors])
    with progress_bar(len(texts), "embedding without the shared text", progress) as tick:
        without = vectors_without(embedder, texts, before, parts, tick)
    n = table.n_tasks
    clustered = None if whole.cluster_vectors is None else without[n:]
    return EmbeddedTable(without[:n], clustered, whole.identity)


def texts_read(table: OutcomeTable, embedder: TextEmbedder | None) -> Sequence[str]:
    """Return a table's prompts without the shared parts that an embedder skips."""
    if isinstance(embedder, SkipSharedEmbedder):
        return list(map(embedder.parts.remaining, table.prompts))
    return table.prompts


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
