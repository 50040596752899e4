"""uvicorn as this server runs it: how it ends, and where its connections come from.

Not here: the process around it (`run`, `worker`), and its signals' senders.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import uvicorn

from hypernova.integrations.server.processes.accepting import Acceptor
from hypernova.system import open_files_limit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from fastapi import FastAPI

    from hypernova.integrations.server.http.connection import Connections

_log = logging.getLogger("hypernova.server")
GRACE_S = 10
# Open files besides connections: libraries, the log, the artifact, those of the event loop.
OTHER_FILES = 64
# A connection that was accepted just now has its first request read and answered within that.
LAST_ACCEPTED_S = 0.1


class HttpServer(uvicorn.Server):
    """One process's server.

    Args:
        app: The application of `create_app`.
        drain_s: Seconds between a signal and the end, in which it answers and is unready.
    """

    def __init__(self, app: FastAPI, *, drain_s: float = 0.0) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                http=_limit_by_open_files(app.state.connections).protocol(),
                ws="none",
                proxy_headers=False,
                lifespan="on",
            )
        )
        self._service = app.state.service
        # Called once it accepts connections.
        self.on_started: Callable[[], None] = lambda: None
        # Called when it is asked to end.
        self.on_ending: Callable[[], None] = lambda: None
        self._drain_s = drain_s
        self._ends_at: float | None = None
        self._shared: socket.socket | None = None
        self._acceptor: Acceptor | None = None

    async def serve_shared(self, listening: socket.socket) -> None:
        """Serve at a socket that other processes accept from, too."""
        self._shared = listening
        await self.serve(sockets=[])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        if self._shared is not None:
            self._acceptor = Acceptor(self._shared, self._protocol, self._service.metrics.board)
        self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and end when those there are have their answers."""
        self._service.readiness.end()
        if self._acceptor is not None:
            self._acceptor.close()
            await asyncio.sleep(LAST_ACCEPTED_S)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End, after the time to drain; at once if asked a second time."""
        self.on_ending()
        self._service.readiness.end()
        if self._drain_s and self._ends_at is None:
            self._ends_at = time.monotonic() + self._drain_s
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end now; called ten times a second."""
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


class WorkerServer(HttpServer):
    """The server of a worker, to which only its supervisor says when to end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End as asked; Ctrl-C reaches the supervisor, too."""
        if sig != signal.SIGINT:
            super().handle_exit(sig, frame)


def _limit_by_open_files(connections: Connections) -> Connections:
    """Bound the number of connections by the number of files that the process may open."""
    files = open_files_limit()
    if files is None:
        return connections
    allowed = max(1, files - OTHER_FILES)
    if allowed < connections.limits.max_connections:
        _log.warning("at most %d connections: the process may open %d files", allowed, files)
        connections.limits = replace(connections.limits, max_connections=allowed)
    return connections
