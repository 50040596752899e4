"""The local engine: processes that end with this one, and leave nothing behind.

Not here: the functions that are called. The pools of joblib and of the standard library are
not used: they keep semaphores and folders under names that outlive a killed process, and
joblib's processes go on for minutes. These processes speak through unnamed pipes, and end as
soon as their pipe is closed.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from multiprocessing.connection import Connection, Pipe, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

from hypernova.errors import WorkerError
from hypernova.parallel.pickled import SharedArguments, answer
from hypernova.parallel.threads import thread_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from functools import partial

# Results that wait for an earlier one hold at most this, and one more result of each process.
MAX_WAITING_BYTES = 64 << 20
# A progress bar that shows the time is drawn anew this often.
_REDRAW_S = 1.0
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
# A worker imports from where this process does, and never from the working directory.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from hypernova.parallel.processes import run_worker; run_worker()"
)


def calls_in_processes(
    calls: Iterable[partial[Any]],
    jobs: int,
    shared: Sequence[Any],
    threads: int,
    tick: Callable[[int], None],
) -> Iterator[Any]:
    """Make calls in ``jobs`` processes, and yield the results in the order of the calls.

    A process gets its next call when its answer was received, which is while this process waits
    for a result. Where results that wait for an earlier one hold `MAX_WAITING_BYTES`, no further
    call is made until the earlier one is there.

    Raises:
        WorkerError: Something else ended a process.
        Exception: The exception of the first call that fails.
    """
    arguments = SharedArguments(shared)
    workers: list[_Worker] = []
    try:
        with _signals_blocked():
            while len(workers) < jobs:
                workers.append(_Worker(threads))
        for worker in workers:
            worker.send(arguments.values)
        yield from _in_order(calls, workers, arguments, tick)
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.close()


def _in_order(
    calls: Iterable[partial[Any]],
    workers: list[_Worker],
    arguments: SharedArguments,
    tick: Callable[[int], None],
) -> Iterator[Any]:
    """Give calls to idle workers, and yield each result after those of earlier calls."""
    numbered = enumerate(calls)
    idle = list(workers)
    busy: dict[Any, tuple[_Worker, int]] = {}
    waiting: dict[int, tuple[bool, Any, int]] = {}
    following, n_bytes, failed = 0, 0, False
    while True:
        while idle and n_bytes < MAX_WAITING_BYTES and not failed:
            numbered_call = next(numbered, None)
            if numbered_call is None:
                break
            worker = idle.pop()
            worker.send(arguments.pickled(numbered_call[1]))
            busy[worker.answers] = worker, numbered_call[0]
        if following in waiting:
            done, result, size = waiting.pop(following)
            if not done:
                raise result
            n_bytes -= size
            following += 1
            yield result
            del result  # it may be large, and the next one is awaited below
        elif busy:
            ready = wait(list(busy), timeout=_REDRAW_S)
            for answers in ready:
                worker, i = busy.pop(answers)
                waiting[i] = worker.receive()
                n_bytes += waiting[i][2]
                failed = failed or not waiting[i][0]
                idle.append(worker)
            tick(len(ready))
        else:
            return


class _Worker:
    """The near end of a process that makes the calls it is sent."""

    def __init__(self, threads: int) -> None:
        theirs, self._calls = Pipe(duplex=False)
        self.answers, their_answers = Pipe(duplex=False)
        # The worker's own start-up, too, imports nothing of the working directory.
        isolated = ["-I"] if sys.flags.isolated else ["-P"]
        with theirs, their_answers:
            self._process = subprocess.Popen(  # noqa: S603 - Python, with this program
                [sys.executable, *isolated, "-c", _PROGRAM, *sys.path],
                stdin=theirs.fileno(),
                stdout=their_answers.fileno(),
                env={**os.environ, **thread_variables(threads), **_bytecode()},
            )

    def send(self, message: bytes) -> None:
        """Send a message to a worker that waits for one."""
        try:
            self._calls.send_bytes(message)
        except OSError:
            self._ended()

    def receive(self) -> tuple[bool, Any, int]:
        """Receive whether a call returned, its result or exception, and the size in bytes."""
        try:
            message = self.answers.recv_bytes()
        except (EOFError, OSError):
            self._ended()
        return (*pickle.loads(message), len(message))  # noqa: S301 - of our process

    def _ended(self) -> NoReturn:
        code = self._process.wait()
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        raise WorkerError(
            f"a worker process was ended by something else ({how}), as when memory runs "
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
        message = answer(messages.get(), shared)
        try:
            answers.send_bytes(message)
        except OSError:
            os._exit(0)


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
