"""Read chunks of tables whose outcomes were joined and written in the tasks' order.

Not here: the join (`join`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.table.columns import OUTCOME_NUMBERS, Ints, OutcomeColumns, TaskColumns
from hypernova.table.formats.csv import CsvOutcome, columns_of_rows, unlimited_cell_size
from hypernova.table.formats.parquet import import_pyarrow, tasks_of_columns
from hypernova.table.scan.cursors import CHUNK_TASKS, Columns, Mark, columns_of, mark_of
from hypernova.table.scan.parquet_stream import ParquetStream, Rows
from hypernova.table.scan.text_stream import CsvStream

if TYPE_CHECKING:
    from hypernova.table.scan.files import DataFiles
    from hypernova.table.scan.parquet_layout import ParquetLayout
    from hypernova.table.source import Source

OUTCOME_FILE, TASK_FILE = "outcomes.parquet", "tasks.parquet"
# Fields of a joined outcome; tokens and `n` follow where a file has them.
OUTCOME_FIELDS = ("task", "place", "model", "score", "cost_usd", "latency_s")


@dataclass(frozen=True, slots=True)
class JoinedFiles:
    """Files of outcomes in the tasks' order.

    Attributes:
        outcomes: `fields` of each outcome.
        fields: `OUTCOME_FIELDS`, and those of tokens and `n` that the table has.
        models: Names of the models.
        tasks: Place of the first row of each task of a long form; None with tasks apart.
    """

    outcomes: DataFiles
    fields: tuple[str, ...]
    models: tuple[str, ...]
    tasks: DataFiles | None = None


class JoinedOutcomes:
    """The joined outcomes, read by chunks of tasks."""

    def __init__(self, files: JoinedFiles, source: Source) -> None:
        self._source, self._models = source, list(files.models)
        self._fields = files.fields
        self._pa = import_pyarrow(source)
        self._rows = ParquetStream(files.outcomes, [files.fields])
        self._left: list[Rows] = []

    @property
    def mark(self) -> Mark:
        """File and row."""
        return mark_of(self._left, self._rows)

    def go_to(self, mark: Mark) -> None:
        """Read a row next."""
        if mark != self.mark:
            self._left = []
            self._rows.go_to(*mark)

    def read(self, first: int, n_tasks: int) -> OutcomeColumns:
        """Return the outcomes of tasks from the index `first` on, which come next."""
        parts = []
        while True:
            waiting = self._left or self._rows.take(CHUNK_TASKS)
            self._left = []
            if not waiting:
                break
            rows = waiting.pop(0)
            task = rows.table.column("task").to_numpy()
            end = int(np.searchsorted(task, first + n_tasks))
            parts.append(rows.table.slice(0, end))
            if end < len(task):
                self._left = [Rows(rows.table.slice(end), rows.places[end:]), *waiting]
                break
            self._left = waiting
        if not parts:
            parts = [self._pa.table({name: self._pa.array([], "int64") for name in self._fields})]
        table = self._pa.concat_tables(parts)
        columns = {name: table.column(name).to_numpy() for name in self._fields}
        return OutcomeColumns(
            source=self._source,
            rows=columns["place"],
            task=columns["task"] - first,
            model=columns["model"],
            models=self._models,
            **{
                name: columns[name].astype(np.float64)
                for name in OUTCOME_NUMBERS
                if name in columns
            },
        )

    def close(self) -> None:
        """Close the file."""
        self._left = []
        self._rows.close()


class _JoinedParquet:
    """Rows of tasks in Parquet, with joined outcomes; a subclass chooses the rows of a chunk."""

    def __init__(
        self, files: DataFiles, layout: ParquetLayout, joined: JoinedFiles, outcomes: Source
    ) -> None:
        self._source, self._kinds = files.source, layout.kinds
        self._pa = import_pyarrow(files.source)
        self._rows = ParquetStream(files, layout.columns)
        self._outcomes = JoinedOutcomes(joined, outcomes)
        self._chunk = 0

    @property
    def mark(self) -> Mark:
        """File and row of the task and of the outcome, and the chunk."""
        return (*self._rows.mark, *self._outcomes.mark, self._chunk)

    def go_to(self, mark: Mark) -> None:
        """Read the chunk at a mark next."""
        self._chunk = mark[-1]
        self._rows.go_to(*mark[:2])
        self._outcomes.go_to(mark[2:4])

    def _next(self, parts: list[Rows]) -> Columns:
        """Return the columns of the present chunk, whose tasks are given, and go on."""
        tasks = tasks_of_columns(columns_of(self._pa, parts, self._source, self._kinds))
        outcomes = self._outcomes.read(self._chunk * CHUNK_TASKS, len(tasks.ids))
        self._chunk += 1
        return tasks, outcomes

    def close(self) -> None:
        """Close the files."""
        self._rows.close()
        self._outcomes.close()


class JoinedApart(_JoinedParquet):
    """Parquet: tasks, with joined outcomes."""

    def read(self) -> Columns | None:
        """Return the columns of the next chunk."""
        parts = self._rows.take(CHUNK_TASKS)
        return self._next(parts) if parts else None


class FirstRows:
    """The places of the first rows of tasks, read by chunks."""

    def __init__(self, files: DataFiles) -> None:
        self._rows = ParquetStream(files, [("place",)])

    def read(self, chunk: int) -> Ints:
        """Return the places of a chunk's tasks, int64 (tasks,), ascending."""
        self._rows.go_to(0, chunk * CHUNK_TASKS)
        parts = self._rows.take(CHUNK_TASKS)
        empty = np.empty(0, dtype=np.int64)
        return np.concatenate([empty, *(r.table.column("place").to_numpy() for r in parts)])

    def close(self) -> None:
        """Close the file."""
        self._rows.close()


