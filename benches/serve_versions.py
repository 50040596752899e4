"""Requests a second of `hypernova serve` beside another version, and its delay at half of them.

Not here: a constant load for long, and killed workers (`serve_load.py`). Each server runs alone on
the machine, which it shares with the client (`http_load.py`); the servers take turns, several
times, so that a disturbance meets all. The other version runs as one process, as it must.

    python3 -m venv build/before && build/before/bin/pip install 'hypernova-router[server]==0.1.0'
    python -m benches.serve_versions build/before/bin/python [--before-path PACKAGE] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median

import uvloop
from benches.http_load import Found, as_fast_as_answered, at_rate
from benches.record import processor, source_state, write_page
from benches.serve_load import CONNECTIONS, port_of, summary

ROUNDS, SECONDS, WARM_S = 3, 5.0, 1.0
HALF_SECONDS = 20.0
RATIO, P99_MS = 2.0, 5.0
LOG = "build/serve-versions-log"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", help="Python with the other version and its extra server")
    parser.add_argument("--before-path", help="folder of the other version, for PYTHONPATH")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, help="write a record into this folder")
    arguments = parser.parse_args()
    name = f"now, {arguments.workers} workers"
    servers = {
        "before": (arguments.before, arguments.before_path, []),
        "now": (sys.executable, os.environ.get("PYTHONPATH"), []),
        name: (
            sys.executable,
            os.environ.get("PYTHONPATH"),
            ["--workers", str(arguments.workers)],
        ),
        f"{name}, --log": (
            sys.executable,
            os.environ.get("PYTHONPATH"),
            ["--workers", str(arguments.workers), "--log", LOG],
        ),
    }
    rates: dict[str, list[float]] = {server: [] for server in servers}
    for _ in range(ROUNDS):
        for server, how in servers.items():
            rates[server].append(requests_a_second(*how))
    ratios = {
        server: median(a / b for a, b in zip(found, rates["before"], strict=True))
        for server, found in rates.items()
    }
    shutil.rmtree(LOG, ignore_errors=True)
    rate = median(rates[name]) / 2
    half = delay(*servers[name], rate)
    commit, _ = source_state()
    lines = [
        f"`python -m benches.serve_versions`, {processor()}, {datetime.date.today()}, commit "
        f"{commit}. Bundled artifact, `static`, {CONNECTIONS} connections; the client shares the "
        f"cores. Medians of {ROUNDS} turns of {SECONDS:g} s.",
        "",
        "| server | requests a second | ratio |",
        "| --- | --- | --- |",
        *(f"| {s} | {median(rates[s]):,.0f} | {ratios[s]:.2f} |" for s in servers),
        "",
        f"At half of that, {rate:,.0f} a second, {name}: {summary(half, HALF_SECONDS)}",
    ]
    print("\n".join(lines))
    write_page(lines, arguments.output, commit, "serve-versions")
    return int(ratios[name] < RATIO or half.at(99) > P99_MS or half.lost > 0)


def requests_a_second(python: str, path: str | None, options: list[str]) -> float:
    """Return the rate of a server's answers when each connection asks at once again."""
    server, port = start(python, path, options)
    try:
        uvloop.run(as_fast_as_answered(port, WARM_S, CONNECTIONS))
        found = uvloop.run(as_fast_as_answered(port, SECONDS, CONNECTIONS))
    finally:
        stop(server)
    if found.refused or found.lost:
        raise SystemExit(f"not all requests were answered: {found.refused}, {found.lost} lost")
    return len(found.took) / found.seconds


def delay(python: str, path: str | None, options: list[str], rate: float) -> Found:
    """Put a constant load on a server, and return the answers."""
    server, port = start(python, path, options)
    try:
        uvloop.run(at_rate(port, rate, WARM_S, CONNECTIONS))
        return uvloop.run(at_rate(port, rate, HALF_SECONDS, CONNECTIONS))
    finally:
        stop(server)


def start(python: str, path: str | None, options: list[str]) -> tuple[subprocess.Popen[str], int]:
    """Start a server, and return it with its port."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = path
    command = [python, "-m", "hypernova.cli", "serve", "--port", "0", *options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    return server, port_of(server)


def stop(server: subprocess.Popen[str]) -> None:
    """End a server."""
    server.send_signal(signal.SIGTERM)
    server.wait(20)
    assert server.stderr is not None
    server.stderr.close()


if __name__ == "__main__":
    sys.exit(main())
