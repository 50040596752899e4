"""Number the rows of many files, so that messages name the file and the row in it.

Not here: reading the files.

A place is an int64: the file's index above the row's number in it. Places sort as files and rows
do, and those of the first file are its row numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.table.source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.errors import TableError
    from hypernova.table.columns import Ints

_ROW_BITS = 40
MAX_FILES = 1 << (63 - _ROW_BITS)


def place_of(file: int, row: int) -> int:
    """Return the place of a row, counted from 1, in a file, counted from 0."""
    return file << _ROW_BITS | row


def file_and_row(place: int) -> tuple[int, int]:
    """Return the file, counted from 0, and the row in it, counted from 1."""
    return place >> _ROW_BITS, place & ((1 << _ROW_BITS) - 1)


def places_of(file: int, first: int, n: int) -> Ints:
    """Return the places of `n` successive rows, of which the first is `first`, int64 (n,)."""
    return np.arange(place_of(file, first), place_of(file, first) + n, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class SourceFiles(Source):
    """Many files; row numbers are places.

    Attributes:
        files: The source of each file.
    """

    files: tuple[Source, ...] = ()

    @classmethod
    def over(cls, label: str, files: Sequence[Source]) -> Source:
        """Return the source of files: that of the only one, or else one of all."""
        if len(files) == 1:
            return files[0]
        return cls(label, files[0].unit, files=tuple(files))

    def place(self, row: int) -> str:
        """Return the words for a row besides the one that an error is about: its file, too."""
        file, number = file_and_row(row)
        return f"{self.files[file].label}, {self.unit} {number}"

    def error(
        self,
        problem: str,
        remedy: str,
        *,
        at: int | None = None,
        column: str | None = None,
        of: str | None = None,
    ) -> TableError:
        """Build the one-line error; it names the file of the row."""
        # By name: a class with slots is made twice, and super() would mean the first.
        if at is None:
            return Source.error(self, problem, remedy, column=column, of=of)
        file, number = file_and_row(at)
        return self.files[file].error(problem, remedy, at=number, column=column, of=of)
