"""Objects that go to another process, or are copied, and answer there as they did here.

Not here: what they answer (test_rule.py), and damaged bytes one by one (detached.rs of the core).
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import multiprocessing
import os
import pickle
import shutil
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova import Artifact, CachedEmbedder, CallableEmbedder, Decision, Router, errors
from hypernova.embedder import Embedder, bundled_embedders
from hypernova.router.pickling import OWN_ATTRIBUTES
from support.factories import fitted, scored, two_kinds
from support.processes import answer, log_one, ones, powers, where
from support.strategies import questions

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMPTS = [f"Fix the race in scheduler {i}, which {'waits ' * i}for a lock" for i in range(12)]
PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def round_trip(thing: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    """Pickle and unpickle an object."""
    return pickle.loads(pickle.dumps(thing, protocol))


def said(decision: Decision) -> tuple[object, ...]:
    """All that a decision says, but for its id."""
    return (
        *(decision.model, decision.ranking, decision.cluster, decision.distance),
        *(decision.novelty, decision.reason, decision.propensity, decision.artifact),
    )


def after(decision: Decision, failed: str) -> Any:
    """The decision after a failure, or the class and the message of the error."""
    try:
        return decision.after_failure(failed)
    except errors.PolicyError as error:
        return type(error), str(error)


def build(name: str = "m", models: int = 3, clusters: int = 6, **added: Any) -> Artifact:
    """Random, its models named after ``name``; of ``static`` unless ``added`` says other."""
    rng = np.random.default_rng(len(name) + models)
    folder = bundled_embedders()["static"]
    dim = json.loads((folder / "embedder.json").read_text())["dim"]
    identity = {"kind": "text", "name": "static", "dim": dim, "fingerprint": STATIC}
    identity |= added.pop("identity", {})
    shape = (clusters + 1, models)

    def profile() -> np.ndarray:
        return rng.random(shape).astype(np.float32)

    return Artifact.build(
        models=[f"{name}-{i}" for i in range(models)],
        centroids=rng.normal(size=(clusters, identity["dim"])).astype(np.float32),
        counts=np.ones(shape),
        mean=profile(),
        success=profile(),
        standard_error=profile(),
        gain_error=profile(),
        cost=profile(),
        latency=profile(),
        novelty=np.array([0, 99], dtype=np.float32),
        embedder=json.dumps(identity),
        metadata="{}",
        default_model=0,
        **added,
    )


STATIC = Router.open().artifact.embedder["fingerprint"]


class Named(Router):
    """A router of a user's own, with another constructor, a slot, and a rule of its own."""

    __slots__ = ("slotted",)

    def __init__(self, artifact: Artifact, *, label: str) -> None:
        self.label = label  # before the router's own attributes
        super().__init__(artifact)
        self.slotted = [label]

    def decide(self, vector: np.ndarray, **options: Any) -> Decision:
        return super().decide(vector, **{"deny": ["m-0"], **options})


