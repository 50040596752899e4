"""Records of benchmarks: written, read again, compared; what is no record is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benches.record import compare, read, write

from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ROWS: list[dict[str, object]] = [
    {"row": "decide", "library": "ours", "median_ns": 100.0, "least_ns": 90.0, "ratio": 1.0},
    {"row": "decide", "library": "theirs", "median_ns": 300.0, "least_ns": 290.0, "ratio": 3.0},
    {"row": "core", "library": "ours", "instructions": 1_000},
]


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write(ROWS, tmp_path / "new", "scalar", "So.")
    rows = read(path)
    assert set(rows) == {("decide", "ours"), ("decide", "theirs"), ("core", "ours")}
    assert rows["decide", "theirs"]["ratio"] == "3.0"
    assert rows["core", "ours"]["median_ns"] == ""
    table = path.with_suffix(".md").read_text()
    assert "| decide | theirs | 300 | 290 | 3.0 |  |  |  |" in table
    assert "| core | ours |  |  |  | 1,000 |  |  |" in table
    assert "level scalar" in table


def test_what_moved_is_marked(tmp_path: Path) -> None:
    first = write(ROWS, tmp_path / "a", "scalar", "")
    slower = [dict(row) for row in ROWS]
    slower[0] |= {"median_ns": 500.0}  # the machine was busy: no ratio moved
    slower[1] |= {"ratio": 2.5}
    slower[2] |= {"instructions": 1_050}
    slower.append({"row": "new", "library": "ours", "ratio": 1.0})
    second = write(slower, tmp_path / "b", "scalar", "")
    assert compare(first, second) == [
        f"only in {second}: new / ours",
        "decide / ours: time x5.00, ratio x1.00",
        "decide / theirs: time x1.00, ratio x0.83  <-- over 10%",
        "core / ours: instructions x1.05",
    ]


def test_records_of_the_repository_can_be_compared() -> None:
    records = sorted((ROOT / "benches" / "record").glob("*-speed.csv"))
    assert records
    for record in records:
        assert compare(record, record)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00"])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(SystemExit, match=r"a\.csv: expected a record"):
        read(path)


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^\S*none\.csv: cannot be read: .*No such file"):
        compare(tmp_path / "none.csv", tmp_path / "none.csv")
