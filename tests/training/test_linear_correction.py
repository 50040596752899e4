"""Linear correction against scikit-learn's ridge, and shares against the core that serves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as Oracle

from hypernova._core import Artifact
from hypernova.training.assemble import assemble, vectors_identity
from hypernova.training.clustering.clusters import NEAREST, SHARPNESS, Clusters
from hypernova.training.estimates.linear_correction import Ridge, unexplained
from hypernova.training.estimates.profile import Evidence, estimate
from support.factories import make_table, unit

NAN = float("nan")


def residuals(rng: np.random.Generator, n: int, m: int, holes: float) -> np.ndarray:
    left = rng.normal(0.2, 0.5, size=(n, m))
    return np.where(rng.random((n, m)) < holes, NAN, left)


class TestRidge:
    @pytest.mark.parametrize("n", [12, 200])
    @pytest.mark.parametrize("holes", [0.0, 0.4])
    @pytest.mark.parametrize("weight", [0.5, 60.0])
    def test_equals_scikit_learn(self, n, holes, weight) -> None:
        """With fewer tasks than dimensions, and with more; each model on its own tasks."""
        rng = np.random.default_rng(n)
        vectors, left = unit(rng.normal(size=(n, 40))), residuals(rng, n, 5, holes)
        correction = Ridge(vectors, ~np.isnan(left)).fit(left, weight)
        assert correction.slopes.dtype == correction.offsets.dtype == np.float32
        for j in range(5):
            known = ~np.isnan(left[:, j])
            x, y = vectors[known].astype(np.float64), left[known, j]
            oracle = Oracle(alpha=weight, fit_intercept=True).fit(x, y)
            np.testing.assert_allclose(correction.slopes[j], oracle.coef_, atol=1e-6)
            # What the oracle adds for the mean of y is left to the clusters.
            added = correction.offsets[j] + vectors @ correction.slopes[j]
            np.testing.assert_allclose(added, oracle.predict(vectors) - y.mean(), atol=1e-5)

    @given(st.integers(1, 30), st.integers(1, 12), st.floats(0.0, 0.9), st.integers(0, 99))
    def test_the_mean_correction_over_a_models_tasks_is_zero(self, n, dim, holes, seed) -> None:
        rng = np.random.default_rng(seed)
        vectors, left = unit(rng.normal(size=(n, dim))), residuals(rng, n, 3, holes)
        correction = Ridge(vectors, ~np.isnan(left)).fit(left, 0.1)
        for j in range(3):
            known = ~np.isnan(left[:, j])
            if known.any():
                added = correction.offsets[j] + vectors[known] @ correction.slopes[j]
                assert abs(added.mean()) < 1e-5
            else:
                assert not correction.slopes[j].any()
                assert correction.offsets[j] == 0

    def test_holes_are_not_read(self) -> None:
        rng = np.random.default_rng(0)
        vectors, left = unit(rng.normal(size=(30, 6))), residuals(rng, 30, 4, 0.3)
        ridge = Ridge(vectors, ~np.isnan(left))
        first, second = ridge.fit(left, 1.0), ridge.fit(np.nan_to_num(left, nan=9.0), 1.0)
        assert np.array_equal(first.slopes, second.slopes)
        assert np.array_equal(first.offsets, second.offsets)

    def test_models_and_tasks_have_no_order(self) -> None:
        rng = np.random.default_rng(0)
        vectors, left = unit(rng.normal(size=(50, 8))), residuals(rng, 50, 6, 0.2)
        straight = Ridge(vectors, ~np.isnan(left)).fit(left, 3.0)
        models, tasks = rng.permutation(6), rng.permutation(50)
        mixed = left[tasks][:, models]
        turned = Ridge(vectors[tasks], ~np.isnan(mixed)).fit(mixed, 3.0)
        np.testing.assert_allclose(turned.slopes, straight.slopes[models], atol=1e-6)
        np.testing.assert_allclose(turned.offsets, straight.offsets[models], atol=1e-6)


class TestUnexplained:
    def test_is_the_score_less_the_blended_estimate(self) -> None:
        rng = np.random.default_rng(0)
        score = np.where(rng.random((60, 3)) < 0.3, NAN, rng.random((60, 3)))
        table = make_table(unit(rng.normal(size=(60, 4))), score)
        evidence = Evidence.of(table, rng.integers(0, 5, 60), 5)
        shares = rng.dirichlet(np.ones(5), size=60)
        left = unexplained(table.score, shares, evidence, 10.0)
        success = estimate(evidence, 10.0).profile.success
        for i in range(60):
            for j in range(3):
                blended = sum(shares[i, c] * float(success[c, j]) for c in range(5))
                assert left[i, j] == pytest.approx(score[i, j] - blended, nan_ok=True)


def served(centroids: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Shares as the core has them: model c succeeds in cluster c only."""
    k = len(centroids)
    rows = np.vstack([np.eye(k), np.zeros((1, k))]).astype(np.float32)
    flat, unknown = np.zeros((k + 1, k), np.float32), np.full((k + 1, k), NAN, np.float32)
    artifact = Artifact.build(
        models=[f"{c:03}" for c in range(k)],
        centroids=centroids,
        counts=np.ones((k + 1, k)),
        mean=rows,
        success=rows,
        standard_error=flat,
        gain_error=flat,
        cost=unknown,
        latency=unknown,
        novelty=np.array([9.0, 9.0], np.float32),
        embedder=vectors_identity("a test", centroids.shape[1]),
        metadata="{}",
        sharpness=SHARPNESS,
        n_nearest=NEAREST,
        default_model=0,
    )
    seen = np.zeros((len(vectors), k))
    for i, vector in enumerate(vectors):
        for entry in artifact.decide(vector).ranking:
            seen[i, int(entry.model)] = entry.success
    return seen


