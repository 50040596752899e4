"""The access log: lines that a thread appends to a file, which may be rotated, full or shared.

Not here: the content of the lines (`access_entries`).
"""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypernova.paths import cannot_write, path_label
from hypernova.system import O_BINARY, call_in_forked_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_log = logging.getLogger("hypernova.server")
# Lines wait this long for others, so that a busy server wakes its thread some times a second
# and not once for each request.
GATHER_S = 0.05
# Beyond these bytes in memory, of a pipe that nobody reads for instance, lines are lost.
MAX_WAITING_BYTES = 8 << 20
# Writers to one pipe are kept apart by the system up to this size of a write.
_PIPE_BYTES = 4096
_CLOSE_S = 5.0
_COMPLAIN_S = 60.0
STANDARD_OUTPUT = "-"
_encode = json.JSONEncoder(separators=(",", ":")).encode


class AccessLog:
    """Append lines of JSON to a file or to standard output. Safe to share among threads.

    A thread writes the lines within a twentieth of a second, so no request waits for a disk. Each
    write holds whole lines and goes to the end of the file, so processes may share it. A file that
    was renamed or removed is made again before the next line: rotation needs no signal, and
    truncation works as well. A line that cannot be written is lost and counted.

    Args:
        file: File to append to, made if it does not exist; ``"-"`` is standard output.
        text: Whether lines hold the text of prompts.

    Raises:
        WriteError: The file cannot be opened.

    Example:
        >>> import hypernova
        >>> from hypernova.integrations.server import AccessLog, create_app
        >>> router = hypernova.Router.open()
        >>> app = create_app(router, access_log=AccessLog("access.jsonl"))  # doctest: +SKIP
    """

    def __init__(self, file: str | os.PathLike[str], *, text: bool = False) -> None:
        self.text = text
        self.on_lost: Callable[[int], None] | None = None
        self._path = None if os.fspath(file) == STANDARD_OUTPUT else Path(file)
        self._descriptor: int | None = None
        self._torn = False  # the last write ended within a line
        self._complained = -_COMPLAIN_S
        self._closed = False
        # In `_reset`, because a forked child begins with a state of its own.
        self._changed: threading.Condition
        self._ending: threading.Event
        self._thread: threading.Thread | None
        self._waiting: list[bytes]
        self._waiting_bytes: int
        self._writing: bool
        self._reset()
        try:
            self._open()
        except (OSError, ValueError) as error:  # a null byte in a path is a ValueError
            raise cannot_write(self._label(), error) from error
        _access_logs.add(self)

    def write(self, entry: Mapping[str, Any]) -> None:
        """Add a line; it is lost after `close`, or if too many wait already."""
        line = _encode(entry).encode("ascii") + b"\n"
        with self._changed:
            kept = not self._closed and self._waiting_bytes + len(line) <= MAX_WAITING_BYTES
            if kept:
                self._waiting.append(line)
                self._waiting_bytes += len(line)
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name="hypernova-access-log", daemon=True
                    )
                    self._thread.start()
                elif len(self._waiting) == 1:
                    self._changed.notify_all()
        if not kept:
            self._lose(1, "too many lines wait")

    def flush(self) -> None:
        """Wait until the lines so far are written, for some seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._writing), _CLOSE_S)

    def close(self) -> None:
        """Write the lines that wait, and close the file. Closing twice is no error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        self._ending.set()
        if thread is not None:
            thread.join(_CLOSE_S)  # a pipe that nobody reads must not keep a server from ending
            if thread.is_alive():
                return
        self._close_file()

    def _reset(self) -> None:
        """Set the state of a log without a thread, with locks that nobody holds."""
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._thread = None
        self._waiting = []
        self._waiting_bytes = 0
        self._writing = False

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
            self._ending.wait(GATHER_S)
            with self._changed:
                lines, self._waiting, self._waiting_bytes = self._waiting, [], 0
                self._writing, closed = True, self._closed
            self._write_lines(lines)
            with self._changed:
                self._writing = False
                self._changed.notify_all()
            if closed:
                return

    def _write_lines(self, lines: list[bytes]) -> None:
        left = len(lines)
        try:
            descriptor = self._current_file()
            if self._torn:  # the next line must not go on where the last broke off
                os.write(descriptor, b"\n")
                self._torn = False
            for count, data in _joined(lines):
                written = 0
                try:
                    while written < len(data):  # a disk that is nearly full takes a part
                        written += os.write(descriptor, data[written:])
                except OSError:
                    self._torn = data[:written][-1:] not in (b"", b"\n")
                    left -= data.count(b"\n", 0, written)
                    raise
                left -= count
        except OSError as error:
            self._lose(left, error.strerror or str(error))

    def _current_file(self) -> int:
        """Return the descriptor of the file that has the log's name now."""
        if self._descriptor is None:
            return self._open()
        if self._path is None:
            return self._descriptor
        opened = os.fstat(self._descriptor)
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return self._open()
        same = (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
        return self._descriptor if same else self._open()

    def _open(self) -> int:
        if self._path is None:
            if sys.__stdout__ is None:  # closed, and another file may have taken its number
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            descriptor = os.dup(1)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | O_BINARY
            # Readable by the group, in which collectors of logs are, and by nobody else.
            descriptor = os.open(self._path, flags, 0o640)
        self._close_file()
        self._descriptor, self._torn = descriptor, False
        return descriptor

    def _close_file(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _lose(self, lines: int, why: str) -> None:
        if self.on_lost is not None:
            self.on_lost(lines)
        now = time.monotonic()
        if now - self._complained >= _COMPLAIN_S:  # a full disk may hold this message, too
            self._complained = now
            _log.error("lines of the access log are lost: %s: %s", self._label(), why)

    def _label(self) -> str:
        return "standard output" if self._path is None else path_label(self._path)

    def _after_fork(self) -> None:
        """Leave the parent's thread and lines to the parent."""
        self._reset()

    def __repr__(self) -> str:
        return f"<hypernova.AccessLog: {self._path or STANDARD_OUTPUT}>"


def _joined(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines together, with their number, up to the size that a pipe keeps apart."""
    together: list[bytes] = []
    size = 0
    for line in lines:
        if together and size + len(line) >= _PIPE_BYTES:
            yield len(together), b"".join(together)
            together, size = [], 0
        together.append(line)
        size += len(line)
    if together:
        yield len(together), b"".join(together)


_access_logs: weakref.WeakSet[AccessLog] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for log in list(_access_logs):
        log._after_fork()


call_in_forked_child(_after_fork_in_child)
