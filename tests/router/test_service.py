"""A router in a service: a free loop, new artifacts, fallbacks, novelty, exploring."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import pickle
import queue
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import hypernova
from hypernova import errors
from hypernova.embedder import Embedder, files
from hypernova.router.watch import Watch, file_state

TEXTS = [
    f"Task {i}: sort the list of {name}"
    for i, name in enumerate(["customers", "orders", "names"] * 8)
]


@pytest.fixture(scope="module")
def static() -> Embedder:
    return Embedder.load("static")


def artifact_of(name: str, embedder: hypernova.Embedder, seed: int) -> hypernova.Artifact:
    """Random, its three models named after ``name``."""
    rng = np.random.default_rng(seed)
    identity = {"kind": "text", "name": embedder.name, "dim": embedder.dim}
    identity["fingerprint"] = embedder.fingerprint

    def profile() -> np.ndarray:
        return rng.random((7, 3)).astype(np.float32)

    return hypernova.Artifact.build(
        models=[f"{name}-{i}" for i in range(3)],
        centroids=rng.normal(size=(6, embedder.dim)).astype(np.float32),
        counts=np.ones((7, 3)),
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
    )


VECTORS = {"kind": "vectors", "name": "a column", "dim": 4, "fingerprint": "2" * 64}


def of_identity(identity: dict[str, object], name: str = "old") -> hypernova.Artifact:
    """One model, which an embedder of that identity leads to."""
    one = np.ones((2, 1), np.float32)
    dim = identity["dim"]
    assert isinstance(dim, int)
    return hypernova.Artifact.build(
        models=[f"{name}-0"],
        centroids=np.ones((1, dim), np.float32),
        counts=one.astype(np.float64),
        **dict.fromkeys(["mean", "success", "standard_error", "gain_error", "cost"], one),
        latency=one,
        novelty=np.array([0, 99], dtype=np.float32),
        embedder=json.dumps(identity),
        metadata="{}",
        default_model=0,
    )


def seen(decision: hypernova.Decision) -> tuple[object, ...]:
    return decision.model, decision.cluster, decision.distance, decision.reason, decision.artifact


class TestAsync:
    def test_tasks_threads_and_calls_decide_alike(self) -> None:
        router = hypernova.Router.open()
        alone = [seen(router.route(text, cost_weight=0.1)) for text in TEXTS]

        async def tasks() -> list[hypernova.Decision]:
            return await asyncio.gather(*(router.aroute(t, cost_weight=0.1) for t in TEXTS))

        with ThreadPoolExecutor(4) as pool:
            from_threads = pool.map(lambda t: router.route(t, cost_weight=0.1), TEXTS)
            from_tasks = asyncio.run(tasks())
            assert [seen(d) for d in from_threads] == alone
        assert [seen(d) for d in from_tasks] == alone
        router.close()
        assert asyncio.run(tasks())[0].model == alone[0][0], "it serves on after close"

    def test_the_loop_goes_on_while_a_text_is_embedded(self) -> None:
        """The embedder waits for the loop: were the loop waiting for it, none would end."""
        go = threading.Event()

        def embed(texts: list[str]) -> np.ndarray:
            assert go.wait(30), "the event loop stood still"
            return np.ones((len(texts), 4))

        ours = hypernova.CallableEmbedder(embed, name="waits", dim=4)
        router = hypernova.Router(artifact_of("m", ours, 0), embedder=ours)

        async def main() -> hypernova.Decision:
            waiting = asyncio.ensure_future(router.aroute("Sort a list"))
            await asyncio.sleep(0.01)
            assert not waiting.done()
            go.set()
            return await waiting

        assert asyncio.run(main()).model.startswith("m-")
        router.close()

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_forked_child_has_threads_of_its_own(self) -> None:
        router = hypernova.Router.open()
        expected = asyncio.run(router.aroute(TEXTS[0])).model
        child = os.fork()
        if child == 0:
            found = asyncio.run(asyncio.wait_for(router.aroute(TEXTS[0]), 30)).model
            os._exit(int(found != expected))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        router.close()

    def test_errors_reach_the_task(self) -> None:
        router = hypernova.Router.open()
        with pytest.raises(errors.TextError):
            asyncio.run(router.aroute(" "))
        with pytest.raises(errors.MessagesError):
            asyncio.run(router.aroute(messages=[]))
        router.close()


class TestReload:
    def test_another_file_takes_over(self, tmp_path, static, caplog) -> None:
        path = tmp_path / "router.hnv"
        artifact_of("old", static, 1).save(path)
        router = hypernova.Router.open(path, cache=100)
        before = router.route(TEXTS[0])
        assert before.model.startswith("old-")
        embedder = router.embedder
        artifact_of("new", static, 2).save(path)
        assert router.route(TEXTS[0]).model.startswith("old-"), "an open artifact does not change"
        with caplog.at_level(logging.INFO, "hypernova"):
            taken = router.reload()
        assert taken.sha256 == router.artifact.sha256 != before.artifact
        assert "reloaded" in caplog.text
        after = router.route(TEXTS[0])
        assert after.model.startswith("new-")
        assert after.artifact == taken.sha256
        assert router.embedder is embedder, "the same embedder is not loaded again"
        assert router.decide(embedder.embed_one(TEXTS[0])).model == after.model
        # A decision keeps the artifact that made it.
        assert {e.model for e in before.ranking} == {"old-0", "old-1", "old-2"}

    def test_a_bad_file_is_refused_and_the_old_one_goes_on(self, tmp_path, static, caplog) -> None:
        path = tmp_path / "router.hnv"
        artifact_of("old", static, 1).save(path)
        router = hypernova.Router.open(path)
        expected = seen(router.route(TEXTS[0]))
        whole = path.read_bytes()
        other = hypernova.CallableEmbedder(lambda t: np.ones((len(t), 4)), name="other", dim=4)
        bad = {
            "cut": whole[:-7],
            "flipped": whole[:300] + bytes([whole[300] ^ 1]) + whole[301:],
            "empty": b"",
            "of another embedder": artifact_of("new", other, 2).to_bytes(),
        }
        for what, data in bad.items():
            broken = tmp_path / f"{what}.hnv"
            broken.write_bytes(data)
            caplog.clear()
            with pytest.raises((errors.ArtifactError, errors.EmbedderMismatchError)):
                router.reload(broken)
            assert "not reloaded, going on with" in caplog.text
            assert seen(router.route(TEXTS[0])) == expected, what
        with pytest.raises(errors.NotFoundError):
            router.reload(tmp_path / "none.hnv")
        assert seen(router.route(TEXTS[0])) == expected

    def test_an_artifact_of_no_file_wants_a_path(self, tmp_path, static) -> None:
        router = hypernova.Router(artifact_of("old", static, 1), embedder=static)
        with pytest.raises(ValueError, match="takes a path"):
            router.reload()
        artifact_of("new", static, 2).save(tmp_path / "new.hnv")
        router.reload(tmp_path / "new.hnv")
        assert router.route(TEXTS[0]).model.startswith("new-")

    def test_another_bundled_embedder_is_loaded_before_it_takes_over(
        self, tmp_path, static
    ) -> None:
        minilm = Embedder.load("minilm")
        artifact_of("a", static, 1).save(tmp_path / "a.hnv")
        artifact_of("b", minilm, 2).save(tmp_path / "b.hnv")
        router = hypernova.Router.open(tmp_path / "a.hnv")
        router.route(TEXTS[0])
        router.reload(tmp_path / "b.hnv")
        assert router._serving.loaded is not None
        assert router.embedder.name == "minilm"
        assert router.route(TEXTS[0]).model.startswith("b-")
        given = hypernova.Router.open(tmp_path / "a.hnv", embedder=static)
        with pytest.raises(errors.EmbedderMismatchError):
            given.reload(tmp_path / "b.hnv")

    @pytest.mark.slow
    @pytest.mark.parametrize("routed", [False, True])
    def test_an_embedder_that_is_not_available_is_refused_before_any_text_too(
        self, tmp_path, static, routed
    ) -> None:
        ours = hypernova.CallableEmbedder(lambda t: np.ones((len(t), 4)), name="ours", dim=4)
        artifact_of("old", static, 1).save(tmp_path / "old.hnv")
        new = {
            "ours": artifact_of("new", ours, 2),
            "other": of_identity({"kind": "text", "name": "o", "dim": 4, "fingerprint": "0" * 64}),
            "vectors": of_identity(VECTORS),
        }
        for name, artifact in new.items():
            artifact.save(tmp_path / "new.hnv")
            router = hypernova.Router.open(tmp_path / "old.hnv")
            if routed:
                router.route(TEXTS[0])
            with pytest.raises(errors.EmbedderMismatchError):
                router.reload(tmp_path / "new.hnv")
            assert router.route(TEXTS[0]).model.startswith("old-"), name
            given = hypernova.Router.open(tmp_path / "old.hnv", embedder=static)
            with pytest.raises(errors.EmbedderMismatchError):
                given.reload(tmp_path / "new.hnv")

    def test_a_bundled_embedder_is_checked_and_not_loaded_before_any_text(
        self, tmp_path, static, monkeypatch
    ) -> None:
        minilm = Embedder.load("minilm")
        artifact_of("old", static, 1).save(tmp_path / "old.hnv")
        artifact_of("new", minilm, 2).save(tmp_path / "new.hnv")
        router = hypernova.Router.open(tmp_path / "old.hnv")
        router.reload(tmp_path / "new.hnv")
        assert router._serving.loaded is None
        assert router.route(TEXTS[0]).model.startswith("new-")

        # The same in an installation whose minilm is damaged.
        bundled = tmp_path / "bundled"
        shutil.copytree(files.BUNDLED_FOLDER, bundled)
        for damage in (b"cut", None):
            model = bundled / "minilm" / "model.onnx"
            model.unlink() if damage is None else model.write_bytes(damage)
            monkeypatch.setattr(files, "BUNDLED_FOLDER", bundled)
            router = hypernova.Router.open(tmp_path / "old.hnv")
            with pytest.raises(errors.EmbedderError, match=r"model\.onnx"):
                router.reload(tmp_path / "new.hnv")
            assert router._serving.loaded is None
            assert router.route(TEXTS[0]).model.startswith("old-")

    def test_a_router_of_vectors_takes_artifacts_of_the_same_vectors_alone(
        self, tmp_path, static
    ) -> None:
        path = tmp_path / "router.hnv"
        theirs = {"kind": "text", "name": "theirs", "dim": 4, "fingerprint": "1" * 64}
        vector = np.ones(4, np.float32)

        def taken(old: dict[str, object], new: hypernova.Artifact) -> bool:
            of_identity(old).save(path)
            router = hypernova.Router.open(path)
            before = router.decide(vector)
            new.save(path)
            try:
                router.reload()
            except errors.EmbedderMismatchError:
                assert seen(router.decide(vector)) == seen(before)
                return False
            assert router.decide(vector).model.startswith("new")
            return True

        assert taken(VECTORS, of_identity(VECTORS, "new"))
        assert taken(VECTORS, of_identity(VECTORS | {"name": "w", "fingerprint": "3" * 64}, "new"))
        assert taken(theirs, of_identity(theirs, "new"))  # an embedder that only the caller has
        assert not taken(VECTORS, of_identity(VECTORS | {"dim": 5}, "new"))
        assert not taken(VECTORS, of_identity(theirs, "new"))
        assert not taken(VECTORS, artifact_of("new", static, 2))
        assert not taken(theirs, of_identity(theirs | {"fingerprint": "4" * 64}, "new"))
        assert not taken(theirs, artifact_of("new", static, 2))
        assert not taken(theirs, of_identity(VECTORS, "new"))

    def test_a_watched_file_whose_embedder_is_not_available_is_not_taken(
        self, tmp_path, static
    ) -> None:
        path = tmp_path / "router.hnv"
        artifact_of("old", static, 1).save(path)
        router = hypernova.Router.open(path, watch=0.01)
        events: queue.Queue[hypernova.events.ReloadEvent] = queue.Queue()
        router.observe(on_reload=events.put)
        of_identity(VECTORS).save(path)
        assert "vectors only" in str(events.get(timeout=30).refused)
        assert router.route(TEXTS[0]).model.startswith("old-")
        router.close()

    def test_a_router_is_opened_without_its_embedder(self, tmp_path) -> None:
        """A router of vectors needs none; text says what is missing."""
        for artifact in (of_identity(VECTORS), of_identity(VECTORS | {"kind": "text"})):
            artifact.save(tmp_path / "router.hnv")
            router = hypernova.Router.open(tmp_path / "router.hnv")
            assert router.decide(np.ones(4, np.float32)).model == "old-0"
            with pytest.raises(errors.EmbedderMismatchError):
                router.route(TEXTS[0])

    @pytest.mark.slow
    def test_requests_of_16_threads_never_see_a_mix_of_two(self, tmp_path, static) -> None:
        """100 swaps, every fourth of them corrupt, under requests of all kinds."""
        path = tmp_path / "router.hnv"
        made = {name: artifact_of(name, static, seed) for seed, name in enumerate("abc")}
        vectors = static.embed(TEXTS)
        # What each artifact says, alone.
        expected = {
            artifact.sha256: {
                text: seen(artifact.decide(vector))
                for text, vector in zip(TEXTS, vectors, strict=True)
            }
            for artifact in made.values()
        }
        assert len(expected) == 3
        files = {name: artifact.to_bytes() for name, artifact in made.items()}
        made["a"].save(path)
        router = hypernova.Router.open(path, mmap=True)
        router.route(TEXTS[0])
        del made
        done, failures, counts = threading.Event(), [], Counter()

        def check(text: str, decision: hypernova.Decision) -> None:
            if seen(decision) != expected[decision.artifact][text]:
                failures.append((text, seen(decision)))
            prefix = decision.model[0]
            if any(not e.model.startswith(prefix) for e in decision.ranking):
                failures.append((text, decision.ranking))
            counts[prefix] += 1

        def requests(worker: int) -> None:
            at = worker
            try:
                while not done.is_set():
                    at += 1
                    text = TEXTS[at % len(TEXTS)]
                    if at % 5 == 0:
                        some = TEXTS[:3]
                        for each, decision in zip(some, router.route_many(some), strict=True):
                            check(each, decision)
                    elif at % 5 == 1:
                        check(text, router.decide(vectors[TEXTS.index(text)]))
                    else:
                        check(text, router.route(text))
            except Exception as error:  # a request that fails is what must not be
                failures.append(error)

        threads = [threading.Thread(target=requests, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        swapped = refused = 0
        for i in range(100):
            data = files["abc"[i % 3]]
            corrupt = i % 4 == 3
            beside = tmp_path / "beside"
            beside.write_bytes(data[: len(data) - 1 - i] if corrupt else data)
            beside.rename(path)
            try:
                router.reload()
                swapped += 1
            except errors.ArtifactError:
                refused += 1
        done.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert (swapped, refused) == (75, 25)
        assert set(counts) == {"a", "b", "c"}
        if Path("/proc/self/maps").exists():
            gc.collect()
            mapped = [m for m in Path("/proc/self/maps").read_text().splitlines() if str(path) in m]
            assert len(mapped) <= 1, "only the last file is still mapped"


class TestWatch:
    def test_a_replaced_file_is_taken(self, tmp_path, static) -> None:
        path = tmp_path / "router.hnv"
        artifact_of("old", static, 1).save(path)
        router = hypernova.Router.open(path, watch=0.01)
        old, deadline = router.artifact.sha256, time.monotonic() + 30

        def until(sha256: str) -> None:
            while router.artifact.sha256 != sha256:
                assert time.monotonic() < deadline, "the new file was not taken"
                time.sleep(0.005)

        # First one that is refused, and then one that is not.
        (tmp_path / "bad").write_bytes(path.read_bytes()[:-9])
        (tmp_path / "bad").rename(path)
        time.sleep(0.1)
        assert router.artifact.sha256 == old
        path.unlink()
        new = artifact_of("new", static, 2)
        new.save(path)
        until(new.sha256)
        router.close()
        artifact_of("newer", static, 3).save(path)
        time.sleep(0.1)
        assert router.artifact.sha256 == new.sha256, "a closed router looks no more"

    def test_it_takes_the_file_that_it_watches(self, tmp_path, static) -> None:
        path, other = tmp_path / "router.hnv", tmp_path / "other.hnv"
        artifact_of("old", static, 1).save(path)
        artifact_of("other", static, 2).save(other)
        router = hypernova.Router.open(path, watch=0.01)
        router.reload(other)
        new = artifact_of("new", static, 3)
        new.save(path)
        deadline = time.monotonic() + 30
        while router.artifact.sha256 != new.sha256:
            assert time.monotonic() < deadline, "another file was taken, or none"
            time.sleep(0.005)
        router.close()

    def test_a_file_that_replaces_it_while_it_is_opened_is_taken(self, tmp_path, static) -> None:
        path = tmp_path / "router.hnv"
        artifact_of("old", static, 1).save(path)
        router = hypernova.Router.open(path)
        seen = file_state(path)
        new = artifact_of("new", static, 2)
        new.save(path)
        watch = Watch(router, path, 0.01, seen)
        deadline = time.monotonic() + 30
        while router.artifact.sha256 != new.sha256:
            assert time.monotonic() < deadline, "the file was taken for the one that was read"
            time.sleep(0.005)
        watch.stop()

    @pytest.mark.slow
    def test_watching_keeps_no_router_alive(self, tmp_path, static) -> None:
        path = tmp_path / "router.hnv"
        artifact_of("old", static, 1).save(path)
        router = hypernova.Router.open(path, watch=0.01)
        thread = next(t for t in threading.enumerate() if t.name == "hypernova-watch")
        del router
        gc.collect()
        thread.join(30)
        assert not thread.is_alive()

    @pytest.mark.parametrize("watch", [-1, float("nan"), float("inf")])
    def test_a_watch_interval_that_is_no_time_is_refused(self, tmp_path, static, watch) -> None:
        path = tmp_path / "router.hnv"
        artifact_of("old", static, 1).save(path)
        with pytest.raises(ValueError, match="expected True or seconds above 0"):
            hypernova.Router.open(path, watch=watch)

    def test_the_bundled_artifact_is_not_watched(self) -> None:
        with pytest.raises(ValueError, match="takes a path"):
            hypernova.Router.open(watch=True)


class TestFallbacks:
    def test_they_follow_the_ranking_under_the_same_limits(self) -> None:
        router = hypernova.Router.open()
        decision = router.route(TEXTS[0], max_cost_usd=0.3, deny=[router.artifact.models[0]])
        expected, tried = [entry.model for entry in decision.ranking], [decision.model]
        while True:
            try:
                decision = decision.after_failure(decision.model)
            except errors.NoCandidateError:
                break
            assert decision.reason == "fallback"
            assert decision.ranking[0].model == decision.model
            tried.append(decision.model)
        assert tried == expected
        assert len(expected) > 3
        with pytest.raises(errors.UnknownModelError, match="after_failure names"):
            router.route(TEXTS[0]).after_failure("gpt-9")

    @pytest.mark.parametrize("pickled", [False, True])
    def test_attempts_are_the_decision_and_those_after_failures(self, pickled: bool) -> None:
        router = hypernova.Router.open()
        decision = router.route(TEXTS[0], max_cost_usd=0.3)
        given = pickle.loads(pickle.dumps(decision)) if pickled else decision
        first, *others = given.attempts()
        assert first is given
        assert [one.model for one in (first, *others)] == [e.model for e in decision.ranking]
        assert {one.reason for one in others} == {"fallback"}
        assert len({one.id for one in (first, *others)}) == 1 + len(others) > 3
        last = others[-1]
        assert list(last.attempts()) == [last]

    def test_attempts_end_and_stay_ended(self) -> None:
        router = hypernova.Router.open()
        attempts = router.route(TEXTS[0], allow=router.artifact.models[:2]).attempts()
        assert iter(attempts) is attempts
        assert len(list(attempts)) == 2
        assert list(attempts) == []
        twice = router.route(TEXTS[0])
        assert next(twice.attempts()) is next(twice.attempts())

    def test_batches_have_them_too(self) -> None:
        router = hypernova.Router.open()
        one, many = router.route(TEXTS[0]), router.route_many(TEXTS[:3])[0]
        assert one.after_failure(one.model).model == many.after_failure(many.model).model


class TestIds:
    def test_no_two_decisions_share_one(self) -> None:
        router = hypernova.Router.open()
        vector = router.embedder.embed_one(TEXTS[0])

        def ids(_: int) -> list[str]:
            return [router.decide(vector).id for _ in range(500)]

        with ThreadPoolExecutor(8) as pool:
            found = [i for part in pool.map(ids, range(8)) for i in part]
        assert len(set(found)) == 4000
        decision = router.decide(vector)
        assert decision.id == decision.id
        assert len(decision.id) == 32
        assert int(decision.id, 16) >= 0
        assert decision.after_failure(decision.model).id != decision.id

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_forked_child_gives_others(self) -> None:
        artifact = hypernova.Router.open().artifact
        vector = artifact.centroids[0]
        assert artifact.decide(vector).id  # the parent has its random number
        pipes = []
        for _ in range(3):
            read, write = os.pipe()
            child = os.fork()
            if child == 0:
                lines = "\n".join(artifact.decide(vector).id for _ in range(20))
                os.write(write, lines.encode())
                os._exit(0)
            os.close(write)
            pipes.append((read, child))
        found = [artifact.decide(vector).id for _ in range(20)]
        for read, child in pipes:
            with os.fdopen(read) as file:
                found += file.read().split()
            assert os.waitpid(child, 0)[1] == 0
        assert len(set(found)) == len(found) == 80


class TestExplore:
    def test_a_drawn_decision_has_its_reason_and_propensity(self) -> None:
        router = hypernova.Router.open()
        decisions = router.route_many(TEXTS * 20, explore=0.5, explore_seed=3)
        plain = {text: router.route(text).model for text in TEXTS}
        k = len(router.artifact.models)
        for text, decision in zip(TEXTS * 20, decisions, strict=True):
            first = decision.model == plain[text]
            assert decision.propensity == pytest.approx(0.5 / k + 0.5 * first)
            assert (decision.reason == "explored") == (not first)
            assert decision.ranking[0].model == decision.model
        assert len({d.model for d in decisions}) == k
        again = router.route_many(TEXTS * 20, explore=0.5, explore_seed=3)
        assert [d.model for d in again] == [d.model for d in decisions]
        assert router.route(TEXTS[0]).propensity == 1.0
        fresh = [tuple(d.model for d in router.route_many(TEXTS, explore=1.0)) for _ in range(3)]
        assert len(set(fresh)) == 3

    @pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
    def test_a_rate_is_a_chance(self, rate) -> None:
        with pytest.raises(errors.PolicyError, match=r"explore is .*; it must be a number from 0"):
            hypernova.Router.open().route(TEXTS[0], explore=rate)


PROSE = [
    "The old harbour lay quiet under the evening light, and the fishermen mended their nets.",
    "What should I cook for dinner tonight with chicken and rice?",
    "Summarise the history of the Roman empire",
    "Der alte Hafen lag still im Abendlicht, und die Fischer flickten ihre Netze.",
    "Écris un poème sur l'automne",
    "老港口在傍晚的光线下安静无声",
    "كان الميناء القديم هادئا تحت ضوء المساء",
]
# With a body, as those of the table have: a title alone may be unlike them.
ISSUES = [
    "TypeError in DataFrame.groupby when the key column holds NaN\n"
    "A groupby over a column of strings with one NaN fails since 2.1:\n\n"
    "    df.groupby('key').sum()\n    TypeError: '<' not supported between 'float' and 'str'\n",
    "QuerySet.union() drops the ordering of the second query\n"
    "With two ordered querysets, qs1.union(qs2.order_by('name')) returns the rows of qs2 in no "
    "order. The SQL has no ORDER BY in the second SELECT.",
    "ImportError: cannot import name 'foo' from 'bar' after upgrading to 3.2\nTo reproduce:\n\n"
    "    >>> from bar import foo\n    ImportError: cannot import name 'foo' from 'bar'\n",
    "matplotlib: legend handles are duplicated when twinx() is used\n\n"
    "    ax2 = ax.twinx()\n    fig.legend()\n\nshows each handle twice; expected once.",
]


class TestNovelty:
    def test_prose_is_novel_to_an_artifact_of_coding_tasks(self) -> None:
        router = hypernova.Router.open()
        for text in PROSE:
            decision = router.route(text)
            assert decision.reason == "default_novel", text
            overall = router.route(text, on_novel="best_overall")
            assert overall.reason == "best_overall"
            utility = [entry.utility for entry in overall.ranking]
            assert utility == sorted(utility, reverse=True)
            with pytest.raises(errors.NovelPromptError, match=r"is novel: 9\d|is novel: 100"):
                router.route(text, on_novel="error")
        for text in ISSUES:
            decision = router.route(text, on_novel="error")
            assert decision.reason != "default_novel"
            assert decision.novelty <= 0.99

    def test_an_unknown_answer_is_refused(self) -> None:
        with pytest.raises(errors.PolicyError, match='on_novel is "ask"; it must be "default"'):
            hypernova.Router.open().route(TEXTS[0], on_novel="ask")

    def test_other_kinds_of_prompt_are_flagged_and_code_is_not(self, shared: Path) -> None:
        table = hypernova.OutcomeTable.read(shared / "data" / "llmrouter_mixed")
        router = hypernova.Router.open()
        novel = {}
        for group in ("trivia_qa", "gsm8k", "commongen", "mbpp", "human_eval"):
            prompts = [
                p for p, g in zip(table.prompts, table.groups or (), strict=True) if g == group
            ]
            decided = router.route_many(prompts[:100])
            novel[group] = np.mean([d.reason == "default_novel" for d in decided])
        assert min(novel["trivia_qa"], novel["gsm8k"], novel["commongen"]) >= 0.9
        assert max(novel["mbpp"], novel["human_eval"]) <= 0.3
