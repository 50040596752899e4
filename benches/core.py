"""Rows of a record that are of the Rust core alone: criterion's times, counted instructions.

Not here: anything from Python. Criterion's rows are what its last run left under `target`;
instructions are counted by valgrind, whose processor has AVX2 and no AVX-512.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
COUNT = ROOT / "target" / "release" / "examples" / "count"
COUNTED = [
    ("decide", 20, 384),
    ("decide", 100, 384),
    ("decide", 1_000, 384),
    ("decide", 100, 1_536),
    ("far", 100, 384),
    ("options", 100, 384),
    ("fitted", 100, 384),
    ("fitted-options", 100, 384),
    ("many", 100, 384),
    ("open", 100, 384),
]
LEVELS = ("avx2", "scalar")
TIMES = (64, 320)  # whole turns of the 64 queries


def criterion_rows(folder: Path = ROOT / "target" / "criterion") -> list[dict[str, object]]:
    """One row for each benchmark that criterion has run: median and least of its samples."""
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
    """Instructions of one piece of work: the difference of two runs that do more and less."""
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
    """Instructions of the core's hot functions; none where there is no valgrind."""
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
