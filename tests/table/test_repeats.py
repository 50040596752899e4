"""Test repeats: several outcomes of one model on one task are one, with a number behind it.

Not here: what they change in estimates (tests/training/test_effective_outcomes.py).
"""

from __future__ import annotations

import math
import pickle
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova.table import OutcomeTable, Repeats
from support.scanned import assert_scan_refused, assert_scans_as, chunks_of, nested, split_parquet
from support.strategies import examples
from support.tables import (
    ARRAYS,
    NUMBERS,
    WRITERS,
    Example,
    assert_arrays_refused,
    assert_read_refused,
    assert_same_table,
    csv_file,
    folder,
    jsonl,
    long_parquet,
    write_csv,
    write_long,
)

HEADER = "task_id,prompt,model,score,cost_usd,n"


@st.composite
def repeated_examples(draw: st.DrawFn) -> Example:
    """Tables in which each outcome may stand up to four times, with other numbers."""
    example = draw(examples())
    again = []
    for task, model, *_ in example.outcomes:
        for _ in range(draw(st.integers(0, 3))):
            amount = st.none() | st.floats(0, 1e6)
            numbers = draw(st.tuples(st.floats(0, 1), *[amount] * 4, st.none() | st.integers(1, 9)))
            again.append((task, model, *numbers))
    return replace(example, outcomes=[*example.outcomes, *again])


def merged_by_definition(example: Example) -> dict[tuple[int, int], list[float]]:
    """Return the numbers of each cell: weighted means of the known, and the sum of `n`."""
    cells: dict[tuple[int, int], list[Any]] = {}
    for task, model, *numbers in example.outcomes:
        cells.setdefault((task, model), []).append(numbers)
    found = {}
    for cell, rows in cells.items():
        weights = [row[-1] or 1 for row in rows]
        means = []
        for i in range(len(NUMBERS) - 1):
            known = [
                (row[i], w) for row, w in zip(rows, weights, strict=True) if row[i] is not None
            ]
            total = math.fsum(w for _, w in known)
            means.append(math.fsum(v * w for v, w in known) / total if known else math.nan)
        found[cell] = [*means, sum(weights)]
    return found


@settings(max_examples=8, deadline=None)
@given(repeated_examples(), st.integers(0, 99))
def test_every_form_and_order_of_rows_is_merged_alike(example: Example, seed: int) -> None:
    in_order = replace(example, outcomes=sorted(example.outcomes, key=lambda outcome: outcome[0]))
    with tempfile.TemporaryDirectory() as at, chunks_of(2):
        want = OutcomeTable.read(write_long(Path(at), in_order, 0))
        for writer in WRITERS[:3]:
            assert_same_table(OutcomeTable.read(writer(Path(at), in_order, 0)), want)
            mixed = OutcomeTable.read(writer(Path(at), example, seed))
            order = np.array([mixed.task_ids.index(task_id) for task_id in want.task_ids])
            assert_same_table(mixed.subset(order), want)
        lines = OutcomeTable.read(write_csv(Path(at), in_order, 0))
        assert_same_table(lines, want, embedding=False)
        tasks = list(range(len(example.ids)))
        for shape in ("list", "map"):
            assert_scans_as(
                split_parquet(nested(in_order, tasks, shape), Path(at) / shape, seed), want
            )
    for (task, model), numbers in merged_by_definition(example).items():
        place = task, want.models.index(example.models[model])
        found = [getattr(want, name)[place] for name in NUMBERS]
        np.testing.assert_allclose(found, numbers, rtol=1e-12, atol=1e-300)


@settings(max_examples=4, deadline=None)
@given(repeated_examples(), st.integers(0, 99))
def test_scanned_repeats_are_those_in_memory(example: Example, seed: int) -> None:
    pytest.importorskip("duckdb", reason="joins NOT tested: duckdb is missing")
    with tempfile.TemporaryDirectory() as at, chunks_of(2):
        for writer in WRITERS:
            path = writer(Path(at), example, seed)
            assert_scans_as(path, OutcomeTable.read(path))


@settings(max_examples=8, deadline=None)
@given(repeated_examples())
def test_merged_rows_and_a_saved_table_read_as_the_repeats(example: Example) -> None:
    with tempfile.TemporaryDirectory() as at:
        table = OutcomeTable.read(write_long(Path(at), example, 0))
        for name in ("saved", "saved.jsonl"):
            table.save(Path(at) / name)
            assert_same_table(OutcomeTable.read(Path(at) / name), table)
    assert_same_table(pickle.loads(pickle.dumps(table)), table)
    arrays = {name: getattr(table, name) for name in NUMBERS}
    about = {"task_ids": table.task_ids, "prompts": table.prompts, "groups": table.groups}
    again = OutcomeTable.from_arrays(**arrays, **about, models=table.models)
    assert_same_table(again, table, embedding=False)
    chunks = [table.subset(np.array([task])) for task in range(table.n_tasks)]
    assert_same_table(OutcomeTable.concatenated(chunks), table)
    known = table.n[~np.isnan(table.score)]
    assert table.repeats == Repeats((known > 1).sum(), known.max(), known.sum())
    assert table.has_repeats == (known > 1).any()


