"""Check the files of an sdist or a wheel: which there are, their modes, times and bytes.

    python -m release.contents FILE...

Not here: tags and symbols, which `audit` checks with other tools.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import re
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from .elf import foreign_paths, is_stripped
from .tools import Fault, command, say

if TYPE_CHECKING:
    from collections.abc import Iterator

WHEEL = re.compile(
    r"hypernova_router-(?P<version>[\w.]+)-(?P<python>\w+)-(?P<abi>\w+)-(?P<platform>[\w.]+)\.whl"
)
STABLE = ("cp311", "abi3")
EXTENSION = re.compile(r"hypernova/_core\.[\w.-]*(so|pyd)")
# Of a CPython without a GIL, which has no stable ABI before 3.15.
FREE_THREADED = re.compile(r"cp3\d+t")
PACKAGE = "hypernova"
WHEEL_NEEDS = (
    "hypernova/__init__.py",
    "hypernova/py.typed",
    "hypernova/_core.pyi",
    "hypernova/bundled/default.hnv",
    "hypernova/bundled/examples.zip",
    "hypernova/bundled/minilm/LICENSE",
    "hypernova/bundled/static/LICENSE",
    "{info}/METADATA",
    "{info}/WHEEL",
    "{info}/entry_points.txt",
    "{info}/licenses/LICENSE",
    "{info}/licenses/NOTICE",
    "{info}/licenses/licences/crates.md",
    "{info}/licenses/licences/rust-standard-library.md",
    "{info}/sboms/hypernova-router.cdx.json",
)
SDIST_NEEDS = (
    *("PKG-INFO", "pyproject.toml", "Cargo.toml", "Cargo.lock", "Makefile"),
    *("LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"),
    *("tests/conftest.py", "examples/simulated.jsonl", "docs/glossary.md", "release/wheels.py"),
    *("rust/hypernova-core/FORMAT.md", "rust/hypernova-core/tests/golden/v1_0_small.hnv"),
    *("rust/hypernova-py/build.rs", "python/hypernova/bundled/default.hnv"),
)
# PyPI takes no larger file.
MAX_BYTES = 100_000_000
_BYTECODE = (".pyc", ".pyo")
_CACHES = {"__pycache__", ".git", ".venv", "target", "node_modules"}


class Entry(NamedTuple):
    """A file of an archive."""

    name: str
    mode: int
    time: object
    data: bytes


def faults(path: Path) -> list[str]:
    """List all that is wrong with an sdist or a wheel, one line each."""
    try:
        found = _of_wheel(path) if path.suffix == ".whl" else _of_sdist(path)
        if path.stat().st_size > MAX_BYTES:
            found.append(f"{path.stat().st_size:,} bytes, and PyPI takes at most {MAX_BYTES:,}")
    except (OSError, zipfile.BadZipFile, tarfile.TarError, KeyError) as error:
        found = [f"cannot be read: {error}"]
    return [f"{path.name}: {fault}" for fault in found]


def _of_wheel(path: Path) -> list[str]:
    name = WHEEL.fullmatch(path.name)
    if name is None:
        return ["the name is not hypernova_router-VERSION-PYTHON-ABI-PLATFORM.whl"]
    with zipfile.ZipFile(path) as archive:
        entries = [
            Entry(i.filename, i.external_attr >> 16 & 0o7777, i.date_time, archive.read(i))
            for i in archive.infolist()
            if not i.is_dir()
        ]
    info = f"hypernova_router-{name['version']}.dist-info"
    files = {entry.name: entry.data for entry in entries}
    found = [f"{need.format(info=info)} is missing" for need in WHEEL_NEEDS
             if need.format(info=info) not in files]  # fmt: skip
    found += [
        f"{entry.name} is neither in hypernova/ nor in {info}/"
        for entry in entries
        if PurePosixPath(entry.name).parts[0] not in (PACKAGE, info)
    ]
    found += [
        f"{entry.name} is a test, which the sdist has"
        for entry in entries
        if re.search(r"(^|/)(tests?|conftest\.py|test_[^/]*\.py)(/|$)", entry.name)
    ]
    found += _of_abi(name["python"], name["abi"], list(files))
    for entry in entries:
        library = EXTENSION.fullmatch(entry.name) is not None
        if library and not is_stripped(entry.data):
            found.append(f"{entry.name} is not stripped")
        if library or entry.name.startswith(info):
            found += [
                f"{entry.name} has a path of the machine that built it: {text}"
                for text in foreign_paths(entry.data)[:1]
            ]
        found += _of_mode(entry, {0o755} if library else {0o644})
    return [*found, *_of_any(entries), *_of_record(files, f"{info}/RECORD")]


def _of_abi(python: str, abi: str, names: list[str]) -> Iterator[str]:
    libraries = [name for name in names if name.endswith((".so", ".pyd", ".dll", ".dylib"))]
    if FREE_THREADED.fullmatch(abi):
        if abi != f"{python}t":
            yield f"the tag is {python}-{abi}, not {python}-{python}t"
    elif (python, abi) != STABLE:
        yield f"the tag is {python}-{abi}, not {'-'.join(STABLE)}: it needs the stable ABI"
    elif libraries not in (["hypernova/_core.abi3.so"], ["hypernova/_core.pyd"]):
        yield f"its libraries are {', '.join(libraries) or 'none'}, not hypernova/_core.abi3.so"
    if len(libraries) != 1:
        yield f"{len(libraries)} libraries, not one"


def _of_record(files: dict[str, bytes], record: str) -> Iterator[str]:
    if record not in files:
        yield f"{record} is missing"
        return
    stated = {row[0]: row[1:] for row in csv.reader(files[record].decode().splitlines())}
    yield from (f"{name} is not in RECORD" for name in sorted(files.keys() - stated.keys()))
    for name, (digest, size) in stated.items():
        if name == record:
            continue
        data = files.get(name)
        if data is None:
            yield f"{name} is in RECORD, and missing"
            continue
        true = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        if [digest, size] != [f"sha256={true}", str(len(data))]:
            yield f"{name} is not the file that RECORD states"


def _of_sdist(path: Path) -> list[str]:
    entries, found = [], []
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            if not member.isfile():
                found.append(f"{member.name} is no plain file")
                continue
            file = archive.extractfile(member)
            assert file is not None
            entries.append(Entry(member.name, member.mode, member.mtime, file.read()))
            if member.uid or member.gid or member.uname not in ("", "root"):
                found.append(f"{member.name} belongs to {member.uname or member.uid}")
    root = path.name.removesuffix(".tar.gz")
    found += [f"{e.name} is outside of {root}/" for e in entries
              if not e.name.startswith(f"{root}/")]  # fmt: skip
    names = {entry.name for entry in entries}
    found += [f"{need} is missing" for need in SDIST_NEEDS if f"{root}/{need}" not in names]
    for entry in entries:
        found += _of_mode(entry, {0o644})
        if entry.name.endswith((".so", ".pyd", ".dll", ".dylib")):
            found.append(f"{entry.name} is a compiled library")
    return [*found, *_of_any(entries)]


def _of_any(entries: list[Entry]) -> Iterator[str]:
    names = [entry.name for entry in entries]
    yield from (
        f"{name} is there twice" for name in sorted({n for n in names if names.count(n) > 1})
    )
    for name in names:
        parts = PurePosixPath(name).parts
        if name.endswith(_BYTECODE) or _CACHES & set(parts):
            yield f"{name} is made by a tool and no source"
        if name.startswith("/") or ".." in parts:
            yield f"{name} leads out of the archive"
    if len(times := {entry.time for entry in entries}) > 1:
        yield f"its files have {len(times)} different times, not that of the commit"


def _of_mode(entry: Entry, modes: set[int]) -> list[str]:
    if entry.mode in modes:
        return []
    return [f"{entry.name} has mode {entry.mode:o}, not {min(modes):o}"]


def check(path: Path) -> None:
    """Check the files of an sdist or a wheel.

    Raises:
        Fault: Something is wrong; the message has a line for each fault.
    """
    if found := faults(path):
        raise Fault("\n".join(found))


def main() -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m release.contents", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    files = parser.parse_args().files

    def work() -> None:
        if found := [fault for file in files for fault in faults(file)]:
            raise Fault("\n".join(found))
        say("\n".join(f"{file.name}: nothing wrong" for file in files))

    return command(work)


if __name__ == "__main__":
    sys.exit(main())
