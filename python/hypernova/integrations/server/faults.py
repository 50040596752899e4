"""The status and the stable code of each error. Not here: the checks that raise them."""

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


class FaultError(Exception):
    """A request that gets an error for an answer.

    Args:
        status: Of HTTP.
        code: A stable name that programs may compare.
        message: One line for people.
        headers: To send along.
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
        """The JSON of the answer."""
        fault = {"error": self.code, "message": self.message}
        return json.dumps(fault, ensure_ascii=False).encode("utf-8", "replace")

    def response(self) -> Response:
        """The answer."""
        return Response(self.body(), self.status, self.headers, "application/json")


def hung_up() -> FaultError:
    """A client that closed its connection: nobody reads the answer, and metrics count it."""
    return FaultError(499, "hung_up", "the client closed the connection before its answer")


def fault_of(error: errors.HypernovaError) -> FaultError | None:
    """What an error of hypernova is over HTTP; None if it is not the caller's to mend."""
    for kind, status, code in _CODES:
        if isinstance(error, kind):
            return FaultError(status, code, " ".join(str(error).split()))
    return None
