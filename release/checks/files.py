"""Files of the repository that a release relies on.

Not here: the records (records.py) and what was built (dist.py).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from release.checks.records import latest_of
from release.checks.repository import Missing

if TYPE_CHECKING:
    from release.checks.repository import Repository

FORMAT = "rust/hypernova-core/FORMAT.md"
SUMS = "models/SHA256SUMS"
MODELS = "python/hypernova/bundled/"
# Spelled so that this line is none.
_MARKER = re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X)\b")
_SOURCES = (".py", ".pyi", ".rs", ".toml", ".yml", ".yaml", ".sh", ".js", ".css", ".md", ".cfg")


def missing_golden_files(repository: Repository) -> list[Missing]:
    """Find versions of the file format that no golden file holds."""
    stated = re.search(r"^# .*, version (\d+)\.(\d+)$", repository.text(FORMAT), re.MULTILINE)
    if stated is None:
        return [Missing(f"{FORMAT} states no version", "state it in its first line")]
    major, last = int(stated[1]), int(stated[2])
    found = []
    for minor in range(last + 1):
        beginning = f"/tests/golden/v{major}_{minor}_"
        files = {name for name in repository.files if beginning in f"/{name}"}
        artifacts = [name for name in files if name.endswith(".hnv")]
        answers = [f"{name.removesuffix('.hnv')}.json" for name in artifacts]
        if not artifacts or not files.issuperset(answers):
            what = f"format {major}.{minor} has no golden file with its answers"
            found.append(Missing(what, "write them with tests/golden/make_golden.py"))
    return found


def changed_models(repository: Repository) -> list[Missing]:
    """Find files of the embedders that are not those of `models/SHA256SUMS`."""
    lines = [line.split("  ", 1) for line in repository.text(SUMS).splitlines()]
    listed = {name: digest for digest, name in lines}
    found = []
    for name, digest in listed.items():
        path = repository.root / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            what = f"{name} is not the file of {SUMS}"
            found.append(Missing(what, "rebuild it, models/rebuild.sh, or state its hash"))
    for name in repository.files:
        model = name.startswith(MODELS) and name.endswith((".onnx", ".json"))
        if model and name not in listed:
            found.append(Missing(f"{SUMS} does not list {name}", "add its hash"))
    return found


def markers(repository: Repository) -> list[Missing]:
    """Find marks of unfinished work in sources and pages."""
    found = []
    for name in repository.files:
        if name.endswith(_SOURCES) or name.rpartition("/")[2] == "Makefile":
            for i, line in enumerate(repository.text(name).splitlines(), 1):
                if marker := _MARKER.search(line):
                    found.append(Missing(f"{name}:{i} says {marker[0]}", "do it, or take it out"))
    return found


def missing_list_of_wheels(repository: Repository) -> list[Missing]:
    """Find wheels of dist/ of which no record says where they were run, by their hash."""
    remedy = "make run-wheels, and commit the list that it writes"
    record = latest_of(repository).get("wheels")
    if record is None:
        return [Missing("there is no record of where the wheels were run", remedy)]
    listed = repository.text(record.name)
    stem = f"hypernova_router-{repository.version}-"
    if stem not in listed:
        return [Missing(f"{record.name} is not of version {repository.version}", remedy)]
    return [
        Missing(f"{record.name} is of another dist/{path.name}", remedy)
        for path in sorted((repository.root / "dist").glob(f"{stem}*.whl"))
        if hashlib.sha256(path.read_bytes()).hexdigest() not in listed
    ]
