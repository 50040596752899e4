"""Threads that decide, how many requests may wait for them, and for how long.

Not here: what they do.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hypernova.integrations.server.faults import FaultError, hung_up
from hypernova.router.router import ASYNC_THREADS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Call = tuple[Future[Any], Callable[[], Any]]

T = TypeVar("T")
# Of the threads' time, while single requests wait without end.
SLICES_SHARE = 0.25
_SINGLE, _SLICE = 0, 1


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
        max_head_bytes: Largest head of a request. This and what follows is up to the server
            where `hypernova.integrations.server.create_app` is run by one of your own.
        head_timeout_s: Seconds within which a head must arrive, from its first byte or, on a
            new connection, from the start.
        idle_timeout_s: Seconds that a connection may wait for its next request, and that a
            client may leave its answer unread.
        max_connections: Connections that may be open. One more takes the place of that which
            has held no request for the longest time, and is refused if all hold one.
    """

    max_body_bytes: int = 4 << 20
    max_batch: int = 1024
    max_in_flight: int = 256
    timeout_s: float = 10.0
    threads: int = ASYNC_THREADS
    max_head_bytes: int = 16 << 10
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0
    max_connections: int = 512


class Workers:
    """Run work beside the event loop, within the limits.

    A request is one call, or, if it is long, several: its slices. Calls that wait for a thread
    come first; slices have a share of the time all the same, and take turns.

    Args:
        limits: See `Limits`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="hypernova")
        self._line = _Line()
        self.in_flight = 0

    async def run(self, work: Callable[[], T], gone: Callable[[], Awaitable[None]]) -> T:
        """The result of ``work``, called in a thread.

        Args:
            work: What to do.
            gone: Returns when nobody waits for the result any more.

        Raises:
            FaultError: There is too much to do already, it takes too long, or nobody waits any
                more. In the latter cases the thread is busy until the work is done, and counts
                as such.
        """

        def once() -> Iterator[T]:
            yield work()

        return await self._take(once(), gone, _SINGLE)

    async def run_slices(self, work: Iterator[T | None], gone: Callable[[], Awaitable[None]]) -> T:
        """The first value of ``work`` that is not None; other work has its turn before each.

        Args:
            work: Asked for each value in a thread. What it does for one should take little time.
            gone: As in `run`.

        Raises:
            FaultError: As in `run`. The work ends with the slice that runs.
        """
        return await self._take(work, gone, _SLICE)

    async def _take(
        self, work: Iterator[T | None], gone: Callable[[], Awaitable[None]], lane: int
    ) -> T:
        if self.in_flight >= self._limits.max_in_flight:
            message = f"{self.in_flight} requests are in flight already: try again later"
            raise FaultError(503, "overloaded", message, {"retry-after": "1"})
        self.in_flight += 1
        loop = asyncio.get_running_loop()
        watch = asyncio.ensure_future(gone())
        call: Future[T | None] | None = None
        answer: asyncio.Future[T | None] | None = None
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                while True:
                    call = self._line.put(lane, partial(next, work))
                    self._pool.submit(self._line.run_next)
                    answer = asyncio.wrap_future(call)
                    await asyncio.wait((answer, watch), return_when=asyncio.FIRST_COMPLETED)
                    if not answer.done():
                        raise hung_up()
                    if (found := answer.result()) is not None:
                        return found
        except TimeoutError:
            raise self._too_slow(lane) from None
        finally:
            watch.cancel()
            if answer is not None and not answer.cancel() and not answer.cancelled():
                answer.exception()  # taken note of, if the time was up in the same moment
            # One that waits for a thread is forgotten; one that runs goes on to its end.
            if call is None or call.done() or self._line.drop(lane, call):
                self.in_flight -= 1
            else:
                call.add_done_callback(lambda _: _soon(loop, self._done))

    def _too_slow(self, lane: int) -> FaultError:
        message = f"no decision within {self._limits.timeout_s:g} s: try again later"
        if lane == _SLICE:
            message += ", send fewer texts, or raise --timeout"
        return FaultError(503, "timeout", message, {"retry-after": "1"})

    def _done(self) -> None:
        self.in_flight -= 1

    def close(self) -> None:
        """Wait for what runs, and drop what waits."""
        self._line.clear()
        self._pool.shutdown(cancel_futures=True)


class _Line:
    """Calls that wait for a thread: single ones, and slices of long work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for moments
        self._lanes: tuple[deque[Call], deque[Call]] = (deque(), deque())
        # Seconds of threads that slices have let go by, and what the last of them took.
        self._owed = 0.0
        self._slice_s = 0.0

    def put(self, lane: int, work: Callable[[], Any]) -> Future[Any]:
        """Put a call at the end of its lane; `run_next` is to be called once for each."""
        call: Future[Any] = Future()
        with self._lock:
            self._lanes[lane].append((call, work))
        return call

    def drop(self, lane: int, call: Future[Any]) -> bool:
        """Whether a call still waited, which it does not any more."""
        with self._lock:
            for waiting in self._lanes[lane]:
                if waiting[0] is call:
                    self._lanes[lane].remove(waiting)
                    return True
        return False

    def clear(self) -> None:
        """Cancel all that wait."""
        with self._lock:
            waiting = [call for lane in self._lanes for call, _ in lane]
            for lane in self._lanes:
                lane.clear()
        for call in waiting:
            call.cancel()

    def run_next(self) -> None:
        """Run the call whose turn it is, if one waits."""
        with self._lock:
            singles, slices = self._lanes
            lane = _SLICE if slices and (not singles or self._owed >= self._slice_s) else _SINGLE
            if not self._lanes[lane]:
                return
            call, work = self._lanes[lane].popleft()
        if not call.set_running_or_notify_cancel():
            return
        start = time.perf_counter()
        try:
            found = work()
        except BaseException as error:
            call.set_exception(error)
        else:
            call.set_result(found)
        took = time.perf_counter() - start
        with self._lock:
            if lane == _SLICE:
                self._owed, self._slice_s = 0.0, took
            elif self._lanes[_SLICE]:
                self._owed += took * SLICES_SHARE / (1 - SLICES_SHARE)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
