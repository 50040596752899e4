"""Call functions in several processes that end with this one, and leave nothing behind.

Not here: what is called. Nor a pool of joblib or of the standard library: theirs keep semaphores
and folders under names that outlive a process that is killed, and joblib's processes go on for
minutes. These speak through pipes without a name, and end as soon as theirs is closed.
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

# More threads than there are cores wait for each other.
_ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")
}
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
# It imports what this process would, and nothing of the working directory.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from hypernova.evaluation.processes import answer; answer()"
)


def in_processes(calls: Sequence[partial[Any]], jobs: int, progress: bool) -> list[Any]:
    """Call all of ``calls`` in so many processes; results in order.

    Each process uses one thread: k-means on small parts slows down manyfold with more threads
    than cores. With one job nothing leaves this process.

    Args:
        calls: Functions of modules with their arguments, which pickle. An argument that several
            calls share is sent once to each process.
        jobs: Processes, from 1.
        progress: Show a progress bar for what takes longer than a second.

    Raises:
        WorkerError: A process was ended by something else.
        Exception: What a call raises; the other calls are given up.
    """
    jobs = min(jobs, len(calls))
    with progress_bar(len(calls), "judging", progress) as tick:
        if jobs == 1:
            results = []
            with _one_thread():
                for call in calls:
                    results.append(call())
                    tick(1)
            return results
        shared = _Shared(calls)
        workers: list[_Worker] = []
        try:
            with _without_signals():
                while len(workers) < jobs:
                    workers.append(_Worker())
            return _answers(calls, workers, shared, tick)
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.close()


def _answers(
    calls: Sequence[partial[Any]],
    workers: list[_Worker],
    shared: _Shared,
    tick: Callable[[int], None],
) -> list[Any]:
    """The result of each call; a worker gets the next one when it has answered the last."""
    for worker in workers:
        worker.send(shared.values)
    results: list[Any] = [None] * len(calls)
    asked = {worker.answers: (worker, i) for i, worker in enumerate(workers)}
    for worker, i in asked.values():
        worker.send(shared.pickled(calls[i]))
    following = len(workers)
    while asked:
        for ready in wait(list(asked)):
            worker, i = asked.pop(ready)  # type: ignore[call-overload]  # only connections wait
            results[i] = worker.receive()
            tick(1)
            if following < len(calls):
                worker.send(shared.pickled(calls[following]))
                asked[worker.answers] = worker, following
                following += 1
    return results


class _Worker:
    """A process that calls what it is sent, seen from this one."""

    def __init__(self) -> None:
        theirs, self._calls = Pipe(duplex=False)
        self.answers, their_answers = Pipe(duplex=False)
        # What imports it, too, is what this process would import.
        isolated = ["-I"] if sys.flags.isolated else ["-P"]
        with theirs, their_answers:
            self._process = subprocess.Popen(  # noqa: S603 - Python, with this program
                [sys.executable, *isolated, "-c", _PROGRAM, *sys.path],
                stdin=theirs.fileno(),
                stdout=their_answers.fileno(),
                env={**os.environ, **_ONE_THREAD, **_bytecode()},
            )

    def send(self, message: bytes) -> None:
        """Send a message; the worker must be waiting for one."""
        try:
            self._calls.send_bytes(message)
        except OSError:
            self._ended()

    def receive(self) -> Any:
        """The value that a call returned; raises what the call raised."""
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
            f"a process that judges was ended by something else ({how}), as when memory runs "
            "out: ask for fewer (--jobs, or jobs=)"
        ) from None

    def kill(self) -> None:
        """End it; it holds nothing that would be lost."""
        self._process.kill()

    def close(self) -> None:
        """Wait for its end."""
        self._process.wait()
        self._calls.close()
        self.answers.close()


class _Shared:
    """The arguments that several calls have in common, and the calls without them."""

    def __init__(self, calls: Sequence[partial[Any]]) -> None:
        arguments = [value for call in calls for value in (*call.args, *call.keywords.values())]
        counts = Counter(map(id, arguments))
        common = {id(value): value for value in arguments if counts[id(value)] > 1}
        self._numbers = {key: i for i, key in enumerate(common)}
        self.values = pickle.dumps(list(common.values()), pickle.HIGHEST_PROTOCOL)

    def pickled(self, call: partial[Any]) -> bytes:
        """The call, as `_Reader` reads it."""
        file = io.BytesIO()
        _Writer(file, self._numbers).dump(call)
        return file.getvalue()


class _Writer(pickle.Pickler):
    """Write a call, with numbers in the places of the shared arguments."""

    def __init__(self, file: io.BytesIO, numbers: dict[int, int]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._numbers = numbers

    def persistent_id(self, value: Any) -> int | None:
        return self._numbers.get(id(value))


class _Reader(pickle.Unpickler):
    """Read a call, with the shared arguments in their places."""

    def __init__(self, message: bytes, shared: list[Any]) -> None:
        super().__init__(io.BytesIO(message))
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:
        return self._shared[pid]


def answer() -> NoReturn:
    """Call what comes through standard input, until it is closed: the worker's program."""
    asked = Connection(os.dup(0), writable=False)
    answers = Connection(os.dup(1), readable=False)
    # What a library prints is no answer, and it has nothing to read.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    messages: SimpleQueue[bytes] = SimpleQueue()

    def listen() -> None:
        try:
            while True:
                messages.put(asked.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)  # also in the middle of a call, whose answer nobody waits for

    threading.Thread(target=listen, name="hypernova-worker", daemon=True).start()
    shared = pickle.loads(messages.get())  # noqa: S301 - of the process that has started this one
    while True:
        message = messages.get()
        try:
            result = True, _Reader(message, shared).load()()
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
            pickle.loads(message)  # noqa: S301 - some exceptions pickle, and do not unpickle
    except Exception as error:
        return pickle.dumps((False, RuntimeError(f"{result!r} does not pickle: {error}")))
    return message


@contextmanager
def _without_signals() -> Iterator[None]:
    """Start processes to which Ctrl-C in a terminal is nothing: this one ends them."""
    numbers = {getattr(signal, name) for name in _ENDING if hasattr(signal, name)}
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Inherited by what is started, from its first instruction on.
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
        yield  # clustering will name what is missing
        return
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