def test_epochs_one_after_the_other_are_joined(tmp_path: Path) -> None:
    """As evaluation logs have them: all tasks, and all of them again."""
    pytest.importorskip("duckdb", reason="joins NOT tested: duckdb is missing")
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 2, (4, 9, 2))
    rows = [
        f"t{task},p{task},{'ab'[model]},{scores[epoch, task, model]},{epoch},"
        for epoch in range(4)
        for task in range(9)
        for model in range(2)
    ]
    path = csv_file(tmp_path, HEADER, *rows)
    table = OutcomeTable.read(path)
    np.testing.assert_array_equal(table.score, scores.mean(axis=0))
    np.testing.assert_array_equal(table.n, np.full((9, 2), 4.0))
    np.testing.assert_array_equal(table.cost_usd, np.full((9, 2), 1.5))
    with chunks_of(2):
        assert_scans_as(path, table)


def test_a_table_without_repeats_holds_one_number_for_all(tmp_path: Path) -> None:
    table = OutcomeTable.read(long_parquet(tmp_path))
    assert table.n.strides == (0, 0)
    assert table.n.shape == (2, 2)
    assert (table.n == 1.0).all()
    assert not table.has_repeats
    assert table.repeats == Repeats(0, 1, 4)
    ones = OutcomeTable.read(long_parquet(tmp_path, n=[1, None, 1, 1]))
    for same in (ones, table.subset(np.array([1])), pickle.loads(pickle.dumps(table))):
        assert same.n.strides == (0, 0)
    ones.save(tmp_path / "saved")
    assert "n" not in pa.parquet.read_schema(tmp_path / "saved/outcomes.parquet").names
    with pytest.raises(ValueError, match="read-only"):
        table.n[0, 0] = 2.0


def test_a_score_that_stands_for_several_weighs_as_many(tmp_path: Path) -> None:
    rows = ["t,p,a,0.5,2,10", "t,p,b,1,,", "t,p,a,1,,", "t,p,a,0,8,1"]
    table = OutcomeTable.read(csv_file(tmp_path, HEADER, *rows))
    np.testing.assert_array_equal(table.score, [[0.5, 1.0]])
    np.testing.assert_array_equal(table.cost_usd, [[28 / 11, np.nan]])
    np.testing.assert_array_equal(table.n, [[12, 1]])


def test_a_number_of_outcomes_is_dropped_in_holes_and_may_be_huge() -> None:
    n = [[2, 3], [7, 2**53], [1, np.nan]]
    table = OutcomeTable.from_arrays(**ARRAYS, n=n)
    # The models are sorted: a, b.
    np.testing.assert_array_equal(table.n, [[3, 2], [2**53, 1], [1, 1]])


@pytest.mark.parametrize("bad", [0, -1, 1.5, math.inf, 2.0**53 + 2])
def test_another_number_than_a_whole_one_is_refused_in_every_form(bad: float, tmp_path) -> None:
    told = f"found {float(bad)!r}", "n is the number of outcomes behind a score", "'n'"
    outcome: Any = {"score": 1, "n": bad}
    row = {
        "task_id": "t",
        "prompt": "p",
        "outcomes": {"a": {"score": 1, "n": 3}, "b": [1, outcome]},
    }
    if math.isfinite(bad):
        assert_read_refused(jsonl(tmp_path, row), *told, "line 1", "task 't', model 'b'")
        path = csv_file(tmp_path, HEADER, "t,p,a,1,,", f"t,p,b,1,,{bad!r}")
        assert_read_refused(path, *told, "line 3", "task 't', model 'b'")
        assert_scan_refused(path, *told, "line 3", "task 't', model 'b'")
    for path in (
        long_parquet(tmp_path, n=[2.0, 3.0, None, bad]),
        folder(tmp_path, outcomes={"n": [2.0, 3.0, None, bad]}),
    ):
        assert_read_refused(path, *told) if path.is_file() else None
        assert_scan_refused(path, *told, "row 4", "task 't1', model 'b'")
    assert_arrays_refused(*told, "index 1", n=[[1, 2], [1, bad], [1, 1]])


def test_a_number_of_outcomes_of_another_type_or_twice_is_refused(tmp_path: Path) -> None:
    for odd in ("3", True, [3]):
        row = {"task_id": "t", "prompt": "p", "outcomes": {"a": {"score": 1, "n": odd}}}
        assert_read_refused(jsonl(tmp_path, row), "line 1", "'n'", "write a number")
    twice = '{"task_id": "t", "prompt": "p", "outcomes": {"a": {"score": 1, "n": 2, "n": 3}}}'
    assert_read_refused(jsonl(tmp_path, twice), "line 1", "'n'", "twice")
    assert_read_refused(csv_file(tmp_path, f"{HEADER},n", "t,p,a,1,,2,2"), "'n'", "twice")
    assert_read_refused(csv_file(tmp_path, HEADER, "t,p,a,1,,two"), "line 2", "'n'", "'two'")
    assert_read_refused(long_parquet(tmp_path, n=["1"] * 4), "'n'", "column of type string")
    assert_arrays_refused("'n'", "shape (1, 2)", n=[[1, 2]])
