"""Run `hypernova` and Python as processes of their own, and check how they fail.

Not here: processes that go on while a test looks at them; see server.py and test_signals.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest


def run_python(
    *arguments: object, stdin: str | bytes = "", code: int | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with arguments, ``"-c", program`` for instance, in UTF-8.

    Args:
        arguments: What stands behind ``python``.
        stdin: Standard input; text as UTF-8.
        code: Exit code that is asserted; None leaves it to the caller.
        options: Of ``subprocess.run``: ``env``, ``cwd``, ``timeout``, ``stdout``, ...
    """
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 300}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        check=False,
        **(streams | options),
    )
    out, err = ("" if stream is None else stream.decode() for stream in (done.stdout, done.stderr))
    assert code in (None, done.returncode), (done.args, done.returncode, out, err)
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``hypernova`` with arguments; options as of `run_python`."""
    return run_python("-m", "hypernova.cli", *arguments, **options)


def fails_in_one_line(*arguments: object, **options: Any) -> str:
    """Run ``hypernova``: exit code 1 and one line on standard error, which is returned."""
    done = run(*arguments, code=1, **options)
    assert done.stdout == ""
    assert done.stderr.startswith("hypernova: ")
    assert done.stderr.endswith("\n")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def output_of(*arguments: object, **options: Any) -> str:
    """Run ``hypernova``: exit code 0, nothing on standard error; return standard output."""
    done = run(*arguments, code=0, **options)
    assert done.stderr == ""
    return done.stdout


def output_in_terminal(*arguments: object, **environment: str) -> str:
    """Run ``hypernova`` with a terminal as its standard output, and return what it writes."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are there on Unix only")
    ours, theirs = pty.openpty()
    inherited = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "hypernova.cli", *map(str, arguments)],
        stdout=theirs, stderr=subprocess.DEVNULL, env=inherited | environment,
    )  # fmt: skip
    os.close(theirs)
    read = b""
    try:
        while piece := os.read(ours, 65536):
            read += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return read.decode()
