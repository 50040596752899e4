"""The outermost layer of the application: metrics, HEAD, and bodies that were left unread.

Not here: the checks of a request (``gate``), and connections (``connection``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hypernova.integrations.server.metrics import Metrics

# A body that nobody reads is read and dropped for the next request's sake if it is so small.
DROP_BYTES = 64 << 10
# Set in the scope of a request whose body was read to its end.
READ = "hypernova.read"


class Edge:
    """Count and time requests, answer HEAD as GET, and say so where a connection ends.

    Args:
        app: The application within.
        metrics: Where requests are counted.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500
        if scope["method"] == "HEAD":
            # The server sends no body: it goes by its own scope.
            scope = {**scope, "method": "GET"}

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if READ not in scope and (status == 408 or _is_left(scope)):
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = scope.get("route")
            # A path that nobody made is not a label: a scanner would make thousands of them.
            path = getattr(route, "path", None) or "other"
            self._metrics.answered(path, status, time.perf_counter() - start)


def _is_left(scope: Scope) -> bool:
    """Whether the rest of an unread body is not worth reading to keep the connection."""
    for name, value in scope["headers"]:
        # A client that waits for leave to send its body may never send it.
        if name in (b"transfer-encoding", b"expect"):
            return True
        if name == b"content-length":
            return not value.isdigit() or len(value) > 9 or int(value) > DROP_BYTES
    return False
