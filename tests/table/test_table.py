"""The outcome table: four formats that read alike, and every malformed one refused by name.

Not here: what is made from a table; each layer above tests that.
"""

from __future__ import annotations

import copy
import csv
import json
import math
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova.errors import HypernovaError, MissingExtraError, NotFoundError, TableError
from hypernova.table import OutcomeTable, read_prompts
from support.commands import run_python
from support.paths import PACKAGES
from support.strategies import examples
from support.tables import (
    ARRAYS,
    HEADER,
    LONG,
    NUMBERS,
    TASK,
    WRITERS,
    Example,
    assert_arrays_refused,
    assert_one_line,
    assert_prompts_refused,
    assert_read_refused,
    assert_same_table,
    csv_file,
    folder,
    jsonl,
    long_parquet,
    parquet,
    write_csv,
)

# --- the same table in all forms --------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(examples())
def test_all_formats_read_equal(example: Example) -> None:
    with tempfile.TemporaryDirectory() as at:
        tables = [OutcomeTable.read(writer(Path(at), example, 0)) for writer in WRITERS]
    first = tables[0]
    assert first.task_ids == tuple(example.ids)
    assert first.prompts == tuple(example.prompts)
    assert first.groups == tuple(example.groups)
    assert first.models == tuple(sorted(example.models))
    assert int((~np.isnan(first.score)).sum()) == len(example.outcomes)
    for task, model, *values in example.outcomes:
        place = task, first.models.index(example.models[model])
        *others, n = values
        assert first.n[place] == (n or 1)
        arrays = (getattr(first, name) for name in NUMBERS[:-1])
        for array, value in zip(arrays, others, strict=True):
            assert math.isnan(array[place]) if value is None else array[place] == value
    if example.embedding is not None:
        assert first.embedding is not None
        raw = np.asarray(example.embedding)
        np.testing.assert_allclose(
            first.embedding, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6
        )
    for other in tables[1:3]:
        assert_same_table(first, other)
    assert_same_table(first, tables[3], embedding=False)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(examples(), st.integers(1, 1000))
def test_row_order_changes_nothing_but_task_order(example: Example, seed: int) -> None:
    with tempfile.TemporaryDirectory() as at:
        for writer in WRITERS:
            plain = OutcomeTable.read(writer(Path(at), example, 0))
            mixed = OutcomeTable.read(writer(Path(at), example, seed))
            order = np.array([mixed.task_ids.index(task) for task in plain.task_ids])
            assert_same_table(plain, mixed.subset(order))


@pytest.mark.parametrize("writer", WRITERS)
def test_name_and_origin(writer: Any, tmp_path: Path) -> None:
    example = Example(
        ["t"],
        ["p"],
        [None],
        ["a", "b"],
        [(0, 0, 1, *[None] * 5), (0, 1, 0, 2.0, 3.0, 7, 9, 4)],
        [[3, 0, 4]],
    )
    path = writer(tmp_path, example, 0)
    table = OutcomeTable.read(str(path))
    assert table.name == path.stem
    if writer is not write_csv:
        assert table.embedding_origin == f"embedding column of {path.stem}"
        assert table.embedding is not None
        assert table.embedding.dtype == np.float32
        np.testing.assert_array_equal(table.embedding, np.float32([[0.6, 0, 0.8]]))
    else:
        assert table.embedding_origin is None


def test_folder_named_by_a_dot_has_a_name(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder(tmp_path))
    assert OutcomeTable.read(".").name == "folder"
    assert OutcomeTable.read("../folder/").name == "folder"


# --- what is accepted -------------------------------------------------------------------


def test_jsonl_takes_integers_booleans_nulls_and_unknown_keys(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        {
            "task_id": 7,
            "prompt": "one",
            "group": None,
            "embedding": None,
            "note": {"x": [1]},
            "outcomes": {
                "b": True,
                "a": {"score": False, "cost_usd": None, "latency_s": 2, "api_calls": 3},
            },
        },
        "",
        {"task_id": "8", "prompt": "two", "group": "", "outcomes": {}},
    )
    table = OutcomeTable.read(path)
    assert table.task_ids == ("7", "8")
    assert table.groups == (None, None)
    assert table.models == ("a", "b")
    np.testing.assert_array_equal(table.score, [[0, 1], [np.nan, np.nan]])
    assert np.isnan(table.cost_usd).all()
    np.testing.assert_array_equal(table.latency_s, [[2, np.nan], [np.nan, np.nan]])
    assert table.embedding is None


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xef\xbb\xbftask_id,prompt,model,score\r\nt,p,a,1\r\n\r\nt,p,b,0.5\r\n")
    table = OutcomeTable.read(path)
    np.testing.assert_array_equal(table.score, [[1, 0.5]])
    path = tmp_path / "table.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(TASK).encode() + b"\r\n")
    assert OutcomeTable.read(path).task_ids == ("t0",)


