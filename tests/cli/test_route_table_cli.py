"""`hypernova route --input`: what it prints, its exit codes, and how it is ended and fails.

Not here: the decisions (tests/router/test_route_table.py).
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hypernova
from hypernova.cli import main
from support.commands import fails_in_one_line, run
from support.factories import fitted, unit
from support.tables import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds within which a command that was told to end is gone; more where the machine waits.
GONE_S = 5.0
TEXTS = [
    "Fix the race in the scheduler of the worker pool",
    "QuerySet.union() drops the ordering of the second query",
    "Sort a list of tuples by its second element",
]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> Path:
    """Prompts for some minutes of embedding, in row groups as other tools write them."""
    path = tmp_path_factory.mktemp("prompts") / "many.parquet"
    texts = pa.array([" ".join(TEXTS) * 9] * 20_000)
    with pq.ParquetWriter(path, pa.schema([("prompt", pa.string())])) as writer:
        for _ in range(20):
            writer.write_table(pa.table({"prompt": texts}))
    return path


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> tuple[Path, Path]:
    """An artifact of vectors and a table of them, whose decisions are many and quick."""
    folder = tmp_path_factory.mktemp("vectors")
    artifact, _ = fitted(0)
    artifact.save(folder / "vectors.hnv")
    rows = unit(np.random.default_rng(0).normal(size=(20_000, 16)))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 16)
    ids = [f"{i:032x}" for i in np.random.default_rng(1).permutation(20_000)]
    parquet(folder / "vectors.parquet", {"embedding": lists, "task_id": ids})
    return folder / "vectors.hnv", folder / "vectors.parquet"


def test_what_it_prints(tmp_path: Path) -> None:
    given = parquet(tmp_path / "p.parquet", {"prompt": TEXTS, "task_id": ["a", "b", "c"]})
    out = tmp_path / "out.parquet"
    options = ("--cost-weight", 0.2, "--deny", "o3 (2025-04-16)", "--explore", 0)
    done = run("route", "--input", given, "--output", out, *options, code=0)
    assert done.stderr == ""
    first, second, *models = done.stdout.splitlines()
    assert first == f"wrote {out}"
    assert second.startswith("3 prompts in ")
    counted = [line.split(maxsplit=2) for line in models]
    assert sum(int(count) for count, *_ in counted) == 3
    router = hypernova.Router.open()
    expected = router.route_many(TEXTS, cost_weight=0.2, deny=["o3 (2025-04-16)"])
    table = pq.read_table(out)
    assert table.column("model").to_pylist() == [d.model for d in expected]
    assert table.column("task_id").to_pylist() == ["a", "b", "c"]
    assert {name for *_, name in counted} == {d.model for d in expected}


def test_a_prompt_without_a_decision_is_exit_code_1(tmp_path: Path, capsys) -> None:
    given, out = tmp_path / "p.txt", tmp_path / "out.parquet"
    given.write_text("Fix the race\n\nSort a list\n")
    assert main(["route", "--input", str(given), "--output", str(out), "--json"]) == 1
    said = capsys.readouterr()
    assert said.err == (
        f"hypernova: {out}: 1 of 3 prompts have no decision; the column 'error' says why\n"
    )
    counts = json.loads(said.out)
    assert (counts["n_prompts"], counts["n_decided"], counts["n_errors"]) == (3, 2, 1)
    assert pq.read_table(out).column("error").null_count == 2


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--input", "p.csv", "--output", "o.csv"), "o.csv: decisions are written as Parquet"),
        (("--input", "p.csv", "--output", "p.csv"), "p.csv: is what the command reads"),
        (("--input", "*.parquet", "--output", "p.parquet"), "p.parquet: is what the command reads"),
        (("--input", "p.csv", "--output", "no/o.parquet"), "does not exist; make it first"),
        (("--input", "gone.csv", "--output", "o.parquet"), "gone.csv: no such file or folder"),
        (("--input", "p.csv", "--output", "o.parquet", "--allow", "x"), "the model"),
    ],
)
def test_refused_in_one_line(arguments, part: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text("prompt\nx\n")
    parquet(Path("p.parquet"), {"prompt": ["x"]})
    assert main(["route", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("hypernova: ")
    assert said.err.count("\n") == 1
    assert part in said.err
    assert sorted(os.listdir()) == ["p.csv", "p.parquet"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "the following arguments are required: TEXT, or --input"),
        (("a text", "--input", "p.csv", "--output", "o.parquet"), "give one of the two"),
        (("-", "--input", "p.csv", "--output", "o.parquet"), "give one of the two"),
        (("--explain", "--input", "p.csv", "--output", "o.parquet"), "--explain takes a TEXT"),
        (("--input", "p.csv"), "--input takes --output"),
        (("a text", "--output", "o.parquet"), "--output is for the decisions of --input"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(arguments, part: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["route", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("hypernova route: ")
    assert part in said


class Routing:
    """`hypernova route --input` as a process, in a folder that holds nothing else."""

    def __init__(self, folder: Path, prompts: Path, **options: object) -> None:
        self.folder = folder
        command = ["route", "--input", str(prompts), "--output", "out.parquet"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hypernova.cli", *command],
            cwd=folder, stdout=subprocess.PIPE, start_new_session=True,
            **({"stderr": subprocess.PIPE} | options),
        )  # fmt: skip

    def wait_for_the_file(self) -> None:
        """Wait for a temporary file; the first one is that of the check before the work."""
        end = time.monotonic() + 60
        while not list(self.folder.glob(".hypernova-*")):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.fixture
def routing(tmp_path: Path, prompts: Path) -> Iterator[Routing]:
    started = Routing(tmp_path, prompts)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


@pytest.mark.parametrize(
    ("number", "code", "after"),
    [
        (signal.SIGINT, 130, 0.0),
        (signal.SIGTERM, 143, 0.0),
        pytest.param(signal.SIGTERM, 143, 0.7, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, 2.5, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, 0.2, marks=pytest.mark.slow),
    ],
)
def test_it_ends_when_told_to_and_leaves_nothing(
    routing: Routing, number: signal.Signals, code: int, after: float
) -> None:
    routing.wait_for_the_file()
    time.sleep(after)
    os.killpg(routing.process.pid, number)
    out, err = routing.process.communicate(timeout=GONE_S)
    assert (routing.process.returncode, out, err) == (code, b"", b"")
    assert list(routing.folder.iterdir()) == []


@pytest.mark.slow
def test_it_ends_at_any_moment(vectors, tmp_path: Path) -> None:
    """Signals while the decisions are written, synced and renamed: the whole file or none."""
    artifact, table = vectors
    code = f"""
