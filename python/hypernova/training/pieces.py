"""Sum up a table that is not held in memory: a map over its chunks, and a sum.

Not here: where the calls are made (see ``hypernova.parallel``).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from hypernova.training.embedding import embed_parts
from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.estimates.sums import total
from hypernova.training.placed_tasks import Located, PlacedTasks

if TYPE_CHECKING:
    from hypernova.embedder import TextEmbedder
    from hypernova.parallel import Workers
    from hypernova.table import OutcomeTable, ScannedTable
    from hypernova.table.scanned import CHUNK_TASKS
    from hypernova.training.clustering.clusters import Clusters
    from hypernova.training.estimates.sums import Sums
    from hypernova.training.trainer import TrainingResult


def learn_in_pieces(
    table: OutcomeTable | ScannedTable,
    embedder: TextEmbedder | None,
    learned: TrainingResult,
    workers: Workers,
    *,
    progress: bool,
) -> TrainingResult:
    """Learn from all tasks of a table what was learned from a sample, in the same clusters.

    Args:
        table: Outcomes.
        embedder: Embedder of the prompts; None for vectors of the table.
        learned: Learned from a sample, with its setting and clusters.
        workers: Where the chunks are read, embedded and summed up.
        progress: Show a progress bar for steps longer than a second.
    """
    shared = (table, embedder, learned.found)
    corrected = learned.setting.ridge is not None
    parts = workers.map(
        (partial(sum_chunk, *shared, corrected, chunk) for chunk in range(table.n_chunks)),
        total=table.n_chunks,
        description=f"learning from {table.n_tasks:,} tasks",
        progress=progress,
        shared=shared,
    )
    with closing(parts):
        # In the order of the chunks, whoever is done first: the last bits depend on it.
        sums = total(parts)
    return replace(learned, sums=sums, basis=None, placed=None)


def sum_chunk(
    table: OutcomeTable | ScannedTable,
    embedder: TextEmbedder | None,
    found: Clusters,
    corrected: bool,
    chunk: int,
) -> Sums:
    """Read, embed, assign and sum up one chunk of a table.

    Args:
        table: Outcomes.
        embedder: Embedder of the prompts; None for vectors of the table.
        found: Clusters.
        corrected: Whether a linear correction is learned too.
        chunk: Index of the chunk.
    """
    tasks = table.chunk(chunk)
    vectors = tasks.embedding
    if embedder is not None or vectors is None:
        assert embedder is not None  # or the table has vectors
        vectors = embed_parts(embedder, tasks.prompts, first=chunk * CHUNK_TASKS)
    placed = PlacedTasks(tasks, Coordinates(vectors), Located.of(vectors, found))
    # The best single model is known at the end, so gains are summed over each.
    return placed.sums(range(table.n_models), corrected=corrected)