def test_prompt_of_a_megabyte_and_the_csv_limit_is_restored(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    prompt = "x" * 1_000_000
    path = csv_file(tmp_path, HEADER, f"t,{prompt},,a,1,,", f"t,{prompt},,b,0,,")
    assert OutcomeTable.read(path).prompts == (prompt,)
    assert_read_refused(
        csv_file(tmp_path, HEADER, f"t,{prompt},,a,1,,", "t,y,,b,0,,"), "line 3", "'prompt'"
    )
    assert csv.field_size_limit() == before


def test_exact_repeats_are_repeats(tmp_path: Path) -> None:
    rows = ["t,p,,a,1,0.5,", "t,p,,b,0,,2", "t,p,,a,1,0.5,"]
    table = OutcomeTable.read(csv_file(tmp_path, HEADER, *rows))
    np.testing.assert_array_equal(table.score, [[1, 0]])
    np.testing.assert_array_equal(table.cost_usd, [[0.5, np.nan]])
    np.testing.assert_array_equal(table.n, [[2, 1]])
    path = jsonl(tmp_path, '{"task_id": "t", "prompt": "p", "outcomes": {"a": 1, "b": 0, "a": 1}}')
    np.testing.assert_array_equal(OutcomeTable.read(path).n, [[2, 1]])
    doubled = {key: value * 2 for key, value in LONG.items()}
    assert_same_table(
        OutcomeTable.read(long_parquet(tmp_path, **doubled)),
        OutcomeTable.read(folder(tmp_path, outcomes={"n": [2] * 4})),
    )


def test_folder_keeps_a_task_without_outcomes_as_a_hole(tmp_path: Path) -> None:
    tasks = {"task_id": ["t0", "new", "t1"], "prompt": ["one", "x", "two"]}
    table = OutcomeTable.read(folder(tmp_path, tasks))
    np.testing.assert_array_equal(table.score, [[1, 0], [np.nan, np.nan], [0.5, 1]])


@pytest.mark.parametrize(
    "score",
    [
        pa.array([True, False, True, True]),
        pa.array([1, 0, 1, 1], pa.int8()),
        pa.array([1, 0, 1, 1], pa.float32()),
        pa.array([1, 0, 1, 1], pa.decimal128(3, 2)),
    ],
    ids=str,
)
def test_parquet_takes_any_numeric_type(score: Any, tmp_path: Path) -> None:
    table = OutcomeTable.read(long_parquet(tmp_path, score=score))
    np.testing.assert_array_equal(table.score, [[1, 0], [1, 1]])


def test_parquet_takes_integer_ids_unused_categories_and_unknown_costs(tmp_path: Path) -> None:
    models = pa.DictionaryArray.from_arrays(pa.array([1, 2, 1, 2]), pa.array(["zzz", "a", "b"]))
    path = long_parquet(
        tmp_path,
        task_id=pa.array([10, 10, 11, 11]),
        model=models,
        cost_usd=pa.array([None, math.nan, 0.0, 1.0]),
        latency_s=pa.nulls(4),
    )
    table = OutcomeTable.read(path)
    assert table.task_ids == ("10", "11")
    assert table.models == ("a", "b")
    np.testing.assert_array_equal(table.cost_usd, [[np.nan, np.nan], [0, 1]])
    assert np.isnan(table.latency_s).all()


def test_parquet_folder_of_a_partitioned_name_adds_no_column(tmp_path: Path) -> None:
    at = tmp_path / "score=3"
    at.mkdir()
    np.testing.assert_array_equal(OutcomeTable.read(long_parquet(at)).score, [[1, 0], [0.5, 1]])


def test_suffix_in_capitals(tmp_path: Path) -> None:
    assert OutcomeTable.read(jsonl(tmp_path, TASK, name="TABLE.JSONL")).n_tasks == 1


# --- paths and files --------------------------------------------------------------------


def test_missing_path(tmp_path: Path) -> None:
    for read in (OutcomeTable.read, read_prompts):
        with pytest.raises(NotFoundError, match=r"gone\.jsonl: no such file or folder"):
            read(tmp_path / "gone.jsonl")


def test_unknown_suffix(tmp_path: Path) -> None:
    path = tmp_path / "table.log"
    path.touch()
    assert_read_refused(path, "'.log'", ".jsonl", ".csv", ".parquet", "tasks.parquet")
    assert_prompts_refused(path, "'.log'", ".txt", ".jsonl", ".csv", ".parquet")


def test_folder_without_its_files(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "outcomes.parquet").unlink()
    assert "lacks outcomes.parquet;" in assert_read_refused(path)
    (path / "tasks.parquet").unlink()
    assert "lacks tasks.parquet and outcomes.parquet;" in assert_read_refused(path)
    assert "lacks tasks.parquet;" in assert_prompts_refused(path)


def test_path_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    path = jsonl(tmp_path, "{", name="a\nb.jsonl")
    with pytest.raises(TableError) as caught:
        OutcomeTable.read(path)
    assert "a\\nb.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path) -> None:
    path = long_parquet(tmp_path)
    # A module of that name which fails to import stands first on the path of another process.
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "pyarrow.py").write_text("raise ImportError('none here')")
    code = (
        "import sys\n"
        "from hypernova.table import OutcomeTable\n"
        "from hypernova.errors import MissingExtraError\n"
        "try:\n"
        "    OutcomeTable.read(sys.argv[1])\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    out = _python(code, str(path), first=tmp_path / "without")
    assert out.strip() == (
        f'{path}: reading Parquet needs pyarrow: pip install "hypernova-router[train]"'
    )
    assert issubclass(MissingExtraError, HypernovaError)


def test_text_formats_do_not_import_pyarrow(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from hypernova.table import OutcomeTable\n"
        "OutcomeTable.read(sys.argv[1])\n"
        "print('pyarrow' in sys.modules)\n"
    )
    assert _python(code, str(jsonl(tmp_path, TASK))).strip() == "False"


def _python(code: str, *arguments: str, first: Path | None = None) -> str:
    paths = [str(path) for path in (first, PACKAGES) if path is not None]
    inherited = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*paths, *([inherited] if inherited else [])]),
    }
    return run_python("-c", code, *arguments, env=environment, code=0).stdout


