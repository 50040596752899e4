"""Whether the server should get requests: what probes and load balancers ask.

Alive is a process that answers. Ready is one that has its artifact and embedder, which it has from
the start, and is not ending. A log that cannot be written leaves the server ready: it still
decides, and with a disk that fills up everywhere at once there would be no server left. Not here:
the paths (`app`).
"""

from __future__ import annotations

import json
from typing import Literal

from fastapi import Response

LogState = Literal["none", "written", "failing"]


class Readiness:
    """The answer of one process to a probe of its readiness.

    Args:
        log: Whether there is an outcome log.
    """

    def __init__(self, *, log: bool) -> None:
        self._log: LogState = "written" if log else "none"
        self._ending = False

    def end(self) -> None:
        """Be unready from now on: the process ends soon."""
        self._ending = True

    def log_written(self, written: bool) -> None:
        """Note whether the last record could be written."""
        self._log = "written" if written else "failing"

    def response(self) -> Response:
        """Return the answer to a probe: 200 if ready, else 503."""
        status = "ending" if self._ending else "ready"
        body = json.dumps({"status": status, "log": self._log})
        return Response(body, 503 if self._ending else 200, media_type="application/json")
