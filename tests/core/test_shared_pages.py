"""Processes that map the same artifact share its pages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hypernova

PROCESSES, CLUSTERS, DIM = 8, 500, 1_024
OPENER = """
import sys
import numpy as np
import hypernova
artifact = hypernova.Artifact.open(sys.argv[1], mmap=True)
artifact.decide(artifact.centroids[7])
print("ready", flush=True)
sys.stdin.readline()
"""


def mapping(pid: int, path: Path) -> dict[str, int]:
    """Figures of /proc/PID/smaps for the file, in kB, summed over its mappings."""
    sums: dict[str, int] = {}
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            inside = bool(rest) and rest[-1] == str(path)
        elif inside and rest[-1] == "kB":
            sums[first[:-1]] = sums.get(first[:-1], 0) + int(rest[0])
    return sums


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no /proc/PID/smaps here")
def test_eight_processes_share_the_pages(tmp_path: Path) -> None:
    cells = np.full((CLUSTERS + 1, 2), 0.5, np.float32)
    identity = {"kind": "vectors", "name": "t", "dim": DIM, "fingerprint": "ab" * 32}
    path = tmp_path / "router.hnv"
    hypernova.Artifact.build(
        models=["a", "b"],
        centroids=np.random.default_rng(0).normal(size=(CLUSTERS, DIM)).astype(np.float32),
        counts=np.ones((CLUSTERS + 1, 2)),
        mean=cells,
        success=cells,
        standard_error=cells,
        gain_error=cells,
        cost=cells,
        latency=cells,
        novelty=np.array([0, 100], np.float32),
        embedder=json.dumps(identity),
        metadata="{}",
        default_model=0,
    ).save(path)
    size = path.stat().st_size / 1024
    command = [sys.executable, "-c", OPENER, str(path)]
    openers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == "ready\n"
        figures = [mapping(opener.pid, path) for opener in openers]
    finally:
        for opener in openers:
            opener.communicate("\n", timeout=60)
    for seen in figures:
        assert seen["Rss"] >= 0.9 * size, "all of the file was read when it was opened"
        assert seen["Private_Dirty"] == 0
        # Its part of what all share; the pages of the table of sections included.
        assert seen["Pss"] <= seen["Rss"] / PROCESSES * 1.1
