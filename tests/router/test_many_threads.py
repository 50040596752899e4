"""Many threads share a router, its log and its file: each sees what is whole, GIL or not.

Not here: forks beside threads (`test_fork`), and threads within one call (`test_route_table`).
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

import hypernova
from hypernova._core import Artifact
from hypernova.outcome_log import OutcomeLog, read_log
from hypernova.router import BUNDLED_ARTIFACT

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 8
ROUNDS = 40
TEXTS = [f"Fix the race in scheduler number {n}" for n in range(16)]


def in_threads(work) -> list:
    """Let the threads begin together, and return what each gave."""
    gate = threading.Barrier(THREADS)

    def run(number: int):
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def two_artifacts(folder: Path) -> list[Artifact]:
    """Write two artifacts of one embedder, which estimate differently."""
    bundled = Artifact.open(BUNDLED_ARTIFACT)
    other = folder / "other.hnv"
    metadata = {**bundled.metadata, "name": "other"}
    bundled.replace(metadata=metadata).save(other)
    return [bundled, Artifact.open(other)]


def test_routes_reloads_and_records_are_whole(tmp_path: Path) -> None:
    first, second = two_artifacts(tmp_path)
    expected = {}
    for artifact in (first, second):
        router = hypernova.Router(artifact)
        decided = [router.route(text) for text in TEXTS]
        expected[artifact.sha256] = [
            (d.model, [(e.model, e.success) for e in d.ranking]) for d in decided
        ]
    assert len(expected) == 2
    router = hypernova.Router.open(cache=8)
    log = OutcomeLog(tmp_path / "log", max_bytes=1 << 16)

    def work(number: int) -> set[str]:
        seen = set()
        for turn in range(ROUNDS):
            if number == 0:
                router.reload((first, second)[turn % 2].path)
            at = (number + turn) % len(TEXTS)
            decision = router.route(TEXTS[at])
            # All of a decision is of one artifact, whatever the others reload meanwhile.
            ranking = [(entry.model, entry.success) for entry in decision.ranking]
            assert (decision.model, ranking) == expected[decision.artifact][at]
            log.record_decision(decision)
            log.record_outcome(decision.id, score=turn % 2)
            seen.add(decision.id)
        return seen

    with log:
        ids = in_threads(work)
    assert len(set().union(*ids)) == THREADS * ROUNDS
    joined = list(read_log(tmp_path / "log"))
    assert {one.decision.id for one in joined} == set().union(*ids)
    assert all(one.outcome is not None for one in joined)


def test_first_uses_of_one_decision_agree() -> None:
    router = hypernova.Router.open()
    for text in TEXTS:
        decision = router.route(text)
        # The id and the ranking are made when they are first read.
        found = in_threads(lambda _, d=decision: (d.id, [e.model for e in d.ranking]))
        assert all(one == found[0] for one in found)


def test_first_texts_load_one_embedder() -> None:
    router = hypernova.Router.open()
    embedders = in_threads(lambda number: (router.route(TEXTS[number]), router.embedder)[1])
    assert all(embedder is embedders[0] for embedder in embedders)


def test_a_mapping_that_another_thread_changes() -> None:
    router = hypernova.Router.open()
    models = list(router.artifact.models)
    prices = dict.fromkeys(models, 1.0)
    end = threading.Event()

    def change() -> None:
        while not end.is_set():
            for model in models:
                prices.pop(model, None)
            for model in models:
                prices[model] = 1.0

    writer = threading.Thread(target=change)
    writer.start()
    try:
        for turn in range(300):
            router.route(TEXTS[turn % len(TEXTS)], prices=prices)
    finally:
        end.set()
        writer.join()


def test_an_array_that_another_thread_changes() -> None:
    router = hypernova.Router.open()
    vector = np.zeros(router.artifact.dim, dtype=np.float32)
    vector[0] = 1.0
    end = threading.Event()

    def change() -> None:
        while not end.is_set():
            np.negative(vector, out=vector)

    writer = threading.Thread(target=change)
    writer.start()
    try:
        for _ in range(300):
            decision = router.decide(vector)
            assert decision.model in router.artifact.models
    finally:
        end.set()
        writer.join()
