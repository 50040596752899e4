"""Pack the examples that the wheel brings, for `hypernova examples`: `make examples`.

The same files give the same bytes. Not here: unpacking (`hypernova.cli.examples`).
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
ARCHIVE = EXAMPLES.parent / "python" / "hypernova" / "bundled" / "examples.zip"
# What a page's commands read; the programs that use hypernova stay in the repository.
PACKED = ("simulated.jsonl", "mock_evaluation.py", "mock_names.toml", "logs")
# The earliest time that the format can hold.
NO_TIME = (1980, 1, 1, 0, 0, 0)


def packed_files() -> list[Path]:
    """Return the files that are packed, in the order of their names."""
    found = (path for name in PACKED for path in [EXAMPLES / name, *(EXAMPLES / name).rglob("*")])
    return sorted(path for path in found if path.is_file())


def pack(target: Path) -> None:
    """Write the archive."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in packed_files():
            entry = zipfile.ZipInfo(path.relative_to(EXAMPLES).as_posix(), NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def main() -> None:
    """Write the archive at its place in the package."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    pack(ARCHIVE)
    print(f"{ARCHIVE.name}: {len(packed_files())} files, {ARCHIVE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
