"""Which wheel runs where, and what the list says of it.

Not here: the environments themselves, which take minutes and a network: `make run-wheels`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from release.environments.catalogue import ENVIRONMENTS, named
from release.environments.installed import platforms
from release.environments.selection import GOLDEN
from release.tools import Fault

from hypernova.errors import MissingExtraError
from release import run_wheels
from support.optional_libraries import missing_library
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WHEELS = [
    "hypernova_router-0.2.0-cp311-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "hypernova_router-0.2.0-cp311-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
    "hypernova_router-0.2.0-cp311-abi3-musllinux_1_2_x86_64.whl",
    "hypernova_router-0.2.0-cp314-cp314t-manylinux_2_17_x86_64.whl",
]


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("cp313", 0),
        ("cp315", 0),
        ("old-glibc", 0),
        ("aarch64", 1),
        ("musl-x86_64", 2),
        ("cp314t", 3),
    ],
)
def test_an_environment_gets_the_wheel_of_its_platform(name: str, at: int) -> None:
    assert run_wheels.wheel_for(ENVIRONMENTS[name], WHEELS) == WHEELS[at]


def test_no_wheel_is_said() -> None:
    assert run_wheels.wheel_for(ENVIRONMENTS["musl-aarch64"], WHEELS) == ""


def test_tags_are_those_that_packaging_gives() -> None:
    tags = pytest.importorskip("packaging.tags", reason="tags NOT compared: no packaging")
    libc = subprocess.run(["getconf", "GNU_LIBC_VERSION"], capture_output=True, text=True)
    if libc.returncode:
        pytest.skip("tags NOT compared: the C library is not glibc")
    machine = "x86_64"
    theirs = [t for t in tags.platform_tags() if t.startswith("manylinux")]
    if not theirs or not theirs[0].endswith(machine):
        pytest.skip("tags NOT compared: another processor")
    assert set(platforms(libc.stdout.strip(), machine)) == set(theirs)


def test_musl_and_unknown_libraries() -> None:
    assert platforms("musl 1.2.3", "aarch64") == [
        f"musllinux_1_{minor}_aarch64" for minor in (2, 1, 0)
    ]
    with pytest.raises(Fault, match="no platform tags"):
        platforms("", "x86_64")


def test_a_decision_differs_by_any_bit_but_the_id() -> None:
    one = [{"id": str(n), "model": "a", "ranking": [0.1]} for n in range(3)]
    other = [{"id": "z", "model": "a", "ranking": [0.1]} for n in range(3)]
    assert run_wheels.differences(one, other) == []
    # The next number after 0.1.
    other[2]["ranking"] = [0.10000000000000002]
    (found,) = run_wheels.differences(one, other)
    assert found.startswith("ranking for ")


def test_counts_are_those_of_the_last_line() -> None:
    said = "3 passed in 1s\n..\n12 passed, 3 skipped, 4 deselected in 4.50s\n"
    assert run_wheels.counted(said, 5.4) == "12 passed, 3 skipped in 5 s"
    assert run_wheels.counted("", 1.0) == "no result in 1 s"


def test_a_wheel_that_passed_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_wheels, "DIST", tmp_path)
    monkeypatch.setattr(run_wheels.installed, "BASE", tmp_path)
    environment = ENVIRONMENTS["cp313"]
    (tmp_path / "cp313").mkdir()
    wheel = tmp_path / WHEELS[0]
    wheel.write_bytes(b"one")
    about = ("3.13.0", "glibc 2.36", "x86_64")
    passed = run_wheels.Outcome(environment, wheel.name, about, "same", "1 passed", "2 passed")
    failed = run_wheels.Outcome(environment, wheel.name, about, "failed", faults=["route"])
    absent = run_wheels.Outcome(environment, absent="no CPython")
    for outcome in (failed, absent):
        run_wheels.keep(outcome)
        assert run_wheels.kept(environment) is None
    run_wheels.keep(passed)
    assert run_wheels.kept(environment) == passed
    wheel.write_bytes(b"other")
    assert run_wheels.kept(environment) is None
    wheel.unlink()
    assert run_wheels.kept(environment) is None


def test_the_tests_that_are_named_are_there() -> None:
    paths = {path for e in ENVIRONMENTS.values() for path in (*GOLDEN, *e.tests.paths)}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_an_unknown_environment_is_one_line() -> None:
    with pytest.raises(Fault, match="there is no environment plan9"):
        named(["plan9"])
    done = subprocess.run(
        [sys.executable, "-m", "release.run_wheels", "plan9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"there is no environment plan9; those that there are: .+\n", done.stderr)


@pytest.mark.parametrize(
    ("name", "library"),
    [("pyarrow.parquet", "pyarrow"), ("hypernova.router", None), ("support.tables", None)],
)
def test_only_a_library_may_be_missing(name: str, library: str | None) -> None:
    error = RuntimeError("wrapped")
    error.__cause__ = ModuleNotFoundError("", name=name)
    assert missing_library(error) == library


def test_an_extra_that_is_missing_names_its_libraries() -> None:
    needs = "the embedder 'minilm' needs onnxruntime and tokenizers, which are not installed"
    assert missing_library(MissingExtraError(needs)) == "onnxruntime"
    assert missing_library(MissingExtraError("something else is missing")) is None
