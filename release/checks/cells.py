"""Figures of records: the number in a row and a column of a table.

Not here: which figure of a page is which of a record (ties.py).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from release.checks.records import latest_of

if TYPE_CHECKING:
    from release.checks.repository import Repository

NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"
UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "MiB": 2.0**20,
    "MB": 1e6,
    "GB": 1e9,
    "bytes": 1.0,
    "%": 0.01,
}
UNIT = "|".join(UNITS)
_VALUE = re.compile(rf"({NUMBER})(?: ?({UNIT})(?!\w))?")
# The columns by which rows of a CSV are told apart, joined by " / ".
_KEYS = (("row", "library"), ("table", "router"))


@dataclass(frozen=True)
class Figure:
    """A number of a record.

    Attributes:
        kind: The kind of record, of which the latest counts, or the path of a page.
        row: The first cell of its row, or the beginning of it, without emphasis; of a CSV the
            cells that tell rows apart, as in "decide 100x384 / numpy".
        column: The head of its column, or the beginning of it; or its place, from 0.
        section: The heading above its table, or a part of it, where rows repeat.
        nth: Which number of the cell, from 0.
        unit: Of the number, where the cell does not say it.
        digits: Significant digits to which the page rounds it, where its decimals do not say so.
    """

    kind: str
    row: str
    column: str | int
    section: str = ""
    nth: int = 0
    unit: str = ""
    digits: int = 0


class FigureError(Exception):
    """A figure is not where it is said to be."""


def file_of(repository: Repository, figure: Figure) -> str:
    """Name the file that holds a figure; where a record is also a CSV, that one."""
    if "/" in figure.kind:
        return figure.kind
    record = latest_of(repository).get(figure.kind)
    if record is None:
        raise FigureError(f"there is no record of kind {figure.kind}")
    sheet = re.sub(r"\.\w+$", ".csv", record.name)
    return sheet if repository.has(sheet) else record.name


def value_of(repository: Repository, figure: Figure) -> tuple[float, bool]:
    """Return a figure in its base unit (seconds, bytes, parts), and whether it has a unit."""
    name = file_of(repository, figure)
    try:
        if name.endswith(".csv"):
            cell = _cell_of_csv(repository.text(name), figure)
        else:
            cell = _cell_of_page(repository.text(name), figure)
        number, unit = _VALUE.findall(cell)[figure.nth]
    except LookupError as error:
        raise FigureError(f"{name} has no {figure.column!r} of {figure.row!r}: {error}") from None
    unit = figure.unit or unit
    return float(number.replace(",", "")) * UNITS.get(unit, 1.0), bool(unit)


def _plain(cell: str) -> str:
    return re.sub(r"[*`]", "", cell).strip()


def _the_one(found: list[str], wanted: str) -> int:
    """Return the place of the one text that is, or begins with, what is wanted."""
    equal = [i for i, text in enumerate(found) if text == wanted]
    places = equal or [i for i, text in enumerate(found) if text.startswith(wanted)]
    if len(places) != 1:
        raise LookupError(f"{len(places)} rows or columns are called {wanted!r}")
    return places[0]


def _cell_of_csv(text: str, figure: Figure) -> str:
    rows = list(csv.DictReader(text.splitlines()))
    keys = next(keys for keys in _KEYS if rows and keys[0] in rows[0])
    row = rows[_the_one([" / ".join(row[key] for key in keys) for row in rows], figure.row)]
    return row[str(figure.column)]


def _cell_of_page(text: str, figure: Figure) -> str:
    """Look for the row in each table below the section's heading."""
    heading, head, found = "", [], []
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.strip("# ")
        cells = [_plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        if not cells or set("".join(cells)) <= set(":- "):
            head = head if cells else []
        elif not head:
            head = cells
        elif figure.section in _plain(heading):
            found.append((cells, head))
    cells, head = found[_the_one([cells[0] for cells, _ in found], figure.row)]
    place = figure.column if isinstance(figure.column, int) else _the_one(head, figure.column)
    return cells[place]
