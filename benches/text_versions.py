"""Compare text to decision with another version: single calls, many prompts, an event loop.

Not here: deciding from vectors (`versions.py`), fresh processes and memory (`processes.py`). Each
version has a process of its own with its bundled artifact and `static`, and one of them works
while the other waits. Prompts are real ones of the sample tables (`paths.py`).

    python -m benches.text_versions PYTHON [--pythonpath FOLDER] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np
from benches.paths import sample_tables
from benches.record import processor, source_state, write_page
from benches.text import prompts
from benches.versions import Worker, with_unit

import hypernova

MANY = "llmrouter_mixed"  # the table whose prompts are routed together
STARTS, ROUNDS = 3, 5

# The worker reads a setup as JSON and answers with its version; then it answers each line, the name
# of a row, with a list of nanoseconds: of each call, or of a prompt of each pass.
WORKER = """
import asyncio, json, sys, threading, time
import hypernova

setup = json.loads(sys.stdin.readline())
router = hypernova.Router.open()
many = setup["many"]

def single(texts):
    def run():
        taken = []
        for text in texts:
            start = time.perf_counter_ns()
            router.route(text)
            taken.append(time.perf_counter_ns() - start)
        return taken
    return run

def together():
    start = time.perf_counter_ns()
    router.route_many(many)
    return [(time.perf_counter_ns() - start) / len(many)]

def in_two_threads():
    threads = [threading.Thread(target=router.route_many, args=(many,)) for _ in range(2)]
    start = time.perf_counter_ns()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return [(time.perf_counter_ns() - start) / (2 * len(many))]

def in_flight():
    texts, count = setup["texts"]["16 tokens"], 32
    async def client(i):
        for n in range(count):
            await router.aroute(texts[(i + n) % len(texts)])
    async def clients():
        start = time.perf_counter_ns()
        await asyncio.gather(*(client(i) for i in range(64)))
        return (time.perf_counter_ns() - start) / (64 * count)
    return [asyncio.run(clients())]

work = {f"route, {name}": single(texts) for name, texts in setup["texts"].items()}
work["route_many, a prompt"] = together
work["route_many in two threads, a prompt"] = in_two_threads
work["aroute, 64 in flight, 16 tokens"] = in_flight
for run in work.values():
    run()
print(json.dumps({"version": hypernova.__version__, "rows": list(work)}), flush=True)
for line in sys.stdin:
    print(json.dumps(work[line.strip()]()), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", help="interpreter of the environment with the other version")
    parser.add_argument("--pythonpath", help="folder of the other version's package")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    texts = prompts()
    if not texts:
        sys.exit(f"{sample_tables()}: no sample tables, whose prompts are routed")
    import pyarrow.parquet as pq

    table = pq.read_table(sample_tables() / MANY / "tasks.parquet", columns=["prompt"])
    setup = {"texts": texts, "many": table["prompt"].to_pylist()}
    here = str(Path(hypernova.__file__).parents[1])
    # By row, the version's times: of its turns (the median), of all calls, and the ratio of turns.
    turns: dict[str, list[tuple[float, float]]] = {}
    calls: dict[str, tuple[list[float], list[float]]] = {}
    versions = ["", ""]
    for _ in range(STARTS):
        old = Worker(arguments.python, setup, arguments.pythonpath, WORKER)
        new = Worker(sys.executable, setup, here, WORKER)
        versions = [old.version, new.version]
        for row in new.rows:
            for turn in range(ROUNDS):
                taken = {}
                for worker in (old, new) if turn % 2 else (new, old):
                    taken[worker] = json.loads(worker.ask(row))
                turns.setdefault(row, []).append((median(taken[old]), median(taken[new])))
                before, now = calls.setdefault(row, ([], []))
                before += taken[old]
                now += taken[new]
        old.close()
        new.close()
    commit, changed = source_state()
    lines = [
        f"# Text to decision beside {versions[0]}, {date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}; uncommitted changes: {changed}. "
        f"`static` and the bundled artifact of each version, {STARTS} starts of both processes "
        f"with {ROUNDS} turns each, which the versions took one after the other. Before and now: "
        "medians and 99th percentiles of all calls; ratio: median over the turns of before / now, "
        "and that of the least times. `python -m benches.text_versions`.",
        "",
        f"| row | before ({versions[0]}) | 99% | now ({versions[1]}) | 99% | ratio | least |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row, pairs in turns.items():
        cells = [row]
        for taken_by in calls[row]:
            cells += [with_unit(median(taken_by)), with_unit(float(np.percentile(taken_by, 99)))]
        cells.append(f"{median(before / now for before, now in pairs):.2f}")
        cells.append(f"{min(calls[row][0]) / min(calls[row][1]):.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    print("\n".join(lines))
    write_page(lines, arguments.output, commit, "text-versions")


if __name__ == "__main__":
    main()
