"""Find the files of a log, and read their lines, of which the last may be torn.

Not here: the contents of a line (see ``records``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.errors import NotFoundError, OutcomeLogError
from hypernova.outcome_log.records import MAX_LINE
from hypernova.paths import path_label

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

SUFFIX = ".jsonl"


@dataclass
class Segment:
    """One file of a log.

    Attributes:
        path: The file.
        head: sha256 of its first line, which identifies a segment wherever it is moved to;
            None if it has no whole line.
        end: Where the last whole line ends that was read, in bytes.
        torn: Whether bytes without an end of line follow.
    """

    path: Path
    head: str | None
    end: int = 0
    torn: bool = False

    def lines(self, start: int, stop: int | None = None) -> Iterator[bytes | None]:
        """Yield the whole lines from byte ``start``; None for a line beyond `MAX_LINE`.

        A last line without its end is left out: its writer may be about to end it.

        Args:
            start: Byte at which a line begins.
            stop: Byte at which a line begins that is not read; by default the end of the file.

        Raises:
            OutcomeLogError: The file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                self.end = start
                while stop is None or self.end < stop:
                    line, length = _line(file)
                    self.torn = length > 0 and not line.endswith(b"\n")
                    if length == 0 or self.torn:
                        return
                    self.end += length
                    yield line if length <= MAX_LINE else None
        except OSError as error:
            raise _unreadable(self.path, error) from error


def find_segments(paths: Iterable[str | os.PathLike[str]]) -> list[Segment]:
    """Return the given segments and those in the given folders, the earliest first.

    Raises:
        TypeError: ``paths`` holds no paths.
        NotFoundError: There is no such file or folder.
        OutcomeLogError: A file cannot be read, or two are copies of one segment.
    """
    found: dict[Path, Path] = {}
    for given in paths_of(paths):
        path = Path(given)
        if not os.fspath(given):  # such as a variable that is not set, and no current folder
            raise NotFoundError("the path of a log is empty; name segments or their folder")
        if not path.exists():
            raise NotFoundError(
                f"{path_label(path)}: no such file or folder; name segments or their folder"
            )
        try:
            inside = [path] if not path.is_dir() else _files_in(path)
        except OSError as error:
            raise _unreadable(path, error) from error
        for file in inside:
            found.setdefault(file.resolve(), file)
    # A name begins with the time at which the segment was begun.
    segments = [Segment(path, _head(path)) for path in found.values()]
    segments.sort(key=lambda segment: (segment.path.name, str(segment.path)))
    seen: dict[str, Path] = {}
    for segment in segments:
        if segment.head is not None:
            first = seen.setdefault(segment.head, segment.path)
            if first is not segment.path:
                raise OutcomeLogError(
                    f"{path_label(first)} and {path_label(segment.path)} begin with the same "
                    "record: one is a copy of the other, so give only one"
                )
    return segments


def files_of(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the given files and the segments in the given folders, which need not exist.

    A command checks by them that its output overwrites no part of the log that it reads.
    """
    found = [Path(given) for given in paths]
    return [*found, *(file for path in found for file in _files_in(path))]


def paths_of(
    logs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> list[str | os.PathLike[str]]:
    """Return the paths of one log or of several.

    Raises:
        TypeError: The value is neither a path nor several.
    """
    several = [logs] if isinstance(logs, str | os.PathLike) else logs
    found = list(several) if isinstance(several, Iterable) else [several]
    for path in found:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(
                f"the log is {type(path).__name__}, expected the path of a folder or a segment, "
                "or several"
            )
    return found


def _files_in(folder: Path) -> list[Path]:
    """Return the segments in a folder; a folder in it is none, whatever its name."""
    return [path for path in folder.glob(f"*{SUFFIX}") if not path.is_dir()]


def _head(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            line = file.readline(MAX_LINE)
    except OSError as error:
        raise _unreadable(path, error) from error
    whole = line.endswith(b"\n") or len(line) == MAX_LINE
    return hashlib.sha256(line).hexdigest() if whole else None


def _line(file: BinaryIO) -> tuple[bytes, int]:
    """Read a line; return it, or the end of one beyond `MAX_LINE`, and its length."""
    line = file.readline(MAX_LINE)
    length = len(line)
    while len(line) == MAX_LINE and not line.endswith(b"\n"):
        line = file.readline(MAX_LINE)
        length += len(line)
    return line, length


def _unreadable(path: Path, error: OSError) -> OutcomeLogError:
    return OutcomeLogError(
        f"{path_label(path)}: cannot be read ({error.strerror or error}); check the permissions"
    )
