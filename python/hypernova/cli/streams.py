"""Standard output and error of a command: each failure of a stream is reported once.

Not here: the content that is printed.
"""

from __future__ import annotations

import io
import math
import os
import select
import sys
from typing import Any

from hypernova.errors import WriteError
from hypernova.paths import escaped


def prepare() -> None:
    """Make the standard streams safe to print to.

    Raises:
        WriteError: Standard output is closed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The next file opened would become standard output, and a library that prints would
            # write into it. `os.open` takes the lowest free number: this one.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        raise WriteError(f"standard output is closed; open it, or send it to {os.devnull}")
    # A model's name may hold characters that the stream's encoding lacks.
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    stdout = sys.stdout
    # A console of Windows takes text, and no bytes: it stays as Python has opened it.
    if (
        stdout is sys.__stdout__
        and isinstance(stdout, io.TextIOWrapper)
        and isinstance(getattr(stdout.buffer, "raw", stdout.buffer), io.FileIO)
    ):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_StandardOutput(stdout.fileno())),
            encoding=stdout.encoding,
            errors="backslashreplace",
            line_buffering=stdout.line_buffering,
        )


class _StandardOutput(io.RawIOBase):
    """Standard output whose first error names it; later output is dropped.

    Python would report the error again, with another exit code, when it flushes at exit.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._failed = False

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        while not self._failed:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # another holder of the pipe made it non-blocking
                select.select([], [self._descriptor], [])
            except BrokenPipeError:
                self._failed = True
                raise
            except OSError as error:
                self._failed = True
                raise WriteError(
                    f"standard output cannot be written ({error.strerror or error}); "
                    "check the space where it goes"
                ) from error
            except BaseException:
                # A signal that ends the command. Whether these bytes were written is not known:
                # the flush at exit would write them again.
                self._failed = True
                raise
        return len(data)


def print_error(problem: object) -> None:
    """Print one line on standard error."""
    try:
        print(f"hypernova: {escaped(str(problem))}", file=sys.stderr, flush=True)
    except OSError:  # standard error is gone too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def print_json(value: object) -> None:
    """Print one line of strict JSON: null for a number that is not finite."""
    # Encodings other than UTF-8 lack characters: JSON escapes them.
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "").replace("_", "")
    print(as_json(value, ascii_only=encoding != "utf8"))


def as_json(value: object, *, ascii_only: bool = False) -> str:
    """Return one line of strict JSON: null for a number that is not finite."""
    import json

    try:
        return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=ascii_only, allow_nan=False)


def wants_colour() -> bool:
    """Return whether standard output is a terminal that shows colours."""
    return (
        sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
