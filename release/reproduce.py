"""Build sdist and wheels twice, in two places, and compare their bytes.

    python -m release.reproduce [TARGET...]

The second build has a folder of another name and depth, another umask, language and time zone, and
is made later. Commit first: what git has is built. With ``--against FOLDER`` it is built once and
compared with files that somebody else built, such as those of a release.
Not here: audits, which `wheels` makes in each build.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from . import build
from .elf import section_at
from .targets import add_targets_to, named
from .tools import ROOT, TOOLS, Fault, command, run, say, sha256

WORK = ROOT / "build" / "reproduce"
PLACES = (
    (WORK / "one", 0o022, {"LC_ALL": "C.UTF-8", "TZ": "UTC"}),
    (
        WORK / "another place" / "of a longer name",
        0o077,
        {"LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr", "TZ": "Pacific/Auckland"},
    ),
)


def build_in(place: Path, umask: int, env: dict[str, str], targets: list[str]) -> Path:
    """Build a copy of the last commit in a folder, and give the folder of its files.

    Raises:
        Fault: The build failed.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    if build.is_repository(ROOT):
        run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, place], cwd=ROOT)
    else:
        time = build.epoch(ROOT)
        build.copy_sources(ROOT, place)
        env = {**env, "SOURCE_DATE_EPOCH": str(time)}
    say(f"building in {place.relative_to(ROOT)}, with umask {umask:03o} and {env}")
    done = subprocess.run(
        [sys.executable, "-m", "release.wheels", "--tools", TOOLS, *targets],
        cwd=place,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | env,
        umask=umask,
        check=False,
    )
    if done.returncode:
        raise Fault(f"the build in {place.relative_to(ROOT)} failed")
    return place / "dist"


def members(path: Path) -> list[tuple[str, str, bytes]]:
    """List the files of an archive: name, what else it says of them, and bytes."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return [
                (i.filename, f"{i.date_time} {i.external_attr:o} {i.compress_type}", wheel.read(i))
                for i in wheel.infolist()
            ]
    found = []
    with tarfile.open(path) as sdist:
        for i in sdist.getmembers():
            file = sdist.extractfile(i)
            about = f"{i.mtime} {i.mode:o} {i.uid} {i.gid} {i.uname}"
            found.append((i.name, about, file.read() if file else b""))
    return found


def first_difference(one: Path, other: Path) -> str:
    """Say where two archives differ first, or nothing if their bytes are the same.

    Returns:
        The file in them, and the offset there; for a library also the section.
    """
    if one.read_bytes() == other.read_bytes():
        return ""
    ours, theirs = members(one), members(other)
    names, other_names = [m[0] for m in ours], [m[0] for m in theirs]
    if names != other_names:
        if only := sorted(set(names) ^ set(other_names)):
            return f"{only[0]} is in one of them only"
        return "the order of their files"
    for (name, about, data), (_, other_about, other_data) in zip(ours, theirs, strict=True):
        if data != other_data:
            pairs = zip(data, other_data, strict=False)
            at = next(
                (i for i, (a, b) in enumerate(pairs) if a != b), min(len(data), len(other_data))
            )
            section = f" in {section_at(data, at)}" if data[:4] == b"\x7fELF" else ""
            return f"{name} at byte {at:,}{section} ({len(data):,} and {len(other_data):,} bytes)"
        if about != other_about:
            return f"{name} by its time, mode or owner: {about} and {other_about}"
    return "how they are packed; their files are the same"


def compare(one: Path, other: Path) -> bool:
    """Print both hashes of each file of a folder and its like in another.

    Args:
        one: The other folder, which may have more files.
        other: The folder.

    Returns:
        Whether all are the same.
    """
    same = True
    names = {path.name for path in other.iterdir() if path.is_file()}
    for name in sorted(names):
        files = [folder / name for folder in (one, other)]
        if lacking := [file for file in files if not file.exists()]:
            say(f"{name}\n  MISSING in {lacking[0].parent}")
            same = False
            continue
        difference = first_difference(*files)
        same = same and not difference
        verdict = f"DIFFERENT: {difference}" if difference else "the same bytes"
        say("\n  ".join([name, *map(sha256, files), verdict]))
    return same and bool(names)


def main() -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m release.reproduce",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_targets_to(parser)
    parser.add_argument(
        "--against", type=Path, metavar="FOLDER", help="compare with the files of this folder"
    )
    given = parser.parse_args()

    def work() -> None:
        targets = [target.name for target in named(given.targets)]
        if given.against is not None and not given.against.is_dir():
            raise Fault(f"--against {given.against}: there is no such folder")
        places = PLACES if given.against is None else PLACES[1:]
        folders = [build_in(*place, targets) for place in places]
        if not compare(given.against or folders[0], folders[-1]):
            raise Fault("the two builds are NOT the same")
        say("both builds have the same bytes")

    return command(work)


if __name__ == "__main__":
    sys.exit(main())
