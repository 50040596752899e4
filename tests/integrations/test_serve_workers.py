"""`hypernova serve --workers`: several processes at one port, killed, reloaded and ended.

Not here: what a server answers (`test_serve.py`), and how fast (`benches/serve_load.py`).
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

import hypernova
from hypernova.integrations.server import create_app, serve
from hypernova.integrations.server.records.timed_log import QUICK_S, TimedLog
from hypernova.router import BUNDLED_ARTIFACT
from support.commands import fails_in_one_line, run_python
from support.server import Server, metrics, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXTS = ["Join two tables", "Prove that the sum of two odd numbers is even", "Write a sonnet"]
ROUTED = ("hypernova_requests_total", (("path", "/v1/route"), ("status", "200")))


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def children(pid: int) -> set[int]:
    """Return the processes that a process has started."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def is_running(pid: int) -> bool:
    """Return whether a process is there and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


class Clients:
    """Threads that ask all the time, each over a connection of its own, and count."""

    def __init__(self, server: Server, count: int) -> None:
        self.sent = self.lost = 0
        self.answers: list[dict[str, str]] = []
        self._server = server
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        with self._server.client() as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/v1/route", json={"text": TEXTS[number % len(TEXTS)]})
                except httpx.TransportError:
                    with self._lock:
                        self.lost += 1
                    continue
                assert answer.status_code == 200, answer.text
                with self._lock:
                    self.answers.append(answer.json())

    def wait_for(self, count: int) -> None:
        """Wait for further answers."""
        begun = len(self.answers)
        until(lambda: len(self.answers) >= begun + count, "the server answers")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two artifacts that differ in their default model."""
    folder = tmp_path_factory.mktemp("artifacts")
    bundled = hypernova.Artifact.open(BUNDLED_ARTIFACT)
    paths = [folder / "one.hnv", folder / "other.hnv"]
    for i, path in enumerate(paths):
        bundled.replace(default_model=i).save(path)
    return paths


