"""Linear correction against scikit-learn's ridge, and shares against the core that serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as Oracle

from hypernova._core import Artifact
from hypernova.training.assemble import assemble, vectors_identity
from hypernova.training.clustering.clusters import NEAREST, SHARPNESS, Clusters
from hypernova.training.estimates.linear_correction import (
    Coordinates,
    LinearCorrection,
    fit_ridges,
)
from hypernova.training.estimates.outcome_sums import FACTOR_BITS, rounded, sum_products
from hypernova.training.estimates.profile import Evidence, estimate
from support.factories import make_table, unit

NAN = float("nan")


@dataclass(frozen=True)
class Case:
    """Tasks with vectors and scores."""

    vectors: np.ndarray
    score: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, n: int, dim: int, m: int, holes: float) -> Case:
        score = np.where(rng.random((n, m)) < holes, NAN, rng.random((n, m)))
        return cls(unit(rng.normal(size=(n, dim))), score)

    def rounded(self) -> Case:
        """Return the case with vectors and scores as the sums have them."""
        coordinates = Coordinates.of(self.vectors)
        vectors = rounded(coordinates.values, FACTOR_BITS)
        if coordinates.basis is not None:
            vectors = vectors @ coordinates.basis.T
        return Case(vectors, rounded(self.score, FACTOR_BITS))

    def fit(self, weight: float) -> LinearCorrection:
        coordinates = Coordinates.of(self.vectors)
        products = sum_products(coordinates.values, self.score)
        (correction,) = fit_ridges(products, [weight], coordinates.basis)
        return correction


class TestRidge:
    @pytest.mark.parametrize("n", [12, 200])
    @pytest.mark.parametrize("holes", [0.0, 0.4])
    @pytest.mark.parametrize(
        ("weight", "exact"), [(0.5, False), (60.0, False), (60.0, True)], ids=str
    )
    def test_equals_scikit_learn(self, n, holes, weight, exact) -> None:
        """With fewer tasks than dimensions, and with more; each model on its own tasks.

        Factors are rounded before they are summed (see ``outcome_sums``). A ridge of 60, as `fit`
        has it, does not show that; one of 0.5 does, so the oracle gets the rounded ones there.
        """
        case = Case.drawn(np.random.default_rng(n), n, 40, 5, holes)
        correction = case.fit(weight)
        read = case if exact else case.rounded()
        known = ~np.isnan(case.score)
        # How hard a task is, from the models that were tried on it.
        share = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
        share = share if exact else rounded(share, FACTOR_BITS)
        total = np.where(known, read.score, 0.0).sum(axis=1)
        mean = total / np.maximum(known.sum(axis=1), 1)
        mean = mean if exact else rounded(mean, FACTOR_BITS)
        level = mean - share @ np.nanmean(read.score, axis=0)
        for j in range(5):
            own, tried = known[:, j], known.any(axis=1)
            parts = [(tried, level), (own, read.score[:, j] - level)]
            if not holes:
                parts = [(own, read.score[:, j])]
            slope, added = 0.0, 0.0
            for at, y in parts:
                x = read.vectors[at].astype(np.float64)
                oracle = Oracle(alpha=weight, fit_intercept=True).fit(x, y[at])
                slope = slope + oracle.coef_
                # What the oracle adds for the mean of y is left to the rates.
                added = added + oracle.predict(read.vectors) - y[at].mean()
            np.testing.assert_allclose(correction.slopes[j], slope, atol=1e-6)
            seen = correction.offsets[j] + read.vectors @ correction.slopes[j]
            np.testing.assert_allclose(seen, added, atol=1e-5)
        assert correction.slopes.dtype == correction.offsets.dtype == np.float32

    @given(st.integers(1, 30), st.integers(1, 12), st.floats(0.0, 0.9), st.integers(0, 99))
    def test_the_mean_correction_over_all_tasks_of_a_model_without_holes_is_zero(
        self, n, dim, holes, seed
    ) -> None:
        rng = np.random.default_rng(seed)
        case = Case.drawn(rng, n, dim, 3, holes)
        case.score[:, 1] = rng.random(n)
        correction = case.fit(0.1)
        added = correction.offsets[1] + case.vectors @ correction.slopes[1]
        assert abs(added.mean()) < 1e-5

    def test_a_model_without_holes_does_not_mind_those_of_others(self) -> None:
        case = Case.drawn(np.random.default_rng(0), 60, 8, 4, 0.0)
        other = Case(case.vectors, case.score.copy())
        other.score[:30, 1:3], other.score[::3, 3] = NAN, NAN
        whole, holey = case.fit(3.0), other.fit(3.0)
        np.testing.assert_allclose(holey.slopes[0], whole.slopes[0], atol=1e-7)
        np.testing.assert_allclose(holey.offsets[0], whole.offsets[0], atol=1e-7)
        assert np.abs(holey.slopes[1:] - whole.slopes[1:]).max() > 1e-3

    def test_tasks_without_an_outcome_are_not_read(self) -> None:
        rng = np.random.default_rng(0)
        case = Case.drawn(rng, 40, 6, 4, 0.3)
        case.score[::4] = NAN
        kept = ~np.isnan(case.score).all(axis=1)
        assert not kept.all()
        rest = Case(case.vectors[kept], case.score[kept])
        assert np.array_equal(case.fit(1.0).slopes, rest.fit(1.0).slopes)

    def test_a_model_that_was_tried_on_the_easy_kind_alone_follows_the_others(self) -> None:
        """Within a kind nothing is to be learned; the other kind is harder for all by 0.6."""
        rng = np.random.default_rng(0)
        hard = np.arange(400) % 2 == 1
        vectors = unit(
            np.where(hard[:, None], [0.0, 1.0], [1.0, 0.0]) + 0.1 * rng.normal(size=(400, 2))
        )
        rate = np.where(hard[:, None], 0.3, 0.9) - np.array([0.0, 0.0, 0.0, 0.1])
        score = (rng.random((400, 4)) < rate).astype(float)
        score[hard, 3] = NAN
        case, rates = Case(vectors, score), np.array([0.6, 0.6, 0.6, 0.5])
        (correction,) = fit_ridges(sum_products(vectors, score), [10.0], None, rates)
        at = np.array([[1.0, 0.0], [0.0, 1.0]]) @ correction.slopes.T + correction.offsets
        expected = np.array([[0.3] * 4, [-0.3] * 4])
        np.testing.assert_allclose(at, expected, atol=0.1)
        # Alone, it would know of no hard kind.
        alone = Oracle(alpha=10.0).fit(vectors[~hard], score[~hard, 3])
        assert np.diff(alone.predict(np.array([[0.0, 1.0], [1.0, 0.0]])))[0] < 0.15
        assert case.fit(10.0).slopes[3, 1] < 0

    def test_models_and_tasks_have_no_order(self) -> None:
        rng = np.random.default_rng(0)
        case = Case.drawn(rng, 50, 8, 6, 0.2)
        models, tasks = rng.permutation(6), rng.permutation(50)
        mixed = Case(case.vectors[tasks], case.score[tasks][:, models])
        straight, turned = case.fit(3.0), mixed.fit(3.0)
        np.testing.assert_allclose(turned.slopes, straight.slopes[models], atol=1e-6)
        np.testing.assert_allclose(turned.offsets, straight.offsets[models], atol=1e-6)

    def test_several_weights_are_fitted_as_each_alone(self) -> None:
        """Heavier ones have shorter slopes."""
        case = Case.drawn(np.random.default_rng(0), 60, 8, 4, 0.3)
        weights = [1.0, 5.0, 60.0]
        together = fit_ridges(sum_products(case.vectors, case.score), weights)
        for weight, correction in zip(weights, together, strict=True):
            alone = case.fit(weight)
            assert np.array_equal(correction.slopes, alone.slopes)
            assert np.array_equal(correction.offsets, alone.offsets)
        lengths = [np.linalg.norm(correction.slopes, axis=1) for correction in together]
        assert np.all(np.diff(lengths, axis=0) < 0)


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
        # Of unequal lengths, as centroids of groups are.
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

    @given(st.integers(0, 2**32 - 1), st.integers(1, 3 * NEAREST), st.integers(1, 40))
    def test_of_centroids_that_occur_twice_the_order_is_the_cores(self, seed, k, n) -> None:
        """Ties to the bit at the limit of nearest clusters, also among hundreds of vectors."""
        rng = np.random.default_rng(seed)
        dim = int(rng.integers(1, 40))
        places = (unit(rng.normal(size=(k, dim))) * rng.uniform(0.5, 1, (k, 1))).astype("f4")
        centroids = places[rng.integers(0, k, int(rng.integers(2, 4 * NEAREST)))]
        vectors = unit(rng.normal(size=(n, dim)))
        shares = Clusters(centroids).shares(vectors)
        seen = served(centroids, vectors)
        np.testing.assert_allclose(shares, seen, atol=2e-6)
        # Where a centroid falls off the limit, its twins of higher index have fallen before.
        for row in shares:
            for place in np.unique(centroids, axis=0):
                twins = np.flatnonzero((centroids == place).all(axis=1))
                kept = row[twins] > 0
                assert np.array_equal(kept, np.sort(kept)[::-1])

    def test_one_cluster_has_all(self) -> None:
        vectors = unit(np.random.default_rng(0).normal(size=(5, 4)))
        assert Clusters(vectors[:1]).shares(vectors).tolist() == [[1.0]] * 5


def test_what_is_fitted_is_what_is_served() -> None:
    """The core's blend and correction, on training vectors, are rates and ridge prediction."""
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(150, 10)))
    score = (rng.random((150, 3)) < 0.5 + 0.4 * vectors[:, :1]).astype(float)
    table = make_table(vectors, score)
    found = Clusters(vectors[:20])
    clusters = np.argmax(vectors @ found.centroids.T, axis=1)
    estimated = estimate(Evidence.of(table, clusters, 20), 10.0)
    blended = found.shares(vectors) @ estimated.cluster_success
    correction = Case(vectors, score).fit(60.0)
    artifact = assemble(
        table.models, found, estimated, shrinkage=10.0, guard_z=0.0, correction=correction
    )
    x = vectors.astype(np.float64)
    for j in range(3):
        oracle = Oracle(alpha=60.0).fit(x, score[:, j])
        expected = blended[:, j] + oracle.predict(x) - score[:, j].mean()
        seen = [
            next(e.success for e in artifact.decide(v).ranking if e.model == f"m{j}")
            for v in vectors
        ]
        np.testing.assert_allclose(seen, np.clip(expected, 0, 1), atol=1e-5)
