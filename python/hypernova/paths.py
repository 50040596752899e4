"""Paths that a user names: shown in messages, checked before the work, replaced whole.

Not here: the format of a file; each layer writes its own.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.errors import HypernovaError, NotFoundError, WriteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    AnyPath = str | os.PathLike[str]

# Between the names of a path; Windows has two.
_SEPARATORS = (os.sep, os.altsep) if os.altsep else (os.sep,)


def escaped(text: str) -> str:
    """Return `text` on one line, with a backslash escape for each character that does not print.

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
    """Check that a file can be written, before the work whose result it will hold.

    The check writes one byte to another file in the same folder, and removes it at once: only
    the system knows about quotas, read-only disks and access lists.

    Args:
        path: Where the file will be.
        inputs: Files that the work reads, and that must not be overwritten.
        stream: Whether a device or a pipe, such as /dev/stdout, is allowed.

    Returns:
        The path.

    Raises:
        NotFoundError: Its folder does not exist.
        WriteError: ``path`` is a folder, or named as one, or an input, or cannot be written.
    """
    if not os.fspath(path):  # such as a variable that is not set; `Path` makes it this folder
        raise WriteError("the path is empty; name a file")
    target, label = Path(path), path_label(path)
    if os.fsdecode(path).endswith(_SEPARATORS):
        raise WriteError(f"{label} is the name of a folder; name a file")
    folder = target.absolute().parent
    if not folder.exists():
        raise NotFoundError(
            f"{label}: the folder {path_label(folder)} does not exist; make it first"
        )
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise cannot_write(path, error) from error
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise WriteError(f"{label} is a folder; name a file in it")
        for read in inputs:
            if read is not None and Path(read).exists() and target.samefile(read):
                raise WriteError(
                    f"{label}: is what the command reads, and would be overwritten; "
                    "name another file"
                )
        if not stat.S_ISREG(mode) or _is_stream(target):
            if stream:
                return target
            raise WriteError(f"{label}: is no regular file; name one")
    _probe(folder, path)
    return target


def check_folder(path: AnyPath) -> Path:
    """Check that a folder can be made, in the nearest folder above it that exists.

    Returns:
        The path.

    Raises:
        WriteError: That folder cannot be written to.
    """
    above = Path(path).absolute().parent
    try:
        while not above.exists():
            above = above.parent
    except OSError as error:
        raise cannot_write(path, error) from error
    _probe(above, path)
    return Path(path)


def make_folder(path: AnyPath) -> Path:
    """Make a folder, with those above it, or check that one that exists can be written to.

    Returns:
        The path.

    Raises:
        WriteError: ``path`` is a file, or the folder cannot be made or written to.
    """
    if not os.fspath(path):
        raise WriteError("the path is empty; name a folder")
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise WriteError(f"{path_label(path)} is a file; name a folder") from error
    except NotADirectoryError as error:
        raise WriteError(f"{path_label(path)} lies in a file; name another folder") from error
    except (OSError, ValueError) as error:  # a null byte in a path is a ValueError
        raise cannot_write(path, error) from error
    _probe(folder, path)
    return folder


def write_file(path: AnyPath, content: bytes) -> None:
    """Write a file whole or not at all.

    A device or a pipe is written to directly: a rename would put a file in its place.

    Raises:
        NotFoundError: The folder does not exist.
        WriteError: The file cannot be written; the former one is unchanged.
    """
    target = check_file(path, stream=True)
    try:
        is_stream = target.exists() and (not target.is_file() or _is_stream(target))
        if is_stream:
            with target.open("ab") as file:  # standard output may be a file with a beginning
                file.write(content)
    except OSError as error:
        raise cannot_write(path, error) from error
    if is_stream:
        return
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: AnyPath, error_class: type[WriteError] = WriteError) -> Iterator[Path]:
    """Replace a file or a folder whole: the block makes a temporary one, which is then renamed.

    After an error in the block the temporary file or folder is removed, and ``path`` is unchanged.

    Args:
        path: The file or folder to replace or to make; its folder exists.
        error_class: Raised in place of an OSError.

    Yields:
        A path in the same folder, at which nothing exists, for the block to write.

    Raises:
        WriteError: The block or the rename raised an OSError; errors of hypernova pass through.
    """
    target = Path(path)
    temporary = _temporary_beside(target)
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, HypernovaError):
            raise
        raise cannot_write(path, error, error_class) from error
    finally:
        # No function of its own: a signal's handler may raise as that is entered.
        try:
            _remove(temporary)
        except BaseException:
            _remove(temporary)
            raise


def _remove(path: Path) -> None:
    """Remove a file or a folder, if there is one and that can be done."""
    with suppress(OSError):
        if path.is_dir():
            import shutil  # only folders need it

            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _temporary_beside(target: Path) -> Path:
    """Return a fresh name in the folder of ``target``, so that a rename stays on one file system.

    It is short: the name of ``target`` may be as long as the system allows.
    """
    return target.absolute().parent / f".hypernova-{os.urandom(6).hex()}.part"


def cannot_write(
    path: AnyPath, error: OSError | ValueError, error_class: type[WriteError] = WriteError
) -> WriteError:
    """Return the error for a path that cannot be written."""
    reason = getattr(error, "strerror", None) or error
    return error_class(
        f"{path_label(path)}: cannot be written ({reason}); "
        "check the space and the permissions there"
    )


def _is_stream(target: Path) -> bool:
    """Return whether a path, such as /dev/stdout, names a file that is open already."""
    folder = target.absolute().parent
    return str(folder) in {"/dev", "/dev/fd"} or folder.parts[:2] == ("/", "proc")


def _probe(folder: Path, path: AnyPath) -> None:
    probe = _temporary_beside(folder / "probe")
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        try:  # as in `replacing`
            _remove(probe)
        except BaseException:
            _remove(probe)
            raise
