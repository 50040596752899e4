"""Connections: limits on heads, idle time and number, and closes after which answers arrive.

uvicorn's protocol limits neither the size of a head nor its time to arrive. It closes connections
with unread data, so that clients get a reset in place of the answer. Not here: reading bodies
(`bodies`) and answering requests (`app`).
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hypernova.integrations.server.http.errors import HttpError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hypernova.integrations.server.http.threads import Limits

MAX_HEADERS = 100
# Requests that one connection may send ahead of their answers.
MAX_PIPELINED = 32
# Bytes that are read and dropped after an answer that ends a connection: a client that sends its
# whole body before it reads still gets the answer.
LINGER_BYTES = 64 << 20
# An answer's first line; 100 Continue has no body.
_ANSWER = tuple(b"HTTP/1.1 %d" % digit for digit in (2, 3, 4, 5))
# Received data is parsed in chunks: limits are checked within a read, which may be 256 KiB.
_CHUNK_BYTES = 16 << 10


class Connections:
    """The connections of a server: their number, limits and deadlines.

    Args:
        limits: Limits of heads, times and number.
        refused: Called with the error of each request that is refused before it reaches a path;
            it may add headers.
        changed: Called with the number of open connections when it changes.
    """

    def __init__(
        self,
        limits: Limits,
        refused: Callable[[HttpError], None],
        changed: Callable[[int], None],
    ) -> None:
        self.limits = limits
        self.refused = refused
        self.open = 0
        self._changed = changed
        self.head = Deadlines(limits.head_timeout_s, Connection.on_head_timeout)
        self.idle = Deadlines(limits.idle_timeout_s, Connection.abort)
        self.drained = Deadlines(limits.timeout_s, Connection.abort)
        self.lingering = Deadlines(limits.timeout_s, Connection.abort)
        self.stalled = Deadlines(limits.idle_timeout_s, Connection.abort)

    def protocol(self) -> type[Connection]:
        """Return the class that uvicorn instantiates for each connection."""
        return type("Connection", (Connection,), {"shared": self})

    def count(self, change: int) -> None:
        """Count a connection that opens (1) or closes (-1)."""
        self.open += change
        self._changed(self.open)

    def make_room(self) -> bool:
        """Close the connections that have held no request for the longest time, down to the limit.

        Returns:
            Whether the number is within the limit; false if too many hold requests.
        """
        deadlines = (self.lingering, self.idle, self.head, self.drained)
        while self.open > self.limits.max_connections:
            longest = min((d for d in deadlines if d), key=Deadlines.since, default=None)
            if longest is None:
                return False
            longest.first().abort()
        return True


class Deadlines:
    """Deadlines of the connections in one state, all after the same time. One timer serves all.

    Args:
        seconds: Time that a connection may spend in the state.
        expired: Called with each connection whose deadline has passed.
    """

    def __init__(self, seconds: float, expired: Callable[[Connection], None]) -> None:
        self._seconds = seconds
        self._expired = expired
        self._deadlines: dict[
            Connection, float
        ] = {}  # ordered, because the time is the same for all
        self._timer: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self._deadlines)

    def first(self) -> Connection:
        """Return the connection with the earliest deadline."""
        return next(iter(self._deadlines))

    def since(self) -> float:
        """Return when that connection entered the state, by the event loop's clock."""
        return self._deadlines[self.first()] - self._seconds

    def add(self, connection: Connection) -> None:
        """Start the deadline of a connection."""
        self._deadlines[connection] = connection.loop.time() + self._seconds
        if self._timer is None:
            self._arm(connection.loop)

    def discard(self, connection: Connection) -> None:
        """Cancel the deadline of a connection."""
        self._deadlines.pop(connection, None)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_at(self._deadlines[self.first()], self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        # A timer may fire slightly early.
        now = loop.time() + 1e-3
        self._timer = None
        while self._deadlines and self._deadlines[first := self.first()] <= now:
            del self._deadlines[first]
            self._expired(first)
        if self._deadlines and self._timer is None:
            self._arm(loop)


class Connection(HttpToolsProtocol):
    """One connection: uvicorn's protocol within our limits."""

    shared: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and start the deadline of its first head."""
        self._raw_transport = transport
        self._deadline: Deadlines | None = None
        self._reading_head = self._reading_body = False  # begun and not complete
        self._head_bytes = 0
        self._framing_bytes = 0  # bytes of chunk framing since the last body data
        self._body_seen = False
        self._discarding = False  # received bytes are dropped
        self._lingering = False
        self._linger_left = LINGER_BYTES
        self._counted = True  # in the number of open connections
        self._upgrade_offered = False  # the last head offers another protocol
        self._out = _LingeringTransport(transport, self)
        super().connection_made(self._out)  # type: ignore[arg-type]
        max_connections = self.shared.limits.max_connections
        self.shared.count(1)
        if not self.shared.make_room():
            message = f"{max_connections} connections hold requests already: try again later"
            self._refuse(HttpError(503, "overloaded", message, {"retry-after": "1"}))
        else:
            self._start_deadline(self.shared.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its waiting requests."""
        self._discarding = self._lingering = True
        self._forget()
        self.shared.stalled.discard(self)
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received data and check the limits."""
        if len(data) <= _CHUNK_BYTES:
            self._parse(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), _CHUNK_BYTES):
            self._parse(view[start : start + _CHUNK_BYTES])

    def _parse(self, chunk: bytes | memoryview) -> None:
        if self._discarding:
            self._linger_left -= len(chunk)
            if self._linger_left < 0:
                self._raw_transport.abort()
            return
        was_reading_head = self._reading_head
        self._body_seen = False
        try:
            self.parser.feed_data(chunk)
        except httptools.HttpParserError:
            self._refuse(HttpError(400, "bad_http", "the request is not valid HTTP/1.1"))
        except httptools.HttpParserUpgrade as offer:
            self._ignore_upgrade(chunk[offer.args[0] :])
        if self._reading_head:
            # The chunk in which a head begins may hold the end of the message before it.
            self._head_bytes = self._head_bytes + len(chunk) if was_reading_head else 0
            if self._head_bytes > self.shared.limits.max_head_bytes:
                self._refuse_large_head()
        elif self._reading_body:
            self._framing_bytes = 0 if self._body_seen else self._framing_bytes + len(chunk)
            if self._framing_bytes > self.shared.limits.max_head_bytes:
                self._refuse_large_head()
        self._update_deadline()

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        super().on_message_begin()
        self._reading_head = True

    def on_headers_complete(self) -> None:
        """Start a request, unless its head exceeds the limits."""
        self._upgrade_offered = self.parser.should_upgrade()
        if self._upgrade_offered:  # the parser stops here; `_ignore_upgrade` parses the head again
            return
        self._reading_head, self._reading_body = False, True
        self._framing_bytes = 0
        if self._discarding:
            return
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value) + 4
        if size > self.shared.limits.max_head_bytes or len(self.headers) > MAX_HEADERS:
            self._refuse_large_head()
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._end_after_answers()
        else:
            super().on_headers_complete()
            self.headers = []  # trailers go here, not into the headers of the request

    def on_body(self, body: bytes) -> None:
        """Pass body data on."""
        self._body_seen = True
        if not self._discarding:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        self._reading_body = False
        if not (self._discarding or self._upgrade_offered):
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next request, or the deadline of one that may come."""
        if self.pipeline:
            super().on_response_complete()
        else:  # as the base class, without its keep-alive timer: our deadlines replace it
            self.server_state.total_requests += 1
            self.flow.resume_reading()
        if not self._raw_transport.is_closing():
            self._update_deadline()

    def pause_writing(self) -> None:
        """Start the deadline of a client that does not read its answer."""
        self.shared.stalled.add(self)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Cancel the deadline of a client that reads again."""
        self.shared.stalled.discard(self)
        super().resume_writing()

    def shutdown(self) -> None:
        """Close once the running request is answered."""
        if self.cycle is None or self.cycle.response_complete:
            self._out.flush()
            self._raw_transport.close()
        else:
            super().shutdown()

    def on_head_timeout(self) -> None:
        """Answer a head that is incomplete with 408; close without an answer if nothing came."""
        if not self._reading_head:
            self.abort()
            return
        seconds = self.shared.limits.head_timeout_s
        message = f"the head of the request did not arrive within {seconds:g} s"
        self._refuse(HttpError(408, "slow_head", message))

    def abort(self) -> None:
        """Close at once, without an answer."""
        self._forget()
        self._raw_transport.abort()

    def close(self) -> None:
        """Close after the data that the client still sends is read and dropped."""
        self._out.flush()
        if self._raw_transport.is_closing():
            return
        if not self._lingering and (self._discarding or self._reading_head or self._reading_body):
            self._linger()
            return
        self._raw_transport.close()
        if self._raw_transport.get_write_buffer_size():  # closes once the client has read it
            self._start_deadline(self.shared.lingering)

    def is_closing(self) -> bool:
        """Return whether no answer can be sent any more."""
        return self._lingering or self._raw_transport.is_closing()

    def _ignore_upgrade(self, rest: bytes | memoryview) -> None:
        """Parse a head that offers another protocol again, without the offer.

        The parser takes all data after such a head, the body included, for that protocol.
        """
        method = self.parser.get_method()
        if self._discarding or method == b"CONNECT":
            self._refuse(HttpError(400, "bad_http", "the server is no proxy"))
            return
        version = self.parser.get_http_version().encode("ascii")
        head = [method, b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += name, b": ", value, b"\r\n"
        self._reading_head = False
        self.parser = httptools.HttpRequestParser(self)
        self._parse(b"".join((*head, b"\r\n")))
        self._parse(rest)

    def _forget(self) -> None:
        self._stop_deadline()
        if self._counted:
            self._counted = False
            self.shared.count(-1)

    def _update_deadline(self) -> None:
        """Start the deadline of the state that the connection is in."""
        if self._discarding:
            return
        deadline: Deadlines | None = None
        if self.cycle is None or self.cycle.response_complete:
            if self._reading_head or self.cycle is None:
                deadline = self.shared.head
            else:
                deadline = self.shared.drained if self._reading_body else self.shared.idle
        if deadline is not self._deadline:
            self._start_deadline(deadline)

    def _start_deadline(self, deadline: Deadlines | None) -> None:
        self._stop_deadline()
        self._deadline = deadline
        if deadline is not None:
            deadline.add(self)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.discard(self)
            self._deadline = None

    def _refuse_large_head(self) -> None:
        max_bytes = self.shared.limits.max_head_bytes
        message = (
            f"the head of the request is larger than {max_bytes} bytes or has more than "
            f"{MAX_HEADERS} headers: send less"
        )
        self._refuse(HttpError(431, "head_too_large", message))

    def _refuse(self, error: HttpError) -> None:
        """Answer with an error without the application, and end the connection."""
        if self._discarding:
            return
        running = self.cycle is not None and not self.cycle.response_complete
        if running and (self.pipeline or not self._reading_body or self.cycle.response_started):
            # The client would take this answer for that of an earlier request.
            self._end_after_answers()
            return
        self.shared.refused(error)
        body = error.body()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            **error.headers,
        }
        head = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._out.flush()
        self._raw_transport.write(head.encode("ascii") + b"\r\n" + body)
        self._linger()

    def _end_after_answers(self) -> None:
        """Read no more requests; close once those read are answered."""
        self._discarding = True
        self.cycle.keep_alive = False

    def _linger(self) -> None:
        """Send no more, and drop received data until the client closes or its deadline passes."""
        self._out.flush()
        self._discarding = self._lingering = True
        self.pipeline.clear()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        with contextlib.suppress(OSError, RuntimeError):  # the client has closed already
            self._raw_transport.write_eof()
            self.flow.resume_reading()
        self._start_deadline(self.shared.lingering)


class _LingeringTransport:
    """A transport whose ``close`` first reads the data that the client still sends.

    The head of an answer waits for its body, which comes at once: the client gets both in one
    packet, for one call of the system.
    """

    def __init__(self, raw: asyncio.Transport, connection: Connection) -> None:
        self._held = b""
        self._loop = connection.loop
        self._flushing: asyncio.Handle | None = None
        self.get_extra_info = raw.get_extra_info
        self.pause_reading = raw.pause_reading
        self.resume_reading = raw.resume_reading
        self.close = connection.close
        self.is_closing = connection.is_closing
        self._raw_transport = raw

    def write(self, data: bytes) -> None:
        """Send data; the head of an answer with what follows, or soon."""
        if self._held:
            data, self._held = self._held + data, b""
        elif data.startswith(_ANSWER):
            self._held = data
            if self._flushing is None:
                self._flushing = self._loop.call_soon(self._flush_soon)
            return
        self._raw_transport.write(data)

    def flush(self) -> None:
        """Send what is held back."""
        if self._held:
            data, self._held = self._held, b""
            self._raw_transport.write(data)

    def _flush_soon(self) -> None:
        self._flushing = None
        self.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw_transport, name)
