"""Keep what came with pickles and was costly to load, so that a process loads it once.

Not here: how any class pickles. A pool sends a router or an embedder again with every task.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Of each kind: a process that serves more of them in turn loads some again.
MOST = 4

Key = TypeVar("Key")
Value = TypeVar("Value")


class Unpickled(Generic[Key, Value]):
    """The values that were asked for last, by key; safe to share among threads.

    A forked child begins anew: a thread of the parent may have been loading one, and a model
    with threads of its own has lost them.
    """

    def __init__(self) -> None:
        self._begin()
        _all.append(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def get(
        self,
        key: Key,
        make: Callable[[Iterator[tuple[Key, Value]]], Value],
        usable: Callable[[Value], bool] | None = None,
    ) -> Value:
        """Give the value of a key.

        Args:
            key: All that the value depends on.
            make: Makes it if it is not there; given the keys and values that are there, those
                used last first. Others wait meanwhile.
            usable: Whether a value that is there will do; by default any does.
        """
        with self._lock:
            value = self._kept.get(key)
            if value is None or not (usable is None or usable(value)):
                value = self._kept[key] = make(reversed(self._kept.items()))
            self._kept.move_to_end(key)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
            return value


_all: list[Unpickled[Any, Any]] = []
_of_parent: list[object] = []


def _after_fork_in_child() -> None:
    for one in _all:
        # Kept, and not used: to end a model whose threads are gone waits for them for ever.
        _of_parent.append(one._kept)
        one._begin()


os.register_at_fork(after_in_child=_after_fork_in_child)
