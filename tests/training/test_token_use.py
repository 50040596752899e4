"""Means of tokens and lines from characters to tokens, against loops and other solvers.

Not here: the sums themselves (test_sums).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

import hypernova
from hypernova.table import OutcomeTable
from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.estimates.outcome_sums import sum_tokens
from hypernova.training.estimates.sums import Sums, total
from hypernova.training.estimates.token_use import MIN_LINE_OUTCOMES, TokenUse
from hypernova.training.partition import find_partition
from hypernova.training.placed_tasks import PlacedTasks
from support.factories import make_table, unit

NAN = float("nan")
SEEDS = st.integers(0, 2**32 - 1)


def use_of(tokens, chars, output=None, clusters=None, k: int = 1) -> TokenUse:
    tokens = np.asarray(tokens, dtype=float)
    output = np.full_like(tokens, NAN) if output is None else output
    clusters = np.zeros(len(tokens), dtype=np.int64) if clusters is None else clusters
    found = TokenUse.of(sum_tokens(tokens, output, np.asarray(chars), clusters, k))
    assert found is not None
    return found


class TestMeans:
    @given(SEEDS)
    def test_they_are_those_of_a_loop(self, seed) -> None:
        rng = np.random.default_rng(seed)
        n, m, k = int(rng.integers(1, 40)), 3, int(rng.integers(1, 4))
        tokens = rng.integers(0, 90_000, (2, n, m)).astype(float)
        tokens[rng.random((2, n, m)) < rng.choice([0.0, 0.5, 0.9])] = NAN
        tokens[0, 0, 0] = 5.0
        clusters = rng.integers(0, k, n)
        use = use_of(tokens[0], np.ones(n, dtype=int), tokens[1], clusters, k)
        for name, values in zip(("input_tokens", "output_tokens"), tokens, strict=True):
            seen = getattr(use, name)
            assert seen.dtype == np.float32
            assert seen.shape == (k + 1, m)
            for j in range(m):
                known = values[~np.isnan(values[:, j]), j]
                overall = known.mean() if len(known) else NAN
                np.testing.assert_allclose(seen[k, j], overall, rtol=1e-6)
                for cell in range(k):
                    own = values[(clusters == cell) & ~np.isnan(values[:, j]), j]
                    expected = own.mean() if len(own) else overall
                    np.testing.assert_allclose(seen[cell, j], expected, rtol=1e-6)

    def test_rows_are_those_of_the_sums(self) -> None:
        tokens = np.arange(12.0).reshape(6, 2)
        sums = sum_tokens(tokens, tokens, np.arange(1, 7), np.array([0, 1, 2, 0, 1, 2]), 3)
        whole, some = TokenUse.of(sums), TokenUse.of(sums.of_cells(np.array([2, 0])))
        assert whole is not None
        assert some is not None
        np.testing.assert_array_equal(some.input_tokens, whole.input_tokens[[2, 0, 3]])
        np.testing.assert_array_equal(some.prompt_tokens, whole.prompt_tokens)


class TestLines:
    @given(SEEDS)
    def test_they_are_least_squares_without_negative_numbers(self, seed) -> None:
        """The oracle is another solver, on the outcomes themselves."""
        rng = np.random.default_rng(seed)
        n = int(rng.integers(MIN_LINE_OUTCOMES, 60))
        chars = rng.integers(1, 5000, n)
        chars[:2] = 1, 4000
        slope, base = rng.choice([-0.05, 0.0, 0.25, 1.0]), rng.choice([-300.0, 0.0, 40.0, 2000.0])
        tokens = np.rint(np.maximum(base + slope * chars + rng.normal(0, 30, n), 1.0))
        seen = use_of(tokens[:, None], chars).prompt_tokens
        assert seen.dtype == np.float32
        design = np.stack([np.ones(n), chars], axis=1)
        expected = nnls(design, tokens, maxiter=1000)[0]
        np.testing.assert_allclose(seen[0], expected, rtol=1e-4, atol=1e-4)

    def test_a_line_within_the_bounds_is_that_of_polyfit(self) -> None:
        rng = np.random.default_rng(0)
        chars = rng.integers(10, 8000, (500,))
        tokens = np.rint(35 + 0.27 * chars + rng.normal(0, 20, 500))
        holes = rng.random((500, 2)) < 0.3
        both = np.where(holes, NAN, tokens[:, None] * [1, 2])
        seen = use_of(both, chars).prompt_tokens
        for m in range(2):
            known = ~holes[:, m]
            slope, base = np.polyfit(chars[known], both[known, m], 1)
            np.testing.assert_allclose(seen[m], [base, slope], rtol=1e-5)

    def test_few_outcomes_take_the_slope_of_all_models(self) -> None:
        rng = np.random.default_rng(1)
        chars = rng.integers(100, 4000, 200)
        tokens = np.stack([20 + 0.25 * chars, 90 + 0.25 * chars], axis=1)
        tokens[MIN_LINE_OUTCOMES - 1 :, 1] = NAN
        seen = use_of(tokens, chars).prompt_tokens
        np.testing.assert_allclose(seen, [[20, 0.25], [90, 0.25]], rtol=1e-4)
        # Of one outcome, which two tokens a character would not fit otherwise.
        tokens[1:, 1] = NAN
        tokens[0, 1] = 7
        seen = use_of(tokens, chars).prompt_tokens
        np.testing.assert_allclose(seen[1], [0, 7 / chars[0]], rtol=1e-6)

    def test_prompts_of_one_length_give_the_mean(self) -> None:
        tokens = np.arange(40.0).reshape(20, 2)
        tokens[:, 1] = NAN
        seen = use_of(tokens, np.full(20, 123)).prompt_tokens
        np.testing.assert_array_equal(seen, [[19, 0], [NAN, NAN]])

    def test_a_model_of_one_length_takes_the_slope_of_others(self) -> None:
        chars = np.array([1000] * 20 + list(range(100, 3100, 100)))
        tokens = np.full((50, 2), NAN)
        tokens[:20, 0] = 400
        tokens[20:, 1] = 50 + 0.2 * chars[20:]
        seen = use_of(tokens, chars).prompt_tokens
        np.testing.assert_allclose(seen, [[200, 0.2], [50, 0.2]], rtol=1e-5)


class TestTables:
    def of(self, tokens: np.ndarray | None) -> PlacedTasks:
        rng = np.random.default_rng(0)
        n = 40
        table = make_table(
            unit(rng.normal(size=(n, 4))),
            (rng.random((n, 2)) < 0.5).astype(float),
            input_tokens=tokens,
            output_tokens=tokens,
        )
        partition = find_partition(table.groups, table.embedding, n, 2)
        return PlacedTasks.of(table, table.embedding, partition)

    def test_sums_of_tokens_exist_where_the_table_has_tokens(self) -> None:
        plain = self.of(None).sums(range(2))
        assert not [name for name in plain if "tokens" in name or "chars" in name]
        assert TokenUse.of(plain) is None
        tokens = np.arange(80.0).reshape(40, 2)
        placed = self.of(tokens)
        use = TokenUse.of(placed.sums(range(2)))
        assert use is not None
        np.testing.assert_allclose(use.input_tokens[-1], tokens.mean(axis=0), rtol=1e-6)
        line = use_of(tokens, [len(p) for p in placed.table.prompts]).prompt_tokens
        np.testing.assert_array_equal(use.prompt_tokens, line)

    @given(SEEDS)
    def test_pieces_with_and_without_tokens_add_up(self, seed) -> None:
        rng = np.random.default_rng(seed)
        tokens = rng.integers(0, 900, (40, 2)).astype(float)
        parts = np.array_split(np.arange(40), 4)
        for part in parts:
            if rng.random() < 0.5:
                tokens[part] = NAN
        placed = self.of(tokens)
        each = []
        for part in parts:
            table, vectors = placed.table.subset(part), placed.table.embedding[part]
            own = PlacedTasks.of(table, vectors, placed.partition, Coordinates(vectors))
            each.append(own.sums(range(2)))
        whole = placed.sums(range(2))
        for seen in (total(each), total(each[::-1])):
            assert set(seen) == set(whole)
            for name in whole:
                if not name.startswith("class_"):
                    np.testing.assert_array_equal(seen[name], whole[name], err_msg=name)
        rest = whole - each[1]
        for name in rest:
            if "tokens" in name or name.startswith("chars"):
                others = total([each[0], each[2], each[3]])
                expected = others[name] if name in others else np.zeros_like(rest[name])
                np.testing.assert_array_equal(rest[name], expected, err_msg=name)
        if (~np.isnan(tokens)).any():
            assert TokenUse.of(whole - whole) is None

    def test_other_names_still_have_no_sum(self) -> None:
        with pytest.raises(ValueError, match="different names"):
            _ = Sums({"n": np.ones(1)}) + Sums({"score": np.ones(1)})


def test_a_table_with_tokens_fits_to_the_same_artifact(tmp_path) -> None:
    """Tokens inform costs under prices; no estimate of success reads them."""
    rng = np.random.default_rng(3)
    vectors = unit(rng.normal(size=(120, 8)))
    score = (rng.random((120, 3)) < [0.4, 0.6, 0.7]).astype(float)
    tokens = rng.integers(1, 900, (120, 3)).astype(float)
    plain = make_table(vectors, score)
    spent = make_table(vectors, score, input_tokens=tokens, output_tokens=tokens)
    one, other = hypernova.fit(plain), hypernova.fit(spent)
    np.testing.assert_array_equal(one.success, other.success)
    priced = hypernova.fit(spent.priced(dict.fromkeys(spent.models, (1.0, 3.0))))
    np.testing.assert_allclose(priced.cost[-1], 4 * tokens.mean(axis=0) / 1e6, rtol=1e-5)
    with OutcomeTable.scan(_saved(spent, tmp_path)) as scanned:
        again = hypernova.fit(scanned.priced(dict.fromkeys(spent.models, (1.0, 3.0))))
    assert again.cost.tobytes() == priced.cost.tobytes()


def _saved(table: OutcomeTable, folder):
    table.save(folder / "table")
    return folder / "table"
