"""Read tables and prompts from CSV and its kin: a comma, a semicolon or a tab between cells.

Not here: rules that hold for every form; `columns` has them.
"""

from __future__ import annotations

import csv
import itertools
import re
import threading
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from hypernova.table.columns import Encoded, Outcomes, Tasks, check_prompt, tasks_of_long
from hypernova.table.source import MAX_LINE, Source, opened, shown, text_lines
from hypernova.table.text import MEASURES, OutcomeRows, ints

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# What may separate cells, in the order of preference where the header does not decide.
_NAMED = {",": "commas", ";": "semicolons", "\t": "tabs"}
_WIDE = (
    "write one outcome a row; of a table with a column for each model, hypernova datasets convert "
    "routerbench makes that"
)
# What a spreadsheet writes above the header to say which it took.
_SEPARATOR_LINE = re.compile(r"sep=([,;\t])\r?\n?")
# float() also takes "nan", "1_000" and the digits of other scripts: none of them is meant here.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
_TRUTH = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_csv_limit_lock = threading.RLock()


def read_csv(path: Path) -> tuple[Tasks, Outcomes]:
    """Read the long CSV form, one outcome a row.

    Raises:
        TableError: the file is not UTF-8 or not CSV, a column is missing, or a cell is wrong.
    """
    source = Source.of(path, "line")
    lines = array("q")
    codes: dict[str, array[int]] = {name: array("q") for name in ("task_id", "prompt", "group")}
    values: dict[str, dict[str, int]] = {name: {} for name in codes}
    outcomes = OutcomeRows()
    with any_cell_size(), opened(path, source) as file:
        required = ("task_id", "prompt", "model", "score")
        table = CsvTable(file, source, required, once=(*required, "group", *MEASURES))
        places = table.places
        if "embedding" in places:
            # Ignoring it as an extra column would fit other vectors than the ones given.
            raise source.error(
                "found vectors, which this form cannot hold",
                "use .jsonl or .parquet, or drop the column to embed the prompts",
                at=table.header_line,
                column="embedding",
            )
        for line, cells in table:
            lines.append(line)
            for name in codes:
                text = cells[places[name]] if name in places else ""
                known = values[name]
                codes[name].append(known.setdefault(text, len(known)))
            model = cells[places["model"]]
            of = f"task {shown(cells[places['task_id']])}, model {shown(model)}"
            numbers = [
                table.number(cells[places[name]], line, name, of, truth=name == "score")
                if name in places
                else np.nan
                for name in ("score", *MEASURES)
            ]
            outcomes.add(line, codes["task_id"][-1], model, numbers)
    encoded = {name: Encoded(ints(codes[name]), list(values[name])) for name in codes}
    tasks = tasks_of_long(
        source, ints(lines), encoded["task_id"], encoded["prompt"], encoded["group"]
    )
    return tasks, outcomes.columns(source)


@contextmanager
def any_cell_size() -> Iterator[None]:
    """Let the csv module read cells as long as a line may be while inside."""
    # The csv module refuses cells over 128 KiB by a limit of the whole process. Prompts may be
    # longer; the lock keeps two reads in two threads from restoring it under each other.
    with _csv_limit_lock:
        before = csv.field_size_limit(MAX_LINE)
        try:
            yield
        finally:
            csv.field_size_limit(before)


