"""Learning by subtraction against learning each training part directly, and what may enter it.

Not here: how tasks are dealt, and which setting is selected (test_model_selection).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hypernova.training.clustering.clusters import find_group_clusters
from hypernova.training.clustering.prototypes import group_indices, start_prototypes
from hypernova.training.cross_validation import (
    FOLDS,
    CrossValidation,
    FoldSums,
    Setting,
    deals,
    decide_fold,
)
from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.model_selection import FULL_SHRINKAGE, HeldOutScores, select_setting
from hypernova.training.placed_tasks import Located, PlacedTasks
from hypernova.training.trainer import TrainingResult
from support.factories import blobs, make_table, two_kinds, uneven_table, unit

SEED = 3
SETTINGS = [
    Setting("prompts", 4, 10.0, None, 1.0),
    Setting("prompts", 4, 10.0, 60.0, 1.0),
    Setting("prompts", 9, 40.0, 60.0, 0.0),
    Setting("prompts", 9, FULL_SHRINKAGE, 60.0, 0.0),
    Setting("groups", 0, 10.0, None, 1.0),
    Setting("groups", 0, 40.0, 60.0, 1.0),
]
ARRAYS = (
    "centroids", "counts", "mean", "success", "standard_error", "gain_error", "cost", "latency",
)  # fmt: skip


def folds_of(table, vectors, settings=SETTINGS) -> CrossValidation:
    clusterings = list(dict.fromkeys(setting.clustering for setting in settings))
    return CrossValidation(table, vectors, SEED, clusterings)


def learned_directly(table, vectors, folds: CrossValidation, test, setting: Setting):
    """Learn from the training part alone, in the clusters that the folds have."""
    train = np.setdiff1d(np.arange(table.n_tasks), test)
    part, own = table.subset(train), vectors[train]
    if setting.source == "groups":
        numbers = group_indices(table.groups)
        start = start_prototypes(vectors, numbers, SEED)
        found = find_group_clusters(vectors, numbers, start, SEED, tasks=train)
    else:
        found = folds.located[setting.clustering].found
    placed = PlacedTasks.of(part, own, found)
    if len(train) < vectors.shape[1]:
        # In the space of all vectors: other coordinates are other numbers when they are rounded.
        whole = Coordinates.of(vectors)
        placed = replace(placed, coordinates=Coordinates(whole.values[train], whole.basis))
    sums = placed.sums(None, corrected=setting.ridge is not None)
    return TrainingResult(table.models, found, sums, setting, placed.coordinates.basis).artifact()


def assert_same(seen, expected) -> None:
    """Bits of what is counted and averaged; an equation may be solved in another order."""
    assert seen.default_model == expected.default_model
    for name in ARRAYS:
        assert np.array_equal(getattr(seen, name), getattr(expected, name), equal_nan=True), name
    assert (seen.slopes is None) == (expected.slopes is None)
    if seen.slopes is not None:
        np.testing.assert_array_max_ulp(seen.slopes, expected.slopes, maxulp=1)
        np.testing.assert_allclose(seen.offsets, expected.offsets, rtol=2e-7, atol=1e-9)


class TestSubtraction:
    @pytest.mark.parametrize("holes", [0.0, 0.4])
    @pytest.mark.parametrize(("n", "dim"), [(180, 16), (120, 110), (90, 150)], ids=str)
    def test_equals_learning_each_training_part(self, n, dim, holes) -> None:
        """More tasks than dimensions, more in all but fewer in training parts, and fewer."""
        prompts = [f"prompt {i - i % 2 if i < 40 else i}" for i in range(n)]
        table, vectors = uneven_table(n, dim, holes, prompts=prompts)
        vectors[1:40:2] = vectors[0:40:2]
        folds, folds_seen = folds_of(table, vectors), 0
        for sums in folds.folds():
            artifacts = list(folds.training(sums).artifacts(SETTINGS))
            assert len(artifacts) == len(SETTINGS)
            for setting, artifact in zip(SETTINGS, artifacts, strict=True):
                expected = learned_directly(table, vectors, folds, sums.test, setting)
                assert_same(artifact, expected)
            assert {a.default_model for a in artifacts} == {table.models[sums.default_model]}
            folds_seen += 1
        assert folds_seen == 4 * FOLDS

    @pytest.mark.parametrize("holes", [0.0, 0.4])
    def test_chooses_what_the_artifacts_decide(self, holes) -> None:
        """Of two models with equal outcomes the lower one, as the core does."""
        table, vectors = uneven_table(400, 16, holes)
        score = np.column_stack([table.score, table.score[:, :2]])
        table = make_table(vectors, score, groups=table.groups)
        settings = [replace(s, guard_z=z) for s in SETTINGS for z in (0.0, 0.5, 2.0)]
        folds, decided, routed = folds_of(table, vectors, settings), 0, 0
        for sums in folds.folds():
            chosen = decide_fold(folds, sums, settings).chosen
            for i, artifact in enumerate(folds.training(sums).artifacts(settings)):
                expected = artifact.decide_many(vectors[sums.test]).model_indices
                assert np.array_equal(chosen[i], expected), settings[i]
                decided += len(expected)
                routed += int((expected != sums.default_model).sum())
        assert 0.1 < routed / decided < 0.9

    def test_a_model_without_an_outcome_in_a_training_part(self) -> None:
        """All outcomes of one model, and all of a cluster, lie in one fold."""
        table, vectors = uneven_table(100, 16, 0.0)
        first = next(deals(table, SEED))
        score = table.score.copy()
        score[first != 0, 2] = np.nan
        table = make_table(vectors, score, groups=table.groups)
        away = np.flatnonzero(first == 0)[:4]
        vectors = vectors.copy()
        vectors[away] = -vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
        folds = folds_of(table, vectors)
        sums = next(folds.folds())
        assert not np.isnan(score[sums.test, 2]).any()
        artifacts = folds.training(sums).artifacts(SETTINGS)
        for setting, artifact in zip(SETTINGS, artifacts, strict=True):
            assert_same(artifact, learned_directly(table, vectors, folds, sums.test, setting))
            assert not artifact.counts[:, 2].any()
            assert np.isfinite(artifact.success).all()
            if artifact.slopes is not None:
                assert not artifact.slopes[2].any()
                assert artifact.offsets[2] == 0
        located = folds.located["prompts", 9]
        inside = np.bincount(located.assigned[first != 0], minlength=located.found.k)
        assert (inside == 0).any(), "no cluster lies in the fold"

    def test_selection_scores_what_direct_learning_decides(self) -> None:
        table, _ = two_kinds(np.random.default_rng(0), n=120, swap=0.2)
        selection = select_setting(table, table.embedding, SEED, clusters=2)
        setting = selection.setting
        folds = folds_of(table, table.embedding, [setting])
        scores = HeldOutScores(table.n_tasks)
        for sums in folds.folds():
            artifact = learned_directly(table, table.embedding, folds, sums.test, setting)
            chosen = artifact.decide_many(table.embedding[sums.test]).model_indices
            scores.add(table, sums.test, chosen)
        assert scores.accuracy == selection.held_out.accuracy > 0.7
        assert scores.mean_regret == selection.held_out.mean_regret


def fold_at(folds: CrossValidation, index: int) -> FoldSums:
    return list(folds.folds())[index]


class TestLeaks:
    """What lies in a held-out fold is replaced; nothing that is learned for it may change."""

    @staticmethod
    def learned(table, vectors, index: int) -> tuple[list[bytes], np.ndarray, int]:
        folds = folds_of(table, vectors)
        sums = fold_at(folds, index)
        artifacts = [a.to_bytes() for a in folds.training(sums).artifacts(SETTINGS)]
        decisions = decide_fold(folds, sums, SETTINGS)
        assert decisions.default_model == sums.default_model
        return artifacts, decisions.chosen, sums.default_model

    @pytest.mark.parametrize("holes", [0.0, 0.4])
    @pytest.mark.parametrize("index", [0, 7])
    def test_no_outcome_of_the_fold_enters(self, index, holes) -> None:
        """Not by clusters, defaults, the models that gains are paired with, or classes."""
        table, vectors = uneven_table(150, 16, holes)
        before = self.learned(table, vectors, index)
        test = fold_at(folds_of(table, vectors), index).test
        score, cost, latency = table.score.copy(), table.cost_usd.copy(), table.latency_s.copy()
        # One model fails at all that is held out, the others never do; holes close or move.
        score[test] = [0.0, 1.0, 1.0, 1.0, 1.0]
        score[test[::3], 1:3] = np.nan
        cost[test], latency[test] = 1e3, np.nan
        cost[np.isnan(score)] = latency[np.isnan(score)] = np.nan
        columns = {"cost_usd": cost, "latency_s": latency, "groups": table.groups}
        altered = make_table(vectors, score, **columns)
        after = self.learned(altered, vectors, index)
        assert after[0] == before[0]
        assert np.array_equal(after[1], before[1])
        assert after[2] == before[2]
        # The other folds learn from these tasks.
        other = (index + 1) % FOLDS
        assert self.learned(altered, vectors, other)[0] != self.learned(table, vectors, other)[0]

    def test_not_by_the_default_models_of_other_folds(self) -> None:
        """Two models apart by a hair: the fold's outcomes decide which is best elsewhere."""
        rng = np.random.default_rng(0)
        vectors, _ = blobs(rng, centres=3, each=50)
        score = np.repeat([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 50, axis=0)
        score = np.column_stack([rng.permutation(score), rng.random(150) < 0.3])
        groups = ["a", "b", "c"] * 50
        table = make_table(vectors, score, groups=groups)
        test = fold_at(folds_of(table, vectors), 1).test
        learned, defaults = [], []
        for favourite in (0, 1):
            changed = score.copy()
            changed[test] = 0.0
            changed[test, favourite] = 1.0
            table = make_table(vectors, changed, groups=groups)
            learned.append(self.learned(table, vectors, 1))
            defaults.append(fold_at(folds_of(table, vectors), 0).default_model)
        assert defaults == [0, 1]
        assert learned[0][0] == learned[1][0]
        assert np.array_equal(learned[0][1], learned[1][1])

    def test_groups_of_the_fold_place_the_start_of_prototypes_alone(self) -> None:
        """They are no outcomes. The start is found once, from the groups of all tasks.

        Which groups are large enough is counted over all tasks too; from the start on, only the
        groups of the training part are read.
        """
        table, vectors = uneven_table(600, 16, 0.4)  # of which a group has two prototypes
        index = 2
        test = fold_at(folds_of(table, vectors), index).test
        groups = np.array(table.groups)
        names, numbers = np.unique(groups, return_inverse=True)
        groups[test] = np.roll(names, 1)[numbers][test]
        columns = {"cost_usd": table.cost_usd, "latency_s": table.latency_s}
        altered = make_table(vectors, table.score, groups=groups.tolist(), **columns)
        assert sorted(set(groups)) == sorted(set(table.groups))
        folds, other = folds_of(table, vectors), folds_of(altered, vectors)
        before = list(folds.training(fold_at(folds, index)).artifacts(SETTINGS))
        after = list(other.training(fold_at(other, index)).artifacts(SETTINGS))
        for setting, one, two in zip(SETTINGS, before, after, strict=True):
            if setting.source == "prompts":
                assert one.to_bytes() == two.to_bytes()
                continue
            assert not np.array_equal(one.centroids, two.centroids), "the start did not move"
            # With the old start, as if the fold's groups were what they were.
            expected = learned_directly(altered, vectors, other, test, setting)
            assert_same(two, expected)
            numbers = group_indices(altered.groups)
            train = np.setdiff1d(np.arange(600), test)
            start = start_prototypes(vectors, group_indices(table.groups), SEED)
            found = find_group_clusters(vectors, numbers, start, SEED, tasks=train)
            assert np.array_equal(found.centroids, one.centroids)


class TestHeldOutDistances:
    @staticmethod
    def directly(table, vectors, located: Located) -> np.ndarray:
        """Distances from the mean directions of the other folds' members; loops."""
        distances = []
        for fold in deals(table, SEED):
            for f in range(FOLDS):
                centroids = []
                for c in range(located.found.k):
                    members = vectors[(located.assigned == c) & (fold != f)].astype(np.float64)
                    if len(members):
                        centroids.append(members.sum(axis=0) / np.linalg.norm(members.sum(axis=0)))
                distances += [
                    min(np.linalg.norm(vector - centroid) for centroid in centroids)
                    for vector in vectors[fold == f].astype(np.float64)
                ]
        return np.array(distances)

    @pytest.mark.parametrize("k", [1, 4, 9])
    def test_are_those_of_centroids_without_the_fold(self, k) -> None:
        table, vectors = uneven_table(120, 16, 0.3)
        folds = CrossValidation(table, vectors, SEED, [("prompts", k)])
        seen = folds.held_out_distances("prompts", k)
        assert seen.dtype == np.float32
        expected = self.directly(table, vectors, folds.located["prompts", k])
        np.testing.assert_allclose(seen, expected, atol=1e-6)

    def test_a_cluster_that_lies_in_the_fold_is_none(self) -> None:
        """A dozen runs of one odd prompt are far from all others, not at distance 0."""
        rng = np.random.default_rng(0)
        vectors, _ = blobs(rng, centres=3, each=40)
        odd = np.zeros((12, 16))
        odd[:, 15] = 1.0
        vectors = unit(np.vstack([vectors, odd]))
        prompts = [f"prompt {i}" for i in range(120)] + ["odd"] * 12
        table = make_table(vectors, np.ones((132, 2)), prompts=prompts)
        folds = CrossValidation(table, vectors, SEED, [("prompts", 4)])
        assert np.ptp(folds.located["prompts", 4].assigned[120:]) == 0
        seen = folds.held_out_distances("prompts", 4)
        expected = self.directly(table, vectors, folds.located["prompts", 4])
        np.testing.assert_allclose(seen, expected, atol=1e-6)
        held_out = np.concatenate(
            [np.flatnonzero(fold == f) for fold in deals(table, SEED) for f in range(FOLDS)]
        )
        assert seen[held_out >= 120].min() > 1.0

    def test_centroids_of_other_prompts_stay(self) -> None:
        """No prompt of the table took part in them: it is as far from them as it will be."""
        table, vectors = uneven_table(100, 16, 0.0)
        others = unit(np.random.default_rng(0).normal(size=(80, 16)))
        folds = CrossValidation(table, vectors, SEED, [("prompts", 5)], cluster_vectors=others)
        centroids = folds.located["prompts", 5].found.centroids.astype(np.float64)
        order = [np.flatnonzero(fold == f) for fold in deals(table, SEED) for f in range(FOLDS)]
        held_out = vectors[np.concatenate(order)].astype(np.float64)
        expected = np.linalg.norm(held_out[:, None] - centroids[None], axis=2).min(axis=1)
        seen = folds.held_out_distances("prompts", 5)
        np.testing.assert_allclose(seen, expected, atol=1e-6)
