"""Run a command and measure its time, its CPU time and the memory of all its processes.

Not here: which command, and the record. Memory is read from Linux's /proc every fifth of a second,
so a process that lives shorter may be missed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

EVERY_S = 0.2
SAID_EVERY_S = 60.0
# A command that was told to end may remove its files for so long.
GRACE_S = 20.0
PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """What a command took; memory in bytes, the peak of each figure by itself.

    Attributes:
        wall_s: Seconds from start to end.
        cpu_s: Seconds of user and system time, of all processes that ended.
        memory: Resident memory of all processes, where pages that several share count once (PSS);
            `largest` if that is more, for instance because other programs map the same libraries.
        private: The same without pages of files, which the system may drop: mapped vectors,
            libraries.
        largest: Resident memory of the largest process (RSS), which the kernel notes at all times.
        processes: Most processes at one time.
        output: What the command printed, standard error after standard output.
    """

    wall_s: float
    cpu_s: float
    memory: int
    private: int
    largest: int
    processes: int
    output: str


class CommandError(Exception):
    """A measured command failed; the message has its last line."""


class OutOfTimeError(CommandError):
    """A measured command was ended because its time was over."""


def measured(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    path: str | None = None,
    limit_s: float | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Usage:
    """Run a command to its end and measure it with its descendants.

    Args:
        command: The program and its arguments.
        environment: Of the process; this one's by default.
        folder: Where the command runs.
        path: PYTHONPATH in place of this process's; an empty text for none.
        limit_s: Seconds after which the command is ended.
        progress: Called every minute with the seconds so far, and the peak of memory.

    Raises:
        CommandError: The command failed.
        OutOfTimeError: It took longer than ``limit_s``.
    """
    if not (PROC / "self" / "smaps_rollup").exists():
        sys.exit("memory of processes is read from Linux's /proc, which is not here")
    environment = dict(os.environ if environment is None else environment)
    if path is not None:
        environment["PYTHONPATH"] = path
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        # A session of its own, so that an interrupt here ends all of its processes.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        watch = _Watch(process.pid, limit_s, progress)
        watch.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            watch.ended.set()
            watch.join()
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        texts = []
        for file in (out, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    if watch.out_of_time:
        raise OutOfTimeError(f"{' '.join(command)}: ended after {wall_s:.0f} s")
    if process.returncode:
        last = (texts[1] or texts[0]).strip().splitlines()[-1:] or ["no message"]
        raise CommandError(f"{' '.join(command)}: exit code {process.returncode}: {last[0]}")
    return Usage(
        wall_s,
        used.ru_utime + used.ru_stime,
        max(watch.memory, watch.largest),
        watch.private,
        watch.largest,
        watch.processes,
        "".join(texts),
    )


class _Watch(threading.Thread):
    """Read the memory of a process and its descendants until `ended` is set."""

    def __init__(
        self, pid: int, limit_s: float | None, progress: Callable[[float, int], None] | None
    ) -> None:
        super().__init__(daemon=True)
        self._pid, self._limit_s, self._progress = pid, limit_s, progress
        self._start = self._said = time.monotonic()
        self.ended = threading.Event()
        self.out_of_time = False
        self.memory = self.private = self.largest = self.processes = 0

    def run(self) -> None:
        while not self.ended.wait(EVERY_S):
            pids = descendants(self._pid)
            found = [_memory(pid) for pid in pids]
            self.memory = max(self.memory, sum(pss for pss, _, _ in found))
            self.private = max(self.private, sum(private for _, private, _ in found))
            self.largest = max([self.largest, *(peak for _, _, peak in found)])
            self.processes = max(self.processes, len(pids))
            self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if self._progress is not None and now - self._said >= SAID_EVERY_S:
            self._said = now
            self._progress(now - self._start, max(self.memory, self.largest))
        if self._limit_s is not None and now - self._start > self._limit_s:
            if not self.out_of_time:
                self.out_of_time, self._limit_s = True, self._limit_s + GRACE_S
                with suppress(ProcessLookupError):
                    os.killpg(self._pid, signal.SIGTERM)
            else:
                with suppress(ProcessLookupError):
                    os.killpg(self._pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """List a process, its children and theirs."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                # The name, in parentheses, may hold blanks.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it ended meanwhile
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _memory(pid: int) -> tuple[int, int, int]:
    """Return PSS, PSS without files, and the peak of RSS since the process began, in bytes."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
        status = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0, 0, 0
    kb = {
        line.split(":")[0]: int(line.split()[1]) for line in lines + status if line.endswith(" kB")
    }
    private = kb.get("Pss_Anon", 0) + kb.get("Pss_Shmem", 0)
    return kb.get("Pss", 0) * 1024, private * 1024, kb.get("VmHWM", 0) * 1024