class TestDecisions:
    @settings(max_examples=60)
    @given(question=questions(), data=st.data())
    def test_a_pickled_decision_says_what_the_live_one_says_until_none_is_left(
        self, question: Any, data: st.DataObject
    ) -> None:
        arguments, queries, options = question
        artifact = Artifact.build(**arguments)
        with contextlib.suppress(errors.PolicyError, errors.NovelPromptError):
            live = artifact.decide(queries[0], **options)
            pickled = round_trip(live)
            assert pickled.id == live.id
            while True:
                assert type(pickled) is Decision
                assert said(pickled) == said(live)
                assert repr(pickled) == repr(live)
                models = [live.model, *arguments["models"], "unknown\nname"]
                failed = data.draw(st.sampled_from(models))
                expected, found = after(live, failed), after(pickled, failed)
                if isinstance(expected, Decision):
                    assert found.id != pickled.id
                    live, pickled = expected, data.draw(st.sampled_from([round_trip(found), found]))
                    continue
                assert found == expected
                if expected[0] is errors.NoCandidateError:
                    return

    @settings(max_examples=40)
    @given(question=questions())
    def test_a_pickled_batch_gives_the_same_decisions(self, question: Any) -> None:
        arguments, queries, options = question
        artifact = Artifact.build(**arguments)
        with contextlib.suppress(errors.PolicyError, errors.NovelPromptError):
            live = artifact.decide_many(queries, **options)
            pickled = round_trip(live)
            assert len(pickled) == len(live) == len(queries)
            assert (pickled.models, pickled.reasons) == (live.models, live.reasons)
            for name in ("model_indices", "clusters", "distances", "novelties", "reason_codes"):
                expected, found = getattr(live, name), getattr(pickled, name)
                assert found.dtype == expected.dtype
                assert found.tobytes() == expected.tobytes()
                assert not found.flags.writeable
            assert [said(d) for d in pickled] == [said(d) for d in live]
            assert said(pickled[-1]) == said(live[len(live) - 1])
            for one, other in zip(pickled, live, strict=True):
                with contextlib.suppress(errors.NoCandidateError):
                    expected = other.after_failure(other.model)
                    assert said(one.after_failure(one.model)) == said(expected)

    def test_more_models_than_a_message_names(self) -> None:
        artifact = build(models=40)
        live = artifact.decide(np.ones(artifact.dim, np.float32))
        with pytest.raises(errors.UnknownModelError, match="and 10 more") as expected:
            live.after_failure("gpt")
        with pytest.raises(errors.UnknownModelError) as found:
            round_trip(live).after_failure("gpt")
        assert str(found.value) == str(expected.value)

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_every_protocol_takes_them(self, protocol: int) -> None:
        artifact = build(offsets=np.zeros(3, np.float32), slopes=np.ones((3, 512), np.float32))
        vectors = np.random.default_rng(1).normal(size=(3, 512)).astype(np.float32)
        decision, decisions = artifact.decide(vectors[0]), artifact.decide_many(vectors)
        entry = decision.ranking[0]
        assert said(round_trip(decision, protocol)) == said(decision)
        assert [said(d) for d in round_trip(decisions, protocol)] == [said(d) for d in decisions]
        assert round_trip(artifact, protocol).to_bytes() == artifact.to_bytes()
        assert round_trip(entry, protocol) == entry != decision.ranking[1]
        assert hash(round_trip(entry, protocol)) == hash(entry)
        assert repr(round_trip(entry, protocol)) == repr(entry)

    def test_a_copy_is_the_object_itself(self) -> None:
        artifact = build()
        decision = artifact.decide(np.ones(512, np.float32))
        decisions = artifact.decide_many(np.ones((2, 512), np.float32))
        for thing in (artifact, decision, decisions, decision.ranking[0]):
            assert copy.copy(thing) is thing
            assert copy.deepcopy({"kept": thing})["kept"] is thing

    def test_a_decision_leaves_its_artifact_behind(self) -> None:
        artifact = build(clusters=200)
        decision = artifact.decide(np.ones(512, np.float32))
        assert len(artifact.to_bytes()) > 400_000
        assert len(pickle.dumps(decision)) < 1000

    def test_batches_in_one_pickle_share_their_artifact(self) -> None:
        artifact = build()
        some = [artifact.decide_many(np.ones((2, 512), np.float32)) for _ in range(5)]
        data = pickle.dumps([some, artifact])
        assert len(data) < 1.2 * len(artifact.to_bytes())
        assert [d.model for batch in pickle.loads(data)[0] for d in batch] == [
            d.model for batch in some for d in batch
        ]

    def test_forged_states_are_refused_in_one_line(self) -> None:
        artifact = build()
        decision = artifact.decide(np.ones(512, np.float32))
        decisions = artifact.decide_many(np.ones((2, 512), np.float32))
        states = {thing: thing.__reduce__() for thing in (artifact, decision, decisions)}
        states[decision.ranking[0]] = decision.ranking[0].__reduce__()
        assert len(states) == 4
        for make, state in states.values():
            forged: list[tuple[Any, ...]] = [(), state[:-1], (*state, None), (None, *state[1:])]
            for at, part in enumerate(state):
                bad: list[Any] = [object()]
                if isinstance(part, bytes):
                    bad += [b"", part[:-1], part + b"\0", b"\xff" + part[1:]]
                forged += [(*state[:at], one, *state[at + 1 :]) for one in bad]
            for one in forged:
                if one in (state, (*state[:-1], b"")):
                    continue
                with pytest.raises((errors.UnpicklingError, errors.ArtifactError)) as found:
                    make(*one)
                assert "\n" not in str(found.value)
        make, (data, _, *shadow) = states[decision]
        for bad_id in ("", "x" * 32, "0" * 31):
            with pytest.raises(errors.UnpicklingError, match="id"):
                make(data, bad_id, *shadow)