# --- malformed JSON Lines ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"outcomes": {"a": 1.2, "b": 0}}, ["'score'", "model 'a'", "1.2", "0..1"]),
        ({"outcomes": {"a": -0.1, "b": 0}}, ["'score'", "model 'a'", "-0.1"]),
        ({"outcomes": {"a": 10**400, "b": 0}}, ["'score'", "inf"]),
        ({"outcomes": {"a": math.nan, "b": 0}}, ["'score'", "nan", "leave the model out"]),
        ({"outcomes": {"a": math.inf, "b": 0}}, ["'score'", "inf"]),
        ({"outcomes": {"a": None, "b": 0}}, ["'score'", "None", "leave the model out"]),
        ({"outcomes": {"a": "1", "b": 0}}, ["'score'", "'1'"]),
        ({"outcomes": {"a": {"score": "good"}, "b": 0}}, ["'score'", "'good'"]),
        ({"outcomes": {"a": {"score": None}, "b": 0}}, ["'score'", "None"]),
        ({"outcomes": {"a": {"cost_usd": 1}, "b": 0}}, ["'outcomes'", "'score'", "'cost_usd'"]),
        ({"outcomes": {"a": {"score": 1, "cost_usd": -1}, "b": 0}}, ["'cost_usd'", "-1.0"]),
        ({"outcomes": {"a": {"score": 1, "cost_usd": math.inf}, "b": 0}}, ["'cost_usd'", "inf"]),
        ({"outcomes": {"a": {"score": 1, "cost_usd": math.nan}, "b": 0}}, ["'cost_usd'", "null"]),
        ({"outcomes": {"a": {"score": 1, "cost_usd": "$1"}, "b": 0}}, ["'cost_usd'", "'$1'"]),
        ({"outcomes": {"a": {"score": 1, "cost_usd": True}, "b": 0}}, ["'cost_usd'", "True"]),
        ({"outcomes": {"a": {"score": 1, "latency_s": -2}, "b": 0}}, ["'latency_s'", "-2.0"]),
        ({"outcomes": {"a": {"score": 1, "latency_s": []}, "b": 0}}, ["'latency_s'", "[]"]),
        ({"outcomes": [1]}, ["'outcomes'", "[1]"]),
        ({"outcomes": None}, ["'outcomes'", "None"]),
        ({"outcomes": {"": 1, "b": 0}}, ["'model'", "''", "empty name"]),
        ({"outcomes": {" ": 1, "b": 0}}, ["'model'", "' '", "empty name"]),
        ({"outcomes": {"a\nb": 1, "b": 0}}, ["'model'", r"'a\nb'", "control character"]),
        ({"outcomes": {"a\u2028b": 1, "b": 0}}, ["'model'", r"\u2028", "control character"]),
        ({"outcomes": {"a\ud800": 1, "b": 0}}, ["'model'", "surrogate"]),
        ({"task_id": ""}, ["'task_id'", "empty name"]),
        ({"task_id": "\t"}, ["'task_id'", "empty name"]),
        ({"task_id": "a\x7fb"}, ["'task_id'", "control character"]),
        ({"task_id": None}, ["'task_id'", "None"]),
        ({"task_id": True}, ["'task_id'", "True"]),
        ({"task_id": 1.5}, ["'task_id'", "1.5"]),
        ({"prompt": ""}, ["'prompt'", "without text"]),
        ({"prompt": " \n\t"}, ["'prompt'", r"' \n\t'", "without text"]),
        ({"prompt": "\u200b\ufeff"}, ["'prompt'", r"'\u200b\ufeff'", "without text"]),
        ({"prompt": 5}, ["'prompt'", "5", "string"]),
        ({"prompt": "half \udc00"}, ["'prompt'", "surrogate", "character 5"]),
        ({"group": 5}, ["'group'", "5", "string"]),
        ({"group": 0}, ["'group'", "0", "string"]),
        ({"group": "\ud800"}, ["'group'", "surrogate"]),
        ({"task_id": "t0"}, ["'task_id'", "'t0'", "line 1 has already"]),
        ({"task_id": "t0", "prompt": "one"}, ["'task_id'", "line 1 has already"]),
        ({"embedding": [1, 0]}, ["'embedding'", "no vector", "line 3", "of 2"]),
        ({"embedding": "x"}, ["'embedding'", "'x'"]),
        ({"embedding": [1, "2"]}, ["'embedding'", "'2'"]),
        ({"embedding": [1, True]}, ["'embedding'", "True"]),
        ({"embedding": [1, None]}, ["'embedding'", "None"]),
        ({"embedding": [10**400]}, ["'embedding'", "beyond float64"]),
    ],
    ids=str,
)
def test_jsonl_row_is_refused(change: dict[str, Any], parts: list[str], tmp_path: Path) -> None:
    path = jsonl(tmp_path, TASK, "", {**TASK, "task_id": "t1", **change})
    # The missing vector is that of the first line.
    line = "line 1" if "no vector" in parts else "line 3"
    assert_read_refused(path, f"table.jsonl, {line}, column ", *parts)


