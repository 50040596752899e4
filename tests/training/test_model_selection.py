"""Weights and guard learned on held-out tasks, on tables where it is known what is best."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.training.cross_validation import (
    FOLDS,
    CrossValidation,
    FoldEstimates,
    count_repeats,
    deal_folds,
    deals,
)
from hypernova.training.held_out_scores import HeldOutScores
from hypernova.training.model_selection import _choose_guard, count_ticks, select_setting
from hypernova.training.partition import CLUSTERS, MIN_PROMPTS_PER_CLUSTER, find_partition
from hypernova.training.trainer import learn
from support.factories import blobs, flipped, interleaved, make_table, two_kinds, unit

NAN = float("nan")


def partition_of(table, clusters: int | None = None, **options):
    different = int(table.prompt_groups().max()) + 1
    return find_partition(table.groups, table.embedding, different, clusters, **options)


class TestFolds:
    @given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.integers(0, 3))
    def test_equal_prompts_share_a_fold(self, groups, seed) -> None:
        fold = deal_folds(np.array(groups), 5, np.random.default_rng(seed))
        folds_of = {g: {f for h, f in zip(groups, fold, strict=True) if h == g} for g in groups}
        assert all(len(folds) == 1 for folds in folds_of.values())
        sizes = np.bincount([fold[groups.index(g)] for g in set(groups)], minlength=5)
        assert sizes.max() - sizes.min() <= 1

    @pytest.mark.parametrize(
        ("prompts", "repeats"), [(10, 4), (500, 4), (800, 2), (1300, 2), (1400, 1), (100_000, 1)]
    )
    def test_small_tables_are_dealt_more_often(self, prompts, repeats) -> None:
        assert count_repeats(prompts) == repeats

    def test_each_deal_holds_out_each_task_once(self) -> None:
        rng = np.random.default_rng(0)
        prompts = [f"prompt {i // 3}" for i in range(90)]
        table = make_table(unit(rng.normal(size=(90, 4))), np.ones((90, 2)), prompts=prompts)
        held_out = np.zeros(90, dtype=int)
        dealt = list(deals(table, 0))
        assert len({fold.tobytes() for fold in dealt}) == len(dealt) == count_repeats(30)
        sums = CrossValidation(table, table.embedding, partition_of(table), 0).folds()
        tests = [fold.test for fold in sums]
        for test in tests:
            held_out[test] += 1
            train = np.setdiff1d(np.arange(90), test)
            assert not {prompts[i] for i in train} & {prompts[i] for i in test}
        assert set(held_out) == {count_repeats(30)}
        expected = [np.flatnonzero(fold == f) for fold in dealt for f in range(FOLDS)]
        assert all(map(np.array_equal, tests, expected))


def table_of(n: int, groups=None) -> hypernova.OutcomeTable:
    vectors = unit(np.random.default_rng(0).normal(size=(n, 4)))
    return make_table(vectors, np.ones((n, 2)), groups=groups)


class TestPartition:
    def test_small_tables_get_few_clusters(self) -> None:
        for n in (12, 25, 60, 100, 400, 2000):
            k = partition_of(table_of(n)).n_cells
            assert n / k >= MIN_PROMPTS_PER_CLUSTER
        assert partition_of(table_of(12)).n_cells == 1
        assert partition_of(table_of(400)).n_cells == max(CLUSTERS)

    def test_groups_are_cells_if_two_are_large_and_clusters_are_the_tables(self) -> None:
        groups = ["a"] * 1000 + ["b"] * 20 + [None] * 980
        table = table_of(2000, groups)
        found = partition_of(table)
        assert (found.source, found.n_cells) == ("groups", 3)
        assert found.cells(table.groups, table.embedding).tolist() == (
            [0] * 1000 + [1] * 20 + [2] * 980
        )
        others = table.embedding[::2]
        assert partition_of(table, cluster_vectors=others).source == "prompts"
        assert partition_of(table, 7).source == "prompts"
        assert partition_of(table_of(2000, ["a"] * 2000)).source == "prompts"

    def test_few_different_prompts_in_large_groups(self) -> None:
        """Many runs of a dozen prompts."""
        rng = np.random.default_rng(0)
        vectors = np.repeat(unit(rng.normal(size=(12, 8))), 4, axis=0)
        score = (rng.random((48, 2)) < 0.5).astype(float)
        prompts, groups = [f"prompt {i // 4}" for i in range(48)], ["a"] * 24 + ["b"] * 24
        table = make_table(vectors, score, prompts=prompts, groups=groups)
        assert learn(table, vectors).artifact().n_clusters == 2
        plain = make_table(vectors, score, prompts=prompts)
        assert learn(plain, vectors).artifact().n_clusters == 1


def drawn_table(data) -> tuple[hypernova.OutcomeTable, np.ndarray, np.ndarray]:
    """A small table with holes and unknown costs."""
    n, m = data.draw(st.tuples(st.integers(1, 7), st.integers(2, 3)))
    cells = {"min_size": n * m, "max_size": n * m}
    score = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, NAN]), **cells)))
    cost = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.25, 2.0, NAN]), **cells)))
    score, cost = score.reshape(n, m), cost.reshape(n, m)
    score[0] = np.nan_to_num(score[0])  # each model and
    score[:, 0] = np.nan_to_num(score[:, 0])  # each task has an outcome
    vectors = np.ones((n, 2), np.float32)
    return make_table(vectors, score, cost_usd=cost), score, cost


class TestTally:
    @pytest.mark.slow
    @given(st.data())
    def test_equals_loops(self, data) -> None:
        table, score, cost = drawn_table(data)
        n, m = score.shape
        scores, other = HeldOutScores(n), HeldOutScores(n)
        visits: dict[str, list[tuple[int, int]]] = {"scores": [], "other": []}
        for name, into in (("scores", scores), ("other", other)):
            for _ in range(data.draw(st.integers(1, 3))):
                tasks = data.draw(st.lists(st.integers(0, n - 1), unique=True))
                taken = [data.draw(st.integers(0, m - 1)) for _ in tasks]
                into.add(table, np.array(tasks, dtype=int), np.array(taken, dtype=int))
                visits[name] += zip(tasks, taken, strict=True)

        seen = [(i, j) for i, j in visits["scores"] if not np.isnan(score[i, j])]
        if seen:
            hits = [score[i, j] for i, j in seen]
            missed = [np.nanmax(score[i]) - score[i, j] for i, j in seen]
            assert scores.accuracy == pytest.approx(np.mean(hits))
            assert scores.mean_regret == pytest.approx(np.mean(missed))
        else:
            assert np.isnan([scores.accuracy, scores.mean_regret]).all()
        # A cost in a hole is no cost of an outcome.
        known = [cost[i, j] for i, j in seen if not np.isnan(cost[i, j])]
        assert scores.cost_usd == pytest.approx(np.mean(known) if known else NAN, nan_ok=True)

        means = {
            name: {
                i: np.mean([score[t, j] for t, j in pairs if t == i and not np.isnan(score[t, j])])
                for i in {t for t, j in pairs if not np.isnan(score[t, j])}
            }
            for name, pairs in visits.items()
        }
        gains = [x - means["other"][i] for i, x in means["scores"].items() if i in means["other"]]
        gain, error = scores.gain_over(other)
        if len(gains) < 2:
            assert (gain, error) == (0.0, np.inf)
        else:
            assert gain == pytest.approx(np.mean(gains))
            assert error == pytest.approx(np.std(gains, ddof=1) / np.sqrt(len(gains)))


def many_kinds(rng: np.random.Generator, kinds: int = 12, each: int = 50):
    """Kinds along a circle; two models, each good at every other kind: no direction tells."""
    kind = np.repeat(np.arange(kinds), each)
    angle = 2 * np.pi * kind / kinds + 0.03 * rng.normal(size=len(kind))
    vectors = unit(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    score = (kind[:, None] % 2 == np.arange(2)).astype(float)
    return make_table(vectors, flipped(rng, score, 0.1)), kind % 2


def share_of_weight(learned, name: str) -> float:
    """Share of an estimate in the weights of contrasts."""
    weights = learned.setting.to_dict()["weights"]["contrast"]
    return sum(w for key, w in weights.items() if key.startswith(name)) / sum(weights.values())


class TestLearn:
    """What is learned where it is known what is best."""

    def test_one_dominant_model_is_taken_everywhere(self) -> None:
        rng = np.random.default_rng(0)
        vectors, _ = blobs(rng, centres=6, each=50)
        table = make_table(vectors, (rng.random((300, 3)) < [0.9, 0.5, 0.6]).astype(float))
        learned = learn(table, vectors)
        assert set(learned.artifact().decide_many(vectors).model_indices) == {0}
        assert learned.selection.held_out.accuracy == learned.selection.best_single.accuracy

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(3))
    def test_shuffled_outcomes_of_a_clear_best_single(self, seed) -> None:
        """Text says much about the first model's outcomes, until they are shuffled."""
        rng = np.random.default_rng(seed)
        vectors, kind = blobs(rng, centres=4, each=75)
        rates = np.array([[0.95, 0.4, 0.3], [0.95, 0.4, 0.9], [0.5, 0.4, 0.3], [0.9, 0.4, 0.3]])
        score = (rng.random((300, 3)) < rates[kind]).astype(float)[rng.permutation(300)]
        table = make_table(vectors, score)
        artifact = learn(table, vectors, seed=seed).artifact()
        assert artifact.default_model == "m0"
        assert set(artifact.decide_many(vectors).model_indices) == {0}

    @pytest.mark.slow
    def test_what_one_direction_tells_is_left_to_ridge_regression(self) -> None:
        """Success rises along one direction and falls along it: clusters only cut it up."""
        rng = np.random.default_rng(0)
        vectors = unit(rng.normal(size=(600, 24)))
        slope = 2.2 * vectors[:, [0]] * np.array([1.0, -1.0])
        table = make_table(vectors, (rng.random((600, 2)) < 0.5 + slope).astype(float))
        assert share_of_weight(learn(table, vectors), "ridge") > 0.8

    @pytest.mark.slow
    def test_many_kinds_are_left_to_clusters(self) -> None:
        table, best = many_kinds(np.random.default_rng(1))
        learned = learn(table, table.embedding)
        assert learned.setting.source == "prompts"
        assert share_of_weight(learned, "cells") > 0.8
        assert learned.selection.held_out.accuracy > 0.85
        assert np.mean(learned.artifact().decide_many(table.embedding).model_indices == best) > 0.98

    @pytest.mark.slow
    def test_groups_that_k_means_cannot_find(self) -> None:
        """Which model is good depends on place and group together: no direction tells."""
        rng = np.random.default_rng(0)
        vectors, place, group = interleaved(rng)
        best = (group + place) % 2
        score = flipped(rng, (best[:, None] == np.arange(2)).astype(float), 0.1)
        names = [f"place {p}, group {g}" for p, g in zip(place, group, strict=True)]
        with_groups = make_table(vectors, score, groups=names)
        chosen = learn(with_groups, vectors)
        assert chosen.setting.source == "groups"
        assert share_of_weight(chosen, "cells") > 0.6
        assert chosen.selection.held_out.accuracy > 0.85
        # Without the names, the same table does worse.
        plain = learn(make_table(vectors, score), vectors)
        assert plain.selection.held_out.accuracy < chosen.selection.held_out.accuracy - 0.03

    def test_no_guard_without_proof(self) -> None:
        """Vectors say nothing, so guards differ by chance alone."""
        guards = []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            score = (rng.random((150, 3)) < [0.6, 0.59, 0.55]).astype(float)
            table = make_table(unit(rng.normal(size=(150, 8))), score)
            guards.append(learn(table, table.embedding).setting.guard_z)
        assert guards.count(0.0) >= 9

    def test_a_guard_that_is_proven_to_gain_is_chosen(self) -> None:
        """Estimates that take a worse model by chance, and a gain error that covers them."""
        rng = np.random.default_rng(0)
        score = np.tile([1.0, 0.0], (400, 1))
        table = make_table(unit(rng.normal(size=(400, 8))), score)
        success = np.stack([np.full(400, 0.5), 0.5 + 0.2 * rng.normal(size=400)], axis=1)
        part = FoldEstimates(
            test=np.arange(400), default_model=0, rates=np.array([0.5, 0.5]),
            estimates=np.zeros((1, 400, 2)), of_group=None,
            gain_error=np.tile([0.0, 0.3], (400, 1)), caution=np.zeros((400, 2)),
            cost_usd=None, distances=None,
        )  # fmt: skip
        assert _choose_guard(table, [part], [success]) == 2.0
        # The same estimates of a model that is better: no guard is best.
        better = make_table(table.embedding, score[:, ::-1].copy())
        assert _choose_guard(better, [part], [success]) == 0.0

    def test_nothing_is_left_to_a_few_lucky_outcomes(self) -> None:
        """A model with two outcomes, each better than the default model's."""
        rng = np.random.default_rng(0)
        score = np.full((200, 2), NAN)
        score[:, 0] = np.arange(200) % 10 < 7
        score[np.flatnonzero(score[:, 0] == 0)[:2], 1] = 1.0
        table = make_table(unit(rng.normal(size=(200, 8))), score)
        learned = learn(table, table.embedding)
        assert set(learned.artifact().decide_many(table.embedding).model_indices) == {0}

    @pytest.mark.slow
    @pytest.mark.parametrize("costs", [True, False])
    def test_savings_where_one_model_is_best_at_everything(self, costs) -> None:
        """The cheap model is nearly as good on half of the prompts, and text tells which half.

        0.1.0 learned to take the best model everywhere and mixed the two at random under a cost
        weight. An artifact of a table without costs serves prices as well: it has no strict guard.
        """
        rng = np.random.default_rng(0)
        vectors = unit(rng.normal(size=(1200, 16)))
        easy = vectors[:, 0] > 0
        rates = np.stack([np.full(1200, 0.9), np.where(easy, 0.8, 0.2)], axis=1)
        score = (rng.random((1200, 2)) < rates).astype(float)
        prices = np.array([1.0, 0.1])
        columns = {"cost_usd": np.tile(prices, (1200, 1))} if costs else {}
        artifact = learn(make_table(vectors, score, **columns), vectors).artifact()
        new = unit(rng.normal(size=(4000, 16)))
        assert np.mean(artifact.decide_many(new).model_indices == 0) > 0.9

        def right(router: hypernova.Artifact) -> float:
            options = {} if costs else {"prices": {"m0": 1.0, "m1": 0.1}}
            chosen = router.decide_many(new, cost_weight=0.3, **options).model_indices
            return float(np.mean((chosen == 1) == (new[:, 0] > 0)))

        assert right(artifact) > 0.8
        assert right(artifact.replace(guard_z=2.0)) < 0.75


