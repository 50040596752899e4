"""Start `hypernova serve` as a process, stop it, and check its answers.

Not here: the application within a test's own process; see test_serve_limits.py.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S = 60


class Server:
    """A server process, its port and the lines that it has logged."""

    def __init__(
        self, *options: object, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        command = [sys.executable, "-m", "hypernova.cli", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *map(str, options)], stderr=subprocess.PIPE, text=True, env=env, cwd=cwd
        )
        self.lines: list[str] = []
        self._came = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            line = self.wait_for("serving at")
        except BaseException:
            self.process.kill()
            raise
        self.url = line.rsplit(" ", 1)[-1].strip()
        self.port = int(self.url.rsplit(":", 1)[-1])

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                with self._came:
                    self.lines.append(line)
                    self._came.notify_all()

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait for a text to be logged ``count`` times, and return the line of the last."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self._came:
            if not self._came.wait_for(lambda: len(found()) >= count, START_S):
                raise AssertionError(f"no line with {text!r} in {self.lines}")
            return found()[count - 1]

    def client(self, **options: object) -> httpx.Client:
        # The certificates, which nothing here needs, would take 60 ms to load.
        options = {"base_url": self.url, "timeout": 30, "verify": False} | options
        return httpx.Client(**options)  # type: ignore[arg-type]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def serving(
    *options: object, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Server]:
    """Run a server while the block runs."""
    server = Server(*options, env=env, cwd=cwd)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def assert_error(answer: httpx.Response, status: int, code: str) -> str:
    """Assert that an answer is an error in its one form, and return its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    fault = answer.json()
    assert set(fault) == {"error", "message"}
    assert fault["error"] == code
    assert fault["message"]
    assert "\n" not in fault["message"]
    return str(fault["message"])


def metrics(client: httpx.Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read every sample of ``/metrics``, by name and labels."""
    text = client.get("/metrics").raise_for_status().text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def resident(pid: int) -> int:
    """Read the resident memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")
