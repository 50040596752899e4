"""Request ids: taken from the header X-Request-Id, or made; returned with each answer.

Not here: trace contexts. The header traceparent belongs to the caller's tracing.
"""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
OPENAPI_HEADERS = {
    "X-Request-Id": {
        "description": "the request's own, or a new one",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    }
}
# Key in the scope of a request.
REQUEST_ID = "hypernova.request_id"
_HEADER = HEADER.encode()
_VALID = re.compile(rb"[ -~]{1,128}")
_current: ContextVar[str] = ContextVar("hypernova.request_id", default="-")


def new_request_id() -> str:
    """Return a request id that no other request has."""
    return os.urandom(16).hex()


def current_request_id() -> str:
    """Return the id of the request in work, also in a thread that works for it; else ``-``."""
    return _current.get()


class RequestIdMiddleware:
    """Give each request an id, and return it in the header X-Request-Id.

    An id that the caller sent is kept if it is 1 to 128 characters of printable ASCII and comes
    once; any other is replaced.

    Args:
        app: The wrapped application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and name its id in the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id_of(scope)
        scope[REQUEST_ID] = request_id
        _current.set(request_id)
        header = (_HEADER, request_id.encode("ascii"))

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
            await send(message)

        await self._app(scope, receive, send_named)


def _request_id_of(scope: Scope) -> str:
    sent = [value for name, value in scope["headers"] if name == _HEADER]
    if len(sent) == 1 and _VALID.fullmatch(sent[0]):
        return str(sent[0], "ascii")
    return new_request_id()
