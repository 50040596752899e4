"""List the crates that are linked into the compiled core, as Cargo resolves them from Cargo.lock.

Not here: their licence texts (see ``licences``), and Rust's own standard library, which Cargo does
not know of (``licences/rust-standard-library.md``).
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .tools import ROOT, Fault, run

BINDING = "hypernova-py"
# Of the wheels, and of those that only the workflows build.
TARGETS = (
    *("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"),
    *("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"),
    *("x86_64-apple-darwin", "aarch64-apple-darwin"),
    *("x86_64-pc-windows-msvc", "x86_64-pc-windows-gnu"),
)
# Taken of those that a crate leaves to choose from, the first of these.
PREFERRED = ("Apache-2.0", "MIT", "BSD-2-Clause", "Zlib", "Unicode-3.0")


@dataclass(frozen=True, order=True)
class Crate:
    """A package of Cargo's.

    Attributes:
        name: Its name.
        version: Its version.
        licence: The SPDX expression of its manifest.
        folder: Its source.
        authors: As its manifest names them.
        sha256: Of its package, as in Cargo.lock; empty for the project's own.
        needs: Names and versions of the crates that it is linked with.
    """

    name: str
    version: str
    licence: str
    folder: Path
    authors: tuple[str, ...]
    sha256: str
    needs: tuple[tuple[str, str], ...]

    @property
    def own(self) -> bool:
        """Whether it is one of the project's own."""
        return not self.sha256


def linked_crates() -> list[Crate]:
    """Return the crates that a wheel of any target holds, in order of name; crates are fetched.

    What only builds or tests (build scripts, procedural macros) leaves no code in the wheel.

    Raises:
        Fault: Cargo is missing or fails, or Cargo.lock is not that of the manifests.
    """
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    sums = {(p["name"], p["version"]): p.get("checksum", "") for p in lock["package"]}
    found: dict[tuple[str, str], Crate] = {}
    for target in TARGETS:
        for crate in _linked_on(target, sums):
            key = crate.name, crate.version
            needs = crate.needs if key not in found else (*found[key].needs, *crate.needs)
            found[key] = Crate(**{**vars(crate), "needs": tuple(sorted(set(needs)))})
    return sorted(found.values())


def _linked_on(target: str, sums: dict[tuple[str, str], str]) -> list[Crate]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    maturin = project["tool"]["maturin"]
    listed = json.loads(
        run(
            [
                *("cargo", "metadata", "--format-version=1", "--locked"),
                f"--filter-platform={target}",
                f"--manifest-path={maturin['manifest-path']}",
                f"--features={','.join(maturin['features'])}",
            ],
            cwd=ROOT,
        )
    )
    packages = {package["id"]: package for package in listed["packages"]}
    nodes = {node["id"]: node for node in listed["resolve"]["nodes"]}
    (start,) = (key for key, package in packages.items() if package["name"] == BINDING)
    linked: dict[str, list[str]] = {}
    left = [start]
    while left:
        here = left.pop()
        if here not in linked:
            linked[here] = [
                needed["pkg"]
                for needed in nodes[here]["deps"]
                if any(kind["kind"] is None for kind in needed["dep_kinds"])
                and not _is_macro(packages[needed["pkg"]])
            ]
            left += linked[here]

    def key(one: str) -> tuple[str, str]:
        return packages[one]["name"], packages[one]["version"]

    return [
        Crate(
            *key(one),
            packages[one]["license"] or "",
            Path(packages[one]["manifest_path"]).parent,
            tuple(packages[one]["authors"]),
            sums[key(one)],
            tuple(sorted(map(key, needs))),
        )
        for one, needs in linked.items()
    ]


def _is_macro(package: dict[str, list[dict[str, list[str]]]]) -> bool:
    return any("proc-macro" in target["kind"] for target in package["targets"])


def chosen_licences(expression: str) -> set[str]:
    """Return the licences that are taken of an SPDX expression: of each choice the preferred one.

    Raises:
        Fault: It leaves none of `PREFERRED`, or is not of the form that crates use.
    """
    taken = set()
    # All parts hold; of a part one holds. No crate here nests deeper.
    for part in re.split(r"\s+AND\s+", expression.replace("/", " OR ")):
        options = re.split(r"\s+OR\s+", part.strip("() "))
        usable = [licence for licence in PREFERRED if licence in options]
        if not usable:
            raise Fault(f"licence {expression!r}: none of {', '.join(PREFERRED)} can be taken")
        taken.add(usable[0])
    return taken
