"""Check the tags and symbols of a wheel, and the metadata, with the tools that packagers use.

Not here: the files of an archive, which `contents` checks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from .contents import FREE_THREADED, WHEEL
from .tools import ROOT, Fault, run

if TYPE_CHECKING:
    from pathlib import Path

    from .tools import Tools


def audit(tools: Tools, path: Path) -> list[str]:
    """Audit an sdist or a wheel.

    Args:
        tools: The tools.
        path: The file.

    Returns:
        Lines that say what was found out.

    Raises:
        Fault: The file does not pass.
    """
    # Wide, so that no line of its report is divided.
    run([tools.program("twine"), "check", "--strict", path], cwd=ROOT)
    if path.suffix != ".whl":
        return ["twine check: passed"]
    name = WHEEL.fullmatch(path.name)
    if name is None:
        raise Fault(f"{path.name} is no name of a wheel")
    lines = ["twine check: passed"]
    if not FREE_THREADED.fullmatch(name["abi"]):
        lines.append(_stable(tools, path))
    if "linux" in name["platform"]:
        lines.append(_policy(tools, path, name["platform"].split(".")))
    return lines


def _stable(tools: Tools, path: Path) -> str:
    report = json.loads(run([tools.program("abi3audit"), "--strict", "--report", path], cwd=ROOT))
    (found,) = (entry["result"] for spec in report["specs"].values() for entry in spec["wheel"])
    if not (found["is_abi3"] and found["is_abi3_baseline_compatible"]):
        raise Fault(f"{path.name}: abi3audit: symbols from outside the stable ABI of CPython 3.11")
    return f"abi3audit: the stable ABI of CPython {found['computed']}, none other"


def _policy(tools: Tools, path: Path, stated: list[str]) -> str:
    command: list[str | Path] = [tools.program("auditwheel"), "show", "--json"]
    is_musl = stated[0].startswith("musllinux")
    if is_musl:
        # Not this machine's library of that name, which may be none of musl.
        command += ["--ldpaths", tools.folder / "no-libraries"]
    report = json.loads(run([*command, path], cwd=ROOT))
    tag = report["overall_tag"]
    if is_musl and set(report["external_libs"]) == {"libc.so"}:
        # It knows musl by the name that Alpine gives it; this is musl's own, for which its loader
        # takes itself wherever it runs.
        tag = report["sym_tag"]
    if tag not in stated:
        raise Fault(f"{path.name}: auditwheel: its libraries meet {tag}, not {' or '.join(stated)}")
    versions = defaultdict(list)
    for library, symbols in report["versioned_symbols"].items():
        for symbol in symbols:
            versions[library].append(symbol)
    newest = [f"{lib} {max(v, key=_number)}" for lib, v in sorted(versions.items())]
    needs = ", ".join(newest) or ("libc.so of musl" if is_musl else "no versioned symbols")
    return f"auditwheel: {tag}; needs {needs}"


def _number(symbol: str) -> tuple[int, ...]:
    """Give the version of a symbol such as GLIBC_2.17."""
    return tuple(int(part) for part in symbol.rpartition("_")[2].split(".") if part.isdecimal())
