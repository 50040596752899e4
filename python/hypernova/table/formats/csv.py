"""Read tables in the CSV format; commas, semicolons or tabs separate the cells.

Not here: rules that hold for every format (`checks`).
"""

from __future__ import annotations

import csv
import itertools
import re
import threading
from array import array
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hypernova.errors import TableError
from hypernova.table.columns import (
    OUTCOME_NUMBERS,
    EncodedColumn,
    OutcomeBuilder,
    OutcomeColumns,
    TaskColumns,
    int_array,
    tasks_of_long_format,
)
from hypernova.table.formats.files import MAX_LINE, Readable, open_bytes, read_lines
from hypernova.table.source import Source, quoted, quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

# Separators of cells, in the order of preference where the header does not decide.
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_WIDE_TABLE_REMEDY = (
    "write one outcome a row; of a table with a column for each model, hypernova datasets convert "
    "routerbench makes that"
)
# Spreadsheets write this line above the header to state the separator.
_SEP_LINE = re.compile(r"sep=([,;\t])\r?\n?")
# float() also takes "nan", "1_000" and the digits of other scripts: none of them is meant here.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_csv_limit_lock = threading.RLock()


def read_csv(path: Path) -> tuple[TaskColumns, OutcomeColumns]:
    """Read the CSV format, one outcome a row.

    Raises:
        TableError: the file is not UTF-8 or not CSV, a column is missing, or a cell is wrong.
    """
    source = Source.of(path, "line")
    with unlimited_cell_size(), open_bytes(path, source) as file:
        return columns_of_rows(outcome_rows(open_outcomes(file, source)), source)


class CsvOutcome(NamedTuple):
    """A row with one outcome; `numbers` are those of `OUTCOME_NUMBERS`."""

    line: int
    task_id: str
    prompt: str
    group: str
    model: str
    numbers: list[float]


def open_outcomes(file: Readable, source: Source) -> CsvReader:
    """Read the header of a file with one outcome a row, inside `unlimited_cell_size`.

    Raises:
        TableError: the file is not UTF-8 or not CSV, or the header breaks a rule.
    """
    required = ("task_id", "prompt", "model", "score")
    table = CsvReader(file, source, required, once=(*required, "group", *OUTCOME_NUMBERS))
    source.check_optional_names(table.column_index, at=table.header_line)
    if "embedding" in table.column_index:
        # Ignored as an extra column, other vectors than the given ones would be fitted.
        raise source.error(
            "found vectors, which this format cannot hold",
            "use .jsonl or .parquet, or drop the column to embed the prompts",
            at=table.header_line,
            column="embedding",
        )
    return table


def outcome_rows(table: CsvReader) -> Iterator[CsvOutcome]:
    """Yield the rows of a file that `open_outcomes` opened.

    Raises:
        TableError: the file is not UTF-8 or not CSV, or a cell holds no number.
    """
    column_index = table.column_index
    task_id, prompt, model = (column_index[name] for name in ("task_id", "prompt", "model"))
    group = column_index.get("group")
    for line, cells in table:
        of = f"task {quoted(cells[task_id])}, model {quoted(cells[model])}"
        numbers = [
            table.number(cells[column_index[name]], line, name, of, booleans=name == "score")
            if name in column_index
            else np.nan
            for name in OUTCOME_NUMBERS
        ]
        yield CsvOutcome(
            line,
            cells[task_id],
            cells[prompt],
            "" if group is None else cells[group],
            cells[model],
            numbers,
        )


def columns_of_rows(
    rows: Iterable[CsvOutcome], source: Source
) -> tuple[TaskColumns, OutcomeColumns]:
    """Return the columns of rows with one outcome each.

    Raises:
        TableError: two rows of one task differ in prompt or group.
    """
    lines = array("q")
    codes = [array("q"), array("q"), array("q")]
    values: list[dict[str, int]] = [{}, {}, {}]
    outcomes = OutcomeBuilder()
    for row in rows:
        lines.append(row.line)
        for known, coded, text in zip(values, codes, row[1:4], strict=True):
            coded.append(known.setdefault(text, len(known)))
        outcomes.add(row.line, codes[0][-1], row.model, row.numbers)
    ids, prompts, groups = (
        EncodedColumn(int_array(coded), list(known))
        for coded, known in zip(codes, values, strict=True)
    )
    tasks = tasks_of_long_format(source, int_array(lines), ids, prompts, groups)
    return tasks, outcomes.build(source)


@contextmanager
def unlimited_cell_size() -> Iterator[None]:
    """Raise the csv module's limit on cells to that on lines while inside."""
    # The limit, 128 KiB by default, is one for the whole process, and prompts may be longer. The
    # lock keeps two threads that read from restoring it under each other.
    with _csv_limit_lock:
        before = csv.field_size_limit(MAX_LINE)
        try:
            yield
        finally:
            csv.field_size_limit(before)


