"""Whether the outcome log is quick enough to be written on the event loop.

Handing a record to the operating system takes some microseconds, and a thread for it more than the
rest of the request. But a disk may stall, and then requests without a record must go on. Not here:
the log (`hypernova.OutcomeLog`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

# A write that takes longer is slow, and so is the log for some time after it: a disk that stalls
# stops the event loop once a second at most.
QUICK_S = 2e-3
SLOW_FOR_S = 1.0


class LogPace:
    """Times the writes of a log; each stands in a ``with`` block."""

    def __init__(self) -> None:
        self._began: list[float] = []  # of the writes that go on now
        self._slow_until = 0.0

    def __enter__(self) -> None:
        self._began.append(time.monotonic())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        now = time.monotonic()
        # Writes wait for each other: the first that began is the first to end.
        if now - self._began.pop(0) > QUICK_S:
            self._slow_until = now + SLOW_FOR_S

    def is_quick(self) -> bool:
        """Return whether a write now would probably not wait; false while another one goes on."""
        return not self._began and time.monotonic() >= self._slow_until
