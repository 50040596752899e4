"""A scan refuses what `read` refuses, in the same words, and names the file and row among many.

Not here: tables that are well (test_scan).
"""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypernova.errors import NotFoundError, TableError
from hypernova.table import OutcomeTable
from support.scanned import assert_scan_refused, chunks_of
from support.tables import (
    HEADER,
    LONG,
    TASK,
    assert_one_line,
    csv_file,
    folder,
    jsonl,
    long_parquet,
    parquet,
)

if TYPE_CHECKING:
    from pathlib import Path

# Each as `read` has it: the same file, given to both.
CSV_FAULTS = [
    ("t,one,,a,1.2,,", "t,one,,b,1,,"),
    ("t,one,,a,1,-3,", "t,one,,b,1,,"),
    ("t,one,,a,1,,", "t,two,,b,1,,"),
    ("t,one,g,a,1,,", "t,one,h,b,1,,"),
    ("t,one,,a,1,,", "t,one,,a,2,,", "t,one,,b,0,,"),
    ("t, ,,a,1,,", "t, ,,b,1,,"),
    ("t,one,,a,1,,",),
    ("t,one,,a,x,,", "t,one,,b,1,,"),
    ("t,one,,a,1", "t,one,,b,1,,"),
    ("t,one,, a,1,,", "t,one,,b,1,,"),
    ("t,one,,a,1,,", "t,one,,a\u0301,1,,", "t,one,,\u00e1,1,,"),
    (" ,one,,a,1,,", " ,one,,b,1,,"),
    ('t,"one,,a,1,,',),
    (),
]


@pytest.mark.parametrize("rows", CSV_FAULTS, ids=range(len(CSV_FAULTS)))
def test_a_fault_of_csv_is_told_as_read_tells_it(rows: tuple[str, ...], tmp_path) -> None:
    path = csv_file(tmp_path, HEADER, *rows)
    assert_told_alike(path)


JSON_FAULTS: list[Any] = [
    {**TASK, "prompt": " "},
    {**TASK, "prompt": "\ud800"},
    {**TASK, "task_id": 1.5},
    {**TASK, "outcomes": {"a": 2, "b": 0}},
    {**TASK, "outcomes": {"a": {"cost_usd": 2}, "b": 0}},
    {**TASK, "outcomes": [1]},
    {**TASK, "outcomes": {"a": 1}},
    {**TASK, "outcomes": {}},
    {**TASK, "embedding": [0, 0]},
    {**TASK, "embedding": ["x"]},
    {"task_id": "t"},
    "[",
    "7",
]


@pytest.mark.parametrize("row", JSON_FAULTS, ids=range(len(JSON_FAULTS)))
def test_a_fault_of_json_is_told_as_read_tells_it(row: Any, tmp_path) -> None:
    assert_told_alike(jsonl(tmp_path, row))


PARQUET_FAULTS: list[dict[str, Any]] = [
    {"score": [1.0, 0.0, 1.5, 1.0]},
    {"score": [1.0, None, 0.5, 1.0]},
    {"score": ["1", "0", "1", "1"]},
    {"prompt": ["one", "other", "two", "two"]},
    {"prompt": [1, 1, 2, 2]},
    {"model": ["a", "a", "a", "a"], "score": [1.0, 1.0, 1.0, 1.0]},
    {"model": ["a", None, "a", "b"]},
    {"task_id": [1.0, 1.0, 2.0, 2.0]},
    {"cost_usd": [1.0, float("inf"), None, 2.0]},
    {"embedding": [[1.0], [1.0], [2.0, 1.0], [2.0, 1.0]]},
    {"embedding": [[1.0], [2.0], [2.0], [2.0]]},
    {"embedding": [[1.0], None, [2.0], [2.0]]},
    {"embedding": [[float("nan")], [float("nan")], [2.0], [2.0]]},
    {"score": None},
    {key: [] for key in LONG},
]


@pytest.mark.parametrize("changes", PARQUET_FAULTS, ids=range(len(PARQUET_FAULTS)))
def test_a_fault_of_parquet_is_told_as_read_tells_it(changes: dict[str, Any], tmp_path) -> None:
    if changes.get("task_id") == []:
        changes = {key: pa.array([], pa.string()) for key in changes}
        changes["score"] = pa.array([], pa.float64())
    assert_told_alike(long_parquet(tmp_path, **changes))


