"""Checks that run a command: a recipe of the Makefile, or a module of this package.

Not here: what they check.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from release.checks.repository import Missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from release.checks.repository import Repository


def running(command: str) -> Callable[[Repository], list[Missing]]:
    """Make a check of a command, whose exit code has to be 0.

    Args:
        command: As one would type it at the root of the repository.
    """

    def failures(repository: Repository) -> list[Missing]:
        words = shlex.split(command)
        module = re.search(r"^python -m ([\w.]+)", command)
        if module and not _has_module(repository, module[1]):
            return [Missing(f"there is no {module[1]}", f"write it, so that {command} works")]
        words[0] = sys.executable if words[0] == "python" else words[0]
        try:
            done = subprocess.run(
                words, cwd=repository.root, capture_output=True, text=True, check=False
            )
        except OSError as error:
            return [Missing(f"{words[0]} does not start: {error.strerror}", f"install {words[0]}")]
        if done.returncode == 0:
            return []
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = said[-1].strip() if said else "nothing was printed"
        problem = f"{command} ends with code {done.returncode}: {last}"
        return [Missing(problem, f"see all of it: {command}")]

    return failures


def _has_module(repository: Repository, module: str) -> bool:
    path = module.replace(".", "/")
    return repository.has(f"{path}.py") or repository.has(f"{path}/__main__.py")
