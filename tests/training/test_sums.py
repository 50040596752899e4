"""Sums over tasks: parts and the whole to the last bit, classes of models, bytes.

Not here: estimates made of them (test_profile_estimates, test_learning_oracle).
"""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hypernova.training.estimates.outcome_sums import (
    classes_of,
    sum_groups,
    sum_outcomes,
    sum_outcomes_by_fold,
    sum_pairs,
    sum_pairs_by_fold,
    sum_products,
    sum_tokens,
    sum_tokens_by_fold,
)
from hypernova.training.estimates.sums import Sums, total
from support.factories import unit

NAN = float("nan")
# Scores that float64 cannot hold exactly are the normal case.
SCORES = np.array([0.0, 0.1, 0.25, 1 / 3, 0.7, 1.0])
SEEDS = st.integers(0, 2**32 - 1)


class Tasks:
    """Random tasks with holes; all columns that learning reads."""

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        m, dim, self.k = rng.integers(1, 6), rng.integers(1, 9), int(rng.integers(1, 5))
        self.score = np.where(rng.random((n, m)) < 0.5, rng.choice(SCORES, (n, m)), rng.random())
        self.score = np.where(rng.random((n, m)) < 0.3, rng.random((n, m)), self.score)
        # Models that share their holes in some tasks and not in others.
        holes = rng.random((n, m)) < rng.choice([0.0, 0.4])
        holes |= (rng.random((n, 1)) < rng.choice([0.0, 0.5])) & (rng.random(m) < 0.5)
        self.score[holes] = NAN
        # Cents and thousands of USD in one table, or of one size.
        self.cost = 10.0 ** rng.uniform(rng.choice([-7, 2.9]), 3, (n, m))
        self.latency = 10.0 ** rng.uniform(rng.choice([-3, 3.9]), 4, (n, m))
        for column in (self.cost, self.latency):
            column[holes | (rng.random((n, m)) < rng.choice([0.0, 0.3, 1.0]))] = NAN
        self.tokens = rng.integers(0, 200_000, (2, n, m)) / rng.choice([1.0, 3.0])
        self.tokens[rng.random((2, n, m)) < rng.choice([0.0, 0.3])] = NAN
        self.tokens[:, holes] = NAN
        self.chars = rng.integers(1, 1_000_000, n)
        self.clusters = rng.integers(0, self.k, n)
        self.vectors = unit(rng.normal(size=(n, dim)))

    def sums(self, at) -> Sums:
        """All sums of some tasks, as a fit makes them; the default model is not known yet."""
        score, clusters = self.score[at], self.clusters[at]
        outcomes = sum_outcomes(score, self.cost[at], self.latency[at], clusters, self.k)
        return outcomes.with_sums(
            sum_tokens(*self.tokens[:, at], self.chars[at], clusters, self.k),
            sum_pairs(score, range(score.shape[1]), clusters, self.k),
            sum_products(self.vectors[at], score),
            sum_groups(self.vectors[at], clusters, self.k),
        )


def assert_equal(seen: Sums, expected: Sums) -> None:
    """Every bit, but for classes that are finer than they need be."""
    assert list(seen) == list(expected)
    assert seen.references == expected.references
    owner = {model: i for i, models in enumerate(seen.classes) for model in models}
    rough = {model: i for i, models in enumerate(expected.classes) for model in models}
    assert owner.keys() == rough.keys()
    for name in seen:
        if name.startswith("class_"):
            ours = seen[name][[owner[model] for model in sorted(owner)]]
            theirs = expected[name][[rough[model] for model in sorted(rough)]]
        else:
            ours, theirs = seen[name], expected[name]
        assert np.array_equal(ours, theirs), name


@st.composite
def tasks_in_parts(draw: st.DrawFn) -> tuple[Tasks, list[np.ndarray]]:
    """Tasks and a partition of them into one to five parts, in any order."""
    rng = np.random.default_rng(draw(SEEDS))
    n = draw(st.integers(1, 60))
    part = rng.permutation(np.arange(n) % draw(st.integers(1, 5)))
    parts = [rng.permutation(np.flatnonzero(part == p)) for p in range(part.max() + 1)]
    return Tasks(rng, n), parts


