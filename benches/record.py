"""Write a record of benchmarks, and compare two.

Not here: what is measured. A record is a CSV file with a row for each thing that was
measured, and a table for readers beside it.
"""

from __future__ import annotations

import csv
import datetime
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIELDS = ("row", "library", "median_ns", "least_ns", "ratio", "instructions", "p99_ns", "bytes")
PEERS = ("nordlys-core", "faiss-cpu", "usearch", "numpy")
MOVED = 0.1


def said(*command: str) -> str:
    """What a command prints; nothing if there is no such command."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError:
        return ""
    return done.stdout.strip()


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else 'unknown'}, {os.cpu_count()} cores"


def versions() -> str:
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
        rows: What was measured; a field that does not apply is left out.
        folder: Where to, made if need be.
        level: The level of SIMD.
        how: One paragraph that says how it was measured.

    Returns:
        The CSV file.
    """
    commit = said("git", "rev-parse", "--short", "HEAD") or "unknown"
    changed = said("git", "status", "--porcelain", "--untracked-files=no")
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
        f"uncommitted changes: {'yes' if changed else 'no'}. {how}",
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
    """The rows of a record by name and library; exits with one line if it is none."""
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
    """One line for each row of both records: the second's figures by the first's.

    A ratio to hypernova, or a count of instructions, that moved by more than a tenth is
    marked; a time alone is not, because it depends on what else the machine does.
    """
    a, b = read(first), read(second)
    lines = [f"only in {first}: {' / '.join(key)}" for key in a if key not in b]
    lines += [f"only in {second}: {' / '.join(key)}" for key in b if key not in a]
    for key in a:
        if key not in b:
            continue
        told, moved = [], False
        for field, name in (
            ("median_ns", "time"),
            ("ratio", "ratio"),
            ("instructions", "instructions"),
            ("bytes", "bytes"),
        ):
            old, new = a[key].get(field), b[key].get(field)
            if old and new and float(old):
                by = float(new) / float(old)
                told.append(f"{name} x{by:.2f}")
                moved |= name != "time" and abs(by - 1) > MOVED
        mark = "  <-- over 10%" if moved else ""
        lines.append(f"{' / '.join(key)}: {', '.join(told)}{mark}")
    return lines