class CsvTable:
    """A CSV file below its header; make and iterate it inside `any_cell_size`.

    Cells are separated by commas, semicolons or tabs, whichever gives the header the required
    columns. Iterating gives the rows, each with the line that it starts on, and raises TableError
    for one that is not UTF-8, not CSV, or not as wide as the header.

    Attributes:
        places: The place of each column.
        header_line: The line that the header starts on.
    """

    def __init__(
        self,
        file: BinaryIO,
        source: Source,
        required: Sequence[str],
        *,
        once: Sequence[str] | None = None,
    ) -> None:
        """Read the header.

        Args:
            file: The open file.
            source: Where it is, for messages.
            required: Columns that must be there.
            once: Columns that must not stand twice; None is all of them.

        Raises:
            TableError: the header is missing or breaks one of these rules.
        """
        self._source = source
        lines, self._separator = _separated(text_lines(file, source), required)
        self._rows = _csv_rows(lines, self._separator, source)
        # Line of the first number with a point, and of the first with a decimal comma.
        self._point: int | None = None
        self._comma: int | None = None
        self.header_line, names = next(self._rows, (1, []))
        names = [name.strip() for name in names]
        if not names:
            raise source.error("holds no tasks, not even a header", "write a header and rows")
        missing = [name for name in required if name not in names]
        if missing:
            wide = {"model", "score"} <= set(missing)
            raise source.missing(
                missing, names, at=self.header_line, remedy=_WIDE if wide else None
            )
        for name in names if once is None else once:
            if names.count(name) > 1:
                raise source.error(
                    "the column stands twice", "keep one", at=self.header_line, column=name
                )
        self.places = {name: place for place, name in enumerate(names)}
        self._width = len(names)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for line, cells in self._rows:
            if len(cells) != self._width:
                raise self._source.error(
                    f"found {len(cells)} cells, but the header has {self._width}",
                    f"quote cells that hold {_NAMED[self._separator]} or line breaks",
                    at=line,
                )
            yield line, cells

    def number(self, cell: str, line: int, column: str, of: str, *, truth: bool = False) -> float:
        """Return the number in a cell; NaN for an empty one, which no `score` column may have.

        A decimal comma is read where semicolons separate the cells and no number of the file has
        a point, so that 1,234 is never guessed at.

        Args:
            cell: What the cell holds.
            line: The line that its row starts on.
            column: Its column.
            of: What the row is about.
            truth: Take true and yes for 1, false and no for 0, in any case.

        Raises:
            TableError: the cell holds something else.
        """
        text = cell.strip()
        if _NUMBER.fullmatch(text):
            if self._separator == ";" and "." in text:
                self._point = self._point or line
                self._check_one_decimal(cell, line, column, of)
            return float(text)
        if not text and column != "score":
            return np.nan
        if truth and text.lower() in _TRUTH:
            return _TRUTH[text.lower()]
        if self._separator == ";" and _DECIMAL_COMMA.fullmatch(text):
            self._comma = self._comma or line
            self._check_one_decimal(cell, line, column, of)
            return float(text.replace(",", "."))
        raise self._source.error(
            f"found {shown(cell)}", _remedy(text, column), at=line, column=column, of=of
        )

    def _check_one_decimal(self, cell: str, line: int, column: str, of: str) -> None:
        if self._point and self._comma:
            raise self._source.error(
                f"found {shown(cell)}; line {self._point} has a number with a point, line "
                f"{self._comma} one with a comma",
                "write all numbers with a point and without separators of thousands",
                at=line,
                column=column,
                of=of,
            )


def _separated(lines: Iterator[str], required: Sequence[str]) -> tuple[Iterator[str], str]:
    """Give the lines again, and what separates their cells."""
    read: list[str] = []
    for line in lines:
        said = _SEPARATOR_LINE.fullmatch(line)
        if said and not read:
            return itertools.chain(["\n"], lines), said[1]  # so that lines are counted the same
        read.append(line)
        if line and not line.isspace():
            break
    header = read[-1] if read else ""

    def worth(separator: str) -> tuple[int, int]:
        try:
            names = next(csv.reader([header], delimiter=separator), [])
        except csv.Error:
            return 0, 0
        stripped = [name.strip() for name in names]
        return sum(name in stripped for name in required), len(names)

    return itertools.chain(read, lines), max(_NAMED, key=worth)


def _csv_rows(
    lines: Iterator[str], separator: str, source: Source
) -> Iterator[tuple[int, list[str]]]:
    # Not strict, an unclosed quote would swallow the rest of the file as one prompt.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = (
                f"quote cells that hold {_NAMED[separator]}, quotes or line breaks, and double "
                "quotes inside"
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


def _remedy(text: str, column: str) -> str:
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


def prompts_of_csv(path: Path) -> list[str]:
    """Read the `prompt` column.

    Raises:
        TableError: the file is not UTF-8 or not CSV, or a row has no prompt with text.
    """
    source = Source.of(path, "line")
    prompts = []
    with any_cell_size(), opened(path, source) as file:
        table = CsvTable(file, source, ("prompt",), once=("prompt",))
        for line, cells in table:
            prompt = cells[table.places["prompt"]]
            check_prompt(prompt, source, line)
            prompts.append(prompt)
    return prompts
