"""Compare processes that start, route and end with those of another version.

Not here: decisions once a process runs (`text.py`, `versions.py`). Both versions route with their
own bundled artifact, start in turns, and have compiled their modules before. On a shared machine
the quickest start says most. Pss counts a page that n processes share as an n-th of a page for
each; Linux alone states it.

    python3 -m venv build/before && build/before/bin/pip install hypernova-router==0.1.0
    python -m benches.processes build/before/bin/python [--pythonpath FOLDER] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter

from benches.record import processor, source_state, write_page
from benches.text import FRESH

import hypernova

STARTS, TOGETHER = 21, 8
TEXT = "Fix the race in the scheduler"
ROUTE = f"import hypernova; hypernova.Router.open().route({TEXT!r})"
# What an installed `hypernova` runs.
COMMAND = "import sys; from hypernova.cli import main; sys.exit(main())"
PLACE = "import hypernova; from hypernova.router import BUNDLED_ARTIFACT as path; print(path)"
# Each process routes, says so, and waits to be measured.
WAIT = f"{FRESH}sys.stdin.readline()\n"
MIB = 1 << 20

WALL = {
    "python alone": ("-c", "pass"),
    "import hypernova": ("-c", "import hypernova"),
    "import, open, first decision": ("-c", ROUTE),
    'hypernova route "..."': ("-c", COMMAND, "route", TEXT),
    "hypernova --help": ("-c", COMMAND, "--help"),
}


class Version:
    """An interpreter that imports one version of the package.

    Args:
        python: The interpreter.
        path: Folder of the package, if it is not installed there.
    """

    def __init__(self, python: str, path: str | None) -> None:
        self.python = python
        left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        self.environment = {k: v for k, v in os.environ.items() if k not in left_out}
        if path is not None:
            self.environment["PYTHONPATH"] = path
        self.name = self.output("-c", "import hypernova; print(hypernova.__version__)").strip()
        self.fresh = ("-u", "-c", WAIT, "static", "512", self.output("-c", PLACE).strip())

    def output(self, *arguments: str) -> str:
        """Run the interpreter, and return what it prints."""
        command = [self.python, *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, check=True, env=self.environment, text=True
        )
        return done.stdout

    def seconds(self, row: str) -> float:
        """Time a process from its start to its end."""
        start = perf_counter()
        self.output(*WALL[row])
        return perf_counter() - start

    def start(self) -> tuple[subprocess.Popen[str], float]:
        """Start a process that routes, and return it with the seconds to its first decision."""
        process = subprocess.Popen(
            [self.python, *self.fresh],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            text=True,
        )
        assert process.stdout is not None
        first, _ = json.loads(process.stdout.readline())
        return process, first

    def together(self, count: int) -> list[dict[str, int]]:
        """Return the memory of several processes at a time, in bytes, after 201 decisions each."""
        running = [self.start()[0] for _ in range(count)]
        found = [memory_of(process.pid) for process in running]
        for process in running:
            process.communicate("\n")
        return found


def memory_of(process: int) -> dict[str, int]:
    """Return Rss, Pss and their like of a process, in bytes."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def times(old: Version, new: Version, starts: int) -> list[str]:
    """Start both versions in turns, and format a line for each row."""
    table = []
    for row in [*WALL, "import, open, first decision, seen from inside"]:
        took: dict[Version, list[float]] = {old: [], new: []}
        for turn in range(starts + 1):
            for version in (old, new) if turn % 2 else (new, old):
                if row in WALL:
                    seconds = version.seconds(row)
                else:
                    process, seconds = version.start()
                    process.communicate("\n")
                if turn:  # the first start compiles modules and reads files
                    took[version].append(1e3 * seconds)
        shown = " | ".join(f"{min(ms):.0f} ms, {median(ms):.0f} ms" for ms in took.values())
        table.append(f"| {row} | {shown} | {min(took[old]) / min(took[new]):.1f} |")
    return table


def memory(old: Version, new: Version) -> list[str]:
    """Measure both versions' processes, one alone and several together, a line for each figure."""
    table = []
    for count in (1, TOGETHER):
        before, now = (version.together(count) for version in (old, new))
        for field in ("Rss", "Pss"):
            was, is_now = (sum(one[field] for one in some) / count for some in (before, now))
            name = f"{field} of one process" if count == 1 else f"{field} of each of {count}"
            shown = f"{was / MIB:.0f} MiB | {is_now / MIB:.0f} MiB"
            table.append(f"| {name} | {shown} | {was / is_now:.1f} |")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", help="interpreter of the environment with the other version")
    parser.add_argument(
        "--pythonpath", help="folder of the other version's package, if it is not installed there"
    )
    parser.add_argument("--starts", type=int, default=STARTS, help="starts of each version")
    parser.add_argument("-o", "--output", type=Path, help="folder of the record")
    arguments = parser.parse_args()
    old = Version(arguments.python, arguments.pythonpath)
    new = Version(sys.executable, str(Path(hypernova.__file__).parents[1]))
    commit, changed = source_state()
    record = [
        f"# Processes that start and route, {date.today()}, commit {commit}",
        "",
        f"{processor()}, Python {sys.version.split()[0]}; uncommitted changes: {changed}. Times of "
        f"{arguments.starts} starts of each version, in turns: the quickest and the median; ratio "
        "of the quickest. Memory after 201 decisions. `static`, `python -m benches.processes`.",
        "",
        f"| | {old.name} | {new.name} | ratio |",
        "| --- | ---: | ---: | ---: |",
        *times(old, new, arguments.starts),
        *memory(old, new),
    ]
    print("\n".join(record))
    write_page(record, arguments.output, commit, "processes")


if __name__ == "__main__":
    main()
