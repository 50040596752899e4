"""The server's metrics for Prometheus, added up over its processes.

The client library's own way for several processes keeps a file for each that was ever started, and
has neither gauges that are read when asked nor labels that end; it serves here to write the text.
Not here: measurements; callers pass the figures.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from hypernova.integrations.server.metrics.board import Board

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from hypernova import Artifact, Decision

# Buckets from a decision of a microsecond to a text that takes a second.
_SECONDS = (
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4,
    1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0,
)  # fmt: skip
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
# Numbers of a metric by the values of its labels, added up over processes.
Totals = dict[tuple[str, ...], list[float]]


class SharedMetric:
    """A metric whose numbers lie on a board.

    Args:
        name: Its name, as Prometheus shows it without the suffix of its kind.
        text: One line that says what it counts.
        labels: Names of its labels.
    """

    size = 1

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.text = text
        self.labels = tuple(labels)
        # Values of labels that are shown from the start, before anything is counted.
        self._first: list[tuple[str, ...]] = [] if labels else [()]

    def starting_with(self, *values: str) -> SharedMetric:
        """Show these values of the labels from the start, as zero."""
        self._first.append(values)
        return self

    def attach(self, board: Board) -> None:
        """Count on a board, in the slot that it writes to."""
        self._board = board
        self._numbers = board.numbers
        self._lock = board.lock
        self._places: dict[tuple[str, ...], int] = {}
        for values in self._first:
            self._place(values)

    def _place(self, values: tuple[str, ...]) -> int:
        place = self._board.place((self.name, *values), self.size)
        self._places[values] = place
        return place

    def family(self, totals: Totals) -> Metric:
        """Return the metric with its samples, for the client library."""
        raise NotImplementedError


class SharedCounter(SharedMetric):
    """A number that grows."""

    def inc(self, *values: str, by: float = 1.0) -> None:
        """Add to the number of these values of the labels."""
        place = self._places.get(values) or self._place(values)
        with self._lock:
            self._numbers[place] += by

    def family(self, totals: Totals) -> Metric:
        """Return the sums over processes."""
        found = CounterMetricFamily(self.name, self.text, labels=self.labels)
        for values, (total,) in totals.items():
            found.add_metric(values, total)
        return found


class SharedGauge(SharedMetric):
    """A number that is set; each process has its own, and they are added up."""

    def set(self, value: float, *values: str) -> None:
        """Set this process's number."""
        place = self._places.get(values) or self._place(values)
        self._numbers[place] = value

    def family(self, totals: Totals) -> Metric:
        """Return the sums over processes."""
        found = GaugeMetricFamily(self.name, self.text, labels=self.labels)
        for values, (total,) in totals.items():
            found.add_metric(values, total)
        return found


class SharedInfo(SharedGauge):
    """Labels that hold now, shown with the value 1, however many processes have them."""

    def hold(self, *values: str) -> None:
        """Let these values of the labels hold in this process, and no others."""
        for place in self._places.values():
            self._numbers[place] = 0.0
        self.set(1.0, *values)

    def family(self, totals: Totals) -> Metric:
        """Return the labels that some process has."""
        return super().family({values: [1.0] for values, (total,) in totals.items() if total > 0})


class SharedHistogram(SharedMetric):
    """How often a value fell into each of some buckets, and the sum of the values.

    Args:
        name: As in `SharedMetric`.
        text: As in `SharedMetric`.
        bounds: Upper bounds of the buckets but the last, which has none.
        labels: As in `SharedMetric`.
    """

    def __init__(
        self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str] = ()
    ) -> None:
        super().__init__(name, text, labels)
        self._bounds = tuple(bounds)
        self.size = len(bounds) + 2

    def observe(self, value: float, *values: str) -> None:
        """Count a value."""
        place = self._places.get(values) or self._place(values)
        bucket = place + bisect_left(self._bounds, value)
        total = place + len(self._bounds) + 1
        numbers = self._numbers
        with self._lock:
            numbers[bucket] += 1.0
            numbers[total] += value

    def family(self, totals: Totals) -> Metric:
        """Return the counts at or below each bound, over all processes."""
        found = HistogramMetricFamily(self.name, self.text, labels=self.labels)
        names = [*map(repr, self._bounds), "+Inf"]
        for values, (*counts, total) in totals.items():
            buckets = list(zip(names, accumulate(counts), strict=True))
            found.add_metric(values, buckets, total)
        return found


