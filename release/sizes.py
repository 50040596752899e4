"""Say what a wheel and an installation of it take on disk: ``python -m release.sizes WHEEL``.

The wheel is installed by pip into environments of their own, with each set of extras, and the files
of each distribution are added up, bytecode apart. ``-o FOLDER`` writes the page of the record.

Not here: what is loaded into memory (``benches/processes.py``).
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
import tempfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from benches.record import source_state, write_page  # type: ignore[attr-defined]

from .tools import ROOT, Fault, command, run, say

# Extras, and who installs them so.
INSTALLATIONS = {
    "": "the package alone",
    "onnx": "with `minilm`, or an own model; in 0.1.0 the package required the same libraries",
    "server": "served",
    "train": "fitted",
    "train,server,onnx": "all of these",
}
LARGEST = 8
MB = 1e6


class Installed(NamedTuple):
    """A distribution in an environment.

    Attributes:
        name: Its name and version.
        files: Bytes of its files, without bytecode.
        bytecode: Bytes of what pip has compiled of them.
    """

    name: str
    files: int
    bytecode: int


def installed_with(wheel: Path, extras: str, folder: Path) -> list[Installed]:
    """Install a wheel into a new environment and measure it, the largest distribution first.

    Raises:
        Fault: pip fails.
    """
    venv.EnvBuilder(with_pip=False).create(folder)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = f"{wheel}[{extras}]" if extras else str(wheel)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", wanted], cwd=ROOT)
    places = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
    found = []
    for distribution in metadata.distributions(path=[str(place) for place in places]):
        sizes = {True: 0, False: 0}
        for file in distribution.files or []:
            path = Path(str(distribution.locate_file(file)))
            if path.is_file():
                sizes[path.suffix == ".pyc"] += path.stat().st_size
        name = f"{distribution.name} {distribution.version}"
        found.append(Installed(name, sizes[False], sizes[True]))
    return sorted(found, key=lambda one: -one.files - one.bytecode)


def packed(wheel: Path) -> list[str]:
    """Return a table of the largest files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: -entry.compress_size)
    rest = entries[LARGEST:]
    rows = [
        "| in the wheel | packed MB | unpacked MB |",
        "| --- | ---: | ---: |",
        *(_row(f"`{e.filename}`", e.compress_size, e.file_size) for e in entries[:LARGEST]),
        _row(
            f"{len(rest)} others",
            sum(entry.compress_size for entry in rest),
            sum(entry.file_size for entry in rest),
        ),
    ]
    whole = sum(entry.file_size for entry in entries)
    return [*rows, _row("**all, with the archive's list**", wheel.stat().st_size, whole)]


def _row(name: str, *sizes: int) -> str:
    return f"| {name} | {' | '.join(f'{size / MB:.2f}' for size in sizes)} |"


def by_package(extras: str, found: list[Installed]) -> list[str]:
    """Return a table of what an installation takes."""
    return [
        f"## {'`[' + extras + ']`' if extras else 'Without extras'}: {INSTALLATIONS[extras]}",
        "",
        "| distribution | files MB | bytecode MB |",
        "| --- | ---: | ---: |",
        *(_row(one.name, one.files, one.bytecode) for one in found),
        _row("**all**", sum(one.files for one in found), sum(one.bytecode for one in found)),
        "",
    ]


def measure(wheel: Path, folder: Path | None) -> None:
    """Measure a wheel and its installations, print the tables and write the page."""
    commit, changed = source_state()
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    lines = [
        f"# Sizes on disk, {datetime.date.today()}, commit {commit}",
        "",
        f"`{wheel.name}`; {system}; uncommitted changes: {changed}. Bytes of the files in "
        "millions; each installation by pip into an environment of its own. "
        "`python -m release.sizes`.",
        "",
        *packed(wheel),
        "",
    ]
    tables: list[str] = []
    summary = [
        "| installed | distributions | MB | of it bytecode |",
        "| --- | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory(prefix="sizes-") as made:
        for number, extras in enumerate(INSTALLATIONS):
            say(f"installing {wheel.name}{f'[{extras}]' if extras else ''}")
            found = installed_with(wheel, extras, Path(made) / str(number))
            bytecode = sum(one.bytecode for one in found)
            whole = sum(one.files for one in found) + bytecode
            name = f"`[{extras}]`" if extras else "without extras"
            summary.append(f"| {name} | {len(found)} | {whole / MB:.1f} | {bytecode / MB:.1f} |")
            tables += by_package(extras, found)
    lines += [*summary, "", *tables]
    say("\n".join(lines))
    write_page(lines, folder, commit, "sizes")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m release.sizes", description=__doc__)
    parser.add_argument("wheel", type=Path, help="a wheel for this machine")
    parser.add_argument("-o", type=Path, metavar="FOLDER", help="write the page of the record")
    options = parser.parse_args()

    def work() -> None:
        if not options.wheel.is_file():
            raise Fault(f"{options.wheel}: no such wheel; make wheels builds it")
        measure(options.wheel.resolve(), options.o)

    return command(work)


if __name__ == "__main__":
    sys.exit(main())
