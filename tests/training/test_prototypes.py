"""Prototypes: clusters learned from the groups of tasks, on constructed groups."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.optimize import minimize

from hypernova.training.clustering.clusters import SHARPNESS, find_clusters
from hypernova.training.clustering.kmeans import assign, kmeans
from hypernova.training.clustering.prototypes import (
    MIN_GROUP_TASKS,
    PENALTY,
    TASKS_PER_PROTOTYPE,
    Prototypes,
    group_indices,
    start_prototypes,
    train_prototypes,
)
from support.commands import run_python
from support.factories import blobs, interleaved, unit
from support.paths import TESTS


class TestGroups:
    def test_large_ones_are_numbered_and_the_rest_shares_the_last(self) -> None:
        groups = ["b"] * 20 + ["small"] * 19 + [None] * 50 + ["a"] * 30
        numbers = group_indices(groups)
        assert numbers is not None
        assert numbers.tolist() == [1] * 20 + [2] * 69 + [0] * 30

    def test_none_without_two_large_groups(self) -> None:
        assert MIN_GROUP_TASKS == 20
        assert group_indices([None] * 100) is None
        assert group_indices(["a"] * 100) is None
        assert group_indices(["a"] * 100 + ["b"] * 19 + [None] * 40) is None
        assert group_indices([f"g{i}" for i in range(100)]) is None
        assert group_indices(["a"] * 20 + ["b"] * 20) is not None

    def test_names_may_be_odd(self) -> None:
        """An empty name is a group like others; None is none."""
        names = ["", "g", "\N{ROCKET} ", " ", "a" * 5000]
        groups = [name for name in names for _ in range(20)] + [None] * 7
        numbers = group_indices(groups)
        assert numbers is not None
        assert sorted(set(numbers[:100].tolist())) == [0, 1, 2, 3, 4]
        assert len({(g, n) for g, n in zip(groups[:100], numbers[:100].tolist(), strict=True)}) == 5
        assert numbers[100:].tolist() == [5] * 7

    def test_order_of_tasks_does_not_matter(self) -> None:
        rng = np.random.default_rng(0)
        groups = np.array(["x"] * 40 + ["y"] * 25 + ["z"] * 3)
        order = rng.permutation(68)
        assert np.array_equal(group_indices(groups)[order], group_indices(groups[order]))


def prototypes(vectors, groups, sharpness: float, seed: int = 0) -> Prototypes:
    start = start_prototypes(vectors, groups, seed)
    return train_prototypes(vectors, groups, start, seed, sharpness)


def own_group(vectors, groups, centroids, of_centroid) -> float:
    """Share of vectors whose nearest centroid is of their group."""
    return float(np.mean(of_centroid[assign(vectors, centroids)[0]] == groups))


def likelihood_loss(flat, vectors, groups, owner, start) -> float:
    """The loss of prototypes, from the paper's definition, in float64 and without tricks."""
    centroids = flat.reshape(start.shape)
    squared = ((vectors[:, None].astype(float) - centroids[None]) ** 2).sum(axis=2)
    weights = np.exp(-SHARPNESS / 2 * squared)
    own = (weights * (owner[None] == groups[:, None])).sum(axis=1)
    loss = -np.log(own / weights.sum(axis=1)).mean()
    return float(loss + PENALTY / 2 * ((centroids - start) ** 2).sum())


