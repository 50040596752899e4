"""Files that may be logs: their first bytes, lines and archives, opened under limits.

Not here: whose log a file is, and reading JSON in pieces (`json_stream`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

from hypernova.table.formats.files import open_bytes
from hypernova.table.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class LogFile:
    """A file that may be a log.

    Attributes:
        path: The file.
    """

    path: Path

    @cached_property
    def source(self) -> Source:
        """The file in messages, with lines as its rows."""
        return Source.of(self.path, "line")

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB, unpacked if it is a gzip file; empty if it cannot be read."""
        raise NotImplementedError

    @cached_property
    def first_object(self) -> dict[str, Any] | None:
        """The JSON object in the first line, or None if there is none whole within the head."""
        raise NotImplementedError

    @cached_property
    def first_keys(self) -> tuple[str, ...]:
        """The keys of the JSON object that the file begins with, as far as the head holds them."""
        raise NotImplementedError

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of a CSV, TSV or Parquet file; empty for any other."""
        raise NotImplementedError

    @cached_property
    def entries(self) -> tuple[str, ...]:
        """The names in a ZIP archive, in its order; empty for any other file."""
        raise NotImplementedError

    def open(self) -> BinaryIO:
        """Open the file for reading bytes, unpacked if it is a gzip file.

        Raises:
            TableError: it cannot be opened; reading raises it where it is damaged.
        """
        return open_bytes(self.path, self.source)

    def objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield line number and object of each line of JSON Lines; blank lines are passed over.

        NaN and infinities are read as numbers.

        Raises:
            TableError: a line is no JSON object, or the last one is cut short.
        """
        raise NotImplementedError

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and cells of each row of a CSV, TSV, Parquet or JSON Lines file.

        Raises:
            TableError: the file is malformed.
            MissingExtraError: it is Parquet, and pyarrow is not installed.
        """
        raise NotImplementedError
