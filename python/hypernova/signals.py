"""Signals, of which each platform has its own, each with what takes the place of a missing one.

All other modules ask here for what is not everywhere, see `system`. Not here: what a signal does
(`cli.signals`, and the server's processes).
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What tells a process to end. Windows sends the last one for Ctrl-Break and a closed window.
ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
# With names that only some platforms have.
_signal: Any = signal


def signals(names: Sequence[str]) -> tuple[signal.Signals, ...]:
    """Return the signals of these names that the platform has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


@contextmanager
def ending_blocked() -> Iterator[None]:
    """Let processes and threads that are started now be spared by signals that end this process.

    Where signals cannot be blocked, a process is spared that starts with the flags of `apart`.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # What is started now inherits this, from its first instruction on.
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, signals(ENDING))
    try:
        yield
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)


def apart() -> int:
    """Return the ``creationflags`` of a process that Ctrl-C in a console of Windows spares."""
    import subprocess  # only this needs it

    flags: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return flags


def alarm() -> tuple[signal.Signals, ...]:
    """Return the signal that `set_alarm` sends, if there is one."""
    return signals(["SIGALRM"]) if hasattr(signal, "setitimer") else ()


def set_alarm(seconds: float) -> None:
    """Send `alarm` in some seconds, for 0 never; where there is none, do nothing."""
    if hasattr(signal, "setitimer"):
        _signal.setitimer(_signal.ITIMER_REAL, seconds)