class TestPrototypes:
    def test_tell_interleaved_groups_apart(self) -> None:
        """On new vectors too, where k-means with as many clusters finds what does not matter."""
        rng = np.random.default_rng(0)
        (vectors, _, groups), (new, _, new_groups) = interleaved(rng), interleaved(rng)
        found = prototypes(vectors, groups, SHARPNESS)
        k = len(found.groups)
        assert found.centroids.shape == (k, 32)
        assert found.centroids.dtype == np.float32
        centroids = kmeans(vectors, k, 0)
        clusters = assign(vectors, centroids)[0]
        majority = np.array([np.bincount(groups[clusters == c]).argmax() for c in range(k)])
        assert own_group(new, new_groups, centroids, majority) < 0.75
        assert own_group(new, new_groups, found.centroids, found.groups) > 0.95

    def test_reach_the_optimum_of_their_definition(self) -> None:
        """One prototype a group starts at its mean; an optimiser without a gradient agrees."""
        rng = np.random.default_rng(0)
        groups = np.repeat([0, 1, 2], 60)
        means = np.array([[1, 0.3, 0, 0], [1, -0.3, 0, 0], [1, 0, 0.4, 0]])
        vectors = unit(means[groups] + 0.25 * rng.normal(size=(180, 4)))
        start = np.array([vectors[groups == g].mean(axis=0) for g in range(3)], dtype=float)
        rest = (vectors, groups, np.arange(3), start)
        oracle = minimize(likelihood_loss, start.ravel(), rest, method="L-BFGS-B")
        found = prototypes(vectors, groups, SHARPNESS)
        mine = found.centroids[np.argsort(found.groups)].astype(float)
        before = likelihood_loss(start.ravel(), *rest)
        reached = likelihood_loss(mine.ravel(), *rest)
        assert before - oracle.fun > 0.02
        assert reached - oracle.fun < 0.01 * (before - oracle.fun)

    def test_large_groups_get_more(self) -> None:
        rng = np.random.default_rng(0)
        sizes = [TASKS_PER_PROTOTYPE * 4, TASKS_PER_PROTOTYPE, 30]
        groups = np.repeat([0, 1, 2], sizes)
        vectors = unit(np.eye(8)[groups] + 0.3 * rng.normal(size=(len(groups), 8)))
        found = prototypes(vectors, groups, SHARPNESS)
        assert np.bincount(found.groups).tolist() == [4, 1, 1]
        # Ordered by falling size, as other clusters are.
        nearest = np.bincount(assign(vectors, found.centroids)[0], minlength=6)
        assert np.all(np.diff(nearest) <= 0)

    def test_equal_vectors_in_both_groups(self) -> None:
        """Nothing to tell apart: no number that is not finite, and no empty cluster."""
        vectors = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
        found = prototypes(vectors, np.arange(60) % 2, SHARPNESS)
        assert np.isfinite(found.centroids).all()
        assert set(assign(vectors, found.centroids)[0]) == set(range(len(found.groups)))

    def test_a_group_may_be_far_from_its_own_prototypes(self) -> None:
        """Two opposite clumps with one mean between them: weights vanish in float32."""
        rng = np.random.default_rng(0)
        raw = np.zeros((120, 8))
        raw[:40, 0], raw[40:80, 0], raw[80:, 1] = 1.0, -1.0, 1.0
        vectors = unit(raw + 0.01 * rng.normal(size=raw.shape))
        found = prototypes(vectors, np.repeat([0, 1], [80, 40]), 5000.0)
        assert np.isfinite(found.centroids).all()


class TestClusters:
    def test_groups_give_prototypes_and_prompts_k_means(self) -> None:
        vectors, _, groups = interleaved(np.random.default_rng(0))
        names = [f"group {g}" for g in groups]
        found = find_clusters(vectors, "groups", 0, 0, groups=names)
        expected = prototypes(vectors, groups, SHARPNESS)
        assert np.array_equal(found.centroids, expected.centroids)
        assert np.array_equal(found.groups, expected.groups)
        plain = find_clusters(vectors, "prompts", 4, 0, groups=names)
        assert np.array_equal(plain.centroids, kmeans(vectors, 4, 0))
        assert plain.groups is None

    def test_a_part_without_two_large_groups_is_one_cluster(self) -> None:
        vectors, _ = blobs(np.random.default_rng(0), centres=2, each=20)
        found = find_clusters(vectors, "groups", 0, 0, groups=["a"] * 30 + ["b"] * 10)
        assert (found.k, found.groups) == (1, None)


PROGRAM = """
import hashlib, numpy as np
from support.factories import interleaved
from hypernova.training.clustering.prototypes import start_prototypes, train_prototypes
vectors, _, groups = interleaved(np.random.default_rng(0), {n})
start = start_prototypes(vectors, groups, 7)
found = train_prototypes(vectors, groups, start, 7, 30.0)
print(hashlib.sha256(found.centroids.tobytes()).hexdigest())
"""


def in_a_process(n: int, threads: int) -> str:
    """Digest of prototypes that another process makes."""
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    program = PROGRAM.format(n=n)
    return run_python("-c", program, cwd=TESTS, env={**os.environ, **count}, code=0).stdout.strip()


class TestBytes:
    def test_same_seed_same_bytes(self) -> None:
        vectors, _, groups = interleaved(np.random.default_rng(0))
        first, second = (prototypes(vectors, groups, SHARPNESS, 7) for _ in range(2))
        assert first.centroids.tobytes() == second.centroids.tobytes()
        assert np.array_equal(first.groups, second.groups)

    @pytest.mark.slow
    @pytest.mark.parametrize("threads", [1, 2])
    def test_in_another_process_too(self, threads) -> None:
        """With as many threads; docs/fitting.md promises no more than that."""
        digests = {in_a_process(1000, threads) for _ in range(2)}
        assert len(digests) == 1
