"""CPython for an environment: that of this machine, or built from Debian's source package.

Not here: root folders that bring an interpreter (see ``roots``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from release.environments.catalogue import Build, Environment
from release.environments.selection import NATIVE
from release.tools import Fault, run, say

if TYPE_CHECKING:
    from release.tools import Tools

# Debian's versions, newest first; its servers keep those that some release has.
_SOURCES = {"3.13": ("3.13.15", "3.13.5"), "3.14": ("3.14.8", "3.14.5")}
_ZLIB = "zlib/zlib_1.2.13.dfsg.orig.tar.bz2"
PREFIX = Path("/opt/python")


def find(version: str) -> Path:
    """Find a CPython of this machine: on PATH, or below pyenv's folder.

    Raises:
        Fault: There is none that starts.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which(f"python{version}")]
    found += sorted(map(str, (pyenv / "versions").glob(f"{version}.*/bin/python{version}")))
    for path in filter(None, found):
        # A shim of pyenv stands on PATH for versions that are not in use.
        done = subprocess.run([path, "-c", ""], capture_output=True, check=False)
        if done.returncode == 0:
            return Path(path)
    raise Fault(f"there is no CPython {version} on PATH or below {pyenv}")


def build(environment: Environment, plan: Build, folder: Path, tools: Tools) -> Path:
    """Build an interpreter, unless it was built.

    Args:
        environment: The environment.
        plan: What is built.
        folder: The folder for the build, its log and the result, in the environment's own; all
            environments share sources and this machine's CPython.
        tools: Where zig is.

    Returns:
        A root with the interpreter in PREFIX below it; for this machine's compiler, the interpreter
        can be run where it is.

    Raises:
        Fault: The source cannot be had, or the build failed.
    """
    result = folder / "installed"
    if (folder / "made").exists():
        return result
    version = environment.python.removesuffix("t")
    say(f"building CPython {environment.python} for {plan.target or 'this machine'} (minutes)")
    source = _source(version, folder.parents[1] / "sources")
    shutil.rmtree(folder, ignore_errors=True)
    work = folder / "build"
    work.mkdir(parents=True)
    env = {**os.environ, "CFLAGS": "-O1"}
    options = ["--quiet", "--disable-test-modules", "--without-ensurepip", *plan.options]
    options.append(f"--prefix={PREFIX if plan.target else result}")
    if plan.target:
        env |= _zig(plan.target, folder, tools)
        env |= _zlib(plan.target, folder, env)
        triple = plan.target.partition(".")[0]
        options += [
            f"--host={triple}",
            "--build=x86_64-pc-linux-gnu",
            f"--with-build-python={_of_this_machine(version, folder, tools)}",
            # What cannot be tried out for another system.
            "ac_cv_file__dev_ptmx=yes",
            "ac_cv_file__dev_ptc=no",
            "--disable-ipv6",
        ]
    if "musl" in plan.target:
        # Zig's musl is 1.2.5, and older ones, which the wheels are for, have no such functions.
        options += ["ac_cv_func_preadv2=no", "ac_cv_func_pwritev2=no"]
    run([source / "configure", *options], cwd=work, env=env, log=folder / "configure.log")
    jobs = f"-j{os.cpu_count() or 1}"
    run(["make", "-s", jobs], cwd=work, env=env, log=folder / "make.log")
    install = ["make", "-s", "install", *([f"DESTDIR={result}"] if plan.target else [])]
    run(install, cwd=work, env=env, log=folder / "install.log")
    shutil.rmtree(work)
    (folder / "made").touch()
    return result


def _of_this_machine(version: str, folder: Path, tools: Tools) -> Path:
    """Build the same CPython for this machine: a cross build runs modules of its own with it."""
    same = Environment(f"native-{version}", version, NATIVE)
    built = build(same, Build(), folder.parents[1] / same.name / "python", tools)
    return built / "bin" / f"python{version}"


def mirror() -> str:
    """Give the mirror of Debian's packages that this machine uses.

    Raises:
        Fault: It uses none.
    """
    listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], cwd=Path("/"))
    for uri in listed.split():
        if uri.rstrip("/").endswith("/debian"):
            return uri.rstrip("/")
    raise Fault("apt knows no mirror of Debian, of whose packages CPython's source is one")


def _zig(target: str, folder: Path, tools: Tools) -> dict[str, str]:
    """Write the compiler's commands for a target."""
    python = tools.program("python")
    # Zig links musl statically unless told otherwise, and then nothing can be loaded. It refuses
    # __DATE__ and __TIME__, which CPython has in its banner.
    flags = "-Wno-date-time " + ("-dynamic " if "musl" in target else "")
    cc = f"cc -target {target} {flags}-fno-sanitize=undefined"
    # CPython knows musl by a name that musl's stdarg.h defines, and zig reads clang's in its place.
    cpp = f"{cc} -E {'-D__DEFINED_va_list' if 'musl' in target else ''}"
    for name, call in {"cc": cc, "cpp": cpp, "ar": "ar"}.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {python} -m ziglang {call} "$@"\n', encoding="ascii")
        script.chmod(0o755)
    commands = {"CC": str(folder / "cc"), "CPP": str(folder / "cpp"), "AR": str(folder / "ar")}
    return {**commands, "RANLIB": "true"}


def _zlib(target: str, folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Build zlib, which reads and writes zip files."""
    source = _unpacked(f"{mirror()}/pool/main/z/{_ZLIB}", folder / "zlib")
    triple = target.partition(".")[0]
    env = {**env, "CFLAGS": "-O2 -fPIC", "CHOST": triple}
    run(["sh", "./configure", "--static"], cwd=source, env=env, log=folder / "zlib.log")
    run(["make", "-s", "libz.a"], cwd=source, env=env, log=folder / "zlib.log")
    return {
        "ZLIB_CFLAGS": f"-I{source}",
        "ZLIB_LIBS": str(source / "libz.a"),
        "PKG_CONFIG": "false",
    }


def _source(version: str, folder: Path) -> Path:
    for full in _SOURCES[version]:
        try:
            return _unpacked(
                f"{mirror()}/pool/main/p/python{version}/python{version}_{full}.orig.tar.xz",
                folder / full,
            )
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise Fault(f"the source of CPython {full} cannot be had: {error}") from None
        except urllib.error.URLError as error:
            raise Fault(f"the source of CPython {full} cannot be had: {error}") from None
    raise Fault(f"Debian has no source of CPython {' or '.join(_SOURCES[version])} any more")


def _unpacked(url: str, folder: Path) -> Path:
    """Fetch an archive and unpack it into a folder, unless that is there."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = folder.with_name(url.rpartition("/")[2])
        with urllib.request.urlopen(url, timeout=120) as answer:
            archive.write_bytes(answer.read())
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        run(["tar", "xf", archive, "-C", part, "--strip-components=1"], cwd=folder.parent)
        part.rename(folder)
    return folder