@pytest.mark.parametrize(
    ("vectors", "line", "parts"),
    [
        ([[1, 0], [1, 0, 0]], 2, ["a vector of 3", "line 1", "of 2"]),
        ([[1, 0], None], 2, ["no vector", "line 1"]),
        ([[1, 0], [0, 0]], 2, ["zero length"]),
        ([[1, 0], [1, math.nan]], 2, ["nan", "position 1"]),
        ([[1, 0], [-math.inf, 1]], 2, ["-inf", "position 0"]),
        ([[], []], 1, ["no numbers"]),
    ],
)
def test_jsonl_embedding_is_refused(
    vectors: list[Any], line: int, parts: list[str], tmp_path: Path
) -> None:
    rows = [{**TASK, "task_id": f"t{i}", "embedding": v} for i, v in enumerate(vectors)]
    assert_read_refused(
        jsonl(tmp_path, *rows), f"line {line}, column 'embedding' (task 't{line - 1}')", *parts
    )


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("{'a'}", ["not valid JSON", "at character 2)"]),
        ("[" * 100_000, ["not valid JSON"]),
        ('{"task_id": ' + "9" * 5000 + "}", ["not valid JSON"]),
        ("[1, 2]", ["found [1, 2]", "one object per line"]),
        ('{"task_id": "t1", "prompt": "x"}', ["lacks 'outcomes', found 'task_id', 'prompt'"]),
        ("{}", ["lacks 'task_id', 'prompt', 'outcomes', found nothing"]),
        (
            '{"task_id": "t1", "task_id": "t2", "prompt": "x", "outcomes": {}}',
            ["'task_id'", "twice"],
        ),
        (
            '{"task_id": "t1", "prompt": "x", "outcomes": {"a": {"score": 1, "score": 0}}}',
            ["'score'", "twice", "model 'a'"],
        ),
        (
            '{"task_id": "t1", "prompt": "x", "outcomes": {"a": [1, []]}}',
            ["'score'", "found []", "model 'a'"],
        ),
        (
            '{"task_id": "t1", "prompt": "x", "outcomes": {"a": []}}',
            ["'outcomes'", "no outcome in the list", "model 'a'"],
        ),
    ],
    ids=range(10),
)
def test_jsonl_line_is_refused(line: str, parts: list[str], tmp_path: Path) -> None:
    assert_read_refused(jsonl(tmp_path, TASK, line), "table.jsonl, line 2", *parts)


def test_jsonl_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    latin = json.dumps({**TASK, "prompt": "é"}, ensure_ascii=False).encode("latin-1")
    path.write_bytes(json.dumps(TASK).encode() + b"\n" + latin)
    assert_read_refused(path, "line 2", "not valid UTF-8", "0xe9")


def test_long_values_are_cut_in_the_message(tmp_path: Path) -> None:
    message = assert_read_refused(
        jsonl(tmp_path, {**TASK, "outcomes": {"a": "x" * 10_000}}), "'xxx"
    )
    assert len(message) < 400 + len(str(tmp_path))


# --- malformed CSV ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("t1,two,,a,1.2,,", ["'score'", "1.2", "0..1"]),
        ("t1,two,,a,nan,,", ["'score'", "'nan'"]),
        ("t1,two,,a,inf,,", ["'score'", "'inf'"]),
        ("t1,two,,a,1e999,,", ["'score'", "inf"]),
        ("t1,two,,a,,,", ["'score'", "''", "leave the row out"]),
        ("t1,two,,a,good,,", ["'score'", "'good'"]),
        ("t1,two,,a,1_0,,", ["'score'", "'1_0'"]),
        ("t1,two,,a,\u0661,,", ["'score'", "'\u0661'"]),
        ("t1,two,,a,1,-0.5,", ["'cost_usd'", "-0.5"]),
        ("t1,two,,a,1,inf,", ["'cost_usd'", "'inf'"]),
        ("t1,two,,a,1,1e999,", ["'cost_usd'", "inf"]),
        ("t1,two,,a,1,nan,", ["'cost_usd'", "'nan'", "leave the cell empty"]),
        ("t1,two,,a,1,free,", ["'cost_usd'", "'free'"]),
        ("t1,two,,a,1,,-1", ["'latency_s'", "-1.0"]),
        ("t1,two,,a,1,,2s", ["'latency_s'", "'2s'"]),
        (",two,,a,1,,", ["'task_id'", "empty name"]),
        ("t1,,,a,1,,", ["'prompt'", "without text"]),
        ("t1,  ,,a,1,,", ["'prompt'", "without text"]),
        ("t1,\u200b,,a,1,,", ["'prompt'", "without text"]),
        ("t1,two,, ,1,,", ["'model'", "empty name"]),
        ("t1,two,,a\tb,1,,", ["'model'", r"'a\tb'", "control character"]),
        ("t\x00,two,,a,1,,", ["'task_id'", r"'t\x00'", "control character"]),
        ("t0,other,g,a,1,,", ["'prompt'", "task 't0'", "'other'", "line 2 has", "ne'"]),
        ('t0,"on\ne",h,a,1,,', ["'group'", "task 't0'", "'h'", "line 2 has 'g'"]),
        ('t0,"on\ne",,a,1,,', ["'group'", "task 't0'", "''", "line 2 has 'g'"]),
    ],
)
def test_csv_row_is_refused(row: str, parts: list[str], tmp_path: Path) -> None:
    # Two rows of two physical lines each and a blank one stand before the row on line 7.
    path = csv_file(
        tmp_path, HEADER, 't0,"on\ne",g,a,1,1,', 't0,"on\ne",g,b,0,,', "", row, "t9,x,,b,1,,"
    )
    assert_read_refused(path, "table.csv, line 7, column ", *parts)


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        (["task_id,prompt,score", "t,p,1"], ["line 1: lacks 'model'", "'task_id', 'prompt', 'sco"]),
        (["task_id|prompt|model|score"], ["line 1: lacks 'task_id'", "'task_id|prompt|model|"]),
        (["task_id,prompt,model,score,score"], ["line 1, column 'score'", "twice"]),
        (["task_id,prompt,model,score,embedding"], ["line 1, column 'embedding'", ".jsonl"]),
        (["task_id,prompt,model,score", "t,p,a"], ["line 2: found 3 cells", "header has 4"]),
        (["task_id,prompt,model,score", "t,p,q,a,1"], ["line 2: found 5 cells", "header has 4"]),
        (["task_id,prompt,model,score", "t,p,a,1", 't,"p,b,1', "x"], ["line 3", "not valid CSV"]),
        (["task_id,prompt,model,score", 't,"p"q,a,1'], ["line 2", "not valid CSV"]),
        (["task_id,prompt,model,score"], ["no tasks"]),
        ([], ["not even a header"]),
        (["task_id,prompt,model,score", "t,p,a,1"], ["one model only, 'a'", "second model"]),
    ],
    ids=range(11),
)
def test_csv_file_is_refused(lines: list[str], parts: list[str], tmp_path: Path) -> None:
    assert_read_refused(csv_file(tmp_path, *lines), *parts)