class CsvReader:
    """Iterate over the rows of a CSV file, inside `unlimited_cell_size`.

    The separator is the one of comma, semicolon and tab that gives the header the required columns.
    Iteration yields each row with the line that it starts on, and raises TableError for a row that
    is not UTF-8, not CSV, or not as wide as the header.

    Attributes:
        column_index: Index of each column by name.
        header_line: Line that the header starts on, from 1.
    """

    def __init__(
        self,
        file: Readable,
        source: Source,
        required: Sequence[str],
        *,
        once: Sequence[str] | None = None,
    ) -> None:
        """Read the header.

        Args:
            file: The open file.
            source: The file, for messages.
            required: Columns that the header must have.
            once: Columns that must not stand twice; by default all.

        Raises:
            TableError: the header is missing or breaks one of these rules.
        """
        self._source = source
        lines, self._separator = _detect_separator(read_lines(file, source), required)
        self._rows = _csv_rows(lines, self._separator, source)
        # Lines of the first number with a decimal point and of the first with a decimal comma.
        self._first_point: int | None = None
        self._first_comma: int | None = None
        self.header_line, names = next(self._rows, (1, []))
        names = [name.strip() for name in names]
        if not names:
            raise source.error("holds no tasks, not even a header", "write a header and rows")
        missing = [name for name in required if name not in names]
        if missing:
            wide = {"model", "score"} <= set(missing)
            raise source.missing_columns(
                missing, names, at=self.header_line, remedy=_WIDE_TABLE_REMEDY if wide else None
            )
        for name in names if once is None else once:
            if names.count(name) > 1:
                raise source.error(
                    "the column stands twice", "keep one", at=self.header_line, column=name
                )
        self.column_index = {name: place for place, name in enumerate(names)}
        self._width = len(names)

    def go_to(self, file: Readable, line: int) -> None:
        """Go on at the beginning of a row, in a file that was moved there.

        Args:
            file: The file, of which the next line is read.
            line: Number of that line.
        """
        lines = read_lines(file, self._source, line)
        self._rows = _csv_rows(lines, self._separator, self._source, line)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for line, cells in self._rows:
            if len(cells) != self._width:
                raise self._source.error(
                    f"found {len(cells)} cells, but the header has {self._width}",
                    f"quote cells that hold {_SEPARATORS[self._separator]} or line breaks",
                    at=line,
                )
            yield line, cells

    def number(
        self, cell: str, line: int, column: str, of: str, *, booleans: bool = False
    ) -> float:
        """Return the number in a cell; NaN for an empty one, which no `score` column may have.

        A decimal comma is read where semicolons separate the cells and no number of the file has
        a point, so that 1,234 is never guessed at.

        Args:
            cell: Content of the cell.
            line: Line that its row starts on.
            column: Name of its column.
            of: Task and model of the row, for messages.
            booleans: Read true and yes as 1, false and no as 0, in any case.

        Raises:
            TableError: the cell holds no number.
        """
        text = cell.strip()
        if _NUMBER.fullmatch(text):
            if self._separator == ";" and "." in text:
                self._first_point = self._first_point or line
                self._check_one_decimal(cell, line, column, of)
            return float(text)
        if not text and column != "score":
            return np.nan
        if booleans and text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
        if self._separator == ";" and _DECIMAL_COMMA.fullmatch(text):
            self._first_comma = self._first_comma or line
            self._check_one_decimal(cell, line, column, of)
            return float(text.replace(",", "."))
        others = self._other_words(text, column) if booleans else []
        also = f", and below {quoted_list(others)}" if others else ""
        remedy = "write each as a number in 0..1, or leave its row out"
        raise self._source.error(
            f"found {quoted(cell)}{also}",
            remedy if also else _number_remedy(text, column),
            at=line,
            column=column,
            of=of,
        )

    def _other_words(self, word: str, column: str) -> list[str]:
        """Return the other words in the rest of a column, so that they are named all at once."""
        place = self.column_index[column]
        words: dict[str, None] = {}
        with suppress(TableError):  # the file is refused already
            for _, cells in self:
                text = cells[place].strip()
                if any(map(str.isalpha, text)) and not _NUMBER.fullmatch(text):
                    words[text] = None
        return [text for text in words if text != word and text.lower() not in _BOOLEANS]

    def _check_one_decimal(self, cell: str, line: int, column: str, of: str) -> None:
        if self._first_point and self._first_comma:
            raise self._source.error(
                f"found {quoted(cell)}; line {self._first_point} has a number with a point, line "
                f"{self._first_comma} one with a comma",
                "write all numbers with a point and without separators of thousands",
                at=line,
                column=column,
                of=of,
            )


def _detect_separator(lines: Iterator[str], required: Sequence[str]) -> tuple[Iterator[str], str]:
    """Return all lines again, and the separator of their cells."""
    read: list[str] = []
    for line in lines:
        stated = _SEP_LINE.fullmatch(line)
        if stated and not read:
            return itertools.chain(["\n"], lines), stated[1]  # keeps the count of lines
        read.append(line)
        if line and not line.isspace():
            break
    header = read[-1] if read else ""

    def columns_found(separator: str) -> tuple[int, int]:
        try:
            names = next(csv.reader([header], delimiter=separator), [])
        except csv.Error:
            return 0, 0
        stripped = [name.strip() for name in names]
        return sum(name in stripped for name in required), len(names)

    return itertools.chain(read, lines), max(_SEPARATORS, key=columns_found)


def _csv_rows(
    lines: Iterator[str], separator: str, source: Source, first: int = 1
) -> Iterator[tuple[int, list[str]]]:
    # Without strict an unclosed quote would take the rest of the file for one prompt.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        line = reader.line_num + first
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = (
                f"quote cells that hold {_SEPARATORS[separator]}, quotes or line breaks, and "
                "double quotes inside"
            )
            if "new-line character" in str(error):
                raise source.error(
                    "holds a carriage return outside quotes",
                    f"end lines as Unix or Windows does, or {remedy}",
                    at=line,
                ) from error
            raise source.error(f"is not valid CSV ({error})", remedy, at=line) from error
        if cells:
            yield line, cells


def _number_remedy(text: str, column: str) -> str:
    if text.endswith("%") and _NUMBER.fullmatch(text[:-1].strip()):
        return f"write {text} as {float(text[:-1]) / 100:g}"
    if _DECIMAL_COMMA.fullmatch(text):
        return (
            "write a number with a point: a decimal comma is read only where semicolons separate "
            "the cells"
        )
    if column == "score":
        return "write a number in 0..1, or leave the row out where there is no score"
    return "write a number, or leave the cell empty where it is not known"