class TestAlgebra:
    @given(tasks_in_parts())
    def test_parts_add_up_to_the_whole_to_the_last_bit(self, drawn) -> None:
        tasks, parts = drawn
        whole = tasks.sums(slice(None))
        assert_equal(total(tasks.sums(part) for part in parts), whole)
        assert_equal(total(tasks.sums(part) for part in reversed(parts)), whole)

    @given(tasks_in_parts())
    def test_the_whole_less_a_part_is_the_rest_to_the_last_bit(self, drawn) -> None:
        tasks, parts = drawn
        assume(len(parts) > 1)
        whole = tasks.sums(slice(None))
        for p, part in enumerate(parts):
            rest = np.concatenate([other for q, other in enumerate(parts) if q != p])
            assert_equal(whole - tasks.sums(part), tasks.sums(rest))

    @given(tasks_in_parts())
    def test_folds_are_summed_as_the_tasks_of_each(self, drawn) -> None:
        tasks, parts = drawn
        folds = np.empty(len(tasks.score), dtype=np.int64)
        for p, part in enumerate(parts):
            folds[part] = p
        columns = tasks.score, tasks.cost, tasks.latency
        by_fold = sum_outcomes_by_fold(*columns, tasks.clusters, tasks.k, folds)
        spent = sum_tokens_by_fold(*tasks.tokens, tasks.chars, tasks.clusters, tasks.k, folds)
        models = range(tasks.score.shape[1])
        pairs = sum_pairs_by_fold(tasks.score, models, tasks.clusters, tasks.k, folds)
        assert len(by_fold) == len(pairs) == len(parts)
        for part, outcomes, tokens, gains in zip(parts, by_fold, spent, pairs, strict=True):
            at = tasks.clusters[part]
            alone = sum_outcomes(*(column[part] for column in columns), at, tasks.k)
            assert_equal(outcomes, alone)
            chars = tasks.chars[part]
            assert_equal(tokens, sum_tokens(*tasks.tokens[:, part], chars, at, tasks.k))
            assert_equal(gains, sum_pairs(tasks.score[part], models, at, tasks.k))

    @given(tasks_in_parts())
    def test_the_order_of_tasks_changes_no_bit(self, drawn) -> None:
        tasks, parts = drawn
        assert_equal(tasks.sums(np.concatenate(parts)), tasks.sums(slice(None)))

    def test_a_table_beyond_one_piece(self) -> None:
        """More vectors than are rounded at a time, costs of thousands of USD in all."""
        rng = np.random.default_rng(0)
        tasks = Tasks(rng, 20_000)
        tasks.cost[:], tasks.latency[:] = (rng.uniform(0, 9, tasks.cost.shape) for _ in range(2))
        tasks.latency *= 400
        tasks.chars %= 10_000
        whole, cut = tasks.sums(slice(None)), int(rng.integers(1, 20_000))
        first, second = tasks.sums(slice(0, cut)), tasks.sums(slice(cut, None))
        assert whole["cost"].max() > 50_000
        assert whole["latency"].max() > 30_000_000
        assert_equal(first + second, whole)
        assert_equal(whole - first, second)

    def test_summands_are_rounded_finer_than_float32(self) -> None:
        """A mean cost or latency of the artifact, float32, is that of the outcomes themselves."""
        rng = np.random.default_rng(0)
        for low, high in ((1e-6, 1e-4), (1e-3, 1.0), (10.0, 1000.0)):
            cost, latency = rng.uniform(low, high, (500, 1)), rng.uniform(0.01, 600, (500, 1))
            none = np.zeros(500, dtype=np.int64)
            sums = sum_outcomes(np.ones((500, 1)), cost, latency, none, 1)
            np.testing.assert_allclose(sums["cost"][0], cost.sum(), rtol=1e-7)
            np.testing.assert_allclose(sums["latency"][0], latency.sum(), rtol=1e-7)

    def test_an_empty_part_adds_nothing(self) -> None:
        tasks = Tasks(np.random.default_rng(3), 30)
        empty, whole = tasks.sums(slice(0, 0)), tasks.sums(slice(None))
        assert all(not empty[name].any() for name in empty)
        assert_equal(whole + empty, whole)
        assert_equal(whole - empty, whole)
        assert_equal(whole - whole, whole.scaled(dict.fromkeys(whole, 0.0)))


