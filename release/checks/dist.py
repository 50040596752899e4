"""What was built into `dist/`: that it is there, and of this commit.

Not here: building and auditing (release/wheels.py).
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

from release.checks.recipes import running
from release.checks.repository import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from release.checks.repository import Repository

REMEDY = "make wheels"
_PACKAGE = "python/hypernova/"
# maturin writes pyproject.toml and Cargo.toml anew for the sdist.
_COPIED = (".py", ".pyi", ".rs", ".md", ".onnx", ".json", ".hnv")


def other_builds(repository: Repository) -> list[Missing]:
    """Find distributions that are not there, or whose files are not those of the tree."""
    folder, stem = repository.root / "dist", f"hypernova_router-{repository.version}"
    sdist = folder / f"{stem}.tar.gz"
    wheels = sorted(folder.glob(f"{stem}-*.whl"))
    found = []
    if not sdist.is_file():
        found.append(Missing(f"dist/{sdist.name} is not there", REMEDY))
    else:
        found += _differences(repository, sdist, _of_sdist(sdist), "")
    if not wheels:
        found.append(Missing(f"there is no wheel of {repository.version} in dist/", REMEDY))
    for wheel in wheels:
        found += _differences(repository, wheel, _of_wheel(wheel), _PACKAGE)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix in (".whl", ".gz") and path not in (sdist, *wheels):
            found.append(Missing(f"dist/{path.name} is of another version", "remove it"))
    return found


def faulty_builds(repository: Repository) -> list[Missing]:
    """Find faults in the files of distributions; `make wheels` audits them before, too."""
    names = [path.name for path in sorted((repository.root / "dist").glob("hypernova_router-*"))]
    if not names:
        return [Missing("there is nothing in dist/", REMEDY)]
    files = " ".join(f"dist/{name}" for name in names)
    return running(f"python -m release.contents {files}")(repository)


def _of_sdist(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        for member in archive.getmembers():
            if member.isfile():
                content = archive.extractfile(member)
                yield member.name.partition("/")[2], content.read() if content else b""


def _of_wheel(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("hypernova/"):
                yield f"python/{name}", archive.read(name)


def _differences(
    repository: Repository, path: Path, members: Iterator[tuple[str, bytes]], below: str
) -> list[Missing]:
    """Compare the files of an archive with those below a folder of the tree."""
    known = {name for name in repository.files if name.startswith(below) and _is_copied(name)}
    held, other = set(), []
    for name, content in members:
        if _is_copied(name) and (name in known or name.endswith((".py", ".rs"))):
            held.add(name)
            source = repository.root / name
            if name not in known or not source.is_file() or source.read_bytes() != content:
                other.append(name)
    # An sdist leaves out what it likes; a wheel has the whole package.
    other += sorted(known - held) if below else []
    if not other:
        return []
    more = f" and {len(other) - 1} more" if other[1:] else ""
    return [Missing(f"dist/{path.name} was built of another {other[0]}{more}", REMEDY)]


def _is_copied(name: str) -> bool:
    return name.endswith(_COPIED)
