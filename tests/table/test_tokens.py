"""Tokens of outcomes: checked as costs are, free where none are known, and priced.

Not here: files of prices (test_prices), and the forms of files (test_table, test_scan, test_write).
"""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.errors import PriceError
from hypernova.table import OutcomeTable
from support.scanned import assert_scan_refused, chunks_of
from support.tables import (
    TASK,
    assert_arrays_refused,
    assert_read_refused,
    assert_same_table,
    csv_file,
    folder,
    jsonl,
    long_parquet,
)

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")
TOKENS = ("input_tokens", "output_tokens")
OPTIONAL_NUMBERS = ("cost_usd", "latency_s", *TOKENS)


def table(n: int = 6, **changes: object) -> OutcomeTable:
    """Models a, b and c; a hole of a, unknown tokens of b."""
    score = np.full((n, 3), 0.5)
    score[1, 0] = NAN
    tokens = np.arange(3.0 * n).reshape(n, 3)
    tokens[2, 1] = NAN
    values = {
        "cost_usd": np.full((n, 3), 7.0),
        "input_tokens": tokens,
        "output_tokens": tokens * 10,
    }
    return OutcomeTable.from_arrays(
        task_ids=[f"t{i}" for i in range(n)],
        prompts=[f"prompt {i}" for i in range(n)],
        models=["a", "b", "c"],
        score=score,
        **(values | changes),
    )


class TestChecks:
    @pytest.mark.parametrize("name", OPTIONAL_NUMBERS)
    @pytest.mark.parametrize("bad", [-1, float("inf"), 1e300])
    def test_numbers_out_of_range_are_refused_in_every_form(self, tmp_path, name, bad) -> None:
        rule = f"{name} are" if name in TOKENS else f"a {name} is"
        told = f"{rule} not negative and at most 1e+12; leave it empty where it is not known"
        told = told.partition("; ")[0]
        value = "1e999" if bad == float("inf") else bad
        row = {"task_id": "t", "prompt": "p", "outcomes": {"a": {"score": 1, name: bad}, "b": 0}}
        paths = [
            jsonl(tmp_path, TASK, row),
            csv_file(
                tmp_path,
                f"task_id,prompt,model,score,{name}",
                "t,p,a,1,",
                f"t,p,b,1,{value}",
            ),
            long_parquet(tmp_path, **{name: [1.0, 2.0, bad, 0.0]}),
            folder(tmp_path, outcomes={name: [1.0, 2.0, bad, 0.0]}),
        ]
        for path in paths:
            assert_read_refused(path, name, told) if path.is_file() else None
            assert_scan_refused(path, name, told)
        assert_arrays_refused(name, told, **{name: [[1, 2], [1, bad], [bad, 1]]})

    def test_another_type_and_another_shape_are_refused(self, tmp_path) -> None:
        row = {"task_id": "t", "prompt": "p", "outcomes": {"a": {"score": 1, TOKENS[0]: "9"}}}
        assert_read_refused(jsonl(tmp_path, row), "input_tokens", "found '9'", "line 1")
        assert_read_refused(long_parquet(tmp_path, input_tokens=["1"] * 4), "column of type string")
        assert_arrays_refused("output_tokens", "shape (1, 2)", output_tokens=[[1, 2]])

    def test_files_of_a_folder_may_have_tokens_or_none(self, tmp_path: Path) -> None:
        whole = table()
        whole.save(tmp_path / "whole")
        many = tmp_path / "many"
        (many / "outcomes").mkdir(parents=True)
        (tmp_path / "whole" / "tasks.parquet").rename(many / "tasks.parquet")
        outcomes = pq.read_table(tmp_path / "whole" / "outcomes.parquet")
        pq.write_table(outcomes.slice(0, 6).drop_columns(list(TOKENS)), many / "outcomes/1.parquet")
        pq.write_table(outcomes.slice(6), many / "outcomes/2.parquet")
        with chunks_of(2), OutcomeTable.scan(many) as scanned:
            read = scanned.read()
            assert [chunk.has_tokens for chunk in scanned.chunks()] == [False, True, True]
        for name in TOKENS:
            expected = getattr(whole, name).copy()
            expected.flat[:7] = NAN  # six outcomes and a hole
            np.testing.assert_array_equal(getattr(read, name), expected)


