"""Read the figures of records: tables of Markdown, and CSV.

Not here: making records (each benchmark), and the page of a version's records (`release_page.py`).

A record is a file ``DATE-COMMIT-KIND.md`` of `benches/record/`; where it has a ``.csv`` beside it,
that has all digits. To get one figure, with the unit that stands in the cell:

    >>> from benches.records import Records
    >>> records = Records()
    >>> records.value("text-versions", "route, 200 tokens", "now").unit
    'us'
    >>> records.value("speed", "decide 100x384 / numpy", "ratio").number > 1
    True

A row is named by its first cell, where that repeats by the first two joined by `` / ``, of a CSV by
the cells that tell rows apart, joined so as well; a column by its head, or by its place from 0.
Either may be the beginning of the name where only one begins so. `section` is a part of the heading
above the table, `nth` the number of the figure in its cell. What is not there, or not once, raises
`RecordError`, which says what is.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from benches.paths import ROOT
from benches.record import SOURCES, output_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FOLDER = ROOT / "benches" / "record"
NAME = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)-(?P<commit>[0-9a-f]{7,40})-(?P<kind>[a-z0-9-]+)\.md")
# By these columns the rows of a CSV are told apart.
KEYS = (("row", "library"), ("table", "router"))
UNITS = ("ns", "us", "ms", "s", "MiB", "GB", "MB", "%")
# Where a CSV's column holds nanoseconds, its name says so.
COLUMN_UNITS = {"median_ns": "ns", "least_ns": "ns", "p99_ns": "ns"}
_NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
_VALUE = re.compile(rf"({_NUMBER})(?: ?({'|'.join(UNITS)})(?![\w/]))?")
_CELL_END = re.compile(r"(?<!\\)\|")


class RecordError(Exception):
    """A figure is not in the records; the message says where it was looked for."""


@dataclass(frozen=True)
class Value:
    """A figure of a record.

    Attributes:
        number: The number as it stands there.
        unit: The unit after it, or that of its column; empty if there is none.
        cell: The whole cell.
    """

    number: float
    unit: str
    cell: str


@dataclass(frozen=True)
class Table:
    """A table of a record.

    Attributes:
        section: The heading above it; empty if there is none.
        head: Names of the columns.
        rows: The cells of each row, without emphasis.
    """

    section: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str | int) -> int:
        """Return the place of a column, by its head or the only beginning of one."""
        if isinstance(name, int):
            if not 0 <= name < len(self.head):
                raise RecordError(f"no column {name}; there are {len(self.head)}")
            return name
        return _place_of(self.head, name, "column")

    def cell(self, row: str, column: str | int) -> str:
        """Return one cell.

        Args:
            row: The first cell of the row, or the first two joined by `` / ``.
            column: The head of the column, or its place.
        """
        rows = [cells[0] for cells in self.rows]
        if " / " in row and plain(row) not in rows:
            rows = [" / ".join(cells[:2]) for cells in self.rows]
        return self.rows[_place_of(rows, row, "row")][self.column(column)]


def _place_of(names: Sequence[str], wanted: str, what: str) -> int:
    wanted = plain(wanted)
    found = [i for i, name in enumerate(names) if name == wanted]
    found = found or [i for i, name in enumerate(names) if name.startswith(wanted)]
    if len(found) != 1:
        there = ", ".join(repr(name) for name in names[:12])
        raise RecordError(f"{len(found)} times a {what} {wanted!r}; there are {there}")
    return found[0]


def plain(cell: str) -> str:
    """Return the text of a cell without emphasis, code marks and escapes."""
    return re.sub(r"\\(?=\|)|[*`]", "", cell).strip()


def cells_of(line: str) -> list[str] | None:
    """Return the cells of a line of a table, or None if it is none."""
    line = line.strip()
    if not line.startswith("|"):
        return None
    parts = _CELL_END.split(line)[1:]
    if parts and not parts[-1].strip():
        parts = parts[:-1]
    return [part.strip() for part in parts]


def tables_of(text: str) -> list[Table]:
    """Read all tables of a Markdown page.

    Raises:
        RecordError: A row has another number of cells than its head.
    """
    tables: list[Table] = []
    section, lines = "", text.splitlines()
    at, is_code = 0, False
    while at < len(lines):
        line = lines[at]
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code and line.startswith("#"):
            section = plain(line.lstrip("#"))
        rule = cells_of(lines[at + 1]) if at + 1 < len(lines) else None
        head = None if is_code else cells_of(line)
        if head is None or rule is None or not all(re.fullmatch(":?-+:?", cell) for cell in rule):
            at += 1
            continue
        rows = []
        at += 2
        while at < len(lines) and (cells := cells_of(lines[at])) is not None:
            if len(cells) != len(head):
                raise RecordError(f"line {at + 1}: {len(cells)} cells below {len(head)} heads")
            rows.append(tuple(map(plain, cells)))
            at += 1
        tables.append(Table(section, tuple(map(plain, head)), tuple(rows)))
    return tables


def value_of(cell: str, nth: int = 0) -> Value:
    """Return a number of a cell, with the unit that stands after it.

    Raises:
        RecordError: The cell has not so many numbers.
    """
    found = _VALUE.findall(cell)
    if nth >= len(found):
        raise RecordError(f"{cell!r} has {len(found)} numbers, and not number {nth}")
    number, unit = found[nth]
    return Value(float(number.replace(",", "")), unit, cell)


@dataclass(frozen=True)
class Record:
    """A record, read when it is first looked into.

    Attributes:
        path: The Markdown file.
        date: YYYY-MM-DD.
        commit: Short hash of the commit that was measured.
        kind: What was measured, such as ``text-versions``.
    """

    path: Path
    date: str
    commit: str
    kind: str

    @cached_property
    def text(self) -> str:
        """The Markdown page."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tables(self) -> list[Table]:
        """The tables of the page."""
        return tables_of(self.text)

    @cached_property
    def sheet(self) -> list[dict[str, str]] | None:
        """The rows of the CSV beside it, or None."""
        path = self.path.with_suffix(".csv")
        if not path.exists():
            return None
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @property
    def is_partial(self) -> bool:
        """Whether `make record` has marked it as a part of what was to be measured."""
        return "**Partial**" in self.text

    @property
    def machine(self) -> str:
        """The processor and its cores, as the page says it; empty if it does not."""
        found = re.search(r"(?:Machine: |^|, |; )((?:AMD|Intel)[^,;]*, \d+ cores)", self.text, re.M)
        return found[1] if found else ""

    @property
    def command(self) -> str:
        """The command that the page names last in code before its first table, or nothing."""
        lead = self.text.partition("\n|")[0]
        found = [
            part for part in re.findall(r"`([^`]+)`", lead) if re.match("python -m|make ", part)
        ]
        return found[-1] if found else ""

    def value(self, row: str, column: str | int, section: str = "", nth: int = 0) -> Value:
        """Return a figure; see the head of this module."""
        try:
            if self.sheet is not None and isinstance(column, str) and self.sheet:
                return self._value_of_sheet(row, column)
            return value_of(self._cell(row, column, section), nth)
        except RecordError as error:
            raise RecordError(f"{self.path.name}: {error}") from None

    def table(self, section: str = "", nth: int = 0) -> Table:
        """Return a table, of those below a heading that holds `section` the one of that number."""
        found = [table for table in self.tables if section in table.section]
        if nth >= len(found):
            raise RecordError(f"{self.path.name}: {len(found)} tables below {section!r}")
        return found[nth]

    def _cell(self, row: str, column: str | int, section: str) -> str:
        problem = RecordError("no table" + (f" below {section!r}" if section else ""))
        for table in self.tables:
            if section in table.section:
                try:
                    return table.cell(row, column)
                except RecordError as error:
                    problem = error
        raise problem

    def _value_of_sheet(self, row: str, column: str) -> Value:
        assert self.sheet is not None
        if column not in self.sheet[0]:
            raise RecordError(f"no column {column!r}; there are {', '.join(self.sheet[0])}")
        keys = next((keys for keys in KEYS if set(keys) <= set(self.sheet[0])), None)
        if keys is None:
            raise RecordError(f"no columns {' or '.join('/'.join(keys) for keys in KEYS)}")
        names = [plain(" / ".join(cells[key] for key in keys)) for cells in self.sheet]
        cell = self.sheet[_place_of(names, row, "row")][column]
        value = value_of(cell)
        return Value(value.number, COLUMN_UNITS.get(column, ""), cell)


