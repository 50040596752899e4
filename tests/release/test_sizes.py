"""What is counted of an environment and of a wheel.

Not here: installing, which takes minutes and a network (`make sizes`).
"""

from __future__ import annotations

import py_compile
import zipfile
from pathlib import Path

import pytest
from release.sizes import (
    OLD,
    Part,
    Size,
    installed_sizes,
    page_of,
    repeated,
    total,
    wheel_parts,
)
from release.targets import wheel_of_this_machine
from release.tools import Fault

NAME = "hypernova_router-0.2.0-cp311-abi3-manylinux_2_17_{}.whl"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A `site-packages` with two distributions, a command, and a file of nobody."""
    folder = tmp_path / "lib" / "site-packages"
    files = {
        "one/__init__.py": "a = 1\n" * 50,
        "one/data.bin": "x" * 1000,
        "two.py": "b = 2\n",
        "nobody.txt": "12345",
        "../../bin/one": "#!python\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, record in {
        "one": "one/__init__.py,,\none/data.bin,,\n../../bin/one,,\n",
        "two": "two.py,,\n",
    }.items():
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{record}{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
    return folder


def test_each_file_counts_once_for_the_package_that_brings_it(packages: Path) -> None:
    before = installed_sizes(packages)
    assert set(before) == {"one 1.0", "two 1.0", "of no package"}
    assert before["of no package"] == Size(5, 0)
    info = sum(path.stat().st_size for path in (packages / "one-1.0.dist-info").iterdir())
    assert before["one 1.0"] == Size(300 + 1000 + 9 + info, 0)
    everything = [path for path in packages.parents[1].rglob("*") if path.is_file()]
    assert total(before).bytes == sum(path.stat().st_size for path in everything)
    compiled = Path(py_compile.compile(str(packages / "one/__init__.py")) or "")
    assert compiled.parent.name == "__pycache__"
    after = installed_sizes(packages)
    size = compiled.stat().st_size
    assert after["one 1.0"] == before["one 1.0"] + Size(size, size)
    assert after["one 1.0"].sources == before["one 1.0"].sources
    assert {**after, "one 1.0": 0} == {**before, "one 1.0": 0}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / NAME.format("x86_64")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("hypernova/bundled/a/model.onnx", bytes(range(256)) * 40)
        archive.writestr("hypernova/bundled/a/tokenizer.json", "t" * 500)
        archive.writestr("hypernova/bundled/b/tokenizer.json", "t" * 500)
        archive.writestr("hypernova/__init__.py", "x" * 70)
        archive.writestr("hypernova/_core.pyi", "x" * 30)
    return path


def test_the_parts_of_a_wheel_are_all_of_it(wheel: Path) -> None:
    parts = wheel_parts(wheel, most=2)
    assert [(part.name, part.unpacked) for part in parts] == [
        ("hypernova/bundled/a/model.onnx", 10240),
        ("hypernova/bundled/a/tokenizer.json", 500),
        ("2 files of Python", 100),
        ("1 others", 500),
    ]
    with zipfile.ZipFile(wheel) as archive:
        packed = sum(info.compress_size for info in archive.infolist())
    assert sum(part.packed for part in parts) == packed
    assert isinstance(parts[0], Part)


def test_files_of_the_same_bytes_are_found(wheel: Path) -> None:
    (found,) = repeated(wheel)
    assert found[0] == tuple(f"hypernova/bundled/{x}/tokenizer.json" for x in "ab")
    assert found[1] == 500


def test_the_wheel_is_that_of_this_machine(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME.format("s390x")).touch()
    monkeypatch.setattr("release.targets._machine", lambda: "x86_64")
    assert wheel_of_this_machine(tmp_path) == wheel
    (tmp_path / NAME.format("x86_64").replace("_17", "_34")).touch()
    with pytest.raises(Fault, match="2 wheels for x86_64, expected one: make dist"):
        wheel_of_this_machine(tmp_path)


def test_the_page_compares_with_the_dependencies_of_old(wheel: Path) -> None:
    own, numpy = {"hypernova-router 0.2.0": Size(50_000_000, 1_000_000)}, {"numpy 2": Size(10**7)}
    old = {**numpy, "onnxruntime 1": Size(6 * 10**7, 10**7), "tiny 1": Size(1000)}
    page = page_of(wheel, "Python 3.11", {"base": own | numpy, OLD: old})
    assert "| base | 2 | 60.0 | 59.0 | 120.0 | 109.0 | 60.0 |" in page
    assert "| onnxruntime 1 | 60.0 | 50.0 |  | x |" in page
    assert "| 1 of less than 0.5 MB | 0.0 | 0.0 | 0 | 1 |" in page
    assert any("of 120.0 MB became one of 60.0" in line for line in page)
