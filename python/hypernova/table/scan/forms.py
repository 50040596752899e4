"""Choose how a table is read: by the format of its files, their form and their order.

Not here: the reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypernova.table.formats.csv import unlimited_cell_size
from hypernova.table.scan.cursors import (
    ApartRows,
    Cursor,
    LongLines,
    LongRows,
    NestedLines,
    NestedRows,
)
from hypernova.table.scan.joined_cursors import (
    JoinedApart,
    JoinedFiles,
    JoinedLongLines,
    JoinedLongRows,
)
from hypernova.table.scan.parquet_layout import ParquetLayout
from hypernova.table.scan.text_stream import read_headers

if TYPE_CHECKING:
    from hypernova.table.scan.files import TableFiles
    from hypernova.table.source import Source


@dataclass(frozen=True, slots=True)
class TableForm:
    """The files of a table, and how they are read.

    Attributes:
        files: The files.
        layout: Columns of the Parquet files of tasks.
        outcome_layout: Columns of the Parquet files of outcomes, where these are apart.
        joined: The outcomes in the tasks' order, where they had to be joined.
        outcome_columns: Columns of the files of outcomes, where an outcome is a row.
    """

    files: TableFiles
    layout: ParquetLayout | None = None
    outcome_layout: ParquetLayout | None = None
    joined: JoinedFiles | None = None
    outcome_columns: frozenset[str] = frozenset()

    @classmethod
    def of(cls, files: TableFiles) -> TableForm:
        """Look at the schema or header of every file.

        Raises:
            TableError: a file is unreadable, or a column is missing or of a wrong type.
            MissingExtraError: a file is Parquet and pyarrow is not installed.
        """
        if files.outcomes is not None:
            tasks = ParquetLayout.of(files.tasks, "tasks")
            outcomes = ParquetLayout.of(files.outcomes, "outcomes")
            return cls(files, tasks, outcomes, outcome_columns=frozenset(outcomes.kinds))
        if files.tasks.kind == ".parquet":
            layout = ParquetLayout.of(files.tasks)
            return cls(files, layout, outcome_columns=frozenset(layout.kinds))
        if files.tasks.kind == ".csv":
            with unlimited_cell_size():
                return cls(files, outcome_columns=read_headers(files.tasks))
        return cls(files)

    @property
    def is_long(self) -> bool:
        """Whether each outcome repeats its task."""
        if self.layout is not None:
            return self.layout.form == "long"
        return self.files.tasks.kind == ".csv"

    @property
    def outcome_source(self) -> Source:
        """The files of outcomes, for messages."""
        return (self.files.outcomes or self.files.tasks).source

    def open(self) -> Cursor:
        """Return a cursor before the first chunk."""
        files, layout, joined = self.files.tasks, self.layout, self.joined
        if layout is None:
            if files.kind == ".jsonl":
                return NestedLines(files)
            return LongLines(files) if joined is None else JoinedLongLines(files, joined)
        if layout.form == "nested":
            return NestedRows(files, layout)
        if layout.form == "long":
            if joined is None:
                return LongRows(files, layout)
            return JoinedLongRows(files, layout, joined)
        assert self.files.outcomes is not None
        assert self.outcome_layout is not None
        if joined is None:
            return ApartRows(files, layout, self.files.outcomes, self.outcome_layout)
        return JoinedApart(files, layout, joined, self.outcome_source)
