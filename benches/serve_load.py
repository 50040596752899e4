"""Put a constant rate of requests on a real `hypernova serve`, and time each.

Not here: tests of the server's limits (`tests/integrations/`). ``make soak`` runs it:

    python -m benches.serve_load --rate 500 --seconds 60 --p99-ms 5

Requests leave at set times, answered or not: a server that stalls is not spared the requests
that a waiting client would not have sent. The time of a request starts when the client's clock
wakes it, and includes the wait for a free connection. The delay of that clock, which this script
and the machine cause, is printed beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import uvloop
from benches.paths import EXAMPLES

CONNECTIONS = 32
WARM_S = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--p99-ms", type=float, help="exit with 1 if the 99th percentile is above")
    parser.add_argument(
        "options", nargs="*", metavar="OPTION", help="options of hypernova serve, after --"
    )
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "hypernova.cli", "serve", "--port", "0", *arguments.options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        port = port_of(server)
        uvloop.run(load(port, arguments.rate, WARM_S))
        before = cpu_seconds(server.pid)
        took, late = uvloop.run(load(port, arguments.rate, arguments.seconds))
        busy = (cpu_seconds(server.pid) - before) / arguments.seconds
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
    at = {p: 1e3 * took[int(p / 100 * len(took))] for p in (50, 90, 99, 99.9)}
    print(
        f"{len(took)} requests in {arguments.seconds} s, all answered 200; "
        + ", ".join(f"p{p:g} {ms:.2f} ms" for p, ms in at.items())
        + f", max {1e3 * took[-1]:.1f} ms; the server used {busy:.2f} of a core; requests left "
        f"{1e3 * late[len(late) // 2]:.2f} ms late, one in a hundred more than "
        f"{1e3 * late[int(0.99 * len(late))]:.2f} ms"
    )
    return int(arguments.p99_ms is not None and at[99] > arguments.p99_ms)


def port_of(server: subprocess.Popen[str]) -> int:
    assert server.stderr is not None
    for line in server.stderr:
        if "serving at" in line:
            return int(line.rsplit(":", 1)[1])
    raise SystemExit("the server ended before it served")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def load(port: int, rate: int, seconds: int) -> tuple[list[float], list[float]]:
    """Seconds that each request took, and left late; raises if one is not answered with 200."""
    with (EXAMPLES / "prompts.jsonl").open(encoding="utf-8") as lines:
        bodies = [json.dumps({"text": json.loads(line)["prompt"]}).encode() for line in lines]
    requests = [
        b"POST /v1/route HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    ]
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    took: list[float] = []
    late: list[float] = []

    async def one(request: bytes) -> None:
        woke = time.perf_counter()
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        took.append(time.perf_counter() - woke)
        free.put_nowait((reader, writer))
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"answered {head[:40]!r}")

    start = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as tasks:
        for i in range(rate * seconds):
            due = start + i / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            late.append(time.perf_counter() - due)
            tasks.create_task(one(requests[i % len(requests)]))
    while not free.empty():
        free.get_nowait()[1].close()
    return sorted(took), sorted(late)


if __name__ == "__main__":
    sys.exit(main())
