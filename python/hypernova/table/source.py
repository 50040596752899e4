"""Say where a table is wrong, in one line and in the same words for every form of a table.

Not here: the rules themselves; readers and checks know what is wrong and pass it in.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hypernova.errors import NotFoundError, TableError
from hypernova.paths import path_label

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Iterator, Mapping

_SHOWN = 60
# Far above any prompt. A packed file can unpack to a line of a thousand times its size.
MAX_LINE = 256 * 1024 * 1024
_ALIASES = {".ndjson": ".jsonl", ".tsv": ".csv"}
_UNPACK = "unpack it first: of packed files only .gz is read"
_SHEET = "save it as CSV in UTF-8"
_REMEDIES = {
    **dict.fromkeys((".7z", ".bz2", ".lz4", ".tar", ".tgz", ".xz", ".zip", ".zst"), _UNPACK),
    **dict.fromkeys((".ods", ".xls", ".xlsx", ".numbers"), _SHEET),
    ".json": "write one object a line and name it .jsonl, as in: jq -c '.[]' FILE.json",
    ".parquet.gz": "unpack it first: gunzip FILE; Parquet is packed inside",
}


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
        return cls(path_label(path), unit, spelled or {})

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
        self,
        missing: Iterable[str],
        found: Iterable[str],
        *,
        at: int | None = None,
        remedy: str | None = None,
    ) -> TableError:
        """Build the error for absent columns; it names those missing and those found.

        Args:
            missing: Columns that are not there.
            found: Columns that are.
            at: Row number in this source's unit.
            remedy: What to do, where that is known better than by the names.
        """
        missing, found = list(missing), list(found)
        # "Task ID" and "task-id" for "task_id".
        near = {re.sub(r"[\s_-]+", "_", name.strip().casefold()): name for name in found}
        renamed = [
            f"rename {shown(near[name])} to {shown(name)}" for name in missing if name in near
        ]
        return self.error(
            f"lacks {listed(missing)}, found {listed(found)}",
            ", ".join(renamed)
            or remedy
            or "add what is missing or rename the column that holds it",
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


def form_of(path: Path, forms: Collection[str], kind: str, remedy: str) -> tuple[str, str]:
    """Tell the form of a file by its name.

    Args:
        path: The file. Its suffix may be followed by `.gz`, and have capitals.
        forms: The suffixes that are read; `.csv` stands for `.tsv`, and `.jsonl` for `.ndjson`.
        kind: What the file is to be, for the message.
        remedy: What to give instead, for the message.

    Returns:
        One of `forms`, and the base name without suffixes.

    Raises:
        TableError: the suffix is another one.
    """
    packed = path.suffix.lower() == ".gz"
    inner = Path(path.stem if packed else path.name)
    suffix = inner.suffix.lower()
    form = _ALIASES.get(suffix, suffix)
    if form in forms and not (packed and form == ".parquet"):
        return form, inner.stem
    ending = inner.suffix + path.suffix * packed
    raise Source.of(path, "").error(
        f"the suffix {ending!r} is not one of {kind}", _REMEDIES.get(ending.lower(), remedy)
    )


def opened(path: Path, source: Source) -> BinaryIO:
    """Open `path` for reading bytes; those of a `.gz` file are unpacked as they are read.

    Raises:
        TableError: the file cannot be opened, for instance for lack of permission; later, while
            it is read, a packed file is damaged or cut short.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise source.error(
            f"cannot be opened ({error.strerror})", "check the file and its permissions"
        ) from error
    if path.suffix.lower() == ".gz":
        return io.BufferedReader(_Unpacked(file, source), 1 << 18)
    return file


class _Unpacked(io.RawIOBase):
    """The content of a file that is packed with gzip, whose errors name the file."""

    def __init__(self, file: BinaryIO, source: Source) -> None:
        self._file = file
        self._content = gzip.GzipFile(fileobj=file, mode="rb")
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            data = self._content.read1(len(buffer))
        except (EOFError, OSError, zlib.error) as error:
            raise self._source.error(
                f"is not a readable gzip file ({error})",
                "pack it again; it may have been cut short",
            ) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._content.close()
        self._file.close()
        super().close()


def text_lines(file: BinaryIO, source: Source) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their line ends; a byte order mark is dropped.

    Lines end at a line feed and nowhere else: JSON and CSV cells may hold the other characters
    that Python counts as line breaks. Decoding line by line is what gives an invalid byte its line.

    Raises:
        TableError: a line is not valid UTF-8, or longer than `MAX_LINE`.
    """
    for number, raw in enumerate(iter(partial(file.readline, MAX_LINE), b""), 1):
        if number == 1:
            _check_text(raw, source)
        if len(raw) == MAX_LINE and not raw.endswith(b"\n"):
            raise source.error(
                f"is longer than {MAX_LINE >> 20} MiB",
                "write a task or an outcome a line",
                at=number,
            )
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise source.error(
                f"is not valid UTF-8 (byte 0x{raw[error.start]:02x} at offset {error.start})",
                "save the file as UTF-8",
                at=number,
            ) from error
        yield line.removeprefix("\ufeff") if number == 1 else line


def _check_text(first: bytes, source: Source) -> None:
    """Refuse files of another kind that bear the suffix of a text form."""
    if first.startswith(b"\x1f\x8b"):
        raise source.error("is packed with gzip", "add .gz to its name, or unpack it")
    if first.startswith(b"PK\x03\x04"):
        raise source.error("is a ZIP archive or a spreadsheet", f"unpack it, or {_SHEET}")
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise source.error("is not valid UTF-8 but UTF-16", "save the file as UTF-8", at=1)
