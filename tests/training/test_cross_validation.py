"""Learning by subtraction against learning each training part directly, and what may enter it.

Not here: how tasks are dealt, and what is chosen on held-out tasks (test_model_selection).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hypernova.training.cross_validation import (
    FOLDS,
    CrossValidation,
    FoldEstimates,
    FoldSums,
    deals,
)
from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.estimates.stacking import StackingWeights
from hypernova.training.model_selection import choose
from hypernova.training.partition import Partition, find_partition
from hypernova.training.placed_tasks import PlacedTasks
from hypernova.training.training_part import Setting, TrainingPart
from support.factories import blobs, make_table, uneven_table, unit

SEED = 3
WEIGHTS = StackingWeights((0.6, 0.1, 0.2, 0.2, 0.3), (0.5, 0.0, 0.3, 0.1, 0.4))
SOURCES = ["prompts", "groups"]
ARRAYS = (
    "centroids", "counts", "mean", "success", "standard_error", "gain_error", "cost", "latency",
)  # fmt: skip


def partition_of(table, vectors, source: str, clusters: int = 9) -> Partition:
    clusters = clusters if source == "prompts" else None
    return find_partition(table.groups, vectors, table.n_tasks, clusters)


def folds_of(table, vectors, source: str) -> CrossValidation:
    return CrossValidation(table, vectors, partition_of(table, vectors, source), SEED)


def setting_of(source: str, guard_z: float = 1.0) -> Setting:
    return Setting(source, 9, guard_z, WEIGHTS)


def learned_directly(table, vectors, partition: Partition, test) -> TrainingPart:
    """Learn from the training part alone, in the cells that the folds have."""
    train = np.setdiff1d(np.arange(table.n_tasks), test)
    # In the space of all vectors: other coordinates are other numbers when they are rounded.
    whole = Coordinates.of(vectors)
    placed = PlacedTasks.of(
        table.subset(train),
        vectors[train],
        partition,
        Coordinates(whole.values[train], whole.basis),
    )
    return TrainingPart.of(table.models, placed.sums(None), partition, whole.basis)


def assert_same(seen: TrainingPart, expected: TrainingPart, source: str) -> None:
    """Bits of what is counted and averaged; an equation may be solved in another order."""
    one, two = (part.artifact(setting_of(source)) for part in (seen, expected))
    assert one.default_model == two.default_model
    for name in ARRAYS:
        assert np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True), name
    np.testing.assert_array_max_ulp(one.slopes, two.slopes, maxulp=1)
    np.testing.assert_allclose(one.offsets, two.offsets, rtol=2e-7, atol=1e-9)


class TestSubtraction:
    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("holes", [0.0, 0.4])
    @pytest.mark.parametrize(("n", "dim"), [(180, 16), (120, 110), (90, 150)], ids=str)
    def test_equals_learning_each_training_part(self, n, dim, holes, source) -> None:
        """More tasks than dimensions, more in all but fewer in training parts, and fewer."""
        prompts = [f"prompt {i - i % 2 if i < 40 else i}" for i in range(n)]
        table, vectors = uneven_table(n, dim, holes, prompts=prompts)
        vectors[1:40:2] = vectors[0:40:2]
        partition, folds_seen = partition_of(table, vectors, source), 0
        folds = CrossValidation(table, vectors, partition, SEED)
        for fold in folds.folds():
            expected = learned_directly(table, vectors, partition, fold.test)
            assert_same(folds.training(fold), expected, source)
            folds_seen += 1
        assert folds_seen == 4 * FOLDS

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("holes", [0.0, 0.4])
    @pytest.mark.parametrize("costs", [True, False])
    def test_chooses_what_the_artifacts_decide(self, holes, source, costs) -> None:
        """Of two models with equal outcomes the lower one, as the core does."""
        table, vectors = uneven_table(400, 16, holes)
        score, cost = (np.column_stack([x, x[:, :2]]) for x in (table.score, table.cost_usd))
        columns = {"cost_usd": cost} if costs else {}
        table = make_table(vectors, score, groups=table.groups, **columns)
        folds, decided, routed = folds_of(table, vectors, source), 0, 0
        for fold in folds.folds():
            seen, part = folds.estimate(fold), folds.training(fold)
            success = seen.rates + WEIGHTS.average(seen.estimates) - seen.caution
            success = np.clip(success, 0, 1)
            for guard_z, margin in ((0.0, 0.0), (0.5, 0.0), (2.0, 0.0), (0.0, 0.05), (0.5, 0.2)):
                setting = replace(setting_of(source, guard_z), margin=margin)
                artifact = part.artifact(setting)
                assert artifact.default_model == table.models[seen.default_model]
                for cost_weight in (0.0, 0.05, 1.0) if costs else (0.0,):
                    chosen = choose(seen, success, guard_z, cost_weight, margin=margin)
                    expected = artifact.decide_many(vectors[fold.test], cost_weight=cost_weight)
                    assert np.array_equal(chosen, expected.model_indices)
                    if margin == 0.0:
                        decided += len(chosen)
                        routed += int((chosen != seen.default_model).sum())
                prices = {m: float(m == artifact.default_model) for m in table.models}
                priced = artifact.decide_many(vectors[fold.test], cost_weight=0.3, prices=prices)
                called = choose(seen, success, guard_z, 0.3, margin=margin, calls=True)
                assert np.array_equal(called, priced.model_indices)
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
        for source in SOURCES:
            partition = partition_of(table, vectors, source)
            folds = CrossValidation(table, vectors, partition, SEED)
            fold = next(folds.folds())
            assert not np.isnan(score[fold.test, 2]).any()
            part = folds.training(fold)
            assert_same(part, learned_directly(table, vectors, partition, fold.test), source)
            artifact = part.artifact(setting_of(source))
            assert not artifact.counts[:, 2].any()
            assert np.isfinite(artifact.success).all()
            # It follows the level of the others, whose mean of four equal columns is theirs.
            others = [m for m in range(table.n_models) if m != 2]
            for ridge in part.ridges:
                level = ridge.slopes[others].mean(axis=0)
                np.testing.assert_allclose(ridge.slopes[2], level, atol=1e-5)
            if source == "prompts":
                cells = partition.cells(table.groups, vectors)
                inside = np.bincount(cells[first != 0], minlength=partition.n_cells)
                assert (inside == 0).any(), "no cluster lies in the fold"


def fold_at(folds: CrossValidation, index: int) -> FoldSums:
    return list(folds.folds())[index]


class TestLeaks:
    """What lies in a held-out fold is replaced; nothing that is learned for it may change."""

    @staticmethod
    def learned(table, vectors, index: int, source: str) -> tuple[bytes, FoldEstimates]:
        folds = folds_of(table, vectors, source)
        fold = fold_at(folds, index)
        artifact = folds.training(fold).artifact(setting_of(source))
        return artifact.to_bytes(), folds.estimate(fold)

    @staticmethod
    def assert_equal(one: FoldEstimates, two: FoldEstimates) -> None:
        for field in ("test", "default_model", "rates", "estimates", "gain_error", "cost_usd"):
            assert np.array_equal(getattr(one, field), getattr(two, field)), field

    @pytest.mark.parametrize("source", SOURCES)
    @pytest.mark.parametrize("holes", [0.0, 0.4])
    @pytest.mark.parametrize("index", [0, 7])
    def test_no_outcome_of_the_fold_enters(self, index, holes, source) -> None:
        """Not by clusters, defaults, the models that gains are paired with, or classes."""
        table, vectors = uneven_table(150, 16, holes)
        before = self.learned(table, vectors, index, source)
        test = before[1].test
        score, cost, latency = table.score.copy(), table.cost_usd.copy(), table.latency_s.copy()
        # One model fails at all that is held out, the others never do; holes close or move.
        score[test] = [0.0, 1.0, 1.0, 1.0, 1.0]
        score[test[::3], 1:3] = np.nan
        cost[test], latency[test] = 1e3, np.nan
        cost[np.isnan(score)] = latency[np.isnan(score)] = np.nan
        columns = {"cost_usd": cost, "latency_s": latency, "groups": table.groups}
        altered = make_table(vectors, score, **columns)
        after = self.learned(altered, vectors, index, source)
        assert after[0] == before[0]
        self.assert_equal(before[1], after[1])
        # The other folds learn from these tasks.
        other = (index + 1) % FOLDS
        assert (
            self.learned(altered, vectors, other, source)[0]
            != self.learned(table, vectors, other, source)[0]
        )

    @pytest.mark.parametrize("source", SOURCES)
    def test_not_by_the_default_models_of_other_folds(self, source) -> None:
        """Two models apart by a hair: the fold's outcomes decide which is best elsewhere."""
        rng = np.random.default_rng(0)
        vectors, _ = blobs(rng, centres=3, each=50)
        score = np.repeat([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 50, axis=0)
        score = np.column_stack([rng.permutation(score), rng.random(150) < 0.3])
        groups = ["a", "b", "c"] * 50
        table = make_table(vectors, score, groups=groups)
        test = fold_at(folds_of(table, vectors, source), 1).test
        learned, defaults = [], []
        for favourite in (0, 1):
            changed = score.copy()
            changed[test] = 0.0
            changed[test, favourite] = 1.0
            table = make_table(vectors, changed, groups=groups)
            learned.append(self.learned(table, vectors, 1, source))
            defaults.append(self.learned(table, vectors, 0, source)[1].default_model)
        assert defaults == [0, 1]
        assert learned[0][0] == learned[1][0]
        self.assert_equal(learned[0][1], learned[1][1])

    def test_no_group_of_the_fold_enters(self) -> None:
        """Which groups are large enough is counted over all tasks; no more is read of them."""
        table, vectors = uneven_table(600, 16, 0.4)
        index = 2
        test = fold_at(folds_of(table, vectors, "groups"), index).test
        groups = np.array(table.groups)
        names, numbers = np.unique(groups, return_inverse=True)
        groups[test] = np.roll(names, 1)[numbers][test]
        columns = {"cost_usd": table.cost_usd, "latency_s": table.latency_s}
        altered = make_table(vectors, table.score, groups=groups.tolist(), **columns)
        before = self.learned(table, vectors, index, "groups")
        after = self.learned(altered, vectors, index, "groups")
        assert before[0] == after[0]
        self.assert_equal(before[1], after[1])
        assert (
            self.learned(table, vectors, index + 1, "groups")[0]
            != self.learned(altered, vectors, index + 1, "groups")[0]
        )


class TestHeldOutDistances:
    @staticmethod
    def directly(table, vectors, partition: Partition) -> np.ndarray:
        """Distances from the mean directions of the other folds' members; loops."""
        distances, cells = [], partition.cells(table.groups, vectors)
        for fold in deals(table, SEED):
            for f in range(FOLDS):
                centroids = []
                for c in range(partition.n_cells):
                    members = vectors[(cells == c) & (fold != f)].astype(np.float64)
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
        partition = partition_of(table, vectors, "prompts", k)
        seen = CrossValidation(table, vectors, partition, SEED).held_out_distances(of_table=True)
        assert seen.dtype == np.float32
        expected = self.directly(table, vectors, partition)
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
        partition = partition_of(table, vectors, "prompts", 4)
        assert np.ptp(partition.cells(table.groups, vectors)[120:]) == 0
        seen = CrossValidation(table, vectors, partition, SEED).held_out_distances(of_table=True)
        expected = self.directly(table, vectors, partition)
        np.testing.assert_allclose(seen, expected, atol=1e-6)
        held_out = np.concatenate(
            [np.flatnonzero(fold == f) for fold in deals(table, SEED) for f in range(FOLDS)]
        )
        assert seen[held_out >= 120].min() > 1.0

    def test_centroids_of_other_prompts_stay(self) -> None:
        """No prompt of the table took part in them: it is as far from them as it will be."""
        table, vectors = uneven_table(100, 16, 0.0)
        others = unit(np.random.default_rng(0).normal(size=(80, 16)))
        partition = find_partition(table.groups, vectors, 100, 5, cluster_vectors=others)
        centroids = partition.clusters.centroids.astype(np.float64)
        order = [np.flatnonzero(fold == f) for fold in deals(table, SEED) for f in range(FOLDS)]
        held_out = vectors[np.concatenate(order)].astype(np.float64)
        expected = np.linalg.norm(held_out[:, None] - centroids[None], axis=2).min(axis=1)
        folds = CrossValidation(table, vectors, partition, SEED)
        seen = folds.held_out_distances(of_table=False)
        np.testing.assert_allclose(seen, expected, atol=1e-6)
