"""Reload a router when its artifact's file is replaced.

Not here: what reloading does (see ``Router.reload``).
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING

from hypernova.errors import HypernovaError

if TYPE_CHECKING:
    from pathlib import Path

    from hypernova.router.router import Router

# What tells one state of a file from another; None is no file.
State = tuple[int, int, int] | None


def state_of(path: Path) -> State:
    """What there is at a path now."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class Watch:
    """A thread that looks at a file from time to time, as long as its router lives.

    Looking is asking for the file's status, which works on every file system, network
    ones included. A file that was refused is not tried again before it changes.
    """

    def __init__(self, router: Router, path: Path, every_s: float, seen: State) -> None:
        """Begin to look; ``seen`` is the state that the file had before the router read it."""
        self._path = path
        self._every_s = every_s
        self._stop = threading.Event()
        # Else the thread would keep the router, and its mapping, alive for ever.
        self._router = weakref.ref(router)
        self._seen = seen
        thread = threading.Thread(target=self._run, name="hypernova-watch", daemon=True)
        thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            state = state_of(self._path)
            router = self._router()
            if router is None:
                return
            # A file that is gone for a moment is about to be replaced.
            if state is not None and state != self._seen:
                self._seen = state
                # What is refused the router has logged; it goes on with what it has.
                with contextlib.suppress(HypernovaError, OSError):
                    router.reload(self._path)
            del router
