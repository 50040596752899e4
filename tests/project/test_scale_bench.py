"""The benchmark of large tables: what it does when time or disk does not suffice.

Not here: the tables (test_large_tables.py), and what fitting and routing one gives.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from benches.process_tree import OutOfTimeError, measured
from benches.records import Records
from benches.scale import SIZE_STEP, Clock, Figures

from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_a_command_is_ended_when_its_time_is_over() -> None:
    program = "import subprocess; subprocess.run(['sleep', '60'])"
    with pytest.raises(OutOfTimeError, match=r"ended after \d+ s"):
        measured([sys.executable, "-c", program], limit_s=0.5)


def test_a_size_that_does_not_fit_is_made_smaller() -> None:
    clock = Clock(60.0)
    assert clock.size(10_000_000, None) == 10_000_000
    assert clock.size(10_000_000, (1_000_000, 60.0)) == 10_000_000
    smaller = clock.size(10_000_000, (1_000_000, 600.0))
    assert 4_000_000 < smaller < 5_000_000
    assert smaller % SIZE_STEP == 0
    assert clock.size(10_000_000, (1_000_000, 1e9)) == 0
    assert Clock(None).size(10_000_000, (1_000_000, 1e9)) == 10_000_000


def test_rows_of_sizes_that_are_added() -> None:
    sizes: list[int] = []
    figures = Figures(sizes)
    for tasks in (100, 300):
        sizes.append(tasks)
        figures.widen()
        figures.add(tasks, "time, s", tasks / 100, ".1f", "task")
        if tasks == 100:
            figures.add(tasks, "not done again", 1.0, ".1f", "task")
    assert figures.lines()[2:] == [
        "| time, s | 1.0 | 3.0 | 1.000 a task |",
        "| not done again | 1.0 |  |  |",
    ]


@pytest.mark.slow
def test_a_size_for_which_the_disk_lacks_space_is_refused_at_once(tmp_path: Path) -> None:
    done = _scale(tmp_path, "2000", "900000000", "--limit", "1.5")
    assert done.returncode == 1
    assert "900,000,000 tasks need about" in done.stderr
    assert "name another --folder" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_command_ends_with_the_time_and_the_record_says_so(tmp_path: Path) -> None:
    """Three seconds do not suffice for the fit of so many tasks on any machine."""
    done = _scale(tmp_path, "400000", "--limit", "0.05")
    assert done.returncode == 0, done.stderr
    record = Records(tmp_path / "out").latest("scale")
    assert record is not None
    assert "a command was not done and was ended after" in record.text
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def _scale(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    places = ["--files", "2", "--folder", str(folder), "-o", str(folder / "out")]
    command = ["-m", "benches.scale", "--no-vectors", *places, "--tasks", *arguments]
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
