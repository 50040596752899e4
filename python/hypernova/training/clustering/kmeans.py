"""Cluster unit vectors with spherical k-means.

Not here: the number of clusters (see ``hypernova.training.model_selection``), or the
outcomes in them (see ``hypernova.training.estimates``).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova._core import nearest_centroids
from hypernova.errors import FitError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypernova.numeric import Floats, Ints

ITERATIONS = 10
# Of few vectors a cluster has few, and one start is luckier than another; on the sample of a large
# table all starts route alike (docs/experiments.md).
MIN_STARTS, MAX_STARTS, STARTED_VECTORS = 4, 16, 16_384
# Starts compete on a sample of at most this many vectors, or of this many for a cluster. The
# winner is then refined on all vectors.
SAMPLE_VECTORS, SAMPLE_PER_CLUSTER = 4096, 64
# Refinement ends sooner where no vector changes its cluster.
REFINEMENTS = 2


def kmeans(
    vectors: Floats,
    clusters: int,
    seed: int,
    starts: int | None = None,
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
        starts: Number of random starts; None for `count_starts`.
        tick: Called with 1 after each start.

    Returns:
        float32 (at most ``clusters``, dim), rows of unit length.

    Raises:
        FitError: There are fewer vectors than clusters.
        MissingExtraError: faiss is not installed.
    """
    faiss = import_faiss()
    if clusters > len(vectors):
        raise FitError(
            f"{clusters} clusters were asked for, but there are only {len(vectors)} prompts; "
            f"ask for at most {len(vectors)}"
        )
    size = max(SAMPLE_VECTORS, SAMPLE_PER_CLUSTER * clusters)
    points = vectors[sample_rows(len(vectors), size, seed)]
    best, best_objective = vectors[:0], -np.inf
    # Two values of ``seed`` have no start in common: their seeds are hashed apart.
    starts = starts or count_starts(len(vectors))
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
            max_points_per_centroid=len(points),  # it would sample again
        )
        with _one_thread():
            objective = float(model.train(points))
        if tick:
            tick(1)
        if objective > best_objective:
            best, best_objective = np.asarray(model.centroids, dtype=np.float32), objective
    if len(points) < len(vectors):
        best = _refined(vectors, best)
    centroids = _sorted_rows(best)  # by coordinates: ties in size have an order
    return np.ascontiguousarray(centroids[order_by_size(vectors, centroids)])


def import_faiss() -> Any:
    """Import faiss; called before long work too, so that it does not end without a result.

    Raises:
        MissingExtraError: faiss is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError(
            'clustering needs faiss: pip install "hypernova-router[train]"'
        ) from error
    return faiss


def count_starts(n: int) -> int:
    """Return how many starts compete for the clusters of n vectors."""
    return int(np.clip(STARTED_VECTORS // n, MIN_STARTS, MAX_STARTS))


def sample_rows(n: int, size: int, seed: int) -> Ints | slice:
    """Draw at most ``size`` of n rows with a seed; they are in their order."""
    if n <= size:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(n, size, replace=False))


def _sorted_rows(rows: Floats) -> Floats:
    """Sort different rows by their coordinates, as ``np.unique(rows, axis=0)`` does more slowly."""
    keys = rows.tolist()
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return rows[[i for at, i in enumerate(order) if not at or keys[i] != keys[order[at - 1]]]]


def _refined(vectors: Floats, centroids: Floats) -> Floats:
    """Move centroids to the mean directions of their vectors, several times."""
    before = None
    for _ in range(REFINEMENTS):
        nearest, _ = assign(vectors, centroids)
        if before is not None and np.array_equal(nearest, before):
            break
        before = nearest
        sums = sum_by_cluster(vectors, nearest, len(centroids))
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(length > 0.0, sums / np.maximum(length, 1e-30), centroids)
        centroids = centroids.astype(np.float32)
    return centroids


@contextmanager
def _one_thread() -> Iterator[None]:
    """Hold faiss to one thread: the bytes of its centroids depend on the number.

    On samples of this size several threads mostly wait for each other.
    """
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def sum_by_cluster(vectors: Floats, clusters: Ints, k: int) -> Floats:
    """Sum vectors by cluster, float64 (k, dim).

    Args:
        vectors: float32 (n, dim).
        clusters: (n,) in 0..k-1.
        k: Number of clusters.
    """
    order = np.argsort(clusters, kind="stable")
    ends = np.cumsum(np.bincount(clusters, minlength=k))
    sums = np.zeros((k, vectors.shape[1]))
    for cluster, members in enumerate(np.split(order, ends[:-1])):
        sums[cluster] = vectors[members].sum(axis=0, dtype=np.float64)
    return sums


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
