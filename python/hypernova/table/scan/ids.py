"""Read the ids of tasks alone, and refuse one that comes again.

Not here: remembering them (`seen_ids`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.table.checks import repeated_task
from hypernova.table.formats.parquet import ParquetColumns
from hypernova.table.scan.cursors import OutOfOrderError
from hypernova.table.scan.parquet_stream import ParquetStream
from hypernova.table.scan.places import file_and_row
from hypernova.table.scan.text_stream import JsonlStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypernova.table.columns import EncodedColumn, Ints
    from hypernova.table.scan.files import DataFiles
    from hypernova.table.scan.forms import TableForm
    from hypernova.table.scan.seen_ids import SeenIds

_ROWS = 65536


def task_id_at(form: TableForm, place: int) -> str:
    """Return the id of the task in a row of a form with a task in each."""
    files = form.files.tasks
    file, row = file_and_row(place)
    if form.layout is not None:
        with ParquetStream(files, [("task_id",)] * len(files.files)) as stream:
            stream.go_to(file, row - 1)
            (rows,) = stream.take(1)
        columns = ParquetColumns(files.source, rows.table, rows.places)
        return columns.texts("task_id", integers=True).values[0]
    lines = JsonlStream(files)
    lines.go_to(file, 0, 1)
    try:
        return str(next(task["task_id"] for at, task in lines if at == place))
    finally:
        lines.close()


def refuse_repeated(form: TableForm, ids: Sequence[str], places: Ints, seen: SeenIds) -> None:
    """Remember the ids of some rows, distinct among themselves, and refuse those seen before.

    Raises:
        TableError: a task stands in an earlier row, too.
        OutOfOrderError: in a long form that may be so.
    """
    for index, earlier in seen.add(ids, places):
        if form.is_long:
            raise OutOfOrderError
        for place in sorted(earlier):
            if task_id_at(form, place) == ids[index]:
                source = form.files.tasks.source
                raise repeated_task(ids[index], source, int(places[index]), place)


def task_ids(files: DataFiles) -> Iterator[tuple[EncodedColumn, Ints]]:
    """Yield the task_id column of Parquet files in pieces, with the places of the rows.

    Raises:
        TableError: an id is null or no valid text, or a file is unreadable.
    """
    with ParquetStream(files, [("task_id",)] * len(files.files)) as stream:
        while parts := stream.take(_ROWS):
            for rows in parts:
                columns = ParquetColumns(files.source, rows.table, rows.places)
                yield columns.texts("task_id", integers=True), rows.places
