"""Find the files of a table that is not held in memory, and notice when one changes.

Not here: what is in the files.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.errors import NotFoundError
from hypernova.paths import path_label
from hypernova.table.formats.files import detect_format, require_path
from hypernova.table.scan.places import MAX_FILES, SourceFiles
from hypernova.table.source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

# The unit of row numbers of each format.
_UNITS = {".parquet": "row", ".csv": "line", ".jsonl": "line"}
_FORMATS = "give .parquet, .csv, .tsv or .jsonl"
_PICK = "name the files of the table by a pattern, such as 'FOLDER/*.parquet'"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file as it was when the table was scanned.

    Attributes:
        path: Its absolute path, which holds in other processes, too.
        source: The path as the caller wrote it, for messages.
        size: Its length in bytes.
        mtime_ns: Time of its last change.
    """

    path: Path
    source: Source
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path, unit: str) -> DataFile:
        """Return a file as it is now.

        Raises:
            TableError: the path is no file, or it cannot be looked at.
        """
        source = Source.of(path, unit)
        try:
            status = path.stat()
        except OSError as error:
            raise source.error(
                f"cannot be opened ({error.strerror})", "check the file and its permissions"
            ) from error
        if not path.is_file():
            raise source.error("is no regular file", _PICK)
        return cls(path.absolute(), source, status.st_size, status.st_mtime_ns)

    def check_unchanged(self) -> None:
        """Raise unless the file is the one that was scanned.

        Raises:
            TableError: the file is gone, or its size or its time of change is another.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            raise self.source.error(
                f"cannot be opened any more ({error.strerror})",
                "put the file back, or scan the table again",
            ) from error
        if (status.st_size, status.st_mtime_ns) != (self.size, self.mtime_ns):
            raise self.source.error(
                "has changed since the table was scanned", "scan the table again"
            )


@dataclass(frozen=True, slots=True)
class DataFiles:
    """Files of one format, in the order in which they are read.

    Attributes:
        kind: Format: `.parquet`, `.csv` (with `.tsv`) or `.jsonl` (with `.ndjson`).
        files: The files, at least one.
        source: The source of all of them; row numbers are places.
    """

    kind: str
    files: tuple[DataFile, ...]
    source: Source

    @classmethod
    def of(cls, label: str, paths: Sequence[Path]) -> DataFiles:
        """Return files in natural order.

        Args:
            label: The path or pattern that gave them, for messages.
            paths: The files.

        Raises:
            TableError: a file is of no format, or of another than the first.
        """
        whole = Source(label, "")
        if len(paths) >= MAX_FILES:
            raise whole.error(f"found {len(paths)} files", f"give fewer than {MAX_FILES}")
        kinds: dict[str, Path] = {}
        for path in sorted(paths, key=natural_order):
            kind, _ = detect_format(path, _UNITS, "an outcome table", f"{_FORMATS}; {_PICK}")
            kinds.setdefault(kind, path)
            if len(kinds) > 1:
                first = next(iter(kinds.values()))
                raise Source.of(path, "").error(
                    f"is of another format than {path_label(first)}", _PICK
                )
        (kind,) = kinds
        files = tuple(DataFile.of(path, _UNITS[kind]) for path in sorted(paths, key=natural_order))
        return cls(kind, files, SourceFiles.over(label, [file.source for file in files]))

    def check_unchanged(self) -> None:
        """Raise unless all files are those that were scanned.

        Raises:
            TableError: a file is gone or has changed.
        """
        for file in self.files:
            file.check_unchanged()


@dataclass(frozen=True, slots=True)
class TableFiles:
    """The files of a table.

    Attributes:
        name: Name of the table: that of the folder or of the only file.
        tasks: Files of tasks, or of tasks with their outcomes.
        outcomes: Files of outcomes alone, or None.
    """

    name: str
    tasks: DataFiles
    outcomes: DataFiles | None = None

    def check_unchanged(self) -> None:
        """Raise unless all files are those that were scanned.

        Raises:
            TableError: a file is gone or has changed.
        """
        self.tasks.check_unchanged()
        if self.outcomes is not None:
            self.outcomes.check_unchanged()


def natural_order(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return the key by which files are sorted: numbers in names count as numbers.

    Example:
        >>> sorted([Path("part-10.csv"), Path("part-9.csv")], key=natural_order)[0].name
        'part-9.csv'
    """
    text = os.fsdecode(path)
    parts = re.split("([0-9]+)", text)
    # Every other part is a number; "" before one that begins the name keeps the two apart.
    return [(int(n), part) for part, n in zip(parts[::2], ["-1", *parts[1::2]], strict=True)], text


