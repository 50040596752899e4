"""What a request passes before anything reads it: token, size, media type.

Not here: what is in the body.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from hypernova.integrations.server.edge import READ
from hypernova.integrations.server.faults import FaultError, hung_up

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

_MOST_DIGITS = 18
OPEN_PATHS = frozenset({"/healthz"})  # a probe of liveness holds no secret


class Gate:
    """Refuse a request by its head alone, with its body unread.

    Args:
        app: What is behind the gate.
        token: What ``Authorization: Bearer`` must hold; None lets everyone in.
        max_body_bytes: A larger ``Content-Length`` is refused.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, max_body_bytes: int) -> None:
        self._app = app
        self._expected = None if token is None else b"Bearer " + token.encode()
        self._most = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on, as ASGI has it."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except FaultError as fault:
                await fault.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if self._expected is not None and scope["path"] not in OPEN_PATHS:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                raise FaultError(
                    401,
                    "unauthorized",
                    "send the header 'Authorization: Bearer TOKEN' with the server's token",
                    {"www-authenticate": "Bearer"},
                )
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and (len(length) > _MOST_DIGITS or int(length) > self._most):
            raise too_large(self._most)


def is_token(token: str) -> bool:
    """Whether a header can hold it: printable ASCII, at least one character."""
    return bool(token) and token.isascii() and token.isprintable()


def too_large(most: int) -> FaultError:
    """A body has more than ``most`` bytes."""
    message = f"the body is larger than {most} bytes: send less, or raise --max-body-bytes"
    return FaultError(413, "too_large", message)


async def read_body(request: Request, *, most: int, seconds: float) -> bytes:
    """Read a JSON body, counting what comes.

    Raises:
        FaultError: It is not said to be JSON, is compressed, is larger than ``most`` bytes, takes
            longer than ``seconds``, or the client hangs up before its end.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    # A page in a browser may post anything but this to another origin without asking first.
    if kind != "application/json":
        raise FaultError(415, "not_json", "send JSON with 'Content-Type: application/json'")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", ""):
        message = f"Content-Encoding is {coding!r}: send the JSON as it is, not compressed"
        raise FaultError(415, "encoded", message)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_large(most)
    except TimeoutError:
        message = f"the body did not arrive within {seconds:g} s"
        raise FaultError(408, "slow_body", message) from None
    except ClientDisconnect:
        raise hung_up() from None
    request.scope[READ] = True
    return bytes(body)