FOLDER_FAULTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"task_id": ["t0", "t0"]}, {"task_id": ["t0"] * 4, "score": [1.0, 0.0, 1.0, 0.0]}),
    ({"prompt": ["one", ""]}, {}),
    ({"prompt": ["one", None]}, {}),
    ({"embedding": [[1.0], [1.0, 2.0]]}, {}),
    ({"embedding": [[1.0], None]}, {}),
    ({}, {"score": [1.0, 0.0, 0.5, 2.0]}),
    ({}, {"model": ["a", "b", "a", "b "]}),
    ({"task_id": pa.array([], pa.string()), "prompt": pa.array([], pa.string())}, {}),
    (
        {},
        {
            "task_id": pa.array([], pa.string()),
            "model": pa.array([], pa.string()),
            "score": pa.array([], pa.float64()),
        },
    ),
]


@pytest.mark.parametrize(("tasks", "outcomes"), FOLDER_FAULTS, ids=range(len(FOLDER_FAULTS)))
def test_a_fault_of_a_folder_is_told_as_read_tells_it(tasks, outcomes, tmp_path) -> None:
    assert_told_alike(folder(tmp_path, tasks, outcomes))


def assert_told_alike(path: Path) -> None:
    with pytest.raises(TableError) as read:
        OutcomeTable.read(path)
    for size in (1, 8192):
        with chunks_of(size), pytest.raises(TableError) as scanned:
            OutcomeTable.scan(path)
        assert str(scanned.value) == str(read.value)


@pytest.mark.parametrize("shuffled", [False, True])
def test_an_outcome_whose_task_is_nowhere_is_named(shuffled: bool, tmp_path) -> None:
    """Without DuckDB, too, which such a table would not need otherwise."""
    ids = ["t1", "t9", "t0", "t1"] if shuffled else ["t0", "t0", "t1", "t9"]
    path = folder(tmp_path, {}, {"task_id": ids})
    assert_told_alike(path)
    (path / "outcomes").mkdir()
    for number, half in enumerate((ids[:2], ids[2:])):
        columns = {"task_id": half, "model": ["a", "b"], "score": [1.0, 0.0]}
        parquet(path / "outcomes" / f"{number}.parquet", columns)
    (path / "outcomes.parquet").unlink()
    file = "0.parquet" if shuffled else "1.parquet"
    assert_scan_refused(path, f"{file}, row 2, column 'task_id'", "'t9', which is not in tasks.pa")


def nested_row(task_id: object, **changes: Any) -> dict[str, Any]:
    return {"task_id": task_id, "prompt": "p", "outcomes": [{"model": "a", "score": 1.0},
            {"model": "b", "score": 0.0}], **changes}  # fmt: skip


