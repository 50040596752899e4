"""Time routing from a vector, from Python, against other libraries in the same run.

Not here: text and embedding (`text.py`), quality. The record also gets the rows of the Rust core
alone (`core.py`).
Libraries take turns in every round, so that other work on the machine disturbs all alike; the
ratio of a row is the median over rounds of its time divided by hypernova's. Before any timing,
all libraries must give the same answer on all queries.

    python -m benches.speed [-o FOLDER]        writes DATE-COMMIT-speed.csv and .md
    python -m benches.speed --compare A.csv B.csv
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benches.core import counted_rows, criterion_rows
from benches.fitted import MODELS as FITTED_MODELS
from benches.fitted import SHAPES as FITTED_SHAPES
from benches.fitted import fitted_artifact, near_prompts
from benches.paths import ROOT
from benches.record import compare, write
from benches.test_decide import MODELS, SHAPES, make_artifact
from benches.text import text_rows
from threadpoolctl import threadpool_limits

import hypernova

if TYPE_CHECKING:
    from collections.abc import Callable

QUERIES, ROUNDS, BATCH = 64, 25, 1_024
HOW = (
    f"`make bench`: median and least of {ROUNDS} rounds in which the libraries took turns on one "
    "thread, nanoseconds a decision; ratio: median over rounds of the time by hypernova's. "
    f"Rows *as fit makes it*: {FITTED_MODELS} models, blended clusters, linear correction, margin "
    "and groups; other libraries take the nearest cluster alone, and so does hypernova in all "
    f"other rows, with {MODELS} models. Queries are a centroid and noise of about the same length. "
    "Rows of Rust are criterion's, of the core alone, or instructions that valgrind counted, a "
    "decision (*many*: a row of 64; *far*: queries about as far from all centroids)."
)


def near_centroids(artifact: hypernova.Artifact, count: int) -> np.ndarray:
    """Draw unit vectors (count, dim): a centroid plus noise of the same length."""
    rng = np.random.default_rng(1)
    taken = artifact.centroids[rng.integers(0, artifact.n_clusters, count)]
    noisy = taken + rng.normal(size=taken.shape) / np.sqrt(artifact.dim)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    return np.ascontiguousarray(noisy, dtype=np.float32)


def nordlys_file(artifact: hypernova.Artifact) -> str:
    """Write the centroids and models of an artifact as nordlys-core reads them."""
    success = artifact.success[:-1]
    models = [
        {"model_id": f"vendor/{name}", "scores": success[:, i].tolist()}
        for i, name in enumerate(artifact.models)
    ]
    clustering = {"n_clusters": artifact.n_clusters, "random_state": 0, "max_iter": 1}
    clustering |= {"n_init": 1, "algorithm": "lloyd", "normalization": "l2"}
    whole = {"version": "2.0", "cluster_centers": artifact.centroids.tolist(), "models": models}
    whole |= {"embedding": {"model": "none", "trust_remote_code": False}, "metrics": {}}
    return json.dumps(whole | {"clustering": clustering, "reduction": {"kind": "none"}})


def searchers(artifact: hypernova.Artifact) -> dict[str, Callable[[np.ndarray], int]]:
    """Give, by library, a function from a vector to its cluster; libraries may be missing."""
    centroids = artifact.centroids
    squares = (centroids * centroids).sum(axis=1)
    router = hypernova.Router(artifact)
    found: dict[str, Callable[[np.ndarray], int]] = {
        "hypernova": lambda v: router.decide(v).cluster,
        "numpy": lambda v: (squares - 2 * (centroids @ v)).argmin(),
    }
    try:
        import faiss

        index = faiss.IndexFlatL2(artifact.dim)
        index.add(centroids)
        faiss.omp_set_num_threads(1)
        found["faiss-cpu"] = lambda v: index.search(v[None], 1)[1][0, 0]
    except ImportError:
        pass
    try:
        import usearch.index

        found["usearch"] = lambda v: usearch.index.search(
            centroids, v, 1, "l2sq", exact=True, threads=1
        ).keys[0]
    except ImportError:
        pass
    try:
        import nordlys_core

        read = nordlys_core.NordlysCheckpoint.from_json_string(nordlys_file(artifact))
        engine = nordlys_core.Nordlys.from_checkpoint(read)
        found["nordlys-core"] = lambda v: engine.route(v).cluster_id
    except ImportError:
        pass
    return found


def batches(artifact: hypernova.Artifact) -> dict[str, Callable[[np.ndarray], object]]:
    """Give, by library, a function from many vectors to their clusters."""
    centroids = artifact.centroids
    squares = (centroids * centroids).sum(axis=1)
    found: dict[str, Callable[[np.ndarray], object]] = {
        "hypernova": lambda m: artifact.decide_many(m).clusters,
        "numpy": lambda m: (squares - 2 * (m @ centroids.T)).argmin(axis=1),
    }
    try:
        import faiss

        index = faiss.IndexFlatL2(artifact.dim)
        index.add(centroids)
        found["faiss-cpu"] = lambda m: index.search(m, 1)[1][:, 0]
    except ImportError:
        pass
    try:
        import nordlys_core

        read = nordlys_core.NordlysCheckpoint.from_json_string(nordlys_file(artifact))
        engine = nordlys_core.Nordlys.from_checkpoint(read)
        found["nordlys-core"] = lambda m: [r.cluster_id for r in engine.route_batch(m)]
    except ImportError:
        pass
    return found


def in_turns(
    row: str, calls: dict[str, Callable[[], object]], each: int, rounds: int = ROUNDS
) -> list[dict[str, object]]:
    """Time each library once a round; ratios are to the first.

    Args:
        row: Name of the rows.
        calls: The calls to time, by library.
        each: Decisions of a call.
        rounds: Number of rounds.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    repeats = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, min(200, int(0.005 / (time.perf_counter() - start))))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            passed = time.perf_counter() - start
            times[name].append(passed / repeats[name] / each * 1e9)
    ours = np.array(next(iter(times.values())))
    return [
        {
            "row": row,
            "library": name,
            "median_ns": round(float(np.median(taken)), 1),
            "least_ns": round(min(taken), 1),
            "ratio": round(float(np.median(np.array(taken) / ours)), 3),
        }
        for name, taken in times.items()
    ]


