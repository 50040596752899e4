"""Read a table chunk by chunk, in each of its forms, as columns.

Not here: the rules that the columns must keep, and the forms in which the outcomes had to be
joined (`joined_cursors`).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hypernova.table.columns import OUTCOME_NUMBERS, OutcomeColumns, TaskColumns, concatenated
from hypernova.table.formats.csv import CsvOutcome, columns_of_rows, unlimited_cell_size
from hypernova.table.formats.jsonl import columns_of_objects
from hypernova.table.formats.parquet import (
    ParquetColumns,
    columns_of_long_format,
    import_pyarrow,
    outcomes_of_columns,
    tasks_of_columns,
)
from hypernova.table.scan.nested import nested_outcomes
from hypernova.table.scan.parquet_stream import ParquetStream, Rows, joined
from hypernova.table.scan.places import file_and_row
from hypernova.table.scan.text_stream import CsvStream, JsonlStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.table.scan.files import DataFiles
    from hypernova.table.scan.parquet_layout import ParquetLayout
    from hypernova.table.source import Source

# Tasks in a chunk: enough to keep a processor busy for a second, and few enough to be held by
# each of many processes.
CHUNK_TASKS = 8192

Columns = tuple[TaskColumns, OutcomeColumns]
Mark = tuple[int, ...]


class OutOfOrderError(Exception):
    """The outcomes of a table do not follow its tasks: they must be joined."""


class Cursor(Protocol):
    """A place between two chunks of a table."""

    @property
    def mark(self) -> Mark:
        """Where the next chunk begins, for `go_to`."""

    def go_to(self, mark: Mark) -> None:
        """Read the chunk at a mark next."""

    def read(self) -> Columns | None:
        """Return the columns of the next chunk; None after the last.

        Raises:
            OutOfOrderError: the outcomes do not follow the tasks.
            TableError: a file has changed or is unreadable, or a row is malformed.
        """

    def close(self) -> None:
        """Close the files."""


class NestedLines:
    """JSON Lines: tasks with their outcomes."""

    def __init__(self, files: DataFiles) -> None:
        self._source = files.source
        self._rows = JsonlStream(files)

    @property
    def mark(self) -> Mark:
        """File, offset and line."""
        return self._rows.mark

    def go_to(self, mark: Mark) -> None:
        """Read the chunk at a mark next."""
        self._rows.go_to(*mark[:3])

    def read(self) -> Columns | None:
        """Return the columns of the next chunk."""
        columns = columns_of_objects(islice(self._rows, CHUNK_TASKS), self._source)
        return columns if columns[0].ids else None

    def close(self) -> None:
        """Close the files."""
        self._rows.close()


class NestedRows:
    """Parquet: tasks with their outcomes."""

    def __init__(self, files: DataFiles, layout: ParquetLayout) -> None:
        self._source = files.source
        self._kinds = {name: kind for name, kind in layout.kinds.items() if name != "outcomes"}
        self._pa = import_pyarrow(files.source)
        self._rows = ParquetStream(files, layout.columns)

    @property
    def mark(self) -> Mark:
        """File and row."""
        return self._rows.mark

    def go_to(self, mark: Mark) -> None:
        """Read the chunk at a mark next."""
        self._rows.go_to(*mark[:2])

    def read(self) -> Columns | None:
        """Return the columns of the next chunk."""
        parts = self._rows.take(CHUNK_TASKS)
        if not parts:
            return None
        # By files: a struct may have another field for each model in each of them.
        outcomes = []
        for rows in parts:
            column = rows.table.column("outcomes")
            outcomes.append((len(rows.places), nested_outcomes(self._source, column, rows.places)))
        tasks = [Rows(rows.table.drop_columns("outcomes"), rows.places) for rows in parts]
        file = columns_of(self._pa, tasks, self._source, self._kinds)
        return tasks_of_columns(file), _concatenated(outcomes)

    def close(self) -> None:
        """Close the files."""
        self._rows.close()


class LongLines:
    """CSV: an outcome a row, those of each task together."""

    def __init__(self, files: DataFiles) -> None:
        self._source = files.source
        self._rows = CsvStream(files)
        self._next: CsvOutcome | None = None  # read, and not yet given
        self._mark: Mark = self._rows.mark

    @property
    def mark(self) -> Mark:
        """File, offset and line."""
        return self._mark if self._next else self._rows.mark

    def go_to(self, mark: Mark) -> None:
        """Read the chunk at a mark next."""
        if mark[:3] != self.mark:
            self._next = None
            with unlimited_cell_size():
                self._rows.go_to(*mark[:3])

    def read(self) -> Columns | None:
        """Return the columns of the next chunk."""
        rows: list[CsvOutcome] = []
        n_runs, last = 0, None
        with unlimited_cell_size():
            while True:
                if self._next is None:
                    self._mark = self._rows.mark
                    _, self._next = next(self._rows, (0, None))
                row = self._next
                if row is None:
                    break
                if row.task_id != last:
                    if n_runs == CHUNK_TASKS:
                        break
                    n_runs, last = n_runs + 1, row.task_id
                rows.append(row)
                self._next = None
        if not rows:
            return None
        tasks, outcomes = columns_of_rows(rows, self._source)
        if len(tasks.ids) != n_runs:
            raise OutOfOrderError
        return tasks, outcomes

    def close(self) -> None:
        """Close the files."""
        self._next = None
        self._rows.close()


class LongRows:
    """Parquet: an outcome a row, those of each task together."""

    def __init__(self, files: DataFiles, layout: ParquetLayout) -> None:
        self._source = files.source
        self._kinds = layout.kinds
        self._pa = import_pyarrow(files.source)
        self._rows = ParquetStream(files, layout.columns)
        self._left: list[Rows] = []  # read, and not yet given

    @property
    def mark(self) -> Mark:
        """File and row."""
        return mark_of(self._left, self._rows)

    def go_to(self, mark: Mark) -> None:
        """Read the chunk at a mark next."""
        if mark[:2] != self.mark:
            self._left = []
            self._rows.go_to(*mark[:2])

    def read(self) -> Columns | None:
        """Return the columns of the next chunk."""
        parts: list[Rows] = []
        n_runs, last = 0, None
        waiting, self._left = self._left, []
        while True:
            if not waiting:
                waiting = self._rows.take(CHUNK_TASKS)
            if not waiting:
                break
            part = waiting.pop(0)
            ids = ParquetColumns(self._source, part.table, part.places).texts(
                "task_id", integers=True
            )
            begins = np.ones(len(ids.codes), dtype=np.bool_)
            begins[1:] = ids.codes[1:] != ids.codes[:-1]
            begins[0] = ids.values[ids.codes[0]] != last
            runs = n_runs + np.cumsum(begins)
            end = int(np.searchsorted(runs, CHUNK_TASKS, side="right"))
            if end:
                parts.append(_sliced(part, 0, end))
                n_runs, last = int(runs[end - 1]), ids.values[ids.codes[end - 1]]
            if end < len(runs):
                self._left = [_sliced(part, end, len(runs)), *waiting]
                break
        if not parts:
            return None
        file = columns_of(self._pa, parts, self._source, self._kinds)
        tasks, outcomes = columns_of_long_format(file)
        if len(tasks.ids) != n_runs:
            raise OutOfOrderError
        return tasks, outcomes

    def close(self) -> None:
        """Close the files."""
        self._left = []
        self._rows.close()


class ApartRows:
    """Parquet: tasks, and outcomes apart that follow them, in any order within a chunk."""

    def __init__(
        self,
        tasks: DataFiles,
        task_layout: ParquetLayout,
        outcomes: DataFiles,
        outcome_layout: ParquetLayout,
    ) -> None:
        self._pa = import_pyarrow(tasks.source)
        self._tasks, self._outcomes = tasks.source, outcomes.source
        self._task_kinds, self._outcome_kinds = task_layout.kinds, outcome_layout.kinds
        self._task_rows = ParquetStream(tasks, task_layout.columns)
        self._outcome_rows = ParquetStream(outcomes, outcome_layout.columns)
        self._left: list[Rows] = []  # outcomes read, and not yet given

    @property
    def mark(self) -> Mark:
        """File and row of the task, and of the outcome."""
        return (*self._task_rows.mark, *mark_of(self._left, self._outcome_rows))

    def go_to(self, mark: Mark) -> None:
        """Read the chunk at a mark next."""
        self._task_rows.go_to(*mark[:2])
        if mark[2:4] != mark_of(self._left, self._outcome_rows):
            self._left = []
            self._outcome_rows.go_to(*mark[2:4])

    def read(self) -> Columns | None:
        """Return the columns of the next chunk."""
        parts = self._task_rows.take(CHUNK_TASKS)
        if not parts:
            if self._left or self._outcome_rows.take(1):
                raise OutOfOrderError
            return None
        tasks = tasks_of_columns(columns_of(self._pa, parts, self._tasks, self._task_kinds))
        return tasks, self._outcomes_of(tasks)

    def _outcomes_of(self, tasks: TaskColumns) -> OutcomeColumns:
        place = {task_id: index for index, task_id in enumerate(tasks.ids)}
        found: list[tuple[int, OutcomeColumns]] = []
        while True:
            parts = self._left or self._outcome_rows.take(CHUNK_TASKS)
            self._left = []
            if not parts:
                break
            file = columns_of(self._pa, parts, self._outcomes, self._outcome_kinds)
            ids = file.texts("task_id", integers=True)
            of_code = np.array([place.get(one, -1) for one in ids.values], dtype=np.int64)
            task = of_code[ids.codes]
            outside = np.flatnonzero(task < 0)
            end = int(outside[0]) if outside.size else len(task)
            if (task[end:] >= 0).any():
                raise OutOfOrderError
            if end:
                found.append((0, outcomes_of_columns(file.head(end), task[:end])))
            if end < len(task):
                self._left = _without_first(parts, end)
                break
        if not found:
            return no_outcomes_of(self._outcomes)
        return _concatenated(found)

    def close(self) -> None:
        """Close the files."""
        self._left = []
        self._task_rows.close()
        self._outcome_rows.close()


def mark_of(left: Sequence[Rows], rows: ParquetStream) -> Mark:
    """Return file and row of the first row that is left, or else of the stream."""
    if not left:
        return rows.mark
    file, row = file_and_row(int(left[0].places[0]))
    return file, row - 1


def columns_of(
    pa: Any, parts: Sequence[Rows], source: Source, kinds: dict[str, str]
) -> ParquetColumns:
    """Return rows of one or more files as columns."""
    table = joined(pa, [rows.table for rows in parts], kinds)
    return ParquetColumns(source, table, np.concatenate([rows.places for rows in parts]))


def no_outcomes_of(source: Source) -> OutcomeColumns:
    """Return the outcomes of tasks that have none."""
    ints, floats = np.empty(0, dtype=np.int64), np.empty(0)
    return OutcomeColumns(source, ints, ints, ints, [], floats, floats, floats)


def _sliced(rows: Rows, start: int, end: int) -> Rows:
    return Rows(rows.table.slice(start, end - start), rows.places[start:end])


def _without_first(parts: Sequence[Rows], n: int) -> list[Rows]:
    left = []
    for rows in parts:
        size = len(rows.places)
        if n < size:
            left.append(_sliced(rows, n, size))
        n = max(0, n - size)
    return left


def _concatenated(parts: Sequence[tuple[int, OutcomeColumns]]) -> OutcomeColumns:
    """Return outcomes as one; each comes with the number of tasks that are its own."""
    if len(parts) == 1:
        return parts[0][1]
    models: dict[str, int] = {}
    tasks, codes, first = [], [], 0
    for n_tasks, part in parts:
        tasks.append(part.task + first)
        renamed = [models.setdefault(name, len(models)) for name in part.models]
        codes.append(np.array(renamed, dtype=np.int64)[part.model])
        first += n_tasks

    def every(name: str) -> Any:
        return concatenated([getattr(part, name) for _, part in parts])

    return OutcomeColumns(
        source=parts[0][1].source,
        rows=every("rows"),
        task=np.concatenate(tasks),
        model=np.concatenate(codes),
        models=list(models),
        **{name: every(name) for name in OUTCOME_NUMBERS},
    )
