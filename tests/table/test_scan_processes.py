"""Scanned tables in other processes, what DuckDB may do, and what is left behind.

Not here: the contents of tables (test_scan, test_scan_refusals).
"""

from __future__ import annotations

import gc
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from hypernova.errors import TableError
from hypernova.table import CHUNK_TASKS, OutcomeTable
from project.test_closed import (
    CALL,
    SOCKETS,
    changed_paths,
    environment,
    everything,
    strace,
)
from support.commands import run_python
from support.scanned import chunks_of
from support.tables import assert_one_line, assert_same_table, folder, parquet

if TYPE_CHECKING:
    from pathlib import Path


def shuffled(at: Path, n: int) -> Path:
    """A table of two models whose outcomes stand in no order."""
    order = np.random.default_rng(0).permutation(2 * n)
    ids = np.array([f"t{i}" for i in range(n)])
    parquet(at / "tasks.parquet", {"task_id": ids, "prompt": [f"prompt {i}" for i in range(n)]})
    columns = {
        "task_id": ids[order // 2],
        "model": np.array(["a", "b"])[order % 2],
        "score": (order % 7) / 7,
    }
    return parquet(at / "outcomes.parquet", columns).parent


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("duckdb", reason="joins NOT tested: duckdb is missing")
    return shuffled(tmp_path_factory.mktemp("joined") / "data", CHUNK_TASKS + 100)


READ_ONE = """
import pickle, sys
table = pickle.loads(sys.stdin.buffer.read())
chunk = table.chunk(1)
sys.stdout.write(repr((chunk.task_ids[0], chunk.n_tasks, float(chunk.score.sum()))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["real", "real.jsonl", "joined"])
def test_another_process_reads_a_chunk_and_removes_nothing(
    name: str, joined: Path, tmp_path, monkeypatch
) -> None:
    """From another folder, too."""
    if name == "joined":
        path = joined
    else:
        n = CHUNK_TASKS + 100
        table = OutcomeTable.from_arrays(
            task_ids=[f"t{i}" for i in range(n)],
            prompts=["p"] * n,
            models=["a", "b"],
            score=np.arange(2 * n).reshape(n, 2) % 5 / 4,
        )
        table.save(tmp_path / name)
        monkeypatch.chdir(tmp_path)
        path = name
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with OutcomeTable.scan(path, scratch=scratch) as table:
        want = table.chunk(1)
        there = sorted(scratch.rglob("*"))
        assert bool(there) == (name == "joined")
        done = run_python("-c", READ_ONE, stdin=pickle.dumps(table), cwd="/", code=0)
        assert done.stdout == repr((want.task_ids[0], want.n_tasks, float(want.score.sum())))
        assert sorted(scratch.rglob("*")) == there
        pid = os.fork()
        if pid == 0:  # it ends as a program does, finalizers and all
            try:
                same = table.chunk(1).task_ids == want.task_ids
                del table
                gc.collect()
            finally:
                os._exit(0 if same else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert sorted(scratch.rglob("*")) == there
        assert_same_table(table.chunk(1), want)
    assert list(scratch.iterdir()) == []


def test_joined_outcomes_live_as_long_as_the_table(joined: Path, tmp_path) -> None:
    table = OutcomeTable.scan(joined, scratch=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    copy = pickle.loads(pickle.dumps(table))
    assert_same_table(copy.chunk(0), table.chunk(0))
    del table
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TableError) as caught:
        copy.chunk(1)
    assert_one_line(caught.value, "the joined outcomes in", "scan it again")
    copy.close()


def test_they_are_removed_when_the_process_ends(joined: Path, tmp_path) -> None:
    code = f"""
from hypernova.table import OutcomeTable
table = OutcomeTable.scan({str(joined)!r}, scratch={str(tmp_path)!r})
import os
print(len(os.listdir({str(tmp_path)!r})))
"""
    assert run_python("-c", code, code=0).stdout == "1\n"
    assert list(tmp_path.iterdir()) == []


def test_a_pickle_that_comes_again_goes_on_with_the_same_files(joined: Path) -> None:
    """As when a call for each chunk is sent to a worker."""
    with OutcomeTable.scan(joined) as table:
        data = pickle.dumps(table)
        one, other = pickle.loads(data), pickle.loads(data)
        assert one._scan.reader is other._scan.reader
        assert one._scan.reader is not table._scan.reader
        one.close()
        assert pickle.loads(data).chunk(0).task_ids == table.chunk(0).task_ids


def test_a_table_that_is_refused_leaves_nothing(tmp_path) -> None:
    pytest.importorskip("duckdb")
    for number, score in enumerate((2.0, float("nan"))):
        path = (
            folder(
                tmp_path / str(number),
                {},
                {"task_id": ["t1", "t0", "t1", "t0"], "score": [1.0, 0.0, 0.5, score]},
            )
            if (tmp_path / str(number)).mkdir() is None
            else tmp_path
        )
        scratch = tmp_path / f"scratch{number}"
        scratch.mkdir()
        with chunks_of(1), pytest.raises(TableError, match="row 4, column 'score'"):
            OutcomeTable.scan(path, scratch=scratch)
        assert list(scratch.iterdir()) == []


def test_without_duckdb_the_extra_is_named(tmp_path) -> None:
    path = shuffled(tmp_path / "data", 20)
    code = f"""
import sys
sys.modules["duckdb"] = None
from hypernova.errors import MissingExtraError
from hypernova.table import OutcomeTable
import hypernova.table.scan.cursors as cursors
cursors.CHUNK_TASKS = 1
try:
    OutcomeTable.scan({str(path)!r})
except MissingExtraError as error:
    print(error)
"""
    said = run_python("-c", code, code=0).stdout
    assert 'pip install "hypernova-router[scale]"' in said
    assert said.count("\n") == 1


FULL = """
import resource, sys
from hypernova.errors import TableWriteError
from hypernova.table import OutcomeTable
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    OutcomeTable.scan(sys.argv[1], scratch=sys.argv[2])
except TableWriteError as error:
    print(error)
"""


@pytest.mark.parametrize("spills", [False, True])
def test_a_full_disk_ends_in_one_line(spills: bool, joined: Path, tmp_path) -> None:
    """Played by a limit on the size of files, for our file and for DuckDB's."""
    program = FULL
    if spills:
        program = FULL.replace(
            "resource.setrlimit",
            "import hypernova.table.scan.join as j; j.MEMORY_LIMITS = ('8MiB',)\n"
            "import hypernova.table.scan.duckdb_session as d; d.MEMORY_LIMITS = ('8MiB',)\n"
            "resource.setrlimit",
        )
    done = run_python("-c", program, joined, tmp_path, code=0)
    assert done.stdout.count("\n") == 1, done
    assert "the joined outcomes cannot be written (" in done.stdout
    assert "scratch=" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_join_that_needs_more_memory_gets_it(joined: Path, tmp_path) -> None:
    code = f"""
import hypernova.table.scan.duckdb_session as session
import hypernova.table.scan.join as join
from hypernova.table import OutcomeTable
join.MEMORY_LIMITS = session.MEMORY_LIMITS = ("1MiB", "256MiB")
table = OutcomeTable.scan({str(joined)!r}, scratch={str(tmp_path)!r})
from pathlib import Path
(scratch,) = Path({str(tmp_path)!r}).iterdir()
print(table.n_outcomes, [path.name for path in scratch.iterdir()])
"""
    done = run_python("-c", code, code=0)
    assert done.stdout == f"{2 * (CHUNK_TASKS + 100)} ['256MiB']\n"


INTERRUPTED = """
import sys
from hypernova.table import OutcomeTable
import hypernova.table.scan.join as join
values = join._values
def slow(*arguments):
    import time
    print("joining", flush=True)
    time.sleep(0.2)
    return values(*arguments)
join._values, join._ROWS = slow, 100
try:
    OutcomeTable.scan(sys.argv[1], scratch=sys.argv[2])
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_in_a_join_leaves_nothing(joined: Path, tmp_path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, joined, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "joining\n"
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert rest.endswith("interrupted\n")
    assert time.monotonic() - start < 20
    assert list(tmp_path.iterdir()) == []


STOPPED = """
import signal, sys
from pathlib import Path
import pyarrow, pyarrow.parquet
from hypernova.table.scan.duckdb_session import open_duckdb
from hypernova.table.source import Source
class Ended(BaseException): pass
def end(*_): raise Ended
signal.signal(signal.SIGTERM, end)
try:
    with open_duckdb(Source("t", "row"), pyarrow, Path(sys.argv[1]), "256MiB") as session:
        print("running", flush=True)
        for _ in session.rows("SELECT hash(range) AS h FROM range(1000000000) ORDER BY h"):
            pass
except Ended:
    print("ended")
"""


def test_duckdb_is_stopped_at_once_and_the_error_is_that_of_the_handler(joined, tmp_path) -> None:
    """The query would take minutes."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    time.sleep(0.3)
    process.terminate()
    start = time.monotonic()
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert rest == "ended\n"
    assert time.monotonic() - start < 20


# pyarrow's allocator has a thread from the import on.
CLOSED = """
import os, sys
import pyarrow.parquet
from hypernova.table import OutcomeTable
before = set(os.listdir("/proc/self/task"))
for path in sys.argv[1:]:
    with OutcomeTable.scan(path) as table:
        assert table.chunk(0).n_tasks == sum(1 for _ in table.chunk(0).prompts)
print("threads", len(set(os.listdir("/proc/self/task")) - before))
"""


def test_a_join_opens_no_socket_and_writes_only_to_the_scratch_folder(
    joined: Path, tmp_path
) -> None:
    """DuckDB loads no extension, reads no setting of the user and starts nothing that stays."""
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    before = everything(tmp_path)
    log = tmp_path.parent / f"{tmp_path.name}.log"
    tracer = [strace(), "-f", "-y", "-qq", "-e", "trace=%network,%file", "-o", str(log)]
    program = [sys.executable, "-P", "-c", CLOSED, str(joined)]
    done = subprocess.run(
        [*tracer, *program] if strace() else program,
        cwd=tmp_path / "work",
        env=environment(tmp_path / "home", tmp_path / "tmp"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("threads 0\n", "")
    assert everything(tmp_path) == before
    if not strace():
        pytest.skip("calls NOT traced: strace is missing, or may not trace here")
    trace = log.read_text(errors="replace").splitlines()
    calls = [found for line in trace if (found := CALL.match(line))]
    assert [found[0] for found in calls if found[1] in SOCKETS] == []
    scratch = tmp_path / "tmp"
    # A folder is removed by its descriptor, whose path -y shows.
    others = [line for line in trace if not re.search(rf" unlinkat\(\d+<{scratch}/", line)]
    outside = {p for p in changed_paths(others, tmp_path / "work") if scratch not in p.parents}
    assert outside <= {type(scratch)(os.devnull)}
    assert not [line for line in trace if "duckdbrc" in line or "/.duckdb" in line]


def test_duckdb_reaches_no_file_of_ours(joined: Path, tmp_path) -> None:
    duckdb = pytest.importorskip("duckdb")
    from hypernova.table.scan.duckdb_session import open_duckdb
    from hypernova.table.source import Source

    with open_duckdb(Source("t", "row"), pa, tmp_path, "256MiB") as session:
        for statement in (
            f"SELECT * FROM read_parquet('{joined}/tasks.parquet')",
            f"SELECT * FROM '{joined}/tasks.parquet'",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/other.db'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SELECT * FROM joined",
        ):
            with pytest.raises(duckdb.Error):
                session.run(statement)
    assert list(tmp_path.rglob("*.*")) == []
