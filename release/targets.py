"""The platforms that wheels are built for.

Not here: how a wheel is built, and the machines on which it is run.
"""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .tools import ROOT, Fault, run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

# A musl wheel is loaded by the system's musl, so that it may not bring one of its own.
DYNAMIC = ("-Ctarget-feature=-crt-static",)


@dataclass(frozen=True)
class Target:
    """A platform of a wheel.

    Attributes:
        name: Its name in TARGETS.
        rust: Its name in Rust; empty for that of this machine.
        platform: The wheel's platform tag; empty where this machine's libraries decide.
        zig: Link with zig, which brings the libraries of each platform in old versions.
        linker: Link with this program instead.
        package: The Debian package of the linker.
        rustflags: More flags for the compiler.
        default: Build it unless others are named. A target whose wheel was never run is not.
    """

    name: str
    rust: str
    platform: str = ""
    zig: bool = True
    linker: str = ""
    package: str = ""
    rustflags: tuple[str, ...] = ()
    default: bool = True

    @property
    def policy(self) -> str:
        """The platform tag without the processor, such as ``manylinux_2_17``."""
        return self.platform.removesuffix(f"_{self.rust.partition('-')[0]}")


_TARGETS = (
    # Rust itself needs glibc 2.17.
    Target("x86_64-manylinux", "x86_64-unknown-linux-gnu", "manylinux_2_17_x86_64"),
    Target("aarch64-manylinux", "aarch64-unknown-linux-gnu", "manylinux_2_17_aarch64"),
    Target(
        "x86_64-musllinux", "x86_64-unknown-linux-musl", "musllinux_1_2_x86_64", rustflags=DYNAMIC
    ),
    Target(
        "aarch64-musllinux",
        "aarch64-unknown-linux-musl",
        "musllinux_1_2_aarch64",
        rustflags=DYNAMIC,
    ),
    Target(
        "x86_64-windows",
        "x86_64-pc-windows-gnu",
        "win_amd64",
        zig=False,
        linker="x86_64-w64-mingw32-gcc",
        package="gcc-mingw-w64-x86-64",
        default=False,
    ),
    Target("aarch64-macos", "aarch64-apple-darwin", "macosx_11_0_arm64", default=False),
    Target("x86_64-macos", "x86_64-apple-darwin", "macosx_10_12_x86_64", default=False),
    Target("native", "", zig=False, default=False),
)
TARGETS = {target.name: target for target in _TARGETS}
DEFAULT = [target.name for target in _TARGETS if target.default]


def named(names: Iterable[str]) -> list[Target]:
    """Give the targets of names, in their order; the default ones for no name.

    Raises:
        Fault: There is no such target.
    """
    names = list(names) or DEFAULT
    for name in names:
        if name not in TARGETS:
            raise Fault(f"there is no target {name}; those that there are: {' '.join(TARGETS)}")
    return [TARGETS[name] for name in dict.fromkeys(names)]


def add_targets_to(parser: argparse.ArgumentParser) -> None:
    """Let a command take names of targets."""
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help=f"of {' '.join(TARGETS)}; by default {' '.join(DEFAULT)}; wheels of windows and "
        "macos were never run",
    )


def wheel_of_this_machine(folder: Path) -> Path:
    """Return the wheel for this machine's processor and glibc.

    Raises:
        Fault: There is none, or there are several.
    """
    found = [
        path
        for path in sorted(folder.glob("hypernova_router-*-abi3-*.whl"))
        if _machine() in path.name and "musl" not in path.name
    ]
    if len(found) != 1:
        which = f"{len(found)} wheels for {_machine()}"
        raise Fault(f"{folder}: {which}, expected one: make dist, in a folder without others")
    return found[0].resolve()


def _machine() -> str:
    return platform.machine()


def missing(target: Target) -> str:
    """Say in one line what this machine lacks for a target, or nothing."""
    if target.linker and not shutil.which(target.linker):
        return (
            f"{target.name} NOT built: its linker {target.linker} is missing; "
            f"on Debian: apt install {target.package}"
        )
    if target.rust:
        sysroot = Path(run(["rustc", "--print", "sysroot"], cwd=ROOT).strip())
        if not (sysroot / "lib" / "rustlib" / target.rust / "lib").is_dir():
            return (
                f"{target.name} NOT built: Rust's library for it is missing; "
                f"get it with: rustup target add {target.rust}"
            )
    return ""
