"""Calls for other processes to make, and a command that makes them until it is told to end.

Not here: tests. The functions stand in a module, so that another process can import them.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import TableError
from support.paths import PACKAGES, TESTS

if TYPE_CHECKING:
    from collections.abc import Iterator


def sleeps(seconds: float, result: object) -> object:
    time.sleep(seconds)
    return result


def fails(seconds: float, message: str) -> None:
    time.sleep(seconds)
    raise TableError(message)


def dies_once(marker: str, result: object) -> object:
    """Kill the process that makes the call, the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def first_of(shared: np.ndarray, number: int) -> tuple[float, int]:
    return float(shared[0]), number


def node_of(seconds: float) -> tuple[str, int]:
    """The node of Ray on which the call is made, and the process."""
    import ray

    time.sleep(seconds)
    return ray.get_runtime_context().get_node_id(), os.getpid()


def zeros(size: int) -> bytes:
    return bytes(size)


def same_bytes(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() == other.tobytes()


def products(seed: int) -> str:
    """The digest of matrix products, whose last bits depend on the number of threads."""
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256()
    for dtype in (np.float32, np.float64):
        for rows in (4096, 777):
            vectors = rng.random((rows, 257)).astype(dtype)
            digest.update((vectors.T @ vectors).tobytes())
            digest.update((vectors.T @ vectors[:, :9]).tobytes())
    return digest.hexdigest()


def resident_mb(pid: int | str = "self") -> float:
    """The memory that a process holds, in MB."""
    pages = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def environment() -> dict[str, str]:
    """The environment of processes that can import the package under test and this module."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (PACKAGES, TESTS)))}


# As `hypernova.cli` runs a command.
COMMAND = """
import os, sys
from functools import partial
from hypernova.cli import signals, streams
from hypernova.parallel import map_calls
from support.calls import sleeps
streams.prepare()
try:
    with signals.raise_on_signal():
        calls = [*[partial(sleeps, 0.0, None)] * 4, *[partial(sleeps, 600.0, None)] * 4]
        options = {"engine": sys.argv[1], "jobs": int(sys.argv[2]), "total": 8, "description": ""}
        for i, _ in enumerate(map_calls(calls, **options)):
            if i == 3:
                os.write(1, b"mapping")
except signals.Terminated as ended:
    sys.exit(ended.exit_code)
"""


@contextmanager
def interrupting(engine: str, jobs: int, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a session of its own that makes calls of ten minutes by now."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, engine, str(jobs)],
        env={**environment(), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 7) == b"mapping"
        time.sleep(0.2)  # until the process waits for the next call
        yield process
    finally:
        process.kill()
        process.communicate()
