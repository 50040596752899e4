"""Names of the standard library that Windows lacks: found in code, and taken from interpreters.

Not here: names that macOS lacks, which mypy looks for (`make lint`). They are taken from the
standard library's documentation, where their "Availability" is Unix or Linux.
"""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

from support.paths import PACKAGES

if TYPE_CHECKING:
    from pathlib import Path

MODULES = frozenset({
    "crypt", "curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd",
    "syslog", "termios", "tty", "uvloop",
})  # fmt: skip
NAMES = {
    "os": frozenset({
        "O_CLOEXEC", "O_DIRECTORY", "O_DSYNC", "O_NOATIME", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK",
        "O_PATH", "O_SYNC", "O_TMPFILE", "WEXITSTATUS", "WIFEXITED", "WIFSIGNALED", "WNOHANG",
        "WTERMSIG", "WUNTRACED", "chown", "chroot", "confstr", "copy_file_range", "ctermid",
        "eventfd", "fchdir", "fchown", "fdatasync", "fork", "forkpty", "fstatvfs", "getegid",
        "geteuid", "getgid", "getgroups", "getloadavg", "getpgid", "getpriority", "getrandom",
        "getuid", "initgroups", "killpg", "lchown", "lockf", "major", "makedev", "memfd_create",
        "minor", "mkfifo", "mknod", "nice", "openpty", "pathconf", "pidfd_open", "pipe2",
        "posix_fadvise", "posix_fallocate", "posix_spawn", "pread", "preadv", "pwrite", "pwritev",
        "readv", "register_at_fork", "sched_getaffinity", "sched_setaffinity", "sched_yield",
        "sendfile", "setgid", "setpgid", "setpriority", "setsid", "setuid", "splice", "statvfs",
        "sync", "sysconf", "tcgetpgrp", "tcsetpgrp", "ttyname", "uname", "wait", "wait3", "wait4",
        "waitid", "writev",
    }),
    "signal": frozenset({
        "ITIMER_PROF", "ITIMER_REAL", "ITIMER_VIRTUAL", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCONT",
        "SIGHUP", "SIGIO", "SIGKILL", "SIGPIPE", "SIGPROF", "SIGQUIT", "SIGSTOP", "SIGSYS",
        "SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGUSR1", "SIGUSR2", "SIGVTALRM",
        "SIGWINCH", "SIGXCPU", "SIGXFSZ", "SIG_BLOCK", "SIG_SETMASK", "SIG_UNBLOCK", "alarm",
        "getitimer", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "siginterrupt",
        "sigpending", "sigtimedwait", "sigwait", "sigwaitinfo",
    }),
    "socket": frozenset({
        "AF_UNIX", "SCM_RIGHTS", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "SO_PEERCRED", "SO_REUSEPORT",
        "recv_fds", "send_fds",
    }),
    "select": frozenset({"devpoll", "epoll", "kqueue", "poll"}),
    "time": frozenset({"clock_getres", "clock_gettime", "clock_settime", "pthread_getcpuclockid",
                       "tzset"}),
}  # fmt: skip

# The event loop, the sockets and NumPy need these on this platform.
_KEPT = frozenset({"select", "AF_UNIX", "uname"})
# Libraries that bind names as they are imported come first: Windows has others in their place.
_START = """
import asyncio, concurrent.futures, importlib, logging, multiprocessing.connection, random
import selectors, shutil, socket, subprocess, sys, tempfile, threading
for module, names in {names!r}.items():
    module = importlib.import_module(module)
    for name in names:
        vars(module).pop(name, None)
for module in {modules!r}:
    sys.modules[module] = None
def add_signal_handler(*_):
    raise NotImplementedError
asyncio.SelectorEventLoop.add_signal_handler = add_signal_handler
subprocess.Popen.kill = subprocess.Popen.terminate  # there, the same
"""


def environment_without(folder: Path) -> dict[str, str]:
    """Return the environment of processes, and of theirs, that lack what Windows lacks.

    The platform is still this one, its files and its paths: this is no Windows.

    Args:
        folder: An empty folder, for the module that each interpreter imports as it starts.
    """
    names = {
        module: sorted(lacking - _KEPT) for module, lacking in NAMES.items() if module not in _KEPT
    }
    start = _START.format(names=names, modules=sorted(MODULES))
    (folder / "sitecustomize.py").write_text(start, encoding="utf-8")
    path = os.pathsep.join([str(folder), str(PACKAGES)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "0", "LC_ALL": "C"}


def lacking_in(tree: ast.AST) -> list[str]:
    """Return the names in a module that Windows lacks, each with its line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in NAMES.get(node.value.id, ()):
                found.append(f"{node.lineno}: {node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [alias.name for alias in node.names]
            lacking = MODULES & {module} or NAMES.get(module, frozenset()) & set(names)
            found += [f"{node.lineno}: {module}: {name}" for name in sorted(lacking)]
        elif isinstance(node, ast.Import):
            lacking = MODULES & {alias.name.partition(".")[0] for alias in node.names}
            found += [f"{node.lineno}: {name}" for name in sorted(lacking)]
    return found


# Of pathlib and os: Windows has them, for administrators, or with another meaning.
_POSIX = frozenset({"chmod", "hardlink_to", "symlink", "symlink_to", "umask"})
# Helpers that look at the processes of Linux.
_LINUX = frozenset({"PROC", "alive", "busy", "children", "resident", "resident_mb"})


def platforms_of(tree: ast.AST) -> str | None:
    """Return where alone some code of a test can run: on "linux", on "posix", or anywhere, None."""
    needs = "posix" if lacking_in(tree) else None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _LINUX:
            return "linux"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.startswith("/proc/"):
                return "linux"
            if node.value == "--workers":
                needs = "posix"
        elif isinstance(node, ast.Attribute) and node.attr in _POSIX:
            needs = "posix"
    return needs
