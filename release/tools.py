"""The environment of a release's tools, commands that are run, and faults.

The tools are pinned in the dependency groups ``release`` and ``release-cross`` of pyproject.toml.
Not here: what is built or checked with them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "build" / "release-venv"


class Fault(Exception):  # noqa: N818
    """A release cannot go on; the message is one line for the user."""


def say(line: str) -> None:
    """Print a step at once, also into a file."""
    print(line, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> str:
    """Run a command quietly.

    Args:
        command: The program and its arguments.
        cwd: The folder to run it in.
        env: Its environment; that of this process if left out.
        log: A file that keeps all of its output.

    Returns:
        Its standard output.

    Raises:
        Fault: The command is missing or failed. The message has its last line, or the log's path.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError:
        raise Fault(f"missing: {name}; install it, or put it on PATH") from None
    output = done.stdout + done.stderr
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(output, encoding="utf-8")
    if done.returncode:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")]
        line = (errors or lines[-1:] or ["no output"])[0]
        there = f"; all of it is in {log}" if log else ""
        raise Fault(f"{name} failed with code {done.returncode}: {line}{there}")
    return done.stdout


def pip_install(python: Path) -> list[str | Path]:
    """Give the beginning of a command that installs into an interpreter's environment."""
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


class Tools:
    """The environment of the tools, which is made or renewed when the first of them is used.

    Args:
        group: The dependency group that is needed: ``release``, or ``release-cross`` with zig.
        folder: The environment's place.
    """

    def __init__(self, group: str, folder: Path = TOOLS) -> None:
        self.folder = folder
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        groups = project["dependency-groups"]
        self._group = group
        pins = json.dumps([sys.version, groups["release"], groups["release-cross"]])
        self._pins = hashlib.sha256(pins.encode()).hexdigest()

    def program(self, name: str) -> Path:
        """Give the path of a tool, or of ``python`` among them."""
        self._install()
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / name

    def _install(self) -> None:
        stamp = self.folder / ".installed"
        there = stamp.read_text(encoding="utf-8").split() if stamp.exists() else []
        if there[:1] != [self._pins]:
            shutil.rmtree(self.folder, ignore_errors=True)
            say(f"making {self.folder} with {self._group}'s tools")
            run([sys.executable, "-m", "venv", self.folder], cwd=ROOT)
            there = [self._pins]
        if self._group not in there[1:]:
            python = self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"
            install = pip_install(python)
            run([*install, "pip>=25.1"], cwd=ROOT)
            run([*install, "--group", self._group], cwd=ROOT)
            # Zig's group has the others in it.
            got = {"release", self._group}
            stamp.write_text("\n".join([self._pins, *sorted({*there[1:], *got})]), encoding="utf-8")


def command(work: Callable[[], None]) -> int:
    """Run a command's work, and return its exit code; a fault is one line on standard error."""
    try:
        work()
    except Fault as fault:
        print(fault, file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
