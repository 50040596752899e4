"""k-means and prototypes on more vectors than their samples hold.

Not here: tables below that (test_fit, test_prototypes).
"""

from __future__ import annotations

import numpy as np
import pytest

from hypernova.training.clustering import kmeans as k_means
from hypernova.training.clustering import prototypes
from hypernova.training.clustering.clusters import SHARPNESS
from hypernova.training.clustering.kmeans import (
    SAMPLE_PER_CLUSTER,
    SAMPLE_VECTORS,
    assign,
    kmeans,
    sum_by_cluster,
)
from hypernova.training.clustering.prototypes import (
    MAX_SAMPLE,
    MIN_GROUP_TASKS,
    Prototypes,
    start_prototypes,
    train_prototypes,
)
from support.factories import blobs, interleaved, unit

STARTS = 2


def mean_directions(vectors: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Mean direction of each cluster's members, in float64."""
    return np.array(
        [unit(vectors[labels == c].astype(float).mean(axis=0)[None])[0] for c in range(k)]
    )


class TestKMeans:
    def test_finds_known_blobs(self) -> None:
        """Each blob is a cluster, the smallest too, of which the sample has a few members."""
        rng = np.random.default_rng(0)
        sizes = [6000, 3000, 1500, 700, 60]
        labels = np.repeat(np.arange(5), sizes)
        vectors = unit(np.eye(16)[labels] + 0.05 * rng.normal(size=(len(labels), 16)))
        order = rng.permutation(len(labels))
        vectors, labels = vectors[order], labels[order]
        assert len(vectors) > 2 * SAMPLE_VECTORS
        centroids = kmeans(vectors, 5, 0, STARTS)
        found, _ = assign(vectors, centroids)
        # Ordered by falling size over all vectors, so that a cluster has its blob's number.
        assert np.array_equal(found, labels)
        expected = mean_directions(vectors, labels, 5)
        np.testing.assert_allclose(centroids, expected, atol=1e-6)

    def test_centroids_are_the_mean_directions_of_their_members(self) -> None:
        """Refined until no vector changes its cluster: over all vectors, not the sample."""
        vectors, _ = blobs(np.random.default_rng(1), centres=8, each=1000, spread=0.15)
        centroids = kmeans(vectors, 8, 3, STARTS)
        labels, _ = assign(vectors, centroids)
        assert len(centroids) == 8
        np.testing.assert_allclose(centroids, mean_directions(vectors, labels, 8), atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1.0, atol=1e-6)
        # No sample of that size has these means.
        sampled = vectors[:: len(vectors) // SAMPLE_VECTORS + 1]
        of_sample = mean_directions(sampled, assign(sampled, centroids)[0], 8)
        assert np.abs(of_sample - centroids).max() > 1e-3

    @pytest.mark.parametrize("spread", [0.2, 0.6])
    def test_refinement_raises_the_similarity(self, spread, monkeypatch) -> None:
        """Also of vectors without clusters, where it ends before it converges."""
        vectors, _ = blobs(np.random.default_rng(2), centres=6, each=1500, spread=spread)

        def similarity(centroids: np.ndarray) -> float:
            return float((vectors @ centroids.T).max(axis=1).astype(float).mean())

        refined = kmeans(vectors, 6, 0, STARTS)
        monkeypatch.setattr(k_means, "REFINEMENTS", 0)
        of_sample = kmeans(vectors, 6, 0, STARTS)
        assert similarity(refined) > similarity(of_sample)

    def test_same_seed_same_bytes(self) -> None:
        vectors, _ = blobs(np.random.default_rng(3), centres=4, each=1500, spread=0.3)
        first, second, other = (kmeans(vectors, 6, seed, STARTS) for seed in (4, 4, 5))
        assert first.tobytes() == second.tobytes()
        assert first.tobytes() != other.tobytes()

    def test_a_small_table_is_read_whole(self, monkeypatch) -> None:
        """At most so many vectors are neither sampled nor refined; one more is."""
        vectors = unit(np.random.default_rng(4).normal(size=(SAMPLE_VECTORS + 1, 6)))
        refined: list[int] = []
        refine = k_means._refined

        def counted(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
            refined.append(len(points))
            return refine(points, centroids)

        monkeypatch.setattr(k_means, "_refined", counted)
        kmeans(vectors[:-1], 3, 0, STARTS)
        assert refined == []
        kmeans(vectors, 3, 0, STARTS)
        assert refined == [SAMPLE_VECTORS + 1]

    def test_many_clusters_have_a_larger_sample(self) -> None:
        """As many clusters as the sample would have vectors would each be one vector."""
        k = 2 * SAMPLE_VECTORS // SAMPLE_PER_CLUSTER
        vectors, labels = blobs(np.random.default_rng(5), centres=k, each=70, dim=k)
        centroids = kmeans(vectors, k, 0, 1)
        assert len(vectors) > max(SAMPLE_VECTORS, SAMPLE_PER_CLUSTER * k)
        found, _ = assign(vectors, centroids)
        pure = len(set(zip(found.tolist(), labels.tolist(), strict=True)))
        assert pure <= 1.1 * k


class TestPrototypes:
    @pytest.fixture(scope="class")
    @staticmethod
    def tasks() -> tuple[np.ndarray, np.ndarray]:
        vectors, _, groups = interleaved(np.random.default_rng(0), MAX_SAMPLE + 1500)
        return vectors, groups

    def test_of_a_sample_tell_groups_of_all_apart(self, tasks, monkeypatch) -> None:
        """Over all tasks, nearly as well as those that are trained on all tasks."""
        vectors, groups = tasks
        start = start_prototypes(vectors, groups, 0)
        found = train_prototypes(vectors, groups, start, 0, SHARPNESS)
        monkeypatch.setattr(prototypes, "MAX_SAMPLE", len(vectors))
        whole = train_prototypes(vectors, groups, start, 0, SHARPNESS)
        assert not np.array_equal(found.centroids, whole.centroids)

        def loss(of: Prototypes) -> float:
            """Mean negative log likelihood of a task's group."""
            logits = SHARPNESS * (vectors @ of.centroids.T - (of.centroids**2).sum(axis=1) / 2)
            weights = np.exp(logits.astype(float))
            own = (weights * (of.groups == groups[:, None])).sum(axis=1)
            return float(-np.log(own / weights.sum(axis=1)).mean())

        sums = sum_by_cluster(vectors, start.assigned, len(start.groups))
        means = sums / np.bincount(start.assigned)[:, None]
        before = loss(Prototypes(means.astype(np.float32), start.groups))
        assert loss(whole) < 0.8 * before
        assert loss(found) - loss(whole) < 0.1 * (before - loss(whole))
        # None is nearest to no task.
        assert set(assign(vectors, found.centroids)[0].tolist()) == set(range(len(found.groups)))

    def test_same_seed_same_bytes(self, tasks) -> None:
        """The seed is read where there is a sample, and there alone."""
        vectors, groups = tasks
        start = start_prototypes(vectors, groups, 0)

        def trained(seed: int, n: int) -> bytes:
            some = train_prototypes(vectors, groups, start, seed, SHARPNESS, tasks=np.arange(n))
            return some.centroids.tobytes()

        assert trained(1, len(vectors)) == trained(1, len(vectors))
        assert trained(1, len(vectors)) != trained(2, len(vectors))
        assert trained(1, MAX_SAMPLE) == trained(2, MAX_SAMPLE)

    def test_the_smallest_group_of_a_large_table_keeps_its_prototype(self, tasks) -> None:
        """A sample of 8192 of 40,000 tasks misses all 20 of a group once in eighty times."""
        rng = np.random.default_rng(0)
        vectors, groups = (np.concatenate([part] * 4) for part in tasks)
        rare = np.zeros((MIN_GROUP_TASKS, vectors.shape[1]))
        rare[:, 20] = 1.0
        rare = unit(rare + 0.05 * rng.normal(size=rare.shape))
        vectors, groups = np.vstack([vectors, rare]), np.append(groups, [2] * MIN_GROUP_TASKS)
        start = start_prototypes(vectors, groups, 0)
        missed = next(
            seed
            for seed in range(2000)
            if np.random.default_rng(seed).choice(len(vectors), MAX_SAMPLE, replace=False).max()
            < len(vectors) - MIN_GROUP_TASKS
        )
        for seed in (0, missed):
            found = train_prototypes(vectors, groups, start, seed, SHARPNESS)
            assert np.isfinite(found.centroids).all()
            own = found.centroids[found.groups == 2]
            assert len(own) == 1
            np.testing.assert_allclose(own, rare.mean(axis=0, keepdims=True), atol=0.05)
