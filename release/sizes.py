"""Measure the wheel and installations of it, by package: ``python -m release.sizes``.

    python -m release.sizes [--dist dist] [--python PYTHON] [-o benches/record]

Each installation is a new environment without pip, into which pip installs the wheel of `dist/` for
this machine and what it depends on. Beside it stands what the same would take with the dependencies
of version 0.1.0, which needed `OLD_REQUIREMENTS` always.

Not here: limits, and the memory of a process (``benches.processes``).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import zipfile
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from benches.record import processor, source_state, write_page

from .targets import wheel_of_this_machine
from .tools import ROOT, command, run, say

COMMAND = "make sizes"
NAME = "hypernova-router"
OLD = "dependencies of 0.1.0"
OLD_REQUIREMENTS = ("numpy>=1.26", "onnxruntime>=1.20", "tokenizers>=0.20,<1")
EXTRAS = ("onnx", "server", "train")
# Smaller ones are a row together.
SMALL = 500_000
PARTS = 10


class Size(NamedTuple):
    """Bytes of files, and those of them that are bytecode in ``__pycache__``."""

    bytes: int = 0
    bytecode: int = 0

    def __add__(self, other: object) -> Size:
        assert isinstance(other, Size)
        return Size(self.bytes + other.bytes, self.bytecode + other.bytecode)

    @property
    def sources(self) -> int:
        """The bytes that are no bytecode."""
        return self.bytes - self.bytecode


class Part(NamedTuple):
    """A file of a wheel, or several together."""

    name: str
    packed: int
    unpacked: int


def wheel_parts(wheel: Path, most: int = PARTS) -> list[Part]:
    """Return the largest files of a wheel, all Python sources as one, and the rest as one."""
    with zipfile.ZipFile(wheel) as archive:
        files = [Part(i.filename, i.compress_size, i.file_size) for i in archive.infolist()]
    sources = [part for part in files if part.name.endswith((".py", ".pyi"))]
    others = sorted((p for p in files if p not in sources), key=lambda p: (-p.unpacked, p.name))
    parts = [*others[:most], _together(f"{len(sources)} files of Python", sources)]
    parts.sort(key=lambda part: (-part.unpacked, part.name))
    return [*parts, _together(f"{len(others[most:])} others", others[most:])]


def repeated(wheel: Path) -> list[tuple[tuple[str, ...], int, int]]:
    """Return files of a wheel with the same bytes: names, bytes of one, and packed ones."""
    same: dict[str, list[zipfile.ZipInfo]] = defaultdict(list)
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if info.file_size:
                same[hashlib.sha256(archive.read(info)).hexdigest()].append(info)
    found = [
        (tuple(sorted(i.filename for i in infos)), infos[0].file_size, infos[0].compress_size)
        for infos in same.values()
        if len(infos) > 1
    ]
    return sorted(found, key=lambda entry: (-entry[1], entry[0]))


def installed_sizes(packages: Path) -> dict[str, Size]:
    """Measure what lies in a ``site-packages``, by distribution and version.

    A file belongs to the distribution whose RECORD names it, also one outside of the folder, as a
    command; bytecode to that of its source.
    """
    owners: dict[Path, str] = {}
    for distribution in metadata.distributions(path=[str(packages)]):
        name = f"{distribution.metadata['Name']} {distribution.version}"
        for file in distribution.files or ():
            owners[Path(os.path.normpath(packages / file))] = name
    sizes: dict[str, Size] = defaultdict(Size)
    paths = {path for path in packages.rglob("*") if path.is_file()} | {*owners}
    for path in sorted(paths):
        if path.is_file() and not path.is_symlink():
            owner = owners.get(path) or owners.get(_source(path)) or "of no package"
            size = path.stat().st_size
            sizes[owner] += Size(size, size if path.parent.name == "__pycache__" else 0)
    return dict(sizes)


def _source(path: Path) -> Path:
    return path.parent.parent / f"{path.name.partition('.')[0]}.py"


def _together(name: str, parts: list[Part]) -> Part:
    return Part(name, sum(part.packed for part in parts), sum(part.unpacked for part in parts))


def total(sizes: dict[str, Size]) -> Size:
    """Add the sizes of packages."""
    return sum(sizes.values(), Size())


def install(python: str, folder: Path, requirements: list[str]) -> dict[str, Size]:
    """Install into a new environment, and measure it.

    Raises:
        Fault: pip failed.
    """
    run([python, "-m", "venv", "--without-pip", folder], cwd=ROOT)
    (packages,) = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
    own = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(own), "install", "--quiet"]
    # A process that runs there would leave bytecode of its own; pip's is what a user has.
    run([*pip, "--disable-pip-version-check", *requirements], cwd=ROOT)
    return installed_sizes(packages)


def page_of(wheel: Path, version: str, measured: dict[str, dict[str, Size]]) -> list[str]:
    """Return the record.

    Args:
        wheel: The wheel that was installed.
        version: Of the Python.
        measured: By installation, `OLD` among them, the size of each package.
    """
    commit, changed = source_state()
    old = measured[OLD]
    lines = [
        "# Sizes",
        "",
        f"`{COMMAND}`, {version}, {processor()}, commit {commit} (sources changed: {changed}), "
        f"{wheel.name}. Bytes of files, 1 MB is a million; a file system takes some percent more. "
        "pip writes `__pycache__` unless it is told not to (`--no-compile`). *With 0.1.0's* is the "
        f"same installation with {', '.join(OLD_REQUIREMENTS)} and what they pull, which that "
        "version needed always.",
        "",
        "| installed | packages | MB | without `__pycache__` | with 0.1.0's "
        "| without their `__pycache__` | less |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, sizes in measured.items():
        if name != OLD:
            now, before = total(sizes), total(old | sizes)
            lines.append(
                f"| {name} | {len(sizes)} | {_mb(now.bytes)} | {_mb(now.sources)} | "
                f"{_mb(before.bytes)} | {_mb(before.sources)} | {_mb(before.bytes - now.bytes)} |"
            )
    return [*lines, *_packages(measured), *_wheel(wheel), *_decisions(wheel, measured)]


def _packages(measured: dict[str, dict[str, Size]]) -> list[str]:
    everywhere = {name: size for sizes in measured.values() for name, size in sizes.items()}
    columns = list(measured)
    lines = ["", "## By package", ""]
    lines.append(f"| package | MB | without `__pycache__` | {' | '.join(columns)} |")
    lines.append(f"| --- | ---: | ---: |{' :---: |' * len(columns)}")
    small = {name for name, size in everywhere.items() if size.bytes < SMALL}
    for name in sorted(everywhere.keys() - small, key=lambda n: (-everywhere[n].bytes, n)):
        size = everywhere[name]
        marks = " | ".join("x" if name in measured[column] else "" for column in columns)
        lines.append(f"| {name} | {_mb(size.bytes)} | {_mb(size.sources)} | {marks} |")
    if small:
        size = total({name: everywhere[name] for name in small})
        numbers = " | ".join(str(len(small & measured[column].keys())) for column in columns)
        title = f"{len(small)} of less than {SMALL / 1e6} MB"
        lines.append(f"| {title} | {_mb(size.bytes)} | {_mb(size.sources)} | {numbers} |")
    return lines


def _wheel(wheel: Path) -> list[str]:
    lines = ["", "## In the wheel", ""]
    lines += ["| part | MB | in the wheel, MB |", "| --- | ---: | ---: |"]
    parts = wheel_parts(wheel)
    packed, unpacked = wheel.stat().st_size, sum(part.unpacked for part in parts)
    lines.append(f"| all | {_mb(unpacked, 2)} | {_mb(packed, 2)} |")
    for name, small, large in parts:
        lines.append(f"| {name} | {_mb(large, 2)} | {_mb(small, 2)} |")
    lines += ["", "The same bytes more than once:", ""]
    for names, size, packed in repeated(wheel):
        each = f"{size:,} bytes each, {packed:,} in the wheel"
        lines.append(f"- {', '.join(f'`{name}`' for name in names)}: {each}")
    return lines


def _decisions(wheel: Path, measured: dict[str, dict[str, Size]]) -> list[str]:
    before = _mb(total(measured[OLD] | measured["base"]).bytes)
    now = _mb(total(measured["base"]).bytes)
    with zipfile.ZipFile(wheel) as archive:
        models = [i for i in archive.infolist() if i.filename.endswith("/model.onnx")]
    size = _mb(sum(info.file_size for info in models))
    return [
        "",
        "## Done about the largest parts",
        "",
        f"- **Dependencies: an installation of {before} MB became one of {now}.** The core runs "
        "the default embedder, so onnxruntime and tokenizers, and what they pull, come with "
        "the extra `onnx` alone. What is left is NumPy, whose vectors the interface takes and "
        "gives.",
        "- **The compiled core** is stripped, and one wheel serves every CPython from 3.11 on.",
        "- **Tests, benchmarks and the sources in Rust** are in the sdist alone.",
        "",
        "## Left as it is",
        "",
        f"- **Models, {size} MB.** Both hold 8-bit numbers with a scale for each row already, "
        "which is why they pack badly. Nothing may be fetched at run time, so a model that is not "
        "in the wheel is one that a user without network lacks. `minilm` in a distribution of its "
        "own would halve the wheel, and be a second release to keep in step, without which "
        "artifacts of it cannot be opened.",
        "- **`tokenizer.json` twice.** A folder of an embedder is whole: it can be copied and "
        "loaded from anywhere, and a wheel holds no links. Sharing one would save 1% of the "
        "installed models, and need a rule where a folder finds its tokenizer.",
        "- **`LICENSE` three times.** A model's folder that is copied alone brings its licence.",
        "- **Bytecode** is pip's, and makes the first start faster.",
    ]


def _mb(size: int, digits: int = 1) -> str:
    return f"{size / 1e6:.{digits}f}"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m release.sizes", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="folder of the wheel")
    parser.add_argument("--python", default=sys.executable, help="makes the environments")
    parser.add_argument("-o", "--output", type=Path, help="folder for the record")
    options = parser.parse_args()

    def work() -> None:
        wheel = wheel_of_this_machine(options.dist)
        version = run([options.python, "-V"], cwd=ROOT).strip()
        wanted = {"base": [str(wheel)]}
        wanted |= {f"[{extra}]": [f"{NAME}[{extra}] @ {wheel.as_uri()}"] for extra in EXTRAS}
        wanted[OLD] = list(OLD_REQUIREMENTS)
        measured = {}
        with tempfile.TemporaryDirectory(prefix="sizes-") as temporary:
            # Bytecode holds the path of its source: names of one length, so that sizes are equal.
            for number, (name, requirements) in enumerate(wanted.items()):
                say(f"installing {name}")
                measured[name] = install(
                    options.python, Path(temporary) / str(number), requirements
                )
        page = page_of(wheel, version, measured)
        print("\n".join(page))
        write_page(page, options.output, source_state()[0], "sizes")

    return command(work)


if __name__ == "__main__":
    sys.exit(main())
