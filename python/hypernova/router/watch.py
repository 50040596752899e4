"""Reload a router when its artifact's file is replaced, or written in place.

Not here: the reload itself (see ``Router.reload``).
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from numbers import Real
from typing import TYPE_CHECKING, Protocol

from hypernova.errors import HypernovaError, NotFoundError
from hypernova.events import logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypernova._core import Artifact

# Two states differ if the file may have changed between them; None is no file.
FileState = tuple[int, int, int, int, int] | None
# A file system's clock ticks every few milliseconds, that of FAT every two seconds. A write
# within a tick, of the same length, leaves the state as it was: for this long after a change the
# contents themselves are compared.
SETTLED_AFTER_S = 2.0
# Seconds between two looks at a watched file, unless the caller says otherwise.
WATCH_EVERY_S = 1.0


class Reloadable(Protocol):
    """The part of a router that a watch uses."""

    @property
    def artifact(self) -> Artifact:
        """The artifact in use."""

    def _open_artifact(self, path: Path) -> Artifact:
        """Open a file as the router opens its files."""

    def _take(self, open_artifact: Callable[[], Artifact]) -> Artifact:
        """Replace the artifact in use."""

    def _refuse(self, error: HypernovaError) -> None:
        """Report that a file was refused."""


def watch_interval(watch: bool | float, path: object) -> float:
    """Return the seconds between two looks; 0 for none.

    Args:
        watch: As of ``Router.open``: False, True or the seconds.
        path: The artifact's file; None for the bundled one.

    Raises:
        ValueError: ``watch`` is no positive number, or there is no path to watch.
    """
    if watch and path is None:
        raise ValueError("watch takes a path: the bundled artifact is not replaced")
    if not (isinstance(watch, Real) and 0 <= watch < float("inf")):
        raise ValueError(f"watch is {watch!r}, expected True or seconds above 0")
    return WATCH_EVERY_S if watch is True else float(watch)


def file_state(path: Path) -> FileState:
    """Return the present state of the file at a path."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # a path with a null byte is that of no file
        return None
    # `cp -p` and `touch -d` set the time of modification, but not that of the status.
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev, status.st_ino, *times, status.st_size


class WatchedFile:
    """A file that is looked at from time to time, and taken when it has changed.

    A look asks for the file's status, which works on every file system, network
    ones included. After a change the file is opened at once, at every look until it is
    whole, and once more when its state has not changed for two seconds. A file that is
    refused then is not tried again before it changes.

    Args:
        path: The file.
        state: State of the file before the router read it; None if that is unknown, and the first
            look then compares the contents.
    """

    def __init__(self, path: Path, state: FileState = None) -> None:
        self._path = path
        self._state = state
        # The file may have been written since, within a tick: it is opened once more.
        self._changed_at = time.monotonic()
        self._is_settled = False
        self._is_whole = True
        # sha256 of the last whole file; None until a whole one is found in this state.
        self._sha256: str | None = None

    def begin(self, sha256: str) -> None:
        """Note the artifact that was read from the file."""
        self._sha256 = sha256

    def look(self, router: Reloadable) -> None:
        """Let a router take the file if it has changed; any error is logged."""
        try:
            self._look(router)
        except Exception:  # the next look may succeed, and a watch that ends would go unnoticed
            logger().exception("cannot take %s now; it is still watched", self._path)

    def _look(self, router: Reloadable) -> None:
        state, now = file_state(self._path), time.monotonic()
        if state is None:
            return  # a file that is gone for a moment is about to be replaced
        if state != self._state:
            self._state, self._changed_at = state, now
            self._is_settled = self._is_whole = False
            self._sha256 = None
        if self._is_settled:
            return
        self._is_settled = now - self._changed_at >= SETTLED_AFTER_S
        if self._is_settled or not self._is_whole:
            self._open(router)

    def _open(self, router: Reloadable) -> None:
        try:
            artifact = router._open_artifact(self._path)
        except NotFoundError:
            return
        except HypernovaError as error:
            self._is_whole = False
            # Before it has settled, someone may still be writing.
            if self._is_settled:
                router._refuse(error)
            return
        self._is_whole = True
        # In a new state the file is taken unless it is in use; later, if it was changed since:
        # the router may have taken another file meanwhile.
        known, self._sha256 = self._sha256 or router.artifact.sha256, artifact.sha256
        if artifact.sha256 != known:
            # The router has logged a refusal, and goes on with the old artifact.
            with contextlib.suppress(HypernovaError):
                router._take(lambda: artifact)


class Watch:
    """A thread that looks at a file from time to time, as long as its router lives.

    Args:
        router: The router to reload; the watch holds it weakly.
        path: The file.
        interval_s: Seconds between two looks.
        state: As in `WatchedFile`.
    """

    def __init__(self, router: Reloadable, path: Path, interval_s: float, state: FileState) -> None:
        self._interval_s = interval_s
        self._stop = threading.Event()
        # A strong reference would keep the router, and its mapping, alive for ever.
        self._router = weakref.ref(router)
        self._file = WatchedFile(path, state)
        threading.Thread(
            target=self._run, args=(router.artifact,), name="hypernova-watch", daemon=True
        ).start()

    def stop(self) -> None:
        """End the thread, after the look that it may be taking."""
        self._stop.set()

    def _run(self, first: Artifact) -> None:
        self._file.begin(first.sha256)  # here, because it reads all of the file
        del first
        while not self._stop.wait(self._interval_s):
            router = self._router()
            if router is None:
                return
            self._file.look(router)
            del router
