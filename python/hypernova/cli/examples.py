"""`hypernova examples`: write the example outcomes and logs that the pages use.

Not here: their content, which is that of `examples/` in the repository.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.errors import WriteError
from hypernova.paths import make_folder, path_label, write_file

if TYPE_CHECKING:
    import argparse

    from hypernova.cli.arguments import Commands

ARCHIVE = Path(__file__).parent.parent / "bundled" / "examples.zip"


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "examples",
        description="Write example outcomes and logs of evaluation tools. All are made up: "
        "they show how hypernova is used, and say nothing about any real model.",
    )
    parser.add_argument(
        "folder", nargs="?", default="examples", metavar="FOLDER", help="by default ./examples"
    )
    parser.set_defaults(run=_write)


def _write(arguments: argparse.Namespace) -> None:
    folder = make_folder(arguments.folder)
    with zipfile.ZipFile(ARCHIVE) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    changed = [name for name, content in contents.items() if _is_other(folder / name, content)]
    if changed:
        raise WriteError(
            f"{path_label(folder / changed[0])}: has other content than the example, and would be "
            "overwritten; name another folder"
        )
    for name, content in contents.items():
        target = folder / name
        if not target.exists():
            make_folder(target.parent)
            write_file(target, content)
    print(f"{path_label(folder)}: {len(contents)} files of examples")
    print("next, measure on held-out tasks whether routing is worth it:")
    print(f"  hypernova evaluate {path_label(folder / 'simulated.jsonl')}")


def _is_other(path: Path, content: bytes) -> bool:
    return path.exists() and not (path.is_file() and path.read_bytes() == content)
