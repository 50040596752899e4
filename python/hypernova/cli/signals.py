"""Raise `Terminated` on a signal that ends a process, so that a command cleans up before.

Not here: the server, which handles signals itself, and the library, which leaves signals to the
program.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hypernova.signals import ENDING, alarm, set_alarm, signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_DEFAULT = (signal.SIG_DFL, signal.default_int_handler)
# An exception is lost that is raised where Python cannot pass it on, as when an object is freed:
# the timer raises it again.
_RAISE_AGAIN_S = 0.5
_LOST_RAISE_AGAIN_S = 0.01


class Terminated(BaseException):
    """A signal told the process to end.

    Attributes:
        exit_code: 128 plus the signal's number, as in a shell.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """Raise `Terminated` on a signal; a signal that is ignored, as by nohup, stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers of signals
        return
    received: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if not _is_unwinding():
            set_alarm(_RAISE_AGAIN_S)
            raise Terminated(received[0])

    ending = [n for n in signals(ENDING) if signal.getsignal(n) in _DEFAULT]
    before = {n: signal.getsignal(n) for n in (*ending, *alarm())}
    report_unraisable = sys.unraisablehook

    def on_unraisable(unraisable: sys.UnraisableHookArgs, /) -> None:
        if not isinstance(unraisable.exc_value, Terminated):
            report_unraisable(unraisable)
        else:
            set_alarm(_LOST_RAISE_AGAIN_S)

    for number in before:
        signal.signal(number, on_signal)
    sys.unraisablehook = on_unraisable
    try:
        yield
        if received:  # the exception was lost, and the command ended before it was raised again
            raise Terminated(received[0])
    except Exception as error:
        # A library that is being imported may raise an error of its own in place of ours. One of
        # the system is kept: it says what cleaning up has left.
        if received and not isinstance(error, OSError):
            raise Terminated(received[0]) from error
        raise
    finally:
        set_alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = report_unraisable


def _is_unwinding() -> bool:
    """Return whether `Terminated` is being handled: cleaning up must not be interrupted."""
    error = sys.exception()
    while error is not None and not isinstance(error, Terminated):
        error = error.__context__
    return error is not None
