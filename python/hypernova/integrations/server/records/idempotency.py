"""The header Idempotency-Key: a request that comes again is answered as the first was.

The semantics are those of the IETF's draft-ietf-httpapi-idempotency-key-header. Answers live in
the memory of one process. Not here: the outcome log's own count of keys that come again, which
holds for several processes (`hypernova.read_log`).
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypernova.integrations.server.http.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEADER = "idempotency-key"
MAX_LENGTH = 128
KEPT_S = 24 * 3600.0
# An entry takes about half a kilobyte.
MAX_KEYS = 20_000
PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A request with the key and body of an earlier one is answered as that was.",
    "schema": {"type": "string", "pattern": f"^[ -~]{{1,{MAX_LENGTH}}}$"},
}
_PRINTABLE = re.compile(rf"[ -~]{{1,{MAX_LENGTH}}}")
# A string of RFC 8941, as the draft asks for; most clients send the key without quotes.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')


def idempotency_key(values: Sequence[str]) -> str | None:
    """Return the key in the values of the header, without quotes; None if there is no value.

    Raises:
        HttpError: There are several values, or the key is not 1 to 128 characters of printable
            ASCII.
    """
    if not values:
        return None
    key = values[0]
    if quoted := _QUOTED.fullmatch(key):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    if len(values) > 1 or not _PRINTABLE.fullmatch(key):
        message = f"send one Idempotency-Key of 1 to {MAX_LENGTH} characters of printable ASCII"
        raise HttpError(400, "bad_key", message)
    return key


@dataclass(slots=True)
class _Request:
    digest: bytes
    began: float
    answer: object = None
    done: bool = False


class IdempotencyKeys:
    """Answers by key, for a stated time and number of keys; the oldest leave first.

    Args:
        kept_s: Seconds that an answer is kept, from the first request.
        max_keys: Most keys that are kept.
        clock: Seconds from any start, never backwards.
    """

    def __init__(
        self,
        *,
        kept_s: float = KEPT_S,
        max_keys: int = MAX_KEYS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept_s = kept_s
        self._max_keys = max_keys
        self._clock = clock
        self._lock = threading.Lock()  # held briefly, so safe on the event loop
        self._requests: dict[str, _Request] = {}  # in the order of their beginning

    def answer(self, key: str, content: bytes, work: Callable[[], object]) -> tuple[object, bool]:
        """Return the answer of the first request with the key, and whether this one repeats it.

        Args:
            key: The key.
            content: The request, by which a repetition is told from another one.
            work: Answers a first request. If it raises, the key is forgotten: nothing was done,
                and the request may be sent again.

        Raises:
            HttpError: The key came with another content, or its first request is in work.
        """
        digest = hashlib.sha256(content).digest()
        with self._lock:
            now = self._clock()
            self._forget_old(now)
            if (first := self._requests.get(key)) is not None:
                if first.digest != digest:
                    message = "the Idempotency-Key came with another body: send a new key"
                    raise HttpError(422, "key_reused", message)
                if not first.done:
                    message = "the first request with this Idempotency-Key is in work: wait for it"
                    raise HttpError(409, "key_in_work", message, {"retry-after": "1"})
                return first.answer, True
            first = self._requests[key] = _Request(digest, now)
        try:
            first.answer = work()
        except BaseException:
            with self._lock:
                if self._requests.get(key) is first:
                    del self._requests[key]
            raise
        first.done = True
        return first.answer, False

    def __len__(self) -> int:
        return len(self._requests)

    def _forget_old(self, now: float) -> None:
        while self._requests:
            key, oldest = next(iter(self._requests.items()))
            if len(self._requests) < self._max_keys and now - oldest.began < self._kept_s:
                return
            del self._requests[key]