def nested_file(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


@pytest.mark.parametrize("size", [2, 8192])
@pytest.mark.parametrize("form", ["nested.parquet", "jsonl", "jsonl.gz", "apart"])
def test_a_task_that_comes_again_in_another_file_is_named_with_both(
    form: str, size: int, tmp_path
) -> None:
    at = tmp_path / "data"
    ids = [["t0", "t1", "t2"], ["t3"], ["t4", "t1"]]
    for number, names in enumerate(ids):
        if form == "nested.parquet":
            nested_file(at / f"{number}.parquet", *map(nested_row, names))
        elif form == "apart":
            parquet(at / f"{number}.parquet", {"task_id": names, "prompt": names})
        else:
            at.mkdir(exist_ok=True)
            lines = "".join(json.dumps({**TASK, "task_id": name}) + "\n" for name in names)
            content = lines.encode()
            (at / f"{number}.{form}").write_bytes(
                gzip.compress(content) if form.endswith("gz") else content
            )
    if form == "apart":
        at.rename(tmp_path / "tasks")
        at.mkdir()
        (tmp_path / "tasks").rename(at / "tasks")
        names = [name for file in ids for name in file]
        columns = {"task_id": names, "model": ["a"] * 6, "score": [1.0] * 6}
        parquet(at / "outcomes.parquet", columns)
        form = "parquet"
    suffix = form.removeprefix("nested.")
    unit = "row" if suffix == "parquet" else "line"
    with chunks_of(size):
        assert_scan_refused(
            at, f"2.{suffix}, {unit} 2, column 'task_id'", f"0.{suffix}, {unit} 2 has already"
        )


def test_two_rows_of_a_task_in_two_files_must_agree(tmp_path) -> None:
    pytest.importorskip("duckdb")
    at = tmp_path / "data"
    at.mkdir()
    csv_file(at, HEADER, "t0,one,,a,1,,", "t1,two,,a,1,,", name="1.csv")
    csv_file(at, HEADER, "t0,one,,b,1,,", "t1,three,,b,1,,", name="2.csv")
    assert_scan_refused(at, "2.csv, line 3, column 'prompt'", "1.csv, line 3 has 'two'")
    csv_file(at, HEADER, "t0,one,,b,1,,", "t1,two,,b,1,,", "t0,one,,a,2,,", name="2.csv")
    assert_scan_refused(at, "2.csv, line 4, column 'score'", "found 2.0")


def test_a_column_of_another_type_in_a_late_file_is_refused_before_any_row(tmp_path) -> None:
    at = tmp_path / "data"
    for number in range(700):
        columns: dict[str, Any] = {**LONG, "score": [2.0] * 4}  # wrong, and never looked at
        if number == 699:
            columns["score"] = ["1", "0", "1", "0"]
        parquet(at / f"part-{number}.parquet", columns)
    message = assert_scan_refused(at, "part-699.parquet, column 'score'", "string", "double")
    assert "part-0.parquet" in message


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("task_id", 7),
        ("prompt", 7),
        ("group", 7.5),
        ("embedding", ["x"]),
        ("embedding", 7),
        ("outcomes", "a"),
        ("outcomes", [{"model": "a"}]),
        ("outcomes", [{"model": "a", "score": "1"}]),
    ],
)
def test_a_nested_column_of_another_type_is_refused(column: str, value: Any, tmp_path) -> None:
    row = nested_row("t0", group="g", embedding=[1.0])
    nested_file(tmp_path / "data" / "1.parquet", row)
    nested_file(tmp_path / "data" / "2.parquet", {**row, "task_id": "t1", column: value})
    message = assert_scan_refused(tmp_path / "data", "2.parquet, column ", "type")
    assert f"column {column!r}" in message or "'score'" in message


@pytest.mark.parametrize(
    "outcomes",
    [
        pa.array([[{"model": None, "score": 1.0}]]),
        pa.array(
            [[{"model": "a", "score": None}]],
            pa.list_(pa.struct([("model", pa.string()), ("score", pa.float64())])),
        ),
        pa.array([[("a", None)]], pa.map_(pa.string(), pa.float64())),
        pa.array(
            [{"a": {"score": None, "cost_usd": 1.0}}],
            pa.struct([("a", pa.struct([("score", pa.float64()), ("cost_usd", pa.float64())]))]),
        ),
    ],
    ids=["model", "list", "map", "struct"],
)
def test_a_nested_score_that_is_null_is_refused(outcomes: pa.Array, tmp_path) -> None:
    columns = {"task_id": ["t0"], "prompt": ["one"], "outcomes": outcomes}
    path = parquet(tmp_path / "t.parquet", columns)
    assert_scan_refused(path, "t.parquet, row 1, column ", "found null")


