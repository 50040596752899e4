"""Processes that fork after they have routed: children route, and end as any process does.

Not here: pickling, and the start methods of `multiprocessing`. Runs under this Python and, where
HYPERNOVA_PYTHONS names some (paths, with the dependencies installed, separated as in PATH), others.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

import hypernova
from support.paths import PACKAGES, TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHERS = [path for path in os.environ.get("HYPERNOVA_PYTHONS", "").split(os.pathsep) if path]
WORKERS = 4
STOP_S = 2.0  # within which a preloaded server is to be gone; with telemetry it took 30
HANGS_S = 60.0

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork NOT tested: there is none")


@pytest.fixture(
    scope="module",
    params=[sys.executable, *(OTHERS or [None])],
    ids=lambda path: Path(path).parent.parent.name if path else "another",
)
def python(request: pytest.FixtureRequest) -> str:
    """Give an interpreter, which imports the package under test."""
    if request.param is None:
        pytest.skip("fork NOT tested with another CPython: HYPERNOVA_PYTHONS names none")
    if request.param != sys.executable and (PACKAGES / "numpy").exists():
        pytest.skip("fork NOT tested with another CPython: the package is installed for this one")
    return str(request.param)


@pytest.fixture(scope="module", params=["static", "minilm"])
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fork") / f"{request.param}.hnv"
    table = hypernova.OutcomeTable.read(TABLE).subset(np.arange(0, 320, 5))
    hypernova.fit(table, clusters=2, embedder=request.param, describe=False).save(path)
    return path


@contextlib.contextmanager
def started(*command: object, **options: object) -> Iterator[subprocess.Popen[str]]:
    """A process, and in the end none of it or of its children."""
    process = subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def environment() -> dict[str, str]:
    """Without what the tests' own import of the library has put there."""
    path = os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")])
    kept = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    return {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


FORKS = """
import os, sys
def fork(depth):
    pid = os.fork()
    if pid == 0:
        work()
        if depth:
            fork(depth - 1)
        sys.exit(7)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 7, code
work()
for _ in range(3):
    fork(1)
print("done")
"""


@pytest.mark.slow
def test_a_forked_child_routes_and_exits(python: str, artifact: Path) -> None:
    """No thread of a library is there either: newer Pythons would warn, and ``-W error`` raise."""
    program = f"""
import hypernova
router = hypernova.Router.open({str(artifact)!r})
expected = router.route("Join two tables").model
def work():
    assert router.route("Join two tables").model == expected
    assert router.route_many(["Join two tables"])[0].model == expected
{FORKS}"""
    with started(python, "-W", "error", "-c", program, env=environment()) as process:
        out, _ = process.communicate(timeout=HANGS_S)
        assert (process.returncode, out) == (0, "done\n")


@pytest.mark.slow
def test_a_child_takes_what_a_thread_of_its_parent_was_busy_with(
    python: str, artifact: Path
) -> None:
    program = f"""
import hypernova, os, sys, threading
def open_cached():
    return hypernova.Router.open({str(artifact)!r}, cache=10)
router, unloaded = open_cached(), open_cached()
expected = router.route("Join two tables").model
locks = (router._reload_lock, router._lock, router._observers._lock, router.embedder._lock,
         unloaded._serving._lock)
held, end = threading.Event(), threading.Event()
def hold():
    with locks[0], locks[1], locks[2], locks[3], locks[4]:
        held.set()
        end.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
pid = os.fork()
if pid == 0:
    assert router.route("Join two tables").model == expected
    router.observe(print)()
    router.reload()
    router.close()
    assert unloaded.route("Join two tables").model == expected
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
end.set()
thread.join()
print("done")"""
    command = (python, "-W", "ignore::DeprecationWarning", "-c", program)
    with started(*command, env=environment()) as process:
        out, _ = process.communicate(timeout=HANGS_S)
        assert (process.returncode, out) == (0, "done\n")


@pytest.mark.slow
def test_a_child_of_a_process_with_threads_routes_and_exits(python: str, artifact: Path) -> None:
    program = f"""
import asyncio, hypernova, threading
router = hypernova.Router.open({str(artifact)!r}, watch=0.01)
expected = router.route("Join two tables").model
async def many():
    texts = ["Join two tables"] * 20
    return await asyncio.gather(*(router.aroute(text) for text in texts))
def work():
    assert {{decision.model for decision in asyncio.run(many())}} == {{expected}}
work()
assert {{"hypernova-watch"}} < {{thread.name for thread in threading.enumerate()}}
{FORKS}"""
    command = (python, "-W", "ignore::DeprecationWarning", "-c", program)
    with started(*command, env=environment()) as process:
        out, _ = process.communicate(timeout=HANGS_S)
        assert (process.returncode, out) == (0, "done\n")


WSGI = """
import os, hypernova
router = hypernova.Router.open(os.environ["ARTIFACT"])
expected = router.route("Join two tables").model
def app(environ, start_response):
    assert router.route("Join two tables").model == expected
    start_response("200 OK", [("X-Process", str(os.getpid()))])
    return [b"routed"]
"""
ASGI = """
import os, hypernova
from hypernova.integrations.server import create_app
router = hypernova.Router.open(os.environ["ARTIFACT"])
expected = router.route("Join two tables").model
app = create_app(router)
@app.middleware("http")
async def name_process(request, following):
    answer = await following(request)
    answer.headers["X-Process"] = str(os.getpid())
    return answer
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("worker", "program"),
    [("sync", WSGI), ("uvicorn.workers.UvicornWorker", ASGI)],
    ids=["wsgi", "asgi"],
)
def test_a_preloaded_gunicorn_stops_within_two_seconds(
    python: str, artifact: Path, tmp_path: Path, worker: str, program: str
) -> None:
    (tmp_path / "served.py").write_text(program)
    took = []
    # Who shares a busy core may need another try; what hangs hangs each time.
    while len(took) < 3 and not (took and took[-1] < STOP_S):
        took.append(_seconds_to_stop(python, artifact, tmp_path, worker))
    assert took[-1] < STOP_S, took


def _seconds_to_stop(python: str, artifact: Path, folder: Path, worker: str) -> float:
    """Serve from each of the workers, then see how long the end of all takes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--preload", "-w", WORKERS, "-k", worker, "-b", f"127.0.0.1:{port}")
    env = {**environment(), "ARTIFACT": str(artifact)}
    command = (python, "-W", "ignore", "-m", "gunicorn", *options, "served:app")
    with started(*command, cwd=folder, env=env) as process:
        assert process.stdout is not None
        lines = []
        while not re.search("Listening at", "".join(lines[-1:])):
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        seen: set[str] = set()
        end = time.monotonic() + HANGS_S

        def ask(_: int) -> None:
            # A connection of its own each time, so that any worker may take it.
            body = {"text": "Join two tables"}
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/route", json=body, timeout=HANGS_S)
            assert answer.status_code == 200, answer.text
            seen.add(answer.headers["X-Process"])

        with ThreadPoolExecutor(2 * WORKERS) as pool:
            while len(seen) < WORKERS and time.monotonic() < end:
                list(pool.map(ask, range(4 * WORKERS)))
        assert len(seen) == WORKERS
        begun = time.monotonic()
        process.terminate()
        process.communicate(timeout=HANGS_S)
        took = time.monotonic() - begun
        assert process.returncode == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)  # nobody is left
        return took