class TestClasses:
    def test_models_with_the_same_tasks_share_one(self) -> None:
        score = np.array([[1, NAN, 0, NAN, NAN], [0, 1, 1, 0.5, NAN]], dtype=float)
        assert classes_of(score) == ((0, 2), (1, 3), (4,))
        assert classes_of(np.ones((7, 3))) == ((0, 1, 2),)

    def test_of_a_sum_are_the_coarsest_finer_than_both(self) -> None:
        """Models 0 and 1 part in the first half, 1 and 2 in the second."""
        rng = np.random.default_rng(0)
        score, vectors = np.ones((20, 4)), unit(rng.normal(size=(20, 3)))
        score[3, 0] = score[15, 2] = score[16, 3] = score[15, 3] = NAN
        halves = [sum_products(vectors[h], score[h]) for h in (slice(10), slice(10, None))]
        assert [half.classes for half in halves] == [((0,), (1, 2, 3)), ((0, 1), (2,), (3,))]
        whole = halves[0] + halves[1]
        assert whole.classes == ((0,), (1,), (2,), (3,)) == classes_of(score)
        assert whole["class_n"].tolist() == [19, 20, 19, 18]

    @pytest.mark.parametrize("change", ["names", "references"])
    def test_other_sums_have_no_sum(self, change) -> None:
        score, at = np.ones((5, 3)), np.zeros(5, dtype=np.int64)
        first = sum_pairs(score, [0], at, 1)
        second = sum_pairs(score, [1], at, 1)
        if change == "names":
            second = sum_products(np.eye(5, dtype=np.float32), score)
        with pytest.raises(ValueError, match="different names or references"):
            first + second
        with pytest.raises(ValueError, match="different names or references"):
            first - second

    def test_two_sums_of_one_name_do_not_stand_side_by_side(self) -> None:
        sums = Sums({"n": np.ones(2)})
        with pytest.raises(ValueError, match="share a name"):
            sums.with_sums(Sums({"n": np.zeros(2)}))

    def test_scaled_multiplies_what_is_named(self) -> None:
        sums = Sums({"n": np.array([2.0, 4.0]), "weight": np.array([3.0])}, (1,), ((0, 1),))
        half = sums.scaled({"weight": 0.5})
        assert half["n"].tolist() == [2.0, 4.0]
        assert half["weight"].tolist() == [1.5]
        assert (half.references, half.classes) == (sums.references, sums.classes)
        assert sums["weight"].tolist() == [3.0]


class Burglar:
    """Raises if anything unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("something was unpickled",))


class TestBytes:
    @given(SEEDS, st.integers(1, 30))
    def test_read_back_as_they_were(self, seed, n) -> None:
        sums = Tasks(np.random.default_rng(seed), n).sums(slice(None))
        data = sums.to_bytes()
        back = Sums.from_bytes(data)
        assert (back.references, back.classes) == (sums.references, sums.classes)
        assert list(back) == list(sums)
        for name in sums:
            assert back[name].tobytes() == sums[name].tobytes()
            assert (back[name].dtype, back[name].shape) == (np.float64, sums[name].shape)
        assert back.to_bytes() == data

    @given(tasks_in_parts())
    def test_equal_sums_have_equal_bytes(self, drawn) -> None:
        tasks, parts = drawn
        whole, added = tasks.sums(slice(None)), total(tasks.sums(part) for part in parts)
        assert whole.to_bytes() == tasks.sums(np.concatenate(parts)).to_bytes() == added.to_bytes()

    def test_nothing_is_unpickled(self) -> None:
        file = io.BytesIO()
        about = np.frombuffer(b'{"references": [], "classes": []}', dtype=np.uint8)
        np.savez(file, about=about, n=np.array([Burglar()], dtype=object))
        with pytest.raises(ValueError, match="allow_pickle=False"):
            Sums.from_bytes(file.getvalue())
        with pytest.raises(ValueError, match=r"pickled|magic|not a zip"):
            Sums.from_bytes(pickle.dumps({"n": 1}))

    @pytest.mark.parametrize("kept", [0, 1, 100, -1])
    def test_a_cut_archive_is_refused(self, kept) -> None:
        data = Tasks(np.random.default_rng(0), 9).sums(slice(None)).to_bytes()
        with pytest.raises((ValueError, OSError, EOFError, zipfile.BadZipFile)):
            Sums.from_bytes(data[:kept])
