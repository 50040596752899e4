"""Long batches and single requests on few threads: whose turn it is, and when a batch ends.

Not here: how many requests may wait (`test_serve_limits.py`).
"""

from __future__ import annotations

import itertools
import json
import socket
import statistics
import threading
import time
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

import hypernova
from hypernova.integrations.server.http.threads import SLICES_SHARE, _CallQueue
from hypernova.router.batch import StepwiseBatch
from support.paths import EXAMPLES
from support.server import Server, assert_error, metrics, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SINGLE, SLICE = 0, 1
TIMEOUT_S = 3.0


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    with (EXAMPLES / "prompts.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["prompt"] for line in lines]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact for `minilm`, which takes some milliseconds for a text."""
    folder = tmp_path_factory.mktemp("artifact")
    with (EXAMPLES / "simulated.jsonl").open(encoding="utf-8") as lines:
        (folder / "t.jsonl").write_text("".join(itertools.islice(lines, 0, 320, 6)), "utf-8")
    table = hypernova.OutcomeTable.read(folder / "t.jsonl")
    hypernova.fit(table, embedder="minilm", clusters=4).save(folder / "r.hnv")
    return folder / "r.hnv"


@pytest.fixture(scope="module")
def server(artifact: Path) -> Iterator[Server]:
    with serving("-a", artifact, "--threads", 1, "--timeout", TIMEOUT_S) as server:
        yield server
        assert not any("Traceback" in line for line in server.lines)


@pytest.fixture(scope="module")
def long(prompts: list[str]) -> list[str]:
    """A batch that takes many times as long as it may."""
    return [f"{i} " + 6 * f"{prompts[i % len(prompts)]} " for i in range(1024)]


def wait_until_free(client: httpx.Client, seconds: float) -> None:
    end = time.monotonic() + seconds
    while metrics(client)["hypernova_in_flight", ()]:
        assert time.monotonic() < end, "the thread is not free"
        time.sleep(0.01)


@pytest.mark.slow
def test_single_requests_have_their_turn_while_a_batch_runs(
    server: Server, prompts: list[str], long: list[str]
) -> None:
    given: list[httpx.Response] = []

    def ask() -> None:
        answer = httpx.post(f"{server.url}/v1/route/batch", json={"texts": long}, timeout=60)
        given.append(answer)

    batches = [threading.Thread(target=ask) for _ in range(2)]
    with server.client() as client:
        for batch in batches:
            batch.start()
        while metrics(client)["hypernova_in_flight", ()] < 2:
            time.sleep(0.01)
        took = []
        while all(batch.is_alive() for batch in batches):
            start = time.monotonic()
            answer = client.post("/v1/route", json={"text": prompts[len(took) % len(prompts)]})
            took.append(time.monotonic() - start)
            assert answer.status_code == 200
        for batch in batches:
            batch.join()
        for answer in given:
            assert "fewer texts" in assert_error(answer, 503, "timeout")
        wait_until_free(client, 1.0)
    assert len(took) > 3
    assert statistics.median(took) < 0.5


@pytest.mark.slow
def test_a_batch_whose_client_hangs_up_ends(server: Server, long: list[str]) -> None:
    body = json.dumps({"texts": long}).encode()
    head = (
        b"POST /v1/route/batch HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    )
    key = ("hypernova_requests_total", (("path", "/v1/route/batch"), ("status", "499")))
    with server.client() as client:
        wait_until_free(client, 5)
        before = metrics(client).get(key, 0)
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head + body)
            while not metrics(client)["hypernova_in_flight", ()]:
                time.sleep(0.01)
        wait_until_free(client, TIMEOUT_S / 2)
        assert metrics(client)[key] == before + 1


@pytest.mark.slow
def test_a_batch_in_slices_is_decided_as_a_whole(
    artifact: Path, server: Server, prompts: list[str]
) -> None:
    texts = [prompt * (1 + i % 3) for i, prompt in enumerate(prompts[:24])]
    router = hypernova.Router.open(artifact)
    with server.client() as client:
        before = metrics(client)
        answer = client.post("/v1/route/batch", json={"texts": texts, "cost_weight": 3.0})
        after = metrics(client)
    found = answer.json()["decisions"]
    for decision, expected in zip(found, router.route_many(texts, cost_weight=3.0), strict=True):
        assert decision["model"] == expected.model
        assert decision["cluster"] == expected.cluster
        assert decision["distance"] == pytest.approx(expected.distance, abs=1e-5)
    # However many slices it took, it is one request.
    for name, more in (("embed_seconds", 1), ("decide_seconds", 1), ("novelty", 24)):
        key = (f"hypernova_{name}_count", ())
        assert after[key] - before[key] == more


class TestBatch:
    @pytest.fixture
    def calls(self) -> list[list[str]]:
        return []

    @pytest.fixture
    def router(self, calls: list[list[str]], tmp_path: Path) -> hypernova.Router:
        def embed(texts: list[str]) -> np.ndarray:
            calls.append(list(texts))
            return np.array([[1.0, len(text)] for text in texts])

        embedder = hypernova.CallableEmbedder(embed, name="length", dim=2, batch=10)
        table = hypernova.OutcomeTable.read(EXAMPLES / "simulated.jsonl")
        for clusters in (3, 2):
            artifact = hypernova.fit(table, embedder=embedder, clusters=clusters)
            artifact.save(tmp_path / f"{clusters}.hnv")
        calls.clear()
        return hypernova.Router.open(tmp_path / "3.hnv", embedder=embedder)

    @pytest.mark.slow
    def test_its_steps_share_an_artifact_though_another_comes(
        self, router: hypernova.Router, tmp_path: Path
    ) -> None:
        texts = ["a" * (1 + i * 7 % 50) for i in range(50)]
        expected = router.route_many(texts)
        told: list[hypernova.events.DecisionEvent] = []
        end = router.observe(told.append)
        batch = StepwiseBatch(router, texts, {})
        assert batch.step()
        router.reload(tmp_path / "2.hnv")
        while batch.step():
            pass
        decisions = batch.decide()
        end()
        assert [(d.model, d.cluster, d.artifact, d.distance) for d in decisions] == [
            (d.model, d.cluster, d.artifact, d.distance) for d in expected
        ]
        assert [observed.decisions for observed in told] == [tuple(decisions)]
        assert told[0].embed_s > 0

    @pytest.mark.slow
    def test_a_function_is_called_with_as_many_texts_as_it_takes(
        self, router: hypernova.Router, calls: list[list[str]]
    ) -> None:
        batch = StepwiseBatch(router, ["a"] * 95, {}, step_s=1e-9)
        while batch.step():
            pass
        assert [len(call) for call in calls] == [10] * 9 + [5]

    @pytest.mark.slow
    def test_a_blank_text_is_named_before_any_is_embedded(
        self, router: hypernova.Router, calls: list[list[str]]
    ) -> None:
        with pytest.raises(hypernova.errors.TextError, match="text 7 is empty"):
            StepwiseBatch(router, [*"abcdefg", " \n", "", "h"], {})
        assert calls == []


class TestLine:
    @pytest.mark.slow
    def test_single_calls_come_first_and_slices_are_not_forgotten(self) -> None:
        line, ran = _CallQueue(), []

        def work(lane: int) -> None:
            ran.append(lane)
            time.sleep(0.002)

        for _ in range(200):
            line.put(SINGLE, lambda: work(SINGLE))
        for _ in range(200):
            line.put(SLICE, lambda: work(SLICE))
        for _ in range(200):
            line.run_next()
        # All calls take as long, so that a share of the time is one of the calls.
        assert ran.count(SLICE) == pytest.approx(200 * SLICES_SHARE, rel=0.4)
        first = ran.index(SINGLE)
        assert first <= 1
        longest = max(len(list(run)) for lane, run in itertools.groupby(ran) if lane == SLICE)
        assert longest == 1

    def test_a_call_that_is_dropped_is_not_run(self) -> None:
        line, ran = _CallQueue(), []
        calls = [line.put(SLICE, lambda i=i: ran.append(i)) for i in range(3)]
        assert line.drop(SLICE, calls[1])
        assert not line.drop(SLICE, calls[1])
        for _ in range(3):
            line.run_next()
        assert ran == [0, 2]
        assert not line.drop(SLICE, calls[0])
