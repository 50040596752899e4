"""Run a program that starts a Ray, and end all that it leaves.

Not here: the programs (`ray_cluster`, `ray_serving`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.calls import environment
from support.process_tree import children

if TYPE_CHECKING:
    from collections.abc import Iterator


def ray_environment() -> dict[str, str]:
    """The environment of a Ray that ends no process because other programs fill the memory."""
    return {**environment(), "RAY_memory_monitor_refresh_ms": "0"}


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for Ray's sockets, as pytest's may not be."""
    folder = Path(tempfile.mkdtemp(prefix="hnv-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def run_on_ray(
    module: str, folder: Path, *arguments: str, timeout_s: float, **env: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run a program that writes what it found into a folder.

    Args:
        module: The program's module.
        folder: Its first argument, in which its home is made, too.
        arguments: Its other arguments.
        timeout_s: Seconds after which the test fails.
        env: Variables that it gets besides those of `ray_environment`.

    Returns:
        The process, and what it found.
    """
    home = folder / "home"
    home.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(folder), *arguments],
        env={**ray_environment(), "HOME": str(home), **env},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        # Ray's processes outlive a program that is killed, and would slow what comes after.
        for pid in [*children(process.pid), process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()
    assert process.returncode == 0, out + err
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    return done, json.loads((folder / "found.json").read_text())