class TestArtifacts:
    def test_it_is_sent_by_value_and_not_by_its_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build("old").save(tmp_path / "router.hnv")
        monkeypatch.chdir(tmp_path)
        artifact = Artifact.open("router.hnv")
        data = pickle.dumps(artifact)
        build("new").save("router.hnv")
        monkeypatch.chdir("/")
        there = pickle.loads(data)
        assert there.sha256 == artifact.sha256
        assert there.models == ("old-0", "old-1", "old-2")
        assert there.path == tmp_path / "router.hnv"  # absolute: the folder was another
        assert round_trip(build()).path is None


class TestRouters:
    def test_it_decides_as_before(self, tmp_path: Path) -> None:
        build().save(tmp_path / "router.hnv")
        for router in (Router.open(), Router.open(tmp_path / "router.hnv"), Router(build())):
            expected = [said(router.route(prompt)) for prompt in PROMPTS[:2]]
            for there in (round_trip(router), copy.copy(router), copy.deepcopy(router)):
                assert type(there) is Router
                assert there is not router
                assert [said(there.route(prompt)) for prompt in PROMPTS[:2]] == expected
                assert there.artifact.path == router.artifact.path
            assert copy.deepcopy(router).embedder is router.embedder

    def test_it_takes_its_options_along(self) -> None:
        router = Router(build(), threads=2, device="auto", cache=7)
        there = round_trip(router)
        serving = there._serving
        assert (serving.threads, serving.device, serving.cache) == (2, "auto", 7)
        assert there.cache_info() == (0, 0, 7, 0)
        there.route(PROMPTS[0])
        assert there.cache_info() == (0, 1, 7, 1)

    def test_those_that_are_alike_load_one_embedder_and_share_its_cache(self) -> None:
        data = pickle.dumps(Router(build(), cache=10))
        first = pickle.loads(data)
        embedder = first.embedder
        first.route(PROMPTS[0])
        del first  # a task of a pool ends before the next begins
        second = pickle.loads(data)
        assert second.embedder is embedder
        second.route(PROMPTS[0])
        assert second.cache_info().hits == 1
        assert round_trip(Router(build(), cache=11)).embedder is not embedder
        # Another artifact of the same embedder takes it over, as after a reload.
        other = round_trip(Router(build("other"), cache=10))
        assert other.embedder is embedder
        assert other.route(PROMPTS[0]).model.startswith("other-")
        # It is the copy's own what it reloads.
        second.observe(on_reload=print)
        assert pickle.loads(data)._observers.on_reload == ()

    def test_only_the_last_few_are_kept(self) -> None:
        data = pickle.dumps(Router(build("kept")))
        embedder = pickle.loads(data).embedder
        assert pickle.loads(data).embedder is embedder
        for i in range(4):
            round_trip(Router(build(f"other{'x' * i}"), threads=2))
        assert pickle.loads(data).embedder is not embedder

    def test_an_embedder_that_was_given_goes_along(self) -> None:
        artifact = build(identity={"dim": 4, "fingerprint": function().fingerprint})
        for own in (function(), CachedEmbedder(function(), 5)):
            router = Router(artifact, embedder=own)
            data = pickle.dumps(router)
            there = pickle.loads(data)
            assert type(there.embedder) is type(own)
            assert said(there.route("hello")) == said(router.route("hello"))
            assert pickle.loads(data).embedder is there.embedder
        named = Router(build(), embedder="static")
        assert round_trip(named).embedder is round_trip(named).embedder

    def test_functions_of_one_name_are_not_taken_for_each_other(self) -> None:
        artifact = build(identity={"dim": 4, "fingerprint": function().fingerprint})
        for power in (1.0, 2.0):
            own = CallableEmbedder(partial(powers, power), name="ones", dim=4)
            there = round_trip(Router(artifact, embedder=own))
            vector = own.embed_one("hello")
            assert there.embedder.embed_one("hello").tobytes() == vector.tobytes()

    def test_a_subclass_keeps_its_class_and_its_attributes(self) -> None:
        router = Named(build(), label="ours")
        vector = np.ones(512, np.float32)
        for there in (round_trip(router), copy.copy(router), copy.deepcopy(router)):
            assert type(there) is Named
            assert (there.label, there.slotted) == ("ours", ["ours"])
            assert said(there.decide(vector)) == said(router.decide(vector))
            assert all(entry.model != "m-0" for entry in there.decide(vector).ranking)
        assert copy.copy(router).slotted is router.slotted
        assert copy.deepcopy(router).slotted is not router.slotted

    def test_a_copy_watches_nothing_and_tells_nobody(self, tmp_path: Path) -> None:
        path = tmp_path / "router.hnv"
        build("old").save(path)
        router = Router.open(path, watch=60.0)
        events: list[object] = []
        router.observe(events.append, on_reload=events.append)
        threads = threading.active_count()
        copies = [round_trip(router), copy.deepcopy(router)]
        assert threading.active_count() == threads
        build("new").save(path)
        for there in copies:
            assert there.route(PROMPTS[0]).model.startswith("old-")
            there.reload()
            assert there.route(PROMPTS[0]).model.startswith("new-")
            there.close()
        assert events == []
        assert router.route(PROMPTS[0]).model.startswith("old-")
        router.close()

    def test_every_attribute_is_sent_or_begun_anew(self) -> None:
        assert set(vars(Router.open())) == OWN_ATTRIBUTES
        assert set(vars(round_trip(Router.open()))) == OWN_ATTRIBUTES

    def test_a_forged_state_is_refused_in_one_line(self) -> None:
        state = Router(build()).__getstate__()
        for name in state:
            for forged in (
                {**state, name: object()},
                {k: v for k, v in state.items() if k != name},
            ):
                if name in ("threads", "device", "cache", "mmap") and name in forged:
                    continue  # as from `Router`, when the embedder is loaded or the file is
                router = Router.__new__(Router)
                with pytest.raises(errors.UnpicklingError, match="pickled router holds: ") as found:
                    router.__setstate__(forged)
                assert "\n" not in str(found.value)


