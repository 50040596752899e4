"""The checks of an sdist's and a wheel's files find what is wrong, and nothing in a good one.

Not here: building them, which takes minutes (`make wheels`).
"""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from release.elf import foreign_paths, is_stripped, section_at, sections
from release.reproduce import first_difference

from release import contents

INFO = "hypernova_router-0.2.0.dist-info"
WHEEL = "hypernova_router-0.2.0-cp311-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
LIBRARY = "hypernova/_core.abi3.so"
SDIST = "hypernova_router-0.2.0.tar.gz"
ROOT_IN_SDIST = "hypernova_router-0.2.0"
# As a compiler leaves it in a message of a panic.
MESSAGE = 'const char *message(void) {{ return "{}"; }}\n'

compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="NOT tested: no C compiler")


def library(folder: Path, *flags: str, path: str = "/crates/pyo3/src/buffer.rs") -> bytes:
    source, made = folder / "core.c", folder / "core.so"
    source.write_text(MESSAGE.format(path), encoding="utf-8")
    command = ["cc", "-shared", "-fPIC", *flags, str(source), "-o", str(made)]
    subprocess.run(command, check=True)
    return made.read_bytes()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a wheel, without RECORD."""
    files = {need.format(info=INFO): b"text" for need in contents.WHEEL_NEEDS}
    return files | {LIBRARY: library(tmp_path_factory.mktemp("library"), "-s")}


def record(files: dict[str, bytes]) -> bytes:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{INFO}/RECORD,,", ""]).encode()


def wheel(
    folder: Path,
    files: dict[str, bytes],
    name: str = WHEEL,
    modes: dict[str, int] | None = None,
    times: dict[str, tuple[int, ...]] | None = None,
) -> Path:
    path = folder / name
    if f"{INFO}/RECORD" not in files:
        files = files | {f"{INFO}/RECORD": record(files)}
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in files.items():
            info = zipfile.ZipInfo(file, (times or {}).get(file, (2026, 11, 28, 2, 16, 40)))
            mode = 0o755 if file.endswith(".so") else 0o644
            info.external_attr = (0o100000 | (modes or {}).get(file, mode)) << 16
            archive.writestr(info, data)
    return path


@compiler
class TestWheel:
    def test_a_good_one_has_no_fault(self, good: dict[str, bytes], tmp_path: Path) -> None:
        assert contents.faults(wheel(tmp_path, good)) == []

    @pytest.mark.parametrize(
        ("name", "fault"),
        [
            ("hypernova_router-0.2.0-cp311-cp311-linux_x86_64.whl", "it needs the stable ABI"),
            ("hypernova_router-0.2.0-cp312-abi3-linux_x86_64.whl", "it needs the stable ABI"),
            ("hypernova_router-0.2.0-cp314-cp313t-linux_x86_64.whl", "not cp314-cp314t"),
            ("hypernova-0.2.0-cp311-abi3-linux_x86_64.whl", "the name is not"),
            ("hypernova_router-0.3.0-cp311-abi3-linux_x86_64.whl", "METADATA is missing"),
        ],
    )
    def test_a_wrong_name_or_tag(
        self, good: dict[str, bytes], tmp_path: Path, name: str, fault: str
    ) -> None:
        found = contents.faults(wheel(tmp_path, good, name))
        assert any(fault in line for line in found), found

    def test_a_free_threaded_one_is_no_abi3_and_good(
        self, good: dict[str, bytes], tmp_path: Path
    ) -> None:
        files = {k.replace("abi3", "cpython-314t-x86_64-linux-gnu"): v for k, v in good.items()}
        name = "hypernova_router-0.2.0-cp314-cp314t-manylinux_2_17_x86_64.whl"
        assert contents.faults(wheel(tmp_path, files, name)) == []

    @pytest.mark.parametrize("lacking", [*contents.WHEEL_NEEDS, LIBRARY])
    def test_a_file_is_missing(self, good: dict[str, bytes], tmp_path: Path, lacking: str) -> None:
        lacking = lacking.format(info=INFO)
        files = {name: data for name, data in good.items() if name != lacking}
        found = contents.faults(wheel(tmp_path, files))
        assert len(found) == 1 + (lacking == LIBRARY)
        assert Path(lacking).name in found[0] or "none, not" in found[0]

    @pytest.mark.parametrize(
        ("more", "fault"),
        [
            ("hypernova/__pycache__/x.cpython-311.pyc", "is made by a tool"),
            ("hypernova/x.pyc", "is made by a tool"),
            ("hypernova/tests/x.py", "is a test"),
            ("hypernova/test_x.py", "is a test"),
            ("tests/x.txt", "is neither in hypernova/ nor in "),
            ("hypernova/../x.py", "leads out of the archive"),
            ("hypernova/_core.cpython-311-x86_64-linux-gnu.so", "2 libraries"),
            ("hypernova/libgomp.so", "2 libraries"),
        ],
    )
    def test_a_file_too_many(
        self, good: dict[str, bytes], tmp_path: Path, more: str, fault: str
    ) -> None:
        found = contents.faults(wheel(tmp_path, good | {more: b"text"}))
        assert any(fault in line for line in found), found

    def test_a_library_with_symbols(self, good: dict[str, bytes], tmp_path: Path) -> None:
        made = library(tmp_path)
        assert contents.faults(wheel(tmp_path, good | {LIBRARY: made})) == [
            f"{WHEEL}: {LIBRARY} is not stripped"
        ]

    @pytest.mark.parametrize(
        "path",
        [
            "/home/ada/.cargo/registry/src/crates-1/pyo3/src/buffer.rs",
            "/root/project/rust/hypernova-core/src/lib.rs",
            "/Users/ada/src/lib.rs",
            "/opt/x/.cargo/registry/src/y.rs",
            "/tmp/build/src/lib.rs",
        ],
    )
    def test_a_path_of_the_building_machine(
        self, good: dict[str, bytes], tmp_path: Path, path: str
    ) -> None:
        made = library(tmp_path, "-s", path=path)
        found = contents.faults(wheel(tmp_path, good | {LIBRARY: made}))
        assert found == [f"{WHEEL}: {LIBRARY} has a path of the machine that built it: {path}"]
        named = f'{{"bom-ref": "path+file://{path}"}}'.encode()
        (found,) = contents.faults(wheel(tmp_path, good | {f"{INFO}/sboms/x.json": named}))
        assert path in found

    def test_a_wrong_mode_or_time(self, good: dict[str, bytes], tmp_path: Path) -> None:
        path = wheel(tmp_path, good, modes={"hypernova/py.typed": 0o600, LIBRARY: 0o644})
        assert contents.faults(path) == [
            f"{WHEEL}: hypernova/py.typed has mode 600, not 644",
            f"{WHEEL}: {LIBRARY} has mode 644, not 755",
        ]
        path = wheel(tmp_path, good, times={"hypernova/py.typed": (2020, 1, 1, 0, 0, 0)})
        (found,) = contents.faults(path)
        assert "2 different times" in found

    def test_a_file_that_record_does_not_state(
        self, good: dict[str, bytes], tmp_path: Path
    ) -> None:
        stated = record({**good, "hypernova/gone.py": b""}).replace(b"hypernova/py.typed", b"x")
        changed = good | {"hypernova/_core.pyi": b"changed", f"{INFO}/RECORD": stated}
        assert contents.faults(wheel(tmp_path, changed)) == [
            f"{WHEEL}: hypernova/py.typed is not in RECORD",
            f"{WHEEL}: x is in RECORD, and missing",
            f"{WHEEL}: hypernova/_core.pyi is not the file that RECORD states",
            f"{WHEEL}: hypernova/gone.py is in RECORD, and missing",
        ]

    def test_what_is_no_archive(self, tmp_path: Path) -> None:
        (tmp_path / WHEEL).write_bytes(b"no zip")
        (found,) = contents.faults(tmp_path / WHEEL)
        assert "cannot be read" in found

    def test_the_first_difference_of_two(self, good: dict[str, bytes], tmp_path: Path) -> None:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
        one = wheel(tmp_path / "one", good)
        assert first_difference(one, wheel(tmp_path / "other", good)) == ""
        made = bytearray(good[LIBRARY])
        at = next(s.offset for s in sections(bytes(made)) if s.name == ".rodata") + 3
        made[at] ^= 1
        other = wheel(tmp_path / "other", good | {LIBRARY: bytes(made)})
        assert first_difference(one, other).startswith(f"{LIBRARY} at byte {at:,} in .rodata (")
        other = wheel(tmp_path / "other", good, modes={"hypernova/py.typed": 0o600})
        assert first_difference(one, other).startswith("hypernova/py.typed by its time, mode")
        other = wheel(tmp_path / "other", dict(reversed(good.items())))
        assert first_difference(one, other) == "the order of their files"
        other = wheel(tmp_path / "other", good | {"hypernova/more.py": b""})
        assert first_difference(one, other) == "hypernova/more.py is in one of them only"


@compiler
def test_sections_are_those_that_the_compiler_wrote(tmp_path: Path) -> None:
    """The message stands in the section for constants, at the offset that is stated."""
    for flags, stripped in (("-s",), True), ((), False):
        made = library(tmp_path, *flags)
        assert is_stripped(made) is stripped
        assert section_at(made, made.index(b"/crates/pyo3")) == ".rodata"
        assert section_at(made, 0) == "headers"
    assert sections(b"MZ" + bytes(100)) == []
    assert foreign_paths(b"\0/crates/pyo3/src/lib.rs\0/rustc/598076/library/core/a.rs\0") == []


def sdist(folder: Path, change: dict[str, bytes | None], **member: object) -> Path:
    files: dict[str, bytes | None] = dict.fromkeys(contents.SDIST_NEEDS, b"text")
    with tarfile.open(folder / SDIST, "w:gz") as archive:
        for name, data in (files | change).items():
            if data is None:
                continue
            info = tarfile.TarInfo(f"{ROOT_IN_SDIST}/{name}")
            info.size, info.mode = len(data), 0o644
            if name == "PKG-INFO":
                for key, value in member.items():
                    setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return folder / SDIST


class TestSdist:
    def test_a_good_one_has_no_fault(self, tmp_path: Path) -> None:
        assert contents.faults(sdist(tmp_path, {})) == []

    @pytest.mark.parametrize(
        ("change", "fault"),
        [
            ({"LICENSE": None}, "LICENSE is missing"),
            ({"tests/conftest.py": None}, "tests/conftest.py is missing"),
            ({"python/hypernova/_core.abi3.so": b""}, "is a compiled library"),
            ({"tests/__pycache__/x": b""}, "is made by a tool"),
            ({"../x": b""}, "leads out of the archive"),
        ],
    )
    def test_a_wrong_file(
        self, tmp_path: Path, change: dict[str, bytes | None], fault: str
    ) -> None:
        (found,) = contents.faults(sdist(tmp_path, change))
        assert fault in found

    @pytest.mark.parametrize(
        ("member", "fault"),
        [
            ({"mode": 0o600}, "has mode 600, not 644"),
            ({"uid": 1000}, "belongs to 1000"),
            ({"uname": "ada"}, "belongs to ada"),
            ({"mtime": 1}, "2 different times"),
        ],
    )
    def test_a_wrong_mode_owner_or_time(
        self, tmp_path: Path, member: dict[str, object], fault: str
    ) -> None:
        (found,) = contents.faults(sdist(tmp_path, {}, **member))
        assert fault in found
