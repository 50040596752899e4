"""Compare the core with onnxruntime on all prompts of the sample tables: vectors, keys, decisions.

Not here: the time of single requests (`text.py`).

    python -m benches.runtimes [--artifact ROUTER.hnv --table NAME] [-o FOLDER]

prints a line for each table, and ends with 1 if a vector differs by more than 1e-6 or a prompt has
other tokens. With an artifact, such as one of version 0.1.0, it routes the prompts of a table by
the vectors of both, under several cost weights, and counts the decisions that differ in model,
reason, cluster or ranking. Times are the least of three of a whole table, in one process and one
thread. A record (``-o``) has the times of single prompts.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet
from benches.paths import sample_tables
from benches.record import processor, source_state, write_page
from benches.text import artifact_for
from benches.text import prompts as lengths

import hypernova
from hypernova.embedder import Embedder

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 1e-6
COST_WEIGHTS = (None, 0.0, 0.05, 1.0, 20.0)
ROUNDS = 3
# Of prompts that are timed one by one.
PASSES = 7


def prompts_of(path: Path) -> list[str]:
    prompts: list[str] = pyarrow.parquet.read_table(path, columns=["prompt"])["prompt"].to_pylist()
    return prompts


def least(call: Callable[[], object]) -> float:
    """Seconds."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def compare_vectors(core: Embedder, onnx: Embedder) -> bool:
    alike = True
    for path in sorted(sample_tables().glob("*/tasks.parquet")):
        prompts = prompts_of(path)
        # One by one: in its batches, onnxruntime adds padding in another order.
        one_by_one = np.stack([onnx.embed_one(text) for text in prompts])
        largest = float(abs(core.embed(prompts) - one_by_one).max())
        other = sum(core.key_of(text) != onnx.key_of(text) for text in prompts)
        alike &= largest <= LARGEST and not other
        print(
            f"{path.parent.name}: {len(prompts)} prompts, {largest:.2g} at most, {other} other keys"
        )
    return alike


def compare_decisions(artifact: hypernova.Artifact, prompts: list[str], onnx: Embedder) -> None:
    routers = hypernova.Router(artifact), hypernova.Router(artifact, embedder=onnx)
    assert [router.embedder._innermost().runtime for router in routers] == ["core", "onnxruntime"]
    for weight in COST_WEIGHTS:
        pairs = zip(*(r.route_many(prompts, cost_weight=weight) for r in routers), strict=True)
        changed = sum(seen(a) != seen(b) for a, b in pairs)
        print(f"cost_weight {weight}: {changed} of {len(prompts)} decisions differ")


def seen(decision: hypernova.Decision) -> tuple[object, ...]:
    ranking = tuple(entry.model for entry in decision.ranking)
    return decision.model, decision.reason, decision.cluster, ranking


def compare_times(artifact: hypernova.Artifact, prompts: list[str], onnx: Embedder) -> None:
    core, other = hypernova.Router(artifact), hypernova.Router(artifact, embedder=onnx)
    one, by_onnx = least(lambda: core.route_many(prompts)), least(lambda: other.route_many(prompts))

    def in_two_threads() -> None:
        threads = [threading.Thread(target=core.route_many, args=(prompts,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    two = least(in_two_threads)
    inside = least(lambda: hypernova.Router(artifact, threads=2).route_many(prompts))
    print(
        f"route_many of {len(prompts)}: core {one * 1e3:.0f} ms, "
        f"onnxruntime {by_onnx * 1e3:.0f} ms, "
        f"{by_onnx / one:.1f}x; two threads of Python {2 * one / two:.2f} times one, "
        f"threads=2 {one / inside:.2f}"
    )


def write_times(core: Embedder, onnx: Embedder, folder: Path) -> None:
    """Time prompts of three lengths one by one, and write a page."""
    commit, changed = source_state()
    lines = [
        f"# Text to decision by the core and by onnxruntime, {date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}, onnxruntime {version('onnxruntime')}; "
        f"uncommitted changes: {changed}. `static` and an artifact of 100 clusters and 25 models, "
        f"one thread, in turns: the median over the prompts of the quickest of {PASSES} calls; all "
        "vectors were compared before. `python -m benches.runtimes`.",
        "",
        "| prompts of | onnxruntime | core | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    # Of either embedder an artifact of its own: one of the core's arithmetic is run by the core.
    routers = [hypernova.Router(artifact_for(e), embedder=e) for e in (onnx, core)]
    assert [r.embedder._innermost().runtime for r in routers] == ["onnxruntime", "core"]
    for length, texts in lengths().items():
        shortest = np.full((2, len(texts)), np.inf)
        for _ in range(PASSES):
            for i, router in enumerate(routers):
                for j, text in enumerate(texts):
                    start = time.perf_counter()
                    router.route(text)
                    shortest[i, j] = min(shortest[i, j], time.perf_counter() - start)
        by_onnx, by_core = 1e6 * np.median(shortest, axis=1)
        ratio = by_onnx / by_core
        lines.append(f"| {length} | {by_onnx:.1f} us | {by_core:.1f} us | {ratio:.1f} |")
    print("\n".join(lines))
    write_page(lines, folder, commit, "runtimes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--artifact", help="a .hnv file to route by both")
    parser.add_argument("--table", default="llmrouter_mixed", help="whose prompts it routes")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    core, onnx = (Embedder.load("static", runtime=name) for name in ("core", "onnxruntime"))
    alike = compare_vectors(core, onnx)
    if arguments.artifact:
        artifact = hypernova.Artifact.open(arguments.artifact)
        prompts = prompts_of(sample_tables() / arguments.table / "tasks.parquet")
        compare_decisions(artifact, prompts, onnx)
        compare_times(artifact, prompts, onnx)
    if arguments.output is not None and alike:
        write_times(core, onnx, arguments.output)
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main())
