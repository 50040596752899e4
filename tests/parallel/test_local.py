"""The local engine: order, errors, bounds and endings of calls in real processes.

Not here: `hypernova evaluate` that is told to end (`tests/cli/test_signals.py`), and Ray.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova.errors import EvaluationError, FitError, TableError, WorkerError
from hypernova.parallel import check_engine, default_jobs, map_calls, processes
from support.calls import (
    fails,
    interrupting,
    products,
    resident_mb,
    same_bytes,
    sleeps,
    zeros,
)
from support.commands import run_python
from support.paths import PACKAGES, TESTS
from support.process_tree import PROC, alive, children, until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Seconds within which a process that was told to end is gone; generous, as the machine is shared.
GONE_S = 5.0


def made(calls: Iterable[partial[Any]], jobs: int, **options: Any) -> Iterator[Any]:
    return map_calls(calls, jobs=jobs, **{"total": 1000, "description": "", **options})


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    if not PROC.is_dir():
        pytest.skip("processes NOT looked for: there is no /proc")
    before = children(os.getpid())  # of other tests: multiprocessing keeps some of its own
    yield
    assert children(os.getpid()) <= before


class TestResults:
    @pytest.mark.parametrize("jobs", [1, pytest.param(3, marks=pytest.mark.slow)])
    def test_they_are_in_the_order_of_the_calls(self, jobs: int) -> None:
        calls = (partial(divmod, i, 7) for i in range(20))
        assert list(made(calls, jobs)) == [divmod(i, 7) for i in range(20)]

    @pytest.mark.slow
    @given(waits=st.lists(st.sampled_from([0.0, 0.002, 0.02]), max_size=12), jobs=st.integers(2, 3))
    @settings(max_examples=5)
    def test_they_are_in_order_whichever_call_is_done_first(self, waits, jobs) -> None:
        calls = [partial(sleeps, wait, i) for i, wait in enumerate(waits)]
        assert list(made(calls, jobs)) == list(range(len(waits)))

    def test_no_call_is_no_process_and_no_result(self) -> None:
        assert list(made([], 4, total=0)) == []

    @pytest.mark.slow
    def test_no_more_processes_than_calls(self) -> None:
        pids = list(made([partial(os.getpid)] * 2, 8, total=2))
        assert len(set(pids)) <= 2

    def test_one_job_is_this_process(self) -> None:
        assert set(made([partial(os.getpid)] * 2, 1)) == {os.getpid()}

    @pytest.mark.slow
    def test_several_jobs_are_other_processes(self) -> None:
        pids = set(made([partial(sleeps, 0.05, None), *[partial(os.getpid)] * 6], 2)) - {None}
        assert 1 <= len(pids) <= 2
        assert os.getpid() not in pids

    @pytest.mark.slow
    def test_what_a_call_prints_is_no_result(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert list(made([partial(os.write, 1, b"printed")] * 2, 2)) == [7, 7]
        assert capfd.readouterr().out == ""


class TestThreads:
    @pytest.mark.slow
    @pytest.mark.parametrize("threads", [1, 2])
    def test_libraries_of_a_process_compute_in_the_threads_asked_for(self, threads: int) -> None:
        names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
        there = made([partial(os.getenv, name) for name in names], 2, threads=threads)
        assert set(there) == {str(threads)}

    def test_in_this_process_they_do_so_during_a_call_only(self) -> None:
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(2)
        try:
            for threads in made([partial(faiss.omp_get_max_threads)] * 2, 1):
                assert threads == 1
                assert faiss.omp_get_max_threads() == 2
        finally:
            faiss.omp_set_num_threads(before)

    @pytest.mark.slow
    def test_the_same_bytes_with_any_number_of_jobs(self) -> None:
        """In a program whose libraries compute in two threads, which sum in another order."""
        program = (
            "from functools import partial; from hypernova.parallel import map_calls\n"
            "from support.calls import products\n"
            "for jobs in (1, 2):\n"
            "    calls = [partial(products, seed) for seed in range(2)]\n"
            "    print(*map_calls(calls, jobs=jobs, total=2, description=''))\n"
        )
        two = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
        env = {**os.environ, **two, "PYTHONPATH": os.pathsep.join(map(str, (PACKAGES, TESTS)))}
        here, there = run_python("-c", program, env=env, code=0).stdout.splitlines()
        assert here == there
        assert here.split() == [products(0), products(1)]  # conftest asks for one thread


class TestSharedArguments:
    @pytest.mark.slow
    def test_one_is_sent_once_to_each_process(self) -> None:
        shared = [1, 2, 3]
        calls = [partial(id, shared) for _ in range(6)]
        assert len(set(made(calls, 2, shared=(shared,)))) <= 2
        calls = [partial(sum, shared, start=i) for i in range(3)]
        assert list(made(calls, 2, shared=(shared, "another"))) == [6, 7, 8]

    @pytest.mark.slow
    def test_equal_objects_are_not_taken_for_one(self) -> None:
        shared = np.ones(3)
        calls = [partial(same_bytes, shared, other) for other in (np.ones(3), np.zeros(3), shared)]
        assert list(made(calls, 2, shared=(shared,))) == [True, False, True]


class TestErrors:
    @pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
    def test_the_exception_of_a_call_is_raised_as_it_is(self, jobs: int) -> None:
        results = made([partial(int, text) for text in ("1", "x", "2", "y")], jobs)
        assert next(results) == 1
        with pytest.raises(ValueError, match="'x'") as caught:
            next(results)
        if jobs > 1:
            assert "Traceback" in caught.value.__notes__[0]

    @pytest.mark.slow
    def test_the_first_call_that_fails_is_named_not_the_soonest(self) -> None:
        calls = [partial(fails, 0.3, "first"), partial(fails, 0.0, "second")]
        with pytest.raises(TableError, match=r"^first\n"):
            list(made(calls, 2))

    @pytest.mark.slow
    def test_no_call_begins_once_one_has_failed(self, tmp_path: Path) -> None:
        calls = [partial(sleeps, 0.5, 0), partial(fails, 0.0, "at once")]
        calls += [partial(Path.touch, tmp_path / str(i)) for i in range(5)]
        with pytest.raises(TableError):
            list(made(calls, 2))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.slow
    def test_a_result_that_does_not_pickle_is_said(self) -> None:
        with pytest.raises(RuntimeError, match="does not pickle"):
            list(made([partial(open, os.devnull)] * 2, 2))

    @pytest.mark.slow
    def test_a_process_that_ends_by_itself_is_said(self) -> None:
        with pytest.raises(WorkerError, match=r"exit code 3"):
            list(made([partial(os._exit, 3)] * 2, 2))

    @pytest.mark.slow
    def test_a_failure_of_the_calls_themselves_ends_the_processes(self) -> None:
        def calls() -> Iterator[partial[Any]]:
            yield partial(int, "1")
            yield partial(int, "2")
            raise KeyError("no third call")

        with pytest.raises(KeyError, match="no third call"):
            list(made(calls(), 2))


class TestBounds:
    def test_nothing_starts_before_the_first_result_is_read(self) -> None:
        before = children(os.getpid())
        results = made(iter([partial(int, "1")]), 2)
        assert children(os.getpid()) == before
        assert list(results) == [1]

    @pytest.mark.slow
    def test_calls_are_taken_as_results_are_read(self) -> None:
        taken = []

        def calls() -> Iterator[partial[Any]]:
            for i in count():
                taken.append(i)
                yield partial(int, i)

        with closing(made(calls(), 2)) as results:
            next(results)
            before = len(taken)
            time.sleep(0.5)
            assert len(taken) == before
            next(results)

    @pytest.mark.slow
    def test_results_that_wait_for_a_slow_call_are_bounded(self, monkeypatch) -> None:
        monkeypatch.setattr(processes, "MAX_WAITING_BYTES", 3 << 20)
        taken = []

        def calls() -> Iterator[partial[Any]]:
            yield partial(sleeps, 1.5, 0)
            for i in range(50):
                taken.append(i)
                yield partial(zeros, 1 << 20)

        results = made(calls(), 2)
        next(results)
        assert 3 <= len(taken) <= 5  # three that wait, one beyond, and one for the first process
        assert sum(map(len, results)) == 50 << 20

    @pytest.mark.slow
    def test_many_large_results_do_not_add_up(self) -> None:
        """A thousand results of a megabyte, each read and dropped."""
        results = made((partial(zeros, 1 << 20) for _ in range(1000)), 2)
        next(results)
        before = resident_mb()
        for result in results:
            assert len(result) == 1 << 20
        assert resident_mb() - before < 100


class TestEndings:
    @pytest.mark.slow
    def test_closing_the_iterator_ends_the_processes_in_the_middle_of_a_call(self) -> None:
        before = children(os.getpid())
        results = made([partial(int, "1"), partial(sleeps, 600, 0), partial(sleeps, 600, 0)], 2)
        assert next(results) == 1
        started = children(os.getpid()) - before
        assert len(started) == 2
        results.close()
        assert children(os.getpid()) == before

    @pytest.mark.slow
    def test_an_exception_of_whoever_reads_ends_them(self) -> None:
        results = made([partial(int, "1"), partial(sleeps, 600, 0)], 2)
        with pytest.raises(ZeroDivisionError), closing(results):
            assert next(results) / 0

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
                list(made([partial(time.sleep, 60)] * 2, 2))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @pytest.mark.slow
    @pytest.mark.parametrize("jobs", [1, 2])
    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_a_command_that_maps_ends_on_a_signal(self, name: str, jobs: int) -> None:
        with interrupting("local", jobs) as process:
            workers = children(process.pid)
            assert len(workers) == (jobs if jobs > 1 else 0)
            os.killpg(process.pid, signal.Signals[name])  # as a terminal does: to all of them
            out, err = process.communicate(timeout=GONE_S)
            assert (process.returncode, out, err) == (128 + signal.Signals[name], b"", b"")
            assert until(lambda: not any(map(alive, workers)), GONE_S)

    @pytest.mark.slow
    def test_processes_end_when_the_command_is_killed(self) -> None:
        with interrupting("local", 2) as process:
            workers = children(process.pid)
            process.kill()
            process.communicate()
            assert until(lambda: not any(map(alive, workers)), GONE_S)

    @pytest.mark.slow
    def test_they_import_nothing_of_the_working_directory(self, tmp_path: Path) -> None:
        for name in ("pickle", "numpy", "hypernova"):
            (tmp_path / f"{name}.py").write_text("raise SystemExit('this is not to be run')")
        program = tmp_path / "program" / "run.py"
        program.parent.mkdir()
        program.write_text(
            "from functools import partial\n"
            "from hypernova.parallel import map_calls\n"
            "calls = [partial(int, '1'), partial(int, '2')]\n"
            "print(list(map_calls(calls, jobs=2, total=2, description='')))\n"
        )
        done = run_python(program, cwd=tmp_path)
        assert (done.stdout, done.stderr) == ("[1, 2]\n", "")


class TestProgress:
    @pytest.mark.slow
    def test_a_bar_shows_the_rate_and_the_time_left_while_calls_take_long(self) -> None:
        """Two calls of 2.5 s: the clock of the bar goes on between them."""
        pty = pytest.importorskip("pty", reason="pseudo-terminals are there on Unix only")
        termios = pytest.importorskip("termios")
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        program = (
            "import time; from functools import partial; from hypernova.parallel import map_calls\n"
            "calls = [partial(time.sleep, 0.1), *[partial(time.sleep, 2.5)] * 4]\n"
            "list(map_calls(calls, jobs=2, total=5, description='summing', progress=True))"
        )
        process = subprocess.Popen([sys.executable, "-c", program], stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
        assert process.wait(timeout=60) == 0
        assert b"summing:" in shown
        times = re.findall(rb"(\d)/5 \[00:0(\d)<(00:\d\d|\?), +([\d.]+(?:s/it|it/s)|\?it/s)", shown)
        assert len({(count, elapsed) for count, elapsed, _, _ in times}) >= 4, shown
        assert any(left != b"?" for _, _, left, _ in times)


class TestCheckEngine:
    def test_local_needs_nothing(self) -> None:
        assert check_engine("local", FitError) == "local"

    @pytest.mark.parametrize("engine", ["dask", "", "Ray", None, 2, np.ones(3)])
    def test_another_name_is_one_line(self, engine: object) -> None:
        with pytest.raises(EvaluationError, match=r"^engine is .+; expected 'local' or 'ray'$"):
            check_engine(engine, EvaluationError)


def test_jobs_are_the_cores_of_this_process() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("cores NOT limited: this system cannot")
    program = (
        "import os; from hypernova.parallel import default_jobs\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(default_jobs())"
    )
    assert run_python("-c", program, code=0).stdout == "1\n"
    assert default_jobs() == len(os.sched_getaffinity(0))
