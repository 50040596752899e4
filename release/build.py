"""The source, the environment and the calls of a build, so that its bytes depend on nothing else.

All files that go in are those of the repository, with one mode and one time. The compiler names
folders by fixed names instead of those of this machine. Zip and tar entries carry the time of the
commit. Lists of where wheels were run are no sources: they are written when the bytes are there.
Not here: checks of what was built.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from .tools import Fault, run

if TYPE_CHECKING:
    from .targets import Target
    from .tools import Tools

# All that git tracks but lists of where wheels were run: a commit of them changes no byte.
_SOURCES = (".", ":(exclude)benches/record/*-wheels.md")
# Of a folder without git, such as an unpacked sdist.
NO_SOURCES = {"build", "dist", "target", "__pycache__", "PKG-INFO"}
# Whatever these say would change the bytes: flags of the compilers, and features.
OWN_VARIABLES = ("RUSTFLAGS", "CFLAGS", "CXXFLAGS", "LDFLAGS", "CARGO_BUILD_", "CARGO_PROFILE_",
                 "CARGO_ENCODED_", "CARGO_TARGET_", "MATURIN_", "PYO3_", "PYTHON")  # fmt: skip


def is_repository(root: Path) -> bool:
    """Tell a checkout from an unpacked sdist."""
    return (root / ".git").exists()


def source_files(root: Path) -> list[str]:
    """List the files of the source, as paths below a root.

    In a checkout they are those that git tracks, without lists of where wheels were run; elsewhere
    all but what was built.
    """
    if is_repository(root):
        listed = run(["git", "ls-files", "-z", "--", *_SOURCES], cwd=root).split("\0")
        return sorted(name for name in listed if name and (root / name).is_file())
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [n for n in folders if n not in NO_SOURCES and not n.startswith(".")]
        inside = Path(folder).relative_to(root)
        built = (".so", ".pyd", ".pyc")
        found += [str(inside / n) for n in files if n not in NO_SOURCES and not n.endswith(built)]
    return sorted(found)


def epoch(root: Path) -> int:
    """Give the time that archives carry.

    It is SOURCE_DATE_EPOCH; else that of the last commit that changed a source; else the sdist's.
    """
    if "SOURCE_DATE_EPOCH" in os.environ:
        value = os.environ["SOURCE_DATE_EPOCH"]
        if not value.isdecimal():
            raise Fault(f"SOURCE_DATE_EPOCH is {value!r}; give seconds since 1970, or unset it")
        return int(value)
    if is_repository(root):
        return int(run(["git", "log", "-1", "--format=%ct", "--", *_SOURCES], cwd=root))
    return int((root / "PKG-INFO").stat().st_mtime)


def copy_sources(root: Path, folder: Path) -> None:
    """Copy the source's files into a new folder, all with mode 644 and the time of now.

    A time of now: cargo would take files that are older than its last build as unchanged.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name in source_files(root):
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, copy)
        copy.chmod(0o644)


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist in a new folder, with modes and times as above, and give its root."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            if not member.isfile():
                raise Fault(f"{sdist.name}: {member.name} is no plain file")
            member.mtime = None  # type: ignore[assignment]
            archive.extract(member, folder, filter="data")
    roots = list(folder.iterdir())
    if len(roots) != 1:
        raise Fault(f"{sdist.name}: {len(roots)} folders at its root, not one")
    return roots[0]


def environment(source: Path, made: Path, time: int, target: Target | None) -> dict[str, str]:
    """Give the environment of a build.

    Args:
        source: The folder that is built.
        made: Cargo's target folder.
        time: The time that archives carry.
        target: The platform; none for the sdist.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(OWN_VARIABLES)}
    env |= {"SOURCE_DATE_EPOCH": str(time), "CARGO_TARGET_DIR": str(made), "LC_ALL": "C.UTF-8"}
    if target is None:
        return env
    sysroot = Path(run(["rustc", "--print", "sysroot"], cwd=source).strip())
    version = dict(
        line.split(": ", 1) for line in run(["rustc", "-vV"], cwd=source).splitlines()[1:]
    )
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    # The last that fits counts, so that the widest stands first.
    names = {str(cargo_home): "/cargo"}
    names |= {str(p): "/crates" for p in sorted((cargo_home / "registry" / "src").glob("*"))}
    names[str(sysroot / "lib" / "rustlib" / "src" / "rust")] = f"/rustc/{version['commit-hash']}"
    names |= {str(source): "/hypernova", str(made): "/target"}
    flags = [f"--remap-path-prefix={path}={name}" for path, name in names.items()]
    env["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join([*flags, *target.rustflags])
    if target.linker:
        key = target.rust.upper().replace("-", "_")
        env[f"CARGO_TARGET_{key}_LINKER"] = target.linker
    return env


def build_sdist(tools: Tools, source: Path, made: Path, time: int, log: Path) -> Path:
    """Build the sdist of a folder into an empty one, and give its path."""
    return _built(
        [tools.program("maturin"), "sdist", "--out", made],
        source,
        environment(source, made / "target", time, None),
        log,
        made,
    )


def build_wheel(
    tools: Tools,
    source: Path,
    target: Target,
    made: Path,
    time: int,
    log: Path,
    interpreter: str = "",
) -> Path:
    """Build the wheel of a folder for a target, and give its path.

    Args:
        tools: The tools.
        source: The folder that is built.
        target: The platform.
        made: An empty folder for the wheel; cargo's own folder is beside it, and kept.
        time: The time that archives carry.
        log: A file that keeps maturin's output.
        interpreter: Build for this interpreter and no other, where it has no stable ABI.
    """
    env = environment(source, made.parent / "target", time, target)
    run(["cargo", "fetch", "--locked", "--quiet"], cwd=source, env=env)
    # Again: cargo's folder of crates may be new.
    env = environment(source, made.parent / "target", time, target)
    command: list[str | Path] = [tools.program("maturin"), "build", "--release", "--locked"]
    command += ["--out", made]
    if target.rust:
        command += ["--target", target.rust]
    if "linux" in target.platform:
        command += ["--compatibility", target.policy]
    if target.zig:
        command += ["--zig"]
    if interpreter:
        command += ["--interpreter", interpreter]
    # Where maturin finds zig, and an interpreter.
    env["PATH"] = f"{tools.program('python').parent}{os.pathsep}{env['PATH']}"
    return _built(command, source, env, log, made)


def _built(
    command: list[str | Path], source: Path, env: dict[str, str], log: Path, made: Path
) -> Path:
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    # For every file that a tool makes.
    umask = os.umask(0o022)
    try:
        run(command, cwd=source, env=env, log=log)
    finally:
        os.umask(umask)
    found = [path for path in made.iterdir() if path.is_file()]
    if len(found) != 1:
        raise Fault(f"{Path(command[0]).name} made {len(found)} files, not one; see {log}")
    return found[0]
