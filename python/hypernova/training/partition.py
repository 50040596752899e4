"""Divide tasks into cells, whose outcomes are estimated together: groups, or clusters of prompts.

Not here: the estimates (see ``estimates``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hypernova.training.clustering.clusters import Clusters
from hypernova.training.clustering.discriminant import discriminate
from hypernova.training.clustering.groups import GroupNumbers
from hypernova.training.clustering.kmeans import assign, kmeans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.numeric import Floats, Ints
    from hypernova.training.estimates.sums import Sums

Source = Literal["prompts", "groups"]

# The largest of these numbers of clusters that leaves so many different prompts in each.
CLUSTERS = (4, 16, 48)
MIN_PROMPTS_PER_CLUSTER = 8
# Of k-means. The seed of a fit deals folds, and moves no centroid: another one would change the
# decisions for a tenth of the prompts and say nothing.
SEED = 0


@dataclass(frozen=True)
class Partition:
    """Cells of tasks.

    Attributes:
        groups: Groups, if each is a cell.
        clusters: Clusters of prompts, if each is a cell; one of the two is given.
    """

    groups: GroupNumbers | None = None
    clusters: Clusters | None = None

    @property
    def source(self) -> Source:
        """Whether cells are groups or clusters of prompts."""
        return "prompts" if self.groups is None else "groups"

    @property
    def n_cells(self) -> int:
        """Number of cells; those of groups may hold no task."""
        if self.groups is not None:
            return self.groups.n
        assert self.clusters is not None
        return self.clusters.k

    def cells(self, groups: Sequence[str | None], vectors: Floats) -> Ints:
        """Return the cell of each task, (n,), by its group or its vector, float32 (n, dim)."""
        if self.groups is not None:
            return self.groups.number(groups)
        assert self.clusters is not None
        return assign(vectors, self.clusters.centroids)[0]

    def find_clusters(self, sums: Sums, basis: Floats | None) -> Clusters:
        """Return the clusters that serve: those of prompts, or centroids that tell groups apart.

        Args:
            sums: Sums of `sum_groups`, for groups.
            basis: Of the `Coordinates` whose sums these are.
        """
        if self.clusters is not None:
            return self.clusters
        return discriminate(sums, basis)


def needs_clusters(
    groups: Sequence[str | None], clusters: int | None, cluster_prompts: object
) -> bool:
    """Return whether `find_partition` divides tasks by clusters, which takes faiss."""
    return clusters is not None or cluster_prompts is not None or GroupNumbers.of(groups) is None


def find_partition(
    groups: Sequence[str | None],
    vectors: Floats,
    different_prompts: int,
    clusters: int | None,
    *,
    cluster_vectors: Floats | None = None,
    tick: Callable[[int], None] | None = None,
) -> Partition:
    """Divide tasks by their groups where there are some, else by clusters of their prompts.

    Args:
        groups: Of each task, None where it has none.
        vectors: float32 (tasks, dim), rows of unit length.
        different_prompts: Number of different prompts of the tasks.
        clusters: Number of clusters of prompts; None for groups, or a number by the table's size.
        cluster_vectors: float32 (prompts, dim), to find clusters on instead; groups are not
            read then.
        tick: As in `kmeans`.
    """
    numbers = None if needs_clusters(groups, clusters, cluster_vectors) else GroupNumbers.of(groups)
    if numbers is not None:
        return Partition(groups=numbers)
    if clusters is None:
        most = max(different_prompts // MIN_PROMPTS_PER_CLUSTER, 1)
        clusters = max((k for k in CLUSTERS if k <= most), default=most)
    points = vectors if cluster_vectors is None else cluster_vectors
    centroids = kmeans(points, min(clusters, len(points)), SEED, tick=tick)
    return Partition(clusters=Clusters(centroids))
