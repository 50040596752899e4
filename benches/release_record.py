"""Make the record of a version: all benchmarks that it needs, one after the other, on one commit.

Not here: which benchmarks (`release_steps.py`), and the page of their figures (`release_page.py`).

    python -m benches.release_record --before PYTHON --pythonpath FOLDER   # make record BEFORE=...
    python -m benches.release_record --estimate
    python -m benches.release_record --only speed text
    python -m benches.release_record --check

Each benchmark is a process of its own with a time limit, and begins when nothing else is at work.
What is done is noted in ``DATE-COMMIT-release.csv`` beside the records: a second run goes on where
the first one ended. A record that is older than the sources does not count; one that was made
before a commit of pages or records does. To measure a step again, remove its record.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from benches.paths import ROOT
from benches.record import output_of, source_state
from benches.records import FOLDER, Records, same_sources
from benches.release_page import PAGE, page_of
from benches.release_steps import GROUPS, STEPS, Before, Step, missing_modules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOGS = ROOT / "build" / "record"
STAT = Path("/proc/stat")
# A benchmark begins when fewer cores than this are at work, and waits for that so long.
QUIET_CORES, PATIENCE_S = 0.3, 600.0
LOOK_S = 2.0
# An ended benchmark may remove its files for so long.
GRACE_S = 30.0
COMPLETE, PARTIAL, NOTHING = "complete", "partial", "no record"


@dataclass(frozen=True)
class Done:
    """How a step ended, a row of the log.

    Attributes:
        step: The kind of record.
        status: ``complete``, ``partial`` or ``no record``.
        load: Load average of a minute before it.
        busy: Cores that were at work before it.
        minutes: Duration.
        limit: Minutes that it was given.
        date: YYYY-MM-DD.
        record: Name of the record's page; empty if there is none.
        note: What is missing, or what was cut.
    """

    step: str
    status: str
    load: str
    busy: str
    minutes: str
    limit: str
    date: str
    record: str
    note: str


class Log:
    """The steps that were made for the sources as they are.

    Args:
        folder: The folder of the records.
        commit: The commit that is measured.
    """

    def __init__(self, folder: Path, commit: str) -> None:
        self._folder, self._commit = folder, commit
        self.done: dict[str, Done] = {}
        self.path = folder / f"{datetime.date.today()}-{commit}-release.csv"
        for path in sorted(folder.glob("*-release.csv")):
            of = path.name.removesuffix("-release.csv").rpartition("-")[2]
            if of == commit or same_sources(of):
                self.path = path if of == commit else self.path
                with path.open(newline="", encoding="utf-8") as file:
                    for row in csv.DictReader(file):
                        self.done[row["step"]] = Done(**row)

    def has(self, step: Step) -> bool:
        """Whether a step has left its record."""
        done = self.done.get(step.kind)
        return bool(done and done.record and (self._folder / done.record).exists())

    def add(self, done: Done) -> None:
        """Note a step; the file is replaced whole."""
        self.done[done.step] = done
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Done)])
            writer.writeheader()
            writer.writerows(asdict(one) for one in self.done.values())
        temporary.replace(self.path)


def busy_cores(seconds: float = LOOK_S) -> float:
    """Measure how many cores are at work; 0 where the system does not say it."""
    if not STAT.exists():
        return 0.0

    def spent() -> int:
        # User, nice and system; a machine that is shared also has stolen time.
        parts = STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        return sum(int(part) for i, part in enumerate(parts) if i in {0, 1, 2, 5, 6, 7})

    before, start = spent(), time.monotonic()
    time.sleep(seconds)
    return (spent() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - start)


def wait_until_quiet(most: float, patience_s: float) -> float:
    """Wait until nothing else is at work, and return the cores that are; exit if that never is."""
    start = time.monotonic()
    while (busy := busy_cores()) > most:
        if time.monotonic() - start > patience_s:
            sys.exit(
                f"{busy:.1f} cores have been at work for {patience_s / 60:.0f} minutes: end what "
                "runs beside, or give --busy CORES; what is done so far is kept"
            )
        print(f"  waiting: {busy:.1f} cores are at work", file=sys.stderr, flush=True)
    return busy


def run(command: Sequence[str], log: Path, limit_s: float) -> tuple[int, bool]:
    """Run a command into a file; return its exit code, and whether it was ended for its time."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        try:
            return process.wait(limit_s), False
        except subprocess.TimeoutExpired:
            return _ended(process), True
        finally:
            # Also after an interrupt, and what a benchmark has left running.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ended(process: subprocess.Popen[bytes]) -> int:
    os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def make(
    step: Step, folder: Path, before: Before | None, *, tiny: bool, busy: float, commit: str
) -> Done:
    """Run one step, and put its record into the folder, marked with how it was made."""
    load, start = os.getloadavg()[0], time.monotonic()
    limit = step.limit
    log = LOGS / f"{commit}-{step.kind}.log"
    with tempfile.TemporaryDirectory(prefix="hypernova-record-") as place:
        command = [sys.executable, *step.arguments(place, before, tiny=tiny)]
        code, out_of_time = run(command, log, 60 * limit)
        minutes = (time.monotonic() - start) / 60
        pages = sorted(Path(place).glob(f"*-{step.kind}.md"))
        without = missing_modules(step.peers)
        notes = [
            *([f"ended after {limit:g} minutes"] if out_of_time else []),
            *([f"without {', '.join(without)}"] if without else []),
        ]
        if tiny:
            notes.append("a trial, of which no figure counts")
        if not pages:
            words = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no message"]
            notes.append(f"exit code {code}: {words[0][:300]}")
        status = NOTHING if not pages else PARTIAL if notes else COMPLETE
        made = f"load {load:.2f} and {busy:.2f} cores at work before it, {minutes:.1f} minutes of "
        made += f"at most {limit:g}."
        if pages:
            mark = f"**Partial**: {'; '.join(notes)}." if notes else "Complete."
            cut = f" Cut: {step.cut}." if step.cut else ""
            text = pages[0].read_text(encoding="utf-8").rstrip("\n")
            pages[0].write_text(f"{text}\n\n`make record`: {made} {mark}{cut}\n", encoding="utf-8")
            for path in sorted(Path(place).glob(f"*-{step.kind}.*")):
                (folder / path.name).write_bytes(path.read_bytes())
    return Done(
        step.kind,
        status,
        f"{load:.2f}",
        f"{busy:.2f}",
        f"{minutes:.2f}",
        f"{limit:g}",
        datetime.date.today().isoformat(),
        pages[0].name if pages else "",
        "; ".join(notes),
    )