def test_csv_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"task_id,prompt,model,score\nt,p,a,1\nt,\xff,b,1\n")
    assert_read_refused(path, "line 3", "not valid UTF-8", "0xff")
    path.write_bytes("task_id,prompt,model,score\nt,p,a,1\n".encode("utf-16"))
    assert_read_refused(path, "line 1", "save the file as UTF-8")


# --- malformed Parquet ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "values", "row", "parts"),
    [
        ("score", [1, 0, 1.2, 1], 3, ["1.2", "0..1", "task 't1', model 'a'"]),
        ("score", [1, 0, -1.0, 1], 3, ["-1.0"]),
        ("score", [1, 0, math.nan, 1], 3, ["nan", "leave out the outcome"]),
        ("score", [1, 0, math.inf, 1], 3, ["inf"]),
        ("score", [1, 0, None, 1], 3, ["null", "leave out the outcome"]),
        ("score", ["1", "0", "1", "1"], None, ["type string", "store numbers"]),
        ("cost_usd", [1, 0, -1.0, 1], 3, ["-1.0"]),
        ("cost_usd", [1, 0, math.inf, 1], 3, ["inf"]),
        ("cost_usd", ["1", "0", "1", "1"], None, ["type string", "store numbers"]),
        ("cost_usd", [True, True, True, True], None, ["type bool", "store numbers"]),
        ("latency_s", [1, 0, -1.0, 1], 3, ["-1.0"]),
        ("latency_s", [[1], [1], [1], [1]], None, ["type list<", "store numbers"]),
        ("model", ["a", "b", "", "b"], 3, ["empty name"]),
        ("model", ["a", "b", None, "b"], 3, ["null"]),
        ("model", ["a", "b", "a\n", "b"], 3, [r"'a\n'", "control character"]),
        ("model", [1, 2, 1, 2], None, ["type int64", "store strings"]),
        ("n", [1, 1, 1, 0], 4, ["found 0.0", "a whole number from 1", "model 'b'"]),
        ("task_id", ["t0", "t0", None, None], 3, ["null"]),
        ("task_id", ["t0", "t0", " ", " "], 3, ["empty name"]),
        ("task_id", ["t0", "t0", "\x1b", "\x1b"], 3, [r"'\x1b'", "control character"]),
        ("task_id", [0.0, 0.0, 1.0, 1.0], None, ["type double", "store strings"]),
        ("task_id", ["t0", "t0", "t0", "t0"], 3, ["'prompt'", "'two', but row 1 has 'one'"]),
        ("prompt", ["one", "one", "two", "2"], 4, ["'2', but row 3 has 'two'", "task 't1'"]),
        ("prompt", ["one", "one", " ", " "], 3, ["without text"]),
        ("prompt", ["one", "one", None, "two"], 3, ["null"]),
        ("prompt", [b"one", b"one", b"two", b"two"], None, ["type binary", "store strings"]),
        ("group", ["g", "g", "h", None], 4, ["'', but row 3 has 'h'", "task 't1'"]),
        ("group", [1, 1, 2, 2], None, ["type int64", "store strings"]),
        ("embedding", [[1.0], [1.0], None, None], 3, ["no vector", "row 1", "of 1"]),
        ("embedding", [[1.0], [1.0], [1.0, 2], [1.0, 2]], 3, ["a vector of 2", "row 1"]),
        ("embedding", [[1.0], [2.0], [1.0], [1.0]], 2, ["another vector than row 1", "'t0'"]),
        ("embedding", [[1.0], [1.0], [math.nan], [math.nan]], 3, ["nan", "position 0", "'t1'"]),
        ("embedding", [[1.0], [1.0], [None], [None]], 3, ["nan", "position 0"]),
        ("embedding", [[1.0], [1.0], [0.0], [0.0]], 3, ["zero length"]),
        ("embedding", [[], [], [], []], None, ["type list<", "store lists of float32"]),
        ("embedding", [["1"], ["1"], ["1"], ["1"]], None, ["type list<", "lists of float32"]),
        ("embedding", ["1", "1", "1", "1"], None, ["type string", "store lists of float32"]),
        ("embedding", pa.array([[]] * 4, pa.list_(pa.float32())), 1, ["no numbers"]),
    ],
    ids=str,
)
def test_long_parquet_is_refused(
    column: str, values: Any, row: int | None, parts: list[str], tmp_path: Path
) -> None:
    where = "long.parquet, column" if row is None else f"long.parquet, row {row}, column"
    named = [part for part in parts if part in ("'score'", "'prompt'")]
    assert_read_refused(
        long_parquet(tmp_path, **{column: values}), where, *(named or [f"'{column}'"]), *parts
    )


