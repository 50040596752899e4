"""Events of a router's decisions, for callbacks and to OpenTelemetry.

Not here: the server's metrics (`test_serve.py`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import hypernova
from hypernova.integrations.otel import trace_decisions
from hypernova.router import BUNDLED_ARTIFACT
from support.commands import run_python

if TYPE_CHECKING:
    from pathlib import Path

    from hypernova.events import DecisionEvent, ReloadEvent

TEXTS = ["Join two tables", "Fix the race", "Write a sonnet"]


@pytest.fixture
def router() -> hypernova.Router:
    return hypernova.Router.open()


class TestCallbacks:
    def test_each_way_from_text_is_observed_once(self, router: hypernova.Router) -> None:
        events: list[DecisionEvent] = []
        router.observe(events.append)
        before, start = time.time_ns(), time.perf_counter()
        one = router.route(TEXTS[0])
        chat = router.route(messages=[{"role": "user", "content": TEXTS[0]}])
        later = asyncio.run(router.aroute(TEXTS[1]))
        many = router.route_many(TEXTS)
        took = time.perf_counter() - start
        assert [observed.decisions for observed in events] == [
            (one,), (chat,), (later,), tuple(many),
        ]  # fmt: skip
        assert all(
            observed.decisions[0] is decision
            for observed, decision in zip(events, (one, chat, later, many[0]), strict=True)
        )
        for observed in events:
            assert before <= observed.started_ns <= time.time_ns()
            assert observed.embed_s > 0
            assert observed.decide_s > 0
        assert sum(observed.embed_s + observed.decide_s for observed in events) <= took

    def test_errors_and_decisions_from_vectors_are_not_observed(
        self, router: hypernova.Router
    ) -> None:
        events: list[DecisionEvent] = []
        router.observe(events.append)
        with pytest.raises(hypernova.errors.NoCandidateError):
            router.route(TEXTS[0], allow=[])
        vectors = router.embedder.embed(TEXTS)
        router.decide(vectors[0])
        router.decide_many(vectors)
        assert events == []

    def test_a_callback_that_raises_costs_no_decision(
        self, router: hypernova.Router, caplog: pytest.LogCaptureFixture
    ) -> None:
        events: list[DecisionEvent] = []

        def raises(observed: DecisionEvent) -> None:
            raise RuntimeError("the callback's own")

        router.observe(raises)
        router.observe(events.append)
        with caplog.at_level(logging.ERROR, "hypernova"):
            decision = router.route(TEXTS[0])
        assert events[0].decisions == (decision,)
        assert "the callback's own" in caplog.text

    def test_ending_one_observer_leaves_the_other(self, router: hypernova.Router) -> None:
        first: list[DecisionEvent] = []
        second: list[DecisionEvent] = []
        end = router.observe(first.append)
        router.observe(second.append)
        router.route(TEXTS[0])
        end()
        end()  # twice is no error
        router.route(TEXTS[0])
        assert (len(first), len(second)) == (1, 2)

    def test_reloads_are_observed_and_a_callback_may_use_the_router(
        self, router: hypernova.Router, tmp_path: Path
    ) -> None:
        events: list[tuple[ReloadEvent, str]] = []
        # A callback under the router's lock would wait for itself here.
        router.observe(
            on_reload=lambda r: (
                events.append((r, router.route(TEXTS[0]).artifact)) or router.close()
            )
        )
        sha = router.artifact.sha256
        router.reload(BUNDLED_ARTIFACT)
        (tmp_path / "bad.hnv").write_bytes(BUNDLED_ARTIFACT.read_bytes()[:-1])
        with pytest.raises(hypernova.errors.ArtifactError):
            router.reload(tmp_path / "bad.hnv")
        (taken, taken_by), (refused, refused_by) = events
        assert (taken.artifact, taken.refused, taken_by) == (sha, None, sha)
        assert (refused.artifact, refused_by) == (sha, sha)
        assert refused.refused
        assert "bad.hnv" in refused.refused


class TestSpans:
    @pytest.fixture
    def spans(self) -> InMemorySpanExporter:
        return InMemorySpanExporter()

    @pytest.fixture
    def provider(self, spans: InMemorySpanExporter) -> TracerProvider:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(spans))
        return provider

    @pytest.mark.parametrize("how", ["route", "aroute"])
    def test_a_decision_is_a_span_within_the_callers(
        self, router: hypernova.Router, spans: InMemorySpanExporter, provider: TracerProvider,
        how: str,
    ) -> None:  # fmt: skip
        end = trace_decisions(router, tracer_provider=provider)
        with provider.get_tracer("test").start_as_current_span("caller") as caller:
            if how == "route":
                decision = router.route(TEXTS[0], explore=0.5)
            else:
                decision = asyncio.run(router.aroute(TEXTS[0], explore=0.5))
        end()
        router.route(TEXTS[0])  # not traced any more
        embed, decide, route, outer = spans.get_finished_spans()
        assert outer.context.span_id == caller.get_span_context().span_id
        assert (embed.name, decide.name) == ("hypernova.embed", "hypernova.decide")
        assert route.name == "hypernova.route"
        assert route.parent is not None
        assert route.parent.span_id == outer.context.span_id
        for inner in (embed, decide):
            assert inner.parent is not None
            assert inner.parent.span_id == route.context.span_id
        assert dict(route.attributes or {}) == {
            "hypernova.model": decision.model,
            "hypernova.reason": decision.reason,
            "hypernova.cluster": decision.cluster,
            "hypernova.novelty": decision.novelty,
            "hypernova.propensity": decision.propensity,
            "hypernova.decision_id": decision.id,
            "hypernova.artifact": decision.artifact,
        }
        assert route.start_time == embed.start_time
        assert embed.end_time == decide.start_time
        assert decide.end_time == route.end_time
        assert not any("Join" in str(span.to_json()) for span in (embed, decide, route))

    def test_many_are_one_span(
        self, router: hypernova.Router, spans: InMemorySpanExporter, provider: TracerProvider
    ) -> None:
        trace_decisions(router, tracer_provider=provider)
        router.route_many(TEXTS)
        (route,) = (s for s in spans.get_finished_spans() if s.name == "hypernova.route")
        assert dict(route.attributes or {}) == {"hypernova.decisions": 3}

    def test_a_span_tells_whether_the_shadow_agrees(self, router: hypernova.Router) -> None:
        spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(spans))
        best = router.route(TEXTS[1], on_novel="best_overall")
        for shadow in (router.artifact, router.artifact.replace(cost_weight=1000.0)):
            both = hypernova.Router(router.artifact, shadow=shadow)
            trace_decisions(both, tracer_provider=provider)
            both.route(TEXTS[1], on_novel="best_overall")
        both.route(TEXTS[1], allow=[best.model])
        other = next(model for model in router.artifact.models if model != best.model)
        failing = hypernova.remove_model(router.artifact, best.model, default=other)
        both = hypernova.Router(router.artifact, shadow=failing)
        trace_decisions(both, tracer_provider=provider)
        both.route(TEXTS[1], allow=[best.model])
        found = [
            dict(s.attributes or {}) for s in spans.get_finished_spans() if s.name.endswith("route")
        ]
        same = [one.get("hypernova.shadow.same") for one in found]
        assert same == [True, False, True, None]
        assert found[0]["hypernova.shadow.model"] == best.model
        assert found[1]["hypernova.shadow.model"] != best.model
        assert "hypernova.shadow.model" not in found[3]


class TestImports:
    @pytest.mark.slow
    def test_nothing_is_imported_that_was_not_asked_for(self) -> None:
        code = """
