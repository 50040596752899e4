"""Keep several workers at one port: start them, replace one that ends, let all reload, end all.

The supervisor opens the artifact, warms the embedder and makes the application, then forks: workers
share that memory, start within milliseconds, and one that starts later has the artifact of the
others. It runs no thread and no event loop, so that it can fork at any time, and answers no
request, so that a request cannot end it. Not here: what a worker does (`worker`).
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hypernova.errors import HypernovaError
from hypernova.integrations.server.metrics.board import Board
from hypernova.integrations.server.processes.channel import Channel
from hypernova.integrations.server.processes.http_server import GRACE_S, WorkerServer
from hypernova.integrations.server.processes.worker import Worker
from hypernova.router.watch import WatchedFile
from hypernova.system import notify_service_manager

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from fastapi import FastAPI

    from hypernova import Router
    from hypernova.events import ReloadEvent

assert sys.platform != "win32", "a supervisor forks"

_log = logging.getLogger("hypernova.server")
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
WATCH_EVERY_S = 1.0
# A worker that ends sooner than this after its start has failed to start.
STEADY_S = 1.0
# So many failed starts in a row, after one of each worker, and none that serves: it gives up.
MAX_FAILED_STARTS = 4
MIN_WAIT_S, MAX_WAIT_S = 0.1, 10.0
# For a worker to take a new artifact, or it is replaced by one that has it.
TAKE_S = 60.0


@dataclass(eq=False)
class WorkerProcess:
    """A worker as its supervisor sees it.

    Attributes:
        pid: Its process.
        slot: The slot of shared memory that it counts in.
        channel: Leads to it.
        replaces: A worker that is to end once this one is ready.
        started: When it was started, by the monotonic clock.
        is_ready: Whether it answers requests.
        is_ending: Whether it was asked to end.
        end_by: When it must have ended; None if it was not asked to, or if all end.
        take_until: When it must have taken the present artifact; None if it has.
    """

    pid: int
    slot: int
    channel: Channel
    replaces: WorkerProcess | None
    started: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    is_ending: bool = False
    end_by: float | None = None
    take_until: float | None = None


class Supervisor:
    """The process that keeps the workers.

    Args:
        app: The application of `create_app`.
        router: Its router, without a watch of its own.
        listening: The socket that all workers accept from.
        workers: Number of workers.
        watch: Whether to look at the artifact's file, and let all workers take a new one.
        drain_s: Seconds that a worker stays after the signal to end, unready.
        serving: Called when all workers answer for the first time.
    """

    def __init__(
        self,
        app: FastAPI,
        router: Router,
        listening: socket.socket,
        *,
        workers: int,
        watch: bool,
        drain_s: float,
        serving: Callable[[], None],
    ) -> None:
        self._router = router
        self._service = app.state.service
        self._metrics = self._service.metrics
        self._listening = listening
        self._count = workers
        self._drain_s = drain_s
        self._serving: Callable[[], None] | None = serving
        self._server = WorkerServer(app, drain_s=drain_s)
        self._server.config.load()
        self._server.config.get_loop_factory()  # imports it, once for all
        path = router.artifact.path
        self._look_at = 0.0
        self._file = WatchedFile(Path(path)) if watch and path is not None else None
        self._workers: list[WorkerProcess] = []
        # When to start further workers, and in whose place.
        self._due: list[tuple[float, WorkerProcess | None]] = []
        self._selector = selectors.DefaultSelector()
        self._wakeups = socket.socketpair()
        self._signals: list[int] = []
        self._failed_starts = 0
        self._has_reloaded = False
        self._is_news = False  # whether to say when all workers have the artifact
        self._is_ending = False
        self._end_by: float | None = None
        # While workers are replaced there are twice as many; the supervisor has a slot, too.
        try:
            board = Board(2 * workers + 1)
        except (OSError, OverflowError):
            raise HypernovaError(
                f"no memory for the counters of {workers} workers; start fewer"
            ) from None
        self._metrics.share(board)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises:
            HypernovaError: No worker could start.
        """
        for end in self._wakeups:
            end.setblocking(False)
        self._selector.register(self._wakeups[0], selectors.EVENT_READ)
        handlers = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        wakeup = signal.set_wakeup_fd(self._wakeups[1].fileno())
        stop_observing = self._router.observe(on_reload=self._on_reload)
        try:
            self._metrics.workers.set(0)
            self._due = [(0.0, None)] * self._count
            while self._workers or not self._is_ending:
                self._step()
        finally:
            for worker in self._workers:
                _kill(worker, signal.SIGKILL)
                os.waitpid(worker.pid, 0)
                worker.channel.close()
            stop_observing()
            signal.set_wakeup_fd(wakeup)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._selector.close()
            for end in self._wakeups:
                end.close()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _on_reload(self, reloaded: ReloadEvent) -> None:
        self._has_reloaded = True  # also if it was refused: the prices may be others
        self._is_news = self._is_news or reloaded.refused is None

    def _step(self) -> None:
        """Start what is due, wait for what comes, and do it."""
        self._start_due()
        for key, _ in self._selector.select(self._seconds_to_wait()):
            if key.data is None:
                with suppress(BlockingIOError):
                    while self._wakeups[0].recv(1024):
                        pass
            else:
                self._hear(key.data)
        self._bury_dead()
        while self._signals:
            self._obey(self._signals.pop(0))
        if self._file is not None and not self._is_ending:
            self._look()
        if self._has_reloaded:
            self._has_reloaded = False
            self._order_to_take()
        self._enforce_deadlines()
        # So that a worker that starts later knows the last hour, too.
        if not self._service.recent.seconds_to_next():
            self._service.recent.take()

    def _seconds_to_wait(self) -> float:
        # Without a free slot the end of a worker is waited for.
        can_start = not self._is_ending and self._free_slot() is not None
        times = [due for due, _ in self._due] if can_start else []
        times.append(time.monotonic() + self._service.recent.seconds_to_next())
        times += [w.take_until for w in self._workers if w.take_until is not None]
        times += [w.end_by for w in self._workers if w.end_by is not None]
        if self._end_by is not None:
            times.append(self._end_by)
        if self._file is not None and not self._is_ending:
            times.append(self._look_at)
        return max(0.0, min(times) - time.monotonic())

    # Starting

    def _start_due(self) -> None:
        if self._is_ending:
            return
        now = time.monotonic()
        ready = [entry for entry in self._due if entry[0] <= now]
        self._due = [entry for entry in self._due if entry[0] > now]
        for entry in ready:
            slot = self._free_slot()
            if slot is None:  # those that were replaced have not all ended yet
                self._due.append(entry)
            else:
                self._start(slot, entry[1])

    def _free_slot(self) -> int | None:
        taken = {worker.slot for worker in self._workers}
        return next((s for s in range(1, self._metrics.board.slots) if s not in taken), None)

    def _start(self, slot: int, replaces: WorkerProcess | None) -> None:
        try:
            ours, theirs = Channel.pair()
        except OSError as error:  # too many open files
            self._fail_to_start(replaces, error)
            return
        # A signal in between must not run the supervisor's handlers in the worker.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._become_worker(ours, theirs, slot)
        except OSError as error:
            ours.close()
            self._fail_to_start(replaces, error)
            return
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        worker = WorkerProcess(pid, slot, ours, replaces)
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _fail_to_start(self, replaces: WorkerProcess | None, error: OSError) -> None:
        _log.error("cannot start a worker: %s", error.strerror or error)
        self._start_again(replaces, steady=False, why=f"({error.strerror or error})")

    def _become_worker(self, ours: Channel, theirs: Channel, slot: int) -> NoReturn:
        """Do the work of a worker in a forked process, and end that process."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in (signal.SIGINT, signal.SIGHUP):  # meant for the supervisor
                signal.signal(number, signal.SIG_IGN)
            # Other workers' channels must end with the supervisor, whoever else lives.
            self._selector.close()
            for end in self._wakeups:
                end.close()
            for channel in (ours, *(worker.channel for worker in self._workers)):
                channel.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            Worker(self._server, self._service, self._router, theirs).run(self._listening, slot)
            code = 0
        except (HypernovaError, OSError) as error:
            _log.error("a worker failed: %s", error)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            _log.exception("a worker failed")
        finally:
            # The rest of the supervisor's program is not the worker's.
            os._exit(code)

    # Messages, ends and signals

    def _hear(self, worker: WorkerProcess) -> None:
        messages, closed = worker.channel.receive()
        if closed and worker.channel.fileno() in self._selector.get_map():
            self._selector.unregister(worker.channel)
        for message in messages:
            if message.get("ready"):
                self._on_ready(worker)
            elif message.get("artifact") == self._router.artifact.sha256:
                self._on_answer(worker, taken=message["taken"])

    def _on_ready(self, worker: WorkerProcess) -> None:
        worker.is_ready = True
        if worker.replaces in self._workers:
            self._end_replaced(worker.replaces)
        self._show_count()
        if self._serving is not None and self._ready() == self._count:
            self._serving()
            self._serving = None

    def _ready(self) -> int:
        return sum(worker.is_ready and not worker.is_ending for worker in self._workers)

    def _show_count(self) -> None:
        self._metrics.workers.set(self._ready())

    def _end(self, worker: WorkerProcess) -> None:
        worker.is_ending, worker.take_until = True, None
        _kill(worker, signal.SIGTERM)

    def _end_replaced(self, worker: WorkerProcess) -> None:
        # Without the time to drain: the server goes on, and no probe may hear that it ends.
        worker.is_ending, worker.take_until = True, None
        worker.end_by = time.monotonic() + GRACE_S + 2
        worker.channel.send({"end": True})
        if worker.replaces in self._workers and not worker.is_ready:
            self._end_replaced(worker.replaces)

    def _bury_dead(self) -> None:
        for worker in list(self._workers):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            self._hear(worker)
            self._workers.remove(worker)
            if worker.channel.fileno() in self._selector.get_map():
                self._selector.unregister(worker.channel)
            worker.channel.close()
            self._metrics.clear_gauges(worker.slot)
            self._show_count()
            if worker.is_ending or self._is_ending:
                continue
            why = _reason(os.waitstatus_to_exitcode(status))
            _log.error("worker %d %s; another one starts", worker.pid, why)
            lived = time.monotonic() - worker.started
            steady = worker.is_ready and lived >= STEADY_S
            self._metrics.worker_restarts.inc()
            replaces = None if worker.is_ready else worker.replaces
            if self._has_successor(worker):
                self._hand_down(worker, replaces)
            else:
                self._start_again(replaces, steady=steady, why=why)

    def _start_again(self, replaces: WorkerProcess | None, *, steady: bool, why: str) -> None:
        """Start a worker in the place of one that ended; later, if starting seems to fail."""
        self._failed_starts = 0 if steady else self._failed_starts + 1
        in_vain = self._failed_starts - self._count
        if in_vain >= MAX_FAILED_STARTS and not self._ready():
            raise HypernovaError(
                f"no worker can start: {self._failed_starts} in a row ended at once, the last "
                f"{why}; the lines above say why"
            )
        wait = 0.0
        if in_vain > 0:
            wait = min(MAX_WAIT_S, MIN_WAIT_S * 2.0 ** min(in_vain - 1, 10))
        self._due.append((time.monotonic() + wait, replaces))

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP and not self._is_ending:
            self._reload()
        elif number in (signal.SIGTERM, signal.SIGINT):
            if self._is_ending and number == signal.SIGINT:
                for worker in self._workers:  # a second Ctrl-C: at once
                    _kill(worker, signal.SIGKILL)
                return
            if not self._is_ending:
                notify_service_manager("STOPPING=1")
                self._is_ending = True
                self._end_by = time.monotonic() + self._drain_s + GRACE_S + 2
            for worker in self._workers:
                self._end(worker)
            self._show_count()

    # The artifact

    def _reload(self) -> None:
        try:
            self._router.reload()
        except HypernovaError:
            pass  # logged and counted; the old artifact stays
        except Exception:  # the workers go on, whatever it is
            _log.exception("the artifact cannot be opened again")

    def _look(self) -> None:
        if time.monotonic() >= self._look_at:
            assert self._file is not None
            self._file.look(self._router)
            self._look_at = time.monotonic() + WATCH_EVERY_S

    def _order_to_take(self) -> None:
        """Let all workers have the artifact and the prices that the supervisor has."""
        artifact, prices = self._router.artifact, self._service.prices
        path = artifact.path
        message = {
            "path": None if path is None else str(path),
            "sha256": artifact.sha256,
            "prices": None if prices is None else prices.of(artifact.models),
        }
        for worker in self._workers:
            if not worker.is_ending:
                worker.channel.send(message)
                worker.take_until = time.monotonic() + TAKE_S

    def _on_answer(self, worker: WorkerProcess, *, taken: bool) -> None:
        if worker.take_until is None:
            return
        worker.take_until = None
        if not taken:
            self._replace(worker)
        elif self._is_news and all(w.take_until is None for w in self._workers):
            self._is_news = False
            sha256 = self._router.artifact.sha256
            _log.info("all %d workers decide with %.12s", len(self._workers), sha256)

    def _replace(self, worker: WorkerProcess) -> None:
        """Start a worker, which has the present artifact, and end this one once that is ready."""
        worker.take_until = None
        if not self._has_successor(worker):
            _log.warning("worker %d has not taken the new artifact; it is replaced", worker.pid)
            self._due.append((0.0, worker))

    def _has_successor(self, worker: WorkerProcess) -> bool:
        """Return whether a worker is started, or is to be, in the place of this one."""
        running = any(w.replaces is worker and not w.is_ending for w in self._workers)
        return running or any(replaces is worker for _, replaces in self._due)

    def _hand_down(self, worker: WorkerProcess, replaces: WorkerProcess | None) -> None:
        """Let the successor of a worker that ended replace what that was to replace."""
        for other in self._workers:
            if other.replaces is worker:
                other.replaces = replaces
        self._due = [(due, replaces if r is worker else r) for due, r in self._due]

    def _enforce_deadlines(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.take_until is not None and now >= worker.take_until:
                self._replace(worker)
            if worker.end_by is not None and now >= worker.end_by:
                worker.end_by = None
                _log.error("worker %d was replaced and does not end; it is killed", worker.pid)
                _kill(worker, signal.SIGKILL)
        if self._end_by is not None and now >= self._end_by:
            self._end_by = None
            _log.error("workers that do not end are killed: %d", len(self._workers))
            for worker in self._workers:
                _kill(worker, signal.SIGKILL)


def _kill(worker: WorkerProcess, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(worker.pid, number)


def _reason(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
