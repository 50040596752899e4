"""Let a command that is told to end clean up first: SIGINT, SIGTERM and SIGHUP raise `Ended`.

Not here: the server, which has an ending of its own, and the library: signals are the program's.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_DEFAULT = (signal.SIG_DFL, signal.default_int_handler)
# An exception that comes while C calls Python, as when an object is freed, can be lost there.
_AGAIN_S = 0.5


class Ended(BaseException):
    """The process was told to end.

    Attributes:
        exit_code: 128 and the signal's number, as a shell has it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextmanager
def raising() -> Iterator[None]:
    """Raise `Ended` on a signal that ends; one that is ignored, as by nohup, stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set what a signal does
        return
    told: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if not _cleans_up():
            if hasattr(signal, "setitimer"):
                signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
            raise Ended(told[0])

    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) in _DEFAULT}
    if hasattr(signal, "setitimer"):
        before[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _cleans_up() -> bool:
    """Whether `Ended` is on its way out: what is cleaned up then is not interrupted."""
    error = sys.exception()
    while error is not None and not isinstance(error, Ended):
        error = error.__context__
    return error is not None
