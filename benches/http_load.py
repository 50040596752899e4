"""Ask a server for decisions from one process, at set times or as fast as it answers.

Not here: the server, and figures for a record (`serve_load.py`, `serve_versions.py`). The client
speaks the HTTP that it needs and no more, so that it takes little of a machine that it shares with
the server: about 25 us of a core for a request.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field

from benches.paths import EXAMPLES

# Requests that are due leave together at a tick of the clock.
TICK_S = 1e-3
# For the last answers, after the last request.
WAIT_S = 10.0


def requests(fields: dict[str, object] | None = None) -> list[bytes]:
    """Requests for the decisions of the example prompts, whole and with further fields."""
    with (EXAMPLES / "prompts.jsonl").open(encoding="utf-8") as lines:
        texts = [json.loads(line)["prompt"] for line in lines]
    bodies = [json.dumps({"text": text, **(fields or {})}).encode() for text in texts]
    return [
        b"POST /v1/route HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    ]


@dataclass
class Found:
    """Answers to a load.

    Attributes:
        took: Seconds from the moment that a request was to leave, or left if its client was late,
            to its answer; with the wait for a free connection.
        late: Seconds that the client was late.
        lost: Requests whose connection was closed before their answer.
        refused: Answers other than 200, by their first line.
        seconds: From the first request to the last answer.
    """

    took: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    lost: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def at(self, percent: float) -> float:
        """Milliseconds that a share of the answered requests did not exceed."""
        ordered = sorted(self.took)
        return 1e3 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time; opened again if it is closed."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._since: float | None = None
        self._begun = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._load.free(self)

    def send(self, request: bytes, since: float) -> None:
        self._since = since
        self._transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self._begun:
            data = self._begun + data
        head_end = data.find(b"\r\n\r\n")
        place = data.find(b"content-length: ", 0, head_end)
        if head_end < 0 or place < 0:
            self._begun = data
            return
        length = int(data[place + 16 : data.index(b"\r", place)])
        if len(data) < head_end + 4 + length:
            self._begun = data
            return
        self._begun = b""
        since, self._since = self._since, None
        assert since is not None
        self._load.answered(since, data)
        self._load.free(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._load.closed(self, waiting=self._since is not None)


class _Load:
    def __init__(self, port: int, connections: int, sent: list[bytes]) -> None:
        self.found = Found()
        self._port = port
        self._sent = sent
        self._count = connections
        self._free: deque[_Connection] = deque()
        self._all: set[_Connection] = set()
        self._due: deque[float] = deque()
        self._next = 0
        self._open = 0  # requests without an answer
        self._ending = False
        self._opening: set[asyncio.Task[None]] = set()
        # Ask again as soon as there is an answer, until this moment.
        self.until: float | None = None

    async def open(self) -> None:
        await asyncio.gather(*(self._connect() for _ in range(self._count)))

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        self._all.add(made)

    def due(self, moment: float) -> None:
        self._open += 1
        self._due.append(moment)
        self._send()

    def _send(self) -> None:
        while self._due and self._free:
            self._free.popleft().send(self._sent[self._next], self._due.popleft())
            self._next = (self._next + 1) % len(self._sent)

    def free(self, connection: _Connection) -> None:
        self._free.append(connection)
        if self.until is not None and (now := time.perf_counter()) < self.until:
            self.due(now)
        else:
            self._send()

    def answered(self, since: float, answer: bytes) -> None:
        self._open -= 1
        if answer.startswith(b"HTTP/1.1 200 "):
            self.found.took.append(time.perf_counter() - since)
        else:
            line = answer.split(b"\r\n", 1)[0].decode()
            self.found.refused[line] = self.found.refused.get(line, 0) + 1

    def closed(self, connection: _Connection, *, waiting: bool) -> None:
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if waiting:
            self._open -= 1
            self.found.lost += 1
        if not self._ending:
            task = asyncio.get_running_loop().create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def end(self) -> None:
        limit = time.perf_counter() + WAIT_S
        while self._open and time.perf_counter() < limit:
            await asyncio.sleep(TICK_S)
        self._ending = True
        for connection in list(self._all):
            connection._transport.close()
        await asyncio.sleep(0.05)
        if self._open:
            raise SystemExit(f"{self._open} requests have no answer")


async def at_rate(port: int, rate: float, seconds: float, connections: int) -> Found:
    """Send requests at set times, whether earlier ones are answered or not."""
    load = _Load(port, connections, requests())
    await load.open()
    start = time.perf_counter() + 0.05
    total = int(rate * seconds)
    done = 0
    while done < total:
        now = time.perf_counter()
        while done < total and (due := start + done / rate) <= now:
            load.found.late.append(now - due)
            load.due(now)
            done += 1
        await asyncio.sleep(TICK_S)
    await load.end()
    load.found.seconds = time.perf_counter() - start
    return load.found


async def as_fast_as_answered(port: int, seconds: float, connections: int) -> Found:
    """Send the next request of each connection when the last one is answered."""
    load = _Load(port, connections, requests())
    start = time.perf_counter()
    load.until = start + seconds
    await load.open()
    await asyncio.sleep(seconds)
    await load.end()
    load.found.seconds = time.perf_counter() - start
    return load.found
