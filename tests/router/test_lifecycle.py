"""A router is warmed up before the first request, and closed at the end of a block.

Not here: reloading and watching (`test_service.py`), pickling (`test_pickle.py`), and workers that
are forked from a warm router (`test_fork.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hypernova
from hypernova.embedder import Embedder
from hypernova.router import BUNDLED_ARTIFACT

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Join two tables"


def artifact_of(identity: dict[str, Any], **policy: Any) -> hypernova.Artifact:
    """An artifact of one model, which costs 1 USD, with one cluster."""
    one = np.ones((2, 1), np.float32)
    return hypernova.Artifact.build(
        models=["only"],
        centroids=np.eye(1, identity["dim"], dtype=np.float32),
        counts=np.ones((2, 1)),
        mean=one,
        success=one,
        standard_error=one,
        gain_error=one,
        cost=one,
        latency=one,
        novelty=np.array([0, 99], dtype=np.float32),
        embedder=json.dumps(identity),
        metadata="{}",
        default_model=0,
        **policy,
    )


def identity(kind: str) -> dict[str, Any]:
    return {"kind": kind, "name": "theirs", "dim": 4, "fingerprint": "2" * 64}


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hypernova-watch"]


class TestBlock:
    def test_its_end_stops_the_watch_and_the_threads(self, tmp_path: Path) -> None:
        path = tmp_path / "router.hnv"
        hypernova.Artifact.open(BUNDLED_ARTIFACT).save(path)
        program = """
import asyncio, sys, threading, hypernova
def ours():
    return {t.name.rstrip("_0123456789") for t in threading.enumerate() if "hypernova" in t.name}
with hypernova.Router.open(sys.argv[1], watch=0.01) as router:
    decision = asyncio.run(router.aroute("Join two tables"))
    assert ours() == {"hypernova-watch", "hypernova-aroute"}, ours()
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(30)
assert not ours(), ours()
assert router.route("Join two tables").model == decision.model  # still answered
"""
        subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=60)

    def test_an_error_in_it_passes_through_and_closes_too(self, tmp_path: Path) -> None:
        path = tmp_path / "router.hnv"
        artifact_of(identity("vectors")).save(path)
        before = watchers()
        threads: list[threading.Thread] = []

        def fail() -> None:
            with hypernova.Router.open(path, watch=0.01):
                threads.extend(set(watchers()) - set(before))
                raise RuntimeError("the block's own")

        with pytest.raises(RuntimeError, match="the block's own"):
            fail()
        (thread,) = threads
        thread.join(30)
        assert not thread.is_alive()

    def test_a_subclass_is_itself_in_it(self) -> None:
        class Mine(hypernova.Router):
            pass

        with Mine.open() as router:
            assert type(router) is Mine


class TestWarmUp:
    @pytest.mark.slow
    @pytest.mark.parametrize("embedder", ["static", "minilm"])
    def test_the_first_request_loads_nothing_more(self, embedder: str, tmp_path: Path) -> None:
        loaded = Embedder.load(embedder)
        path = tmp_path / "router.hnv"
        artifact_of({"kind": "text", **loaded.identity, "fingerprint": loaded.fingerprint}).save(
            path
        )
        program = """
import sys, hypernova
router = hypernova.Router.open(sys.argv[1])
assert "onnxruntime" not in sys.modules
assert router.warm_up() is None
before, embedder = set(sys.modules), router._serving.loaded
assert embedder is not None
router.route("Join two tables")
router.route_many(["Join two tables"])
assert router.embedder is embedder
assert set(sys.modules) == before, set(sys.modules) - before
"""
        subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=60)

    def test_neither_observers_nor_the_cache_see_it(self) -> None:
        events: list[object] = []
        with hypernova.Router.open(cache=10) as router:
            router.observe(events.append, on_reload=events.append)
            router.warm_up()
            assert events == []
            assert router.cache_info() == (0, 0, 10, 0)

    @pytest.mark.parametrize("kind", ["vectors", "text"])
    def test_a_router_without_an_embedder_decides_for_a_vector(self, kind: str) -> None:
        router = hypernova.Router(artifact_of(identity(kind)))
        router.warm_up()
        assert router._serving.loaded is None
        assert router.decide(np.ones(4, np.float32)).model == "only"

    @pytest.mark.parametrize("embedded", [True, False])
    def test_limits_that_leave_no_model_are_no_error(self, embedded: bool) -> None:
        def ones(texts: list[str]) -> np.ndarray:
            return np.ones((len(texts), 4))

        ours = hypernova.CallableEmbedder(ones, name="ours", dim=4)
        identity_ = {"kind": "text", **ours.identity, "fingerprint": ours.fingerprint}
        artifact = artifact_of(identity_, max_cost_usd=0.5)
        router = hypernova.Router(artifact, embedder=ours if embedded else None)
        router.warm_up()
        with pytest.raises(hypernova.errors.NoCandidateError):
            router.decide(np.ones(4, np.float32))

    def test_a_function_is_called_once_and_its_error_passes_through(self) -> None:
        calls: list[list[str]] = []

        def embed(texts: list[str]) -> np.ndarray:
            calls.append(texts)
            if len(calls) > 1:
                raise ConnectionError("the service is down")
            return np.ones((len(texts), 4))

        ours = hypernova.CallableEmbedder(embed, name="ours", dim=4)
        identity_ = {"kind": "text", **ours.identity, "fingerprint": ours.fingerprint}
        router = hypernova.Router(artifact_of(identity_), embedder=ours, cache=5)
        router.warm_up()
        assert [len(texts) for texts in calls] == [1]
        with pytest.raises(ConnectionError, match="the service is down"):
            router.warm_up()

    def test_threads_that_warm_up_and_route_share_one_embedder(self) -> None:
        router = hypernova.Router.open()
        barrier = threading.Barrier(16)

        def work(i: int) -> int:
            barrier.wait()
            if i % 2:
                router.warm_up()
            else:
                router.route(TEXT)
            return id(router.embedder)

        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(work, range(16)))) == 1