class TestShares:
    @pytest.mark.parametrize("k", [2, NEAREST, NEAREST + 1, 40])
    def test_are_those_of_the_core(self, k) -> None:
        rng = np.random.default_rng(k)
        # Of unequal lengths, as prototypes are.
        centroids = (unit(rng.normal(size=(k, 12))) * rng.uniform(0.5, 1, (k, 1))).astype("f4")
        vectors = unit(rng.normal(size=(60, 12)))
        shares = Clusters(centroids).shares(vectors)
        np.testing.assert_allclose(shares, served(centroids, vectors), atol=2e-6)
        assert np.all((shares > 0).sum(axis=1) <= min(k, NEAREST))
        np.testing.assert_allclose(shares.sum(axis=1), 1.0)

    def test_of_equally_far_clusters_the_lower_indices(self) -> None:
        """All twelve centroids are equally far; those that the limit leaves share equally."""
        centroids = np.eye(12, 16, dtype=np.float32)
        vector = np.zeros((1, 16), np.float32)
        vector[0, 15] = 1.0
        expected = [[1 / NEAREST] * NEAREST + [0.0] * (12 - NEAREST)]
        np.testing.assert_allclose(Clusters(centroids).shares(vector), expected)
        np.testing.assert_allclose(served(centroids, vector), expected)

    def test_one_cluster_has_all(self) -> None:
        vectors = unit(np.random.default_rng(0).normal(size=(5, 4)))
        assert Clusters(vectors[:1]).shares(vectors).tolist() == [[1.0]] * 5


def test_what_is_fitted_is_what_is_served() -> None:
    """The core's blend and correction, on training vectors, are score less ridge residual."""
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(150, 10)))
    score = (rng.random((150, 3)) < 0.5 + 0.4 * vectors[:, :1]).astype(float)
    table = make_table(vectors, score)
    found = Clusters(vectors[:20])
    clusters = np.argmax(vectors @ found.centroids.T, axis=1)
    evidence = Evidence.of(table, clusters, 20)
    left = unexplained(score, found.shares(vectors), evidence, 10.0)
    correction = Ridge(vectors, ~np.isnan(score)).fit(left, 60.0)
    artifact = assemble(
        table.models, found.centroids, evidence, shrinkage=10.0, guard_z=0.0, correction=correction
    )
    x = vectors.astype(np.float64)
    for j in range(3):
        oracle = Oracle(alpha=60.0).fit(x, left[:, j])
        expected = score[:, j] - left[:, j] + oracle.predict(x) - left[:, j].mean()
        seen = [
            next(e.success for e in artifact.decide(v).ranking if e.model == f"m{j}")
            for v in vectors
        ]
        np.testing.assert_allclose(seen, np.clip(expected, 0, 1), atol=1e-5)