class Metrics(Collector):
    """The metrics of one server, which several processes may count."""

    def __init__(self) -> None:
        self._embed = SharedHistogram(
            "hypernova_embed_seconds", "Seconds that embedding took, once a request", _SECONDS
        )
        self._decide = SharedHistogram(
            "hypernova_decide_seconds",
            "Seconds that deciding from the vectors took, once a request",
            _SECONDS,
        )
        self._request = SharedHistogram(
            "hypernova_request_seconds",
            "Seconds from a request's head to its answer",
            _SECONDS,
            ["path"],
        )
        self._decisions = SharedCounter(
            "hypernova_decisions", "Decisions by model and reason", ["model", "reason"]
        )
        self._shadow = SharedCounter(
            "hypernova_shadow_decisions",
            "Decisions of the shadow by whether its model is the same; failed if it had none",
            ["same"],
        )
        self._novelty = SharedHistogram(
            "hypernova_novelty",
            "Share of training prompts that lie nearer to their centroid",
            _SHARES,
        )
        self._requests = SharedCounter(
            "hypernova_requests", "Requests by path and status", ["path", "status"]
        )
        self._reloads = SharedCounter(
            "hypernova_reloads",
            "Artifacts that were taken (ok) or refused since the start",
            ["result"],
        )
        self._reloads.starting_with("ok").starting_with("refused")
        self._log_failures = SharedCounter(
            "hypernova_log_failures", "Times that decisions could not be written to the log"
        )
        self._outcomes = SharedCounter(
            "hypernova_outcomes",
            "Outcomes that were recorded, repeated (their Idempotency-Key came before) or refused",
            ["result"],
        )
        for result in ("recorded", "repeated", "refused"):
            self._outcomes.starting_with(result)
        self._access_log_lost = SharedCounter(
            "hypernova_access_log_lost", "Lines of the access log that could not be written"
        )
        self.in_flight = SharedGauge("hypernova_in_flight", "Requests in threads or waiting")
        self._artifact = SharedInfo(
            "hypernova_artifact_info", "The artifact in use", ["sha256", "default_model"]
        )
        self.workers = SharedGauge("hypernova_workers", "Processes that answer requests")
        self.worker_restarts = SharedCounter(
            "hypernova_worker_restarts", "Processes that ended unasked and were replaced"
        )
        self._all: dict[str, SharedMetric] = {
            metric.name: metric
            for metric in vars(self).values()
            if isinstance(metric, SharedMetric)
        }
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.share(Board())

    def share(self, board: Board) -> None:
        """Count on another board, with what was counted so far."""
        before: Board | None = getattr(self, "board", None)
        self.board = board
        if before is not None:
            board.copy_from(before)
        self.attach(board.slot)

    def attach(self, slot: int) -> None:
        """Count in a slot of the board, which no other process has."""
        self.board.attach(slot)
        for metric in self._all.values():
            metric.attach(self.board)

    def clear_gauges(self, slot: int) -> None:
        """Forget what a process that ended had now: its gauges, and not what it counted."""
        gauges = [name for name, m in self._all.items() if isinstance(m, SharedGauge)]
        self.board.zero(slot, gauges)

    def count_decision(self, decision: Decision) -> None:
        """Count a decision."""
        self._decisions.inc(decision.model, decision.reason)
        self._novelty.observe(decision.novelty)

    def count_shadow(self, decision: Decision) -> None:
        """Count the shadow's part of a decision; a model that was drawn is not compared."""
        shadow = decision.shadow
        if shadow is not None and decision.reason != "explored":
            self._shadow.inc("yes" if shadow.model == decision.model else "no")
        elif decision.shadow_error is not None:
            self._shadow.inc("failed")

    def observe_timing(self, embed_s: float, decide_s: float) -> None:
        """Record the seconds that one request took to embed and to decide."""
        self._embed.observe(embed_s)
        self._decide.observe(decide_s)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request and record its seconds."""
        self._requests.inc(path, str(status))
        self._request.observe(seconds, path)

    def count_refusal(self, status: int) -> None:
        """Count a request that was refused before it reached a path."""
        self._requests.inc("other", str(status))

    def count_reload(self, *, taken: bool) -> None:
        """Count a reload."""
        self._reloads.inc("ok" if taken else "refused")

    def count_log_failure(self) -> None:
        """Count decisions that could not be written to the log."""
        self._log_failures.inc()

    def count_outcome(self, result: str) -> None:
        """Count an outcome that was ``recorded``, ``repeated`` or ``refused``."""
        self._outcomes.inc(result)

    def count_access_log_lost(self, lines: int) -> None:
        """Count lines of the access log that could not be written."""
        self._access_log_lost.inc(by=lines)

    def set_connections(self, count: int) -> None:
        """Say how many connections this process holds."""
        self.board.set_connections(count)

    def set_artifact(self, artifact: Artifact) -> None:
        """Say which artifact is in use."""
        self._artifact.hold(artifact.sha256, artifact.default_model)

    def collect(self) -> Iterator[Metric]:
        """Read every metric, added up over all processes."""
        totals: dict[str, Totals] = {name: {} for name in self._all}
        for (name, *values), numbers in self.board.records():
            of_metric = totals[name]
            before = of_metric.get(tuple(values))
            of_metric[tuple(values)] = (
                list(numbers)
                if before is None
                else [a + b for a, b in zip(before, numbers, strict=True)]
            )
        for name, metric in self._all.items():
            yield metric.family(totals[name])

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
