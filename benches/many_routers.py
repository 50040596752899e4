"""Open an artifact for each of a thousand customers: time to open, and memory for each.

Not here: decisions (`speed.py`, `text.py`). Every customer has a file of its own. A process opens
all of them, then routes a text with each, so that each has found its embedder; a second time it
opens them without routing. Sizes are those of the bundled artifact, and of one of about 1 MB.

    python -m benches.many_routers [--routers 1000] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
from benches.record import processor, source_state, write_page

import hypernova
from hypernova.router import BUNDLED_ARTIFACT

ROUTERS = 1000

# A fresh process runs this on the files of a folder. It prints, in seconds, the opening of each
# and the first decision of each, and in bytes the growth of its resident memory after either.
MANY = """
import gc, json, os, sys, time, hypernova

def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def timed(call, *arguments):
    start = time.perf_counter()
    made = call(*arguments)
    took.append(time.perf_counter() - start)
    return made

folder, routes = sys.argv[1], sys.argv[2] == "route"
paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
text = "Fix the race in the scheduler"
first = hypernova.Router.open(paths.pop())
if routes:
    first.route(text)
took = []
before = resident()
routers = [timed(hypernova.Router.open, path) for path in paths]
opened, took = took, []
grown = [resident() - before]
if routes:
    for router in routers:
        timed(router.route, text)
    grown.append(resident() - before)
print(json.dumps([opened, took, grown]))
"""


def artifact_of_a_megabyte() -> hypernova.Artifact:
    """Make an artifact of random values for `static`, in the shape of those that `fit` makes."""
    bundled = hypernova.Artifact.open(BUNDLED_ARTIFACT)
    k, dim, models = 400, bundled.dim, 24
    rng = np.random.default_rng(0)

    def profile() -> np.ndarray:
        return rng.random((k + 1, models)).astype(np.float32)

    slopes = (rng.normal(size=(models, dim)) * 0.01).astype(np.float32)
    return hypernova.Artifact.build(
        models=[f"model-{i}" for i in range(models)],
        centroids=rng.normal(size=(k, dim)).astype(np.float32) / np.float32(dim**0.5),
        counts=np.ones((k + 1, models)),
        mean=profile(),
        success=profile(),
        standard_error=profile(),
        gain_error=profile() * np.float32(0.1),
        cost=profile(),
        latency=profile(),
        novelty=np.array([0, 4], dtype=np.float32),
        embedder=bundled.embedder,
        metadata={},
        default_model=0,
        guard_z=1.0,
        sharpness=8.0,
        n_nearest=8,
        slopes=slopes,
        offsets=slopes[:, 0].copy(),
    )


def measure(artifact: hypernova.Artifact, routers: int, *, routes: bool) -> list[str]:
    """Open files of one artifact, one for each router, and format the line of their figures."""
    data = artifact.to_bytes()
    with tempfile.TemporaryDirectory() as folder:
        for i in range(routers + 1):
            Path(folder, f"{i}.hnv").write_bytes(data)
        how = "route" if routes else "open"
        environment = dict(os.environ, PYTHONPATH=str(Path(hypernova.__file__).parents[1]))
        done = subprocess.run(
            [sys.executable, "-c", MANY, folder, how],
            stdout=subprocess.PIPE,
            check=True,
            env=environment,
        )
    opened, decided, grown = json.loads(done.stdout)
    cells = [f"{len(data):,}", "and routed once" if routes else "opened"]
    for seconds in (opened, decided):
        micro = [1e6 * s for s in seconds]
        percentiles = (0, 50, 99)
        shown = (f"{p:,.0f}" for p in np.percentile(micro, percentiles)) if micro else ()
        cells.append(" / ".join(shown))
    cells += [f"{grown[-1] / routers:,.0f}", f"{grown[-1] / routers / len(data):.2f}"]
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routers", type=int, default=ROUTERS, help="how many customers")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    commit, changed = source_state()
    record = [
        f"# Many routers in one process, {date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}; uncommitted changes: {changed}. "
        f"{arguments.routers:,} routers with `static`, each of a file of its own. Times in "
        "microseconds: quickest / median / 99th percentile. Memory is the growth of the resident "
        "set for each router, in bytes and in sizes of its file. "
        "`python -m benches.many_routers`.",
        "",
        "| bytes of the file | | to open | first decision | memory | sizes |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for artifact in (hypernova.Artifact.open(BUNDLED_ARTIFACT), artifact_of_a_megabyte()):
        for routes in (False, True):
            cells = measure(artifact, arguments.routers, routes=routes)
            record.append(f"| {' | '.join(cells)} |")
    print("\n".join(record))
    write_page(record, arguments.output, commit, "many-routers")


if __name__ == "__main__":
    main()
