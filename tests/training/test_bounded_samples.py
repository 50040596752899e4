"""k-means on more vectors than its sample holds.

Not here: tables below that (test_fit).
"""

from __future__ import annotations

import numpy as np
import pytest

from hypernova.training.clustering import kmeans as k_means
from hypernova.training.clustering.kmeans import (
    SAMPLE_PER_CLUSTER,
    SAMPLE_VECTORS,
    assign,
    kmeans,
)
from support.factories import blobs, unit

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
