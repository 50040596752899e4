"""Collect the rows of the Rust core alone: criterion's times, counted instructions.

Not here: anything from Python. Criterion's rows come from its last run, under `target`; valgrind
counts instructions, on a CPU with AVX2 and without AVX-512.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from benches.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

COUNT = ROOT / "target" / "release" / "examples" / "count"
COUNTED = [
    ("fitted", 100, 384),
    ("fitted", 16, 512),
    ("fitted-options", 100, 384),
    ("decide", 20, 384),
    ("decide", 100, 384),
    ("decide", 1_000, 384),
    ("decide", 100, 1_536),
    ("far", 100, 384),
    ("options", 100, 384),
    ("many", 100, 384),
    ("open", 100, 384),
]
LEVELS = ("avx2", "scalar")
TIMES = (64, 320)  # whole turns of the 64 queries


def criterion_rows(folder: Path = ROOT / "target" / "criterion") -> list[dict[str, object]]:
    """Make a row of each benchmark that criterion ran: median and shortest of its samples."""
    rows: list[dict[str, object]] = []
    for path in sorted(folder.rglob("new/benchmark.json")):
        sample = json.loads((path.parent / "sample.json").read_text())
        median = json.loads((path.parent / "estimates.json").read_text())["median"]
        each = zip(sample["times"], sample["iters"], strict=True)
        least = min(time / count for time, count in each)
        name = json.loads(path.read_text())["full_id"]
        rows.append(
            {
                "row": f"Rust: {name}",
                "library": "hypernova",
                "median_ns": round(median["point_estimate"], 1),
                "least_ns": round(least, 1),
            }
        )
    return rows


def instructions(work: str, clusters: int, dim: int, level: str) -> float:
    """Count the instructions of one call, as the difference of two runs."""
    found = []
    for times in TIMES:
        count = [str(COUNT), work, str(clusters), str(dim), str(times)]
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *count],
            env={"HYPERNOVA_SIMD": level},
            capture_output=True,
            text=True,
            check=False,
        )
        collected = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode or collected is None:
            raise RuntimeError(f"valgrind: {done.stderr.strip().splitlines()[-1]}")
        found.append(int(collected[1]))
    return (found[1] - found[0]) / (TIMES[1] - TIMES[0])


def counted_rows() -> list[dict[str, object]]:
    """Count the instructions of the core's hot functions; no rows without valgrind."""
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: instructions are not counted")
        return []
    command = ["cargo", "build", "--release", "--quiet", "--package", "hypernova-core"]
    subprocess.run([*command, "--example", "count"], cwd=ROOT, check=True)
    return [
        {
            "row": f"Rust: {work} {clusters}x{dim}, {level}",
            "library": "hypernova",
            "instructions": round(instructions(work, clusters, dim, level)),
        }
        for level in LEVELS
        for work, clusters, dim in COUNTED
    ]