def one_by_one(call: Callable[[np.ndarray], object], vectors: list[np.ndarray]) -> object:
    for vector in vectors:
        call(vector)
    return None


def bench_fitted() -> list[dict[str, object]]:
    """Time decisions, one by one, under options and in batches, on artifacts as fit makes them."""
    rows = []
    for clusters, dim in FITTED_SHAPES:
        artifact = fitted_artifact(clusters, dim)
        matrix = near_prompts(artifact, BATCH)
        vectors = list(matrix[:QUERIES])
        calls = searchers(artifact)
        for vector in vectors:
            answers = {name: int(call(vector)) for name, call in calls.items()}
            assert len(set(answers.values())) == 1, answers
            decision = artifact.decide(vector)
            assert decision.ranking[0].model == decision.model
            assert decision.reason in {"routed", "default_no_evidence"}
        router = hypernova.Router(artifact)
        ours: dict[str, Callable[[np.ndarray], object]] = {
            "hypernova": router.decide,
            "hypernova, cost_weight": lambda v, f=router.decide: f(v, cost_weight=0.5),
            "hypernova, deny": lambda v, f=router.decide: f(v, deny=["model-3"]),
        }
        timed: dict[str, Callable[[], object]] = {
            name: lambda vs=vectors, f=call: one_by_one(f, vs)
            for name, call in (calls | ours).items()
        }
        shape = f"{clusters}x{dim}, as fit makes it"
        rows += in_turns(f"decide {shape}", timed, QUERIES)
        many: dict[str, Callable[[], object]] = {
            name: lambda m=matrix, f=call: f(m) for name, call in batches(artifact).items()
        }
        rows += in_turns(f"decide_many {BATCH} at {shape}, each", many, BATCH)
    return rows


def bench_decide() -> list[dict[str, object]]:
    """Time single decisions at each shape."""
    rows = []
    for clusters, dim in SHAPES:
        artifact = make_artifact(clusters, dim)
        vectors = list(near_centroids(artifact, QUERIES))
        calls = searchers(artifact)
        for vector in vectors:
            answers = {name: int(call(vector)) for name, call in calls.items()}
            assert len(set(answers.values())) == 1, answers
        router = hypernova.Router(artifact)
        timed: dict[str, Callable[[], object]] = {
            "hypernova": lambda vs=vectors, f=router.decide: one_by_one(f, vs)
        }
        for name, call in list(calls.items())[1:]:
            timed[name] = lambda vs=vectors, f=call: one_by_one(f, vs)
        rows += in_turns(f"decide {clusters}x{dim}", timed, QUERIES)
    return rows


