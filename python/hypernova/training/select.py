"""Choose the number of clusters, the shrinkage and the guard on held-out tasks.

Not here: an unbiased figure. The best of many settings looks better on the folds
that chose it than it is; what is returned is labelled so.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.assemble import assemble
from hypernova.training.cluster import assign, kmeans
from hypernova.training.profile import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypernova._core import Artifact
    from hypernova.table import OutcomeTable
    from hypernova.training.types import Floats, Ints

FOLDS = 5
REPEATS = 4
CLUSTERS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
SHRINKAGES = (5.0, 10.0, 20.0, 40.0, 80.0)
GUARDS = (0.0, 0.5, 1.0, 1.5)
# A cluster smaller than this, on average, has nothing to say.
TASKS_PER_CLUSTER = 8
# Fewer than for the artifact itself: numbers of clusters are compared over many folds.
COMPARING_STARTS = 4


@dataclass(frozen=True)
class Setting:
    """What is chosen: number of clusters, weight of the prior, standard errors of the guard."""

    clusters: int
    shrinkage: float
    guard_z: float


@dataclass
class Mean:
    """Means over held-out tasks, where the model taken has an outcome.

    Attributes:
        n: Outcomes; a task counts once a repeat.
    """

    n: int = 0
    _regret: float = 0.0
    _score: float = 0.0

    def add(self, table: OutcomeTable, taken: Ints) -> None:
        """Add the tasks of ``table``, (n,) ``taken`` being the models taken for them."""
        score = table.score[np.arange(len(taken)), taken]
        known = ~np.isnan(score)
        self.n += int(known.sum())
        self._score += float(score[known].sum())
        # A task that has this outcome has a best one, so no row here is all NaN.
        self._regret += float((np.nanmax(table.score[known], axis=1) - score[known]).sum())

    @property
    def regret(self) -> float:
        """The best outcome of the task less that of the model taken."""
        return self._regret / self.n if self.n else float("inf")

    @property
    def accuracy(self) -> float:
        """Score of the model taken."""
        return self._score / self.n if self.n else float("nan")


@dataclass(frozen=True)
class Selection:
    """A setting and how it did on the folds that chose it (so: a little too well).

    Attributes:
        setting: The setting with the least mean regret.
        held_out: How it did.
        best_single: How the best single model of each fold did.
        distances: Of every held-out prompt from its nearest centroid, float32; clusters
            fitted with the chosen setting on the other folds.
        folds: Number of folds.
        repeats: How often the tasks were dealt into folds.
    """

    setting: Setting
    held_out: Mean
    best_single: Mean
    distances: Floats
    folds: int
    repeats: int


def deal_folds(prompt_groups: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Deal tasks into folds of about equal size, equal prompts into the same one.

    Args:
        prompt_groups: (n,) the same integer for tasks with the same prompt.
        folds: Number of folds.
        rng: Source of the deal.

    Returns:
        (n,) in 0..folds-1.
    """
    groups, inverse = np.unique(prompt_groups, return_inverse=True)
    fold_of_group = np.arange(len(groups)) % folds
    rng.shuffle(fold_of_group)
    return fold_of_group[inverse]


def candidate_clusters(different_prompts: int) -> list[int]:
    """The numbers of clusters worth a try for so many different prompts."""
    most = different_prompts * (FOLDS - 1) // FOLDS // TASKS_PER_CLUSTER
    return [k for k in CLUSTERS if k <= most] or [1]


def choices(artifact: Artifact) -> Ints:
    """The model that the artifact takes in each cluster, (k,).

    Asked of the core, by routing the centroids themselves.
    """
    return artifact.decide_many(artifact.centroids).model_indices


def select(
    table: OutcomeTable,
    vectors: Floats,
    seed: int,
    *,
    clusters: Sequence[int] | None = None,
    structure: Floats | None = None,
    tick: Callable[[int], None] | None = None,
) -> Selection:
    """Choose the setting with the least mean regret on held-out tasks.

    Equal ones go to the setting that trusts the clusters least: fewer clusters,
    more shrinkage, a wider guard.

    Args:
        table: Outcomes.
        vectors: float32 (tasks, dim), unit length.
        seed: Same input and seed, same choice.
        clusters: Numbers of clusters to try; by default those the table is large enough for.
        structure: float32 (prompts, dim): fit the clusters on these instead.
        tick: Called with 1 after each clustering, `steps` times in all.
    """
    groups = table.prompt_groups()
    tried = list(clusters or candidate_clusters(int(groups.max()) + 1))
    tick = tick or (lambda _: None)
    fitted: dict[int, Floats] = {}
    if structure is not None:
        for k in tried:
            fitted[k] = kmeans(structure, k, seed)
            tick(1)
    means: dict[Setting, Mean] = {}
    single = Mean()
    distances: dict[int, list[Floats]] = {k: [] for k in tried}
    for train, test in _folds(groups, seed):
        train_table, test_table = table.subset(train), table.subset(test)
        for k in tried:
            centroids = fitted.get(k)
            if centroids is None:
                centroids = kmeans(vectors[train], k, seed, starts=COMPARING_STARTS)
            train_clusters, _ = assign(vectors[train], centroids)
            test_clusters, test_distances = assign(vectors[test], centroids)
            distances[k].append(test_distances)
            evidence = Evidence.of(train_table, train_clusters, len(centroids))
            for shrinkage, guard_z in product(SHRINKAGES, GUARDS):
                artifact = assemble(
                    table.models, centroids, evidence, shrinkage=shrinkage, guard_z=guard_z
                )
                taken = choices(artifact)[test_clusters]
                means.setdefault(Setting(k, shrinkage, guard_z), Mean()).add(test_table, taken)
            tick(1)
        single.add(test_table, np.full(len(test), evidence.default_model))
    setting = min(
        means, key=lambda s: (round(means[s].regret, 12), s.clusters, -s.shrinkage, -s.guard_z)
    )
    return Selection(
        setting=setting,
        held_out=means[setting],
        best_single=single,
        distances=np.concatenate(distances[setting.clusters]),
        folds=FOLDS,
        repeats=REPEATS,
    )


def steps(different_prompts: int, clusters: Sequence[int] | None, structure: bool) -> int:
    """How often `select` calls ``tick``."""
    tried = len(clusters or candidate_clusters(different_prompts))
    return (FOLDS * REPEATS + structure) * tried


def _folds(groups: Ints, seed: int) -> Iterator[tuple[Ints, Ints]]:
    rng = np.random.default_rng(seed)
    for _ in range(REPEATS):
        fold = deal_folds(groups, FOLDS, rng)
        for f in range(FOLDS):
            yield np.flatnonzero(fold != f), np.flatnonzero(fold == f)
