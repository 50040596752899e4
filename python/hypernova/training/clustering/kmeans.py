"""Cluster unit vectors with k-means.

Not here: the number of clusters (see ``select``), or what happened in them (see
``profile``).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import nearest_centroids
from hypernova.errors import FitError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypernova.numeric import Floats, Ints

ITERATIONS = 25
STARTS = 16
# Beyond this k-means samples: centroids do not get better, only later.
POINTS_PER_CLUSTER = 65_536
# Multiplications of one iteration below which threads cost more than they save: on a busy
# machine they wait for each other: 2,000 prompts took 5 s instead of 0.1 s.
WORTH_THREADS = 10**9


def kmeans(
    vectors: Floats,
    clusters: int,
    seed: int,
    starts: int = STARTS,
    tick: Callable[[int], None] | None = None,
) -> Floats:
    """Find the centroids of unit vectors by spherical k-means++ (faiss).

    Of several starts the one with the largest total similarity is kept. Clusters
    are ordered by falling size, then by their coordinates, so that an index means
    the same in each run; one that is nearest to no vector is dropped.

    Args:
        vectors: float32 (n, dim), rows of unit length.
        clusters: How many, from 1 to n.
        seed: Same vectors and seed give the same bytes.
        starts: How many random starts.
        tick: Called with 1 after each start.

    Returns:
        float32 (at most ``clusters``, dim), rows of unit length.

    Raises:
        FitError: There are fewer vectors than clusters.
        MissingExtraError: faiss is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError(
            'clustering needs faiss: pip install "hypernova-router[train]"'
        ) from error
    if clusters > len(vectors):
        raise FitError(
            f"{clusters} clusters were asked for, but there are only {len(vectors)} prompts; "
            f"ask for at most {len(vectors)}"
        )
    best, best_objective = vectors[:0], -np.inf
    # Seeds that no other ``seed`` shares: their starts would be the same.
    seeds = np.random.SeedSequence(seed).generate_state(starts) % 2**31
    for start in seeds.tolist():
        model = faiss.Kmeans(
            vectors.shape[1],
            clusters,
            niter=ITERATIONS,
            seed=start,
            spherical=True,
            # Random starts miss well separated clusters that this one finds.
            init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
            min_points_per_centroid=1,  # small tables are our business; faiss would warn
            max_points_per_centroid=POINTS_PER_CLUSTER,
        )
        with _threads(vectors.size * clusters):
            objective = float(model.train(vectors))
        if tick:
            tick(1)
        if objective > best_objective:
            best, best_objective = np.asarray(model.centroids, dtype=np.float32), objective
    centroids = np.unique(best, axis=0)  # sorted by coordinates: ties in size have an order
    return np.ascontiguousarray(centroids[order_by_size(vectors, centroids)])


@contextmanager
def _threads(multiplications: int) -> Iterator[None]:
    """Let faiss use one thread where more would only wait for each other."""
    import faiss

    before = faiss.omp_get_max_threads()
    if multiplications < WORTH_THREADS:
        faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def order_by_size(vectors: Floats, centroids: Floats) -> Ints:
    """Indices of centroids by falling number of vectors, without those nearest to none."""
    sizes = np.bincount(assign(vectors, centroids)[0], minlength=len(centroids))
    order = np.argsort(-sizes, kind="stable")
    return order[sizes[order] > 0]


def assign(vectors: Floats, centroids: Floats) -> tuple[Ints, Floats]:
    """Assign vectors to their nearest centroids, by the very search that routes.

    Args:
        vectors: float32 (n, dim).
        centroids: float32 (k, dim).

    Returns:
        Clusters, int32 (n,), and Euclidean distances, float32 (n,).
    """
    clusters, distances = nearest_centroids(
        np.ascontiguousarray(vectors), np.ascontiguousarray(centroids)
    )
    return clusters, distances
