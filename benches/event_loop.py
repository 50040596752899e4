"""How long an event loop waits while 64 requests are in flight.

Not here: how long the requests take (`text.py`). A probe asks the loop for its next turn again
and again, and measures how late it comes; what is late without any request is the machine's.

    python -m benches.event_loop [--seconds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from datetime import date

import numpy as np
from benches.record import processor, said
from benches.text import artifact_for, prompts

import hypernova
from hypernova.embedder import Embedder

IN_FLIGHT = 64
EVERY_S = 0.001  # between two probes


async def probe(until: float, late: list[float]) -> None:
    while time.perf_counter() < until:
        start = time.perf_counter()
        await asyncio.sleep(EVERY_S)
        late.append(time.perf_counter() - start - EVERY_S)


async def requests(router: hypernova.Router, texts: list[str], until: float) -> int:
    """One of those in flight: a request after the other."""
    done = 0
    while time.perf_counter() < until:
        await router.aroute(texts[done % len(texts)])
        done += 1
    return done


async def run(router: hypernova.Router | None, texts: list[str], seconds: float) -> list[object]:
    late: list[float] = []
    until = time.perf_counter() + seconds
    flights = [requests(router, texts[i:] + texts[:i], until) for i in range(IN_FLIGHT) if router]
    _, *done = await asyncio.gather(probe(until, late), *flights)
    shares = np.percentile(late, [50, 99, 99.9]) * 1e3
    over = sum(lag > 0.001 for lag in late)
    return [sum(done) / seconds, len(late), *shares, max(late) * 1e3, over]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each row")
    seconds = parser.parse_args().seconds
    texts = prompts()
    rows = [("no request", "", asyncio.run(run(None, [""], seconds)))]
    for name in ("static", "minilm"):
        embedder = Embedder.load(name)
        for length, some in texts.items():
            router = hypernova.Router(artifact_for(embedder), embedder=embedder)
            router.route(some[0])
            rows.append((name, length, asyncio.run(run(router, some, seconds))))
            router.close()
    rows.append(("no request", "", asyncio.run(run(None, [""], seconds))))
    commit = said("git", "rev-parse", "--short", "HEAD")
    print(f"# An event loop with {IN_FLIGHT} requests in flight, {date.today()}, commit {commit}\n")
    print(
        f"{processor()}, Python {sys.version.split()[0]}; {seconds:g} s a row. How late the loop's"
    )
    print("next turn comes, in ms. `python -m benches.event_loop`.\n")
    print(
        "| embedder | prompts of | requests/s | probes | median | 99% | 99.9% | most | over 1 ms |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, length, (rate, probes, *shares, most, over) in rows:
        numbers = [f"{rate:,.0f}", f"{probes:,}", *(f"{x:.2f}" for x in (*shares, most)), str(over)]
        print(f"| {name} | {length} | " + " | ".join(numbers) + " |")


if __name__ == "__main__":
    main()
