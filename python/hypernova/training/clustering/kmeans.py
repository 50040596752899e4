"""Cluster unit vectors with spherical k-means.

Not here: the number of clusters (see ``hypernova.training.model_selection``), or the
outcomes in them (see ``hypernova.training.estimates``).
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
# faiss samples the vectors beyond this: more points cost time and improve no centroid.
MAX_POINTS_PER_CLUSTER = 65_536
# Multiplications of one iteration below which several threads cost more than they save: on a
# busy machine they wait for each other, and 2,000 prompts took 5 s instead of 0.1 s.
MIN_THREADED_WORK = 10**9


def kmeans(
    vectors: Floats,
    clusters: int,
    seed: int,
    starts: int = STARTS,
    tick: Callable[[int], None] | None = None,
) -> Floats:
    """Find the centroids of unit vectors by spherical k-means++ (faiss).

    The start with the largest total similarity wins. Clusters are ordered by falling size,
    then by their coordinates, so that an index means the same in each run; a cluster that
    is nearest to no vector is dropped.

    Args:
        vectors: float32 (n, dim), rows of unit length.
        clusters: Number of clusters, from 1 to n.
        seed: Same vectors and seed give the same bytes.
        starts: Number of random starts.
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
    # Two values of ``seed`` have no start in common: their seeds are hashed apart.
    seeds = np.random.SeedSequence(seed).generate_state(starts) % 2**31
    for start in seeds.tolist():
        model = faiss.Kmeans(
            vectors.shape[1],
            clusters,
            niter=ITERATIONS,
            seed=start,
            spherical=True,
            # Random initial centroids miss well separated clusters that k-means++ finds.
            init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
            min_points_per_centroid=1,  # faiss would warn of small tables
            max_points_per_centroid=MAX_POINTS_PER_CLUSTER,
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
    """Hold faiss to one thread where several would wait for each other."""
    import faiss

    before = faiss.omp_get_max_threads()
    if multiplications < MIN_THREADED_WORK:
        faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def order_by_size(vectors: Floats, centroids: Floats) -> Ints:
    """Order centroids by falling number of vectors; a centroid nearest to none is left out.

    Args:
        vectors: float32 (n, dim).
        centroids: float32 (k, dim).

    Returns:
        Indices of centroids, at most (k,).
    """
    sizes = np.bincount(assign(vectors, centroids)[0], minlength=len(centroids))
    order = np.argsort(-sizes, kind="stable")
    return order[sizes[order] > 0]


def assign(vectors: Floats, centroids: Floats) -> tuple[Ints, Floats]:
    """Assign vectors to their nearest centroids, with the search that serves.

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
