"""Read tables in the Parquet formats, by columns and without a Python loop over outcomes.

Not here: rules that hold for every format (`checks`). pyarrow is imported on first use: the other
formats, and serving, need none.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hypernova.errors import HypernovaError, MissingExtraError, TableError
from hypernova.table.checks import check_tasks, common_dim, unknown_task
from hypernova.table.columns import (
    OUTCOME_NUMBERS,
    EncodedColumn,
    Floats,
    Ints,
    OutcomeColumns,
    TaskColumns,
    tasks_of_long_format,
    unknown,
)
from hypernova.table.formats.files import open_bytes
from hypernova.table.source import Source, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# Columns of each kind of file: those that it must have, and those that it may have.
TASK_COLUMNS = (("task_id", "prompt"), ("group", "embedding"))
OUTCOME_COLUMNS = (("task_id", "model", "score"), OUTCOME_NUMBERS[1:])
LONG_COLUMNS = (
    ("task_id", "prompt", "model", "score"),
    ("group", *OUTCOME_NUMBERS[1:], "embedding"),
)


def import_pyarrow(source: Source) -> Any:
    """Return pyarrow, with its Parquet module loaded.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            f'{source.label}: reading Parquet needs pyarrow: pip install "hypernova-router[train]"'
        ) from error
    return pyarrow


@contextmanager
def open_parquet(path: Path, source: Source) -> Iterator[Any]:
    """Open a Parquet file.

    Yields:
        The pyarrow.parquet.ParquetFile.

    Raises:
        TableError: the file is unreadable; the block may read it, too.
        MissingExtraError: pyarrow is not installed.
    """
    pyarrow = import_pyarrow(source)
    with open_bytes(path, source) as file, readable_parquet(pyarrow, source):
        # Not read_table: it takes "key=value" folders in the path for columns. Pages are read as
        # they are needed: without a buffer a column of a whole row group would be.
        yield pyarrow.parquet.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)


@contextmanager
def readable_parquet(pyarrow: Any, source: Source) -> Iterator[None]:
    """Raise the errors of pyarrow inside as errors of a file.

    Raises:
        TableError: the file is unreadable.
    """
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, HypernovaError):
            raise
        reason = str(error).partition("\n")[0]
        raise source.error(
            f"is not a readable Parquet file ({reason})", "write it again"
        ) from error


def pick_columns(
    names: Sequence[str],
    source: Source,
    required: Sequence[str],
    optional: Sequence[str] | Callable[[list[str]], Sequence[str]],
) -> list[str]:
    """Return the columns to read of a file.

    Args:
        names: Names of all its columns.
        source: The file, for messages.
        required: As in `ParquetColumns.read`.
        optional: As in `ParquetColumns.read`.

    Raises:
        TableError: a column is missing or stands twice.
    """
    names = list(names)
    missing = [name for name in required if name not in names]
    if missing:
        raise source.missing_columns(missing, names)
    if callable(optional):
        optional = optional(names)
    if "cost_usd" in optional:
        source.check_optional_names(names)
    wanted = [name for name in (*required, *optional) if name in names]
    for name in wanted:
        if names.count(name) > 1:
            raise source.error("the column stands twice", "keep one", column=name)
    return wanted