def function() -> CallableEmbedder:
    return CallableEmbedder(ones, name="ones", dim=4)


class TestEmbedders:
    def test_it_is_loaded_where_it_goes_and_once(self) -> None:
        embedder = Embedder.load("static", threads=2, runtime="onnxruntime")
        data = pickle.dumps(embedder)
        assert len(data) < 400
        assert str(bundled_embedders()["static"].parent).encode() not in data
        there = pickle.loads(data)
        assert there is not embedder
        assert there is pickle.loads(data)
        assert there.fingerprint == embedder.fingerprint
        session = there._backend._model._session
        assert session.get_session_options().intra_op_num_threads == 2
        vectors = embedder.embed(PROMPTS)
        assert there.embed(PROMPTS).tobytes() == vectors.tobytes()
        assert copy.copy(embedder) is copy.deepcopy(embedder) is embedder
        assert round_trip(Embedder.load("static", threads=1)) is not there

    def test_a_folder_that_changed_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "ours"
        shutil.copytree(bundled_embedders()["static"], folder)
        monkeypatch.chdir(tmp_path)
        data = pickle.dumps(Embedder.load("./ours"))
        assert str(folder).encode() in data  # absolute: the other process may be elsewhere
        settings_file = folder / "embedder.json"
        values = json.loads(settings_file.read_text())
        settings_file.write_text(json.dumps({**values, "name": "theirs"}))
        with pytest.raises(errors.EmbedderMismatchError, match=r"static \(.*holds theirs \("):
            pickle.loads(data)
        (folder / "model.onnx").write_bytes(b"cut")
        with pytest.raises(errors.EmbedderError, match="sha256"):
            pickle.loads(data)
        shutil.rmtree(folder)
        with pytest.raises(errors.NotFoundError):
            pickle.loads(data)

    def test_one_that_is_not_bundled_there_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = pickle.dumps(Embedder.load("static", threads=3))
        monkeypatch.setattr("hypernova.embedder.files.BUNDLED_FOLDER", tmp_path)
        with pytest.raises(errors.EmbedderMismatchError, match="static"):
            pickle.loads(data)

    def test_a_cache_goes_empty(self) -> None:
        cached = CachedEmbedder(Embedder.load("static"), 10)
        cached.embed_one(PROMPTS[0])
        for there in (round_trip(cached), copy.deepcopy(cached), copy.copy(cached)):
            assert there.cache_info() == (0, 0, 10, 0)
            assert there.embed_one(PROMPTS[0]).tobytes() == cached.embed_one(PROMPTS[0]).tobytes()
        assert copy.deepcopy(cached).embedder is cached.embedder

    def test_a_function_goes_by_its_name(self) -> None:
        there = round_trip(function())
        assert there.fingerprint == function().fingerprint
        assert there._function is ones
        nameless = CallableEmbedder(lambda texts: ones(texts), name="ones", dim=4)
        with pytest.raises((pickle.PicklingError, AttributeError), match="lambda") as found:
            pickle.dumps(nameless)
        assert "\n" not in str(found.value)


