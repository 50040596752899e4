"""Collect the licence texts of the crates in the compiled core: ``python -m release.licences``.

Writes ``licences/crates.md``, which is committed, and which each wheel brings. With ``--check`` it
writes nothing, and fails where the file is not that of Cargo.lock.

Not here: Rust's standard library (``licences/rust-standard-library.md``, by hand), and the models,
which NOTICE names.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from .crates import PREFERRED, Crate, chosen_licences, linked_crates
from .tools import ROOT, Fault, command, say

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "licences"
PAGE = FOLDER / "crates.md"
_TEXT = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicen[cs]e)", re.IGNORECASE)
_INTRODUCTION = """# Crates in the compiled core

The module `hypernova/_core` of a wheel is linked from these crates, and from Rust's standard
library ([rust-standard-library.md](rust-standard-library.md)). A wheel of one platform holds those
that it needs. Where a crate leaves a choice, the first of {preferred} is
taken. The texts are those in the packages of the crates, each once.

Made by `python -m release.licences` from Cargo.lock.

| crate | version | licence | taken | text |
| --- | --- | --- | --- | --- |
"""


def read_texts(crate: Crate) -> dict[str, str]:
    """Return the texts of licences and notices in a crate's package, by the name of the file."""
    files = [path for path in crate.folder.iterdir() if path.is_file()]
    return {
        path.name: _clean(path.read_text(encoding="utf-8"))
        for path in sorted(files)
        if _TEXT.match(path.name)
        and path.suffix.lower() in ("", ".0", ".md", ".txt")  # .0: of license-apache-2.0
    }


def _clean(text: str) -> str:
    lines = [line.rstrip() for line in text.replace("\f", "").expandtabs().splitlines()]
    return "\n".join(lines).strip("\n")


def page(crates: list[Crate]) -> str:
    """Return the page of crates and their texts.

    Raises:
        Fault: The licence of a crate cannot be taken.
    """
    crates = [crate for crate in crates if not crate.own]
    texts: dict[str, tuple[int, str]] = {}  # by the words, which spaces and lines do not change
    rows: list[str] = []
    holders: dict[int, list[str]] = {}
    for crate in crates:
        taken = " AND ".join(sorted(chosen_licences(crate.licence)))
        numbers = []
        for name, text in read_texts(crate).items():
            number, _ = texts.setdefault(" ".join(text.split()), (len(texts) + 1, text))
            numbers.append(f"[{number}](#text-{number})")
            holders.setdefault(number, []).append(f"{crate.name} {crate.version} (`{name}`)")
        missing = f"none in its package; by {', '.join(crate.authors) or 'unnamed authors'}"
        rows.append(
            f"| {crate.name} | {crate.version} | {crate.licence} | {taken} | "
            f"{', '.join(numbers) or missing} |"
        )
    parts = [_INTRODUCTION.format(preferred=", ".join(PREFERRED)) + "\n".join(rows)]
    for number, text in texts.values():
        fence = "```"
        parts.append(
            f"## Text {number}\n\n{'; '.join(holders[number])}\n\n{fence}text\n{text}\n{fence}"
        )
    return "\n\n".join(parts) + "\n"


def write_or_check(path: Path, text: str, check: bool, maker: str) -> None:
    """Write a file that is committed, or refuse one that is not as it would be written.

    Raises:
        Fault: ``check``, and the file is another.
    """
    if not check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        say(f"wrote {path.relative_to(ROOT)}")
    elif not path.is_file() or path.read_text(encoding="utf-8") != text:
        raise Fault(f"{path.relative_to(ROOT)}: not as it should be: run python -m release.{maker}")
    else:
        say(f"{path.relative_to(ROOT)} is as it should be")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m release.licences", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if outdated")
    options = parser.parse_args()
    return command(lambda: write_or_check(PAGE, page(linked_crates()), options.check, "licences"))


if __name__ == "__main__":
    sys.exit(main())