@pytest.mark.parametrize("missing", ["task_id", "prompt", "model", "score"])
def test_long_parquet_without_a_column(missing: str, tmp_path: Path) -> None:
    there = ", ".join(repr(name) for name in LONG if name != missing)
    assert_read_refused(
        long_parquet(tmp_path, **{missing: None}), f"lacks '{missing}', found {there};"
    )


@pytest.mark.parametrize(
    ("tasks", "outcomes", "file", "parts"),
    [
        ({"task_id": ["t0", "t0"]}, {}, "tasks", ["row 2", "'task_id'", "row 1 has already"]),
        ({"task_id": ["t0", ""]}, {}, "tasks", ["row 2", "'task_id'", "empty name"]),
        ({"prompt": ["one", "\n"]}, {}, "tasks", ["row 2", "'prompt'", "without text"]),
        ({"prompt": [1, 2]}, {}, "tasks", ["'prompt'", "type int64"]),
        ({"group": [1, 2]}, {}, "tasks", ["'group'", "type int64"]),
        ({"embedding": [[1.0], None]}, {}, "tasks", ["row 2", "'embedding'", "no vector"]),
        ({"embedding": [[1.0], [1.0, 2]]}, {}, "tasks", ["row 2", "'embedding'", "of 2"]),
        ({"embedding": [[1.0], [0.0]]}, {}, "tasks", ["row 2", "'embedding'", "zero length"]),
        ({"embedding": [[1.0], [math.inf]]}, {}, "tasks", ["row 2", "'embedding'", "inf"]),
        ({}, {"task_id": ["t0", "t0", "t1", "x"]}, "outcomes", ["row 4", "'task_id'", "'x'"]),
        ({}, {"n": [1, 1.5, 1, 1]}, "outcomes", ["row 2", "'n'", "found 1.5", "whole number"]),
        ({}, {"model": ["a", "b", "b", ""]}, "outcomes", ["row 4", "'model'", "empty name"]),
        ({}, {"score": [0, 0, 0, 2]}, "outcomes", ["row 4", "'score'", "2.0", "model 'b'"]),
        ({}, {"score": ["0", "0", "0", "2"]}, "outcomes", ["'score'", "type string"]),
    ],
    ids=range(14),
)
def test_folder_is_refused(
    tasks: dict[str, Any],
    outcomes: dict[str, Any],
    file: str,
    parts: list[str],
    tmp_path: Path,
) -> None:
    path = folder(tmp_path, tasks, outcomes)
    assert_read_refused(path, str(path / f"{file}.parquet"), *parts)


def test_folder_without_a_column(tmp_path: Path) -> None:
    path = folder(tmp_path)
    parquet(path / "outcomes.parquet", {"task_id": ["t0"], "score": [1.0]})
    assert_read_refused(path, "outcomes.parquet: lacks 'model', found 'task_id', 'score';")
    parquet(path / "tasks.parquet", {"id": ["t0"], "prompt": ["one"]})
    assert_read_refused(path, "tasks.parquet: lacks 'task_id', found 'id', 'prompt';")


def test_parquet_column_that_stands_twice(tmp_path: Path) -> None:
    path = tmp_path / "long.parquet"
    table = pa.table(LONG)
    pq.write_table(table.append_column("score", table.column("score")), path)
    assert_read_refused(path, "'score'", "twice")