class ParquetColumns:
    """Columns of Parquet files, converted on demand.

    Attributes:
        source: The file or files, for messages.
        length: Number of rows.
        rows: Row numbers as messages count them, from 1 in a file, int64 (rows,).
    """

    def __init__(self, source: Source, table: Any, rows: Ints) -> None:
        """Take columns that were read.

        Args:
            source: Where they were read.
            table: The pyarrow.Table.
            rows: Row number of each of its rows, int64 (rows,).
        """
        self.source = source
        self._pa: Any = import_pyarrow(source)
        self._table = table
        self.length: int = table.num_rows
        self.rows = rows

    @classmethod
    def read(
        cls,
        path: Path,
        required: Sequence[str],
        optional: Sequence[str] | Callable[[list[str]], Sequence[str]],
    ) -> ParquetColumns:
        """Read the columns of a file.

        Args:
            path: The file.
            required: Columns that the file must have.
            optional: Columns to read if the file has them, or a function that picks them from the
                names of all columns.

        Raises:
            TableError: the file is unreadable, or a column is missing or stands twice.
            MissingExtraError: pyarrow is not installed.
        """
        source = Source.of(path, "row")
        with open_parquet(path, source) as content:
            wanted = pick_columns(content.schema_arrow.names, source, required, optional)
            table = content.read(columns=wanted)
        return cls(source, table, np.arange(1, table.num_rows + 1, dtype=np.int64))

    def head(self, n: int) -> ParquetColumns:
        """Return the first `n` rows."""
        return ParquetColumns(self.source, self._table.slice(0, n), self.rows[:n])

    def has(self, column: str) -> bool:
        """Return whether the file has an optional column."""
        return column in self._table.column_names

    def texts(
        self, column: str, *, integers: bool = False, null: str | None = None
    ) -> EncodedColumn:
        """Return a text column, dictionary-encoded.

        Args:
            column: Column name.
            integers: Accept integers, as decimal strings.
            null: Text in place of null; None refuses null.

        Raises:
            TableError: the column is of another type, or holds null or invalid UTF-8.
        """
        types = self._pa.types
        values = self._table.column(column)
        kind = values.type.value_type if types.is_dictionary(values.type) else values.type
        if not (
            types.is_string(kind)
            or types.is_large_string(kind)
            or types.is_string_view(kind)
            or types.is_null(kind)
            or (integers and types.is_integer(kind))
        ):
            raise self._wrong_type(column, "store strings")
        # Large, because one chunk of a plain string column ends at 2 GiB; cast before encoding,
        # because a dictionary column may carry values that no row uses.
        large = values.cast(self._pa.large_string()).combine_chunks()
        if null is not None:
            large = large.fill_null(null)
        elif large.null_count:
            raise self.source.error(
                "found null",
                "fill it in or leave the row out",
                at=self._first_row(large.is_null()),
                column=column,
            )
        encoded = large.dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        try:
            return EncodedColumn(codes, encoded.dictionary.to_pylist())
        except UnicodeDecodeError as error:
            raise self._invalid_utf8(column, large) from error

    def numbers(self, column: str) -> Floats:
        """Return a numeric column as float64 with NaN for null; `unknown` if the column is absent.

        Raises:
            TableError: the column is of another type, or is `score` and holds null.
        """
        if not self.has(column):
            return unknown(self.length)
        types = self._pa.types
        values = self._table.column(column)
        kind = values.type
        is_score = column == "score"
        if not (
            types.is_floating(kind)
            or types.is_integer(kind)
            or types.is_decimal(kind)
            or types.is_null(kind)
            or (is_score and types.is_boolean(kind))
        ):
            raise self._wrong_type(column, "store numbers")
        if is_score and values.null_count:
            raise self.source.error(
                "found null",
                "leave out the outcome where there is no score",
                at=self._first_row(values.is_null()),
                column=column,
            )
        # safe=False only lets large integers round.
        floats: Floats = values.cast(self._pa.float64(), safe=False).to_numpy()
        return floats

    def vectors(self, tasks: TaskColumns, task_of_row: Ints) -> npt.NDArray[np.floating] | None:
        """Return the `embedding` column, one vector for each task, or None if it is absent.

        Args:
            tasks: The tasks, for messages.
            task_of_row: Index of the task of each row, int64 (rows,).

        Raises:
            TableError: the column is not of lists of numbers, lengths differ, some rows have none,
                or two rows of one task differ.
        """
        if not self.has("embedding"):
            return None
        types = self._pa.types
        column = self._table.column("embedding")
        if types.is_null(column.type):
            return None
        if not (
            types.is_list(column.type)
            or types.is_large_list(column.type)
            or types.is_fixed_size_list(column.type)
        ) or not (
            types.is_floating(column.type.value_type) or types.is_integer(column.type.value_type)
        ):
            raise self._wrong_type("embedding", "store lists of float32")
        lengths = (
            self._pa.compute.list_value_length(column).fill_null(-1).to_numpy().astype(np.int64)
        )
        dim = common_dim(
            lengths,
            self.source,
            self.rows,
            lambda row: f"task {quoted(tasks.ids[task_of_row[row]])}",
        )
        if dim < 0:
            return None
        small = column.type.value_type in (self._pa.float16(), self._pa.float32())
        matrix = np.empty((len(tasks.ids), dim), dtype=np.float32 if small else np.float64)
        written = np.zeros(len(tasks.ids), dtype=np.bool_)
        start = 0
        for chunk in column.chunks:
            flat = chunk.flatten().to_numpy(zero_copy_only=False)
            block = flat.astype(matrix.dtype, copy=False).reshape(len(chunk), dim)
            owner = task_of_row[start : start + len(chunk)]
            fresh = np.flatnonzero(~written[owner])[::-1]
            matrix[owner[fresh]] = block[fresh]
            written[owner] = True
            same = (block == matrix[owner]) | (np.isnan(block) & np.isnan(matrix[owner]))
            clash = np.flatnonzero(~same.all(axis=1))
            if clash.size:
                task = int(owner[clash[0]])
                raise self.source.error(
                    f"found another vector than {self.source.place(int(tasks.rows[task]))} has "
                    "for the same task_id",
                    "give one task one vector",
                    at=int(self.rows[start + clash[0]]),
                    column="embedding",
                    of=f"task {quoted(tasks.ids[task])}",
                )
            start += len(chunk)
        return matrix

    def vector_bytes(self) -> list[bytes]:
        """Return the vector of each row as bytes, equal where the numbers are."""
        types = self._pa.types
        if not self.has("embedding") or types.is_null(self._table.column("embedding").type):
            return [b"null"] * self.length
        found: list[bytes] = []
        for chunk in self._table.column("embedding").chunks:
            flat = chunk.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
            # One zero of the two, and one NaN of the many.
            flat = np.where(np.isnan(flat), np.nan, flat + 0.0)
            lengths = self._pa.compute.list_value_length(chunk).to_pylist()
            start = 0
            for length in lengths:
                end = start + (length or 0)
                found.append(b"null" if length is None else flat[start:end].tobytes())
                start = end
        return found

    def _first_row(self, mask: Any) -> int:
        return int(self.rows[np.flatnonzero(mask.to_numpy(zero_copy_only=False))[0]])

    def _wrong_type(self, column: str, remedy: str) -> TableError:
        kind = self._table.column(column).type
        return self.source.error(f"found a column of type {kind}", remedy, column=column)

    def _invalid_utf8(self, column: str, values: Any) -> TableError:
        row = 0
        for row in range(len(values)):
            try:
                values[row].as_py()
            except UnicodeDecodeError:
                break
        return self.source.error(
            "is not valid UTF-8",
            "write the text as UTF-8",
            at=int(self.rows[row]),
            column=column,
        )


