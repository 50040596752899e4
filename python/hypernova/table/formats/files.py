"""Open the files of a table, whatever their format: suffixes, gzip, UTF-8 and lines.

Not here: the formats themselves.
"""

from __future__ import annotations

import gzip
import io
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from hypernova.errors import NotFoundError
from hypernova.table.source import Source

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator

# Far above any prompt. A packed file can unpack to a line of a thousand times its size.
MAX_LINE = 256 * 1024 * 1024
_ALIASES = {".ndjson": ".jsonl", ".tsv": ".csv"}
_UNPACK = "unpack it first: of packed files only .gz is read"
_SAVE_AS_CSV = "save it as CSV in UTF-8"
_REMEDIES = {
    **dict.fromkeys((".7z", ".bz2", ".lz4", ".tar", ".tgz", ".xz", ".zip", ".zst"), _UNPACK),
    **dict.fromkeys((".ods", ".xls", ".xlsx", ".numbers"), _SAVE_AS_CSV),
    ".json": "write one object a line and name it .jsonl, as in: jq -c '.[]' FILE.json",
    ".parquet.gz": "unpack it first: gunzip FILE; Parquet is packed inside",
}


class Readable(Protocol):
    """A file that gives its lines as bytes."""

    def readline(self, limit: int, /) -> bytes:
        """Return the next line with its end, cut after `limit` bytes; nothing at the end."""


def require_path(path: str | os.PathLike[str]) -> Path:
    """Return `path` as a Path if it exists.

    Raises:
        NotFoundError: nothing is at the path.
    """
    place = Path(path)
    if not place.exists():
        label = Source.of(place, "").label
        raise NotFoundError(f"{label}: no such file or folder; check the path")
    return place


def detect_format(path: Path, formats: Collection[str], kind: str, remedy: str) -> tuple[str, str]:
    """Return the format of a file by its suffix.

    Args:
        path: The file. Its suffix may have capitals, and `.gz` may follow it.
        formats: Suffixes of the formats that are read; `.csv` stands for `.tsv` too, and `.jsonl`
            for `.ndjson`.
        kind: Kind of file that is expected, for the message.
        remedy: The files that are accepted, for the message.

    Returns:
        One of `formats`, and the base name without suffixes.

    Raises:
        TableError: the suffix is none of these.
    """
    packed = path.suffix.lower() == ".gz"
    inner = Path(path.stem if packed else path.name)
    suffix = inner.suffix.lower()
    format_ = _ALIASES.get(suffix, suffix)
    if format_ in formats and not (packed and format_ == ".parquet"):
        return format_, inner.stem
    ending = inner.suffix + path.suffix * packed
    raise Source.of(path, "").error(
        f"the suffix {ending!r} is not one of {kind}", _REMEDIES.get(ending.lower(), remedy)
    )


def open_bytes(path: Path, source: Source) -> BinaryIO:
    """Open `path` for reading bytes; a `.gz` file is unpacked while it is read.

    Raises:
        TableError: the file cannot be opened, for instance for lack of permission. Reading raises
            it too, where a packed file is damaged or cut short.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise source.error(
            f"cannot be opened ({error.strerror})", "check the file and its permissions"
        ) from error
    if path.suffix.lower() == ".gz":
        return io.BufferedReader(_GzipReader(file, source), 1 << 18)
    return file


class _GzipReader(io.RawIOBase):
    """Read a gzip file; its errors name the file."""

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


def read_lines(file: Readable, source: Source, first: int = 1) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their line ends; a byte order mark is dropped.

    Lines end at a line feed and nowhere else: JSON and CSV cells may hold the other characters
    that Python counts as line breaks. Decoding by lines gives an invalid byte its line number.

    Args:
        file: The open file, at the beginning of a line.
        source: The file, for messages.
        first: Number of that line.

    Raises:
        TableError: a line is not valid UTF-8, or longer than `MAX_LINE`.
    """
    for number, raw in enumerate(iter(partial(file.readline, MAX_LINE), b""), first):
        if number == 1:
            _check_is_text(raw, source)
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


def _check_is_text(first: bytes, source: Source) -> None:
    """Refuse files of another kind that bear the suffix of a text format."""
    if first.startswith(b"\x1f\x8b"):
        raise source.error("is packed with gzip", "add .gz to its name, or unpack it")
    if first.startswith(b"PK\x03\x04"):
        raise source.error("is a ZIP archive or a spreadsheet", f"unpack it, or {_SAVE_AS_CSV}")
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise source.error("is not valid UTF-8 but UTF-16", "save the file as UTF-8", at=1)
