"""Run the blocks of a page as a reader would, and compare what they print with what it shows.

Not here: which pages are run, and checks of pages without a run.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from support.paths import ROOT
from support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+\.\d+")

# Lines that make the environment, which is there already.
SETTING_UP = ("pip ", "python3 -m venv ")

# The Python of an environment with evaluation tools, which ``python`` is in a page's commands.
EVAL_TOOLS = os.environ.get("HYPERNOVA_EVAL_TOOLS")


def text_of(page: str | Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str | Path, *languages: str) -> list[str]:
    return [body for language, body in BLOCK.findall(text_of(page)) if language in languages]


def commands(block: str) -> Iterator[list[str]]:
    """The arguments of each ``hypernova`` command of a shell block."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|&;<>")
        words.whitespace_split = True
        words.commenters = "#"
        one: list[str] = []
        for word in [*words, ";"]:
            if set(word) <= set("|&;<>"):
                if one and one[0] == "hypernova":
                    yield one[1:]
                one = []
            elif one or not re.fullmatch(r"[A-Z_]+=.*", word):
                one.append(word)


def assert_same_output(shown: str, printed: str) -> None:
    """Compare the lines that a page shows with the first ones printed, last digits aside."""
    expected = shown.splitlines()
    lines = printed.splitlines()[: len(expected)]
    blank = [[NUMBER.sub("#", " ".join(line.split())) for line in x] for x in (expected, lines)]
    assert blank[0] == blank[1]
    numbers = [[float(n) for n in NUMBER.findall("\n".join(x))] for x in (expected, lines)]
    assert numbers[1] == pytest.approx(numbers[0], abs=0.0051)


def run(language: str, block: str, folder: Path) -> str:
    """Run a block of a page in a folder, and return its standard output."""
    command = [sys.executable, "-c", block]
    if language == "sh":
        start = f'hypernova() {{ "{sys.executable}" -m hypernova.cli "$@"; }}\nset -e\n'
        if EVAL_TOOLS is not None:
            start += f'python() {{ "{EVAL_TOOLS}" "$@"; }}\n'
        command = ["bash", "-c", start + block]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, (block, done.stderr)
    return done.stdout


def run_page(page: str, folder: Path, *skipped: str) -> None:
    """Run the blocks of a page from top to bottom, and compare the output where it is shown.

    The folder is empty: the page itself writes the examples. Lines of a shell that begin with one
    of ``skipped``, or make an environment, are left out.
    """
    printed, port = "", 0
    with ExitStack() as servers:
        for language, body in BLOCK.findall(text_of(page)):
            block = body.replace(":8484", f":{port}")
            if language == "text":
                assert_same_output(body, printed)
            elif "hypernova serve" in block:
                (arguments,) = commands(block.replace("--port 8484", ""))
                port = servers.enter_context(serving(*arguments[1:], cwd=folder)).port
            elif language in ("sh", "python"):
                lines = [x for x in block.splitlines() if not x.startswith((*SETTING_UP, *skipped))]
                printed = run(language, "\n".join(lines), folder)
