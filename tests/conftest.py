"""The environment of all tests: repeatable random examples, the package under test, sample data.

Not here: fixtures of one test module, or functions that tests call (support/).
"""

from __future__ import annotations

import ast
import inspect
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from support import optional_libraries
from support.paths import PACKAGES, ROOT, SHARED
from support.windows_names import MODULES, platforms_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

# Threads of numpy and faiss that share a busy core wait for each other: a test of 9 s took
# 235 s. Read when the libraries load, so before any test imports them.
for library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

settings.register_profile(
    "hypernova",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("hypernova")


def pytest_sessionstart() -> None:
    """Make sure that a test of the wheel tests the wheel, not this folder."""
    if "HYPERNOVA_INSTALLED" in os.environ and PACKAGES == ROOT / "python":
        pytest.exit(f"{PACKAGES}/hypernova is no installed package", returncode=1)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """Collect a module of tests, or skip it where an environment lacks its libraries."""
    return optional_libraries.Module.from_parent(parent, path=module_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Skip a test whose fixtures need a library that an environment lacks."""
    try:
        return (yield)
    except Exception as error:
        optional_libraries.skip_if_missing(error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip a test that needs a library that an environment lacks."""
    try:
        return (yield)
    except Exception as error:
        optional_libraries.skip_if_missing(error)
        raise


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the cases of each test in one order; mark `real_data` on tests that ask for the data.

    Cases may come from a set, and processes that share the tests have to collect the same list.
    """
    first: dict[str, int] = {}
    for at, item in enumerate(items):
        first.setdefault(item.nodeid.partition("[")[0], at)
    items.sort(key=lambda item: (first[item.nodeid.partition("[")[0]], item.nodeid))
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("real_data")
        if sys.platform != "linux" and isinstance(item, pytest.Function):
            _skip_elsewhere(item)


def _skip_elsewhere(item: pytest.Function) -> None:
    """Skip a test that needs what this platform lacks, as its code says."""
    source = inspect.getsource(item.function)
    # A text in it may begin at the margin, so a method is not dedented.
    tree = ast.parse(f"if True:\n{source}" if source.startswith(" ") else source)
    needs = platforms_of(tree)
    if needs == "linux" or (needs == "posix" and sys.platform == "win32"):
        item.add_marker(pytest.mark.skip(reason=f"needs {needs}"))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out a file that imports a module which Windows lacks."""
    if sys.platform == "win32" and collection_path.suffix == ".py":
        tree = ast.parse(collection_path.read_text(encoding="utf-8"))
        imports = [node for node in tree.body if isinstance(node, ast.Import)]
        if any(alias.name in MODULES for node in imports for alias in node.names):
            return True
    return None


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of sample data, or skip the test where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"no sample data: {SHARED} is missing; set HYPERNOVA_SHARED to its place")
    return SHARED
