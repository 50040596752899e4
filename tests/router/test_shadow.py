"""A shadow decides as a router of its own would, and changes nothing of the answer."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import signal
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.errors import (
    EmbedderMismatchError,
    NoCandidateError,
    NotFoundError,
    TextError,
    UnknownModelError,
    UnpicklingError,
)
from hypernova.router import BUNDLED_ARTIFACT
from hypernova.router.batch import StepwiseBatch
from hypernova.router.shadow import ShadowedArtifact
from support.commands import fails_in_one_line
from support.factories import assembled, blobs, fitted_to_example, make_table
from support.server import assert_error, metrics, serving

if TYPE_CHECKING:
    from pathlib import Path

    from hypernova import Artifact, Decision, Router

TEXTS = (
    "Join two tables", "Prove that the sum of two odd numbers is even", "Write a sonnet",
    "Fix the race in the scheduler", "why does this print the same list for every user",
)  # fmt: skip
CHAT = [
    {"role": "user", "content": "Join two tables"},
    {"role": "assistant", "content": "Which?"},
    {"role": "user", "content": "Those of the invoices"},
]


@cache
def pair() -> tuple[Artifact, Artifact]:
    """Two artifacts of the same embedder and models that often choose another model."""
    return fitted_to_example(4), fitted_to_example(3).replace(cost_weight=1000.0)


@cache
def routers() -> tuple[Router, Router, Router]:
    """A router with a shadow, one without, and one of the shadow's artifact."""
    first, second = pair()
    return (
        hypernova.Router(first, shadow=second), hypernova.Router(first), hypernova.Router(second),
    )  # fmt: skip


def values(decision: Decision | None, *, approximate: bool = False) -> dict[str, Any]:
    """Return all that a decision says, apart from its id."""
    assert decision is not None
    found = {**decision.to_dict(), "default_model": decision.default_model, "id": None}
    if approximate:  # a batch embeds in another order
        return {name: found[name] for name in ("model", "reason", "cluster", "artifact")}
    return found


def of_minilm() -> Artifact:
    """An artifact of another bundled embedder; nothing of it is meant."""
    vectors, _ = blobs(np.random.default_rng(0), centres=4, each=10, dim=384)
    table = make_table(vectors, np.random.default_rng(1).integers(0, 2, (40, 3)))
    embedder = hypernova.Embedder.load("minilm")
    identity = {**embedder.identity, "kind": "text", "fingerprint": embedder.fingerprint}
    return assembled(table, vectors, 2, identity=identity)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "cost_weight": st.sampled_from([0.0, 10.0, 1e4]),
        "min_success": st.sampled_from([0.0, 0.4, 0.7]),
        "max_cost_usd": st.sampled_from([1e-4, 1e-3, 1.0]),
        "allow": st.sampled_from([["simulated-coder", "simulated-large"], ["simulated-maths"]]),
        "group": st.sampled_from(["sql", "no such group"]),
        "previous_model": st.sampled_from(["simulated-coder", "simulated-maths"]),
        "switch_cost": st.sampled_from([0.0, 0.5]),
        "on_novel": st.sampled_from(["default", "best_overall", "error"]),
        "prices": st.sampled_from([{"simulated-large": 0.5}]),
    },
)


