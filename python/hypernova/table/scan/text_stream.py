"""Read the rows of CSV and JSON Lines files in order, from any row on.

Not here: what the rows mean; `formats.csv` and `formats.jsonl` read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Generic, TypeVar

from hypernova.table.formats.csv import CsvOutcome, open_outcomes, outcome_rows
from hypernova.table.formats.files import open_bytes
from hypernova.table.formats.jsonl import JsonObject, read_objects
from hypernova.table.scan.places import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova.table.scan.files import DataFile, DataFiles
    from hypernova.table.source import Source

Row = TypeVar("Row")


class CountedLines:
    """A file that is read by lines, with the offset and the number of the next line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.offset, self.line = 0, 1

    def readline(self, limit: int, /) -> bytes:
        """Return the next line, as `Readable` does."""
        data = self._file.readline(limit)
        self.offset += len(data)
        self.line += bool(data)
        return data

    def go_to(self, offset: int, line: int, *, packed: bool) -> None:
        """Move to the beginning of a line; a packed file is read up to there."""
        if packed:
            while self.offset < offset and self.readline(offset - self.offset):
                pass
        else:
            self._file.seek(offset)
        self.offset, self.line = offset, line

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TextStream(Generic[Row]):
    """The rows of text files, read in order: an iterator of places and rows."""

    def __init__(self, files: DataFiles) -> None:
        """Begin at the first row."""
        self._files = files.files
        self._lines: CountedLines | None = None
        self._rows: Iterator[tuple[int, Row]] = iter(())
        self.mark = (0, 0, 1)  # file, offset and number of the line to read next

    def go_to(self, file: int, offset: int, line: int) -> None:
        """Read a row next, given as by `mark`.

        Raises:
            TableError: the file has changed, or is unreadable.
        """
        here = self._lines is not None and file == self.mark[0]
        if here and self._packed(file) and self.mark[1] <= offset:
            while self.mark[1] < offset and next(self, None):
                pass
        elif not here or self.mark[1] != offset:
            self.close()
            self.mark = (file, offset, line)

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        return self

    def __next__(self) -> tuple[int, Row]:
        while self.mark[0] < len(self._files):
            file = self.mark[0]
            if self._lines is None:
                self._open(self._files[file])
            assert self._lines is not None
            found = next(self._rows, None)
            if found is not None:
                self.mark = (file, self._lines.offset, self._lines.line)
                return place_of(file, found[0]), found[1]
            self._files[file].check_unchanged()
            self.close()
            self.mark = (file + 1, 0, 1)
        raise StopIteration

    def _packed(self, file: int) -> bool:
        return self._files[file].path.suffix.lower() == ".gz"

    def _open(self, file: DataFile) -> None:
        file.check_unchanged()
        self._lines = CountedLines(open_bytes(file.path, file.source))
        _, offset, line = self.mark
        self._rows = self._rows_at(self._lines, file.source, offset, line)

    def _rows_at(
        self, lines: CountedLines, source: Source, offset: int, line: int
    ) -> Iterator[tuple[int, Row]]:
        """Return the rows of a file from a line on, with their numbers."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file that is open; the next row opens it again."""
        self._rows = iter(())
        if self._lines is not None:
            self._lines.close()
            self._lines = None


class JsonlStream(TextStream[JsonObject]):
    """The objects of JSON Lines files."""

    def _rows_at(
        self, lines: CountedLines, source: Source, offset: int, line: int
    ) -> Iterator[tuple[int, JsonObject]]:
        if offset:
            lines.go_to(offset, line, packed=self._packed(self.mark[0]))
        return read_objects(lines, source, line)


class CsvStream(TextStream[CsvOutcome]):
    """The outcomes of CSV files, inside `unlimited_cell_size`; their lines are places."""

    def _rows_at(
        self, lines: CountedLines, source: Source, offset: int, line: int
    ) -> Iterator[tuple[int, CsvOutcome]]:
        file = self.mark[0]
        table = open_outcomes(lines, source)
        if offset:
            lines.go_to(offset, line, packed=self._packed(file))
            table.go_to(lines, line)
        return (
            (row.line, row._replace(line=place_of(file, row.line))) for row in outcome_rows(table)
        )


def read_headers(files: DataFiles) -> frozenset[str]:
    """Check the header of each CSV file, before any of their rows, and return all columns.

    Raises:
        TableError: a header is missing or breaks a rule.
    """
    columns: set[str] = set()
    for file in files.files:
        content = open_bytes(file.path, file.source)
        with content:
            columns.update(open_outcomes(content, file.source).column_index)
    return frozenset(columns)
