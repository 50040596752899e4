"""Connections: limits on heads, idle time and number, and ends that clients can follow.

Not here: the bodies that a path reads (``gate``), and the answers of the paths (``app``).

uvicorn's protocol bounds neither the size of a head nor the time that it takes, and closes a
connection of which it has not read all, so that the client gets a reset in place of the answer.
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hypernova.integrations.server.faults import FaultError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hypernova.integrations.server.work import Limits

MAX_HEADERS = 100
# Requests that wait on one connection for the answers before theirs.
MAX_PIPELINED = 32
# Bytes that are read and dropped after an answer that ends a connection: a client that sends all
# of its body before it reads finds the answer.
LINGER_BYTES = 64 << 20
# Bytes are parsed in such pieces, so that limits are looked at before a read of 256 KiB is over.
_PIECE = 16 << 10


class Connections:
    """The connections of a server: their limits, and those that hold no request.

    Args:
        limits: See `Limits`.
        refused: Called with the status of each request that no path saw.
    """

    def __init__(self, limits: Limits, refused: Callable[[int], None]) -> None:
        self.limits = limits
        self.refused = refused
        self.open = 0
        self.head = Deadlines(limits.head_timeout_s, Connection.head_is_late)
        self.idle = Deadlines(limits.idle_timeout_s, Connection.give_up)
        self.drained = Deadlines(limits.timeout_s, Connection.give_up)
        self.lingering = Deadlines(limits.timeout_s, Connection.give_up)
        self.stalled = Deadlines(limits.idle_timeout_s, Connection.give_up)

    def protocol(self) -> type[Connection]:
        """The class that uvicorn makes an object of for each connection."""
        return type("Connection", (Connection,), {"shared": self})

    def make_room(self) -> bool:
        """Close what has held no request for the longest time until the number is allowed.

        Returns:
            Whether it is; not where too many hold requests.
        """
        waits = (self.lingering, self.idle, self.head, self.drained)
        while self.open > self.limits.max_connections:
            longest = min((w for w in waits if w), key=Deadlines.since, default=None)
            if longest is None:
                return False
            longest.first().give_up()
        return True


class Deadlines:
    """Connections in one state, each of which has the same time in it. One timer serves all.

    Args:
        seconds: The time.
        expired: Called with a connection whose time is up.
    """

    def __init__(self, seconds: float, expired: Callable[[Connection], None]) -> None:
        self._seconds = seconds
        self._expired = expired
        self._until: dict[Connection, float] = {}  # by deadline, for all have the same time
        self._timer: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self._until)

    def first(self) -> Connection:
        """The connection that came first."""
        return next(iter(self._until))

    def since(self) -> float:
        """The time of the event loop's clock at which the first one came."""
        return self._until[self.first()] - self._seconds

    def add(self, connection: Connection) -> None:
        """Start a connection's time."""
        self._until[connection] = connection.loop.time() + self._seconds
        if self._timer is None:
            self._arm(connection.loop)

    def discard(self, connection: Connection) -> None:
        """End a connection's time."""
        self._until.pop(connection, None)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_at(self._until[self.first()], self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        # The clock stands still within a turn of the loop, and a timer may come a moment early.
        now = loop.time() + 1e-3
        self._timer = None
        while self._until and self._until[first := self.first()] <= now:
            del self._until[first]
            self._expired(first)
        if self._until and self._timer is None:
            self._arm(loop)


class Connection(HttpToolsProtocol):
    """One connection, read by uvicorn within our limits."""

    shared: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time of the first head, and make room for it if need be."""
        self._below = transport
        self._wait: Deadlines | None = None
        self._in_head = self._in_body = False  # some of it has come, and more is to come
        self._head_bytes = 0
        self._bodiless = 0  # bytes of a body's framing since the last of the body itself
        self._bodied = False
        self._deaf = False  # bytes that come are dropped
        self._lingering = False
        self._left = LINGER_BYTES
        self._is_open = True  # and counted
        self._offers = False  # the head that was read last offers another protocol
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        most = self.shared.limits.max_connections
        self.shared.open += 1
        if not self.shared.make_room():
            message = f"{most} connections hold requests already: try again later"
            self._refuse(FaultError(503, "overloaded", message, {"retry-after": "1"}))
        else:
            self._enter(self.shared.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits."""
        self._deaf = self._lingering = True
        self._end()
        self.shared.stalled.discard(self)
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and look at the limits."""
        if len(data) <= _PIECE:
            self._feed(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), _PIECE):
            self._feed(view[start : start + _PIECE])

    def _feed(self, piece: bytes | memoryview) -> None:
        if self._deaf:
            self._left -= len(piece)
            if self._left < 0:
                self._below.abort()
            return
        had_begun = self._in_head
        self._bodied = False
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserError:
            self._refuse(FaultError(400, "bad_http", "the request is not valid HTTP/1.1"))
        except httptools.HttpParserUpgrade as offer:
            self._decline(piece[offer.args[0] :])
        if self._in_head:
            # The piece in which a head begins may hold the end of the message before it.
            self._head_bytes = self._head_bytes + len(piece) if had_begun else 0
            if self._head_bytes > self.shared.limits.max_head_bytes:
                self._refuse_head()
        elif self._in_body:
            self._bodiless = 0 if self._bodied else self._bodiless + len(piece)
            if self._bodiless > self.shared.limits.max_head_bytes:
                self._refuse_head()
        self._settle()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """A head is whole: a request, unless the limits refuse it."""
        self._offers = self.parser.should_upgrade()
        if self._offers:  # the parser stops here, and it is read again
            return
        self._in_head, self._in_body = False, True
        self._bodiless = 0
        if self._deaf:
            return
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value) + 4
        if size > self.shared.limits.max_head_bytes or len(self.headers) > MAX_HEADERS:
            self._refuse_head()
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._end_after_answers()
        else:
            super().on_headers_complete()
            self.headers = []  # trailers are appended here, and the request keeps its head

    def on_body(self, body: bytes) -> None:
        """Some of a body."""
        self._bodied = True
        if not self._deaf:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._in_body = False
        if not (self._deaf or self._offers):
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is whole: the next request, or the time of one that may come."""
        if self.pipeline:
            super().on_response_complete()
        else:  # the same but for its timer: ours is shared, and holds in all states
            self.server_state.total_requests += 1
            self.flow.resume_reading()
        if not self._below.is_closing():
            self._settle()

    def pause_writing(self) -> None:
        """The client does not read."""
        self.shared.stalled.add(self)
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads."""
        self.shared.stalled.discard(self)
        super().resume_writing()

    def shutdown(self) -> None:
        """End once the request that runs is answered."""
        if self.cycle is None or self.cycle.response_complete:
            self._below.close()
        else:
            super().shutdown()

    def head_is_late(self) -> None:
        """Give up a head that has begun and did not end."""
        if not self._in_head:  # nothing came: there is nobody to answer
            self.give_up()
            return
        seconds = self.shared.limits.head_timeout_s
        message = f"the head of the request did not arrive within {seconds:g} s"
        self._refuse(FaultError(408, "slow_head", message))

    def give_up(self) -> None:
        """Close at once."""
        self._end()
        self._below.abort()

    def close(self) -> None:
        """Close, with what the client still sends read and dropped first."""
        if self._below.is_closing():
            return
        if not self._lingering and (self._deaf or self._in_head or self._in_body):
            self._linger()
            return
        self._below.close()
        if self._below.get_write_buffer_size():  # it ends once the client has read that
            self._enter(self.shared.lingering)

    def is_closing(self) -> bool:
        """Whether no answer can be sent any more."""
        return self._lingering or self._below.is_closing()

    def _decline(self, rest: bytes | memoryview) -> None:
        """Read a head again that offers another protocol, without the offer.

        The parser takes all that comes after such a head for that protocol, the body too.
        """
        method = self.parser.get_method()
        if self._deaf or method == b"CONNECT":
            self._refuse(FaultError(400, "bad_http", "the server is no proxy"))
            return
        version = self.parser.get_http_version().encode("ascii")
        head = [method, b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += name, b": ", value, b"\r\n"
        self._in_head = False
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"".join((*head, b"\r\n")))
        self._feed(rest)

    def _end(self) -> None:
        self._leave()
        if self._is_open:
            self._is_open = False
            self.shared.open -= 1

    def _settle(self) -> None:
        """Start the time of the state that the connection has come to."""
        if self._deaf:
            return
        wait: Deadlines | None = None
        if self.cycle is None or self.cycle.response_complete:
            if self._in_head or self.cycle is None:
                wait = self.shared.head
            else:
                wait = self.shared.drained if self._in_body else self.shared.idle
        if wait is not self._wait:
            self._enter(wait)

    def _enter(self, wait: Deadlines | None) -> None:
        self._leave()
        self._wait = wait
        if wait is not None:
            wait.add(self)

    def _leave(self) -> None:
        if self._wait is not None:
            self._wait.discard(self)
            self._wait = None

    def _refuse_head(self) -> None:
        most = self.shared.limits.max_head_bytes
        message = (
            f"the head of the request is larger than {most} bytes or has more than "
            f"{MAX_HEADERS} headers: send less"
        )
        self._refuse(FaultError(431, "head_too_large", message))

    def _refuse(self, fault: FaultError) -> None:
        """Answer without asking the application, and end the connection."""
        if self._deaf:
            return
        running = self.cycle is not None and not self.cycle.response_complete
        if running and (self.pipeline or not self._in_body or self.cycle.response_started):
            # An earlier request is to be answered first, and the client would take this for it.
            self._end_after_answers()
            return
        self.shared.refused(fault.status)
        body = fault.body()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            **fault.headers,
        }
        head = f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._below.write(head.encode("ascii") + b"\r\n" + body)
        self._linger()

    def _end_after_answers(self) -> None:
        """Read no more requests; close once those that were read are answered."""
        self._deaf = True
        self.cycle.keep_alive = False

    def _linger(self) -> None:
        """Send no more, and drop what comes until the client ends or its time is up."""
        self._deaf = self._lingering = True
        self.pipeline.clear()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        with contextlib.suppress(OSError, RuntimeError):  # the client was faster
            self._below.write_eof()
            self.flow.resume_reading()
        self._enter(self.shared.lingering)


class _Transport:
    """A connection's transport, whose ``close`` reads first what a client still sends."""

    def __init__(self, below: asyncio.Transport, connection: Connection) -> None:
        self.write = below.write
        self.get_extra_info = below.get_extra_info
        self.pause_reading = below.pause_reading
        self.resume_reading = below.resume_reading
        self.close = connection.close
        self.is_closing = connection.is_closing
        self._below = below

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)
