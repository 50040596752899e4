"""Compare this version with another one: the same work in turns, and the ratio of each pair.

Not here: other libraries (`speed.py`). Each version has a process of its own, and one of them
works while the other waits. Artifacts have shares and linear corrections, as `fit` makes them,
unless a row says *plain*. A disturbance that outlasts a turn meets both versions, so the median
of the ratios says more than either time; on a shared machine the ratio of the shortest times
says most. The place of its memory costs or saves a process some percent for life, so both
processes are started several times.

    python3 -m venv build/before && build/before/bin/pip install hypernova-router==0.1.0
    python -m benches.versions build/before/bin/python [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter_ns

import numpy as np
from benches.fitted import MODELS, fitted_artifact
from benches.paths import EXAMPLES
from benches.record import output_of, processor
from benches.text import prompts

import hypernova

STARTS, ROUNDS, TURN_S = 6, 15, 0.02
SHAPES = [(100, 384), (16, 512), (1_000, 1_536)]
QUERIES, BATCH = 64, 1_024

# The worker reads a setup as JSON and answers with its version and rows; then it answers each
# line, the name of a row, with the nanoseconds of one call.
WORKER = """
import itertools, json, sys, time
import numpy as np
import hypernova

setup = json.loads(sys.stdin.readline())
work = {}

def cycle(call, arguments):
    given = itertools.cycle(arguments)
    return lambda: call(next(given))

for name, path in setup["artifacts"].items():
    artifact = hypernova.Artifact.open(path)
    rng = np.random.default_rng(1)
    near = artifact.centroids[rng.integers(0, len(artifact.centroids), setup["batch"])]
    rows = near + rng.normal(size=near.shape) / np.sqrt(artifact.dim)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    router = hypernova.Router(artifact)
    some = list(rows[: setup["queries"]])
    work[f"decide, {name}"] = cycle(router.decide, some)
    options = {"cost_weight": 0.1, "deny": [artifact.models[1]]}
    work[f"decide with options, {name}"] = cycle(
        lambda v, decide=router.decide: decide(v, **options), some
    )
    work[f"decide_many, {setup['batch']} rows, {name}"] = cycle(router.decide_many, [rows])
    work[f"open, {name}"] = cycle(hypernova.Artifact.open, [path])
router = hypernova.Router.open()
for name, texts in setup["texts"].items():
    work[f"route, static, {name}"] = cycle(router.route, texts)
minilm = hypernova.Embedder.load("minilm")
for name, texts in setup["texts"].items():
    work[f"embed, minilm, {name}"] = cycle(minilm.embed_one, texts)
calls = {}
for name, call in work.items():
    start = time.perf_counter()
    for _ in range(3):
        call()
    calls[name] = max(1, round(setup["turn_s"] * 3 / (time.perf_counter() - start)))
print(json.dumps({"version": hypernova.__version__, "rows": list(work)}), flush=True)
for line in sys.stdin:
    call, count = work[line.strip()], calls[line.strip()]
    start = time.perf_counter_ns()
    for _ in range(count):
        call()
    print((time.perf_counter_ns() - start) / count, flush=True)
