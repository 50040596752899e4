"""The choice of a setting on held-out tasks, on tables whose best setting is known."""

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
    Setting,
    count_repeats,
    deal_folds,
    deals,
)
from hypernova.training.model_selection import (
    CLUSTERS,
    FULL_SHRINKAGE,
    MIN_PROMPTS_PER_CLUSTER,
    HeldOutScores,
    best_single_setting,
    candidate_clusterings,
    count_ticks,
    select_setting,
)
from hypernova.training.trainer import learn
from support.factories import blobs, flipped, interleaved, make_table, two_kinds, unit

NAN = float("nan")
GRID = [("prompts", k) for k in CLUSTERS]


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
        sums = CrossValidation(table, table.embedding, 0, []).folds()
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


class TestCandidates:
    def test_small_tables_get_few_clusters(self) -> None:
        assert candidate_clusterings(table_of(12), None, False) == [("prompts", 1)]
        for n in (25, 60, 100, 400, 2000):
            (*_, (_, most)) = candidate_clusterings(table_of(n), None, False)
            assert n * (FOLDS - 1) / FOLDS / most >= MIN_PROMPTS_PER_CLUSTER
        assert candidate_clusterings(table_of(2000), None, False) == GRID

    def test_groups_come_last_if_two_are_large_and_clusters_are_the_tables(self) -> None:
        groups = ["a"] * 1000 + ["b"] * 20 + [None] * 980
        table = table_of(2000, groups)
        assert candidate_clusterings(table, None, False) == [*GRID, ("groups", 0)]
        assert candidate_clusterings(table, None, True) == GRID  # of other prompts
        assert candidate_clusterings(table, 7, False) == [("prompts", 7)]
        assert candidate_clusterings(table_of(2000, ["a"] * 2000), None, False) == GRID

    def test_few_different_prompts_in_large_groups(self) -> None:
        """Many runs of a dozen prompts: there is always a setting without groups."""
        rng = np.random.default_rng(0)
        vectors = np.repeat(unit(rng.normal(size=(12, 8))), 4, axis=0)
        score = (rng.random((48, 2)) < 0.5).astype(float)
        prompts, groups = [f"prompt {i // 4}" for i in range(48)], ["a"] * 24 + ["b"] * 24
        table = make_table(vectors, score, prompts=prompts, groups=groups)
        assert candidate_clusterings(table, None, False) == [("prompts", 1), ("groups", 0)]
        assert learn(table, vectors).artifact().n_clusters >= 1


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


class TestSteps:
    """The choice of `select` where the best setting is known."""

    def test_one_dominant_model_is_taken_everywhere(self) -> None:
        rng = np.random.default_rng(0)
        vectors, _ = blobs(rng, centres=6, each=50)
        table = make_table(vectors, (rng.random((300, 3)) < [0.9, 0.5, 0.6]).astype(float))
        learned = learn(table, vectors)
        assert learned.setting == best_single_setting(16)
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
    def test_what_one_direction_tells_is_lifts(self) -> None:
        """Success rises along one direction and falls along it: clusters only cut it up."""
        rng = np.random.default_rng(0)
        vectors = unit(rng.normal(size=(600, 24)))
        slope = 2.2 * vectors[:, [0]] * np.array([1.0, -1.0])
        table = make_table(vectors, (rng.random((600, 2)) < 0.5 + slope).astype(float))
        setting = learn(table, vectors).setting
        assert (setting.shrinkage, setting.ridge is None) == (FULL_SHRINKAGE, False)

    @pytest.mark.slow
    def test_many_kinds_are_clusters(self) -> None:
        table, best = many_kinds(np.random.default_rng(1))
        learned = learn(table, table.embedding)
        assert learned.setting.shrinkage < FULL_SHRINKAGE
        assert learned.setting.source == "prompts"
        assert learned.selection.held_out.accuracy > 0.85
        assert np.mean(learned.artifact().decide_many(table.embedding).model_indices == best) > 0.98

    @pytest.mark.slow
    def test_groups_that_k_means_cannot_find_are_prototypes(self) -> None:
        """Which model is good depends on place and group together: no direction tells."""
        rng = np.random.default_rng(0)
        vectors, place, group = interleaved(rng)
        best = (group + place) % 2
        score = flipped(rng, (best[:, None] == np.arange(2)).astype(float), 0.1)
        names = [f"place {p}, group {g}" for p, g in zip(place, group, strict=True)]
        with_groups = make_table(vectors, score, groups=names)
        chosen = learn(with_groups, vectors)
        assert chosen.setting.source == "groups"
        assert chosen.selection.held_out.accuracy > 0.85
        # Without the names, the same table does worse.
        plain = learn(make_table(vectors, score), vectors)
        assert plain.setting.source == "prompts"
        assert plain.selection.held_out.accuracy < chosen.selection.held_out.accuracy - 0.03

    def test_the_best_single_setting_leaves_nothing_to_a_few_lucky_outcomes(self) -> None:
        """A model with two outcomes, each better than the default model's."""
        rng = np.random.default_rng(0)
        score = np.full((200, 2), NAN)
        score[:, 0] = np.arange(200) % 10 < 7
        score[np.flatnonzero(score[:, 0] == 0)[:2], 1] = 1.0
        table = make_table(unit(rng.normal(size=(200, 8))), score)
        learned = learn(table, table.embedding, setting=best_single_setting(16))
        assert set(learned.artifact().decide_many(table.embedding).model_indices) == {0}


