"""The local engine: processes that end with this one, and leave nothing behind.

Not here: the functions that are called. The pools of joblib and of the standard library are
not used: they keep semaphores and folders under names that outlive a killed process, and
joblib's processes go on for minutes. These processes speak through unnamed pipes, and end as
soon as their pipe is closed. A thread waits at each pipe: not every system can wait at several.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

from hypernova.errors import WorkerError
from hypernova.parallel.pickled import SharedArguments, answer
from hypernova.parallel.threads import thread_variables
from hypernova.signals import apart, ending_blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from functools import partial

    # A worker, and the answer to its call; None if it has ended.
    Answers = SimpleQueue[tuple["_Worker", bytes | None]]

# Results that wait for an earlier one hold at most this, and one more result of each process.
MAX_WAITING_BYTES = 64 << 20
# A progress bar that shows the time is drawn anew this often.
_REDRAW_S = 1.0
# Before each message: its length.
_LENGTH: Final = struct.Struct("<Q")
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
    answers: Answers = SimpleQueue()
    try:
        with ending_blocked():  # by Ctrl-C in a terminal, for instance: this process ends them
            while len(workers) < jobs:
                workers.append(_Worker(threads))
                workers[-1].listen(answers)
        for worker in workers:
            worker.send(arguments.values)
        yield from _in_order(calls, workers, answers, arguments, tick)
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.close()


def _in_order(
    calls: Iterable[partial[Any]],
    workers: list[_Worker],
    answers: Answers,
    arguments: SharedArguments,
    tick: Callable[[int], None],
) -> Iterator[Any]:
    """Give calls to idle workers, and yield each result after those of earlier calls."""
    numbered = enumerate(calls)
    idle = list(workers)
    busy: dict[_Worker, int] = {}
    waiting: dict[int, tuple[bool, Any, int]] = {}
    following, n_bytes, failed = 0, 0, False
    while True:
        while idle and n_bytes < MAX_WAITING_BYTES and not failed:
            numbered_call = next(numbered, None)
            if numbered_call is None:
                break
            worker = idle.pop()
            worker.send(arguments.pickled(numbered_call[1]))
            busy[worker] = numbered_call[0]
        if following in waiting:
            done, result, size = waiting.pop(following)
            if not done:
                raise result
            n_bytes -= size
            following += 1
            yield result
            del result  # it may be large, and the next one is awaited below
        elif busy:
            try:
                worker, message = answers.get(timeout=_REDRAW_S)
            except Empty:
                tick(0)
                continue
            i = busy.pop(worker)
            waiting[i] = worker.read(message)
            n_bytes += waiting[i][2]
            failed = failed or not waiting[i][0]
            idle.append(worker)
            tick(1)
        else:
            return


class _Worker:
    """The near end of a process that makes the calls it is sent."""

    def __init__(self, threads: int) -> None:
        # The worker's own start-up, too, imports nothing of the working directory.
        isolated = ["-I"] if sys.flags.isolated else ["-P"]
        self._process = subprocess.Popen(  # noqa: S603 - Python, with this program
            [sys.executable, *isolated, "-c", _PROGRAM, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **thread_variables(threads), **_bytecode()},
            creationflags=apart(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._calls, self._answers = self._process.stdin, self._process.stdout
        self._listener: threading.Thread | None = None

    def listen(self, answers: Answers) -> None:
        """Put each answer into a queue, and None after the last."""

        def listen() -> None:
            message: bytes | None = b""
            while message is not None:
                message = _receive(self._answers)
                answers.put((self, message))

        self._listener = threading.Thread(target=listen, name="hypernova-answers", daemon=True)
        self._listener.start()

    def send(self, message: bytes) -> None:
        """Send a message to a worker that waits for one."""
        try:
            _send(self._calls, message)
        except OSError:
            self._ended()

    def read(self, message: bytes | None) -> tuple[bool, Any, int]:
        """Read an answer: whether a call returned, its result or exception, and the size."""
        if message is None:
            self._ended()
        return (*pickle.loads(message), len(message))  # noqa: S301 - of our process

    def _ended(self) -> NoReturn:
        code = self._process.wait()
        if code < 0:
            how = f"was ended by something else ({signal.Signals(-code).name})"
        else:  # an exit of some library, or on Windows the end by another process
            how = f"ended before its work was done (exit code {code})"
        raise WorkerError(
            f"a worker process {how}: if memory ran out, ask for fewer (--jobs, or jobs=)"
        ) from None

    def kill(self) -> None:
        """End the process; it holds nothing that would be lost."""
        self._process.kill()

    def close(self) -> None:
        """Wait for the end of the process, and close its pipes."""
        self._process.wait()
        if self._listener is not None:
            self._listener.join()
        self._answers.close()
        with suppress(OSError):  # a call that was being sent
            self._calls.close()


def run_worker() -> NoReturn:
    """Make the calls that come through standard input, until it is closed."""
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # A library that prints or reads must not touch the pipes.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    messages: SimpleQueue[bytes] = SimpleQueue()

    def listen() -> None:
        while (message := _receive(calls)) is not None:
            messages.put(message)
        os._exit(0)  # even during a call: nobody waits for its answer

    threading.Thread(target=listen, name="hypernova-worker", daemon=True).start()
    shared = pickle.loads(messages.get())  # noqa: S301 - of the process that has started this one
    while True:
        message = answer(messages.get(), shared)
        try:
            _send(answers, message)
        except OSError:
            os._exit(0)


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(_LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """Return the next message; None if the pipe ends before it does."""
    try:
        head = pipe.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        message = pipe.read(length)
    except OSError:  # how Windows says that the other process is gone
        return None
    return message if len(message) == length else None


def _bytecode() -> dict[str, str]:
    return {"PYTHONDONTWRITEBYTECODE": "1"} if sys.dont_write_bytecode else {}
