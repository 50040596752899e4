"""The places that a user names: shown in a message, checked before the work, written whole.

Not here: the form of a file; each layer writes its own.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.errors import NotFoundError, WriteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    AnyPath = str | os.PathLike[str]


def escaped(text: str) -> str:
    """Return `text` on one line: a backslash escape for each character that does not print.

    A file's name may hold line breaks, terminal commands, and bytes that are no text.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def path_label(path: AnyPath) -> str:
    """Return a path as a one-line message names it."""
    return escaped(os.fsdecode(path))


def check_file(
    path: AnyPath, *, inputs: Iterable[AnyPath | None] = (), stream: bool = False
) -> Path:
    """Check that a file can be written, before the work that it is to hold.

    Folder, space and permissions are tried by writing one byte to another file in the same
    folder, which is removed at once: only the system knows about quotas, read-only disks and
    access lists.

    Args:
        path: Where the file will be.
        inputs: What is read for it and must not be overwritten.
        stream: Whether a device or a pipe, such as /dev/stdout, will do as well.

    Returns:
        The path.

    Raises:
        NotFoundError: Its folder does not exist.
        WriteError: It is a folder, or named as one, or an input, or nothing can be written there.
    """
    place, label = Path(path), path_label(path)
    if os.fsdecode(path).endswith(os.sep):
        raise WriteError(f"{label} is the name of a folder; name a file")
    folder = place.absolute().parent
    if not folder.exists():
        raise NotFoundError(
            f"{label}: the folder {path_label(folder)} does not exist; make it first"
        )
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise cannot_write(path, error) from error
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise WriteError(f"{label} is a folder; name a file in it")
        for read in inputs:
            if read is not None and Path(read).exists() and place.samefile(read):
                raise WriteError(
                    f"{label}: is what the command reads, and would be overwritten; "
                    "name another file"
                )
        if not stat.S_ISREG(mode) or _is_stream(place):
            if stream:
                return place
            raise WriteError(f"{label}: is no regular file; name one")
    _try(folder, path)
    return place


def check_folder(path: AnyPath) -> Path:
    """Check that a folder can be made, in the nearest folder above it that exists.

    Raises:
        WriteError: Nothing can be written there.
    """
    above = Path(path).absolute().parent
    try:
        while not above.exists():
            above = above.parent
    except OSError as error:
        raise cannot_write(path, error) from error
    _try(above, path)
    return Path(path)


def write_file(path: AnyPath, content: bytes) -> None:
    """Write a file whole or not at all: a temporary one beside it, then renamed.

    A device or a pipe is written to as it is: a rename would put a file in its place.

    Raises:
        NotFoundError: The folder does not exist.
        WriteError: It cannot be written; what stood there before still stands.
    """
    place = check_file(path, stream=True)
    temporary = part_of(place)
    try:
        if place.exists() and (not place.is_file() or _is_stream(place)):
            with place.open("ab") as file:  # standard output may be a file with a beginning
                file.write(content)
            return
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def part_of(place: Path) -> Path:
    """Return a fresh name in the folder of `place`, so that a rename stays on one file system.

    It is short, because a name that is as long as the system allows must do for `place`.
    """
    return place.absolute().parent / f".hypernova-{os.urandom(6).hex()}.part"


def cannot_write(path: AnyPath, error: OSError, kind: type[WriteError] = WriteError) -> WriteError:
    """Build the error for a place that cannot be written."""
    return kind(
        f"{path_label(path)}: cannot be written ({error.strerror or error}); "
        "check the space and the permissions there"
    )


def _is_stream(place: Path) -> bool:
    """Whether a path, such as /dev/stdout, leads to what is open already."""
    folder = place.absolute().parent
    return str(folder) in {"/dev", "/dev/fd"} or folder.parts[:2] == ("/", "proc")


def _try(folder: Path, path: AnyPath) -> None:
    probe = part_of(folder / "probe")
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
