"""Tables written and read again: equal, whole or not there, and nothing overwritten.

Not here: what a table may hold; test_table has that.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova._core import is_blank
from hypernova.errors import NotFoundError, TableError, TableWriteError
from hypernova.table import OutcomeTable
from hypernova.table.model_names import find_lookalikes, name_problem
from support.commands import run_python
from support.tables import assert_same_table

_prompts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda text: not is_blank(text)
)
_names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs")),
    min_size=1,
    max_size=6,
).filter(lambda text: not text.isspace())


_models = st.lists(
    _names.filter(lambda name: name_problem(name) is None), min_size=2, max_size=4, unique=True
).filter(lambda names: find_lookalikes(names) is None)


@st.composite
def tables(draw: st.DrawFn) -> OutcomeTable:
    ids = draw(st.lists(_names, min_size=1, max_size=5, unique=True))
    models = draw(_models)

    def matrix(values: st.SearchStrategy[float]) -> Any:
        row = st.lists(values, min_size=len(models), max_size=len(models))
        return np.array(draw(st.lists(row, min_size=len(ids), max_size=len(ids))))

    unknown = st.just(math.nan)
    score = matrix(st.floats(0, 1) | unknown)
    score[0, np.isnan(score).all(axis=0)] = 0.5  # a model without outcomes is refused
    tokens = draw(st.sampled_from([unknown, st.floats(0, 1e9) | unknown]))
    vector = st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3).filter(any)
    vectors = st.lists(vector, min_size=len(ids), max_size=len(ids))
    return OutcomeTable.from_arrays(
        task_ids=ids,
        prompts=[draw(_prompts) for _ in ids],
        groups=[draw(st.none() | _names) for _ in ids],
        models=models,
        score=score,
        cost_usd=matrix(st.floats(0, 1e9) | unknown),
        latency_s=matrix(st.floats(0, 1e9) | unknown),
        input_tokens=matrix(tokens),
        output_tokens=matrix(tokens),
        embedding=draw(st.none() | vectors),
    )


@pytest.mark.slow
@given(tables())
def test_what_is_written_reads_equal(table) -> None:
    with tempfile.TemporaryDirectory() as at:
        for name in ("folder", "file.jsonl"):
            path = Path(at) / name
            table.save(path)
            assert_same_table(OutcomeTable.read(path), table)
        assert sorted(p.name for p in Path(at).iterdir()) == ["file.jsonl", "folder"]


TABLE = OutcomeTable.from_arrays(
    task_ids=["x", "y"], prompts=["x", "y"], models=["a", "b"], score=[[1, np.nan], [1, 0]]
)


@pytest.mark.parametrize("name", ["out", "out.jsonl"])
def test_nothing_is_overwritten(name, tmp_path) -> None:
    path = tmp_path / name
    TABLE.save(path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(TableWriteError, match="exists already"):
        TABLE.save(path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    dangling = tmp_path / f"link-{name}"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(TableWriteError, match="exists already"):
        TABLE.save(dangling)


def test_where_no_table_can_be_written(tmp_path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        TABLE.save(tmp_path / "no" / "table")
    for suffix in (".csv", ".parquet"):
        with pytest.raises(TableError, match=rf"\{suffix}.*\.jsonl"):
            TABLE.save(tmp_path / f"table{suffix}")
    with pytest.raises(TableError, match="no tasks"):
        TABLE.subset(np.array([], dtype=np.int64)).save(tmp_path / "table")
    with pytest.raises(TableError, match="'b' has no outcomes"):
        TABLE.subset(np.array([0])).save(tmp_path / "table")
    assert list(tmp_path.iterdir()) == []


def test_jsonl_needs_no_pyarrow(tmp_path) -> None:
    code = f"""
import sys
sys.modules["pyarrow"] = None
from hypernova.errors import MissingExtraError
from hypernova.table import OutcomeTable
table = OutcomeTable.from_arrays(
    task_ids=["x"], prompts=["x"], models=["a", "b"], score=[[1, 0]])
table.save({str(tmp_path / "t.jsonl")!r})
try:
    table.save({str(tmp_path / "t")!r})
except MissingExtraError as error:
    print(error)
"""
    done = run_python("-c", code)
    assert "hypernova-router[train]" in done.stdout, done
    assert [p.name for p in tmp_path.iterdir()] == ["t.jsonl"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out", "out.jsonl"])
def test_a_write_that_fails_leaves_nothing(name, tmp_path) -> None:
    """A full disk, played by a limit on the size of files."""
    code = f"""
import resource
from hypernova.errors import TableWriteError
from hypernova.table import OutcomeTable
table = OutcomeTable.from_arrays(
    task_ids=[str(i) for i in range(500)], prompts=[f"{{i}} " * 50 for i in range(500)],
    models=["a", "b"], score=[[1, 0]] * 500)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    table.save({str(tmp_path / name)!r})
except TableWriteError as error:
    print(error)
"""
    done = run_python("-c", code)
    assert done.stdout.count("\n") == 1, done
    assert f"{tmp_path / name}: cannot be written" in done.stdout
    assert list(tmp_path.iterdir()) == []