def peak_of_copy(whole: OutcomeTable) -> int:
    """Bytes at the peak of taking all tasks of a table."""
    rows = np.arange(whole.n_tasks)
    tracemalloc.start()
    whole.subset(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


class TestUnknown:
    def test_a_table_without_tokens_pays_for_none(self, tmp_path) -> None:
        plain = table(5000, input_tokens=None, output_tokens=np.full((5000, 3), NAN))
        assert not plain.has_tokens
        plain.save(tmp_path / "folder")
        columns = pq.read_schema(tmp_path / "folder" / "outcomes.parquet").names
        assert not set(TOKENS) & set(columns)
        again = OutcomeTable.read(tmp_path / "folder")
        parts = [again.subset(np.arange(9)), again.subset(np.arange(9, 5000))]
        for each in (
            plain,
            again,
            *parts,
            OutcomeTable.concatenated(parts),
            pickle.loads(pickle.dumps(again)),
            copy.deepcopy(again),
        ):
            assert not each.has_tokens
            for name in TOKENS:
                tokens = getattr(each, name)
                assert tokens.shape == each.score.shape
                assert tokens.strides == (0, 0), "a view of one number"
                assert np.isnan(tokens).all()
                assert not tokens.flags.writeable
        # Three arrays of 8 bytes a cell, and not five.
        assert len(pickle.dumps(again)) < 5000 * 3 * 8 * 3.5 + 5000 * 30
        spent = table(5000)
        assert peak_of_copy(spent) - peak_of_copy(again) > 2 * 5000 * 3 * 7

    def test_known_tokens_are_kept_by_every_copy(self) -> None:
        whole = table()
        parts = [whole.subset(np.array([4, 0])), whole.subset(np.array([2, 1]))]
        for name in TOKENS:
            values = getattr(whole, name)
            together = getattr(OutcomeTable.concatenated(parts), name)
            np.testing.assert_array_equal(together, values[[4, 0, 2, 1]])
        assert_same_table(pickle.loads(pickle.dumps(whole)), whole)
        with pytest.raises(ValueError, match="read-only"):
            whole.input_tokens[0] = 1
        one = table(input_tokens=None)
        assert one.has_tokens
        assert_same_table(pickle.loads(pickle.dumps(one)), one)
        known_and_not = [whole.subset(np.array([1])), one.subset(np.array([3]))]
        mixed = OutcomeTable.concatenated(known_and_not)
        np.testing.assert_array_equal(mixed.input_tokens, [whole.input_tokens[1], [NAN] * 3])


prices = st.dictionaries(
    st.sampled_from("abc"),
    st.floats(0, 1e3) | st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)),
)


class TestPriced:
    @given(prices)
    def test_costs_are_those_of_a_loop_over_outcomes(self, given_prices) -> None:
        plain = table()
        seen = plain.priced(given_prices)
        n_computed = 0
        for (t, m), score in np.ndenumerate(plain.score):
            price = given_prices.get(plain.models[m])
            if price is None:
                expected = plain.cost_usd[t, m]
            elif np.isnan(score):
                expected = NAN
            elif isinstance(price, tuple):
                n_in, n_out = plain.input_tokens[t, m], plain.output_tokens[t, m]
                expected = (n_in * price[0] + n_out * price[1]) / 1e6
            else:
                expected = price
            n_computed += price is not None and not np.isnan(expected)
            np.testing.assert_allclose(seen.cost_usd[t, m], expected, rtol=1e-12)
        assert plain.count_priced(given_prices) == n_computed
        assert (plain.cost_usd[~np.isnan(plain.cost_usd)] == 7.0).all(), "a copy"
        assert not seen.cost_usd.flags.writeable
        np.testing.assert_array_equal(seen.input_tokens, plain.input_tokens)

    @pytest.mark.parametrize("form", ["folder", "table.jsonl"])
    def test_chunks_are_priced_when_they_are_read(self, tmp_path, form) -> None:
        table().save(tmp_path / form)
        want = {"a": (2.0, 8.0), "b": 0.5}
        expected = table().priced(want)
        with chunks_of(2), OutcomeTable.scan(tmp_path / form) as scanned:
            priced = scanned.priced({"a": 1.0}).priced(want)
            assert priced.count_priced(want) == table().count_priced(want) == 11
            for each in (priced, pickle.loads(pickle.dumps(priced))):
                assert_same_table(each.read(), expected)
                assert_same_table(each.chunk(1), expected.subset(np.array([2, 3])))
            assert_same_table(scanned.read(), table())

    def test_an_outcome_that_stands_twice_is_counted_once(self, tmp_path) -> None:
        header = "task_id,prompt,model,score,input_tokens,output_tokens"
        lines = csv_file(tmp_path, header, "t,p,a,1,5,6", "t,p,a,1,5,6", "t,p,b,0,1,")
        with OutcomeTable.scan(lines) as scanned:
            assert scanned.n_outcomes == 2
            assert scanned.count_priced({"a": (1, 1), "b": (1, 1)}) == 1

    @pytest.mark.parametrize(
        ("given_prices", "parts"),
        [
            ({"d": 1.0}, ("'d'", "has no outcomes", "'a', 'b', 'c'")),
            ({"a": -1.0}, ("'a'", "found -1.0", "from 0 to 1e+12")),
            ({"a": (1.0, 1e300)}, ("'a'", "found 1e+300")),
            ({"a": (1.0, NAN)}, ("'a'", "found nan")),
            ({"a": (1.0,)}, ("'a'", "one number in a list")),
            ({"a": "1"}, ("'a'", "found '1'")),
            ({"a": True}, ("'a'", "found True")),
        ],
    )
    def test_malformed_prices_are_refused_at_once(self, tmp_path, given_prices, parts) -> None:
        table().save(tmp_path / "t.jsonl")
        with OutcomeTable.scan(tmp_path / "t.jsonl") as scanned:
            for each in (table(), scanned):
                for method in (each.priced, each.count_priced):
                    with pytest.raises(PriceError) as caught:
                        method(given_prices)
                    assert str(caught.value).isprintable()
                    assert all(part in str(caught.value) for part in parts)