class JoinedLongRows(_JoinedParquet):
    """Parquet: the first row of each task, with joined outcomes."""

    def __init__(self, files: DataFiles, layout: ParquetLayout, joined: JoinedFiles) -> None:
        assert joined.tasks is not None
        super().__init__(files, layout, joined, files.source)
        self._first_rows = FirstRows(joined.tasks)

    def read(self) -> Columns | None:
        """Return the columns of the next chunk."""
        places = self._first_rows.read(self._chunk)
        if not places.size:
            return None
        parts = []
        while found := self._rows.take_to(int(places[-1])):
            for rows in found:
                first = np.isin(rows.places, places, assume_unique=True)
                parts.append(Rows(rows.table.filter(self._pa.array(first)), rows.places[first]))
        return self._next(parts)

    def close(self) -> None:
        """Close the files."""
        super().close()
        self._first_rows.close()


class JoinedLongLines:
    """CSV: the first row of each task, with joined outcomes."""

    def __init__(self, files: DataFiles, joined: JoinedFiles) -> None:
        assert joined.tasks is not None
        self._source = files.source
        self._rows = CsvStream(files)
        self._first_rows = FirstRows(joined.tasks)
        self._outcomes = JoinedOutcomes(joined, files.source)
        self._chunk = 0

    @property
    def mark(self) -> Mark:
        """File, offset and line of the task, file and row of the outcome, and the chunk."""
        return (*self._rows.mark, *self._outcomes.mark, self._chunk)

    def go_to(self, mark: Mark) -> None:
        """Read the chunk at a mark next."""
        self._chunk = mark[-1]
        with unlimited_cell_size():
            self._rows.go_to(*mark[:3])
        self._outcomes.go_to(mark[3:5])

    def read(self) -> Columns | None:
        """Return the columns of the next chunk."""
        places = self._first_rows.read(self._chunk).tolist()
        if not places:
            return None
        wanted = set(places)
        first: list[CsvOutcome] = []
        with unlimited_cell_size():
            for place, row in self._rows:
                if place in wanted:
                    first.append(row)
                    if place == places[-1]:
                        break
        tasks: TaskColumns = columns_of_rows(first, self._source)[0]
        outcomes = self._outcomes.read(self._chunk * CHUNK_TASKS, len(tasks.ids))
        self._chunk += 1
        return tasks, outcomes

    def close(self) -> None:
        """Close the files."""
        self._rows.close()
        self._first_rows.close()
        self._outcomes.close()
