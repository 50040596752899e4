"""The commit, the version and the changelog of a release.

Not here: what is built from them.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from typing import TYPE_CHECKING

from release.checks.repository import GitError, Missing

if TYPE_CHECKING:
    from release.checks.repository import Repository

LOCKS = ("Cargo.lock", "rust/fuzz/Cargo.lock")
BUNDLED = "python/hypernova/bundled/default.hnv"
# The metadata of an artifact stand in its file as text.
FITTED_BY = re.compile(rb'"hypernova":"([^"]*)"')
_HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>\S+))?[^\n]*\n", re.MULTILINE)


def unclean_tree(repository: Repository) -> list[Missing]:
    """Find uncommitted changes: what is released is a commit."""
    try:
        repository.git("rev-parse", "--verify", "HEAD")
    except GitError:
        return [Missing("there is no commit", "commit the sources")]
    changed = [line[3:] for line in repository.git("status", "--porcelain").splitlines()]
    if not changed:
        return []
    shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if changed[3:] else "")
    return [Missing(f"changes that are not committed: {shown}", "commit them, or take them back")]


def other_versions(repository: Repository) -> list[Missing]:
    """Find files that state another version than `Cargo.toml`, and a tag that is taken."""
    version, found = repository.version, []
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return [Missing(f"Cargo.toml states the version {version!r}", "state it as 1.2.3")]
    for lock in LOCKS:
        packages = tomllib.loads(repository.text(lock)).get("package", [])
        for package in packages:
            own = package["name"].startswith("hypernova-") and "source" not in package
            if own and package["version"] not in (version, "0.0.0"):
                what = f"{lock} has {package['name']} {package['version']}, not {version}"
                found.append(Missing(what, "run cargo update --workspace beside it"))
    cited = re.search(r"^version: (.*)$", repository.text("CITATION.cff"), re.MULTILINE)
    if cited is None or cited[1] != version:
        what = f"CITATION.cff does not state the version {version}"
        found.append(Missing(what, f"write version: {version}"))
    bundled = repository.root / BUNDLED
    fitted_by = FITTED_BY.search(bundled.read_bytes()) if bundled.is_file() else None
    if fitted_by is None or fitted_by[1].decode() != version:
        by = fitted_by[1].decode() if fitted_by else "no version"
        found.append(Missing(f"{BUNDLED} was fitted by {by}, not {version}", "make bundled"))
    return found + _taken_tag(repository)


def _taken_tag(repository: Repository) -> list[Missing]:
    try:
        tagged = repository.git("rev-parse", "--verify", f"v{repository.version}^{{commit}}")
    except GitError:
        return []
    if tagged == repository.git("rev-parse", "HEAD"):
        return []
    what = f"the tag v{repository.version} is that of another commit, {tagged[:7]}"
    return [Missing(what, "give the release a new number: a version is released once")]


def changelog_faults(repository: Repository, today: datetime.date | None = None) -> list[Missing]:
    """Find what CHANGELOG.md lacks: the version with a date and entries, and nothing above it."""
    text, version = repository.text("CHANGELOG.md"), repository.version
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    sections = {
        heading["name"]: (heading["date"], text[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=True)
    }
    found = []
    if sections.get("Unreleased", ("", ""))[1]:
        what = "CHANGELOG.md has entries under Unreleased"
        found.append(Missing(what, f"move them to {version}"))
    if version not in sections:
        return [*found, Missing(f"CHANGELOG.md has no heading [{version}]", "write the section")]
    stated, entries = sections[version]
    if not entries:
        found.append(Missing(f"CHANGELOG.md says nothing of {version}", "write what changed"))
    try:
        date = datetime.date.fromisoformat(stated or "")
    except ValueError:
        what = f"CHANGELOG.md dates {version} {stated!r}"
        return [*found, Missing(what, "write the day of the release, as 2026-12-31")]
    if date > (today or datetime.date.today()):
        what = f"CHANGELOG.md dates {version} {date}, which is to come"
        return [*found, Missing(what, "write the day of the release")]
    if f"\ndate-released: {date}\n" not in repository.text("CITATION.cff"):
        what = f"CITATION.cff does not have the changelog's date, {date}"
        found.append(Missing(what, f"write date-released: {date}"))
    return found
