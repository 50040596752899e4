"""Entries of the access log: facts of each request, its answer and what was decided.

Never the token, and no text of a prompt unless the log was made for it. Not here: the file that
entries are written to (`access_log`).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypernova.integrations.server.http.request_ids import REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hypernova import Decision
    from hypernova.integrations.server.records.access_log import AccessLog

MAX_PATH = 256
# Characters of the prompts of one request, so that a line stays readable.
MAX_TEXT = 8192


class AccessEntry:
    """One line of the access log, in the making.

    Args:
        wants_text: Whether the line may hold the text of prompts.
    """

    def __init__(self, wants_text: bool) -> None:
        self.wants_text = wants_text
        self.facts: dict[str, Any] = {}


_entry: ContextVar[AccessEntry | None] = ContextVar("hypernova.access_entry", default=None)


def note_decisions(decisions: Sequence[Decision]) -> None:
    """Note the decision of the request in work, or the numbers of a batch by model."""
    if (entry := _entry.get()) is None:
        return
    if len(decisions) == 1:
        (decision,) = decisions
        entry.facts |= {
            "decision": decision.id, "model": decision.model, "reason": decision.reason
        }  # fmt: skip
    else:
        entry.facts["decisions"] = len(decisions)
        entry.facts["models"] = dict(Counter(decision.model for decision in decisions))


def note_outcome(decision: str, result: str) -> None:
    """Note the decision of an outcome, and what became of the outcome."""
    if (entry := _entry.get()) is not None:
        entry.facts |= {"decision": decision, "outcome": result}


def note_texts(texts: Callable[[], Iterable[str]]) -> None:
    """Note the texts of prompts, which ``texts`` returns, if the log is to hold them."""
    entry = _entry.get()
    if entry is None or not entry.wants_text:
        return
    left, kept = MAX_TEXT, []
    for text in texts():
        if left <= 0:
            break
        kept.append(text[:left])
        left -= len(text)
    entry.facts["texts"] = kept
    if left < 0:
        entry.facts["texts_cut"] = True


def refused_entry(request_id: str, status: int, code: str) -> dict[str, Any]:
    """Return the entry of a request that was refused before its path was known."""
    return {
        "time": _utc(time.time()), "request_id": request_id, "method": None, "path": None,
        "status": status, "error": code,
    }  # fmt: skip


class AccessMiddleware:
    """Write an entry for each request once it is answered.

    Args:
        app: The wrapped application; `RequestIdMiddleware` wraps this one.
        log: The log to write to.
        token: The token of the server, which no entry may hold.
    """

    def __init__(self, app: ASGIApp, *, log: AccessLog, token: str | None) -> None:
        self._app = app
        self._log = log
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and write its entry."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        arrived, start = time.time(), time.perf_counter()
        entry = AccessEntry(self._log.text)
        _entry.set(entry)
        # Of an error that passes through, which is answered outside of this middleware.
        status, size, error = 500, None, b'{"error":"internal"}'

        async def send_noted(message: Message) -> None:
            nonlocal status, size, error
            if message["type"] == "http.response.start":
                status, size, error = message["status"], 0, b""
            else:
                body = message.get("body", b"")
                size = (size or 0) + (len(body) if scope["method"] != "HEAD" else 0)
                if status >= 400:
                    error += body
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            self._log.write(
                {
                    "time": _utc(arrived),
                    "request_id": self._hidden(scope[REQUEST_ID]),
                    "method": scope["method"],
                    "path": self._hidden(scope["path"])[:MAX_PATH],
                    "status": status,
                    **({} if status < 400 else {"error": _code(error)}),
                    "seconds": round(time.perf_counter() - start, 6),
                    **({} if size is None else {"bytes": size}),
                    **entry.facts,
                }
            )

    def _hidden(self, text: str) -> str:
        # A caller may have put the token into the wrong place.
        return text if self._token is None else text.replace(self._token, "[token]")


def _code(body: bytes) -> str | None:
    """Return the stable code in the body of an error."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, TypeError, KeyError):
        return None


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