def find_files(path: str | os.PathLike[str]) -> TableFiles:
    """Find the files of a table.

    Args:
        path: A file, a folder or a pattern, as `OutcomeTable.scan` takes them.

    Raises:
        NotFoundError: nothing is at the path, or no file matches the pattern.
        TableError: the files are of no format, or of several.
    """
    text = os.fsdecode(path)
    if glob.has_magic(text) and not Path(text).exists():
        found = [Path(name) for name in glob.glob(text, recursive=True)]  # noqa: PTH207
        if not found:
            raise NotFoundError(f"{path_label(text)}: no file matches; check the pattern")
        above = Path(text).parent
        while glob.has_magic(os.fsdecode(above)):
            above = above.parent
        name = found[0].name.partition(".")[0] if len(found) == 1 else _name_of(above)
        return TableFiles(name, DataFiles.of(path_label(text), found))
    place = require_path(path)
    if not place.is_dir():
        files = DataFiles.of(path_label(place), [place])
        return TableFiles(detect_format(place, _UNITS, "", "")[1], files)
    tasks_at, outcomes_at = _half(place, "tasks"), _half(place, "outcomes")
    if tasks_at and outcomes_at:
        tasks, outcomes = (
            DataFiles.of(path_label(at), _entries(at) if at.is_dir() else [at])
            for at in (tasks_at, outcomes_at)
        )
        for half in (tasks, outcomes):
            if half.kind != ".parquet":
                raise half.files[0].source.error(
                    "is no Parquet file, and outcomes apart from the tasks are read of no other",
                    "write Parquet, or JSON Lines with the outcomes in the task's row",
                )
        return TableFiles(_name_of(place), tasks, outcomes)
    if tasks_at or outcomes_at:
        source = Source.of(place, "")
        lacking = "outcomes" if tasks_at else "tasks"
        raise source.error(
            f"the folder lacks {lacking}.parquet, or a folder {lacking} of Parquet files",
            "name a folder that holds tasks and outcomes, or the files by a pattern, such as "
            "'FOLDER/tasks/*.parquet'",
        )
    return TableFiles(_name_of(place), DataFiles.of(path_label(place), _entries(place)))


def _name_of(folder: Path) -> str:
    # "." and ".." have no name of their own.
    return folder.resolve().name if folder.name in {"", ".."} else folder.name


def _half(folder: Path, name: str) -> Path | None:
    """Return the file or folder of tasks or of outcomes in a folder that has them apart."""
    file, inner = folder / f"{name}.parquet", folder / name
    if file.is_file() and inner.is_dir():
        raise Source.of(folder, "").error(
            f"found {name}.parquet beside a folder {name}", "keep one of the two"
        )
    if file.is_file():
        return file
    return inner if inner.is_dir() else None


def _entries(folder: Path) -> list[Path]:
    """Return the files of a folder, except those that no table is kept in by convention."""
    source = Source.of(folder, "")
    try:
        names = [path for path in folder.iterdir() if path.name[0] not in "._"]
    except OSError as error:
        raise source.error(
            f"cannot be opened ({error.strerror})", "check the folder and its permissions"
        ) from error
    folders = sorted(path for path in names if path.is_dir())
    if folders:
        raise Source.of(folders[0], "").error(
            "is a folder in a folder of files",
            "name the files by a pattern, such as 'FOLDER/**/*.parquet'",
        )
    if not names:
        raise source.error("the folder holds no files", f"name one that holds a table; {_FORMATS}")
    return names