class TestBothDecide:
    @given(st.sampled_from(TEXTS), OPTIONS)
    @settings(max_examples=120)
    def test_each_is_the_decision_of_a_router_of_its_own(self, text, options) -> None:
        both, first, second = routers()
        refused: hypernova.HypernovaError | None = None
        try:
            expected = first.route(text, **options)
        except hypernova.HypernovaError as error:
            refused = error
        if refused is not None:
            with pytest.raises(type(refused)) as caught:
                both.route(text, **options)
            assert str(caught.value) == str(refused)
            return
        decision = both.route(text, **options)
        assert values(decision) == values(expected)
        assert decision.shadow_artifact == second.artifact.sha256
        try:
            of_shadow = second.route(text, **options)
        except NoCandidateError:
            assert (decision.shadow, decision.shadow_error) == (None, "no_candidate")
        except hypernova.NovelPromptError:
            assert (decision.shadow, decision.shadow_error) == (None, "novel_prompt")
        else:
            assert values(decision.shadow) == values(of_shadow)
            assert decision.shadow_error is None

    def test_they_do_differ(self) -> None:
        both, *_ = routers()
        decisions = both.route_many(TEXTS)
        assert any(d.shadow is not None and d.shadow.model != d.model for d in decisions)

    def test_without_one_there_is_none(self) -> None:
        _, first, _ = routers()
        decision = first.route(TEXTS[0])
        assert (decision.shadow, decision.shadow_error, decision.shadow_artifact) == (None,) * 3
        assert first.shadow is None

    def test_every_way_of_deciding_has_it(self) -> None:
        both, _, second = routers()
        assert both.shadow is second.artifact
        expected = values(second.route(TEXTS[0]))
        vector = both.embedder.embed_one(TEXTS[0])
        for decision in (
            both.route(TEXTS[0]), both.decide(vector), asyncio.run(both.aroute(TEXTS[0])),
        ):  # fmt: skip
            assert values(decision.shadow) == expected
        chat = both.route(messages=CHAT)
        assert values(chat.shadow) == values(second.route(messages=CHAT))
        batch = StepwiseBatch(both, TEXTS, {})
        while batch.step():
            pass
        for decisions in (both.route_many(TEXTS), both.route_many(TEXTS, progress=True),
                          batch.decide()):  # fmt: skip
            for decision, other in zip(decisions, second.route_many(TEXTS), strict=True):
                assert values(decision.shadow, approximate=True) == values(other, approximate=True)

    def test_observers_find_it_in_the_decision(self) -> None:
        first, second = pair()
        router = hypernova.Router(first, shadow=second)
        events: list[hypernova.events.DecisionEvent] = []
        router.observe(events.append)
        decision = router.route(TEXTS[0])
        router.route(messages=CHAT)
        router.route_many(TEXTS)
        assert events[0].decisions[0] is decision
        shadows = [d.shadow for event in events for d in event.decisions]
        assert len(shadows) == 2 + len(TEXTS)
        assert {s and s.artifact for s in shadows} == {second.sha256}

    def test_a_text_is_embedded_once(self) -> None:
        texts: list[str] = []

        def embed(given: list[str]) -> np.ndarray:
            texts.extend(given)
            return np.eye(16, dtype=np.float32)[[len(text) % 4 for text in given]]

        embedder = hypernova.CallableEmbedder(embed, name="counted", dim=16)
        rng = np.random.default_rng(0)
        vectors, labels = blobs(rng, centres=4, each=20)
        identity = {**embedder.identity, "kind": "text", "fingerprint": embedder.fingerprint}
        table = make_table(vectors, np.eye(4)[labels])
        first, second = (assembled(table, vectors, k, identity=identity) for k in (4, 2))
        router = hypernova.Router(first, embedder=embedder, shadow=second, cache=100)
        for _ in range(2):
            assert router.route("a text").shadow is not None
            assert asyncio.run(router.aroute("a text")).shadow is not None
        assert texts == ["a text"]

    def test_iterators_are_read_once_for_both(self) -> None:
        both, first, second = routers()
        allow = ["simulated-coder", "simulated-maths"]
        decision = both.decide(both.embedder.embed_one(TEXTS[0]), allow=iter(allow))
        assert decision.model == first.route(TEXTS[0], allow=allow).model
        assert values(decision.shadow) == values(second.route(TEXTS[0], allow=allow))


class TestExploration:
    def test_the_first_draws_as_ever_and_the_shadow_does_not(self) -> None:
        both, first, second = routers()
        drawn = set()
        for seed in range(40):
            options: dict[str, Any] = {"explore": 1.0, "explore_seed": seed}
            decision = both.route(TEXTS[0], **options)
            assert values(decision) == values(first.route(TEXTS[0], **options))
            assert values(decision.shadow) == values(second.route(TEXTS[0]))
            drawn.add(decision.model)
        assert len(drawn) > 1

    def test_in_a_batch_as_well(self) -> None:
        both, first, second = routers()
        options: dict[str, Any] = {"explore": 0.7, "explore_seed": 5}
        texts = TEXTS * 4
        decisions = both.route_many(texts, **options)
        assert [d.model for d in decisions] == [d.model for d in first.route_many(texts, **options)]
        assert "explored" in {d.reason for d in decisions}
        assert {d.shadow.propensity for d in decisions if d.shadow} == {1.0}
        assert [d.shadow and d.shadow.model for d in decisions] == [
            d.model for d in second.route_many(texts)
        ]


