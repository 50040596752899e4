"""Read chunks of a scanned table as columns, in this process or in another.

Not here: the pass that scans a table (`look_through`), and `OutcomeTable`.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from hypernova.errors import TableError
from hypernova.table.source import Source, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova.table.columns import Ints
    from hypernova.table.scan.cursors import Columns, Cursor
    from hypernova.table.scan.forms import TableForm
    from hypernova.table.scan.scratch import Scratch

# Unpickled readers of this process: each goes on where its last chunk ended, though every call
# that is sent here brings a pickle of its own.
_MAX_KEPT = 2
_kept: OrderedDict[tuple[int, str], ChunkReader] = OrderedDict()
_kept_lock = threading.Lock()


class ChunkReader:
    """The chunks of a scanned table. It pickles as paths and an index."""

    def __init__(
        self, form: TableForm, marks: Ints, scratch: Scratch | None, token: str | None = None
    ) -> None:
        """Take what a scan has found.

        Args:
            form: The files.
            marks: Where each chunk begins, and where the last ends, int64 (chunks + 1, numbers).
            scratch: The folder of joined outcomes that this reader removes, or None.
            token: Name of the scan among those of all processes; by default a new one.
        """
        self._form, self._marks, self._scratch = form, marks, scratch
        self._token = token or os.urandom(16).hex()
        self._source = Source(f"table {quoted(form.files.name)}", "chunk")
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        self._cursor: Cursor | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def __del__(self) -> None:
        # Absent where the constructor failed.
        cursor = getattr(self, "_cursor", None)
        if cursor is not None:
            cursor.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._token, self._form, self._marks)

    def columns(self, chunk: int) -> Columns:
        """Return the columns of a chunk.

        Raises:
            TableError: there is no such chunk, the table is closed, or a file has changed.
        """
        if not 0 <= chunk < len(self._marks) - 1:
            raise no_such_chunk(self._form.files.name, chunk, len(self._marks) - 1)
        if self._process != os.getpid():
            # Files that were open before a fork share their position with the other process.
            self._forget()
        with self._lock:
            self._check_open()
            if self._cursor is None:
                self._cursor = self._form.open()
            try:
                return self._read(self._cursor, chunk)
            except BaseException:
                self._cursor.close()
                self._cursor = None
                raise

    def walk(self) -> Iterator[Columns]:
        """Yield the columns of each chunk, in order, from files of its own.

        Raises:
            TableError: as for `columns`.
        """
        self._check_open()
        cursor = self._form.open()
        try:
            for chunk in range(len(self._marks) - 1):
                self._check_open()
                yield self._read(cursor, chunk)
        finally:
            cursor.close()

    def _read(self, cursor: Cursor, chunk: int) -> Columns:
        self._check_unchanged(chunk)
        try:
            cursor.go_to(tuple(self._marks[chunk].tolist()))
            columns = cursor.read()
        except TableError:
            # A file that has just changed reads as malformed.
            self._check_unchanged(chunk)
            raise
        self._check_unchanged(chunk)
        assert columns is not None
        return columns

    def _check_unchanged(self, chunk: int) -> None:
        """Raise if a file of a chunk has changed."""
        files, last = self._form.files, self._marks[chunk + 1]
        first = self._marks[chunk]
        for file in files.tasks.files[first[0] : last[0] + 1]:
            file.check_unchanged()
        joined = self._form.joined
        if joined is not None:
            for scratch in (joined.outcomes, joined.tasks):
                if scratch is not None and not scratch.files[0].path.exists():
                    raise self._source.error(
                        f"the joined outcomes in {scratch.files[0].source.label} are gone: the "
                        "process that scanned the table has ended, or closed it",
                        "scan it again",
                    )
        elif files.outcomes is not None:
            for file in files.outcomes.files[first[2] : last[2] + 1]:
                file.check_unchanged()

    def _check_open(self) -> None:
        if self._closed:
            raise self._source.error("is closed", "scan it again")

    def close(self) -> None:
        """Close the files, and remove the joined outcomes where this process wrote them."""
        self._closed = True
        if self._process == os.getpid():
            with self._lock:
                if self._cursor is not None:
                    self._cursor.close()
                    self._cursor = None
        if self._scratch is not None:
            self._scratch.remove()


def no_such_chunk(name: str, chunk: int, n_chunks: int) -> TableError:
    """Return the error for the number of a chunk that a table does not have."""
    return Source(f"table {quoted(name)}", "chunk").error(
        "there is no such chunk", f"the table has {n_chunks}, counted from 0", at=chunk
    )


def _restored(token: str, form: TableForm, marks: Ints) -> ChunkReader:
    """Return the reader of a pickle: the one of this process if it has been here before."""
    with _kept_lock:
        key = (os.getpid(), token)
        reader = _kept.pop(key, None)
        if reader is None or reader._closed:
            reader = ChunkReader(form, marks, None, token)
        _kept[key] = reader
        while len(_kept) > _MAX_KEPT:
            _kept.popitem(last=False)
        return reader
