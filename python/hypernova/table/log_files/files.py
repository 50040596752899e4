"""Files that may be logs: their first bytes, lines and archives, opened under limits.

Not here: whose log a file is, reading JSON in pieces (`json_stream`) and unpacking (`archive`).
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, BinaryIO

from hypernova.errors import HypernovaError, TableError
from hypernova.paths import escaped
from hypernova.strict_json import reason_of
from hypernova.table.formats.csv import CsvReader, unlimited_cell_size
from hypernova.table.formats.files import MAX_LINE
from hypernova.table.formats.parquet import open_parquet, readable_parquet
from hypernova.table.log_files.archive import (
    GZIP_MAGIC,
    ZIP_MAGICS,
    open_gzip,
    open_zip_entry,
    zip_entries,
)
from hypernova.table.log_files.json_stream import MAX_PARTS, holds_too_many_parts, walk
from hypernova.table.source import Source, quoted, quoted_list

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from pathlib import Path

HEAD_BYTES = 64 * 1024
PARQUET_MAGIC = b"PAR1"
_PARQUET_ROWS = 256
_BLANK = " \t\r\n"
CUT_SHORT = (
    "wait until the tool has ended if it is still writing the log; or else leave the log out"
)


@dataclass(frozen=True)
class LogFile:
    """A file that may be a log. What was read of it is kept, so do not keep many of these.

    Attributes:
        path: The file.
    """

    path: Path

    @cached_property
    def unit(self) -> str:
        """Unit of the numbers that `objects` and `rows` give: ``line``, ``row`` or ``entry``."""
        if self.head.startswith(PARQUET_MAGIC):
            return "row"
        return "entry" if self._text.startswith("[") else "line"

    @cached_property
    def source(self) -> Source:
        """The file in messages; its rows are those of `objects` and `rows`."""
        return Source.of(self.path, self.unit)

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB, unpacked if it is a gzip file; empty if it cannot be read."""
        found = b""
        try:
            with self._open(Source.of(self.path, "")) as file:
                while len(found) < HEAD_BYTES:
                    piece = file.read1(HEAD_BYTES - len(found))  # type: ignore[attr-defined]
                    if not piece:
                        break
                    found += piece
        except (OSError, TableError):
            pass  # of a gzip file that is cut short, the part before
        return found

    def check_opens(self) -> None:
        """Check that the file can be opened, whatever it holds.

        Raises:
            TableError: it cannot.
        """
        self._open_raw(Source.of(self.path, "")).close()

    @cached_property
    def first_object(self) -> dict[str, Any] | None:
        """The JSON object in the first line, or the first of a list; None unless whole in the head.

        A log may begin with an object that is larger than the head: `first_keys` has its keys.
        """
        text = self._text
        text = text[1:].lstrip(_BLANK) if text.startswith("[") else text.partition("\n")[0]
        try:
            found, _ = _DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @cached_property
    def first_keys(self) -> tuple[str, ...]:
        """The keys of the JSON object that the file begins with, as far as the head holds them.

        Of a file that begins with a list, those of the first object in it.
        """
        text = self._text
        if text.startswith("["):
            text = text[1:].lstrip(_BLANK)
        return _keys(text)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of a CSV, TSV or Parquet file; empty for any other.

        Of a Parquet file it is empty, too, where pyarrow is not installed.
        """
        if self.head.startswith(PARQUET_MAGIC):
            try:
                with open_parquet(self.path, self.source) as file:
                    return tuple(file.schema_arrow.names)
            except (HypernovaError, UnicodeDecodeError):
                return ()
        text = self._text
        if not text or text[0] in "{[" or "\0" in text or self.head.startswith(ZIP_MAGICS):
            return ()
        lines = iter(text.splitlines(keepends=True))
        try:
            with unlimited_cell_size():
                return tuple(CsvReader(_Lines(lines), self.source, ()).column_index)
        except (TableError, csv.Error):
            return ()

    @cached_property
    def entries(self) -> tuple[str, ...]:
        """The names in a ZIP archive, in its order; empty for any other file."""
        try:
            return tuple(self._infos)
        except TableError:
            return ()

    def open(self) -> BinaryIO:
        """Open the file for reading bytes, unpacked if it is a gzip file.

        Raises:
            TableError: it cannot be opened; reading raises it where it is damaged, or unpacks to
                far more than any log.
        """
        return self._open(self.source)

    def entry_source(self, name: str) -> Source:
        """Return an entry of the archive as messages name it, with lines as its rows."""
        return Source(f"{self.source.label}, entry {escaped(name)}", "line")

    def entry_size(self, name: str) -> int:
        """Return the bytes that an entry states to unpack to.

        Raises:
            TableError: the file is no ZIP archive, or has no such entry.
        """
        return self._info(name).file_size

    def open_entry(self, name: str, max_bytes: int) -> BinaryIO:
        """Open an entry of a ZIP archive for reading bytes, unpacked as it is read.

        Args:
            name: One of `entries`.
            max_bytes: Bytes that it may unpack to.

        Raises:
            TableError: the file is no ZIP archive, or has no such entry; the entry is encrypted,
                packed in an unknown way or larger than `max_bytes`. Reading raises it too, where
                the entry is damaged, or larger than the archive says.
            MissingExtraError: it is packed with Zstandard, and pyarrow is not installed.
        """
        info = self._info(name)
        source = self.entry_source(name)
        # Unbuffered: of most entries the header and the content are one read each.
        file = self._open_raw(self.source, buffering=0)
        try:
            return open_zip_entry(file, info, source, max_bytes)
        except BaseException:
            file.close()
            raise

    def objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and object of each line of JSON Lines; blank lines are passed over.

        Of a file that begins with a list, the number and object of each of its entries. NaN and
        infinities are read as numbers.

        Raises:
            TableError: a line or an entry is no JSON object, or the last one is cut short.
        """
        if self.unit == "entry":
            with self.open() as file:
                entries = walk(file, Source.of(self.path, "line"), "")
                for number, (_, entry) in enumerate(entries, 1):
                    yield number, self._object(entry, number)
            return
        with self.open() as file:
            for number, raw in enumerate(iter(partial(file.readline, MAX_LINE), b""), 1):
                if not raw.isspace():
                    yield number, self._object(self._json(raw, number), number)

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and cells of each row of a CSV, TSV, Parquet, JSON Lines or JSON file.

        Raises:
            TableError: the file is malformed.
            MissingExtraError: it is Parquet, and pyarrow is not installed.
        """
        if self.unit == "row":
            yield from self._parquet_rows()
        elif self._text[:1] in {"{", "["}:
            yield from self.objects()
        else:
            with unlimited_cell_size(), self.open() as file:
                reader = CsvReader(file, self.source, ())
                names = list(reader.column_index)
                for number, cells in reader:
                    yield number, dict(zip(names, cells, strict=True))

    @cached_property
    def _text(self) -> str:
        """The head as text, without a byte order mark and blanks before it."""
        return self.head.decode("utf-8", "ignore").removeprefix("\ufeff").lstrip(_BLANK)

    @cached_property
    def _infos(self) -> dict[str, zipfile.ZipInfo]:
        with self._open_raw(self.source) as file:
            if not file.read(4).startswith(ZIP_MAGICS):
                raise self.source.error("is no ZIP archive", "leave it out")
            try:
                return zip_entries(file)
            except ValueError as error:
                raise self.source.error(
                    f"is no whole ZIP archive ({error})", f"it may be cut short; {CUT_SHORT}"
                ) from error

    def _info(self, name: str) -> zipfile.ZipInfo:
        found = self._infos.get(name)
        if found is None:
            raise self.source.error(
                f"lacks the entry {quoted(name)}, found {quoted_list(self._infos)}",
                f"it may be cut short; {CUT_SHORT}",
            )
        return found

    def _open(self, source: Source) -> BinaryIO:
        file = self._open_raw(source)
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        return open_gzip(file, source) if packed else file

    def _open_raw(self, source: Source, buffering: int = -1) -> BinaryIO:
        try:
            return self.path.open("rb", buffering=buffering)
        except OSError as error:
            raise source.error(
                f"cannot be opened ({error.strerror})", "check the file and its permissions"
            ) from error

    def _json(self, raw: bytes, number: int) -> object:
        if len(raw) == MAX_LINE and not raw.endswith(b"\n"):
            raise self.source.error(
                f"is longer than {MAX_LINE >> 20} MiB", "leave the log out", at=number
            )
        if holds_too_many_parts(raw):
            raise self.source.error(
                f"holds more than {MAX_PARTS} parts", "leave the log out", at=number
            )
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            return json.loads(text)
        # ValueError: no UTF-8, no JSON, or an integer of thousands of digits.
        except (ValueError, RecursionError) as error:
            if not raw.endswith(b"\n"):
                raise self.source.error("is cut short", CUT_SHORT, at=number) from error
            raise self.source.error(
                f"is not valid JSON ({_reason(error)})",
                "the log is damaged, or no JSON Lines: copy it again, or leave it out",
                at=number,
            ) from error

    def _object(self, found: object, number: int) -> dict[str, Any]:
        if isinstance(found, dict):
            return found
        raise self.source.error(
            f"found {quoted(found)}, no JSON object", "leave the log out", at=number
        )

    def _parquet_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        number = 0
        with open_parquet(self.path, self.source) as file:
            batches = file.iter_batches(batch_size=_PARQUET_ROWS)
            while True:
                import pyarrow

                # Not around the loop: an error of whoever takes the rows is none of the file.
                with readable_parquet(pyarrow, self.source):
                    batch = next(batches, None)
                    rows = [] if batch is None else batch.to_pylist()
                if batch is None:
                    return
                for row in rows:
                    number += 1
                    yield number, row


_DECODER = json.JSONDecoder()


def _keys(text: str) -> tuple[str, ...]:
    """Return the keys of the object that a text begins with, until the text ends."""
    if not text.startswith("{"):
        return ()
    keys: dict[str, None] = {}
    at = 1
    try:
        while True:
            at = _skip(text, at)
            key, at = _DECODER.raw_decode(text, at)
            if not isinstance(key, str):
                break
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                break
            keys[key] = None
            _, at = _DECODER.raw_decode(text, _skip(text, at + 1))
            at = _skip(text, at)
            if text[at : at + 1] != ",":
                break
            at += 1
    except (ValueError, RecursionError):
        pass  # the head ends within a value
    return tuple(keys)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _reason(error: BaseException) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "no UTF-8"
    # The decoder counts lines within this one; its "line 1" would contradict ours.
    if isinstance(error, ValueError | RecursionError):
        return reason_of(error, in_line=True)
    return str(error)


class _Lines:
    """The lines of the head, as a file gives them."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def readline(self, limit: int, /) -> bytes:
        return next(self._lines, "")[:limit].encode()
