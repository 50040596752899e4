"""A lock that a forked child can take, whichever thread of its parent held it.

Not here: what a lock guards; each holder leaves it in a state that another may see at any time.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from hypernova.system import call_in_forked_child

if TYPE_CHECKING:
    from types import TracebackType


class ForkSafeLock:
    """A lock for ``with``, which is free in a forked child unless the thread that forked holds it.

    Threads are not copied by a fork: a lock that one of them held would be held for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._owner = None
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        if self._owner != threading.get_ident():
            self._lock = threading.Lock()
            self._owner = None


_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for lock in _locks:
        lock._after_fork_in_child()


call_in_forked_child(_after_fork_in_child)
