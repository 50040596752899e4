"""Share what embedders have loaded: one copy of a file's tables for all that name its bytes.

Not here: how a file is loaded (see ``lookup`` and ``onnx``), and embedders that came with pickles
(see ``hypernova.unpickled``).
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from hypernova.embedder.files import compare_sha256, file_state, sha256_of, unreadable
from hypernova.system import call_in_forked_child

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path
    from typing import Any

Value = TypeVar("Value")

# Files whose sha256 is remembered; more are hashed again.
_MAX_FILES: Final = 256
# A file that was written so recently may be written again with the same time of change.
_SETTLED_S: Final = 2.0


class LoadedCache(Generic[Value]):
    """Values that somebody uses, by key; safe to share among threads.

    Nothing is kept alive here: the last user of a value ends it. A forked child goes on with
    the values of its parent if they `survive_fork`, and else loads its own.
    """

    def __init__(self, *, survive_fork: bool) -> None:
        self._survive_fork = survive_fork
        self._lock = threading.Lock()
        self._loaded: weakref.WeakValueDictionary[Hashable, Value] = weakref.WeakValueDictionary()
        _caches.append(self)

    def get(self, key: Hashable, load: Callable[[], Value], check: Callable[[], None]) -> Value:
        """Return the value of a key, loaded if nobody uses it.

        Args:
            key: Everything that the value depends on.
            load: Loads the value. Other threads wait meanwhile.
            check: Called before a value is returned that was loaded for somebody else.
        """
        with self._lock:
            value = self._loaded.get(key)
            if value is None:
                value = load()
                self._loaded[key] = value
                return value
        check()
        return value

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may hold it
        if not self._survive_fork:
            # Kept, and not used: to end a model whose threads are gone waits for them for ever.
            _of_parent.append(list(self._loaded.values()))
            self._loaded = weakref.WeakValueDictionary()


_caches: list[LoadedCache[Any]] = []
_of_parent: list[object] = []


def _after_fork_in_child() -> None:
    for cache in _caches:
        cache._after_fork_in_child()


call_in_forked_child(_after_fork_in_child)

# By place, size and times of a file: its sha256.
_hashed: dict[tuple[int, ...], str] = {}


def check_file(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Check the sha256 of a model or a tokenizer, and hash it only if it has changed.

    Raises:
        EmbedderError: The file is missing, cannot be read, or has another sha256.
    """
    try:
        state = file_state(folder / name)
        if _hashed.get(state) == sha256_of(name, settings):
            return
        found = _hash(folder / name)
    except OSError as error:
        raise unreadable(folder, name, error) from error
    compare_sha256(folder, name, settings, found)
    remember(folder / name, state, found)


def remember(path: Path, state: tuple[int, ...], sha256: str) -> None:
    """Note the sha256 of a file, unless it has changed since, or may yet do so unseen."""
    if time.time_ns() - max(state[-2:]) < _SETTLED_S * 1e9 or file_state(path) != state:
        return
    if len(_hashed) >= _MAX_FILES:
        _hashed.clear()
    _hashed[state] = sha256


def _hash(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
