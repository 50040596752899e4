"""The server's metrics for Prometheus.

Not here: measurements; callers pass the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from hypernova import Decision

# Buckets from a decision of a microsecond to a text that takes a second.
_SECONDS = (
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4,
    1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0,
)  # fmt: skip
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """Counters and histograms of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._embed = Histogram(
            "hypernova_embed_seconds",
            "Seconds that embedding took, once a request",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._decide = Histogram(
            "hypernova_decide_seconds",
            "Seconds that deciding from the vectors took, once a request",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._request = Histogram(
            "hypernova_request_seconds",
            "Seconds from a request's head to its answer",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._decisions = Counter(
            "hypernova_decisions",
            "Decisions by model and reason",
            ["model", "reason"],
            registry=self._registry,
        )
        self._shadow = Counter(
            "hypernova_shadow_decisions",
            "Decisions of the shadow by whether its model is the same; failed if it had none",
            ["same"],
            registry=self._registry,
        )
        self._novelty = Histogram(
            "hypernova_novelty",
            "Share of training prompts that lie nearer to their centroid",
            buckets=_SHARES,
            registry=self._registry,
        )
        self._requests = Counter(
            "hypernova_requests", "Requests by path and status", ["path", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._reloads = Counter(
            "hypernova_reloads",
            "Artifacts that were taken (ok) or refused since the start",
            ["result"],
            registry=self._registry,
        )
        for result in ("ok", "refused"):
            self._reloads.labels(result)
        self._log_failures = Counter(
            "hypernova_log_failures",
            "Times that decisions could not be written to the log",
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "hypernova_in_flight", "Requests in threads or waiting", registry=self._registry
        )

    def count_decision(self, decision: Decision) -> None:
        """Count a decision."""
        self._decisions.labels(decision.model, decision.reason).inc()
        self._novelty.observe(decision.novelty)

    def count_shadow(self, decision: Decision) -> None:
        """Count the shadow's part of a decision; a model that was drawn is not compared."""
        shadow = decision.shadow
        if shadow is not None and decision.reason != "explored":
            self._shadow.labels("yes" if shadow.model == decision.model else "no").inc()
        elif decision.shadow_error is not None:
            self._shadow.labels("failed").inc()

    def observe_timing(self, embed_s: float, decide_s: float) -> None:
        """Record the seconds that one request took to embed and to decide."""
        self._embed.observe(embed_s)
        self._decide.observe(decide_s)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request and record its seconds."""
        self._requests.labels(path, str(status)).inc()
        self._request.labels(path).observe(seconds)

    def count_refusal(self, status: int) -> None:
        """Count a request that was refused before it reached a path."""
        self._requests.labels("other", str(status)).inc()

    def count_reload(self, *, taken: bool) -> None:
        """Count a reload."""
        self._reloads.labels("ok" if taken else "refused").inc()

    def count_log_failure(self) -> None:
        """Count decisions that could not be written to the log."""
        self._log_failures.inc()

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