class Records:
    """The records of a folder, the latest of each kind.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._kept: dict[str, Record] | None = None

    def all(self) -> Iterator[Record]:
        """Yield all records, in the order of their dates."""
        for path in sorted(self.folder.glob("*.md")):
            if match := NAME.fullmatch(path.name):
                yield Record(path, match["date"], match["commit"], match["kind"])

    def latest(self, kind: str) -> Record | None:
        """Return the latest record of a kind: by its date, of a day by its commit in git's order.

        Args:
            kind: For instance ``speed``.
        """
        if self._kept is None:
            self._kept = {}
            for record in self.all():
                before = self._kept.get(record.kind)
                if before is None or before.date < record.date or _is_after(before, record):
                    self._kept[record.kind] = record
        return self._kept.get(kind)

    def value(
        self, kind: str, row: str, column: str | int, section: str = "", nth: int = 0
    ) -> Value:
        """Return a figure of the latest record of a kind; see the head of this module.

        Args:
            kind: The kind of record.
            row: The first cell of the row, or the only beginning of it.
            column: The head of the column, or the only beginning of it; or its place from 0.
            section: A part of the heading above the table, where rows repeat.
            nth: Which number of the cell, from 0.

        Raises:
            RecordError: There is no such figure, or more than one.
        """
        record = self.latest(kind)
        if record is None:
            raise RecordError(f"{self.folder}: no record of kind {kind}")
        return record.value(row, column, section, nth)


def _is_after(one: Record, other: Record) -> bool:
    """Whether the second commit has the first among those before it."""
    if one.commit == other.commit:
        return False
    base = output_of("git", "merge-base", one.commit, other.commit)
    return bool(base) and base.startswith(one.commit)


def same_sources(commit: str, other: str = "HEAD") -> bool:
    """Tell whether two commits have the same sources: all but pages and records."""
    if not output_of("git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"):
        return False
    return not output_of("git", "diff", "--name-only", commit, other, "--", *SOURCES)
