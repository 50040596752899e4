"""Make environments that lack some of the packages of this one.

Each is a real one, made by ``venv``: its interpreter finds what lies in its own folder, which has
links to the packages that it is to have. Not here: an installed wheel (``make test-wheel``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from support.paths import PACKAGES

# Entries of ``site-packages``.
NUMPY = frozenset({"numpy", "numpy.libs"})


def environment(
    folder: Path, *, only: frozenset[str] | None = None, without: frozenset[str] = frozenset()
) -> Path:
    """Make an environment with this hypernova and links to installed packages.

    Args:
        folder: Where it is made.
        only: Entries of ``site-packages`` that it has; None for all.
        without: Distributions that it has not, nor their metadata.

    Returns:
        The path of its interpreter.
    """
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    (packages,) = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
    for entry in Path(sysconfig.get_path("platlib")).iterdir():
        name = entry.name
        named = any(name == one or name.startswith((f"{one}-", f"{one}.")) for one in without)
        if (name in only if only is not None else not named) and not name.endswith(".pth"):
            (packages / name).symlink_to(entry)
    if not (packages / "hypernova").exists():
        (packages / "hypernova").symlink_to(PACKAGES / "hypernova")
    return python


def run_in(python: Path, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run an environment's interpreter with arguments, on nothing of this process's path."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    settings = {"capture_output": True, "text": True, "timeout": 300, "check": False, "env": own}
    return subprocess.run([python, *map(str, arguments)], **(settings | options))