class TestErrors:
    def test_errors_of_the_shadow_are_noted_and_those_of_the_first_raised(self) -> None:
        first, second = pair()
        fewer = hypernova.remove_model(second, "simulated-coder")
        router = hypernova.Router(first, shadow=fewer)
        decision = router.route(TEXTS[0], previous_model="simulated-coder")
        assert (decision.shadow, decision.shadow_error) == (None, "unknown_model")
        assert decision.shadow_artifact == fewer.sha256
        decision = router.route(TEXTS[0], min_success=0.0, allow=["simulated-coder"])
        assert decision.shadow_error == "unknown_model"
        with pytest.raises(UnknownModelError):
            router.route(TEXTS[0], previous_model="no such model")
        with pytest.raises(TextError):
            router.route(" ")
        with pytest.raises(TypeError):
            router.route(TEXTS[0], no_such_option=1)  # type: ignore[call-arg]

    def test_a_batch_notes_the_error_of_each_row(self) -> None:
        first, second = pair()
        # Some texts lie nearer to their centroid than others.
        novelties = [d.novelty for d in hypernova.Router(second).route_many(TEXTS)]
        limit = float(np.median(novelties))
        if not 0.0 < limit < 1.0:
            limit = (min(novelties) + max(novelties)) / 2
        strict = second.replace(novelty_limit=limit)
        lenient = first.replace(novelty_limit=1.0)
        router = hypernova.Router(lenient, shadow=strict)
        decisions = router.route_many(TEXTS, on_novel="error", group=[None] * len(TEXTS))
        errors = [d.shadow_error for d in decisions]
        assert errors == ["novel_prompt" if n > limit else None for n in novelties]
        assert set(errors) == {"novel_prompt", None}
        for decision in router.route_many(TEXTS, previous_model="simulated-maths"):
            assert decision.shadow is not None
        fewer = hypernova.remove_model(second, "simulated-maths")
        router = hypernova.Router(first, shadow=fewer)
        assert {
            d.shadow_error for d in router.route_many(TEXTS, deny=["simulated-maths"])
        } == {"unknown_model"}  # fmt: skip

    def test_any_exception_of_the_shadow_costs_no_answer(self, caplog) -> None:
        first, second = pair()

        class Broken:
            embedder, sha256 = second.embedder, second.sha256

            def decide(self, *_: object, **__: object) -> None:
                raise ZeroDivisionError("a shadow")

            decide_many = decide

        broken: Any = Broken()
        both = ShadowedArtifact(first, broken)
        vectors = hypernova.Router(first).embedder.embed(TEXTS)
        assert both.decide(vectors[0]).shadow_error == "internal"
        assert {d.shadow_error for d in both.decide_many(vectors)} == {"internal"}
        assert "the shadow failed" in caplog.text

    def test_a_shadow_of_another_embedder_is_refused(self, tmp_path) -> None:
        other = of_minilm()
        with pytest.raises(EmbedderMismatchError, match=r"static.*minilm.*hypernova diff") as e:
            hypernova.Router(pair()[0], shadow=other)
        assert str(e.value).isprintable()
        other.save(tmp_path / "new.hnv")
        with pytest.raises(EmbedderMismatchError, match="minilm"):
            hypernova.Router.open(shadow=tmp_path / "new.hnv")
        with pytest.raises(NotFoundError):
            hypernova.Router.open(shadow=tmp_path / "none.hnv")

    def test_it_does_not_hold_up_a_reload_to_another_embedder(self, tmp_path, caplog) -> None:
        first, second = pair()
        first.save(tmp_path / "r.hnv")
        second.save(tmp_path / "s.hnv")
        router = hypernova.Router.open(tmp_path / "r.hnv", shadow=tmp_path / "s.hnv")
        of_minilm().save(tmp_path / "m.hnv")
        router.reload(tmp_path / "m.hnv")
        assert "has another embedder" in caplog.text
        decision = router.decide(np.eye(384, dtype=np.float32)[0])
        assert (decision.shadow, decision.shadow_error) == (None, "embedder_mismatch")
        matrix = np.eye(384, dtype=np.float32)[:3]
        decisions = router._serving.decide_each(matrix, {})
        assert [d.shadow_error for d in decisions] == ["embedder_mismatch"] * 3
        router.reload(tmp_path / "r.hnv")
        assert router.route(TEXTS[0]).shadow is not None