class Several:
    """A server of two workers with a log, whose artifact may be replaced."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.log = folder / "log"
        self.router = folder / "router.hnv"
        self.answered = self.lost = 0

    def replace(self, data: bytes) -> None:
        beside = self.router.with_suffix(".new")
        beside.write_bytes(data)
        beside.rename(self.router)

    def workers(self) -> set[int]:
        return children(self.server.process.pid)

    def samples(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        with self.server.client() as client:
            return metrics(client)

    def artifacts_of_all(self, connections: int = 4) -> set[str]:
        """Ask over connections of which each worker has some, and return what they serve."""
        found = set()
        clients = [self.server.client() for _ in range(connections)]
        for client in clients:
            found.add(client.get("/v1/artifact").json()["sha256"])
        for client in clients:
            client.close()
        return found

    def serve_only(self, sha256: set[str]) -> bool:
        return self.artifacts_of_all() == sha256


@pytest.fixture(scope="module")
def several(artifacts: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    folder = tmp_path_factory.mktemp("several")
    (folder / "router.hnv").write_bytes(artifacts[0].read_bytes())
    options = ("-a", folder / "router.hnv", "--watch", "--log", folder / "log", "--workers", 2)
    with serving(*options) as server:
        yield Several(server, folder)
    assert not any("Traceback" in line for line in server.lines)


class TestSeveral:
    """These share a server, and run in this order."""

    def test_both_answer_and_count_together(self, several: Several) -> None:
        with Clients(several.server, 4) as clients:
            clients.wait_for(100)
        several.answered += len(clients.answers)
        assert clients.lost == 0
        # Every connection that is open at once goes to the worker that holds the fewest.
        writers = {int(path.name.split("-")[1]) for path in several.log.iterdir()}
        assert writers == several.workers()
        assert len(writers) == 2
        # Forked processes may not draw the same ids.
        assert len({answer["id"] for answer in clients.answers}) == several.answered
        found = several.samples()
        assert found[ROUTED] == several.answered
        assert found["hypernova_novelty_count", ()] == several.answered
        assert found["hypernova_request_seconds_count", (("path", "/v1/route"),)] == (
            several.answered
        )
        assert found["hypernova_workers", ()] == 2
        assert found["hypernova_worker_restarts_total", ()] == 0

    def test_one_that_is_killed_takes_only_its_own_requests(self, several: Several) -> None:
        counts = []
        with Clients(several.server, 4) as clients:
            clients.wait_for(50)
            killed = min(several.workers())
            os.kill(killed, signal.SIGKILL)
            several.server.wait_for(f"worker {killed} was ended by SIGKILL")
            for _ in range(5):
                clients.wait_for(20)
                counts.append(several.samples()[ROUTED])
            until(lambda: several.samples()["hypernova_workers", ()] == 2, "two workers again")
        several.answered += len(clients.answers)
        several.lost += clients.lost
        # Four connections, of which the killed one held about half; each lost one request at most.
        assert clients.lost <= 4
        assert counts == sorted(counts)
        found = several.samples()
        # The killed process may have counted a request whose answer it did not send.
        assert several.answered <= found[ROUTED] <= several.answered + clients.lost
        assert found["hypernova_worker_restarts_total", ()] == 1
        assert found["hypernova_in_flight", ()] == 0
        assert killed not in several.workers()
        assert len(several.workers()) == 2

    def test_every_answer_is_in_the_log_of_all(self, several: Several) -> None:
        logged = sum(path.read_bytes().count(b"\n") for path in several.log.iterdir())
        assert several.answered <= logged <= several.answered + several.lost

    def test_all_take_a_new_artifact(self, several: Several, artifacts: list[Path]) -> None:
        first, second = (path.read_bytes() for path in artifacts)
        shas = [hypernova.Artifact.open(path).sha256 for path in artifacts]
        with Clients(several.server, 3) as clients:
            several.replace(second)
            several.server.wait_for("all 2 workers decide with", 1)
            assert several.artifacts_of_all() == {shas[1]}
            several.replace(second[:-1])
            several.server.process.send_signal(signal.SIGHUP)
            several.server.wait_for("not reloaded")
            clients.wait_for(10)
            assert several.artifacts_of_all() == {shas[1]}
            # One that starts now has the artifact that the others have, not the file.
            os.kill(max(several.workers()), signal.SIGKILL)
            until(lambda: several.samples()["hypernova_worker_restarts_total", ()] == 2, "count")
            until(lambda: several.samples()["hypernova_workers", ()] == 2, "two workers again")
            assert several.artifacts_of_all() == {shas[1]}
            lost = clients.lost
            several.replace(first)
            several.server.process.send_signal(signal.SIGHUP)
            several.server.wait_for("all 2 workers decide with", 2)
            clients.wait_for(10)
            assert several.artifacts_of_all() == {shas[0]}
        assert clients.lost == lost  # a reload costs no request
        found = several.samples()
        name = "hypernova_reloads_total"
        assert found[name, (("result", "ok"),)] == 2
        # By the signal, and by the watch if it looked two seconds after the change.
        assert found[name, (("result", "refused"),)] in (1, 2)
        held = {dict(labels)["sha256"] for (name, labels) in found if name.endswith("_info")}
        assert held == {shas[0]}

    def test_one_that_cannot_take_it_is_replaced(
        self, several: Several, artifacts: list[Path]
    ) -> None:
        """A worker stands still until the file that it was to take is gone."""
        workers = several.workers()
        slow = min(workers)
        os.kill(slow, signal.SIGSTOP)
        several.replace(artifacts[1].read_bytes())
        several.server.process.send_signal(signal.SIGHUP)
        sha256 = hypernova.Artifact.open(artifacts[1]).sha256
        until(lambda: several.artifacts_of_all(1) == {sha256}, "the quick worker takes it")
        several.router.unlink()
        os.kill(slow, signal.SIGCONT)
        several.server.wait_for(f"worker {slow} has not taken the new artifact")
        until(lambda: not is_running(slow), "the worker ends")
        assert several.artifacts_of_all() == {sha256}
        assert several.samples()["hypernova_workers", ()] == 2
        assert len(several.workers() - workers) == 1

    def test_a_signal_to_end_is_one_for_all(self, several: Several) -> None:
        workers = several.workers()
        assert several.server.stop() == 0
        assert not any(map(is_running, workers))
        several.server.wait_for("stopped")


def test_reloads_in_a_row_end_nothing(artifacts: list[Path], tmp_path: Path) -> None:
    """Workers that cannot take a file are replaced, more of them than end meanwhile."""
    router = tmp_path / "router.hnv"
    router.write_bytes(artifacts[0].read_bytes())
    head = b"POST /v1/route HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    options = ("-a", router, "--workers", 2, "--timeout", 1, "--drain", 30)
    with serving(*options) as server, ExitStack() as opened:
        several = Several(server, tmp_path)
        ended: set[int] = set()
        for turn in range(1, 4):
            for _ in range(4):  # each worker holds a request, whose body never comes
                asking = socket.create_connection(("127.0.0.1", server.port))
                opened.enter_context(asking).sendall(head + b"content-length: 2\r\n\r\n")
            workers = several.workers() - ended
            for worker in workers:
                os.kill(worker, signal.SIGSTOP)
            several.replace(artifacts[turn % 2].read_bytes())
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("reloaded", turn)
            router.unlink()
            for worker in workers:
                os.kill(worker, signal.SIGCONT)
            server.wait_for("it is replaced", 2 * turn)
            sha256 = {hypernova.Artifact.open(artifacts[turn % 2]).sha256}
            until(partial(several.serve_only, sha256), "workers with the new artifact")
            ended |= workers
            with server.client() as client:  # no probe hears that the server ends
                assert client.get("/readyz").status_code == 200
        until(lambda: not any(map(is_running, ended)), "those that were replaced end")
        assert several.samples()["hypernova_workers", ()] == len(several.workers()) == 2
        server.process.kill()  # rather than drain
        server.process.wait()


@pytest.mark.slow
def test_without_their_supervisor_no_worker_stays(artifacts: list[Path]) -> None:
    with serving("-a", artifacts[0], "--workers", 2) as server:
        workers = children(server.process.pid)
        server.process.kill()
        server.process.wait(30)
        until(lambda: not any(map(is_running, workers)), "the workers end")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=20)


FAILING = """
import sys
from contextlib import asynccontextmanager
import hypernova
from hypernova.integrations.server import create_app, serve
router = hypernova.Router.open(sys.argv[1])
app = create_app(router)
@asynccontextmanager
async def lifespan(_):
    raise RuntimeError("no start")
    yield