def read_parquet_folder(path: Path) -> tuple[TaskColumns, OutcomeColumns]:
    """Read a folder with `tasks.parquet` and `outcomes.parquet`.

    Raises:
        TableError: a file or column is missing, of the wrong type or unreadable, a task_id stands
            twice in the tasks, or the task of an outcome is missing.
        MissingExtraError: pyarrow is not installed.
    """
    require_files(path, ("tasks.parquet", "outcomes.parquet"))
    tasks = tasks_of_columns(ParquetColumns.read(path / "tasks.parquet", *TASK_COLUMNS))
    # Before the outcomes are matched: an invalid id is an error of the task, not of its outcomes.
    check_tasks(tasks)
    file = ParquetColumns.read(path / "outcomes.parquet", *OUTCOME_COLUMNS)
    ids = file.texts("task_id", integers=True)
    place = {task_id: index for index, task_id in enumerate(tasks.ids)}
    code_to_task = np.array([place.get(task_id, -1) for task_id in ids.values], dtype=np.int64)
    task = code_to_task[ids.codes] if file.length else ids.codes
    unknown = np.flatnonzero(task < 0)
    if unknown.size:
        row = int(unknown[0])
        raise unknown_task(
            ids.values[ids.codes[row]], file.source, int(file.rows[row]), "tasks.parquet"
        )
    return tasks, outcomes_of_columns(file, task)


def read_parquet(path: Path) -> tuple[TaskColumns, OutcomeColumns]:
    """Read one Parquet file, one outcome a row.

    Raises:
        TableError: a column is missing or of the wrong type, the file is unreadable, or two rows
            of one task differ in prompt, group or embedding.
        MissingExtraError: pyarrow is not installed.
    """
    return columns_of_long_format(ParquetColumns.read(path, *LONG_COLUMNS))


def columns_of_long_format(file: ParquetColumns) -> tuple[TaskColumns, OutcomeColumns]:
    """Return the columns of rows with one outcome each.

    Raises:
        TableError: a column is of the wrong type, or two rows of one task differ in prompt, group
            or embedding.
    """
    ids = file.texts("task_id", integers=True)
    groups = file.texts("group", null="") if file.has("group") else None
    tasks = tasks_of_long_format(file.source, file.rows, ids, file.texts("prompt"), groups)
    tasks = dataclasses.replace(tasks, embedding=file.vectors(tasks, ids.codes))
    return tasks, outcomes_of_columns(file, ids.codes)


def require_files(path: Path, names: Sequence[str]) -> None:
    """Raise TableError unless a folder holds the named files."""
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise Source.of(path, "").error(
            f"the folder lacks {' and '.join(missing)}",
            "name a folder that holds " + " and ".join(names) + ", or one file",
        )


def tasks_of_columns(file: ParquetColumns) -> TaskColumns:
    """Return the tasks of rows with one task each.

    Raises:
        TableError: a column is of the wrong type, or vectors differ in length.
    """
    ids = file.texts("task_id", integers=True)
    prompts = file.texts("prompt")
    groups: list[str | None] = [None] * file.length
    if file.has("group"):
        encoded = file.texts("group", null="")
        groups = [group or None for group in encoded.texts()]
    tasks = TaskColumns(
        source=file.source,
        rows=file.rows,
        # With duplicates, which check_tasks refuses.
        ids=ids.texts(),
        prompts=prompts.texts(),
        groups=groups,
        embedding=None,
    )
    vectors = file.vectors(tasks, np.arange(file.length, dtype=np.int64))
    return dataclasses.replace(tasks, embedding=vectors)


def outcomes_of_columns(file: ParquetColumns, task: Ints) -> OutcomeColumns:
    """Return the outcomes of rows with one outcome each.

    Args:
        file: The rows.
        task: Index of the task of each, int64 (rows,).

    Raises:
        TableError: a column is of the wrong type, or holds null.
    """
    models = file.texts("model")
    return OutcomeColumns(
        source=file.source,
        rows=file.rows,
        task=task,
        model=models.codes,
        models=models.values,
        **{name: file.numbers(name) for name in OUTCOME_NUMBERS},
    )