class TestEverythingElse:
    def test_public_objects_pickle_and_copy(self, tmp_path: Path) -> None:
        table = hypernova.OutcomeTable.from_arrays(
            task_ids=["a", "b"],
            prompts=["one", "two"],
            models=["m", "n"],
            score=np.array([[0.0, 1.0], [1.0, 0.5]]),
        )
        rng = np.random.default_rng(0)
        artifact, outcomes = fitted()
        addition = hypernova.add_model(artifact, scored(rng, 8))
        with hypernova.OutcomeLog(tmp_path / "used") as log:
            log.record_outcome(
                log.record_decision(hypernova.Router(artifact).decide(outcomes.embedding[0])), 1.0
            )
        recalibration = hypernova.recalibrate(artifact, tmp_path / "used")
        table.save(tmp_path / "table.jsonl")
        things: dict[str, Any] = {
            "OutcomeTable": table,
            "ScannedTable": hypernova.OutcomeTable.scan(tmp_path / "table.jsonl"),
            "Proposal": hypernova.Proposal(index=1, cluster=2, gain=0.5),
            "Report": hypernova.evaluate(two_kinds(rng, 40)[0], folds=2, repeats=1, jobs=1),
            "Addition": addition,
            "AddedModel": addition.models[0],
            "Recalibration": recalibration,
            "ModelChange": recalibration.models[0],
            "Artifact": build(),
            "Router": Router.open(),
            "Decision": Router.open().route("hello"),
            "Decisions": build().decide_many(np.ones((2, 512), np.float32)),
            "RankingEntry": Router.open().route("hello").ranking[0],
            "Embedder": Embedder.load("static"),
            "CallableEmbedder": function(),
            "CachedEmbedder": CachedEmbedder(function(), 3),
            "OutcomeLog": hypernova.OutcomeLog(tmp_path / "log"),
            "ArtifactDiff": hypernova.diff(artifact, recalibration.artifact),
            "MonitorReport": hypernova.monitor(artifact, tmp_path / "used"),
        }
        public = {n for n in hypernova.__all__ if inspect.isclass(getattr(hypernova, n))}
        # A base class, and two types of dict.
        not_instances = {"HypernovaError", "RouteOptions", "BatchRouteOptions"}
        assert set(things) == public - not_instances
        for thing in things.values():
            for there in (round_trip(thing), copy.copy(thing), copy.deepcopy(thing)):
                assert type(there) is type(thing)
                assert repr(there) == repr(thing)

    @pytest.mark.parametrize(
        "kind", [c for c in vars(errors).values() if inspect.isclass(c)], ids=lambda c: c.__name__
    )
    def test_errors_keep_their_class_and_message(self, kind: type[Exception]) -> None:
        there = round_trip(kind("task 3: what was wrong"))
        assert type(there) is kind
        assert str(there) == "task 3: what was wrong"

    def test_logs_that_are_unpickled_write_one_file_in_a_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        log = hypernova.OutcomeLog("outcomes", fsync="always")
        assert copy.deepcopy(log) is log
        data = pickle.dumps(log)
        monkeypatch.chdir("/")
        decision = round_trip(Router.open().route("hello"))
        for score in (None, 0.5):
            there = pickle.loads(data)
            assert there is not log
            if score is None:
                there.record_decision(decision)
            else:
                there.record_outcome(decision, score)
            del there
        assert len(list((tmp_path / "outcomes").iterdir())) == 1
        [(decided, outcome)] = hypernova.read_log(tmp_path / "outcomes")
        assert (decided.id, outcome.score) == (decision.id, 0.5)
        pickle.loads(data).close()
        pickle.loads(data).record_decision(decision)  # a new one: the other was closed
        log.close()
        with pytest.raises(errors.OutcomeLogError, match="closed"):
            round_trip(log).record_decision(decision)

    def test_a_log_that_is_dropped_leaves_no_file_open(self, tmp_path: Path) -> None:
        def descriptors() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        before = descriptors()
        for _ in range(3):
            hypernova.OutcomeLog(tmp_path).record_decision(Router.open().route("hello"))
        assert descriptors() == before


