"""Keep objects that came with pickles and were costly to load, so that a process loads them once.

Not here: how any class pickles. A process pool sends a router or an embedder again with every task.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hypernova.system import call_in_forked_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Values of one cache: a process that uses more of them in turn loads some again.
MAX_VALUES = 4

Key = TypeVar("Key")
Value = TypeVar("Value")


class UnpickledCache(Generic[Key, Value]):
    """The most recently used values, by key; safe to share among threads.

    A forked child begins with an empty cache: a thread of the parent may have been loading a
    value, and a model with threads of its own has lost them.
    """

    def __init__(self) -> None:
        self._clear()
        _caches.append(self)

    def _clear(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def get(
        self,
        key: Key,
        make: Callable[[Iterator[tuple[Key, Value]]], Value],
        usable: Callable[[Value], bool] | None = None,
    ) -> Value:
        """Return the value of a key, made if necessary.

        Args:
            key: Everything that the value depends on.
            make: Makes the value; it is given the kept keys and values, the most recent
                first. Other threads wait meanwhile.
            usable: Tells whether a kept value may be returned; by default any may.
        """
        with self._lock:
            value = self._kept.get(key)
            if value is None or not (usable is None or usable(value)):
                value = self._kept[key] = make(reversed(self._kept.items()))
            self._kept.move_to_end(key)
            if len(self._kept) > MAX_VALUES:
                self._kept.popitem(last=False)
            return value


_caches: list[UnpickledCache[Any, Any]] = []
_of_parent: list[object] = []


def _after_fork_in_child() -> None:
    for cache in _caches:
        # Kept, and not used: to end a model whose threads are gone waits for them for ever.
        _of_parent.append(cache._kept)
        cache._clear()


call_in_forked_child(_after_fork_in_child)