class TestMissingCosts:
    def test_known_costs_stay_and_unknown_ones_follow_from_tokens(self) -> None:
        table = OutcomeTable.from_arrays(
            task_ids=["a", "b", "c", "d"],
            prompts=["one", "two", "three", "four"],
            models=["m", "other"],
            score=[[1, 1], [0, 1], [1, 0], [np.nan, 1]],
            cost_usd=[[0.0, np.nan], [0.5, np.nan], [np.nan, 0.25], [np.nan, np.nan]],
            input_tokens=[[100, 100], [100, 100], [100, 100], [100, np.nan]],
            output_tokens=[[10, 10], [10, 10], [10, 10], [10, 10]],
        )
        filled = table.with_missing_costs({"m": (2.0, 8.0), "other": (1.0, 1.0)})
        np.testing.assert_allclose(
            filled.cost_usd,
            # A cost of 0 is what the log says; a hole has none, nor has an outcome without tokens.
            [[0.0, 110e-6], [0.5, 110e-6], [280e-6, 0.25], [np.nan, np.nan]],
        )
        assert np.isnan(table.cost_usd[2, 0])
        one = table.with_missing_costs({"m": 0.125})
        np.testing.assert_array_equal(one.cost_usd[:, 0], [0.0, 0.5, 0.125, np.nan])
        np.testing.assert_array_equal(one.cost_usd[:, 1], table.cost_usd[:, 1])
        with pytest.raises(PriceError, match="has no outcomes there"):
            table.with_missing_costs({"misspelt": 1.0})

    @given(st.data())
    def test_it_is_priced_where_the_cost_is_unknown_and_nothing_else(self, data) -> None:
        costs = st.one_of(st.just(np.nan), st.floats(0, 10))
        cost = np.array(
            data.draw(st.lists(st.lists(costs, min_size=2, max_size=2), min_size=3, max_size=3))
        )
        cost[0] = np.nan
        tokens = data.draw(
            st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=3, max_size=3)
        )
        table = OutcomeTable.from_arrays(
            task_ids=["a", "b", "c"], prompts=["one", "two", "three"], models=["m", "n"],
            score=np.ones((3, 2)), cost_usd=cost, input_tokens=tokens, output_tokens=tokens,
        )  # fmt: skip
        prices = {"m": (2.0, 8.0), "n": 0.5}
        filled = table.with_missing_costs(prices)
        known = ~np.isnan(cost)
        np.testing.assert_array_equal(filled.cost_usd[known], cost[known])
        np.testing.assert_array_equal(
            filled.cost_usd[~known], table.priced(prices).cost_usd[~known]
        )
