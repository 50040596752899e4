"""ASGI middleware of the server: checks of heads, metrics, HEAD, unread bodies, busy paths.

Not here: the content of bodies (`bodies`) and connections (`connection`).
"""

from __future__ import annotations

import hmac
import logging
import time
from typing import TYPE_CHECKING

from starlette.requests import Request

from hypernova.integrations.server.http.bodies import BODY_READ, body_too_large
from hypernova.integrations.server.http.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hypernova.integrations.server.metrics.prometheus import Metrics

_log = logging.getLogger("hypernova.server")
# Key in the scope of a request that was answered without the framework.
DIRECT_PATH = "hypernova.path"
# A longer Content-Length is too large, whatever its digits.
_MAX_DIGITS = 18
OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz"})  # probes hold no token
# The server reads and drops an unread body up to this size to keep the connection.
DROP_BYTES = 64 << 10


class AdmissionMiddleware:
    """Refuse a request by its head: a wrong token, or a body announced as too large.

    Args:
        app: The wrapped application.
        token: The token that ``Authorization: Bearer`` must hold; None admits every request.
        max_body_bytes: Largest ``Content-Length`` that is admitted.
        open_paths: Paths that are answered without the token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None,
        max_body_bytes: int,
        open_paths: frozenset[str] = OPEN_PATHS,
    ) -> None:
        self._app = app
        self._open_paths = open_paths
        self._expected = None if token is None else token.encode()
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except HttpError as error:
                await error.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if self._expected is not None and scope["path"] not in self._open_paths:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            is_right = hmac.compare_digest(given.strip(b" "), self._expected)
            if not is_right or scheme.lower() != b"bearer":
                raise HttpError(
                    401,
                    "unauthorized",
                    "send the header 'Authorization: Bearer TOKEN' with the server's token",
                    {"www-authenticate": "Bearer"},
                )
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and (len(length) > _MAX_DIGITS or int(length) > self._max_body_bytes):
            raise body_too_large(self._max_body_bytes)


class DirectMiddleware:
    """Answer the busiest paths without the framework, which takes a quarter of a request's time.

    The same endpoints are routes of the application, for its description, for other methods, and
    for an application that is mounted below a path.

    Args:
        app: The wrapped application.
        endpoints: By path, the function that answers POST.
    """

    def __init__(
        self, app: ASGIApp, *, endpoints: Mapping[str, Callable[[Request], Awaitable[Response]]]
    ) -> None:
        self._app = app
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request or pass it on."""
        endpoint = None
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._endpoints.get(scope["path"])
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope[DIRECT_PATH] = scope["path"]
        try:
            response = await endpoint(Request(scope, receive, send))
        except HttpError as error:
            _log.debug("%d %s: %s", error.status, error.code, error.message)
            response = error.response()
        await response(scope, receive, send)


class RequestMiddleware:
    """Count and time requests, answer HEAD as GET, and announce where a connection closes.

    Args:
        app: The wrapped application.
        metrics: Counts the requests.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500
        counted = False
        if scope["method"] == "HEAD":
            # uvicorn's own scope still says HEAD, so it sends no body.
            scope = {**scope, "method": "GET"}

        def count() -> None:
            nonlocal counted
            counted = True
            # An unknown path is no label: a scanner would make thousands of them.
            path = scope.get(DIRECT_PATH) or getattr(scope.get("route"), "path", None) or "other"
            self._metrics.count_request(path, status, time.perf_counter() - start)

        async def send_recorded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if BODY_READ not in scope and (status == 408 or _leaves_body_unread(scope)):
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            elif not message.get("more_body", False) and not counted:
                count()  # first: a process that is killed after its answer has counted it
            await send(message)

        try:
            await self._app(scope, receive, send_recorded)
        finally:
            if not counted:
                count()


def is_token(token: str) -> bool:
    """Return whether a header can hold the token: printable ASCII, and not only spaces."""
    return bool(token.strip()) and token.isascii() and token.isprintable()


def _leaves_body_unread(scope: Scope) -> bool:
    """Return whether an unread body is too large, or of unknown size, to be dropped."""
    for name, value in scope["headers"]:
        # A client that expects 100 Continue may never send its body.
        if name in (b"transfer-encoding", b"expect"):
            return True
        if name == b"content-length":
            return not value.isdigit() or len(value) > 9 or int(value) > DROP_BYTES
    return False
