"""Put the outcomes of a table into the order of its tasks, with DuckDB.

Not here: DuckDB's settings (`duckdb_session`), and reading the result (`joined_cursors`).

DuckDB gets ids, numbers and places, and of each long row a digest of its prompt, group and vector:
the texts themselves stay in their files.
"""

from __future__ import annotations

import dataclasses
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.errors import MissingExtraError
from hypernova.table.checks import no_tasks, repeated_task, unknown_task
from hypernova.table.columns import OUTCOME_NUMBERS, SELDOM_NUMBERS
from hypernova.table.formats.parquet import import_pyarrow, outcomes_of_columns
from hypernova.table.scan.cursors import columns_of
from hypernova.table.scan.duckdb_session import (
    MEMORY_LIMITS,
    OutOfMemoryError,
    import_duckdb,
    open_duckdb,
)
from hypernova.table.scan.files import DataFile, DataFiles
from hypernova.table.scan.ids import refuse_repeated, task_ids
from hypernova.table.scan.joined_cursors import (
    OUTCOME_FIELDS,
    OUTCOME_FILE,
    TASK_FILE,
    JoinedFiles,
)
from hypernova.table.scan.long_rows import long_rows, refuse_clash
from hypernova.table.scan.parquet_stream import ParquetStream
from hypernova.table.scan.scratch import writing_scratch
from hypernova.table.scan.seen_ids import SeenIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hypernova.table.columns import OutcomeColumns
    from hypernova.table.scan.forms import TableForm

_ROWS = 65536


def join(form: TableForm, folder: Path) -> TableForm:
    """Return a form with its outcomes joined to its tasks.

    Args:
        form: The files.
        folder: Folder to write to; what is in it afterwards, `joined` of the form names.

    Raises:
        TableError: an outcome's task is nowhere, or two rows of one task differ.
        TableWriteError: the folder cannot be written to.
        MissingExtraError: DuckDB is not installed.
    """
    run = _join_long if form.is_long else _join_apart
    for memory in MEMORY_LIMITS:
        place = folder / memory
        try:
            with writing_scratch(folder):
                place.mkdir()
                return dataclasses.replace(form, joined=run(form, place, memory))
        except OutOfMemoryError:
            shutil.rmtree(place)
    raise AssertionError("the last limit ends in another error")


def _join_apart(form: TableForm, folder: Path, memory: str) -> JoinedFiles:
    tasks, outcomes = form.files.tasks, form.files.outcomes
    assert outcomes is not None
    pa = import_pyarrow(tasks.source)
    seen = _distinct_ids(form)
    try:
        import_duckdb(tasks.source)
    except MissingExtraError:
        # A table with such a row, in order otherwise, would be well without DuckDB.
        _refuse_unknown_tasks(form, seen)
        raise
    models: dict[str, int] = {}

    def task_batches() -> Iterator[Any]:
        first = 0
        for ids, _ in task_ids(tasks):
            n = len(ids.codes)
            yield pa.record_batch([_texts(pa, ids), np.arange(first, first + n)], schema=of_tasks)
            first += n

    def outcome_batches() -> Iterator[Any]:
        for ids, columns in _outcomes_apart(form):
            values = _values(columns, models, fields)
            yield pa.record_batch([_texts(pa, ids), *values], schema=of_outcomes)

    fields = _outcome_fields(form)
    of_tasks = pa.schema([("id", pa.large_string()), ("task", pa.int64())])
    of_outcomes = pa.schema([("id", pa.large_string()), *_value_fields(pa, fields)])
    with open_duckdb(tasks.source, pa, folder, memory) as session:
        session.give("tasks", of_tasks, task_batches)
        session.give("outcomes", of_outcomes, outcome_batches)
        rows = session.rows(
            f"SELECT t.task, {_from_outcomes(fields)}, "  # noqa: S608
            "CASE WHEN t.task IS NULL THEN o.id END AS id "
            "FROM outcomes o LEFT JOIN tasks t ON o.id = t.id ORDER BY t.task NULLS FIRST, o.place"
        )
        with _written(pa, folder / OUTCOME_FILE, _outcome_schema(pa, fields)) as write:
            for batch in rows:
                if batch.column("task").null_count:
                    unknown, place = batch.column("id")[0].as_py(), batch.column("place")[0].as_py()
                    raise unknown_task(unknown, outcomes.source, place, _name(tasks))
                write(batch.select(list(fields)))
    return JoinedFiles(_file(folder / OUTCOME_FILE), fields, tuple(models))


def _outcomes_apart(form: TableForm) -> Iterator[tuple[Any, OutcomeColumns]]:
    files, layout = form.files.outcomes, form.outcome_layout
    assert files is not None
    assert layout is not None
    pa = import_pyarrow(files.source)
    with ParquetStream(files, layout.columns) as stream:
        while parts := stream.take(_ROWS):
            file = columns_of(pa, parts, files.source, layout.kinds)
            ids = file.texts("task_id", integers=True)
            yield ids, outcomes_of_columns(file, ids.codes)


def _distinct_ids(form: TableForm) -> SeenIds:
    """Return the ids of all tasks; each must stand once, or the join would multiply outcomes."""
    source = form.files.tasks.source
    seen = SeenIds()
    n_tasks = 0
    for ids, places in task_ids(form.files.tasks):
        first = ids.first_rows()
        again = np.flatnonzero(first[ids.codes] != np.arange(len(ids.codes)))
        for row in again[:1].tolist():
            code = ids.codes[row]
            earlier = int(places[first[code]])
            raise repeated_task(ids.values[code], source, int(places[row]), earlier)
        refuse_repeated(form, ids.texts(), places, seen)
        n_tasks += len(places)
    if not n_tasks:
        raise no_tasks(source)
    return seen


