"""Make calls in threads of this process, for work that mostly runs in compiled code.

Not here: processes, which share no memory and wait for no lock (see ``processes``).
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future


class Stop:
    """A flag by which whoever waits for long work gives it up; it is not set in a copy."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Give the work up."""
        self._event.set()

    def check(self) -> None:
        """Raise `InterruptedError` if the work was given up."""
        if self._event.is_set():
            raise InterruptedError("nobody waits for this work any more")

    def __reduce__(self) -> tuple[type[Stop], tuple[()]]:
        return Stop, ()


def calls_in_threads(
    calls: Iterable[Callable[[], Any]], jobs: int, stop: Stop
) -> Generator[Any, None, None]:
    """Make calls in ``jobs`` threads, and yield the results in the order of the calls.

    At most one call more than there are threads waits. A call that takes long should ask
    ``stop.check()`` now and then: it is set where results are not awaited any more, as after a
    signal.

    Args:
        calls: Calls; the iterable is read in this thread.
        jobs: Number of threads; with 1 the calls are made in this thread.
        stop: Set before this function leaves its threads.

    Raises:
        Exception: The exception of the first call that fails.
    """
    if jobs == 1:
        for call in calls:
            yield call()
        return
    executor = ThreadPoolExecutor(jobs, thread_name_prefix="hypernova")
    waiting: deque[Future[Any]] = deque()
    try:
        for call in calls:
            waiting.append(executor.submit(call))
            if len(waiting) > jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        if waiting:
            stop.set()
        executor.shutdown(cancel_futures=True)