@pytest.fixture(scope="module", params=["fork", "spawn", "forkserver"])
def pool(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context(request.param)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        yield executor


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # of fork, from 3.12 on
@pytest.mark.slow
class TestPools:
    @pytest.mark.parametrize("source", ["bundled", "file", "memory"])
    def test_a_pool_maps_route(
        self, pool: ProcessPoolExecutor, source: str, tmp_path: Path
    ) -> None:
        build().save(tmp_path / "router.hnv")
        router = {
            "bundled": Router.open,
            "file": lambda: Router.open(tmp_path / "router.hnv"),
            "memory": lambda: Router(build("memory")),
        }[source]()
        expected = [router.route(prompt) for prompt in PROMPTS]
        found = list(pool.map(router.route, PROMPTS, chunksize=3))
        assert [said(d) for d in found] == [said(d) for d in expected]
        assert len({d.id for d in found + expected}) == 2 * len(PROMPTS)
        failed = found[0].model
        assert said(found[0].after_failure(failed)) == said(expected[0].after_failure(failed))
        parts = [PROMPTS[:5], PROMPTS[5:]]
        for batch, part in zip(pool.map(router.route_many, parts), parts, strict=True):
            assert [said(d) for d in batch] == [said(d) for d in router.route_many(part)]

    def test_a_worker_loads_the_embedder_once_for_all_tasks(
        self, pool: ProcessPoolExecutor
    ) -> None:
        router = Router(build("once"))
        ran = list(pool.map(partial(where, router), PROMPTS))  # each prompt a task
        embedders: dict[int, set[int]] = {}
        for process, embedder, _ in ran:
            embedders.setdefault(process, set()).add(embedder)
        assert os.getpid() not in embedders
        assert all(len(of_one) == 1 for of_one in embedders.values())
        assert [model for _, _, model in ran] == [d.model for d in router.route_many(PROMPTS)]

    def test_a_forked_child_is_not_held_up_by_models_that_its_parent_unpickled(self) -> None:
        data = pickle.dumps(Router(build("forked"), embedder="static", threads=2))
        there = pickle.loads(data)
        expected = there.route(PROMPTS[0]).model  # with threads that a child does not have
        del there
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        child = context.Process(target=answer, args=(data, PROMPTS[0], answers))
        child.start()
        child.join(60)
        try:
            assert child.exitcode == 0
            assert answers.get() == expected
        finally:
            child.kill()

    def test_batches_of_vectors_and_errors_come_back(self, pool: ProcessPoolExecutor) -> None:
        artifact = build(offsets=np.zeros(3, np.float32), slopes=np.ones((3, 512), np.float32))
        router = Router(artifact)
        matrix = np.random.default_rng(2).normal(size=(8, 512)).astype(np.float32)
        found = list(pool.map(router.decide_many, [matrix[:4], matrix[4:]]))
        expected = router.decide_many(matrix)
        assert [said(d) for batch in found for d in batch] == [said(d) for d in expected]
        with pytest.raises(errors.NoCandidateError, match="max_cost_usd=0"):
            pool.submit(router.route, PROMPTS[0], max_cost_usd=0.0).result()
        with pytest.raises(errors.TextError, match="empty"):
            pool.submit(router.route, " ").result()

    def test_workers_log_into_one_folder(self, pool: ProcessPoolExecutor, tmp_path: Path) -> None:
        log = hypernova.OutcomeLog(tmp_path / "outcomes")
        ran = list(pool.map(partial(log_one, Router(build("logged")), log), PROMPTS))
        with log:
            for _, decided in ran:
                log.record_outcome(decided, 1.0)
        reader = hypernova.read_log(log.folder)
        assert {pair.decision.id for pair in reader} == {decided for _, decided in ran}
        assert not reader.tally.skipped
        files = len(list(log.folder.iterdir()))
        assert files == 1 + len({process for process, _ in ran})
