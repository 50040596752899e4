"""Threads that decide, and the limits on requests that wait for them.

Not here: the work that threads do (`app`).
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hypernova.integrations.server.http.errors import HttpError, client_closed
from hypernova.router.lifecycle import ASYNC_THREADS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from hypernova.integrations.server.metrics.prometheus import SharedGauge

    QueuedCall = tuple[Future[Any], Callable[[], Any]]

T = TypeVar("T")
# Share of the threads' time that slices get while single calls always wait.
SLICES_SHARE = 0.25
_SINGLE, _SLICE = 0, 1


@dataclass(frozen=True)
class Limits:
    """Limits on the load of a server.

    Attributes:
        max_body_bytes: Largest body of a request.
        max_batch: Most texts in a batch.
        max_in_flight: Most requests in work or waiting for a thread; further ones are refused.
        timeout_s: Seconds for a body to arrive, and again for its answer.
        threads: Threads that embed and decide; by default as many as `hypernova.Router.aroute`
            uses.
        max_head_bytes: Largest head of a request. This limit and the following hold only where
            `serve` runs the application; another server has its own.
        head_timeout_s: Seconds for a head to arrive, from its first byte or, on a new connection,
            from the start.
        idle_timeout_s: Seconds that a connection may wait for its next request, and that a client
            may leave its answer unread.
        max_connections: Most open connections. A further connection replaces the one that has
            held no request for the longest time, and is refused if all hold one.
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


class RequestThreads:
    """Run work in threads beside the event loop, within the limits.

    A short request is a single call; a long one is several calls, its slices. Single calls come
    first, but slices keep a share of the threads' time, and long requests take turns.

    Args:
        limits: Threads, requests in flight and timeout.
        in_flight: Shows the number of requests in flight.
    """

    def __init__(self, limits: Limits, in_flight: SharedGauge) -> None:
        self._limits = limits
        self._gauge = in_flight
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="hypernova")
        self._queue = _CallQueue()
        self._in_flight = 0

    async def run(self, work: Callable[[], T], gone: Callable[[], Awaitable[None]]) -> T:
        """Call ``work`` in a thread and return its result.

        Args:
            work: The function to call.
            gone: Returns when the client has closed its connection.

        Raises:
            HttpError: Too many requests are in flight, the work takes too long, or the client is
                gone. In the last two cases the request stays in flight until the work ends.
        """

        def once() -> Iterator[T]:
            yield work()

        return await self._run(once(), gone, _SINGLE)

    async def run_slices(self, work: Iterator[T | None], gone: Callable[[], Awaitable[None]]) -> T:
        """Return the first value of ``work`` that is not None; other calls may run before each.

        Args:
            work: An iterator; each of its values is computed in a thread and should take little
                time.
            gone: As in `run`.

        Raises:
            HttpError: As in `run`. The work ends with the slice that runs.
        """
        return await self._run(work, gone, _SLICE)

    async def _run(
        self, work: Iterator[T | None], gone: Callable[[], Awaitable[None]], lane: int
    ) -> T:
        if self._in_flight >= self._limits.max_in_flight:
            message = f"{self._in_flight} requests are in flight already: try again later"
            raise HttpError(503, "overloaded", message, {"retry-after": "1"})
        self._change(1)
        loop = asyncio.get_running_loop()
        watch = asyncio.ensure_future(gone())
        context = contextvars.copy_context()  # of the request: its id, for instance
        call: Future[T | None] | None = None
        answer: asyncio.Future[T | None] | None = None
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                while True:
                    call = self._queue.put(lane, partial(context.run, next, work))
                    self._pool.submit(self._queue.run_next)
                    answer = asyncio.wrap_future(call)
                    await asyncio.wait((answer, watch), return_when=asyncio.FIRST_COMPLETED)
                    if not answer.done():
                        raise client_closed()
                    if (found := answer.result()) is not None:
                        return found
        except TimeoutError:
            raise self._too_slow(lane) from None
        finally:
            watch.cancel()
            if answer is not None and not answer.cancel() and not answer.cancelled():
                answer.exception()  # retrieved, because asyncio logs it otherwise
            # A waiting call is dropped; a running one stays in flight until it ends.
            if call is None or call.done() or self._queue.drop(lane, call):
                self._release()
            else:
                call.add_done_callback(lambda _: _call_soon(loop, self._release))

    def _too_slow(self, lane: int) -> HttpError:
        message = f"no decision within {self._limits.timeout_s:g} s: try again later"
        if lane == _SLICE:
            message += ", send fewer texts, or raise --timeout"
        return HttpError(503, "timeout", message, {"retry-after": "1"})

    def _release(self) -> None:
        self._change(-1)

    def _change(self, by: int) -> None:
        self._in_flight += by
        self._gauge.set(self._in_flight)

    def close(self) -> None:
        """Drop waiting calls, and wait for running ones."""
        self._queue.clear()
        self._pool.shutdown(cancel_futures=True)


class _CallQueue:
    """Calls that wait for a thread, in two lanes: single calls, and slices of long requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held briefly, so safe on the event loop
        self._lanes: tuple[deque[QueuedCall], deque[QueuedCall]] = (deque(), deque())
        # Seconds of thread time that slices are owed, and seconds that the last slice took.
        self._slice_credit_s = 0.0
        self._last_slice_s = 0.0

    def put(self, lane: int, work: Callable[[], Any]) -> Future[Any]:
        """Append a call to its lane; `run_next` must be called once for each call."""
        call: Future[Any] = Future()
        with self._lock:
            self._lanes[lane].append((call, work))
        return call

    def drop(self, lane: int, call: Future[Any]) -> bool:
        """Remove a call from its lane, and return whether it was still waiting."""
        with self._lock:
            for waiting in self._lanes[lane]:
                if waiting[0] is call:
                    self._lanes[lane].remove(waiting)
                    return True
        return False

    def clear(self) -> None:
        """Cancel all waiting calls."""
        with self._lock:
            waiting = [call for lane in self._lanes for call, _ in lane]
            for lane in self._lanes:
                lane.clear()
        for call in waiting:
            call.cancel()

    def run_next(self) -> None:
        """Run the next call, if one waits: a single call, unless slices are owed time."""
        with self._lock:
            singles, slices = self._lanes
            lane = (
                _SLICE
                if slices and (not singles or self._slice_credit_s >= self._last_slice_s)
                else _SINGLE
            )
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
                self._slice_credit_s, self._last_slice_s = 0.0, took
            elif self._lanes[_SLICE]:
                self._slice_credit_s += took * SLICES_SHARE / (1 - SLICES_SHARE)


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