import sys, asyncio, hypernova
router = hypernova.Router.open()
router.observe(lambda observed: None)
asyncio.run(router.aroute("Fix the race"))
loaded = {name.split(".")[0] for name in sys.modules}
print(sorted(loaded & {"opentelemetry", "prometheus_client", "fastapi", "uvicorn", "starlette",
                       "pydantic", "litellm", "httpx"}),
      [name for name in sys.modules if name.startswith("hypernova.integrations")])
"""
        done = run_python("-c", code, code=0)
        assert done.stdout.split("\n")[0] == "[] []"

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("module", "missing", "extra"),
        [
            ("hypernova.integrations.otel", "opentelemetry", "otel"),
            ("hypernova.integrations.server", "uvicorn", "server"),
            ("hypernova.integrations.server", "prometheus_client", "server"),
            ("hypernova.integrations.litellm", "litellm", "litellm"),
        ],
    )
    def test_a_missing_extra_names_itself(self, module: str, missing: str, extra: str) -> None:
        # None in sys.modules is how Python itself marks what cannot be imported.
        code = f"import sys; sys.modules[{missing!r}] = None; import {module}"
        done = run_python("-c", code)
        assert f"hypernova-router[{extra}]" in done.stderr
        assert "MissingExtraError" in done.stderr

    def test_the_command_says_so_in_one_line(self) -> None:
        code = (
            "import sys; sys.modules['fastapi'] = None; from hypernova.cli import main; "
            "sys.exit(main(['serve', '--port', '0']))"
        )
        done = run_python("-c", code)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "hypernova-router[server]" in done.stderr
