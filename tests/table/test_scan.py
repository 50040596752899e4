"""A table that is not held in memory is the table that `read` gives, in every form, cut anywhere.

Not here: what is refused (test_scan_refusals), and other processes (test_scan_processes).
"""

from __future__ import annotations

import gzip
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.table import CHUNK_TASKS, OutcomeTable
from hypernova.table.scan import seen_ids
from support.scanned import (
    assert_scan_refused,
    assert_scans_as,
    chunks_of,
    csv_lines,
    nested,
    split_lines,
    split_parquet,
)
from support.strategies import examples
from support.tables import (
    WRITERS,
    Example,
    assert_same_table,
    jsonl,
    parquet,
    write_csv,
    write_folder,
    write_jsonl,
    write_long,
)


def together(example: Example) -> Example:
    """The example with the outcomes of each task together, in the tasks' order."""
    return replace(example, outcomes=sorted(example.outcomes, key=lambda outcome: outcome[0]))


@pytest.mark.slow
@settings(max_examples=20)
@given(examples(), st.integers(0, 999))
def test_nested_and_long_files_in_order_are_the_table(example: Example, seed: int) -> None:
    example = together(example)
    with tempfile.TemporaryDirectory() as folder, chunks_of(2):
        at = Path(folder)
        want = OutcomeTable.read(write_long(at, example, 0))
        lines = write_jsonl(at, example, 0)
        rows = [line + b"\n" for line in lines.read_bytes().split(b"\n") if line]
        assert_scans_as(lines, want)
        assert_scans_as(at / "long0.parquet", want)
        assert_scans_as(split_lines(rows, at / "lines", seed), want)
        for shape in ("list", "map", "struct"):
            table = nested(example, list(range(len(example.ids))), shape)
            assert_scans_as(split_parquet(table, at / shape, seed), want)
        long = pq.read_table(at / "long0.parquet")
        assert_scans_as(str(split_parquet(long, at / "long", seed) / "*.parquet"), want)
        header, *records = csv_lines(example, example.outcomes)
        (at / "one.csv").write_bytes(header + b"".join(records))
        assert_scans_as(at / "one.csv", want, embedding=False)
        (at / "one.csv.gz").write_bytes(gzip.compress(header + b"".join(records)))
        assert_scans_as(at / "one.csv.gz", want, embedding=False)


