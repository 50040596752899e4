"""The margin: kinds of task left out by subtraction, gains under each margin, and the choice.

The oracles are plain loops over tasks; the worlds have a known best answer.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.errors import FitError
from hypernova.training.cross_validation import CrossValidation, count_kind_folds, deal_kinds
from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.margin import (
    FEW_TASKS,
    MARGINS,
    NEW_KIND,
    ClaimedGains,
    GainsByMargin,
    choose_margin,
)
from hypernova.training.partition import find_partition
from hypernova.training.placed_tasks import PlacedTasks
from hypernova.training.trainer import learn
from hypernova.training.training_part import TrainingPart
from support.factories import make_table, uneven_table, unit


class TestKinds:
    @given(
        kinds=st.lists(st.integers(0, 9), min_size=1, max_size=60).map(np.array),
        folds=st.integers(1, 10),
    )
    def test_whole_kinds_in_folds_of_about_equal_size(self, kinds, folds) -> None:
        present, sizes = np.unique(kinds, return_counts=True)
        folds = min(folds, len(present))
        fold = deal_kinds(kinds, folds)
        assert set(fold.tolist()) == set(range(folds))
        for kind in present:
            assert len(set(fold[kinds == kind].tolist())) == 1
        load = np.bincount(fold)
        assert load.max() - load.min() <= sizes.max()
        if folds == len(present):
            assert sorted(load.tolist()) == sorted(sizes.tolist())

    @pytest.mark.parametrize("source", ["prompts", "groups"])
    @pytest.mark.parametrize("holes", [0.0, 0.4])
    def test_learns_what_the_other_kinds_alone_give(self, source, holes) -> None:
        """Of the sums of all tasks those of the kinds are subtracted; rows that are empty go."""
        table, vectors = uneven_table(180, 16, holes)
        partition = find_partition(table.groups, vectors, 180, 7 if source == "prompts" else None)
        folds = CrossValidation(table, vectors, partition, 0)
        left_out = list(folds.left_out())
        assert len(left_out) == count_kind_folds(folds.kinds) > 1
        assert sorted(np.concatenate([fold.test for fold in left_out])) == list(range(180))
        for fold in left_out:
            train = np.setdiff1d(np.arange(180), fold.test)
            assert not set(folds.kinds[fold.test]) & set(folds.kinds[train])
            placed = PlacedTasks.of(
                table.subset(train), vectors[train], partition, Coordinates(vectors[train])
            )
            direct = TrainingPart.of(table.models, placed.sums(None), partition, None)
            seen, estimates = folds.training(fold), folds.estimate(fold)
            assert np.array_equal(seen.rates, direct.rates)
            rows = slice(None)
            if source == "prompts":
                # A prompt of a cluster that was left out is nearest to another one.
                rows = np.unique(folds.kinds[train])
                assert np.array_equal(seen.found.centroids, partition.clusters.centroids[rows])
            success = direct.by_cell.cluster_success[rows]
            assert np.array_equal(seen.by_cell.cluster_success, success)
            shares = seen.found.shares(vectors[fold.test])
            expected = seen.estimates(vectors[fold.test], shares)
            np.testing.assert_allclose(estimates.estimates, expected, atol=1e-6)

    def test_a_prompt_of_two_kinds_is_held_out_of_neither(self) -> None:
        table, vectors = uneven_table(120, 16, 0.0)
        prompts = [f"prompt {i}" for i in range(120)]
        groups = ["a"] * 60 + ["b"] * 60
        prompts[60] = prompts[0]
        vectors[60] = vectors[0]
        table = make_table(vectors, table.score, groups=groups, prompts=prompts)
        partition = find_partition(table.groups, vectors, 119, None)
        held_out = np.concatenate(
            [fold.test for fold in CrossValidation(table, vectors, partition, 0).left_out()]
        )
        assert sorted(held_out) == sorted(set(range(120)) - {0, 60})


@st.composite
def claims(draw):
    n = draw(st.integers(2, 40))
    tasks = np.array(draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    gains = ClaimedGains(
        tasks, rng.choice([0.0, 0.02, 0.035, 0.4], n), rng.integers(-1, 2, n) * 1.0
    )
    return gains, rng.integers(0, 4, 13)


class TestGains:
    @given(claims())
    @settings(max_examples=60)
    def test_by_task_and_by_kind_as_loops_have_them(self, drawn) -> None:
        gains, kinds = drawn
        by_task, by_kind = gains.by_task(), gains.by_kind(kinds)
        for i, margin in enumerate(MARGINS):
            kept = [
                gain if claim > margin else 0.0
                for claim, gain in zip(gains.claimed, gains.gained, strict=True)
            ]
            of_task: dict[int, list[float]] = {}
            of_kind: dict[int, list[float]] = {}
            for task, gain in zip(gains.tasks, kept, strict=True):
                of_task.setdefault(task, []).append(gain)
                of_kind.setdefault(kinds[task], []).append(gain)
            means = [np.mean(values) for values in of_task.values()]
            assert by_task.mean[i] == pytest.approx(np.mean(means))
            if len(means) > 1:
                variance = np.var(means, ddof=1) / len(means)
                assert by_task.covariance[i, i] == pytest.approx(variance)
            sizes = np.array([len(values) for values in of_kind.values()])
            of_kinds = np.array([np.mean(values) for values in of_kind.values()])
            mean = np.average(of_kinds, weights=sizes)
            assert by_kind.mean[i] == pytest.approx(mean)
            between = np.average((of_kinds - mean) ** 2, weights=sizes)
            chance = np.average(
                [np.var(v, ddof=1) / len(v) if len(v) > 1 else 0.0 for v in of_kind.values()],
                weights=sizes,
            )
            k = len(of_kinds)
            variance = between * k / max(k - 1, 1) - chance
            spread = np.sqrt(max(variance, 0.0) * (1 + 1 / k))
            assert by_kind.spread[i] == pytest.approx(spread, abs=1e-7)
        # Nothing is claimed beyond the last margin.
        assert by_task.mean[-1] == by_kind.mean[-1] == by_kind.spread[-1] == 0.0


def gains_of(mean, error=0.0, spread=0.0) -> GainsByMargin:
    """Give the gains of the first margins, with independent errors; those of the others are 0."""
    rows = np.zeros((3, len(MARGINS)))
    for row, values in zip(rows, (mean, error, spread), strict=True):
        values = np.atleast_1d(np.asarray(values, dtype=float))
        row[: len(mean)] = values if len(values) > 1 else np.full(len(mean), values[0])
    return GainsByMargin(rows[0], np.diag(rows[1] ** 2), rows[2])


class TestChoice:
    def test_the_value_by_hand(self) -> None:
        """Two kinds return 4 and 3 points; a new one loses 6 and 1, with spreads of 5 and 1."""
        returning, left_out = gains_of([0.04, 0.03]), gains_of([-0.06, -0.01], 0.0, [0.05, 0.01])
        many = 10**9

        def value(i: int, unseen: float) -> float:
            unknown = [-0.06 - NEW_KIND * unseen * 0.05, -0.01 - NEW_KIND * unseen * 0.01][i]
            return (1 - unseen) * [0.04, 0.03][i] + unseen * unknown

        for unseen in (0.0, 0.05, 0.1, 0.15, 0.3, 0.5):
            best = max((value(0, unseen), 0), (value(1, unseen), 1), (0.0, len(MARGINS) - 1))[1]
            assert choose_margin(returning, left_out, unseen, many) == best
        assert choose_margin(returning, left_out, 0.0, many) == 0
        assert choose_margin(returning, left_out, 0.3, many) == 1
        assert choose_margin(returning, left_out, 1.0, many) == len(MARGINS) - 1
        assert choose_margin(returning, None, 1.0, many) == 0

    def test_few_tasks_need_a_gain_beyond_chance(self) -> None:
        """A gain of 3 points with an error of 2 is taken from 1.5 standard errors down."""
        returning = gains_of([0.03], 0.02)
        enough = round(FEW_TASKS / 1.5)
        assert choose_margin(returning, None, 0.1, enough + 1) == 0
        assert choose_margin(returning, None, 0.1, enough - 1) == len(MARGINS) - 1

    def test_nothing_to_gain_takes_the_largest_margin(self) -> None:
        assert choose_margin(gains_of([0.0]), None, 0.1, 1000) == len(MARGINS) - 1
        assert choose_margin(gains_of([-0.01, -0.02]), None, 0.1, 10**9) == len(MARGINS) - 1

    def test_a_smaller_margin_stays_until_a_larger_one_is_proven_better(self) -> None:
        """Half a point more, with an error of 1.4 or of 0.6; sure where much is unseen."""
        many = 10**12
        assert choose_margin(gains_of([0.02, 0.025], 0.01), None, 0.1, many) == 0
        assert choose_margin(gains_of([0.02, 0.025], 0.004), None, 0.1, many) == 1
        assert choose_margin(gains_of([0.02, 0.025], 0.01), None, 0.5, many) == 1
        # One that gains nothing is no smaller margin to stay with.
        assert choose_margin(gains_of([-0.02, 0.001], 0.01), None, 0.1, many) == 1


def misleading_world(rng: np.random.Generator, n: int = 600):
    """Draw three pairs of kinds that look alike, and each model is better at one of a pair.

    Whoever has not seen a kind takes its prompts for those of the other one.
    """
    kind = rng.integers(0, 6, n)
    places = np.eye(16)[kind // 2] + 0.5 * np.eye(16)[8 + kind]
    vectors = unit(places + 0.1 * rng.normal(size=(n, 16)))
    rates = np.where((kind % 2 == 0)[:, None], [0.8, 0.5], [0.5, 0.8])
    score = (rng.random((n, 2)) < rates).astype(float)
    return make_table(vectors, score, groups=[f"kind {k}" for k in kind]), vectors


class TestLearned:
    def test_more_prompts_of_unseen_kinds_ask_for_more(self) -> None:
        table, vectors = misleading_world(np.random.default_rng(1))
        margins = [learn(table, vectors, unseen=share).setting.margin for share in (0.0, 0.3, 0.9)]
        assert margins == sorted(margins)
        assert margins[0] < margins[-1]

    def test_no_gain_to_be_had_leaves_the_default_model(self) -> None:
        """Two equal models, 40 tasks: whoever trusts the estimates bets on noise."""
        rng = np.random.default_rng(0)
        vectors = unit(rng.normal(size=(40, 16)))
        artifact = learn(make_table(vectors, rng.random((40, 2)) < 0.5), vectors).artifact()
        new = unit(rng.normal(size=(200, 16)))
        assert artifact.margin == 1.0
        default = artifact.models.index(artifact.default_model)
        assert set(artifact.decide_many(new).model_indices.tolist()) == {default}

    def test_a_clear_gain_is_routed(self) -> None:
        """A model for each of two kinds, told apart without fail."""
        rng = np.random.default_rng(0)
        kind = rng.integers(0, 2, 200)
        vectors = unit(np.eye(16)[kind] + 0.05 * rng.normal(size=(200, 16)))
        artifact = learn(make_table(vectors, np.eye(2)[kind]), vectors).artifact()
        assert np.mean(artifact.decide_many(vectors).model_indices == kind) == 1.0

    def test_fit_says_what_it_expected(self) -> None:
        table, _ = misleading_world(np.random.default_rng(1), 200)
        metadata = hypernova.fit(table, unseen=0.25, describe=False).metadata
        assert metadata["unseen"] == 0.25
        assert metadata["setting"]["margin"] in MARGINS
        assert -1.0 <= metadata["selection"]["gain_on_unseen_kinds"] <= 0.0

    @pytest.mark.parametrize("unseen", [-0.1, 1.1, float("nan"), "much", None, True])
    def test_a_share_that_is_none(self, unseen) -> None:
        table, _ = misleading_world(np.random.default_rng(1), 60)
        with pytest.raises(FitError, match=r"^unseen is .*; expected a number from 0 to 1$"):
            hypernova.fit(table, unseen=unseen)
