"""Nothing leaves the process: no socket, no file but those that were named, no foreign thread.

Each way in runs as a process of its own with an empty home, under ``strace`` where that is
installed. Not here: LiteLLM (`test_litellm.py`), and what an artifact may hold (`test_format.py`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import hypernova
from support.commands import run_python
from support.paths import EXPORTS, PACKAGES, ROOT
from support.server import serving
from support.tracing import strace

TABLE = ROOT / "examples" / "simulated.jsonl"
BERT = EXPORTS / "bert-mean"

# Before a way: nothing. After it: which threads there are, those of C included.
PROGRAM = """
import os, sys, threading
{way}
known = {{str(thread.native_id) for thread in threading.enumerate()}}
found = set(os.listdir("/proc/self/task")) - known
names = [open(f"/proc/self/task/{{thread}}/comm").read().strip() for thread in found]
# pyarrow's allocator gives memory back in one.
print("foreign threads", len([name for name in names if name != "jemalloc_bg_thd"]))
"""
COMMAND = """
from hypernova.cli import main
code = main(sys.argv[1:])
assert code == 0, code
"""
LIBRARY = """
import asyncio, hypernova
async def several(router):
    return await asyncio.gather(*(router.aroute(text) for text in ["Join two tables"] * 8))
for name in sys.argv[1:]:
    router = hypernova.Router.open(name, watch=0.05)
    router.route("Join two tables")
    router.route_many(["Join two tables", "Write a verse"])
    asyncio.run(several(router))
"""
# Whoever imports hypernova first may import onnxruntime as they like.
OWN = "import hypernova, onnxruntime"

WAYS: dict[str, tuple[str, tuple[str, ...], set[str]]] = {
    "route": (COMMAND, ("route", "Join two tables"), set()),
    "route a table": (
        COMMAND,
        ("route", "--input", "table.jsonl", "--output", "made.parquet"),
        {"made.parquet"},
    ),
    "inspect": (COMMAND, ("inspect", "static.hnv"), set()),
    "import": (
        COMMAND,
        ("import", "small.eval", "large.eval", "-o", "made.jsonl"),
        {"made.jsonl"},
    ),
    "fit": (COMMAND, ("fit", "table.jsonl", "-o", "made.hnv", "--clusters", "2"), {"made.hnv"}),
    "fit minilm": (
        COMMAND,
        ("fit", "table.jsonl", "-o", "made.hnv", "--clusters", "2", "--embedder", "minilm"),
        {"made.hnv"},
    ),
    "evaluate": (
        COMMAND,
        (
            *("evaluate", "table.jsonl", "--folds", "2", "--repeats", "1", "--clusters", "2"),
            *("--jobs", "2", "--no-learning-curve", "--json", "made.json", "--html", "made.html"),
        ),
        {"made.json", "made.html"},
    ),
    "export": (
        COMMAND,
        ("export-embedder", str(BERT), "-o", "made"),
        {"made", "made/model.onnx", "made/tokenizer.json", "made/embedder.json"},
    ),
    "library": (LIBRARY, ("static.hnv", "minilm.hnv"), set()),
    "own import": (OWN, (), set()),
}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that are there before."""
    folder = tmp_path_factory.mktemp("given")
    table = hypernova.OutcomeTable.read(TABLE).subset(np.arange(0, 320, 5))
    table.save(folder / "table.jsonl")
    for size in ("small", "large"):
        log = ROOT / "examples" / "logs" / "inspect" / f"arithmetic-{size}.eval"
        shutil.copy(log, folder / f"{size}.eval")
    for name in ("static", "minilm"):
        artifact = hypernova.fit(table, clusters=2, embedder=name, describe=False)
        artifact.save(folder / f"{name}.hnv")
    return folder


class Ran(NamedTuple):
    """The traces of one way in, and the places that it was given."""

    done: subprocess.CompletedProcess[str]
    folder: Path
    before: set[str]
    allowed: set[str]
    trace: list[str] | None


def environment(home: Path | str, temporary: Path | str) -> dict[str, str]:
    """As a login has it, and one thread for the libraries that compute in as many as there are."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PACKAGES),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(
    scope="module",
    params=[pytest.param(w, marks=() if w == "route" else pytest.mark.slow) for w in WAYS],
)
def ran(
    request: pytest.FixtureRequest, given: Path, tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    way, arguments, allowed = WAYS[request.param]
    folder = tmp_path_factory.mktemp("ran")
    for name in ("home", "tmp", "work"):
        (folder / name).mkdir()
    for file in given.iterdir():
        shutil.copy(file, folder / "work")
    before = everything(folder)
    log = tmp_path_factory.mktemp("trace") / "log"
    tracer = [strace(), "-f", "-qq", "-e", "trace=%network,%file", "-o", str(log)]
    program = [sys.executable, "-P", "-c", PROGRAM.format(way=way), *arguments]
    done = subprocess.run(
        [*tracer, *program] if strace() else program,
        cwd=folder / "work",
        env=environment(folder / "home", folder / "tmp"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    trace = log.read_text(errors="replace").splitlines() if strace() else None
    return Ran(done, folder, before, {f"work/{name}" for name in allowed}, trace)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_way_in_leaves_nothing_but_what_was_named(ran: Ran) -> None:
    assert ran.done.returncode == 0, ran.done.stderr
    assert ran.done.stderr == ""
    assert everything(ran.folder) - ran.before == ran.allowed
    assert everything(ran.folder) >= ran.before


def test_a_way_in_starts_no_thread_of_others(ran: Ran) -> None:
    assert ran.done.stdout.splitlines()[-1] == "foreign threads 0"


# A call begins its line, after the process' number; one that was interrupted is resumed.
CALL = re.compile(r"^\d+ +(\w+)\((.*)")
# Not a pair of them, by which an event loop wakes itself: that leads nowhere else.
SOCKETS = {"socket", "connect", "bind", "listen"}
OPENS = {"open", "openat", "openat2"}
FOR_WRITING = re.compile("O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE")
CHANGES = {
    *("creat", "mkdir", "mkdirat", "mknod", "mknodat", "rmdir", "truncate", "unlink", "unlinkat"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("chmod", "fchmodat", "chown", "fchownat", "utimensat"),
}


def test_a_way_in_opens_no_socket(ran: Ran) -> None:
    """None at all, not even one of this machine's resolver or log."""
    if ran.trace is None:
        pytest.skip("sockets NOT traced: strace is missing, or may not trace here")
    calls = [found for line in ran.trace if (found := CALL.match(line))]
    assert len(calls) > 100
    assert [found[0] for found in calls if found[1] in SOCKETS] == []


