"""Name the environments and say what each consists of.

Not here: how they are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from release.environments.selection import EMULATED, NATIVE, PORTABLE, Selection
from release.tools import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Root:
    """A root folder.

    Attributes:
        suite: The release of Debian or Ubuntu; empty for a folder of musl and a shell alone.
        packages: More packages than a minimal system has.
        interpreter: The interpreter in it; empty for one that is built.
    """

    suite: str
    packages: tuple[str, ...] = ()
    interpreter: str = ""


@dataclass(frozen=True)
class Build:
    """A CPython that is built from Debian's source package.

    Attributes:
        target: What zig compiles for; empty for this machine's compiler.
        options: More options for CPython's ``configure``.
    """

    target: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Environment:
    """A machine with an interpreter.

    Attributes:
        name: Its name in ENVIRONMENTS.
        python: Version of CPython, as ``3.14``, or ``3.14t`` without a GIL.
        tests: The tests that are run there.
        machine: The processor, as the wheel's tag names it.
        libc: ``glibc`` or ``musl``.
        root: The root folder it runs in; None for this machine's own.
        build: The interpreter's build; None for one that is there.
    """

    name: str
    python: str
    tests: Selection
    machine: str = "x86_64"
    libc: str = "glibc"
    root: Root | None = None
    build: Build | None = None

    @property
    def free_threaded(self) -> bool:
        """Whether its interpreter has no GIL."""
        return self.python.endswith("t")


_SID = ("python3.14", "python3.15", "libstdc++6")
_ALL = (
    Environment("cp311", "3.11", NATIVE),
    Environment("cp312", "3.12", NATIVE),
    Environment("cp313", "3.13", NATIVE),
    Environment("cp314", "3.14", PORTABLE, root=Root("sid", _SID, "python3.14")),
    Environment("cp315", "3.15", PORTABLE, root=Root("sid", _SID, "python3.15")),
    Environment("cp314t", "3.14t", PORTABLE, build=Build(options=("--disable-gil",))),
    Environment(
        "aarch64",
        "3.11",
        EMULATED,
        "aarch64",
        root=Root("bookworm", ("python3-minimal", "libpython3-stdlib"), "python3"),
    ),
    Environment(
        "musl-x86_64", "3.13", PORTABLE, "x86_64", "musl", Root(""), Build("x86_64-linux-musl")
    ),
    Environment(
        "musl-aarch64", "3.13", EMULATED, "aarch64", "musl", Root(""), Build("aarch64-linux-musl")
    ),
    # The oldest glibc whose root can be had; the interpreter is built for that of the wheel's tag.
    Environment(
        "old-glibc",
        "3.13",
        PORTABLE,
        root=Root("xenial"),
        build=Build("x86_64-linux-gnu.2.17"),
    ),
)
ENVIRONMENTS = {environment.name: environment for environment in _ALL}


def named(names: Iterable[str]) -> list[Environment]:
    """Give the environments of names, in their order; all of them for no name.

    Raises:
        Fault: There is no such environment.
    """
    names = list(names) or list(ENVIRONMENTS)
    for name in names:
        if name not in ENVIRONMENTS:
            raise Fault(
                f"there is no environment {name}; those that there are: {' '.join(ENVIRONMENTS)}"
            )
    return [ENVIRONMENTS[name] for name in dict.fromkeys(names)]