def test_a_parquet_file_that_is_cut_short_is_named(tmp_path) -> None:
    at = tmp_path / "data"
    for number in range(3):
        rows = [nested_row(f"t{number}-{i}", prompt=f"{i} " * 50) for i in range(500)]
        nested_file(at / f"{number}.parquet", *rows)
    whole = (at / "1.parquet").read_bytes()
    for size in (0, 3, 20, len(whole) // 2, len(whole) - 1):
        (at / "1.parquet").write_bytes(whole[:size])
        assert_scan_refused(at, "1.parquet: is not a readable Parquet file")
    # A page that is damaged, under a footer that is whole.
    (at / "1.parquet").write_bytes(whole[:200] + bytes(2000) + whole[2200:])
    assert_scan_refused(at, "1.parquet")


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.csv.gz"])
def test_a_packed_file_that_is_cut_short_is_named(name: str, tmp_path) -> None:
    if "jsonl" in name:
        content = "".join(json.dumps({**TASK, "task_id": i}) + "\n" for i in range(999)).encode()
    else:
        content = "\n".join([HEADER, *(f"t{i},p,,a,1,," for i in range(999))]).encode()
    packed = gzip.compress(content)
    (tmp_path / name).write_bytes(packed[: len(packed) // 2])
    assert_scan_refused(tmp_path / name, name, "is not a readable gzip file")


def test_vectors_of_two_lengths_in_two_files_are_refused(tmp_path) -> None:
    at = tmp_path / "data"
    nested_file(at / "1.parquet", nested_row("t0", embedding=[1.0]))
    nested_file(at / "2.parquet", nested_row("t1", embedding=[1.0, 2.0]))
    for size in (1, 8192):
        with chunks_of(size):
            assert_scan_refused(at, "2.parquet, row 1", "of 2 numbers, but ", "1.parquet, row 1")
    nested_file(at / "1.parquet", nested_row("t0"))
    for size in (1, 8192):
        with chunks_of(size):
            assert_scan_refused(at, "1.parquet, row 1", "no vector, but ", "2.parquet, row 1")


def test_files_that_are_no_table_are_refused(tmp_path) -> None:
    at = tmp_path / "data"
    at.mkdir()
    assert_scan_refused(at, "holds no files")
    jsonl(at, TASK, name="1.jsonl")
    (at / "README.md").write_text("notes")
    assert_scan_refused(at, "README.md", "pattern")
    (at / "README.md").unlink()
    csv_file(at, HEADER, name="2.csv")
    assert_scan_refused(at, "2.csv: is of another format than", "1.jsonl")
    (at / "2.csv").unlink()
    (at / "more").mkdir()
    assert_scan_refused(at, "more: is a folder", "**")
    (at / "more").rmdir()
    (at / "tasks").mkdir()
    assert_scan_refused(at, "lacks outcomes")
    for path in (tmp_path / "none", str(tmp_path / "none" / "*.csv")):
        with pytest.raises(NotFoundError, match="none"):
            OutcomeTable.scan(path)
    with pytest.raises(NotFoundError, match="scratch"):
        OutcomeTable.scan(at, scratch=tmp_path / "scratch")


def test_a_header_that_is_wrong_in_a_late_file_is_refused_before_any_row(tmp_path) -> None:
    at = tmp_path / "data"
    at.mkdir()
    csv_file(at, HEADER, "t,one,,a,wrong,,", name="1.csv")
    csv_file(at, HEADER.replace("score", "points"), name="2.csv")
    assert_scan_refused(at, "2.csv, line 1: lacks 'score'")


@pytest.mark.parametrize("form", ["jsonl", "csv", "nested", "apart"])
@pytest.mark.parametrize("change", ["longer", "touched", "gone"])
def test_a_file_that_has_changed_is_refused(form: str, change: str, tmp_path) -> None:
    if form == "jsonl":
        path = changed = jsonl(tmp_path, *({**TASK, "task_id": i} for i in range(9)))
    elif form == "csv":
        rows = (f"t{i},p,,{model},1,," for i in range(9) for model in "ab")
        path = changed = csv_file(tmp_path, HEADER, *rows)
    elif form == "nested":
        path = changed = nested_file(tmp_path / "t.parquet", *(nested_row(i) for i in range(9)))
    else:
        path = folder(tmp_path)
        changed = path / "outcomes.parquet"
    with chunks_of(1):
        table = OutcomeTable.scan(path)
        walk = table.chunks()
        next(walk)
        table.chunk(1)
        if change == "gone":
            changed.unlink()
        elif change == "longer":
            with changed.open("ab") as file:
                file.write(b"\n")
        else:
            os.utime(changed, (1, 1))
        for read in (
            lambda: table.chunk(0),
            lambda: table.chunk(1),
            lambda: list(walk),
            table.read,
        ):
            with pytest.raises(TableError) as caught:
                read()
            said = "cannot be opened any more" if change == "gone" else "has changed since"
            assert_one_line(caught.value, changed.name, said, "scan the table again")


def test_a_chunk_that_is_not_there_is_refused_alike(tmp_path) -> None:
    path = jsonl(tmp_path, TASK)
    for table in (OutcomeTable.scan(path), OutcomeTable.read(path)):
        for index in (-1, 1):
            with pytest.raises(TableError) as caught:
                table.chunk(index)
            assert_one_line(caught.value, f"table 'table', chunk {index}", "has 1")


def test_a_closed_table_is_refused(tmp_path) -> None:
    table = OutcomeTable.scan(jsonl(tmp_path, TASK))
    walk = table.chunks()
    table.close()
    table.close()
    for read in (lambda: table.chunk(0), lambda: list(walk)):
        with pytest.raises(TableError) as caught:
            read()
        assert_one_line(caught.value, "table 'table': is closed")
