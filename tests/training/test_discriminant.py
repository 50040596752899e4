"""Centroids that tell groups apart, against the densities of the normal distributions they mean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from hypernova.training.clustering.discriminant import WITHIN_WEIGHT, discriminate
from hypernova.training.clustering.groups import MIN_GROUP_TASKS, GroupNumbers
from hypernova.training.clustering.kmeans import assign, kmeans
from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.estimates.outcome_sums import sum_groups
from support.commands import run_python
from support.factories import interleaved, unit
from support.paths import TESTS

if TYPE_CHECKING:
    from hypernova.training.clustering.clusters import Clusters


class TestGroups:
    def test_large_ones_have_numbers_and_the_rest_shares_the_last(self) -> None:
        groups = ["b"] * 20 + ["small"] * 19 + [None] * 50 + ["a"] * 30
        numbers = GroupNumbers.of(groups)
        assert numbers == GroupNumbers(("a", "b"))
        assert numbers.number(groups).tolist() == [1] * 20 + [2] * 69 + [0] * 30
        # Of other tasks too, which may have groups that were not there.
        assert numbers.number(["new", "a", None, "b"]).tolist() == [2, 0, 2, 1]
        assert numbers.n == 3

    def test_none_without_two_large_groups(self) -> None:
        assert MIN_GROUP_TASKS == 20
        for groups in (
            [None] * 100,
            ["a"] * 100,
            ["a"] * 100 + ["b"] * 19 + [None] * 40,
            [f"g{i}" for i in range(100)],
        ):
            assert GroupNumbers.of(groups) is None
        assert GroupNumbers.of(["a"] * 20 + ["b"] * 20) is not None

    def test_names_may_be_odd(self) -> None:
        """An empty name is a group like others; None is none."""
        names = ["", "g", "\N{ROCKET} ", " ", "a" * 5000]
        groups = [name for name in names for _ in range(20)] + [None] * 7
        numbers = GroupNumbers.of(groups)
        assert numbers is not None
        number = numbers.number(groups)
        assert sorted(set(number[:100].tolist())) == [0, 1, 2, 3, 4]
        assert len({(g, n) for g, n in zip(groups[:100], number[:100].tolist(), strict=True)}) == 5
        assert number[100:].tolist() == [5] * 7


def found(vectors, groups, number: int | None = None) -> Clusters:
    coordinates = Coordinates.of(vectors)
    sums = sum_groups(coordinates.values, groups, number or int(groups.max()) + 1)
    return discriminate(sums, coordinates.basis)


def probabilities(vectors, groups, new) -> np.ndarray:
    """Of each group for new vectors: normal densities with one covariance, by the definition."""
    x = vectors.astype(np.float64)
    numbers = np.unique(groups)
    centred = np.concatenate([x[groups == g] - x[groups == g].mean(axis=0) for g in numbers])
    covariance = centred.T @ centred / len(x)
    covariance += WITHIN_WEIGHT * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    logs = np.stack(
        [
            multivariate_normal(x[groups == g].mean(axis=0), covariance).logpdf(new)
            + np.log(np.mean(groups == g))
            for g in numbers
        ],
        axis=1,
    )
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def clumps(rng: np.random.Generator, sizes: list[int], dim: int, spread: float = 0.5):
    """Groups of unequal sizes around random directions, which overlap."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    centres = unit(rng.normal(size=(len(sizes), dim)))
    return unit(centres[groups] + spread * rng.normal(size=(len(groups), dim))), groups


class TestDiscriminate:
    @pytest.mark.parametrize(("sizes", "dim"), [([300, 100, 40], 8), ([60, 50, 20, 70], 300)])
    def test_shares_are_the_probabilities_of_the_groups(self, sizes, dim) -> None:
        """With more tasks than dimensions, and with fewer."""
        rng = np.random.default_rng(0)
        vectors, groups = clumps(rng, sizes, dim)
        new, _ = clumps(rng, [200], dim)
        clusters = found(vectors, groups)
        assert clusters.groups.tolist() == list(range(len(sizes)))
        shares = clusters.shares(new)
        expected = probabilities(vectors, groups, new)
        assert expected.min(axis=1).mean() > 0.02 or dim > 8
        np.testing.assert_allclose(shares, expected, atol=2e-3)

    def test_centroids_are_about_as_long_as_vectors(self) -> None:
        """So that distances keep their precision in float32."""
        vectors, groups = clumps(np.random.default_rng(1), [50] * 12, 64)
        assert np.linalg.norm(found(vectors, groups).centroids, axis=1).max() < 3.0

    def test_tell_interleaved_groups_apart(self) -> None:
        """On new vectors too, where k-means with as many clusters finds what does not matter."""
        rng = np.random.default_rng(0)
        (vectors, _, groups), (new, _, new_groups) = interleaved(rng), interleaved(rng)
        clusters = found(vectors, groups)
        own = clusters.groups[assign(new, clusters.centroids)[0]] == new_groups
        assert own.mean() > 0.95
        k = kmeans(vectors, clusters.k, 0)
        nearest = assign(vectors, k)[0]
        majority = np.array([np.bincount(groups[nearest == c]).argmax() for c in range(len(k))])
        assert (majority[assign(new, k)[0]] == new_groups).mean() < 0.75

    def test_groups_without_a_task_have_no_centroid(self) -> None:
        vectors, groups = clumps(np.random.default_rng(0), [40, 40], 8)
        assert found(vectors, 2 * groups + 1, 5).groups.tolist() == [1, 3]

    def test_equal_vectors_in_all_groups(self) -> None:
        """Nothing to tell apart, whatever the sizes: no number that is not finite."""
        vectors = np.repeat(np.eye(3, dtype=np.float32), 24, axis=0)
        for groups in (np.arange(72) % 2, np.arange(72) % 6 // 5):
            clusters = found(vectors, groups)
            assert np.isfinite(clusters.centroids).all()
            shares = clusters.shares(vectors)
            assert np.ptp(shares, axis=0).max() < 1e-3

    def test_groups_of_one_vector_each(self) -> None:
        """Nothing varies within groups."""
        vectors = np.repeat(np.eye(3, 5, dtype=np.float32), 30, axis=0)
        groups = np.repeat(np.arange(3), 30)
        clusters = found(vectors, groups)
        assert np.isfinite(clusters.centroids).all()
        assert np.array_equal(clusters.shares(vectors).argmax(axis=1), groups)


PROGRAM = """
import hashlib, numpy as np
from support.factories import interleaved
from hypernova.training.clustering.discriminant import discriminate
from hypernova.training.estimates.outcome_sums import sum_groups
vectors, _, groups = interleaved(np.random.default_rng(0), 3000)
found = discriminate(sum_groups(vectors, groups, 2))
print(hashlib.sha256(found.centroids.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_no_number_of_threads_changes_the_sums() -> None:
    digests = set()
    for threads in ("1", "2"):
        count = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        ran = run_python("-c", PROGRAM, cwd=TESTS, env={**os.environ, **count}, code=0)
        digests.add(ran.stdout.strip())
    assert len(digests) == 1