def estimate(steps: Sequence[Step], log: Log, before: Before | None) -> list[str]:
    """List the minutes that each step takes, with what is done and what cannot run."""
    lines, left = [f"{'step':<20}{'minutes':>8}{'at most':>9}  "], 0.0
    for step in steps:
        state = step.lacks(before) or ""
        if log.has(step):
            done = log.done[step.kind]
            state = f"{done.status}, {float(done.minutes):.1f} minutes"
        elif not state:
            left += step.minutes
            if missing := missing_modules(step.peers):
                state = f"without {', '.join(missing)}"
        lines.append(f"{step.kind:<20}{step.minutes:>8g}{step.limit:>9g}  {state}".rstrip())
    lines.append(f"{'left':<20}{left:>8g}")
    return lines


def chosen(names: Sequence[str]) -> list[Step]:
    """Return the steps of some names and groups, in their order; all for none."""
    return [step for step in STEPS if not names or {step.kind, step.group} & {*names}]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse a second run on the same folder at the same time."""
    import fcntl

    with (folder / ".release.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"{folder}: another run makes the record; wait for it")
        try:
            yield
        finally:
            (folder / ".release.lock").unlink()


def write_page(folder: Path, path: Path) -> None:
    """Write the page of the figures."""
    path.write_text(page_of(Records(folder)), encoding="utf-8")
    print(f"wrote {path}")


def check_page(folder: Path, path: Path) -> int:
    """Say whether the page is that of the records; return the exit code."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text == page_of(Records(folder)):
        print(f"{path}: its figures are those of the records")
        return 0
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    print(f"{name} is not what the records give: run python -m benches.release_record --page")
    return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    names = [*GROUPS, *(step.kind for step in STEPS)]
    parser = argparse.ArgumentParser(
        prog="python -m benches.release_record", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--before", metavar="PYTHON", help="interpreter with the other version")
    parser.add_argument(
        "--pythonpath", help="folder of the other version's package, if it is not installed there"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        choices=names,
        help=f"of {', '.join(names)}",
    )
    parser.add_argument("--estimate", action="store_true", help="list the steps and their minutes")
    parser.add_argument("--page", action="store_true", help="write the page alone")
    parser.add_argument("--check", action="store_true", help="1 if the page is not the records'")
    parser.add_argument("--tiny", action="store_true", help="a trial with small sizes; takes -o")
    parser.add_argument("--busy", type=float, default=QUIET_CORES, metavar="CORES",
                        help="begin a step while so many cores are at work")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, help="folder of the records")
    parser.add_argument("--page-file", type=Path, help="by default docs/record.md, or in --output")
    arguments = parser.parse_args(argv)
    folder = arguments.output
    is_usual = folder.resolve() == FOLDER
    page = arguments.page_file or (PAGE if is_usual else folder / "record.md")
    if arguments.check:
        return check_page(folder, page)
    if arguments.tiny and is_usual:
        parser.error("a trial goes into another folder: give -o FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.page:
        write_page(folder, page)
        return 0
    before = Before(arguments.before, arguments.pythonpath) if arguments.before else None
    commit, changed = source_state()
    log, steps = Log(folder, commit), chosen(arguments.only)
    if arguments.estimate:
        print("\n".join(estimate(steps, log, before)))
        return 0
    if changed != "no" and not arguments.tiny:
        sys.exit("sources differ from the commit: commit them, so that the record names what it is")
    with _alone(folder):
        missing = make_all(steps, folder, log, before, commit, arguments)
    write_page(folder, page)
    return 1 if missing else 0


def make_all(
    steps: Sequence[Step],
    folder: Path,
    log: Log,
    before: Before | None,
    commit: str,
    arguments: argparse.Namespace,
) -> list[str]:
    """Make each step that has no record, and return those that still have none."""
    missing = []
    for step in steps:
        if log.has(step):
            print(f"{step.kind}: {log.done[step.kind].record} is there")
            continue
        if reason := step.lacks(before):
            print(f"{step.kind}: {reason}")
            missing.append(step.kind)
            continue
        if (state := output_of("git", "rev-parse", "HEAD")) and not same_sources(commit, state):
            sys.exit(f"the sources are no longer those of {commit}; what is done so far is kept")
        busy = wait_until_quiet(arguments.busy, PATIENCE_S)
        print(
            f"{step.kind}: began at {time.strftime('%H:%M:%S')}, {step.minutes:g} minutes",
            flush=True,
        )
        done = make(step, folder, before, tiny=arguments.tiny, busy=busy, commit=commit)
        log.add(done)
        note = f", {done.note}" if done.note else ""
        print(
            f"{step.kind}: {done.status} after {float(done.minutes):.1f} minutes{note}", flush=True
        )
        if done.status == NOTHING:
            missing.append(step.kind)
    return missing


if __name__ == "__main__":
    sys.exit(main())
