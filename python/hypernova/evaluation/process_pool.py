"""A pool of processes that end with this one, and leave nothing behind.

Not here: the functions that are called. The pools of joblib and of the standard library are
not used: they keep semaphores and folders under names that outlive a killed process, and
joblib's processes go on for minutes. These processes speak through unnamed pipes, and end as
soon as their pipe is closed.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections import Counter
from contextlib import contextmanager
from multiprocessing.connection import Connection, Pipe, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

from hypernova.errors import WorkerError
from hypernova.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from functools import partial

# Threads beyond the number of cores wait for each other.
_ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")
}
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
# A worker imports from where this process does, and never from the working directory.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from hypernova.evaluation.process_pool import run_worker; run_worker()"
)


def in_processes(calls: Sequence[partial[Any]], jobs: int, progress: bool) -> list[Any]:
    """Make all calls in ``jobs`` processes, and return the results in order.

    Each process uses one thread: k-means on small parts slows down manyfold with more threads
    than cores. With one job the calls are made in this process.

    Args:
        calls: Module-level functions with their arguments, which must pickle. An argument that
            several calls share is sent once to each process.
        jobs: Number of processes, from 1.
        progress: Show a progress bar after a second.

    Raises:
        WorkerError: Something else ended a process.
        Exception: The exception that a call raises; the other calls are given up.
    """
    jobs = min(jobs, len(calls))
    with progress_bar(len(calls), "evaluating", progress) as tick:
        if jobs == 1:
            results = []
            with _one_thread():
                for call in calls:
                    results.append(call())
                    tick(1)
            return results
        shared = _SharedArguments(calls)
        workers: list[_Worker] = []
        try:
            with _signals_blocked():
                while len(workers) < jobs:
                    workers.append(_Worker())
            return _collect(calls, workers, shared, tick)
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.close()


def _collect(
    calls: Sequence[partial[Any]],
    workers: list[_Worker],
    shared: _SharedArguments,
    tick: Callable[[int], None],
) -> list[Any]:
    """Collect the result of each call; a worker gets the next call after each answer."""
    for worker in workers:
        worker.send(shared.values)
    results: list[Any] = [None] * len(calls)
    busy = {worker.answers: (worker, i) for i, worker in enumerate(workers)}
    for worker, i in busy.values():
        worker.send(shared.pickled(calls[i]))
    following = len(workers)
    while busy:
        for ready in wait(list(busy)):
            worker, i = busy.pop(ready)  # type: ignore[call-overload]  # only connections wait
            results[i] = worker.receive()
            tick(1)
            if following < len(calls):
                worker.send(shared.pickled(calls[following]))
                busy[worker.answers] = worker, following
                following += 1
    return results


class _Worker:
    """The near end of a process that makes the calls it is sent."""

    def __init__(self) -> None:
        theirs, self._calls = Pipe(duplex=False)
        self.answers, their_answers = Pipe(duplex=False)
        # The worker's own start-up, too, imports nothing of the working directory.
        isolated = ["-I"] if sys.flags.isolated else ["-P"]
        with theirs, their_answers:
            self._process = subprocess.Popen(  # noqa: S603 - Python, with this program
                [sys.executable, *isolated, "-c", _PROGRAM, *sys.path],
                stdin=theirs.fileno(),
                stdout=their_answers.fileno(),
                env={**os.environ, **_ONE_THREAD, **_bytecode()},
            )

    def send(self, message: bytes) -> None:
        """Send a message to a worker that waits for one."""
        try:
            self._calls.send_bytes(message)
        except OSError:
            self._ended()

    def receive(self) -> Any:
        """Receive the value that a call returned, or raise the exception that it raised."""
        try:
            done, result = pickle.loads(self.answers.recv_bytes())  # noqa: S301 - of our process
        except (EOFError, OSError):
            self._ended()
        if not done:
            raise result
        return result

    def _ended(self) -> NoReturn:
        code = self._process.wait()
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        raise WorkerError(
            f"an evaluating process was ended by something else ({how}), as when memory runs "
            "out: ask for fewer (--jobs, or jobs=)"
        ) from None

    def kill(self) -> None:
        """End the process; it holds nothing that would be lost."""
        self._process.kill()

    def close(self) -> None:
        """Wait for the end of the process, and close its pipes."""
        self._process.wait()
        self._calls.close()
        self.answers.close()


class _SharedArguments:
    """Arguments that several calls have in common, pickled once."""

    def __init__(self, calls: Sequence[partial[Any]]) -> None:
        arguments = [value for call in calls for value in (*call.args, *call.keywords.values())]
        counts = Counter(map(id, arguments))
        common = {id(value): value for value in arguments if counts[id(value)] > 1}
        self._numbers = {key: i for i, key in enumerate(common)}
        self.values = pickle.dumps(list(common.values()), pickle.HIGHEST_PROTOCOL)

    def pickled(self, call: partial[Any]) -> bytes:
        """Pickle a call for `_CallUnpickler`."""
        file = io.BytesIO()
        _CallPickler(file, self._numbers).dump(call)
        return file.getvalue()


class _CallPickler(pickle.Pickler):
    """Pickle a call, with numbers in the places of the shared arguments."""

    def __init__(self, file: io.BytesIO, numbers: dict[int, int]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._numbers = numbers

    def persistent_id(self, value: Any) -> int | None:
        return self._numbers.get(id(value))


class _CallUnpickler(pickle.Unpickler):
    """Unpickle a call, with the shared arguments in their places."""

    def __init__(self, message: bytes, shared: list[Any]) -> None:
        super().__init__(io.BytesIO(message))
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:
        return self._shared[pid]


def run_worker() -> NoReturn:
    """Make the calls that come through standard input, until it is closed."""
    calls = Connection(os.dup(0), writable=False)
    answers = Connection(os.dup(1), readable=False)
    # A library that prints or reads must not touch the pipes.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    messages: SimpleQueue[bytes] = SimpleQueue()

    def listen() -> None:
        try:
            while True:
                messages.put(calls.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)  # even during a call: nobody waits for its answer

    threading.Thread(target=listen, name="hypernova-worker", daemon=True).start()
    shared = pickle.loads(messages.get())  # noqa: S301 - of the process that has started this one
    while True:
        message = messages.get()
        try:
            result = True, _CallUnpickler(message, shared).load()()
        except Exception as error:
            error.add_note(traceback.format_exc())
            result = False, error
        message = _dumps(*result)
        try:
            answers.send_bytes(message)
        except OSError:
            os._exit(0)


def _dumps(done: bool, result: Any) -> bytes:
    try:
        message = pickle.dumps((done, result), pickle.HIGHEST_PROTOCOL)
        if not done:
            pickle.loads(message)  # noqa: S301 - some exceptions pickle but do not unpickle
    except Exception as error:
        return pickle.dumps((False, RuntimeError(f"{result!r} does not pickle: {error}")))
    return message


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Start processes that ignore Ctrl-C in a terminal: this process ends them."""
    numbers = {getattr(signal, name) for name in _ENDING if hasattr(signal, name)}
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # A process that is started now inherits this, from its first instruction on.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _bytecode() -> dict[str, str]:
    return {"PYTHONDONTWRITEBYTECODE": "1"} if sys.dont_write_bytecode else {}


@contextmanager
def _one_thread() -> Iterator[None]:
    try:
        import faiss
    except ImportError:
        yield  # clustering will name the missing extra
        return
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