class TestSelect:
    @pytest.mark.parametrize("worth", [True, False])
    def test_a_given_number_of_clusters_is_kept(self, worth) -> None:
        rng = np.random.default_rng(0)
        table, _ = two_kinds(rng)
        if not worth:
            table = make_table(table.embedding, (rng.random((240, 2)) < [0.9, 0.4]).astype(float))
        learned = learn(table, table.embedding, clusters=7)
        assert (learned.part.found.k, learned.setting.clusters) == (7, 7)

    @pytest.mark.slow
    def test_same_seed_same_choice(self) -> None:
        table, _ = two_kinds(np.random.default_rng(2), swap=0.3)
        partition = partition_of(table)
        first, second = (select_setting(table, table.embedding, partition, 5) for _ in range(2))
        assert first.setting == second.setting
        assert first.held_out.accuracy == second.held_out.accuracy
        assert np.array_equal(first.distances, second.distances)

    @pytest.mark.slow
    @pytest.mark.parametrize("clusters", [None, 4])
    def test_ticks_as_often_as_it_says(self, clusters) -> None:
        table, _ = two_kinds(np.random.default_rng(0), groups=["a", "b"] * 120)
        ticks: list[int] = []
        partition = partition_of(table, clusters)
        select_setting(table, table.embedding, partition, 0, tick=ticks.append)
        assert sum(ticks) == count_ticks(table, partition.cells(table.groups, table.embedding))

    @pytest.mark.parametrize("groups", [None, ["a", "b"] * 60])
    def test_distances_are_those_of_held_out_tasks(self, groups) -> None:
        """Each task as often as it was held out."""
        table, _ = two_kinds(np.random.default_rng(0), n=120, groups=groups)
        learned = learn(table, table.embedding)
        assert len(learned.selection.distances) == 120 * count_repeats(120)
        own = hypernova.Router(learned.artifact()).decide_many(table.embedding).distances
        if groups is None:  # farther than from clusters that hold the task
            assert learned.selection.distances.mean() > own.mean()

    def test_a_given_setting_is_used_as_it_is(self) -> None:
        table, labels = two_kinds(np.random.default_rng(0))
        setting = learn(table, table.embedding).setting
        strict = dataclasses.replace(setting, guard_z=40.0)
        learned = learn(table, table.embedding, setting=strict)
        assert (learned.setting, learned.selection) == (strict, None)
        assert len(set(learned.artifact().decide_many(table.embedding).model_indices)) == 1
        loose = learn(table, table.embedding, setting=setting).artifact()
        taken = loose.decide_many(table.embedding).model_indices
        assert np.mean(taken == labels) > 0.99
