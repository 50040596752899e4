"""The router as a service uses it, on the bundled artifact and on one of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import hypernova
from hypernova.embedder import Embedder
from hypernova.errors import (
    EmbedderMismatchError,
    NoCandidateError,
    NotFoundError,
    PolicyError,
    TextError,
    UnknownModelError,
    VectorError,
)
from hypernova.router.called import raise_as_called
from support.commands import run_python
from support.paths import TABLE

TEXTS = [
    "Fix the race in the scheduler",
    "QuerySet.union() drops the ordering of the second query in Django 4.2",
    "sympy: simplify(cos(x)**2 + sin(x)**2 - 1) is not zero for matrices",
    "Write a haiku about rain",
]


@pytest.fixture(scope="module")
def router() -> hypernova.Router:
    return hypernova.Router.open()


@pytest.mark.parametrize(
    ("threads", "kind"), [(0, ValueError), (2**70, ValueError), (1.5, TypeError), ("2", TypeError)]
)
def test_threads_are_checked_when_a_router_is_made(threads, kind) -> None:
    with pytest.raises(kind, match="threads is"):
        hypernova.Router.open(threads=threads)


@pytest.mark.parametrize("artifact", ["router.hnv", Path("router.hnv")])
def test_a_path_in_place_of_an_artifact_is_told_where_it_belongs(artifact) -> None:
    with pytest.raises(TypeError) as caught:
        hypernova.Router(artifact)
    assert str(caught.value) == (
        "the artifact is the path 'router.hnv', expected an Artifact; Router.open takes a path"
    )
    with pytest.raises(TypeError, match="the artifact is NoneType, expected an Artifact"):
        hypernova.Router(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: hypernova.Router.open().route(5), TypeError),
        (lambda: hypernova.Router.open().route("x", cost_weight="1"), TypeError),
        (lambda: hypernova.Router.open().route("x", allow="large"), TypeError),
        (lambda: hypernova.Router.open().route_many("abc"), TypeError),
        (lambda: hypernova.Router.open(threads=0), ValueError),
        (lambda: hypernova.Router.open(cache=-1), ValueError),
        (lambda: hypernova.Router.open("router.hnv", watch=-1), ValueError),
        (lambda: hypernova.fit(hypernova.OutcomeTable.read(TABLE), device="x"), ValueError),
    ],
    ids=range(8),
)
def test_a_wrong_argument_is_the_fault_of_the_program_that_calls(call, kind: type) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert not isinstance(caught.value, hypernova.HypernovaError)


class TestUnknownOption:
    """The core refuses it, and the error names the method that the caller called."""

    @pytest.mark.parametrize("cache", [None, 10])
    @pytest.mark.parametrize("shadowed", [False, True])
    @pytest.mark.parametrize("observed", [False, True])
    def test_the_error_names_the_method(self, cache, shadowed, observed, tmp_path) -> None:
        artifact = hypernova.Router.open().artifact
        router = hypernova.Router(artifact, cache=cache, shadow=artifact if shadowed else None)
        if observed:
            router.observe(on_decision=print)
        turns = [{"role": "user", "content": text} for text in TEXTS[:2]]
        prompts = tmp_path / "prompts.txt"
        prompts.write_text(TEXTS[0])
        vector = router.embedder.embed_one(TEXTS[0])
        calls = {
            "route": [
                partial(router.route, TEXTS[0]),
                partial(router.route, messages=turns[:1]),
                partial(router.route, messages=turns),
            ],
            "aroute": [lambda **options: asyncio.run(router.aroute(TEXTS[0], **options))],
            "explain": [partial(router.explain, TEXTS[0])],
            "route_many": [partial(router.route_many, TEXTS)],
            "decide_many": [partial(router.decide_many, vector[None])],
            "route_table": [partial(router.route_table, prompts, tmp_path / "d.parquet", jobs=1)],
        }
        for method, ways in calls.items():
            for call in ways:
                if observed and method == "route_table":
                    continue
                with pytest.raises(TypeError) as caught:
                    call(cost_wieght=1.0)
                assert str(caught.value) == (
                    f"Router.{method}() got an unexpected keyword argument 'cost_wieght'; "
                    "did you mean 'cost_weight'?"
                )

    def test_a_class_of_ones_own_is_named_too(self) -> None:
        class Own(hypernova.Router):
            def decide(self, vector, **options):
                return super().decide(vector, **options)

        router = Own.open()
        with pytest.raises(TypeError, match=r"^Router\.decide\(\) got an .* 'nothing_like_it'$"):
            router.decide(router.embedder.embed_one(TEXTS[0]), nothing_like_it=1)

    def test_an_error_of_the_callers_own_embedder_stays_as_it_is(self) -> None:
        words = "embed() got an unexpected keyword argument 'cost_wieght'"
        error = TypeError(words)
        with pytest.raises(TypeError) as caught:
            raise_as_called(error, "route")
        assert caught.value is error
        assert error.args == (words,)


class TestRoute:
    def test_a_decision_holds_model_ranking_and_reason(self, router) -> None:
        decision = router.route(TEXTS[1])
        assert decision.model in router.artifact.models
        assert decision.ranking[0].model == decision.model
        assert {e.model for e in decision.ranking} == set(router.artifact.models)
        assert 0 <= decision.cluster < router.artifact.n_clusters
        assert decision.distance >= 0
        assert 0 <= decision.novelty <= 1
        assert decision.reason in {"routed", "default_no_evidence", "default_novel"}
        assert decision.model in repr(decision)

    def test_text_and_its_vector_are_decided_alike(self, router) -> None:
        for text in TEXTS:
            from_text = router.route(text)
            from_vector = router.decide(router.embedder.embed_one(text))
            assert (from_text.model, from_text.cluster, from_text.distance) == (
                from_vector.model,
                from_vector.cluster,
                from_vector.distance,
            )

    def test_route_many_keeps_the_order(self, router) -> None:
        many = router.route_many(TEXTS * 5)
        assert [d.cluster for d in many] == [router.route(t).cluster for t in TEXTS * 5]
        assert router.route_many([]) == []
        with pytest.raises(TypeError, match="route"):
            router.route_many("one text")

    def test_options_reach_the_rule(self, router) -> None:
        first, second, *_ = router.route(TEXTS[1]).ranking
        denied = router.route(TEXTS[1], deny=[first.model])
        assert (denied.model, denied.reason) == (second.model, "constrained")
        assert router.route(TEXTS[1], allow=[second.model]).model == second.model
        cheap = router.route(TEXTS[1], cost_weight=1e3)
        assert cheap.ranking[0].cost_usd == min(e.cost_usd for e in cheap.ranking)
        priced = router.route(TEXTS[1], prices={second.model: 0.0}, max_cost_usd=0.0)
        assert (priced.model, priced.ranking[0].cost_usd) == (second.model, 0.0)
        limited = router.route(TEXTS[1], min_success=0.7).ranking
        assert all(e.success >= 0.7 for e in limited)
        slow = router.route(TEXTS[1], latency_weight=1.0)  # no latencies are known: no effect
        assert slow.model == first.model

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"allow": ["GPT-9"]}, UnknownModelError, "allow names the model .GPT-9."),
            ({"deny": [""]}, UnknownModelError, "deny names"),
            ({"prices": {"x": 1}}, UnknownModelError, "prices names"),
            ({"allow": []}, NoCandidateError, "no model is left"),
            ({"max_cost_usd": 0.0}, NoCandidateError, "max_cost_usd=0"),
            ({"cost_weight": -1}, PolicyError, "cost_weight is -1.0; .* at least 0"),
            ({"cost_weight": float("nan")}, PolicyError, "cost_weight is NaN"),
            ({"min_success": 1.2}, PolicyError, "min_success is 1.2"),
            ({"allow": "GPT-5"}, TypeError, "str"),
            ({"colour": "red"}, TypeError, "colour"),
        ],
    )
    def test_an_option_out_of_range_is_refused_by_name(
        self, router, options, error, message
    ) -> None:
        with pytest.raises(error, match=message):
            router.route(TEXTS[0], **options)

    @pytest.mark.parametrize("text", ["", " \n\t"])
    def test_an_empty_text_is_refused_with_its_index(self, router, text) -> None:
        with pytest.raises(TextError, match="empty"):
            router.route(text)
        with pytest.raises(TextError, match="1"):
            router.route_many(["fine", text])

    def test_vectors_of_another_dimension_are_refused(self, router) -> None:
        with pytest.raises(VectorError, match="512"):
            router.decide(np.zeros(384, dtype=np.float32))


class TestOpen:
    def test_a_missing_artifact_is_not_found(self, tmp_path) -> None:
        with pytest.raises(NotFoundError, match=r"nothing\.hnv: there is no such file"):
            hypernova.Router.open(tmp_path / "nothing.hnv")
        with pytest.raises(FileNotFoundError):
            hypernova.Router.open(tmp_path / "nothing.hnv")

    def test_another_embedder_is_refused_with_both_names(self) -> None:
        with pytest.raises(EmbedderMismatchError, match=r"static \(\w{12}\).*minilm \(\w{12}\)"):
            hypernova.Router.open(embedder="minilm")

    def test_an_open_embedder_serves(self) -> None:
        embedder = Embedder.load("static")
        router = hypernova.Router.open(embedder=embedder)
        assert router.embedder is embedder
        assert router.route(TEXTS[0]).model

    @pytest.mark.slow
    def test_the_environment_forces_a_kernel(self) -> None:
        code = "import hypernova; print(hypernova.Router.open().artifact.level)"
        run = lambda level: run_python("-c", code, env={**os.environ, "HYPERNOVA_SIMD": level})  # noqa: E731
        assert run("scalar").stdout.strip() == "scalar"
        refused = run("sse9")
        assert refused.returncode == 1
        assert "HYPERNOVA_SIMD" in refused.stderr
        assert "scalar" in refused.stderr


class TestThreads:
    def test_first_texts_from_many_threads_load_the_embedder_once(self) -> None:
        router = hypernova.Router.open()
        barrier = threading.Barrier(8)

        def first(_: int) -> int:
            barrier.wait()
            return id(router.embedder)

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(first, range(8)))) == 1

    def test_sixteen_threads_decide_as_one(self, router) -> None:
        texts = [f"{text} #{i}" for i, text in enumerate(TEXTS * 50)]
        alone = [(d.model, d.cluster, d.distance) for d in map(router.route, texts)]
        with ThreadPoolExecutor(16) as pool:
            together = [(d.model, d.cluster, d.distance) for d in pool.map(router.route, texts)]
        assert together == alone

    @pytest.mark.slow
    def test_the_gil_is_free_while_the_core_works(self, router) -> None:
        """Other threads go on while a long batch is decided."""
        dim = router.artifact.dim
        rows = np.random.default_rng(0).normal(size=(1_000, dim)).astype(np.float32)
        matrix = np.tile(rows, (100, 1))
        done = threading.Event()

        def work() -> None:
            router.decide_many(matrix)
            done.set()

        thread = threading.Thread(target=work)
        # A switch interval beyond the whole test: this thread runs only if the GIL is given up.
        before = sys.getswitchinterval()
        sys.setswitchinterval(100)
        try:
            thread.start()
            turns = 0
            while not done.wait(timeout=0.001):
                turns += 1
        finally:
            sys.setswitchinterval(before)
            thread.join()
        assert turns > 10


def test_many_prompts_show_a_bar_when_asked(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypernova.progress.DELAY_S", 0.0)
    router = hypernova.Router.open()
    texts = [f"Sort list {i}" for i in range(50)]
    silent = [d.model for d in router.route_many(texts)]
    assert capfd.readouterr() == ("", "")
    assert [d.model for d in router.route_many(texts, progress=True)] == silent
    out, err = capfd.readouterr()
    assert out == ""
    assert "embedding with static" in err
    assert "/50 " in err
