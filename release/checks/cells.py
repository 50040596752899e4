"""Figures of records, as the ties of pages name them.

Not here: reading the tables of a record (benches/records.py), and which figure of a page is which
of a record (ties.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from benches.records import UNITS, Record, RecordError

from release.checks.records import latest_of

if TYPE_CHECKING:
    from release.checks.repository import Repository

NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"
UNIT = "|".join(UNITS)
SIZES = {
    **dict(zip(("ns", "us", "ms", "s"), (1e-9, 1e-6, 1e-3, 1.0), strict=True)),
    **dict(zip(("MB", "MiB", "GB", "%"), (1e6, 2.0**20, 1e9, 0.01), strict=True)),
}


@dataclass(frozen=True)
class Figure:
    """A number of a record.

    Attributes:
        kind: The kind of record, of which the latest counts, or the path of a page.
        row: The first cell of its row, or the beginning of it, without emphasis; where it repeats
            the first two, of a CSV those that tell rows apart, as in "decide 100x384 / numpy".
        column: The head of its column, or the beginning of it; or its place, from 0.
        section: The heading above its table, or a part of it, where rows repeat.
        nth: Which number of the cell, from 0.
        digits: Significant digits to which the page rounds it, where its decimals do not say so.
    """

    kind: str
    row: str
    column: str | int
    section: str = ""
    nth: int = 0
    digits: int = 0


def file_of(repository: Repository, figure: Figure) -> str:
    """Name the page that holds a figure; a CSV beside it has all digits.

    Raises:
        RecordError: There is no such record.
    """
    if "/" in figure.kind:
        return figure.kind
    record = latest_of(repository).get(figure.kind)
    if record is None:
        raise RecordError(f"there is no record of kind {figure.kind}")
    return str(PurePosixPath(record.name).with_suffix(".md"))


def value_of(repository: Repository, figure: Figure) -> tuple[float, bool]:
    """Return a figure in its base unit (seconds, bytes, parts), and whether it has a unit.

    Raises:
        RecordError: It is not where it is said to be.
    """
    path = repository.root / file_of(repository, figure)
    record = Record(path, date="", commit="", kind=figure.kind)
    value = record.value(figure.row, figure.column, figure.section, figure.nth)
    return value.number * SIZES.get(value.unit, 1.0), bool(value.unit)