@pytest.mark.slow
@settings(max_examples=20)
@given(examples(), st.integers(0, 999))
def test_outcomes_apart_that_follow_the_tasks_need_no_join(example: Example, seed: int) -> None:
    """Within a chunk they may stand in any order."""
    with (
        tempfile.TemporaryDirectory() as folder,
        chunks_of(2),
        pytest.MonkeyPatch.context() as patch,
    ):
        at = Path(folder)
        patch.setenv("TMPDIR", "/nowhere")
        dealt = random.Random(seed)
        outcomes = sorted(example.outcomes, key=lambda outcome: (outcome[0] // 2, dealt.random()))
        apart = write_folder(at, replace(example, outcomes=outcomes), 0)
        want = OutcomeTable.read(apart)
        assert_scans_as(apart, want)
        for half in ("tasks", "outcomes"):
            split_parquet(pq.read_table(apart / f"{half}.parquet"), at / "many" / half, seed + 1)
        assert_scans_as(at / "many", want)


@pytest.mark.slow
@settings(max_examples=12)
@given(examples(), st.integers(0, 999))
def test_outcomes_in_any_order_are_joined(example: Example, seed: int) -> None:
    pytest.importorskip("duckdb", reason="joins NOT tested: duckdb is missing")
    with tempfile.TemporaryDirectory() as folder, chunks_of(2):
        at = Path(folder)
        for write in WRITERS:
            path = write(at, example, seed)
            assert_scans_as(path, OutcomeTable.read(path))
        apart = write_folder(at, example, seed + 1)
        for half in ("tasks", "outcomes"):
            split_parquet(pq.read_table(apart / f"{half}.parquet"), at / "many" / half, seed + 1)
        assert_scans_as(at / "many", OutcomeTable.read(apart))
        long = write_long(at, example, seed + 1)
        assert_scans_as(
            split_parquet(pq.read_table(long), at / "long", seed), OutcomeTable.read(long)
        )
        lines = write_csv(at, example, seed + 1)
        header, *records = csv_lines(example, example.outcomes)
        random.Random(seed).shuffle(records)
        lines.write_bytes(header + b"".join(records))
        half = len(records) // 2
        parts = [header + b"".join(records[:half]), header + b"".join(records[half:])]
        (at / "parts").mkdir()
        (at / "parts" / "a.tsv").write_bytes(parts[0])
        (at / "parts" / "b.csv.gz").write_bytes(gzip.compress(parts[1]))
        assert_scans_as(at / "parts", OutcomeTable.read(lines))


@pytest.mark.parametrize("seed", [0, 1])
def test_ids_of_one_hash_are_told_apart(seed: int, tmp_path, monkeypatch) -> None:
    """Hashes only say where to look."""
    monkeypatch.setattr(seen_ids, "hashes_of", lambda ids: np.array([7 for _ in ids], np.int64))
    n = 20
    example = Example(
        ids=[f"t{i}" for i in range(n)],
        prompts=[f"prompt {i}" for i in range(n)],
        groups=[None] * n,
        models=["a", "b"],
        outcomes=[(i, j, 0.5, *[None] * 5) for i in range(n) for j in range(2)],
        embedding=None,
    )
    with chunks_of(3):
        for write in (write_jsonl, write_folder, write_long):
            if write is not write_jsonl:
                pytest.importorskip("duckdb")
            path = write(tmp_path, example, seed)
            assert_scans_as(path, OutcomeTable.read(path))
        rows = [{"task_id": i, "prompt": "p", "outcomes": {"a": 1, "b": 0}} for i in [*range(9), 4]]
        path = jsonl(tmp_path, *rows, name="again.jsonl")
        assert_scan_refused(path, "again.jsonl, line 10", "'4', which line 5 has already")


def real_table(n: int) -> OutcomeTable:
    rng = np.random.default_rng(0)
    score = rng.integers(0, 2, (n, 3)).astype(float)
    score[rng.random((n, 3)) < 0.2] = np.nan
    return OutcomeTable.from_arrays(
        task_ids=[f"t{i}" for i in range(n)],
        prompts=[f"Prompt {i % 1000} " * 5 for i in range(n)],
        models=["c", "a", "b"],
        score=score,
        cost_usd=rng.random((n, 3)),
        groups=[f"g{i % 7}" for i in range(n)],
        embedding=rng.standard_normal((n, 4)),
        name="real",
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["real", "real.jsonl"])
def test_chunks_have_the_size_that_is_promised(name: str, tmp_path) -> None:
    table = real_table(2 * CHUNK_TASKS + 5)
    table.save(tmp_path / name)
    scanned = OutcomeTable.scan(tmp_path / name)
    assert_same_table(scanned.read(), OutcomeTable.read(tmp_path / name))
    assert [chunk.n_tasks for chunk in scanned.chunks()] == [CHUNK_TASKS, CHUNK_TASKS, 5]
    assert [chunk.n_tasks for chunk in table.chunks()] == [CHUNK_TASKS, CHUNK_TASKS, 5]
    assert_same_table(scanned.chunk(2), table.chunk(2))
    assert scanned.name == "real"
    assert isinstance(scanned, hypernova.ScannedTable)
    assert repr(scanned) == repr(table).replace("OutcomeTable", "ScannedTable")


def test_a_chunk_has_the_columns_of_all_models(tmp_path) -> None:
    rows = [
        {"task_id": i, "prompt": "p", "outcomes": {f"m{i}": 1, "m0": 0} if i % 2 else {}}
        for i in range(8)
    ]
    path = jsonl(tmp_path, *rows)
    with chunks_of(3):
        table = OutcomeTable.scan(path)
        assert table.models == ("m0", "m1", "m3", "m5", "m7")
        assert all(chunk.models == table.models for chunk in table.chunks())
        assert table.n_outcomes == OutcomeTable.read(path).n_outcomes == 8


def test_types_of_one_kind_may_differ_between_files(tmp_path) -> None:
    at = tmp_path / "files"
    kinds = [
        (pa.string(), pa.int64(), pa.list_(pa.float32()), pa.null()),
        (pa.large_string(), pa.float32(), pa.list_(pa.float64(), 2), pa.string()),
        (pa.dictionary(pa.int32(), pa.string()), pa.float64(), pa.large_list(pa.float16()), None),
    ]
    for number, (text, score, vector, group) in enumerate(kinds):
        columns = {
            "task_id": pa.array([f"t{number}"] * 2).cast(text),
            "prompt": pa.array(["one"] * 2).cast(text),
            "model": pa.array(["a", "b"]).cast(text),
            "score": pa.array([1, 0]).cast(score),
            "embedding": pa.array([np.array([1, 0], np.float16)] * 2, vector),
        }
        if group is not None:
            columns["group"] = pa.array([None, None], group)
        parquet(at / f"{number}.parquet", columns)
    for size in (2, 100):
        with chunks_of(size):
            table = OutcomeTable.scan(at).read()
            assert table.task_ids == ("t0", "t1", "t2")
            assert table.groups == (None,) * 3
            np.testing.assert_array_equal(table.score, [[1, 0]] * 3)
            np.testing.assert_array_equal(table.embedding, np.array([[1, 0]] * 3, np.float32))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.map_(pa.string(), pa.float64()), [[("a", 1.0), ("b", 0.5)], [("a", 0.0)]]),
        (pa.struct([("a", pa.float64()), ("b", pa.int8())]), [{"a": 1.0, "b": 0}, {"a": 0.0}]),
        (
            pa.struct([("a", pa.bool_()), ("b", pa.float64())]),
            [{"a": True, "b": 0.5}, {"a": False}],
        ),
        (
            pa.large_list(pa.struct([("model", pa.string()), ("score", pa.bool_())])),
            [[{"model": "b", "score": True}, {"model": "a", "score": True}], None],
        ),
    ],
    ids=["map", "struct", "booleans", "list"],
)
def test_scores_alone_may_be_nested(kind, values, tmp_path) -> None:
    columns = {"task_id": [1, 2], "prompt": ["one", "two"], "outcomes": pa.array(values, kind)}
    table = OutcomeTable.scan(parquet(tmp_path / "t.parquet", columns)).read()
    assert table.models == ("a", "b")
    assert table.task_ids == ("1", "2")
    assert table.score[0, 0] == 1
    assert np.isnan(table.cost_usd).all()
    assert np.isnan(table.score[1, 1])


