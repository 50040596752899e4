"""Read the rows of Parquet files in order, some at a time, from any row on.

Not here: what the columns mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hypernova.table.formats.files import open_bytes
from hypernova.table.formats.parquet import import_pyarrow, readable_parquet
from hypernova.table.scan.places import file_and_row, places_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import BinaryIO

    from hypernova.table.columns import Ints
    from hypernova.table.scan.files import DataFiles

# Fewer rows than a chunk has tasks: a batch of long prompts and vectors is held besides the chunk.
_BATCH_ROWS = 4096


class Rows(NamedTuple):
    """Successive rows of one file: a pyarrow.Table, and the place of each row."""

    table: Any
    places: Ints


class ParquetStream:
    """The rows of Parquet files, read in order.

    Columns are decoded a batch at a time and by the calling thread alone. A row within a row group
    is reached by decoding those before it, so the stream goes on from where it is if it can.
    """

    def __init__(self, files: DataFiles, columns: Sequence[Sequence[str]]) -> None:
        """Begin at the first row.

        Args:
            files: The files.
            columns: For each file, the columns to read.
        """
        self._files = files
        self._columns = columns
        self._pa = import_pyarrow(files.source)
        self._opened: BinaryIO | None = None
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None  # of which the first rows may have been taken
        self._starts: Ints = np.empty(0, dtype=np.int64)  # of row groups
        self._file, self._row = 0, 0  # the row to read next, counted from 0

    def __enter__(self) -> ParquetStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def mark(self) -> tuple[int, int]:
        """File and row to read next, both counted from 0."""
        return self._file, self._row

    def go_to(self, file: int, row: int) -> None:
        """Read a row next, given as by `mark`.

        Raises:
            TableError: the file has changed, or is unreadable.
        """
        if self._opened is not None and file == self._file and row >= self._row:
            group = np.searchsorted(self._starts, row, side="right")
            if group == np.searchsorted(self._starts, self._row, side="right"):
                while self._row < row and self._fill():
                    self._take(row - self._row)
                return
        self.close()
        self._file, self._row = file, row

    def take(self, n: int) -> list[Rows]:
        """Return the next `n` rows, or those that are left, by files.

        Raises:
            TableError: a file has changed, or is unreadable.
        """
        taken: list[Rows] = []
        while n > 0 and self._fill():
            first = self._row
            batch = self._take(n)
            table = self._pa.Table.from_batches([batch])
            taken.append(Rows(table, places_of(self._file, first + 1, len(batch))))
            n -= len(batch)
        return taken

    def take_to(self, place: int) -> list[Rows]:
        """Return some of the next rows, none of which is after a place; none after the last."""
        file, row = file_and_row(place)
        if not self._fill():
            return []
        if self._file > file or (self._file == file and self._row >= row):
            return []
        size = len(self._batch)
        return self.take(min(size, row - self._row) if self._file == file else size)

    def _take(self, n: int) -> Any:
        batch = self._batch.slice(0, n)
        self._batch = self._batch.slice(n)
        self._row += len(batch)
        return batch

    def _fill(self) -> bool:
        """Make sure that the batch has a row; False at the end of the last file."""
        while self._batch is None or not len(self._batch):
            if self._opened is None:
                if self._file >= len(self._files.files):
                    return False
                self._open()
                continue
            with readable_parquet(self._pa, self._files.files[self._file].source):
                self._batch = next(self._batches, None)
            if self._batch is None:
                self._files.files[self._file].check_unchanged()
                self.close()
                self._file, self._row = self._file + 1, 0
        return True

    def _open(self) -> None:
        file = self._files.files[self._file]
        file.check_unchanged()
        self._opened = open_bytes(file.path, file.source)
        with readable_parquet(self._pa, file.source):
            # Pages are read as they are needed: without a buffer a column of a whole row group
            # would be, and a mapped file that is cut short ends the process.
            content = self._pa.parquet.ParquetFile(
                self._opened, buffer_size=1 << 20, pre_buffer=False
            )
            metadata = content.metadata
            sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            self._starts = np.cumsum([0, *sizes])[:-1]
            if self._row >= metadata.num_rows:
                self._batches = iter(())
                return
            group = max(0, int(np.searchsorted(self._starts, self._row, side="right")) - 1)
            self._batches = content.iter_batches(
                _BATCH_ROWS,
                row_groups=list(range(group, len(sizes))),
                columns=list(self._columns[self._file]),
                use_threads=False,
            )
            skip = self._row - int(self._starts[group])
            while skip > 0:
                batch = next(self._batches, None)
                if batch is None:
                    return
                self._batch = batch.slice(skip)
                skip -= len(batch)

    def close(self) -> None:
        """Close the file that is open; `go_to` and `take` open it again."""
        self._batches, self._batch = iter(()), None
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def joined(pa: Any, parts: Sequence[Any], kinds: Mapping[str, str]) -> Any:
    """Return tables with the columns of a layout as one; types of one kind become one type.

    Args:
        pa: The module pyarrow.
        parts: The tables, at least one.
        kinds: Kind of each column, by `ParquetLayout`.
    """
    schema = parts[0].schema
    if all(part.schema.equals(schema) for part in parts[1:]):
        return pa.concat_tables(parts)
    fields = []
    for name in kinds:
        found = [part.schema.field(name).type for part in parts if name in part.column_names]
        fields.append((name, _common_type(pa, kinds[name], found)))
    rows = []
    for part in parts:
        columns = []
        for name, kind in fields:
            if name not in part.column_names or pa.types.is_null(part.column(name).type):
                columns.append(pa.nulls(len(part), kind))
            else:
                columns.append(_cast(pa, part.column(name), kind))
        rows.append(pa.table(columns, names=[name for name, _ in fields]))
    return pa.concat_tables(rows)


def _common_type(pa: Any, kind: str, found: Sequence[Any]) -> Any:
    given = [one for one in found if not pa.types.is_null(one)]
    if kind == "vectors":
        small = (pa.float16(), pa.float32())
        narrow = all(one.value_type in small for one in given)
        return pa.large_list(pa.float32() if narrow else pa.float64())
    others = {"numbers": pa.float64(), "booleans": pa.bool_(), "null": pa.null()}
    return others.get(kind, pa.large_string())


def _cast(pa: Any, column: Any, kind: Any) -> Any:
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    return column.cast(kind, safe=False)