class TestLife:
    def test_it_stays_when_the_artifact_is_replaced(self, tmp_path) -> None:
        """Requests run meanwhile: each has a decision of either artifact and one of the shadow."""
        first, second = pair()
        first.save(tmp_path / "r.hnv")
        second.save(tmp_path / "s.hnv")
        router = hypernova.Router.open(tmp_path / "r.hnv", shadow=tmp_path / "s.hnv")
        seen: list[tuple[str, str | None]] = []
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                decision = router.route(TEXTS[0])
                seen.append((decision.artifact, decision.shadow_artifact))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        taken = [router.reload(BUNDLED_ARTIFACT if n % 2 else tmp_path / "r.hnv").sha256
                 for n in range(20)]  # fmt: skip
        stop.set()
        for thread in threads:
            thread.join()
        assert {shadow for _, shadow in seen} == {second.sha256}
        assert {artifact for artifact, _ in seen} <= {first.sha256, *taken}
        assert router.shadow is not None

    def test_routers_and_decisions_pickle_with_it(self) -> None:
        both, *_ = routers()
        for again in (pickle.loads(pickle.dumps(both)), copy.copy(both), copy.deepcopy(both)):
            assert again.shadow.sha256 == both.shadow.sha256
            assert values(again.route(TEXTS[0]).shadow) == values(both.route(TEXTS[0]).shadow)
        plain = pickle.loads(pickle.dumps(routers()[1]))
        assert plain.shadow is None
        decision = both.route(TEXTS[0], min_success=0.0)
        again = pickle.loads(pickle.dumps(decision))
        assert (again.id, again.default_model) == (decision.id, decision.default_model)
        assert values(again.shadow) == values(decision.shadow)
        assert again.shadow.id == decision.shadow.id
        failed = pickle.loads(pickle.dumps(decision.with_failed_shadow("b" * 64, "no_candidate")))
        assert (failed.shadow, failed.shadow_error) == (None, "no_candidate")
        assert (failed.shadow_artifact, failed.id) == ("b" * 64, decision.id)
        # Of a decision that came out of a pickle as well.
        twice = pickle.loads(pickle.dumps(again.with_shadow(again)))
        assert values(twice) == values(decision) == values(twice.shadow)

    def test_a_forged_pickle_is_refused(self) -> None:
        make, (data, id_, _) = routers()[0].route(TEXTS[0]).__reduce__()
        for shadow in (5, "text", ("one",), ("one", 2), object()):
            with pytest.raises(UnpicklingError, match="pickled decision"):
                make(data, id_, shadow)

    def test_the_next_decision_after_a_failure_has_none(self) -> None:
        decision = routers()[0].route(TEXTS[0])
        left = decision.after_failure(decision.model)
        assert (left.shadow, left.shadow_error, left.shadow_artifact) == (None,) * 3

    def test_it_is_warmed_up_and_watched_like_any(self, tmp_path) -> None:
        first, second = pair()
        first.save(tmp_path / "r.hnv")
        second.save(tmp_path / "s.hnv")
        with hypernova.Router.open(
            tmp_path / "r.hnv", shadow=tmp_path / "s.hnv", watch=0.02
        ) as router:
            router.warm_up()
            taken = threading.Event()
            router.observe(on_reload=lambda _: taken.set())
            hypernova.Artifact.open(BUNDLED_ARTIFACT).save(tmp_path / "r.hnv")
            assert taken.wait(30)
            decision = router.route(TEXTS[0])
            assert decision.artifact != first.sha256
            assert decision.shadow_artifact == second.sha256