def test_parquet_that_is_none_or_cut(tmp_path: Path) -> None:
    path = tmp_path / "long.parquet"
    path.write_bytes(b"")
    assert_read_refused(path, "not a readable Parquet file")
    whole = long_parquet(tmp_path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert_read_refused(path, "not a readable Parquet file")


def test_parquet_with_invalid_utf8(tmp_path: Path) -> None:
    raw = pa.array([b"one", b"one", b"t\xff", b"t\xff"])
    broken = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    assert_read_refused(
        long_parquet(tmp_path, prompt=broken), "row 3", "'prompt'", "not valid UTF-8"
    )


# --- tables that hold too little --------------------------------------------------------


def test_empty_table(tmp_path: Path) -> None:
    assert_read_refused(jsonl(tmp_path), "holds no tasks")
    assert_read_refused(jsonl(tmp_path, {**TASK, "outcomes": {}}), "holds no outcomes")
    none: dict[str, Any] = {key: pa.array(value)[:0] for key, value in LONG.items()}
    assert_read_refused(long_parquet(tmp_path, **none), "holds no tasks")
    outcomes = {key: none[key] for key in ("task_id", "model", "score")}
    assert_read_refused(folder(tmp_path, {}, outcomes), "outcomes.parquet", "holds no outcomes")
    tasks = {key: none[key] for key in ("task_id", "prompt")}
    assert_read_refused(folder(tmp_path, tasks, outcomes), "tasks.parquet", "holds no tasks")


def test_one_model(tmp_path: Path) -> None:
    parts = ["'model'", "one model only, 'a'", "second model"]
    assert_read_refused(jsonl(tmp_path, {**TASK, "outcomes": {"a": 1}}), *parts)
    outcomes = {"task_id": ["t0", "t1"], "model": ["a", "a"], "score": [1.0, 0.0]}
    assert_read_refused(folder(tmp_path, {}, outcomes), "outcomes.parquet", *parts)
    assert_read_refused(long_parquet(tmp_path, task_id=list("wxyz"), model=["a"] * 4), *parts)


# --- from arrays ------------------------------------------------------------------------


def test_from_arrays_sorts_models_and_copies() -> None:
    score = np.array(ARRAYS["score"])
    cost = np.array([[0.5, 1], [9, np.nan], [0.25, 9]])
    table = OutcomeTable.from_arrays(
        **{**ARRAYS, "score": score},
        cost_usd=cost,
        groups=["g", "", None],
        embedding=np.array([[2, 0], [0, -3], [1, 0]]),
        name="mine",
    )
    score[:] = 0.125
    assert table.models == ("a", "b")
    np.testing.assert_array_equal(table.score, [[0, 1], [0.5, np.nan], [np.nan, 0.25]])
    # A cost in a hole belongs to no outcome.
    np.testing.assert_array_equal(table.cost_usd, [[1, 0.5], [np.nan, np.nan], [np.nan, 0.25]])
    assert np.isnan(table.latency_s).all()
    assert table.groups == ("g", None, None)
    np.testing.assert_array_equal(table.embedding, np.float32([[1, 0], [0, -1], [1, 0]]))
    assert table.embedding_origin == "embedding of mine"
    assert (table.n_tasks, table.n_models) == (3, 2)
    assert repr(table) == ("<OutcomeTable 'mine': 3 tasks x 2 models, 4 outcomes, embedding of 2>")
    plain = OutcomeTable.from_arrays(**ARRAYS, embedding_origin="ignored without vectors")
    assert plain.embedding_origin is None
    assert "embedding" not in repr(plain)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"score": [[1, 0], [0.5, 1.2], [0, 0]]}, ["index 1", "'score'", "1.2", "model 'a'"]),
        ({"score": [[1, 0], [0.5, np.inf], [0, 0]]}, ["index 1", "'score'", "inf"]),
        ({"score": [[1, np.nan], [1, np.nan], [1, np.nan]]}, ["'a' has no outcomes"]),
        ({"score": np.full((3, 2), np.nan)}, ["holds no outcomes"]),
        ({"score": [[1, 0], [0, 1]]}, ["'score'", "(2, 2)", "(3, 2)"]),
        ({"score": [1, 0, 1]}, ["'score'", "(3,)", "(3, 2)"]),
        ({"score": [[1, 0], [0], [1, 1]]}, ["'score'", "different lengths"]),
        ({"score": [["1", "0"]] * 3}, ["'score'", "<U1", "numbers"]),
        ({"score": [[1, None]] * 3}, ["'score'", "object", "NaN"]),
        ({"cost_usd": [[-1, 0]] * 3}, ["index 0", "'cost_usd'", "-1.0"]),
        ({"cost_usd": [[1, 0]]}, ["'cost_usd'", "(1, 2)"]),
        ({"latency_s": [[np.inf, 0]] * 3}, ["index 0", "'latency_s'", "inf"]),
        ({"models": ["a", "a"]}, ["index 1", "'models'", "'a' twice"]),
        ({"models": ["a", ""]}, ["index 1", "'models'", "empty name"]),
        ({"models": ["a", 5]}, ["index 1", "'models'", "5", "strings"]),
        ({"models": ["a"], "score": [[1], [0], [1]]}, ["one model only"]),
        ({"task_ids": ["t0", "t1", "t0"]}, ["index 2", "'task_id'", "index 0"]),
        ({"task_ids": [1, 2, 3]}, ["index 0", "'task_ids'", "1"]),
        ({"prompts": ["x", "y"]}, ["'prompts'", "2 entries", "3"]),
        ({"prompts": ["x", "", "y"]}, ["index 1", "'prompt'", "without text"]),
        ({"prompts": ["x", None, "y"]}, ["index 1", "'prompts'", "None"]),
        ({"groups": ["x", 0, "y"]}, ["index 1", "'groups'", "0"]),
        ({"groups": ["x"]}, ["'groups'", "1 entries"]),
        ({"embedding": [[1], [0], [1]]}, ["index 1", "'embedding'", "zero length"]),
        ({"embedding": [[1], [np.nan], [1]]}, ["index 1", "'embedding'", "nan"]),
        ({"embedding": [[1], [1]]}, ["'embedding'", "(2, 1)", "(3, any)"]),
        ({"embedding": [[], [], []]}, ["index 0", "'embedding'", "no numbers"]),
        (
            {"task_ids": [], "prompts": [], "score": np.zeros((0, 2))},
            ["holds no tasks"],
        ),
    ],
    ids=range(28),
)
def test_from_arrays_refuses(changes: dict[str, Any], parts: list[str]) -> None:
    assert_arrays_refused(*parts, **changes)


def test_vectors_are_scaled_whatever_their_length_and_unit_ones_keep_their_bits() -> None:
    rng = np.random.default_rng(0)
    shape = (3, 384)
    for scale in (1e-320, 1e-200, 1e-30, 1.0, 1e30, 1e200, 1e307):
        given = np.clip(rng.standard_normal(shape), -3, 3) * scale
        table = OutcomeTable.from_arrays(**ARRAYS, embedding=given)
        assert table.embedding is not None
        np.testing.assert_allclose(
            np.linalg.norm(table.embedding.astype(np.float64), axis=1), 1, atol=1e-6
        )
        again = OutcomeTable.from_arrays(**ARRAYS, embedding=table.embedding)
        assert_same_table(table, again)


# --- the object -------------------------------------------------------------------------


