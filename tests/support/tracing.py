"""Programs under ``strace``, where that is installed and may trace.

Not here: what a trace is searched for.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess


@functools.cache
def strace() -> str | None:
    """The program, if it is there and may trace."""
    found = shutil.which("strace")
    if found is None or subprocess.run([found, "-qq", "-o", os.devnull, "true"]).returncode:
        return None
    return found
