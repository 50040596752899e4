"""What every test shares: the same random examples in each run, and the folder of sample data.

Not here: fixtures of one test module.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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

ROOT = Path(__file__).resolve().parent.parent


def pytest_sessionstart() -> None:
    """Make sure that a test of the wheel tests the wheel, not this folder."""
    import hypernova

    if "HYPERNOVA_INSTALLED" in os.environ and ROOT / "python" in Path(hypernova.__file__).parents:
        pytest.exit(f"{hypernova.__file__} is no installed package", returncode=1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder ``shared``: HYPERNOVA_SHARED, or the one beside the repository."""
    beside = ROOT.parent / "shared"
    folder = Path(os.environ.get("HYPERNOVA_SHARED") or beside)
    if not folder.is_dir():
        pytest.skip(f"no sample data: {folder} is missing; set HYPERNOVA_SHARED to its place")
    return folder
