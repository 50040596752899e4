"""Calls, the arguments that they share, and their answers, as bytes for another process.

Not here: how the bytes get there. They are read by processes of the same run alone.
"""

from __future__ import annotations

import io
import pickle
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from functools import partial


class SharedArguments:
    """Arguments that many calls have in common, pickled once.

    Attributes:
        values: The arguments as bytes, for `load_call`'s ``shared``.
    """

    def __init__(self, shared: Sequence[Any]) -> None:
        self._kept = list(shared)  # an object that is freed would leave its id to another
        self._numbers = {id(value): i for i, value in enumerate(self._kept)}
        self.values = pickle.dumps(self._kept, pickle.HIGHEST_PROTOCOL)

    def pickled(self, call: partial[Any]) -> bytes:
        """Pickle a call for `load_call`; the objects that are shared are named by their numbers."""
        file = io.BytesIO()
        _CallPickler(file, self._numbers).dump(call)
        return file.getvalue()


class _CallPickler(pickle.Pickler):
    """Pickle a call, with numbers in the places of the shared arguments."""

    def __init__(self, file: io.BytesIO, numbers: dict[int, int]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._numbers = numbers

    def persistent_id(self, value: Any) -> int | None:
        return self._numbers.get(id(value))


class _CallUnpickler(pickle.Unpickler):
    """Unpickle a call, with the shared arguments in their places."""

    def __init__(self, message: bytes, shared: Sequence[Any]) -> None:
        super().__init__(io.BytesIO(message))
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:
        return self._shared[pid]


def answer(message: bytes, shared: Sequence[Any]) -> bytes:
    """Make a pickled call, and pickle whether it returned, with its result or its exception.

    Args:
        message: The call, of `SharedArguments.pickled`.
        shared: The arguments that `SharedArguments.values` holds.
    """
    try:
        done, result = True, _CallUnpickler(message, shared).load()()
    except Exception as error:
        error.add_note(traceback.format_exc())
        done, result = False, error
    try:
        pickled = pickle.dumps((done, result), pickle.HIGHEST_PROTOCOL)
        if not done:
            pickle.loads(pickled)  # noqa: S301 - some exceptions pickle but do not unpickle
    except Exception as error:
        return pickle.dumps((False, RuntimeError(f"{result!r} does not pickle: {error}")))
    return pickled
