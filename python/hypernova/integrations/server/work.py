"""Threads that decide, how many requests may wait for them, and for how long.

Not here: what they do.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hypernova.integrations.server.faults import FaultError
from hypernova.router.router import ASYNC_THREADS

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What a server takes on.

    Attributes:
        max_body_bytes: Largest body of a request.
        max_batch: Most texts of a batch.
        max_in_flight: Requests that are worked on or wait for a thread; more are refused.
        timeout_s: Seconds within which a body must arrive, and then the answer be there.
        threads: Threads that embed and decide; by default as many as `hypernova.Router.aroute`
            has.
    """

    max_body_bytes: int = 4 << 20
    max_batch: int = 1024
    max_in_flight: int = 256
    timeout_s: float = 10.0
    threads: int = ASYNC_THREADS


class Workers:
    """Run work beside the event loop, within the limits.

    Args:
        limits: See `Limits`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="hypernova")
        self.in_flight = 0

    async def run(self, work: Callable[[], T]) -> T:
        """The result of ``work``, called in a thread.

        Raises:
            FaultError: There is too much to do already, or it takes too long. In the latter case
                the thread is busy until the work is done, and counts as such.
        """
        if self.in_flight >= self._limits.max_in_flight:
            message = f"{self.in_flight} requests are in flight already: try again later"
            raise FaultError(503, "overloaded", message, {"retry-after": "1"})
        loop = asyncio.get_running_loop()
        self.in_flight += 1
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: _soon(loop, self._done))
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            message = f"no decision within {self._limits.timeout_s:g} s: try again later"
            raise FaultError(503, "timeout", message, {"retry-after": "1"}) from None

    def _done(self) -> None:
        self.in_flight -= 1

    def close(self) -> None:
        """Wait for what runs, and drop what waits."""
        self._pool.shutdown(cancel_futures=True)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