import os, signal, sys, threading, time
from hypernova.cli import main
def end():
    while not [name for name in os.listdir() if name.startswith(".hypernova-")]: time.sleep(1e-3)
    time.sleep(float(sys.argv[1]))
    os.kill(os.getpid(), signal.SIGTERM)
import pyarrow.parquet
threading.Thread(target=end, daemon=True).start()
named = ["-a", {str(artifact)!r}, "--input", {str(table)!r}, "--output", "o.parquet"]
sys.exit(main(["route", *named]))
"""
    ended = []
    for delay in (0, 0.01, 0.02, 0.04, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3):
        folder = tmp_path / str(delay)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", code, str(delay)], cwd=folder, capture_output=True, check=False
        )
        left = [path.name for path in folder.iterdir()]
        assert done.stderr == b""
        if left:
            assert left == ["o.parquet"]
            assert pq.ParquetFile(folder / "o.parquet").metadata.num_rows == 20_000
        ended.append(done.returncode)
        assert done.returncode in (0, 143, -signal.SIGTERM)
        if done.returncode == 0:
            break
    assert 143 in ended


@pytest.mark.parametrize("largest", [0, 300, 100_000, 500_000])
def test_a_full_disk_is_one_line_and_leaves_the_old_file(vectors, tmp_path, largest: int) -> None:
    """It may be full at the first byte, in a row group and at the end."""
    artifact, table = vectors
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    said = fails_in_one_line(
        "route", "-a", artifact, "--input", table, "--output", out, preexec_fn=limit
    )
    assert f"{out}: cannot be written" in said
    assert "File too large" in said
    assert out.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_damaged_prompts_are_one_line(tmp_path: Path) -> None:
    good = parquet(tmp_path / "parts" / "0.parquet", {"prompt": TEXTS}).read_bytes()
    (tmp_path / "parts" / "1.parquet").write_bytes(good[:-20])
    out = tmp_path / "out.parquet"
    said = fails_in_one_line("route", "--input", tmp_path / "parts", "--output", out)
    assert "1.parquet: is not a readable Parquet file" in said
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


@pytest.mark.slow
def test_a_terminal_shows_a_rate_and_the_time_left(prompts: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    routing = Routing(tmp_path, prompts, stderr=theirs)
    os.close(theirs)
    seen = b""
    end = time.monotonic() + 60
    try:
        while b"it/s" not in seen and time.monotonic() < end:
            if select.select([ours], [], [], 1.0)[0]:
                seen += os.read(ours, 4096)
        routing.process.terminate()
        routing.process.communicate(timeout=GONE_S)
    finally:
        routing.process.kill()
        routing.process.communicate()
        os.close(ours)
    assert "routing many.parquet" in seen.decode()
    assert re.search(r"\d+/400000 \[\d+:\d+<[\d:]+, .*it/s\]", seen.decode())
    assert list(tmp_path.iterdir()) == []