app.router.lifespan_context = lifespan
try:
    serve(app, router, port=0, workers=2)
except hypernova.HypernovaError as error:
    sys.exit(str(error))
"""


@pytest.mark.slow
def test_workers_that_cannot_start_are_given_up(artifacts: list[Path]) -> None:
    done = run_python("-c", FAILING, artifacts[0], code=1)
    *_, last = done.stderr.splitlines()
    assert last.startswith("no worker can start: 6 in a row ended at once, the last ended with")


def test_a_log_that_waits_is_not_quick(tmp_path: Path) -> None:
    """While a write waits, and for a second after it, threads write, not the event loop."""
    decision = hypernova.Router.open().route(TEXTS[0])
    with hypernova.OutcomeLog(tmp_path) as log:
        timed = TimedLog(log)
        timed.record_decision(decision)
        until(timed.is_quick, "it is quick")
        writing = threading.Thread(target=timed.record_outcome, args=(decision, 1.0))
        with log._lock:  # as a write holds it for which the disk is slow
            writing.start()
            until(lambda: not timed.is_quick(), "the write waits")
            begun = time.monotonic()
            until(lambda: time.monotonic() > begun + QUICK_S, "it waits for long")
        writing.join()
        assert not timed.is_quick()
        until(timed.is_quick, "it is quick again")
    assert len(list(hypernova.read_log(tmp_path))) == 1


def test_a_host_without_an_address_is_named() -> None:
    router = hypernova.Router.open()
    with pytest.raises(OSError, match="cannot listen at ::zz port 0: ") as refused:
        serve(create_app(router), router, host="::zz", port=0)
    assert "Unknown error" not in str(refused.value)


def test_a_port_in_use_is_refused(several: Several) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert str(port) in fails_in_one_line("serve", "--port", port, "--workers", 2)


@contextmanager
def start_notified(
    manager: socket.socket, place: str, options: tuple[object, ...], env: dict[str, str]
) -> Iterator[Server]:
    """Listen as a service manager does, and run a server."""
    manager.bind(place)
    manager.settimeout(30)
    with serving(*options, env=env) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_ends_says_so_first(
    artifacts: list[Path], tmp_path: Path, workers: int
) -> None:
    """It is alive, unready, and answers, until a second signal ends it before its time."""
    options = ("-a", artifacts[0], "--workers", workers, "--drain", 60)
    place = str(tmp_path / "notify")
    env = {**os.environ, "HYPERNOVA_TOKEN": "s3cret", "NOTIFY_SOCKET": place}
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        start_notified(manager, place, options, env) as server,
        server.client() as client,
    ):
        assert manager.recv(100) == b"READY=1"
        assert client.get("/readyz").json() == {"status": "ready", "log": "none"}
        server.process.send_signal(signal.SIGTERM)
        until(lambda: client.get("/readyz").status_code == 503, "it is unready")
        assert manager.recv(100) == b"STOPPING=1"
        assert client.get("/readyz").json() == {"status": "ending", "log": "none"}
        assert client.get("/livez").json() == {"status": "ok"}
        right = {"authorization": "Bearer s3cret"}
        answer = client.post("/v1/route", json={"text": TEXTS[0]}, headers=right)
        assert answer.status_code == 200
        assert server.stop() == 0


@pytest.mark.slow
def test_a_log_that_fails_is_told_and_the_server_stays_ready(
    artifacts: list[Path], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with serving("-a", artifacts[0], "--log", log) as server, server.client() as client:
        log.rename(tmp_path / "gone")
        client.post("/v1/route", json={"text": TEXTS[0]})
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["log"]) == (200, "failing")
        (tmp_path / "gone").rename(log)
        client.post("/v1/route", json={"text": TEXTS[0]})
        assert client.get("/readyz").json()["log"] == "written"
