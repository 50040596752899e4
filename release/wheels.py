"""Build the sdist and a wheel for each target into dist/ or another folder, and audit them.

    python -m release.wheels [TARGET...]

The sdist is made of the files that git tracks; each wheel is made of the sdist alone. A file comes
there when it has passed its audits.
Not here: running the wheels, which takes machines of their platforms.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from . import build, contents
from .audit import audit
from .targets import TARGETS, Target, add_targets_to, missing, named
from .tools import ROOT, TOOLS, Fault, Tools, command, run, say, sha256

_ABOUT_PYTHON = """
import json, sys, sysconfig
print(json.dumps([sys.implementation.name, *sys.version_info[:2],
                  bool(sysconfig.get_config_var("Py_GIL_DISABLED"))]))
"""


def make(
    targets: list[Target],
    *,
    root: Path = ROOT,
    work: Path = ROOT / "build" / "wheels",
    out: Path = ROOT / "dist",
    tools_at: Path = TOOLS,
    free_threaded: str = "",
) -> list[str]:
    """Build and audit the sdist and wheels of a tree.

    Args:
        targets: The platforms.
        root: The tree.
        work: A folder for what is made on the way.
        out: The folder for the files.
        tools_at: The environment of the tools.
        free_threaded: A free-threaded interpreter, for which one more wheel is made.

    Returns:
        A line for each target that this machine cannot build.

    Raises:
        Fault: A build or an audit failed; what was done before is in the folder.
    """
    interpreter_tag = _free_threaded_tag(free_threaded) if free_threaded else ""
    lacking = {target.name: line for target in targets if (line := missing(target))}
    there = [target for target in targets if target.name not in lacking]
    tools = Tools("release-cross" if any(target.zig for target in there) else "release", tools_at)
    time = build.epoch(root)
    _say_state(root, time)
    build.copy_sources(root, work / "tree")
    sdist = _take(
        tools, build.build_sdist(tools, work / "tree", work / "out", time, work / "sdist.log"), out
    )
    source = build.unpack(sdist, work / "source")
    for target in there:
        say(f"building {target.name}")
        log = work / f"{target.name}.log"
        _take(tools, build.build_wheel(tools, source, target, work / "out", time, log), out)
    if free_threaded:
        say(f"building {interpreter_tag}")
        target = next((t for t in there if t.rust == _host()), TARGETS["native"])
        made = build.build_wheel(
            tools, source, target, work / "out", time, work / f"{interpreter_tag}.log",
            interpreter=free_threaded,
        )  # fmt: skip
        if f"-{interpreter_tag}-" not in made.name:
            raise Fault(f"{made.name} was built for {free_threaded}, and is not {interpreter_tag}")
        _take(tools, made, out)
    return list(lacking.values())


def _take(tools: Tools, made: Path, out: Path) -> Path:
    """Audit a file that was made, move it to its folder, and say what it is."""
    contents.check(made)
    lines = audit(tools, made)
    out.mkdir(parents=True, exist_ok=True)
    file = out / made.name
    made.replace(file)
    size = file.stat().st_size
    say("\n  ".join([f"{file.name}", f"{size:,} bytes, sha256 {sha256(file)}", *lines]))
    return file


def _say_state(root: Path, time: int) -> None:
    """Say of which state of the tree a build is, and with what."""
    versions = [run([tool, "--version"], cwd=root).strip() for tool in ("rustc", "cargo")]
    state = "an unpacked sdist"
    if build.is_repository(root):
        state = f"commit {run(['git', 'rev-parse', 'HEAD'], cwd=root).strip()}"
        if run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=root).strip():
            state += " with changes that are NOT committed"
    say(f"{state}, time {time}; {'; '.join(versions)}")


def _host() -> str:
    lines = run(["rustc", "-vV"], cwd=ROOT).splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("host: "))


def _free_threaded_tag(interpreter: str) -> str:
    if shutil.which(interpreter) is None:
        raise Fault(f"--free-threaded: there is no interpreter {interpreter}")
    about = run([interpreter, "-c", _ABOUT_PYTHON], cwd=ROOT)
    name, major, minor, is_free = json.loads(about)
    if name != "cpython" or not is_free:
        raise Fault(f"--free-threaded: {interpreter} has a GIL, and the abi3 wheel is for it")
    return f"cp{major}{minor}-cp{major}{minor}t"


def main() -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m release.wheels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_targets_to(parser)
    parser.add_argument(
        "--skip-missing",
        action="store_true",
        help="end with code 0 where a target cannot be built here",
    )
    parser.add_argument(
        "--free-threaded",
        default="",
        metavar="PYTHON",
        help="a wheel for this interpreter alone, besides the targets that are named: before "
        "CPython 3.15 one without a GIL has no stable ABI",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "dist", metavar="FOLDER", help="for the files (dist/)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep those that are there; they are removed otherwise"
    )
    parser.add_argument(
        "--tools",
        type=Path,
        default=TOOLS,
        metavar="FOLDER",
        help="the environment of the tools, made if it is missing (build/release-venv)",
    )
    given = parser.parse_args()

    def work() -> None:
        alone = given.free_threaded and not given.targets
        targets = [] if alone else named(given.targets)
        if not given.keep:
            for old in given.out.glob("hypernova_router-*"):
                old.unlink()
        lines = make(
            targets, out=given.out, tools_at=given.tools, free_threaded=given.free_threaded
        )
        if lines and not given.skip_missing:
            raise Fault("\n".join(lines))
        if lines:
            say("\n".join(lines))

    return command(work)


if __name__ == "__main__":
    sys.exit(main())
