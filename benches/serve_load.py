"""Put a constant rate of requests on a real `hypernova serve`, and time each.

Not here: tests of the server's limits (`tests/integrations/`), and other versions of the server
(`serve_versions.py`). ``make soak`` runs it:

    python -m benches.serve_load --rate 500 --seconds 60 --p99-ms 5
    python -m benches.serve_load --workers 2 --kill --rate 500 --seconds 60 --p99-ms 5 -o FOLDER

Requests leave at set times, answered or not: a server that stalls is not spared the requests
that a waiting client would not have sent. The time of a request starts when the client's clock
wakes it, and includes the wait for a free connection. The delay of that clock, which this script
and the machine cause, is printed beside it.

With ``--kill`` a worker is killed in the middle of the time (SIGKILL). The requests that it had
not answered are lost, at most as many as it had connections; the script fails if others are, if
``/metrics`` does not add up to the requests, or if a decision that was answered is not in the log.
"""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import uvloop
from benches.http_load import Found, at_rate
from benches.record import processor, source_state, write_page

CONNECTIONS = 32
WARM_S = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--p99-ms", type=float, help="exit with 1 if the 99th percentile is above")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kill", action="store_true", help="kill a worker in the middle")
    parser.add_argument("-o", "--output", type=Path, help="write a record into this folder")
    parser.add_argument(
        "options", nargs="*", metavar="OPTION", help="options of hypernova serve, after --"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options = [*arguments.options, "--workers", str(arguments.workers)]
        if arguments.kill:
            options += ["--log", folder]
        lines, failed = measure(arguments, options, Path(folder))
    if arguments.p99_ms is not None and failed is None and lines.p99_ms > arguments.p99_ms:
        failed = f"the 99th percentile is {lines.p99_ms:.2f} ms, above {arguments.p99_ms:g}"
    for line in lines.text:
        print(line)
    commit, _ = source_state()
    options = [f"--rate {arguments.rate} --seconds {arguments.seconds}"]
    options += [f"--workers {arguments.workers}", *(["--kill"] if arguments.kill else [])]
    options += ["--", *arguments.options] if arguments.options else []
    title = f"`python -m benches.serve_load {' '.join(options)}`, {processor()}, "
    title += f"{datetime.date.today()}, commit {commit}. Bundled artifact, `static`."
    page = [title, "", *lines.table, "", "\n\n".join(lines.text)]
    write_page(page, arguments.output, commit, "serve-load")
    if failed is not None:
        print(failed, file=sys.stderr)
    return int(failed is not None)


class Lines:
    """What was measured, in words."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.table: list[str] = []
        self.p99_ms = 0.0


def measure(
    arguments: argparse.Namespace, options: list[str], log: Path
) -> tuple[Lines, str | None]:
    """Put the load on a server of its own, and return what was found and what was wrong."""
    command = [sys.executable, "-m", "hypernova.cli", "serve", "--port", "0", *options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    lines, failed = Lines(), None
    try:
        port = port_of(server)
        warm = uvloop.run(at_rate(port, arguments.rate, WARM_S, CONNECTIONS))
        before = cpu_seconds(server.pid)
        killed = threading.Timer(arguments.seconds / 2, kill_one, (server.pid,))
        if arguments.kill:
            killed.start()
        found = uvloop.run(at_rate(port, arguments.rate, arguments.seconds, CONNECTIONS))
        busy = (cpu_seconds(server.pid) - before) / arguments.seconds
        lines.p99_ms = found.at(99)
        lines.text.append(summary(found, arguments.seconds) + f"; the server used {busy:.2f} cores")
        lines.table = table(found, arguments, busy)
        if found.refused:
            failed = f"answers other than 200: {found.refused}"
        if arguments.kill:
            answered = len(warm.took) + len(found.took)
            counted, restarts = counts(port)
            server.send_signal(signal.SIGTERM)
            server.wait(20)
            logged = sum(path.read_bytes().count(b"\n") for path in log.iterdir())
            lines.text.append(
                f"a worker was killed after {arguments.seconds / 2:g} s and replaced "
                f"({restarts:.0f} restart): {found.lost} requests were lost, those that it had not "
                f"answered; {answered} were answered, {counted:.0f} counted by `/metrics`, "
                f"{logged} logged"
            )
            if not (found.lost <= CONNECTIONS and restarts == 1):
                failed = "more was lost than one worker held"
            elif not answered <= counted <= answered + found.lost:
                failed = "/metrics does not add up to the requests"
            elif not answered <= logged <= answered + found.lost:
                failed = "the log does not hold every decision"
        elif found.lost:
            failed = f"{found.lost} requests were lost"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        assert server.stderr is not None
        server.stderr.close()
    return lines, failed


def table(found: Found, arguments: argparse.Namespace, busy: float) -> list[str]:
    """Make the table of a page, of one row."""
    shares = (50, 90, 99, 99.9)
    heads = ["load", "answered", "lost", *(f"p{share:g}" for share in shares), "most", "cores"]
    cells = [
        f"{arguments.rate:,} a second for {arguments.seconds:,} s",
        f"{len(found.took):,}",
        f"{found.lost:,}",
        *(f"{found.at(share):.2f} ms" for share in shares),
        f"{1e3 * max(found.took):.1f} ms",
        f"{busy:.2f}",
    ]
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return [f"| {' | '.join(row)} |" for row in (heads, rule, cells)]


def summary(found: Found, seconds: float) -> str:
    """Requests, percentiles and the client's delay, in one line."""
    late = sorted(found.late)
    return (
        f"{len(found.took)} requests in {seconds:g} s answered 200, {found.lost} lost; "
        + ", ".join(f"p{p:g} {found.at(p):.2f} ms" for p in (50, 90, 99, 99.9))
        + f", max {1e3 * max(found.took):.1f} ms; requests left "
        f"{1e3 * late[len(late) // 2]:.2f} ms late, one in a hundred more than "
        f"{1e3 * late[int(0.99 * len(late))]:.2f} ms"
    )


def port_of(server: subprocess.Popen[str]) -> int:
    """Return the port that a server announces, and drop what it says after that."""
    assert server.stderr is not None
    for line in server.stderr:
        if "serving at" in line:
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return int(line.rsplit(":", 1)[1])
    raise SystemExit("the server ended before it served")


def kill_one(server: int) -> None:
    """Kill the first worker of a server."""
    os.kill(min(children(server)), signal.SIGKILL)


def counts(port: int) -> tuple[float, float]:
    """Return the answered requests that a server counts, and the restarts of workers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    return (
        float(samples['hypernova_requests_total{path="/v1/route",status="200"}']),
        float(samples["hypernova_worker_restarts_total"]),
    )


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of its children, also those that ended."""
    total = 0
    for process in (pid, *children(pid)):
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
        total += sum(map(int, stat.rsplit(")", 1)[1].split()[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