"""
FRESH = "import hypernova; hypernova.Router.open().route('Fix the race in the scheduler')"


class Worker:
    """A process of one version, which runs a script such as `WORKER`."""

    def __init__(
        self, python: str, setup: dict[str, object], path: str | None, script: str = WORKER
    ) -> None:
        self.python = python
        self.environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        if path is not None:
            self.environment["PYTHONPATH"] = path
        self._process = subprocess.Popen(
            [python, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        hello = json.loads(self.ask(json.dumps(setup)))
        self.version: str = hello["version"]
        self.rows: list[str] = hello["rows"]

    def ask(self, line: str) -> str:
        """Send a line, and return the one that the script answers."""
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        into.write(line + "\n")
        into.flush()
        return out.readline()

    def nanoseconds(self, row: str) -> float:
        """Run one turn of a row, and return the nanoseconds of a call."""
        return float(self.ask(row))

    def fresh(self) -> float:
        """Time a fresh process that routes one text, in nanoseconds."""
        start = perf_counter_ns()
        subprocess.run([self.python, "-c", FRESH], check=True, env=self.environment)
        return float(perf_counter_ns() - start)

    def close(self) -> None:
        self._process.communicate()


def plain_artifact(clusters: int, dim: int) -> hypernova.Artifact:
    """Make an artifact of random values where one cluster decides."""
    rng = np.random.default_rng(0)
    centroids = rng.normal(size=(clusters, dim)).astype(np.float32)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)

    def profile() -> np.ndarray:
        return rng.random((clusters + 1, MODELS)).astype(np.float32)

    identity = {"kind": "vectors", "name": "bench", "dim": dim, "fingerprint": "0" * 64}
    return hypernova.Artifact.build(
        models=[f"model-{i}" for i in range(MODELS)],
        centroids=centroids,
        counts=np.ones((clusters + 1, MODELS)),
        mean=profile(),
        success=profile(),
        standard_error=profile(),
        gain_error=profile() * np.float32(0.1),
        cost=profile(),
        latency=profile(),
        novelty=np.array([0, 4], dtype=np.float32),
        embedder=json.dumps(identity),
        metadata="{}",
        default_model=0,
        guard_z=1.0,
    )


def fitted_before(clusters: int, dim: int) -> hypernova.Artifact:
    """Make an artifact as a fit makes it, in a format that earlier versions read."""
    return fitted_artifact(clusters, dim, minor=1)


def texts() -> dict[str, list[str]]:
    """Choose real prompts by length, or the prompts of the examples without sample tables."""
    found = prompts()
    if found:
        return {name: some[:24] for name, some in found.items()}
    lines = (EXAMPLES / "prompts.jsonl").read_text().splitlines()
    return {"examples": [json.loads(line)["prompt"] for line in lines]}


Pairs = dict[str, list[tuple[float, float]]]


def compared(old: Worker, new: Worker, rounds: int, rows: str) -> Pairs:
    """Run both versions in turns; by row, the nanoseconds before and now of each pair of turns."""
    found: Pairs = {}
    fresh = "fresh process to first decision"
    for row in [*(row for row in new.rows if row in old.rows), fresh]:
        if rows not in row:
            continue
        found[row] = []
        for turn in range(3 if row == fresh else rounds):
            took = {}
            for worker in (old, new) if turn % 2 else (new, old):
                took[worker] = worker.fresh() if row == fresh else worker.nanoseconds(row)
            found[row].append((took[old], took[new]))
    return found


def with_unit(nanoseconds: float) -> str:
    """Write a time with its unit."""
    return f"{nanoseconds / 1e3:.2f} us" if nanoseconds < 1e6 else f"{nanoseconds / 1e6:.2f} ms"


def lines(pairs: Pairs) -> list[str]:
    """Format a line of the table for each row."""
    table = []
    for row, turns in pairs.items():
        low, middle, high = np.percentile([before / now for before, now in turns], (25, 50, 75))
        times = [median(turn[i] for turn in turns) for i in (0, 1)]
        shown = " | ".join(map(with_unit, times))
        least = min(before for before, _ in turns) / min(now for _, now in turns)
        table.append(f"| {row} | {shown} | {middle:.3f} | {low:.3f} to {high:.3f} | {least:.3f} |")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", help="interpreter of the environment with the other version")
    parser.add_argument(
        "--pythonpath", help="folder of the other version's package, if it is not installed there"
    )
    parser.add_argument("--starts", type=int, default=STARTS, help="starts of both processes")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each start")
    parser.add_argument("--rows", default="", help="only rows that hold this")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for clusters, dim in SHAPES:
            for plain in (False, True):
                name = f"{clusters} x {dim}" + ", plain" * plain
                made[name] = f"{folder}/{len(made)}.hnv"
                make = plain_artifact if plain else fitted_before
                make(clusters, dim).save(made[name])
        setup = {"artifacts": made, "texts": texts(), "queries": QUERIES, "batch": BATCH}
        setup["turn_s"] = TURN_S
        here = str(Path(hypernova.__file__).parents[1])
        pairs: Pairs = {}
        for _ in range(arguments.starts):
            new = Worker(sys.executable, setup, here)
            old = Worker(arguments.python, setup, arguments.pythonpath)
            for row, turns in compared(old, new, arguments.rounds, arguments.rows).items():
                pairs.setdefault(row, []).extend(turns)
            new.close()
            old.close()
    commit = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    record = [
        f"Medians of {arguments.starts} starts of both processes with {arguments.rounds} turns "
        "each, which the versions took one after the other. Ratio: median of before / now over "
        f"the turns, its quartiles, and that of the least times. {processor()}, "
        f"{datetime.date.today()}, commit {commit}, one thread, `python -m benches.versions`.",
        "",
        f"| row | before ({old.version}) | now ({new.version}) | ratio | quartiles | least |",
        "| --- | --- | --- | --- | --- | --- |",
        *lines(pairs),
    ]
    print("\n".join(record))
    if arguments.output is not None:
        path = arguments.output / f"{datetime.date.today()}-{commit}-versions.md"
        path.write_text("\n".join(record) + "\n")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
