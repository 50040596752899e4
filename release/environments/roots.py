"""Root folders of other systems, and commands in them.

They are made with debootstrap and entered with chroot, which need root. Mounts are made in a
namespace of their own, so that none is left behind. Programs of other processors are run by qemu,
which the kernel calls by itself (binfmt_misc).
Not here: Python, unless the system brings it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from release.environments.interpreters import mirror
from release.tools import Fault, run, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from release.environments.catalogue import Environment, Root

# Ubuntu's releases, which are older than Debian's that can still be had.
_UBUNTU = frozenset({"xenial"})
_DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
# The first 20 bytes of an ELF program for aarch64, and which of their bits count; with the flag F
# the interpreter is opened now, so that a root folder need not have it.
_AARCH64 = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:%s:F"
)
_ACCOUNTS = "root:x:0:0:root:/:/bin/sh\n"
# $1 is the root, $2 a folder to show in it read-only, the rest is run.
_ENTER = """
set -eu
root=$1 shown=$2; shift 2
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/shown"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$shown" "$root/shown"
mount -o remount,ro,bind "$root/shown"
exec chroot "$root" "$@"
"""


def is_emulated(machine: str) -> bool:
    """Tell whether a processor is not this machine's."""
    return machine != platform.machine()


def need_tools(machine: str) -> None:
    """Check that root folders can be made and entered here.

    Raises:
        Fault: Something is missing.
    """
    if os.geteuid() != 0:
        raise Fault("chroot and mounts need root")
    for tool in ("unshare", "chroot", "debootstrap"):
        if not shutil.which(tool):
            raise Fault(f"missing: {tool}; on Debian: apt install debootstrap util-linux")
    if is_emulated(machine):
        _register(machine)


def _register(machine: str) -> None:
    """Let the kernel run another processor's programs with qemu."""
    if (_BINFMT / f"qemu-{machine}").exists():
        return
    qemu = shutil.which(f"qemu-{machine}-static")
    if qemu is None:
        raise Fault(f"missing: qemu-{machine}-static; on Debian: apt install qemu-user-static")
    if machine != "aarch64":
        raise Fault(f"programs of {machine} cannot be registered with the kernel")
    if not (_BINFMT / "register").exists():
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT], cwd=Path("/"))
    (_BINFMT / "register").write_text(_AARCH64 % qemu, encoding="ascii")


def command(
    folder: Path, shown: Path, program: Sequence[str], environ: Mapping[str, str]
) -> list[str]:
    """Give the command that runs a program in a root folder.

    Args:
        folder: The root folder.
        shown: A folder of this machine, which is read-only in ``/shown`` there.
        program: The program and its arguments, by their paths there.
        environ: The whole environment of the program.
    """
    given = [f"{name}={value}" for name, value in environ.items()]
    inside = ["/usr/bin/env", "-i", *given, *program]
    namespace = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return [*namespace, "sh", "-c", _ENTER, "sh", str(folder), str(shown), *inside]


def make(environment: Environment, root: Root, folder: Path) -> None:
    """Make the root folder of an environment, unless it is there.

    Raises:
        Fault: It cannot be had.
    """
    need_tools(environment.machine)
    done = folder.with_name(f"{folder.name}.made")
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    say(f"making the root folder {folder.name}: {root.suite or 'musl'} {environment.machine}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if root.suite:
        _debootstrap(environment.machine, root, folder)
    else:
        _bare_musl(environment.machine, folder)
    done.touch()


def _debootstrap(machine: str, root: Root, folder: Path) -> None:
    options = ["--variant=minbase", f"--arch={_DEBIAN_ARCHITECTURES[machine]}"]
    if root.packages:
        options.append(f"--include={','.join(root.packages)}")
    keys = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
    if root.suite in _UBUNTU and not keys.exists():
        say(f"  {root.suite}: its signatures are NOT checked: {keys.name} is not installed")
        options.append("--no-check-gpg")
    log = folder.with_name(f"{folder.name}.log")
    run(
        ["debootstrap", "--foreign", *options, root.suite, folder],
        cwd=folder.parent,
        log=log,
    )
    # Unpacked and not configured: the scripts of packages would take an hour under emulation, and
    # no service is run here.
    for package in sorted((folder / "var/cache/apt/archives").glob("*.deb")):
        files = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True
        ).stdout
        # `/bin` and its like are links there, and stay links.
        unpack = ["tar", "--keep-directory-symlink", "-xf", "-", "-C", str(folder)]
        subprocess.run(unpack, input=files, check=True)
    # In a container debootstrap makes a link of it that leads to itself.
    if (folder / "proc").is_symlink():
        (folder / "proc").unlink()
        (folder / "proc").mkdir()
    accounts = folder / "etc/passwd"
    if not accounts.exists():
        accounts.write_text(_ACCOUNTS, encoding="ascii")


def _bare_musl(machine: str, folder: Path) -> None:
    """Make a root of musl's library, from Debian's package, and a shell that needs no library.

    No library of glibc is there, so that a wheel that needs one fails. Libraries that other wheels
    bring need musl 1.2.4 or later (DT_RELR), and so the newest is taken.
    """
    packages = folder.with_name(f"{folder.name}.packages")
    lists = packages / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    sources = packages / "sources.list"
    sources.write_text(f"deb {mirror()} sid main\n", encoding="ascii")
    architecture = _DEBIAN_ARCHITECTURES[machine]
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": lists,
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
    }
    apt = [
        "apt-get",
        "-q",
        *(part for one in settings.items() for part in ("-o", "=".join(map(str, one)))),
    ]
    run([*apt, "update"], cwd=packages)
    run([*apt, "download", "musl", "busybox-static"], cwd=packages)
    # Packages of this release have all of their files below /usr.
    for name in ("bin", "lib"):
        (folder / "usr" / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(f"usr/{name}")
    for package in packages.glob("*.deb"):
        run(["dpkg-deb", "--extract", package, folder], cwd=packages)
    for name in ("sh", "env", "ls", "cat", "sleep"):
        if not (folder / "bin" / name).exists():
            (folder / "bin" / name).symlink_to("busybox")
    (folder / "etc").mkdir(exist_ok=True)
    (folder / "etc/passwd").write_text(_ACCOUNTS, encoding="ascii")