class TestSelect:
    @pytest.mark.parametrize("worth", [True, False])
    def test_a_given_number_of_clusters_is_kept(self, worth) -> None:
        rng = np.random.default_rng(0)
        table, _ = two_kinds(rng)
        if not worth:
            table = make_table(table.embedding, (rng.random((240, 2)) < [0.9, 0.4]).astype(float))
        learned = learn(table, table.embedding, clusters=7)
        assert (learned.found.k, learned.setting.clusters) == (7, 7)
        assert (learned.setting == best_single_setting(7)) is not worth

    @pytest.mark.slow
    def test_describes_with_a_number_of_clusters_that_was_tried(self) -> None:
        """A best single model of a small table has as many clusters as it has prompts for."""
        rng = np.random.default_rng(0)
        for n, k in ((20, 2), (60, 4), (300, 16)):
            vectors = unit(rng.normal(size=(n, 6)))
            table = make_table(vectors, np.tile([1.0, 0.0], (n, 1)))
            learned = learn(table, vectors)
            assert learned.setting == best_single_setting(k)
            assert learned.found.k == k

    @pytest.mark.slow
    def test_same_seed_same_choice(self) -> None:
        table, _ = two_kinds(np.random.default_rng(2), swap=0.3)
        first, second = (select_setting(table, table.embedding, 5) for _ in range(2))
        assert first.setting == second.setting
        assert first.held_out.accuracy == second.held_out.accuracy
        assert np.array_equal(first.distances, second.distances)

    @pytest.mark.slow
    @pytest.mark.parametrize("other_prompts", [False, True])
    def test_ticks_as_often_as_it_says(self, other_prompts) -> None:
        table, _ = two_kinds(np.random.default_rng(0), groups=["a", "b"] * 120)
        ticks: list[int] = []
        vectors = table.embedding[::2] if other_prompts else None
        select_setting(table, table.embedding, 0, cluster_vectors=vectors, tick=ticks.append)
        assert sum(ticks) == count_ticks(table, None, other_prompts)

    def test_distances_are_those_of_held_out_tasks(self) -> None:
        """Each task as often as it was held out, and farther than from its own clusters."""
        table, _ = two_kinds(np.random.default_rng(0), n=120)
        learned = learn(table, table.embedding)
        assert len(learned.selection.distances) == 120 * count_repeats(120)
        own = hypernova.Router(learned.artifact()).decide_many(table.embedding).distances
        assert learned.selection.distances.mean() > own.mean()

    def test_a_given_setting_is_used_as_it_is(self) -> None:
        table, labels = two_kinds(np.random.default_rng(0))
        setting = Setting("prompts", 2, 10.0, None, 0.0)
        learned = learn(table, table.embedding, setting=setting)
        assert (learned.setting, learned.selection, learned.correction) == (setting, None, None)
        corrected = learn(table, table.embedding, setting=dataclasses.replace(setting, ridge=60.0))
        assert corrected.correction is not None
        taken = learned.artifact().decide_many(table.embedding).model_indices
        assert np.mean(taken == labels) > 0.99
