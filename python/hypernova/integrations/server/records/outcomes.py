"""Outcomes that callers send: written to the log, once for each Idempotency-Key, and counted.

Not here: the log (`hypernova.outcome_log`), and the memory of keys (`idempotency`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hypernova.integrations.server.http import schemas
from hypernova.integrations.server.http.bodies import parse
from hypernova.integrations.server.http.errors import HttpError
from hypernova.integrations.server.http.request_ids import current_request_id
from hypernova.integrations.server.records.access_entries import note_outcome
from hypernova.integrations.server.records.idempotency import IdempotencyKeys, idempotency_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.integrations.server.records.timed_log import TimedLog

_log = logging.getLogger("hypernova.server")


class Outcomes:
    """Writes outcomes to a log.

    Args:
        log: The log; without one every outcome is refused.
        count: Called with ``recorded``, ``repeated`` or ``refused`` for each outcome.
        written: Called with whether the log could be written.
    """

    def __init__(
        self,
        log: TimedLog | None,
        count: Callable[[str], None],
        written: Callable[[bool], None],
    ) -> None:
        self._log = log
        self._written = written
        self._count = count
        self._keys = IdempotencyKeys()

    def record(self, body: bytes, key_values: Sequence[str] = ()) -> object:
        """Record an outcome, unless its key and body came before; return the answer.

        Args:
            body: An `OutcomeRequest` as JSON.
            key_values: Values of the header Idempotency-Key.

        Raises:
            HttpError: The body or the key is malformed, the key came with another body or its
                first request is in work, there is no log, or the log cannot be written.
            OutcomeError: A value cannot be logged.
        """
        try:
            key = idempotency_key(key_values)
            found = parse(schemas.OutcomeRequest, body)
            if key is None:
                answer, repeated = self._write(found, None), False
            else:
                # The order of fields and spaces are no part of the content.
                content = found.model_dump_json().encode()
                answer, repeated = self._keys.answer(key, content, lambda: self._write(found, key))
        except Exception:
            self._count("refused")
            raise
        result = "repeated" if repeated else "recorded"
        self._count(result)
        note_outcome(found.id, result)
        return answer

    def _write(self, found: schemas.OutcomeRequest, key: str | None) -> object:
        if self._log is None:
            raise HttpError(409, "no_log", "start the server with --log FOLDER to keep outcomes")
        try:
            self._log.record_outcome(
                found.id,
                found.score,
                failed=found.failed,
                key=key,
                model=found.model,
                cost_usd=found.cost_usd,
                latency_s=found.latency_s,
                input_tokens=found.input_tokens,
                output_tokens=found.output_tokens,
            )
        except OSError as error:
            self._written(False)
            _log.error("request %s: an outcome was not written: %s", current_request_id(), error)
            message = "the outcome was not written, see the server's log: send it again later"
            raise HttpError(503, "log_failed", message, {"retry-after": "1"}) from None
        self._written(True)
        return {"id": found.id, "recorded": True}
