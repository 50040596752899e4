"""The status and the stable code of each error over HTTP.

Not here: the checks that raise these errors.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fastapi import Response

from hypernova import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

# The first class that matches counts, so a class comes before its base.
_CODES: tuple[tuple[type[errors.HypernovaError], int, str], ...] = (
    (errors.NoCandidateError, 409, "no_candidate"),
    (errors.NovelPromptError, 409, "novel_prompt"),
    (errors.UnknownModelError, 400, "unknown_model"),
    (errors.PolicyError, 400, "bad_wish"),
    (errors.TextError, 400, "bad_text"),
    (errors.MessagesError, 400, "bad_messages"),
    (errors.OutcomeError, 400, "bad_outcome"),
)


class HttpError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        code: Stable name that programs may compare.
        message: One line for people.
        headers: Headers of the response.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the JSON body of the response."""
        fields = {"error": self.code, "message": self.message}
        return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")

    def response(self) -> Response:
        """Return the response."""
        return Response(self.body(), self.status, self.headers, "application/json")


def client_closed() -> HttpError:
    """Return the error of a client that closed its connection: only metrics record it."""
    return HttpError(499, "hung_up", "the client closed the connection before its answer")


def http_error_of(error: errors.HypernovaError) -> HttpError | None:
    """Return an error of hypernova as an HTTP error, or None if it is not the client's error."""
    for kind, status, code in _CODES:
        if isinstance(error, kind):
            return HttpError(status, code, " ".join(str(error).split()))
    return None
