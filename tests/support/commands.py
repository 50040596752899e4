"""Run `hypernova` and Python as processes of their own, and check how they fail.

Not here: processes that go on while a test looks at them; see server.py and test_ending.py.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any


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


def assert_fails_in_one_line(*arguments: object, **options: Any) -> str:
    """Run ``hypernova``: exit code 1 and one line on standard error, which is returned."""
    done = run(*arguments, code=1, **options)
    assert done.stdout == ""
    assert done.stderr.startswith("hypernova: ")
    assert done.stderr.endswith("\n")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr
