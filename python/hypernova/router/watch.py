"""Reload a router when its artifact's file is replaced, or written in place.

Not here: what reloading does (see ``Router.reload``).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

from hypernova._core import Artifact
from hypernova.errors import HypernovaError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from hypernova.router.router import Router

# What tells one state of a file from another; None is no file.
State = tuple[int, int, int, int, int] | None
# A file system's clock ticks every few milliseconds, that of FAT every two seconds. What is
# written within a tick, at the same length, leaves the state as it was: for so long after a
# change the contents themselves are looked at.
SETTLED_AFTER_S = 2.0

_log = logging.getLogger("hypernova")


def state_of(path: Path) -> State:
    """Give the state of the file at a path now."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # a path with a null byte is that of no file
        return None
    # `cp -p` and `touch -d` set the time of modification, but not that of the status.
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev, status.st_ino, *times, status.st_size


class Watch:
    """A thread that looks at a file from time to time, as long as its router lives.

    Looking is asking for the file's status, which works on every file system, network
    ones included. After a change the file is opened: at once, at every look as long as it is
    not whole, and once more when its state has not changed for two seconds. A file that is
    refused then is not tried again before it changes.
    """

    def __init__(self, router: Router, path: Path, every_s: float, seen: State) -> None:
        """Begin to look; ``seen`` is the state that the file had before the router read it."""
        self._path = path
        self._every_s = every_s
        self._stop = threading.Event()
        # Else the thread would keep the router, and its mapping, alive for ever.
        self._router = weakref.ref(router)
        self._seen = seen
        # The file may have been written since, within a tick: it is looked at once more.
        self._since = time.monotonic()
        self._is_settled = False
        self._is_whole = True
        # Digest of what was last found; None until something whole is found in this state.
        self._found: str | None = None
        thread = threading.Thread(
            target=self._run, args=(router.artifact,), name="hypernova-watch", daemon=True
        )
        thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self, first: Artifact) -> None:
        self._found = first.sha256
        del first
        while not self._stop.wait(self._every_s):
            router = self._router()
            if router is None:
                return
            try:
                self._look(router)
            except Exception:  # a thread that ends would never look again, and nobody would know
                _log.exception("cannot take %s now; it is still watched", self._path)
            del router

    def _look(self, router: Router) -> None:
        state, now = state_of(self._path), time.monotonic()
        if state is None:
            return  # a file that is gone for a moment is about to be replaced
        if state != self._seen:
            self._seen, self._since = state, now
            self._is_settled = self._is_whole = False
            self._found = None
        if self._is_settled:
            return
        self._is_settled = now - self._since >= SETTLED_AFTER_S
        if self._is_settled or not self._is_whole:
            self._open(router)

    def _open(self, router: Router) -> None:
        try:
            artifact = Artifact.open(self._path, mmap=router._mmap)
        except NotFoundError:
            return
        except HypernovaError as error:
            self._is_whole = False
            # Before, it is no fault: someone is still writing.
            if self._is_settled:
                router._refused(error)
            return
        self._is_whole = True
        # In a new state the file is taken unless it is in use; later, if it was changed since:
        # the router may have taken another file meanwhile.
        known, self._found = self._found or router.artifact.sha256, artifact.sha256
        if artifact.sha256 != known:
            # What is refused the router has logged; it goes on with what it has.
            with contextlib.suppress(HypernovaError):
                router._take(lambda: artifact)
