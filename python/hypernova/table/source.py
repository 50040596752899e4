"""Say where a table is wrong, in one line and in the same words for every form of a table.

Not here: the rules themselves; readers and checks know what is wrong and pass it in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hypernova.errors import NotFoundError, TableError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

_SHOWN = 60


def shown(value: object) -> str:
    """Return `value` as it may stand in a one-line message: escaped, and cut where it is long."""
    # A prompt may be megabytes: cut before repr, not after.
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]!r}..."
    text = repr(value)
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}..."


def listed(names: Iterable[str]) -> str:
    """Return names for a message: quoted, with commas, cut after twelve; `nothing` for none."""
    every = [shown(name) for name in names]
    if len(every) > 12:
        every = [*every[:12], f"and {len(every) - 12} more"]
    return ", ".join(every) or "nothing"


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from, as a message names it.

    Attributes:
        label: The path as the caller wrote it, or the name of a table made from arrays.
        unit: What a row number counts: `line` (text, 1-based), `row` (Parquet, 1-based) or
            `index` (arrays, 0-based).
        spelled: How the source spells a column that hypernova calls otherwise, such as
            `instance_id` for `task_id`.
    """

    label: str
    unit: str
    spelled: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, path: Path, unit: str, spelled: Mapping[str, str] | None = None) -> Source:
        """Return the source for a path; a path with line breaks is escaped."""
        label = str(path)
        return cls(label if label.isprintable() else repr(label), unit, spelled or {})

    def error(
        self,
        problem: str,
        remedy: str,
        *,
        at: int | None = None,
        column: str | None = None,
        of: str | None = None,
    ) -> TableError:
        """Build the one-line error.

        Args:
            problem: What was found.
            remedy: What the reader of the message can do.
            at: Row number in this source's unit.
            column: Column name.
            of: What the row is about, such as the task and the model.
        """
        where = self.label
        if at is not None:
            where += f", {self.unit} {at}"
        if column is not None:
            where += f", column {self.spelled.get(column, column)!r}"
        if of is not None:
            where += f" ({of})"
        return TableError(f"{where}: {problem}; {remedy}")

    def missing(
        self, missing: Iterable[str], found: Iterable[str], *, at: int | None = None
    ) -> TableError:
        """Build the error for absent columns; it names those missing and those found."""
        return self.error(
            f"lacks {listed(missing)}, found {listed(found)}",
            "add what is missing or rename the column that holds it",
            at=at,
        )


def existing(path: str | os.PathLike[str]) -> Path:
    """Return `path` as a Path if something is there.

    Raises:
        NotFoundError: nothing is at the path.
    """
    there = Path(path)
    if not there.exists():
        label = Source.of(there, "").label
        raise NotFoundError(f"{label}: no such file or folder; check the path")
    return there


def opened(path: Path, source: Source) -> BinaryIO:
    """Open `path` for reading bytes.

    Raises:
        TableError: the file cannot be opened, for instance for lack of permission.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise source.error(
            f"cannot be opened ({error.strerror})", "check the file and its permissions"
        ) from error


def text_lines(file: BinaryIO, source: Source) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their line ends; a byte order mark is dropped.

    Lines end at a line feed and nowhere else: JSON and CSV cells may hold the other characters
    that Python counts as line breaks. Decoding line by line is what gives an invalid byte its line.

    Raises:
        TableError: a line is not valid UTF-8.
    """
    for number, raw in enumerate(file, 1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise source.error(
                f"is not valid UTF-8 (byte 0x{raw[error.start]:02x} at offset {error.start})",
                "save the file as UTF-8",
                at=number,
            ) from error
        yield line.removeprefix("\ufeff") if number == 1 else line
