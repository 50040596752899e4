"""Install a wheel with its libraries for an environment, and run its interpreter.

pip of this machine installs for other platforms: an interpreter there needs no pip, no network and
no compiler. What it says of itself decides which tags are asked for.
Not here: what is run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from release.environments import interpreters, roots
from release.environments.selection import LIBRARIES
from release.tools import ROOT, Fault, Tools, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from release.environments.catalogue import Environment

BASE = ROOT / "build" / "environments"
# Version and libc of an interpreter, as it sees them; musl is asked, for platform knows it not.
_ABOUT = """
import os, platform, re, subprocess, sys
libc = " ".join(platform.libc_ver())
if "glibc" not in libc:
    import glob
    for loader in glob.glob("/lib/ld-musl-*"):
        said = subprocess.run([loader], capture_output=True, text=True).stderr
        libc = "musl " + re.search("Version ([0-9.]+)", said).group(1)
gil = "" if getattr(sys, "_is_gil_enabled", lambda: True)() else " without GIL"
print(platform.python_version() + gil, libc, platform.machine(), sep="|")
"""


@dataclass(frozen=True)
class Installed:
    """An environment with a wheel in it.

    Attributes:
        environment: The environment.
        python: The interpreter, by its path there.
        root: The root folder; None for this machine's.
        shown: A folder of this machine with the tests and the installed libraries.
        site: Whether libraries are in a folder of their own, not in the interpreter's.
    """

    environment: Environment
    python: str
    root: Path | None
    shown: Path
    site: bool

    def place(self, name: str) -> str:
        """Give the path of a file below the shown folder, as it is there."""
        return f"/shown/{name}" if self.root else str(self.shown / name)

    def run(
        self, arguments: Sequence[str], *, limit_s: int, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the interpreter in an empty folder, and return what it printed.

        A run that takes longer than its limit ends with code 124.
        """
        path = f"{Path(self.python).parent}:/usr/local/bin:/usr/bin:/bin"
        env = {"PATH": path, "HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        env |= environ or {}
        if self.site:
            env["PYTHONPATH"] = self.place("site")
        if self.environment.free_threaded:
            env["PYTHON_GIL"] = "0"
        command = [self.python, *arguments]
        if self.root is not None:
            command = roots.command(self.root, self.shown, command, env)
            env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}  # that of unshare, mount and chroot
        elsewhere = self.shown.with_name("elsewhere")
        elsewhere.mkdir(exist_ok=True)
        command = ["timeout", "--kill-after=10", str(limit_s), *command]
        return subprocess.run(
            command, cwd=elsewhere, env=env, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip

    def about(self) -> tuple[str, str, str]:
        """Return the interpreter's version, libc and processor, as it sees them."""
        done = self.run(["-c", _ABOUT], limit_s=120)
        if done.returncode:
            raise Fault(f"{self.environment.name}: the interpreter does not start: {last(done)}")
        version, libc, machine = done.stdout.strip().split("|")
        return version, libc, machine


def last(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line that a process printed."""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[-1] if lines else f"no output, code {done.returncode}"


def platforms(libc: str, machine: str) -> list[str]:
    """List the platform tags that an installation takes, newest first, as pip would there.

    Args:
        libc: Name and version, such as ``glibc 2.36``.
        machine: The processor.
    """
    name, _, version = libc.partition(" ")
    found = re.match(r"(\d+)\.(\d+)", version)
    if name not in ("glibc", "musl") or found is None:
        raise Fault(f"no platform tags are known for the C library {libc!r}")
    minor = int(found[2])
    if name == "musl":
        return [f"musllinux_{found[1]}_{n}_{machine}" for n in range(minor, -1, -1)]
    tags = [f"manylinux_2_{n}_{machine}" for n in range(minor, 4, -1)]
    # The names of these before PEP 600.
    older = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    return tags + [f"{tag}_{machine}" for n, tag in older.items() if n <= minor]


def make(environment: Environment, tools: Tools) -> tuple[str, Path | None]:
    """Make an environment, and return its interpreter with the root folder.

    Raises:
        Fault: It cannot be had here.
    """
    folder = BASE / environment.name
    plan, root = environment.build, environment.root
    built = (
        None if plan is None else interpreters.build(environment, plan, folder / "python", tools)
    )
    if root is None:
        if built is not None:
            return str(built / "bin" / f"python{environment.python}"), None
        return str(interpreters.find(environment.python)), None
    # Environments of one system share it; one with an interpreter of its own has a copy.
    name = environment.name if plan else f"{root.suite}-{environment.machine}"
    place = BASE / "roots" / name
    roots.make(environment, root, place)
    if built is None:
        return f"/usr/bin/{root.interpreter}", place
    inside = place / interpreters.PREFIX.relative_to("/")
    if not inside.exists():
        shutil.copytree(built / interpreters.PREFIX.relative_to("/"), inside, symlinks=True)
    return str(interpreters.PREFIX / "bin" / f"python{environment.python}"), place


def install(environment: Environment, wheel: Path, tools: Tools) -> Installed:
    """Make an environment and install a wheel with the libraries of its tests.

    Raises:
        Fault: The environment cannot be had, or the libraries cannot.
    """
    python, root = make(environment, tools)
    shown = BASE / environment.name / "shown"
    shutil.rmtree(shown, ignore_errors=True)
    _copy_tests(shown / "source")
    tests = environment.tests
    extras = f"[{','.join(tests.extras)}]" if tests.extras else ""
    if root is None and environment.build is None:
        venv = BASE / environment.name / "venv"
        shutil.rmtree(venv, ignore_errors=True)
        run([python, "-m", "venv", venv], cwd=ROOT)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        run([*pip, "pip>=25.1"], cwd=BASE)
        group = ["--group", f"{ROOT / 'pyproject.toml'}:test"] if tests.group else []
        libraries = () if tests.group else LIBRARIES
        run([*pip, f"{wheel}{extras}", *group, *libraries], cwd=BASE)
        return Installed(environment, str(venv / "bin" / "python"), None, shown, site=False)
    bare = Installed(environment, python, root, shown, site=True)
    _, libc, machine = bare.about()
    version = environment.python.removesuffix("t").replace(".", "")
    abis = [f"cp{version}t"] if environment.free_threaded else [f"cp{version}", "abi3"]
    command: list[str | Path] = [tools.program("python"), "-m", "pip", "install", "--quiet"]
    command += ["--target", shown / "site", "--python-version", version]
    command += ["--implementation", "cp", "--only-binary=:all:"]
    for flag, values in {
        "--abi": [*abis, "none"],
        "--platform": [*platforms(libc, machine), "any"],
    }.items():
        command += [part for value in values for part in (flag, value)]
    run([*command, f"{wheel}{extras}", *LIBRARIES], cwd=BASE)
    return bare


def _copy_tests(folder: Path) -> None:
    """Copy the last commit; nothing of it but the tests is on the path of the interpreter."""
    folder.mkdir(parents=True)
    archive = folder.with_name("source.tar")
    run(["git", "archive", "--format=tar", "--output", archive, "HEAD"], cwd=ROOT)
    run(["tar", "-xf", archive, "-C", folder], cwd=ROOT)
    archive.unlink()
