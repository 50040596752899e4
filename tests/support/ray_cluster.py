"""A program: map calls on a Ray cluster of two nodes, and write what came of each part as JSON.

Not here: the checks (`tests/parallel/test_ray.py`). It is a process of its own, so that neither
Ray's threads nor its handlers of signals reach the process of the tests.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hypernova
from hypernova.errors import HypernovaError
from hypernova.parallel import map_calls
from hypernova.parallel.on_ray import import_ray
from support.calls import (
    dies,
    dies_once,
    fails,
    first_of,
    node_of,
    products,
    resident_mb,
    sleeps,
    zeros,
)
from support.pieces import evaluated, fitted, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator

MB = 1 << 20
# The least that Ray takes.
STORE_BYTES = 80 * MB


def on_ray(calls: list[partial[Any]], **options: Any) -> Iterator[Any]:
    return map_calls(calls, engine="ray", total=len(calls), description="", **options)


def outcome(calls: list[partial[Any]]) -> dict[str, Any]:
    """The results until the first error, and the error."""
    results = []
    try:
        results.extend(on_ray(calls))
    except HypernovaError as error:
        return {"results": results, "type": type(error).__name__, "message": str(error).split("\n")}
    return {"results": results}


def parts(cluster: Any, other_node: Any, folder: Path) -> Iterator[tuple[str, Any]]:
    table = write_table(folder / "table", files=5, row_group=3000)
    here = fitted(table, jobs=1)
    for name, learn, expected in (
        ("fitted", fitted, here),
        ("evaluated", evaluated, evaluated(table, jobs=1)),
    ):
        found = learn(table, engine="ray")
        yield name, [len(found), found == expected]
    prompts = [str(folder / f"{name}.parquet") for name in ("ray", "local")]
    router = hypernova.Router(hypernova.Artifact.from_bytes(here))
    router.route_table(str(table), prompts[0], engine="ray", jobs=None)
    router.route_table(str(table), prompts[1])
    yield "routed", [Path(prompts[0]).read_bytes() == Path(prompts[1]).read_bytes()]
    # One map for several questions: each takes a second or more to begin.
    calls = [partial(node_of, 1.5)] * 6
    calls += [partial(sleeps, 0.02 * (i % 3), i) for i in range(12)]
    calls += [partial(products, seed) for seed in range(4)]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    calls += [partial(os.getenv, name) for name in names]
    shared = np.arange(5.0)
    calls += [partial(first_of, shared, i) for i in range(3)]
    results = list(on_ray(calls, shared=(shared,)))
    kinds = {"nodes": 6, "order": 12, "bytes": 4, "threads": 3, "shared": 3}
    for name, count in kinds.items():
        yield name, results[:count]
        del results[:count]
    calls = [partial(sleeps, 0, i) for i in range(3)]
    calls += [partial(dies_once, str(folder / "died"), 3), partial(sleeps, 0, 4)]
    yield "a killed process", [outcome(calls), (folder / "died").exists()]
    calls = [partial(sleeps, 0, 1), partial(fails, 0, "rows.parquet, row 7: cut short")]
    yield "a call that fails", outcome([*calls, *[partial(sleeps, 600, 2)] * 4])
    yield "a call that always kills", outcome([partial(dies)])
    with closing(on_ray([partial(zeros, 4 * MB) for _ in range(30)])) as results:
        sizes = [len(result) for result in islice(results, 5)]
        before = resident_mb()
        sizes += [len(result) for result in results]
    yield "many results", [len(sizes), set(sizes) == {4 * MB}, resident_mb() - before]
    with closing(on_ray([partial(sleeps, 0, 1), *[partial(sleeps, 600, 2)] * 4])) as results:
        first = next(results)
    results = on_ray([partial(sleeps, 0.3, i) for i in range(8)])
    second = next(results)  # the ten minutes are not waited for
    cluster.remove_node(other_node, allow_graceful=False)
    yield "closed early", [first, second]
    yield "a lost node", [second, *results]


def main() -> None:
    folder = Path(sys.argv[1])
    os.environ["RAY_TMPDIR"] = str(folder)
    # A node that is gone is missed after three seconds, not fifteen.
    os.environ |= {"RAY_health_check_period_ms": "500", "RAY_health_check_timeout_ms": "2000"}
    begun = time.perf_counter()
    ray = import_ray()
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    limits = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster.add_node(**limits)
    other_node = cluster.add_node(**limits)
    found: dict[str, Any] = {}
    try:
        # As for a command on a node of a cluster, which connects and leaves it again.
        os.environ["RAY_ADDRESS"] = cluster.address
        calls = [partial(sleeps, 0, 1), partial(dies_once, str(folder / "first"), 2)]
        found["by its address"] = [outcome(calls), ray.is_initialized()]
        print("what comes now is printed by a Ray that this program has set up", flush=True)
        ray.init(log_to_driver=False, logging_level="CRITICAL")
        for name, part in parts(cluster, other_node, folder):
            found[name] = part
            print(f"{time.perf_counter() - begun:5.1f} s: {name}", flush=True)
        found["still there"] = ray.is_initialized()
    finally:
        (folder / "found.json").write_text(json.dumps(found))
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
