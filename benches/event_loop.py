"""Measure how late the turns of an event loop come while 64 requests are in flight.

Not here: the time of the requests (`text.py`). A thread asks the loop for a turn every
millisecond, as a socket would, and the turn measures how late it comes (a timer of asyncio's
would not do: epoll rounds it up to the next millisecond). A row without requests shows the
machine's own delays.

    python -m benches.event_loop [--seconds 5] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
from benches.record import processor, source_state, write_page
from benches.text import artifact_for, prompts

import hypernova
from hypernova.embedder import Embedder

IN_FLIGHT = 64
EVERY_S = 0.001  # between two probes
CALM_RATE = 1000  # requests a second of clients that pause, at most


def probe(loop: asyncio.AbstractEventLoop, until: float, late: list[float]) -> None:
    """Ask the loop for turns until a time, and collect the seconds by which each was late."""

    def turn(asked: float) -> None:
        late.append(time.perf_counter() - asked)

    while time.perf_counter() < until:
        time.sleep(EVERY_S)
        loop.call_soon_threadsafe(turn, time.perf_counter())


async def requests(router: hypernova.Router, texts: list[str], until: float, pause_s: float) -> int:
    """Send requests one after the other, as one client does, and count them."""
    done = 0
    while time.perf_counter() < until:
        await router.aroute(texts[done % len(texts)])
        done += 1
        if pause_s:
            await asyncio.sleep(pause_s)
    return done


async def run(
    router: hypernova.Router | None, texts: list[str], seconds: float, pause_s: float = 0.0
) -> list[object]:
    """Run all clients beside the probe, and return the figures of a row."""
    late: list[float] = []
    until = time.perf_counter() + seconds
    flights = [
        requests(router, texts[i:] + texts[:i], until, pause_s) for i in range(IN_FLIGHT) if router
    ]
    loop = asyncio.get_running_loop()
    probing = loop.run_in_executor(None, probe, loop, until, late)
    done = await asyncio.gather(*flights)
    await probing
    shares = np.percentile(late, [50, 99, 99.9]) * 1e3
    over = sum(lag > 0.001 for lag in late)
    return [sum(done) / seconds, len(late), *shares, max(late) * 1e3, over]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each row")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    seconds = arguments.seconds
    texts = prompts()
    rows = [("no request", "", asyncio.run(run(None, [""], seconds)))]
    for name in ("static", "minilm"):
        embedder = Embedder.load(name)
        for length, some in texts.items():
            router = hypernova.Router(artifact_for(embedder), embedder=embedder)
            router.route(some[0])
            rows.append((name, length, asyncio.run(run(router, some, seconds))))
            if name == "static":
                # Without pauses the loop mostly waits for its own turns.
                paused = asyncio.run(run(router, some, seconds, IN_FLIGHT / CALM_RATE))
                rows.append((f"{name}, with pauses", length, paused))
            router.close()
    rows.append(("no request", "", asyncio.run(run(None, [""], seconds))))
    commit, changed = source_state()
    lines = [
        f"# An event loop with {IN_FLIGHT} requests in flight, {date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}; uncommitted changes: {changed}; "
        f"{seconds:g} s a row. How late the loop's next turn comes, in ms. "
        "`python -m benches.event_loop`.",
        "",
        "| embedder | prompts of | requests/s | probes | median | 99% | 99.9% | most | over 1 ms |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, length, (rate, probes, *shares, most, over) in rows:
        numbers = [f"{rate:,.0f}", f"{probes:,}", *(f"{x:.2f}" for x in (*shares, most)), str(over)]
        lines.append(f"| {name} | {length} | " + " | ".join(numbers) + " |")
    print("\n".join(lines))
    write_page(lines, arguments.output, commit, "event-loop")


if __name__ == "__main__":
    main()
