"""The last hour's figures: differences of the counters between now and an hour ago.

The totals are taken once a minute, so the figures cost nothing in between and agree with
`/metrics`: where several processes count together, they are the sums of all.

Not here: the counters (`metrics`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from prometheus_client import Metric


Key = tuple[str, ...]
Totals = dict[Key, float]
MINUTE_S, HOUR_S = 60.0, 3600.0
DECISIONS, NOVELTY = "hypernova_decisions_total", "hypernova_novelty_bucket"
REQUESTS, ANSWER = "hypernova_requests_total", "hypernova_request_seconds_bucket"
# The samples that are read, with the labels that tell them apart.
_LABELS: dict[str, tuple[str, ...]] = {
    DECISIONS: ("model", "reason"),
    NOVELTY: ("le",),
    "hypernova_embed_seconds_bucket": ("le",),
    "hypernova_decide_seconds_bucket": ("le",),
    ANSWER: ("path", "le"),
    REQUESTS: ("path", "status"),
}
_LATENCIES: dict[str, Key] = {
    "embed": ("hypernova_embed_seconds_bucket",),
    "decide": ("hypernova_decide_seconds_bucket",),
    "answer": (ANSWER, "/v1/route"),
}
# No traffic: a reader who plays with the page, and programs that look after the server.
_NO_TRAFFIC = ("/", "/v1/explain", "/v1/recent", "/v1/artifact", "/healthz", "/livez", "/readyz",
               "/metrics")  # fmt: skip


class _Taken(NamedTuple):
    """The totals at one time."""

    at: float
    totals: Totals
    decisions: float
    errors: float


class Recent:
    """The totals of each minute of the last hour.

    Args:
        collect: Returns the metrics as they stand.
        clock: Seconds from some start, never less than before.
    """

    def __init__(
        self,
        collect: Callable[[], Iterable[Metric]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collect = collect
        self._clock = clock
        self._keys: dict[Key, Key] = {}  # one tuple for each sample, not one for each minute
        self._taken: deque[_Taken] = deque()
        self.take()

    def take(self) -> None:
        """Keep the totals as they stand; called once a minute."""
        now = self._now()
        # The newest that is an hour old is where the hour begins.
        while len(self._taken) > 1 and now.at - self._taken[1].at >= HOUR_S:
            self._taken.popleft()
        self._taken.append(now)

    def seconds_to_next(self) -> float:
        """Return the seconds until the totals are to be taken again; 0 if that is now."""
        if not self._taken:
            return 0.0
        return max(0.0, self._taken[-1].at + MINUTE_S - self._clock())

    @contextlib.asynccontextmanager
    async def taking(self) -> AsyncIterator[None]:
        """Take the totals each minute while the block runs.

        A process that takes over from another one begins with the hour that it was given, if
        that is not over.
        """
        while self._taken and self._clock() - self._taken[0].at >= HOUR_S:
            self._taken.popleft()
        if not self.seconds_to_next():
            self.take()

        async def each_minute() -> None:
            while True:
                await asyncio.sleep(self.seconds_to_next())
                self.take()

        task = asyncio.create_task(each_minute())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def figures(self) -> dict[str, Any]:
        """Return the figures of the last hour, in the form of `RecentResponse`."""
        now = self._now()
        taken = [*self._taken, now]
        while len(taken) > 2 and now.at - taken[1].at >= HOUR_S:
            taken.pop(0)
        counts = {
            key: _added(taken[0].totals.get(key, 0.0), total) for key, total in now.totals.items()
        }
        requests = {key[1:]: n for key, n in counts.items() if key[0] == REQUESTS}
        traffic = {key: n for key, n in requests.items() if _is_traffic(key[0])}
        return {
            "seconds": now.at - taken[0].at,
            "decisions": _by_model(counts),
            "novelty": [
                {"up_to": bound, "decisions": n}
                for bound, n in _bucket_counts(counts, (NOVELTY,))
                if bound < math.inf
            ],
            "latency": {name: _quantiles(counts, key) for name, key in _LATENCIES.items()},
            "requests": sum(traffic.values()),
            "errors": [
                {"path": path, "status": int(status), "requests": n}
                for (path, status), n in sorted(traffic.items(), key=lambda item: -item[1])
                if n and _is_error(status)
            ],
            "minutes": [
                {
                    "seconds": end.at - start.at,
                    "decisions": _added(start.decisions, end.decisions),
                    "errors": _added(start.errors, end.errors),
                }
                for start, end in pairwise(taken)
            ],
        }

    def _now(self) -> _Taken:
        found: Totals = {}
        for family in self._collect():
            for sample in family.samples:
                labels = _LABELS.get(sample.name)
                if labels is not None:
                    key = (sample.name, *(sample.labels[label] for label in labels))
                    found[self._keys.setdefault(key, key)] = sample.value
        decisions = sum(n for key, n in found.items() if key[0] == DECISIONS)
        errors = sum(
            n
            for key, n in found.items()
            if key[0] == REQUESTS and _is_error(key[2]) and _is_traffic(key[1])
        )
        return _Taken(self._clock(), found, decisions, errors)


def _added(before: float, after: float) -> float:
    """Return by how much a counter grew; one that began anew counts from zero."""
    return after - before if before <= after else after


def _by_model(counts: Totals) -> list[dict[str, Any]]:
    found: dict[str, float] = {}
    for key, n in counts.items():
        if key[0] == DECISIONS and n:
            found[key[1]] = found.get(key[1], 0.0) + n
    return [
        {"model": model, "decisions": n}
        for model, n in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]


def _bucket_counts(counts: Mapping[Key, float], name: Key) -> list[tuple[float, float]]:
    """Return a histogram's upper bounds, rising, with the number in each bucket alone."""
    cumulative = sorted(
        (float(key[-1]), n) for key, n in counts.items() if key[: len(name)] == name
    )
    below = [0.0, *(n for _, n in cumulative)]
    return [(bound, n - under) for (bound, n), under in zip(cumulative, below, strict=False)]


def _quantiles(counts: Mapping[Key, float], name: Key) -> dict[str, float | None]:
    """Return quantiles as PromQL's ``histogram_quantile`` computes them."""
    buckets = _bucket_counts(counts, name)
    total = sum(n for _, n in buckets)

    def quantile(share: float) -> float | None:
        if not total:
            return None
        rank, lower = share * total, 0.0
        for bound, n in buckets:
            if bound == math.inf:
                break
            if n and rank <= n:
                return lower + (bound - lower) * rank / n
            rank, lower = rank - n, bound
        return lower

    return {
        "requests": total,
        "p50_s": quantile(0.5),
        "p90_s": quantile(0.9),
        "p99_s": quantile(0.99),
    }


def _is_error(status: str) -> bool:
    return int(status) >= 400


def _is_traffic(path: str) -> bool:
    return path not in _NO_TRAFFIC and not path.startswith("/page/")
