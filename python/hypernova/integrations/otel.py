"""Trace decisions as OpenTelemetry spans: the extra ``otel``.

Not here: exporters and sampling; the program that sets up OpenTelemetry chooses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.errors import MissingExtraError

try:
    from opentelemetry import trace
except ImportError:
    raise MissingExtraError(
        'hypernova.integrations.otel needs opentelemetry: pip install "hypernova-router[otel]"'
    ) from None

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.events import DecisionEvent
    from hypernova.router import Router

NANOSECONDS = 1_000_000_000


def trace_decisions(
    router: Router, *, tracer_provider: trace.TracerProvider | None = None
) -> Callable[[], None]:
    """Record a span for each decision from text: ``hypernova.route`` in the caller's span.

    The span has two child spans, ``hypernova.embed`` and ``hypernova.decide``, and the attributes
    ``hypernova.model``, ``.reason``, ``.cluster``, ``.novelty``, ``.propensity``,
    ``.decision_id`` and ``.artifact``; with a shadow that decided also ``.shadow.model`` and
    ``.shadow.same``, whether that is the decision's model. A call of ``route_many`` is one span
    with the attribute ``hypernova.decisions``, their number, in place of those. No span holds text
    of a prompt.

    Args:
        router: The router to trace.
        tracer_provider: Receives the spans; by default the program's global provider.

    Returns:
        A function that stops the tracing.

    Example:
        >>> import hypernova
        >>> from hypernova.integrations.otel import trace_decisions
        >>> router = hypernova.Router.open()
        >>> stop = trace_decisions(router)
        >>> decision = router.route("Fix the race in the scheduler")  # with its span
        >>> stop()
    """
    tracer = trace.get_tracer("hypernova", tracer_provider=tracer_provider)

    def on_decision(observed: DecisionEvent) -> None:
        start = observed.started_ns
        embedded = start + round(observed.embed_s * NANOSECONDS)
        end = embedded + round(observed.decide_s * NANOSECONDS)
        # Recorded afterwards, with the times measured before: a decision waits for no span.
        span = tracer.start_span(
            "hypernova.route", start_time=start, attributes=_attributes(observed)
        )
        context = trace.set_span_in_context(span)
        for name, begin, finish in (
            ("hypernova.embed", start, embedded),
            ("hypernova.decide", embedded, end),
        ):
            tracer.start_span(name, context, start_time=begin).end(finish)
        span.end(end)

    return router.observe(on_decision)


def _attributes(observed: DecisionEvent) -> dict[str, str | int | float | bool]:
    if len(observed.decisions) != 1:
        return {"hypernova.decisions": len(observed.decisions)}
    (decision,) = observed.decisions
    shadow = decision.shadow
    of_shadow: dict[str, str | bool] = {}
    if shadow is not None:
        of_shadow = {
            "hypernova.shadow.model": shadow.model,
            "hypernova.shadow.same": shadow.model == decision.model,
        }
    return {
        **of_shadow,
        "hypernova.model": decision.model,
        "hypernova.reason": decision.reason,
        "hypernova.cluster": decision.cluster,
        "hypernova.novelty": decision.novelty,
        "hypernova.propensity": decision.propensity,
        "hypernova.decision_id": decision.id,
        "hypernova.artifact": decision.artifact,
    }
