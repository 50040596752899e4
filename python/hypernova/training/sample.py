"""Draw a bounded, seeded sample of a table's tasks, whole prompts at a time.

Not here: what is learned from the sample, and what from all tasks (see ``fit``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.table import OutcomeTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hypernova.numeric import Ints
    from hypernova.table import ScannedTable

    Hashes = NDArray[np.uint64]

# Settings are selected, and clusters found, on at most this many tasks: a gain has a standard
# error of a quarter of a point there.
SAMPLE_TASKS = 65_536


@dataclass(frozen=True)
class TaskSample:
    """Some tasks of a table, drawn by their prompts.

    Attributes:
        table: The tasks, in the order of the table.
        different_prompts: Number of different prompts of the whole table.
        whole: Whether these are all tasks of the table.
    """

    table: OutcomeTable
    different_prompts: int
    whole: bool


def hash_prompts(prompts: Sequence[str], seed: int) -> Hashes:
    """Hash prompts, uint64 (n,); equal prompts and seeds have equal hashes."""
    key = seed.to_bytes(16, "little")
    digests = [
        hashlib.blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
        for prompt in prompts
    ]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def sample_rows(hashes: Hashes, size: int) -> Ints:
    """Select the tasks with the smallest hashes, at most ``size``, as rising indices.

    Equal prompts are all in the sample or none is, but for the last one.
    """
    if len(hashes) <= size:
        return np.arange(len(hashes))
    chosen = np.argsort(hashes, kind="stable")[:size]
    return np.sort(chosen)


def draw_sample(
    table: OutcomeTable | ScannedTable,
    seed: int,
    size: int | None = None,
    tick: Callable[[int], None] | None = None,
) -> TaskSample:
    """Draw a sample of a table, in one pass over its chunks.

    Args:
        table: Outcomes.
        seed: Same table and seed, same sample.
        size: Number of tasks, at most; by default `SAMPLE_TASKS`.
        tick: Called with 1 after each chunk of a table that is larger.
    """
    size = SAMPLE_TASKS if size is None else size
    if table.n_tasks <= size:
        whole = table if isinstance(table, OutcomeTable) else table.read()
        return TaskSample(whole, len(set(whole.prompts)), whole=True)
    every: list[Hashes] = []
    kept: list[tuple[Hashes, OutcomeTable]] = []
    bound = np.uint64(2**64 - 1)
    for chunk in table.chunks():
        hashes = hash_prompts(chunk.prompts, seed)
        every.append(hashes)
        below = hashes <= bound
        kept.append((hashes[below], chunk.subset(np.flatnonzero(below))))
        held = np.concatenate([of_part for of_part, _ in kept])
        if len(held) > 2 * size:
            bound = np.partition(held, size)[size]
            kept = [
                (of_part[of_part <= bound], part.subset(np.flatnonzero(of_part <= bound)))
                for of_part, part in kept
            ]
        if tick:
            tick(1)
    pool = OutcomeTable.concatenated([part for _, part in kept])
    rows = sample_rows(np.concatenate([of_part for of_part, _ in kept]), size)
    different = len(np.unique(np.concatenate(every)))
    return TaskSample(pool.subset(rows), different, whole=False)
