"""Write a record of benchmarks, and compare two.

Not here: the measurements. A record is a CSV file with a row for each measurement, and a table
for readers beside it.
"""

from __future__ import annotations

import csv
import datetime
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from benches.paths import ROOT

FIELDS = ("row", "library", "median_ns", "least_ns", "ratio", "instructions", "p99_ns", "bytes")
PEERS = ("nordlys-core", "faiss-cpu", "usearch", "numpy")
MOVED = 0.1
# No figure depends on a page, on a test, on how a release is made or on another record.
SOURCES = (".", *(f":!{name}" for name in (
    *("docs", "mkdocs.yml", "*.md", "CITATION.cff"),
    *("tests", "release", ".ci", ".github", "benches/record", "Makefile", ".gitignore"),
)))  # fmt: skip


def output_of(*command: str) -> str:
    """Run a command and return what it prints; an empty text if there is no such command."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError:
        return ""
    return done.stdout.strip()


def processor() -> str:
    """Name the CPU and its number of cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else 'unknown'}, {os.cpu_count()} cores"


def source_state() -> tuple[str, str]:
    """Return the commit that is measured, and whether sources differ from it, "yes" or "no"."""
    commit = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no", "--", *SOURCES)
    return commit, "yes" if changed else "no"


def write_page(lines: list[str], folder: Path | None, commit: str, name: str) -> None:
    """Write DATE-COMMIT-NAME.md into a folder, which is created if missing; None writes nothing."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.date.today()}-{commit}-{name}.md"
    path.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")
    print(f"wrote {path}")


def versions() -> str:
    """Name the versions of the libraries that are compared."""
    found = []
    for peer in PEERS:
        try:
            found.append(f"{peer} {importlib.metadata.version(peer)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{peer} not installed")
    return ", ".join(found)


def write(rows: list[dict[str, object]], folder: Path, level: str, how: str) -> Path:
    """Write DATE-COMMIT-speed.csv and .md.

    Args:
        rows: A measurement each; a field that does not apply is left out.
        folder: Where the record goes; created if missing.
        level: SIMD level of the search.
        how: One paragraph on how the rows were measured.

    Returns:
        The CSV file.
    """
    commit, changed = source_state()
    path = folder / f"{datetime.date.today()}-{commit}-speed.csv"
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    lines = [
        f"# What routing costs, {datetime.date.today()}, commit {commit}",
        "",
        f"{processor()}, level {level}, Python {sys.version.split()[0]}, {versions()}; "
        f"uncommitted changes: {changed}. {how}",
        "",
        "| | library | median ns | least ns | ratio | instructions | p99 ns | bytes |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        shown = [str(row["row"]), str(row["library"])]
        for field in FIELDS[2:]:
            number = row.get(field)
            exact = field == "ratio" or number is None
            shown.append(str(number or "") if exact else f"{float(str(number)):,.0f}")
        lines.append(f"| {' | '.join(shown)} |")
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")
    return path


def read(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Read the rows of a record by name and library; exit with one line if it is no record."""
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            fields = reader.fieldnames or ()
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        sys.exit(f"{path}: cannot be read: {error}")
    # Earlier records have fewer columns.
    if not set(FIELDS[:5]) <= set(fields):
        sys.exit(f"{path}: expected a record with the columns {', '.join(FIELDS)}")
    return {(row["row"], row["library"]): row for row in rows}


def compare(first: Path, second: Path) -> list[str]:
    """Divide each figure of the second record by that of the first, a line for each row.

    A ratio to hypernova, or a count of instructions, that moved by more than a tenth is
    marked; a time alone is not, because other work on the machine moves it.
    """
    a, b = read(first), read(second)
    lines = [f"only in {first}: {' / '.join(key)}" for key in a if key not in b]
    lines += [f"only in {second}: {' / '.join(key)}" for key in b if key not in a]
    for key in a:
        if key not in b:
            continue
        changes, moved = [], False
        for field, name in (
            ("median_ns", "time"),
            ("ratio", "ratio"),
            ("instructions", "instructions"),
            ("bytes", "bytes"),
        ):
            old, new = a[key].get(field), b[key].get(field)
            if old and new and float(old):
                by = float(new) / float(old)
                changes.append(f"{name} x{by:.2f}")
                moved |= name != "time" and abs(by - 1) > MOVED
        mark = "  <-- over 10%" if moved else ""
        lines.append(f"{' / '.join(key)}: {', '.join(changes)}{mark}")
    return lines