def test_the_log_holds_both(tmp_path) -> None:
    both, _, second = routers()
    with hypernova.OutcomeLog(tmp_path / "log") as log:
        decisions = [both.route(text, explore=0.5) for text in TEXTS]
        decisions.append(both.route(TEXTS[0]).with_failed_shadow("b" * 64, "no_candidate"))
        for decision in decisions:
            log.record_decision(decision)
            log.record_outcome(decision, 1.0)
    logged = [d for d, _ in hypernova.read_log(tmp_path / "log")]
    for record, decision in zip(logged[:-1], decisions, strict=False):
        shadow = decision.shadow
        assert shadow is not None
        assert record.shadow is not None
        assert record.shadow.artifact == second.artifact.sha256
        assert (record.shadow.model, record.shadow.cluster) == (shadow.model, shadow.cluster)
        assert record.shadow.success == shadow.ranking[0].success
        assert record.shadow.cost_usd == shadow.ranking[0].cost_usd
        assert record.shadow.novelty == pytest.approx(shadow.novelty)
        estimated = {entry.model: entry.success for entry in decision.ranking}
        assert record.default_success == estimated["simulated-large"]
        assert (record.default_model, record.candidates) == ("simulated-large", len(estimated))
        assert record.cost_usd == decision.ranking[0].cost_usd
    assert logged[-1].shadow == hypernova.outcome_log.LoggedShadow("b" * 64, error="no_candidate")


class TestServed:
    def test_a_server_answers_with_the_first_and_logs_both(self, tmp_path: Path) -> None:
        first, second = pair()
        first.save(tmp_path / "r.hnv")
        second.save(tmp_path / "s.hnv")
        expected = [hypernova.Router(first).route(text).model for text in TEXTS]
        of_shadow = [hypernova.Router(second).route(text).model for text in TEXTS]
        with (
            serving("-a", tmp_path / "r.hnv", "--shadow", tmp_path / "s.hnv",
                    "--log", tmp_path / "log") as server,
            server.client() as client,
        ):  # fmt: skip
            answers = [client.post("/v1/route", json={"text": text}).json() for text in TEXTS]
            batch = client.post("/v1/route/batch", json={"texts": TEXTS}).json()["decisions"]
            assert [a["model"] for a in answers] == [a["model"] for a in batch] == expected
            assert not any("shadow" in key for key in answers[0])
            client.post("/v1/route", json={"text": TEXTS[0], "explore": 1.0})
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("reloaded")
            after = client.post("/v1/route", json={"text": TEXTS[0], "min_success": 0.0}).json()
            failed = client.post("/v1/outcomes", json={"id": after["id"], "failed": True})
            assert failed.json() == {"id": after["id"], "recorded": True}
            for odd in ({"score": 1.0, "failed": True}, {}, {"failed": False}):
                refused = client.post("/v1/outcomes", json={"id": after["id"], **odd})
                assert_error(refused, 400, "bad_outcome")
            counts = metrics(client)
        lines = [
            json.loads(line)
            for path in sorted((tmp_path / "log").glob("*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]
        decisions = [line for line in lines if line["type"] == "decision"]
        assert [d["shadow"]["model"] for d in decisions[:10]] == of_shadow * 2
        assert [d["model"] for d in decisions[:10]] == expected * 2
        assert {d["shadow"]["artifact"] for d in decisions} == {second.sha256}
        explored = sum(d["reason"] == "explored" for d in decisions)
        total = "hypernova_shadow_decisions_total"
        found = {same: counts.get((total, (("same", same),)), 0.0) for same in ("yes", "no")}
        compared = [d for d in decisions if d["reason"] != "explored"]
        same = sum(d["model"] == d["shadow"]["model"] for d in compared)
        assert found == {"yes": same, "no": len(decisions) - explored - same}
        reader = hypernova.read_log(tmp_path / "log")
        assert list(reader) == []
        assert (reader.tally.failed, reader.tally.open) == (1, len(decisions) - 1)

    def test_a_shadow_that_cannot_decide_ends_the_command_in_one_line(self, tmp_path) -> None:
        of_minilm().save(tmp_path / "m.hnv")
        assert "diff" in fails_in_one_line("serve", "--shadow", tmp_path / "m.hnv")
