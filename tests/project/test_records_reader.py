"""Figures read from records: tables of Markdown, CSV, units, and what is not there.

Not here: the page of a version's figures (test_release_record.py).
"""

from __future__ import annotations

import pytest
from benches.records import FOLDER, RecordError, Records, plain, tables_of, value_of
from hypothesis import given
from hypothesis import strategies as st

PAGE = """\
# A title with `code`

Made by `python -m benches.few_tasks`, AMD EPYC, 2 cores, Python 3.11.7.

| **row** | now | 99% |
| --- | ---: | :---: |
| `one` | 5.22 us | 34.16 us |
| one \\| two | 1,234 | -0.5 (0.25) |

## Part *B*

```text
| no | table |
| --- | --- |
```

| row | now |
|:--|--:|
| one |  |
not a row
| neither | this |

| row | more |
| --- | --- |
| other | +1.5 points |
"""


def test_tables_are_read_with_their_headings() -> None:
    first, second, third = tables_of(PAGE)
    assert first.head == ("row", "now", "99%")
    assert first.rows == (("one", "5.22 us", "34.16 us"), ("one | two", "1,234", "-0.5 (0.25)"))
    assert first.section == "A title with code"
    assert (second.section, second.rows) == ("Part B", (("one", ""),))
    assert third.cell("other", "more") == "+1.5 points"


def test_rows_of_one_name_are_told_apart_by_their_second_cell() -> None:
    (table,) = tables_of(
        "| a | b | c |\n| - | - | - |\n| x | 1 | y |\n| x | 2 | z |\n| p / q | 3 | w |"
    )
    assert table.cell("x / 2", "c") == "z"
    assert table.cell("p / q", "c") == "w"
    with pytest.raises(RecordError, match="2 times a row 'x'"):
        table.cell("x", "c")


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(RecordError, match="line 3: 1 cells below 2 heads"):
        tables_of("| a | b |\n| --- | --- |\n| 1 |\n")


CELLS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1).filter(
    lambda text: not set(text) & set("|`*\\#") and text.strip("-: ")
)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5))
def test_what_is_written_is_read(rows: list[list[str]]) -> None:
    lines = ["| a | b |", "| --- | ---: |", *(f"| {x} | {y} |" for x, y in rows)]
    (table,) = tables_of("\n".join(lines))
    assert [list(row) for row in table.rows] == [[plain(x), plain(y)] for x, y in rows]


@pytest.mark.parametrize(
    ("cell", "nth", "number", "unit"),
    [
        ("5.22 us", 0, 5.22, "us"),
        ("11 ms, 12 ms", 1, 12.0, "ms"),
        ("+3.6 (+2.7 to +4.6)", 2, 4.6, ""),
        ("-0.03", 0, -0.03, ""),
        ("222,111", 0, 222111.0, ""),
        ("105 MiB", 0, 105.0, "MiB"),
        ("18.5%", 0, 18.5, "%"),
        ("2 of 422", 1, 422.0, ""),
        ("5 models", 0, 5.0, ""),
        ("1e-06", 0, 1e-6, ""),
    ],
)
def test_numbers_of_a_cell(cell: str, nth: int, number: float, unit: str) -> None:
    value = value_of(cell, nth)
    assert (value.number, value.unit, value.cell) == (number, unit, cell)


def test_figures_of_this_repository() -> None:
    """Records that stay: their figures are those that a reader sees."""
    records = Records(FOLDER)
    found = {record.path.name: record for record in records.all()}
    text = found["2026-11-27-ab4b7c6-text-versions.md"]
    assert (text.date, text.commit, text.kind) == ("2026-11-27", "ab4b7c6", "text-versions")
    assert text.value("route, 200 tokens", "now").number == 35.27
    assert text.value("route, 200", 1).unit == "us"
    speed = found["2026-11-27-f4ee8bc-speed.md"]
    assert speed.value("decide 100x384 / numpy", "ratio").number == 4.213
    assert speed.value("decide 100x384 / hypernova", "median_ns").unit == "ns"
    models = found["2026-11-27-859a067-many-models.md"]
    figure = models.value("5 best", "best single", section="mmlu_pro, 500 tasks")
    assert figure.number == 70.3
    assert found["2026-11-27-f8086de-quality.md"].machine == "AMD EPYC, 2 cores"
    assert text.command == "python -m benches.text_versions"


def test_all_tables_of_this_repository_can_be_read() -> None:
    for record in Records(FOLDER).all():
        for table in record.tables:
            assert table.rows, record.path.name


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("route, 201 tokens", "now", "0 times a row 'route, 201 tokens'"),
        ("route", "now", "times a row 'route'"),
        ("route, 200", "no such", "0 times a column 'no such'"),
        ("route, 200", "99%", "2 times a column '99%'"),
        ("route, 200", 9, "no column 9"),
    ],
)
def test_what_is_not_there_once_is_named(row: str, column: str | int, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        Records(FOLDER).value("text-versions", row, column)
    with pytest.raises(RecordError, match="no record of kind ghost"):
        Records(FOLDER).value("ghost", row, column)


def test_the_latest_of_a_kind_is_by_its_date(tmp_path) -> None:
    for name in ("2026-01-02-aaaaaaa-few.md", "2026-01-01-fffffff-few.md", "notes.md"):
        (tmp_path / name).write_text(f"| a | b |\n| - | - |\n| {len(name)} | 1 |\n")
    latest = Records(tmp_path).latest("few")
    assert latest is not None
    assert latest.commit == "aaaaaaa"
    assert Records(tmp_path).latest("none") is None