def test_a_way_in_writes_only_where_it_was_told(ran: Ran) -> None:
    if ran.trace is None:
        pytest.skip("files NOT traced: strace is missing, or may not trace here")
    work = ran.folder / "work"
    outputs = [ran.folder / place for place in ran.allowed]
    for path in changed_paths(ran.trace, work):
        # Made under a hidden name beside a file that was named, and then renamed to it.
        hidden = work in path.parents and path.relative_to(work).parts[0].startswith(".")
        assert path == Path(os.devnull) or path in outputs or (outputs and hidden), path


def changed_paths(trace: list[str], folder: Path) -> set[Path]:
    """The paths that a process in a folder opened for writing, made, renamed or removed."""
    paths = set()
    for line in trace:
        found = CALL.match(line)
        if found is None or re.search(r" = -1 E\w+ \(", line):
            continue
        if found[1] in CHANGES or (found[1] in OPENS and FOR_WRITING.search(line)):
            named = re.findall(r'"((?:[^"\\]|\\.)*)"', found[2])
            paths |= {Path(os.path.normpath(folder / name)) for name in named}
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("way", ["route", "own import"])
def test_a_home_that_cannot_be_written_is_not_mentioned(way: str, tmp_path: Path) -> None:
    program, arguments, _ = WAYS[way]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(way=program), *arguments],
        env=environment("/dev/null/home", tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_server_listens_at_its_port_and_has_no_other_socket(tmp_path: Path) -> None:
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    env = environment(tmp_path / "home", tmp_path / "tmp")
    with serving(env=env) as server:
        with server.client() as client:
            client.post("/v1/route", json={"text": "Join two tables"}).raise_for_status()
            assert len(open_sockets(server.process.pid)) == 2  # the client's, too
        listening = f"0100007F:{server.port:04X}"
        assert set(open_sockets(server.process.pid).values()) <= {listening}
        # Answered at once, so that not even its own threads have begun.
        assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) == 1
        lines = list(server.lines)
    assert everything(tmp_path) == {"home", "tmp"}
    assert [line for line in lines if not line.startswith("hypernova: INFO: ")] == []


def test_a_progress_bar_has_neither_a_thread_nor_a_semaphore() -> None:
    program = """
import sys, threading
from hypernova.progress import progress_bar
with progress_bar(2, "counting", True) as tick:
    tick(1)
    assert threading.enumerate() == [threading.main_thread()]
    assert "multiprocessing.synchronize" not in sys.modules
"""
    run_python("-c", program, code=0)


def open_sockets(pid: int) -> dict[str, str]:
    """The local address of each socket of the internet that a process has, by its inode."""
    there = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:  # closed since it was listed, as a client's is that hung up
            continue
        if found := re.fullmatch(r"socket:\[(\d+)\]", target):
            there[found[1]] = ""
    of_internet = {}
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        file = Path(f"/proc/{pid}/net/{kind}")
        for line in file.read_text().splitlines()[1:] if file.exists() else ():
            fields = line.split()
            if fields[9] in there:
                of_internet[fields[9]] = fields[1]
    return of_internet


class TestTelemetry:
    """The variable that turns onnxruntime's telemetry off."""

    @staticmethod
    def after_import(value: str | None) -> str:
        env = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
        if value is not None:
            env["ORT_DISABLE_TELEMETRY"] = value
        program = "import os, hypernova; print(os.environ['ORT_DISABLE_TELEMETRY'])"
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    @pytest.mark.slow
    @pytest.mark.parametrize("value", ["1", "0", "false"])
    def test_a_value_that_is_set_is_left_alone(self, value: str) -> None:
        assert self.after_import(value) == value

    @pytest.mark.slow
    @pytest.mark.parametrize("value", [None, ""])
    def test_without_a_value_telemetry_is_off(self, value: str | None) -> None:
        assert self.after_import(value) == "1"

    @pytest.mark.slow
    def test_it_is_off_where_the_environment_was_cleared(self) -> None:
        program = (
            "import os, hypernova; os.environ.clear(); hypernova.Embedder.load('minilm')\n"
            "print(os.environ['ORT_DISABLE_TELEMETRY'])"
        )
        done = run_python("-c", program, code=0)
        assert done.stdout == "1\n"

    def test_one_module_imports_onnxruntime(self) -> None:
        """Else it would do so with its telemetry on, were it the first."""
        pattern = re.compile(r"^\s*(import\s+onnxruntime|from\s+onnxruntime\b)", re.MULTILINE)
        folders = ("python", "benches", "models", "tests", "examples")
        sources = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
        assert len(sources) > 100
        found = [path for path in sources if pattern.search(path.read_text(encoding="utf-8"))]
        assert found == [ROOT / "python/hypernova/embedder/onnx/runtime.py"]
