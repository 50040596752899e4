"""An outcome log that knows whether it is quick enough to be written on the event loop.

Handing a record to the operating system takes some microseconds, and a thread for it more than the
rest of the request. But a disk may stall, and then requests without a record must go on. Not here:
the log (`hypernova.OutcomeLog`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova import Decision, OutcomeLog

# A write that takes longer is slow, and so is the log for some time after it: a disk that stalls
# stops the event loop once a second at most.
QUICK_S = 2e-3
SLOW_FOR_S = 1.0


class TimedLog:
    """A log whose writes are timed.

    Args:
        log: The log.
    """

    def __init__(self, log: OutcomeLog) -> None:
        self._log = log
        self._began: list[float] = []  # of the writes that go on now
        self._slow_until = 0.0

    def record_decision(self, decision: Decision) -> str:
        """Record a decision, as `hypernova.OutcomeLog.record_decision` does."""
        with self._timed():
            return self._log.record_decision(decision)

    def record_outcome(self, decision: Decision | str, *values: Any, **fields: Any) -> None:
        """Record an outcome, as `hypernova.OutcomeLog.record_outcome` does."""
        with self._timed():
            self._log.record_outcome(decision, *values, **fields)

    def is_quick(self) -> bool:
        """Return whether a write now would probably not wait; false while another one goes on."""
        return not self._began and time.monotonic() >= self._slow_until

    @contextmanager
    def _timed(self) -> Iterator[None]:
        self._began.append(time.monotonic())
        try:
            yield
        finally:
            now = time.monotonic()
            # Writes wait for each other: the first that began is the first to end.
            if now - self._began.pop(0) > QUICK_S:
                self._slow_until = now + SLOW_FOR_S
