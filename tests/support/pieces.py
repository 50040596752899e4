"""A table of three chunks, and what is learned from it with a small sample.

Not here: the checks (`tests/training/test_pieces.py`, `tests/parallel/test_ray.py`).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benches.large_tables import write
from benches.simulated_world import make_world

import hypernova
from hypernova.training import sample, trainer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASKS, SAMPLED = 20_000, 3_000


def write_table(folder: Path, *, tasks: int = TASKS, dim: int | None = 12, **layout: Any) -> Path:
    """Write a simulated table with vectors, or with texts of some twenty words."""
    write(folder, make_world(0, models=4, groups=3, tokens=20, dim=dim), tasks, jobs=1, **layout)
    return folder


@contextmanager
def small_sample() -> Iterator[None]:
    """Learn from a sample of 3,000 tasks what is learned from 65,536."""
    before = sample.SAMPLE_TASKS
    sample.SAMPLE_TASKS = trainer.SAMPLE_TASKS = SAMPLED
    try:
        yield
    finally:
        sample.SAMPLE_TASKS = trainer.SAMPLE_TASKS = before


def fitted(folder: Path, *, scan: bool = True, **options: Any) -> bytes:
    """Fit an artifact to a table, and return its bytes."""
    table: Any
    if scan:
        table = hypernova.OutcomeTable.scan(folder)
    else:
        with hypernova.OutcomeTable.scan(folder) as scanned:
            table = scanned.read()
    with small_sample():
        return hypernova.fit(table, **options).to_bytes()


def evaluated(folder: Path, **options: Any) -> str:
    """Evaluate a sample of a table, and return the report as JSON."""
    table = hypernova.OutcomeTable.scan(folder)
    quick = {"repeats": 1, "folds": 2, "learning_curve": False}
    report = hypernova.evaluate(table, max_tasks=500, **quick, **options)
    return json.dumps(report.to_dict())