def test_a_pattern_may_name_files_of_many_folders(tmp_path) -> None:
    for number in (1, 2, 10):
        at = tmp_path / f"day={number}"
        at.mkdir()
        jsonl(at, {"task_id": number, "prompt": "p", "outcomes": {"a": 1, "b": 0}})
    table = OutcomeTable.scan(str(tmp_path / "**" / "*.jsonl"))
    assert table.read().task_ids == ("1", "2", "10")
    assert table.name == tmp_path.name


def test_a_path_with_the_signs_of_a_pattern_is_a_path(tmp_path) -> None:
    path = jsonl(
        tmp_path, {"task_id": 1, "prompt": "p", "outcomes": {"a": 1, "b": 0}}, name="[1].jsonl"
    )
    assert OutcomeTable.scan(path).name == "[1]"


def test_two_walks_at_once_do_not_disturb_each_other(tmp_path) -> None:
    rows = [{"task_id": i, "prompt": "p", "outcomes": {"a": 1, "b": 0}} for i in range(9)]
    path = jsonl(tmp_path, *rows)
    packed = tmp_path / "t.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with chunks_of(2):
        for place in (path, packed):
            table = OutcomeTable.scan(place)
            one, other = table.chunks(), table.chunks()
            next(one)
            for left, right in zip([*one], [*other][1:], strict=True):
                assert_same_table(left, right)
            assert table.chunk(3).task_ids == ("6", "7")


def test_a_scanned_table_of_one_model_is_read_where_one_is_enough(tmp_path) -> None:
    path = jsonl(tmp_path, {"task_id": 1, "prompt": "p", "outcomes": {"a": 1}})
    assert OutcomeTable.scan(path, min_models=1).models == ("a",)
    assert_scan_refused(path, "one model only")