def test_table_is_immutable_also_when_pickled_or_copied() -> None:
    table = OutcomeTable.from_arrays(**ARRAYS, embedding=np.eye(3))
    for one in (
        table,
        pickle.loads(pickle.dumps(table)),
        copy.deepcopy(table),
        table.subset(np.array([2, 0])),
    ):
        for array in (one.score, one.cost_usd, one.latency_s, one.embedding):
            with pytest.raises(ValueError, match="read-only"):
                array[0, 0] = 0.5
        with pytest.raises(AttributeError):
            one.name = "other"
    assert_same_table(table, pickle.loads(pickle.dumps(table)))


def test_prompt_groups() -> None:
    table = OutcomeTable.from_arrays(**{**ARRAYS, "prompts": ["x", "X", "x"]})
    groups = table.prompt_groups()
    assert groups.dtype == np.int64
    np.testing.assert_array_equal(groups, [0, 1, 0])


def test_subset() -> None:
    table = OutcomeTable.from_arrays(**ARRAYS, groups=["g", "h", "i"], embedding=np.eye(3))
    part = table.subset(np.array([2, 0]))
    assert part.task_ids == ("t2", "t0")
    assert part.prompts == ("three", "one")
    assert part.groups == ("i", "g")
    np.testing.assert_array_equal(part.embedding, np.float32([[0, 0, 1], [1, 0, 0]]))
    # A model without outcomes stays, so that folds agree on the columns.
    alone = table.subset(np.array([2]))
    assert alone.models == ("a", "b")
    np.testing.assert_array_equal(alone.score, [[np.nan, 0.25]])
    assert table.subset(np.array([], dtype=np.int64)).n_tasks == 0


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        (np.array([True, False, True]), "np.flatnonzero"),
        (np.array([0.0]), "float64"),
        (np.array([[0]]), "(1, 1)"),
        (np.array([-1]), "from -1 to -1"),
        (np.array([0, 3]), "0..2"),
    ],
)
def test_subset_refuses(rows: Any, part: str) -> None:
    with pytest.raises(TableError) as caught:
        OutcomeTable.from_arrays(**ARRAYS).subset(rows)
    assert_one_line(caught.value, "'rows'", part)


# --- prompts ----------------------------------------------------------------------------


def test_read_prompts_of_every_form(tmp_path: Path) -> None:
    text = tmp_path / "prompts.txt"
    text.write_bytes("\ufeffone\r\n\n  \ntwo, \u2028 still two\none".encode())
    assert read_prompts(text) == ["one", "two, \u2028 still two", "one"]
    lines = jsonl(tmp_path, {"prompt": "one"}, {"prompt": "a\nb", "task_id": []})
    assert read_prompts(lines) == ["one", "a\nb"]
    cells = csv_file(tmp_path, "n,prompt", '1,"a\nb"', "2,two")
    assert read_prompts(str(cells)) == ["a\nb", "two"]
    assert read_prompts(long_parquet(tmp_path)) == ["one", "one", "two", "two"]
    path = folder(tmp_path)
    (path / "outcomes.parquet").unlink()
    assert read_prompts(path) == ["one", "two"]


def test_read_prompts_refuses(tmp_path: Path) -> None:
    text = tmp_path / "prompts.txt"
    text.write_bytes(b"\n \n")
    assert_prompts_refused(text, "holds no prompts")
    text.write_bytes(b"one\n\xff\n")
    assert_prompts_refused(text, "line 2", "UTF-8")
    assert_prompts_refused(
        jsonl(tmp_path, {"prompt": "x"}, {"text": "y"}), "line 2: lacks 'prompt'"
    )
    assert_prompts_refused(
        jsonl(tmp_path, {"prompt": "x"}, {"prompt": ""}), "line 2, column 'prompt'"
    )
    assert_prompts_refused(
        jsonl(tmp_path, {"prompt": "x"}, {"prompt": 1}), "line 2, column 'prompt'"
    )
    assert_prompts_refused(jsonl(tmp_path, "x"), "line 1", "JSON")
    assert_prompts_refused(csv_file(tmp_path, "text", "x"), "line 1: lacks 'prompt', found 'text'")
    assert_prompts_refused(csv_file(tmp_path, "prompt", '"a\nb"', '" "'), "line 4, column 'prompt'")
    assert_prompts_refused(csv_file(tmp_path, "prompt"), "holds no prompts")
    assert_prompts_refused(
        long_parquet(tmp_path, prompt=["x", "", "x", "x"]), "row 2, column 'prompt'"
    )
    assert_prompts_refused(long_parquet(tmp_path, prompt=None), "lacks 'prompt'")


# --- real tables ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tasks", "models", "best", "repeats"),
    [
        ("swebench_verified", 500, 24, 0.744, 0),
        ("llmrouter_mixed", 6108, 9, 0.6165, 119),
        ("routellm_mmlu", 14042, 2, 0.806, 105),
    ],
)
def test_real_table(
    name: str, tasks: int, models: int, best: float, repeats: int, shared: Path
) -> None:
    path = shared / "data" / name
    table = OutcomeTable.read(path)
    assert (table.n_tasks, table.n_models) == (tasks, models)
    assert table.name == name
    assert not np.isnan(table.score).any()
    digits = len(str(best)) - 2
    assert round(float(table.score.mean(axis=0).max()), digits) == best
    assert np.isnan(table.cost_usd).all() == (name != "swebench_verified")
    assert None not in table.groups
    # A repeat is a task whose prompt an earlier task has already.
    assert tasks - len(set(table.prompt_groups().tolist())) == repeats
    assert len(read_prompts(path)) == tasks
