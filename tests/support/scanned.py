"""Write tables in every form that is scanned, in one file or in many, and compare them.

Not here: the forms that `OutcomeTable.read` has, too (tables.py).
"""

from __future__ import annotations

import csv
import gzip
import io
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hypernova.table.outcome_table
import hypernova.table.scan.cursors
import hypernova.table.scan.joined_cursors
import hypernova.table.scan.look_through
from hypernova.errors import TableError
from hypernova.table import OutcomeTable
from support.tables import (
    FULL_HEADER,
    NUMBERS,
    Example,
    assert_one_line,
    assert_same_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTS = (
    hypernova.table.outcome_table,
    hypernova.table.scan.cursors,
    hypernova.table.scan.joined_cursors,
    hypernova.table.scan.look_through,
)


@contextmanager
def chunks_of(n_tasks: int) -> Iterator[None]:
    """Cut chunks of another size inside, so that small tables have several."""
    with pytest.MonkeyPatch.context() as patch:
        for part in PARTS:
            patch.setattr(part, "CHUNK_TASKS", n_tasks)
        yield


def assert_scans_as(path: Path | str, want: OutcomeTable, *, embedding: bool = True) -> None:
    """Assert that a scanned table is the wanted one, whole, by chunks and by single chunks."""
    with OutcomeTable.scan(path) as table:
        assert_same_table(table.read(), want, embedding=embedding)
        facts = ("n_tasks", "n_models", "n_outcomes", "n_chunks", "models", "repeats")
        for fact in facts:
            assert getattr(table, fact) == getattr(want, fact), fact
        if embedding:
            assert table.embedding_dim == want.embedding_dim
            assert (table.embedding_origin is None) == (want.embedding_origin is None)
        chunks = list(table.chunks())
        assert len(chunks) == want.n_chunks
        for index in [*reversed(range(want.n_chunks)), *range(0, want.n_chunks, 2)]:
            chunk = table.chunk(index)
            assert chunk.name == table.name
            for part in (chunks[index], want.chunk(index)):
                assert_same_table(chunk, part, embedding=embedding)


def assert_scan_refused(path: Path | str, *parts: str, **options: Any) -> str:
    """Assert that a table is refused, and return the message, which holds each part."""
    with pytest.raises(TableError) as caught:
        OutcomeTable.scan(path, **options)
    return assert_one_line(caught.value, *parts)


def nested(example: Example, tasks: list[int], shape: str) -> pa.Table:
    """The tasks of an example with their outcomes in the row: a list, a map or a struct."""
    rows = [
        [
            (example.models[model], dict(zip(NUMBERS, numbers, strict=True)))
            for owner, model, *numbers in example.outcomes
            if owner == task
        ]
        for task in tasks
    ]
    outcome = pa.struct([(name, pa.float64()) for name in NUMBERS])
    if shape == "list":
        kind = pa.list_(pa.struct([("model", pa.string()), *outcome]))
        values: list[Any] = [[{"model": m, **o} for m, o in row] for row in rows]
    elif shape == "map":
        kind, values = pa.map_(pa.string(), outcome), rows
    else:
        named = sorted({model for row in rows for model, _ in row})
        kind = pa.struct([(model, outcome) for model in named])
        values = [dict(row) for row in rows]
    columns = {
        "task_id": [example.ids[task] for task in tasks],
        "prompt": [example.prompts[task] for task in tasks],
        "group": pa.array([example.groups[task] for task in tasks], pa.string()),
        "outcomes": pa.array(values, kind),
    }
    if example.embedding is not None:
        vectors = [example.embedding[task] for task in tasks]
        columns["embedding"] = pa.array(vectors, pa.list_(pa.float32()))
    return pa.table(columns)


def cuts(n: int, seed: int) -> list[range]:
    """Ranges that divide `n` rows at random; some may be empty but the first."""
    places = sorted(random.Random(seed).choices(range(1, n + 1), k=2))
    return [range(places[0]), range(places[0], places[1]), range(places[1], n)]


def split_parquet(table: pa.Table, folder: Path, seed: int, name: str = "part") -> Path:
    """Write rows into files of a folder, whose names sort naturally and not as text."""
    folder.mkdir(parents=True)
    for number, part in zip((9, 10, 100), cuts(len(table), seed), strict=True):
        rows = table.slice(part.start, len(part))
        pq.write_table(rows, folder / f"{name}-{number}.parquet", row_group_size=2)
    (folder / "_SUCCESS").touch()
    (folder / ".part-9.parquet.crc").write_bytes(b"crc")
    return folder


def split_lines(lines: list[bytes], folder: Path, seed: int, suffix: str = ".jsonl") -> Path:
    """Write records into files of a folder, all but one of them packed."""
    folder.mkdir(parents=True)
    for number, part in zip((9, 10, 100), cuts(len(lines), seed), strict=True):
        name, content = f"part-{number}{suffix}", b"".join(lines[i] for i in part)
        if number != 10:
            name, content = name + ".gz", gzip.compress(content)
        (folder / name).write_bytes(content)
    return folder


def csv_lines(example: Example, outcomes: list[Any]) -> list[bytes]:
    """The header and the records of a CSV file, which may span lines."""
    found = []
    rows = [
        [
            *(example.ids[task], example.prompts[task], example.groups[task]),
            *(example.models[model], *numbers),
        ]
        for task, model, *numbers in outcomes
    ]
    for row in [FULL_HEADER.split(","), *rows]:
        text = io.StringIO()
        csv.writer(text).writerow("" if value is None else value for value in row)
        found.append(text.getvalue().encode())
    return found
