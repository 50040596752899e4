"""Build and test from the sdist alone, and from the crate of the core alone.

    python -m release.sdist [--only core|package]

The sdist is unpacked, installed with its tools into an empty environment, and its fast tests run
there; the crate that cargo packs is unpacked and its tests run. Nothing of the repository is used.
Not here: the slow tests, which `make test-wheel` runs on a wheel.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from . import build
from .tools import ROOT, Fault, command, pip_install, run, say
from .wheels import make

WORK = ROOT / "build" / "test-sdist"
FAST = "not slow and not real_data and not ray and not operate and not browser"
EXTRAS = "onnx,train,server,otel"
# Files of the core's crate without which it says less than it should, or cannot be tested.
CRATE_NEEDS = ("LICENSE", "README.md", "FORMAT.md", "Cargo.lock", "tests/golden/v1_0_small.hnv")
CRATE_SAYS = ("description", "license", "readme", "rust-version", "keywords", "categories")


def test_package(arguments: list[str]) -> None:
    """Install the sdist from its own folder and run its fast tests there.

    Args:
        arguments: More arguments for pytest.

    Raises:
        Fault: It cannot be built, or a test fails.
    """
    make([], work=WORK / "made", out=WORK / "dist")
    (sdist,) = (WORK / "dist").glob("*.tar.gz")
    source = build.unpack(sdist, WORK / "unpacked")
    env = _environment()
    venv = WORK / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    say(f"installing {sdist.name} with [{EXTRAS}] and what its tests need")
    run([sys.executable, "-m", "venv", venv], cwd=WORK)
    python = venv / "bin" / "python"
    install = pip_install(python)
    run([*install, "pip>=25.1"], cwd=source, env=env)
    log = WORK / "install.log"
    run([*install, f".[{EXTRAS}]", "--group", "test"], cwd=source, env=env, log=log)
    say("running its fast tests")
    _watch([python, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", "-m", FAST,
            "-p", "no:cacheprovider", *arguments], source, env)  # fmt: skip


def test_core() -> None:
    """Pack the core's crate, unpack it, and run its tests there.

    Raises:
        Fault: The crate lacks something, cannot be built, or a test fails.
    """
    env = _environment()
    say("packing hypernova-core, which builds it from its crate")
    packed = WORK / "target" / "package"
    for old in packed.glob("*.crate"):
        old.unlink()
    command = ["cargo", "package", "--package", "hypernova-core", "--locked", "--allow-dirty"]
    run(command, cwd=ROOT, env=env, log=WORK / "package.log")
    (crate,) = packed.glob("hypernova-core-*.crate")
    # Outside of the repository, in whose workspace it would be.
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(crate) as archive:
            archive.extractall(folder, filter="data")
        (source,) = Path(folder).iterdir()
        if lacking := [name for name in CRATE_NEEDS if not (source / name).is_file()]:
            raise Fault(f"{crate.name}: {', '.join(lacking)} is missing")
        manifest = tomllib.loads((source / "Cargo.toml").read_text(encoding="utf-8"))
        if silent := [key for key in CRATE_SAYS if key not in manifest["package"]]:
            raise Fault(f"{crate.name}: its Cargo.toml has no {', '.join(silent)}")
        say(f"running the tests of {crate.name}, {crate.stat().st_size:,} bytes")
        _watch(["cargo", "test", "--quiet", "--locked"], source, env)


def _environment() -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "HYPERNOVA_SHARED")}
    return env | {"CARGO_TARGET_DIR": str(WORK / "target"), "HYPERNOVA_INSTALLED": "1"}


def _watch(command: list[str | Path], folder: Path, env: dict[str, str]) -> None:
    """Run tests with their output in sight."""
    if subprocess.run(command, cwd=folder, env=env, check=False).returncode:
        raise Fault(f"tests failed in {folder}")


def main() -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m release.sdist",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=("package", "core"), help="one of the two")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    given = parser.parse_args()

    def work() -> None:
        if given.only != "package":
            test_core()
        if given.only != "core":
            test_package(given.pytest)

    return command(work)


if __name__ == "__main__":
    sys.exit(main())
