"""Read the rows of one Parquet file in batches, with memory that does not grow with the file.

Not here: whole columns (`parquet`), and rules on values (`hypernova.table.checks`). pyarrow is
imported on first use.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hypernova.errors import MissingExtraError
from hypernova.table.formats.files import open_bytes
from hypernova.table.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from hypernova.table.columns import Ints

# Bytes of a column that are read at a time. Without it a column of a whole row group is, and many
# writers make one group of a whole file.
_BUFFER_BYTES = 1 << 20


class ParquetRows:
    """A Parquet file that is read from its beginning; a context manager that closes it.

    Attributes:
        source: The file, for messages.
        names: Names of the columns.
        n_rows: Number of rows.
    """

    def __init__(self, path: Path) -> None:
        """Open a file and read its footer.

        Raises:
            TableError: The file cannot be opened, or is no Parquet file.
            MissingExtraError: pyarrow is not installed.
        """
        self.source = Source.of(path, "row")
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtraError(
                f"{self.source.label}: reading Parquet needs pyarrow: "
                'pip install "hypernova-router[train]"'
            ) from error
        self._pa: Any = pyarrow
        self._file = open_bytes(path, self.source)
        try:
            with self._readable(None):
                # Reading ahead is left to no thread: one that still has a part of the file when
                # Python ends would end the process with an abort.
                self._content = pyarrow.parquet.ParquetFile(
                    self._file,
                    buffer_size=_BUFFER_BYTES,
                    page_checksum_verification=True,
                    pre_buffer=False,
                )
                self._schema = self._content.schema_arrow
        except BaseException:
            self._file.close()
            raise
        self.names: list[str] = self._schema.names
        self.n_rows: int = self._content.metadata.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @contextmanager
    def _readable(self, after: int | None) -> Iterator[None]:
        try:
            yield
        except (self._pa.ArrowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            problem = (
                f"is not a readable Parquet file ({reason})"
                if after is None
                else f"cannot be read after row {after} ({reason})"
            )
            raise self.source.error(problem, "write it again") from error

    def require(self, column: str) -> None:
        """Check that the columns `column` and `task_id` can be read, if the file has the latter.

        Raises:
            TableError: `column` is missing, or one of the two is of another type or stands twice.
        """
        if column not in self.names:
            raise self.source.missing_columns([column], self.names)
        for name in {column, "task_id"} & set(self.names):
            if self.names.count(name) > 1:
                raise self.source.error("the column stands twice", "keep one", column=name)
            kind = self._schema.field(name).type
            if name == "embedding":
                fits, remedy = self._is_vectors(kind), "store lists of float32"
            else:
                fits, remedy = self._is_text(kind, integers=name == "task_id"), "store strings"
            if not fits:
                raise self.source.error(f"found a column of type {kind}", remedy, column=name)

    def _is_text(self, kind: Any, *, integers: bool) -> bool:
        types = self._pa.types
        inner = kind.value_type if types.is_dictionary(kind) else kind
        return bool(
            types.is_string(inner)
            or types.is_large_string(inner)
            or types.is_string_view(inner)
            or types.is_null(inner)
            or (integers and types.is_integer(inner))
        )

    def _is_vectors(self, kind: Any) -> bool:
        types = self._pa.types
        is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        return is_list and bool(
            types.is_floating(kind.value_type) or types.is_integer(kind.value_type)
        )

    def batches(
        self, columns: Sequence[str], size: int, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Read some of the columns.

        Args:
            columns: Their names; `require` has accepted them.
            size: Most rows of a batch.
            first: Index of the first row to read, from 0. Row groups before it are not read.
            last: Index after the last row; by default the end of the file.

        Yields:
            Index of the first row, and a pyarrow.RecordBatch.

        Raises:
            TableError: The file is damaged.
        """
        for column in columns:
            self.require(column)
        last = self.n_rows if last is None else min(last, self.n_rows)
        groups: list[int] = []
        start = end = 0
        for group in range(self._content.metadata.num_row_groups):
            begin, end = end, end + self._content.metadata.row_group(group).num_rows
            if begin < last and first < end:
                start = start if groups else begin
                groups.append(group)
        with self._readable(start):
            # A thread would read no faster, and would go on for a moment after a signal.
            batches = self._content.iter_batches(
                size, row_groups=groups, columns=list(columns), use_threads=False
            )
        while start < last:
            with self._readable(start):
                batch = next(batches, None)
            if batch is None:
                return
            begin, start = start, start + batch.num_rows
            some = batch.slice(max(0, first - begin), min(last, start) - max(first, begin))
            if some.num_rows:
                yield max(first, begin), some

    def texts(self, batch: Any, column: str, start: int) -> list[str | None]:
        """Return the texts of a column, None for null.

        Args:
            batch: Rows of this file.
            column: A column of text, or of integers, which become decimal strings.
            start: Index of the batch's first row, for messages.

        Raises:
            TableError: A text is not valid UTF-8.
        """
        values = batch.column(column).cast(self._pa.large_string())
        try:
            found: list[str | None] = values.to_pylist()
        except UnicodeDecodeError as error:
            raise self.source.error(
                "is not valid UTF-8",
                "write the text as UTF-8",
                at=start + _first_undecodable(values) + 1,
                column=column,
            ) from error
        return found

    def ids(self, batch: Any, start: int) -> list[str]:
        """Return the `task_id` of each row; as `texts`, and null is refused.

        Raises:
            TableError: An id is null or not valid UTF-8.
        """
        found: list[str] = []
        for row, task_id in enumerate(self.texts(batch, "task_id", start), start + 1):
            if task_id is None:
                raise self.source.error(
                    "found null", "fill it in or leave the row out", at=row, column="task_id"
                )
            found.append(task_id)
        return found

    def lengths(self, batch: Any, column: str) -> Ints:
        """Return the length of each list of a column, int64 (rows,); -1 for null."""
        import pyarrow.compute

        lengths = pyarrow.compute.list_value_length(batch.column(column)).fill_null(-1)
        found: Ints = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
        return found

    def vectors(self, batch: Any, column: str, dim: int) -> npt.NDArray[np.floating]:
        """Return the lists of a column, all of one length, as floats (rows, dim); NaN for null."""
        lists = batch.column(column)
        small = lists.type.value_type in (self._pa.float16(), self._pa.float32())
        flat = lists.flatten().to_numpy(zero_copy_only=False)
        found: npt.NDArray[np.floating] = flat.astype(np.float32 if small else np.float64)
        return found.reshape(len(lists), dim)


def _first_undecodable(values: Any) -> int:
    for index, value in enumerate(values):
        try:
            value.as_py()
        except UnicodeDecodeError:
            return index
    return 0
