"""Sum up a table that is not held in memory: a map over its chunks, and a sum.

Not here: where the calls are made (see ``hypernova.parallel``).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from hypernova.errors import FitError
from hypernova.parallel import HERE, pickles
from hypernova.table import CHUNK_TASKS, OutcomeTable
from hypernova.training.embedding import embed_parts, travels
from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.estimates.sums import total
from hypernova.training.placed_tasks import PlacedTasks
from hypernova.training.training_part import TrainingPart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova.embedder import TextEmbedder
    from hypernova.parallel import Mapper
    from hypernova.table import ScannedTable
    from hypernova.training.estimates.sums import Sums
    from hypernova.training.partition import Partition
    from hypernova.training.trainer import TrainingResult


def learn_in_pieces(
    table: OutcomeTable | ScannedTable,
    embedder: TextEmbedder | None,
    learned: TrainingResult,
    mapper: Mapper,
    *,
    progress: bool,
) -> TrainingResult:
    """Learn from all tasks of a table what was learned from a sample, in the same clusters.

    Args:
        table: Outcomes.
        embedder: Embedder of the prompts; None for vectors of the table.
        learned: Learned from a sample, with its setting and clusters.
        mapper: Where the chunks are read, embedded and summed up.
        progress: Show a progress bar for steps longer than a second.

    Raises:
        FitError: The embedder cannot be sent to a Ray cluster.
    """
    if embedder is not None and not travels(embedder):
        if mapper.engine == "ray" and not pickles(embedder):
            raise FitError(
                f"the embedder {embedder.name} cannot be sent to a Ray cluster: define its "
                "function in a module that every node can import"
            )
        if mapper.engine == "local":
            mapper = HERE
    settled = embedder, learned.partition
    calls: Iterator[partial[Sums]]
    if isinstance(table, OutcomeTable):
        shared: tuple[object, ...] = embedder, learned.partition  # each call has its own tasks
        calls = (partial(sum_tasks, chunk, *settled, i) for i, chunk in enumerate(table.chunks()))
    else:  # read where it is summed up
        shared = table, embedder, learned.partition
        calls = (partial(sum_chunk, table, *settled, i) for i in range(table.n_chunks))
    parts = mapper.map(
        calls,
        total=table.n_chunks,
        description=f"learning from {table.n_tasks:,} tasks",
        progress=progress,
        shared=shared,
    )
    with closing(parts):
        # In the order of the chunks, whoever is done first: the last bits depend on it.
        sums = total(parts)
    # The clusters are those of the sample, from which held-out distances were measured.
    names = learned.part.group_names
    part = TrainingPart(table.models, sums, learned.part.found, names)
    return replace(learned, part=part, placed=None)


def sum_chunk(
    table: ScannedTable,
    embedder: TextEmbedder | None,
    partition: Partition,
    chunk: int,
) -> Sums:
    """Read a chunk of a table, and sum it up; arguments as for `sum_tasks`."""
    return sum_tasks(table.chunk(chunk), embedder, partition, chunk)


def sum_tasks(
    tasks: OutcomeTable,
    embedder: TextEmbedder | None,
    partition: Partition,
    chunk: int,
) -> Sums:
    """Embed the tasks of a chunk, place them in cells, and sum them up.

    Args:
        tasks: The chunk.
        embedder: Embedder of the prompts; None for vectors of the table.
        partition: Cells of the tasks.
        chunk: Index of the chunk, for messages.
    """
    vectors = tasks.embedding
    if embedder is not None:
        vectors = embed_parts(embedder, tasks.prompts, first=chunk * CHUNK_TASKS)
    assert vectors is not None  # there is an embedder, or the table has vectors
    placed = PlacedTasks.of(tasks, vectors, partition, Coordinates(vectors))
    # The best single model is known at the end, so gains are summed over each.
    return placed.sums(range(tasks.n_models))