def _refuse_unknown_tasks(form: TableForm, seen: SeenIds) -> None:
    """Raise for an outcome whose task is nowhere."""
    tasks, outcomes = form.files.tasks, form.files.outcomes
    assert outcomes is not None
    for ids, places in task_ids(outcomes):
        unknown = ~seen.knows(ids.values)
        if unknown.any():
            row = int(np.flatnonzero(unknown[ids.codes])[0])
            task_id = ids.values[ids.codes[row]]
            raise unknown_task(task_id, outcomes.source, int(places[row]), _name(tasks))


def _join_long(form: TableForm, folder: Path, memory: str) -> JoinedFiles:
    source = form.files.tasks.source
    pa = import_pyarrow(source)
    models: dict[str, int] = {}

    def batches() -> Iterator[Any]:
        for rows in long_rows(form):
            digests = [rows.digests[:, 0], rows.digests[:, 1]]
            values = _values(rows.outcomes, models, fields)
            yield pa.record_batch([_texts(pa, rows.ids), *digests, *values], schema=given)

    fields = _outcome_fields(form)
    digest_fields = [("digest_a", pa.int64()), ("digest_b", pa.int64())]
    given = pa.schema([("id", pa.large_string()), *digest_fields, *_value_fields(pa, fields)])
    with open_duckdb(source, pa, folder, memory) as session:
        session.give("given", given, batches)
        session.run("CREATE TEMP TABLE outcomes AS SELECT * FROM given")
        session.run(
            "CREATE TEMP TABLE tasks AS "
            "SELECT *, row_number() OVER (ORDER BY place) - 1 AS task FROM ("
            "SELECT id, min(place) AS place, arg_min(digest_a, place) AS digest_a, "
            "arg_min(digest_b, place) AS digest_b FROM outcomes GROUP BY id)"
        )
        clash = session.rows(
            "SELECT t.place AS first, o.place FROM outcomes o JOIN tasks t ON o.id = t.id "
            "WHERE o.digest_a <> t.digest_a OR o.digest_b <> t.digest_b ORDER BY o.place LIMIT 1"
        )
        for batch in clash:
            for row in batch.to_pylist():
                refuse_clash(form, row["first"], row["place"])
        with _written(pa, folder / TASK_FILE, pa.schema([("place", pa.int64())])) as write:
            for batch in session.rows("SELECT place FROM tasks ORDER BY task"):
                write(batch)
        rows = session.rows(
            f"SELECT t.task, {_from_outcomes(fields)} FROM outcomes o JOIN tasks t ON o.id = t.id "  # noqa: S608
            "ORDER BY t.task, o.place"
        )
        with _written(pa, folder / OUTCOME_FILE, _outcome_schema(pa, fields)) as write:
            for batch in rows:
                write(batch)
    outcomes, tasks = _file(folder / OUTCOME_FILE), _file(folder / TASK_FILE)
    return JoinedFiles(outcomes, fields, tuple(models), tasks)


def _texts(pa: Any, encoded: Any) -> Any:
    return pa.array(encoded.values, pa.large_string()).take(pa.array(encoded.codes))


def _outcome_fields(form: TableForm) -> tuple[str, ...]:
    # A table without tokens or numbers of repeats is joined without columns for them.
    return (*OUTCOME_FIELDS, *(name for name in SELDOM_NUMBERS if name in form.outcome_columns))


def _from_outcomes(fields: Sequence[str]) -> str:
    return ", ".join(f"o.{name}" for name in fields[1:])


def _value_fields(pa: Any, fields: Sequence[str]) -> list[tuple[str, Any]]:
    kinds = {"place": pa.int64(), "model": pa.int64()}
    return [(name, kinds.get(name, pa.float64())) for name in fields[1:]]


def _outcome_schema(pa: Any, fields: Sequence[str]) -> Any:
    return pa.schema([("task", pa.int64()), *_value_fields(pa, fields)])


def _values(outcomes: OutcomeColumns, models: dict[str, int], fields: Sequence[str]) -> list[Any]:
    """Return the columns of outcomes besides their tasks, with models numbered over the table."""
    numbers = [models.setdefault(name, len(models)) for name in outcomes.models]
    model = np.array(numbers, dtype=np.int64)[outcomes.model]
    # Arrow takes a column of one value from a copy alone.
    values = [
        np.ascontiguousarray(getattr(outcomes, name)) for name in OUTCOME_NUMBERS if name in fields
    ]
    return [outcomes.rows, model, *values]


@contextmanager
def _written(pa: Any, path: Path, schema: Any) -> Iterator[Any]:
    """Write a Parquet file: yield the function that writes a batch."""
    with path.open("xb") as file, pa.parquet.ParquetWriter(file, schema) as writer:
        yield lambda batch: writer.write_table(pa.Table.from_batches([batch]).cast(schema))


def _file(path: Path) -> DataFiles:
    file = DataFile.of(path, "row")
    return DataFiles(".parquet", (file,), file.source)


def _name(files: DataFiles) -> str:
    # tasks.parquet, or the folder tasks.
    return files.source.label.replace("\\", "/").rpartition("/")[2]