def bench_many() -> list[dict[str, object]]:
    """Time a batch, and batches from two threads."""
    artifact = make_artifact(100, 384)
    matrix = near_centroids(artifact, BATCH)
    calls = batches(artifact)
    expected = calls["hypernova"](matrix)
    for name, call in calls.items():
        assert np.array_equal(call(matrix), expected), name
    timed: dict[str, Callable[[], object]] = {
        name: lambda f=call: f(matrix) for name, call in calls.items()
    }

    def two_threads() -> None:
        def work() -> None:
            for _ in range(20):
                artifact.decide_many(matrix)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def one_thread() -> None:
        for _ in range(40):
            artifact.decide_many(matrix)

    rows = in_turns(f"decide_many {BATCH} at 100x384, each", timed, BATCH)
    threads = {"hypernova": one_thread, "hypernova, two threads": two_threads}
    return rows + in_turns("decide_many from threads, each", threads, 40 * BATCH)


def bench_options() -> list[dict[str, object]]:
    """Time route options, with keywords written out as callers write them."""
    artifact = make_artifact(100, 384)
    vectors = list(near_centroids(artifact, QUERIES))
    decide, deny, prices = artifact.decide, ["model-3"], {"model-7": 0.2}
    calls: dict[str, Callable[[np.ndarray], hypernova.Decision]] = {
        "hypernova": lambda v: decide(v),
        "hypernova, cost_weight": lambda v: decide(v, cost_weight=0.5),
        "hypernova, max_cost_usd": lambda v: decide(v, max_cost_usd=0.9),
        "hypernova, min_success": lambda v: decide(v, min_success=0.1),
        "hypernova, deny": lambda v: decide(v, deny=deny),
        "hypernova, cost_weight and a price": lambda v: decide(v, cost_weight=0.5, prices=prices),
        "hypernova, all five": lambda v: decide(
            v, cost_weight=0.5, max_cost_usd=0.9, min_success=0.1, deny=deny, prices=prices
        ),
    }
    for name, call in calls.items():
        # Another pass of the rule makes the ranking.
        assert all((d := call(v)).ranking[0].model == d.model for v in vectors), name
    timed: dict[str, Callable[[], object]] = {
        name: lambda f=call: one_by_one(f, vectors) for name, call in calls.items()
    }
    return in_turns(f"options, {MODELS} models, 100x384", timed, QUERIES)


def nordlys_openers(artifact: hypernova.Artifact) -> dict[str, Callable[[], object]]:
    """Give functions that open the same centroids with nordlys-core; none if it is missing."""
    try:
        import nordlys_core
    except ImportError:
        return {}
    text = nordlys_file(artifact)
    read = nordlys_core.NordlysCheckpoint
    packed = read.from_json_string(text).to_msgpack_bytes()
    load = nordlys_core.Nordlys.from_checkpoint
    return {
        "nordlys-core, JSON": lambda: load(read.from_json_string(text)),
        "nordlys-core, msgpack": lambda: load(read.from_msgpack_bytes(packed)),
    }


def bench_open(folder: Path) -> list[dict[str, object]]:
    """Time opening an artifact, checks included."""
    rows = []
    for clusters, dim in [(100, 384), (1_000, 1_536)]:
        artifact = make_artifact(clusters, dim)
        path = folder / f"{clusters}x{dim}.hnv"
        artifact.save(path)
        timed: dict[str, Callable[[], object]] = {
            "hypernova": lambda p=path: hypernova.Artifact.open(p)
        }
        timed |= nordlys_openers(artifact)
        rows += in_turns(f"open {clusters}x{dim}", timed, 1, rounds=9)
    return rows


def bench_floor() -> list[dict[str, object]]:
    """Time one pass over the bytes of the centroids, for comparison."""
    rows = []
    for clusters, dim in SHAPES:
        for name, bytes_each in (("float32", 4), ("int8", 1)):
            held = np.ones(clusters * dim * bytes_each // 8, dtype=np.uint64)
            timed: dict[str, Callable[[], object]] = {
                f"numpy, {name}": lambda held=held: np.bitwise_or.reduce(held)
            }
            rows += in_turns(f"read once {clusters}x{dim}", timed, 1)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "benches" / "record")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("A", "B"))
    arguments = parser.parse_args()
    if arguments.compare:
        print("\n".join(compare(*arguments.compare)))
        return
    # One query is too small for several threads.
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        rows = bench_fitted() + bench_decide() + bench_floor() + bench_many() + bench_options()
        rows += bench_open(Path(folder)) + text_rows(Path(folder))
    rows += criterion_rows() + counted_rows()
    path = write(rows, arguments.output, make_artifact(2, 2).level, HOW)
    print(path.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
