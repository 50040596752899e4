"""Functions of the operating system that some platforms lack, each with what takes its place.

All other modules ask here, but those that need POSIX as a whole and assert so, such as the server's
supervisor: tests/project/test_platforms.py holds them to it. Not here: signals (`signals`), and
which platforms there are (docs/platforms.md).
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# For `os.open`: Windows writes "\r\n" in place of "\n" without it.
O_BINARY: Final[int] = getattr(os, "O_BINARY", 0)


def call_in_forked_child(function: Callable[[], object]) -> None:
    """Call a function in each process that is forked from this one, where processes fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def can_fork() -> bool:
    """Return whether processes can be forked here."""
    return hasattr(os, "fork")


def usable_cores() -> int:
    """Return the number of cores that this process may use; all of them where nobody can tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_files_limit() -> int | None:
    """Return how many files this process may have open; None if nothing bounds them."""
    try:
        import resource
    except ImportError:
        return None
    limits: Any = resource
    files: int = limits.getrlimit(limits.RLIMIT_NOFILE)[0]
    return None if files == limits.RLIM_INFINITY else files


def read_at(descriptor: int, into: memoryview, offset: int) -> int:
    """Read into memory from a place of a file, and return the number of bytes; 0 at its end.

    Where no call does both, this moves the file's position: let no other thread use the file.
    """
    if hasattr(os, "preadv"):
        n: int = os.preadv(descriptor, [into], offset)
        return n
    os.lseek(descriptor, offset, os.SEEK_SET)
    data = os.read(descriptor, len(into))
    into[: len(data)] = data
    return len(data)


def sync_file(path: Path) -> None:
    """Have the contents of a file on the disk before this returns."""
    # Open for writing, too: Windows syncs no other.
    descriptor = os.open(path, os.O_RDWR | O_BINARY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk before this returns.

    Windows opens no folder, and keeps names in order by itself.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def notify_service_manager(state: str) -> None:
    """Tell systemd (``Type=notify``) how this process is; do nothing where none asks for it.

    Source: the manual page sd_notify(3).

    Args:
        state: Such as ``READY=1``.
    """
    import socket  # a process that routes does without it

    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    # A manager that does not listen is no reason not to serve.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(state.encode("ascii"), address)
