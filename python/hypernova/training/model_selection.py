"""Select clusters, shrinkage, linear correction and guard on held-out tasks.

Not here: an unbiased figure. The best of many settings looks better on the folds that
selected it than it is.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from hypernova.parallel import HERE, calls_in_threads
from hypernova.training.clustering.prototypes import group_indices
from hypernova.training.cross_validation import (
    FOLDS,
    CrossValidation,
    Setting,
    count_repeats,
    decide_fold,
)
from hypernova.training.memory import release_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hypernova.numeric import Floats, Ints
    from hypernova.parallel import Mapper
    from hypernova.table import OutcomeTable
    from hypernova.training.clustering.clusters import ClusterSource
    from hypernova.training.clustering.prototypes import PrototypeStart
    from hypernova.training.cross_validation import FoldDecisions

# Tasks from which folds are decided in several threads.
MIN_PARALLEL_TASKS = 4000
CLUSTERS = (4, 16, 48)
# Number of clusters where they estimate nothing and only describe the table.
DESCRIPTIVE_CLUSTERS = 16
SHRINKAGES = (40.0, 10.0)
# Weight of the ridge; held-out gains change little from 30 to 100 (docs/experiments.md).
RIDGE_WEIGHT = 60.0
GUARDS = (1.0, 0.0)
# With fewer different prompts a cluster, a number of clusters is not tried.
MIN_PROMPTS_PER_CLUSTER = 8
# A setting replaces the incumbent only if its paired gain exceeds this many standard errors:
# the first for the linear correction alone, the second for clusters, which offer more choice.
MIN_GAIN_CORRECTION, MIN_GAIN_CLUSTERS = 0.0, 1.0
# So much shrinkage that every cluster has the overall rates.
FULL_SHRINKAGE = 1e9


def best_single_setting(clusters: int) -> Setting:
    """Return the setting whose artifact takes the best single model for every prompt.

    Its clusters describe the table and estimate nothing. Under a cost weight it takes cheaper
    models.
    """
    return Setting("prompts", clusters, FULL_SHRINKAGE, None, GUARDS[0])


@dataclass
class HeldOutScores:
    """Sums of the chosen models' outcomes on held-out tasks, where they have one.

    Args:
        tasks: Number of tasks of the table.

    Attributes:
        n: Number of scores of each task, (tasks,).
        score: Sum of scores, (tasks,).
        regret: Sum of regrets, the task's best score less the chosen model's, (tasks,).
        cost_n: Number of known costs, (tasks,).
        cost: Sum of known costs, USD, (tasks,).
    """

    tasks: int
    n: Floats = field(init=False)
    score: Floats = field(init=False)
    regret: Floats = field(init=False)
    cost_n: Floats = field(init=False)
    cost: Floats = field(init=False)

    def __post_init__(self) -> None:
        for name in ("n", "score", "regret", "cost_n", "cost"):
            setattr(self, name, np.zeros(self.tasks))

    def add(self, table: OutcomeTable, tasks: Ints, chosen: Ints) -> None:
        """Add the outcomes of the models chosen for some held-out tasks.

        Args:
            table: Outcomes.
            tasks: Indices of tasks, (n,).
            chosen: Index of the model chosen for each, (n,).
        """
        score = table.score[tasks, chosen]
        cost = table.cost_usd[tasks, chosen]
        scored, costed = ~np.isnan(score), ~np.isnan(cost)
        at = tasks[scored]
        self.n[at] += 1
        self.score[at] += score[scored]
        # A task with this outcome has a best one, so no row here is all NaN.
        self.regret[at] += np.nanmax(table.score[at], axis=1) - score[scored]
        self.cost_n[tasks[costed]] += 1
        self.cost[tasks[costed]] += cost[costed]

    @property
    def accuracy(self) -> float:
        """Mean score of the chosen models; NaN if there is none."""
        return _mean(self.score, self.n)

    @property
    def mean_regret(self) -> float:
        """Mean regret of the chosen models; NaN if there is none."""
        return _mean(self.regret, self.n)

    @property
    def cost_usd(self) -> float:
        """Mean known cost of the chosen models, USD; NaN if none is known."""
        return _mean(self.cost, self.cost_n)

    def gain_over(self, other: HeldOutScores) -> tuple[float, float]:
        """Compute the mean gain over other choices, paired by task, and its standard error.

        With fewer than two tasks scored on both sides, 0 and infinity.
        """
        both = (self.n > 0) & (other.n > 0)
        gain = self.score[both] / self.n[both] - other.score[both] / other.n[both]
        if len(gain) < 2:
            return 0.0, float("inf")
        return float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))


def _mean(total: Floats, n: Floats) -> float:
    return float(total.sum() / n.sum()) if n.any() else float("nan")


@dataclass(frozen=True)
class Selection:
    """A selected setting and its held-out scores.

    The same folds selected the setting, so its scores are a little too good.

    Attributes:
        setting: Selected setting.
        held_out: Its scores.
        best_single: Scores of the best single model of each fold.
        distances: Distance of each held-out prompt from its nearest centroid, float32; the
            clusters are found with the selected setting on the other folds.
        folds: Number of folds.
        repeats: Number of times that the tasks were dealt into folds.
        start: Where prototypes of groups start; None if groups were not tried.
    """

    setting: Setting
    held_out: HeldOutScores
    best_single: HeldOutScores
    distances: Floats
    folds: int
    repeats: int
    start: PrototypeStart | None = None


def candidate_clusterings(
    table: OutcomeTable, clusters: int | None, other_prompts: bool
) -> list[tuple[ClusterSource, int]]:
    """List the clusterings to try, the simplest first.

    Args:
        table: Outcomes.
        clusters: The only number of clusters to try; None to try several.
        other_prompts: Whether clusters are found on other prompts, whose groups are unknown.

    Returns:
        Source and number of clusters of each.
    """
    if clusters is not None:
        return [("prompts", clusters)]
    different = int(table.prompt_groups().max()) + 1
    max_clusters = max(different * (FOLDS - 1) // FOLDS // MIN_PROMPTS_PER_CLUSTER, 1)
    numbers = [k for k in CLUSTERS if k <= max_clusters] or [max_clusters]
    found: list[tuple[ClusterSource, int]] = [("prompts", k) for k in numbers]
    if not other_prompts and group_indices(table.groups) is not None:
        found.append(("groups", 0))
    return found


def _descriptive_clusters(tried: Iterable[tuple[ClusterSource, int]]) -> int:
    """Return the number of clusters for the settings whose clusters only describe."""
    by_prompts = [k for source, k in tried if source == "prompts"]
    return max((k for k in by_prompts if k <= DESCRIPTIVE_CLUSTERS), default=min(by_prompts))


def select_setting(
    table: OutcomeTable,
    vectors: Floats,
    seed: int,
    *,
    clusters: int | None = None,
    cluster_vectors: Floats | None = None,
    mapper: Mapper = HERE,
    tick: Callable[[int], None] | None = None,
) -> Selection:
    """Select a setting on held-out tasks, step by step from the simplest.

    The steps are: the best single model; linear correction alone; clusters of prompts, with
    and without linear correction; clusters of groups. The setting of a step with the least
    mean regret replaces the incumbent only if its paired gain exceeds some standard errors:
    the best of many settings is too often the luckiest (the one-standard-error rule of Breiman
    et al. 1984, by pairs).

    Args:
        table: Outcomes.
        vectors: float32 (tasks, dim), unit length.
        seed: Same input and seed, same setting.
        clusters: Number of clusters; None to select among `CLUSTERS` and groups.
        cluster_vectors: float32 (prompts, dim), to find the clusters on instead.
        mapper: Where the folds of a larger table are learned and routed.
        tick: Called with 1 after each clustering and each fold, `count_ticks` times in all.
    """
    tried = candidate_clusterings(table, clusters, cluster_vectors is not None)
    descriptive = _descriptive_clusters(tried)
    folds = CrossValidation(table, vectors, seed, tried, cluster_vectors=cluster_vectors, tick=tick)
    candidates = [setting for key in tried for setting in _candidates(*key, key[1] == descriptive)]
    scores = {setting: HeldOutScores(table.n_tasks) for setting in candidates}
    single = HeldOutScores(table.n_tasks)
    distances: dict[tuple[ClusterSource, int], list[Floats]] = {}
    calls = (partial(decide_fold, folds, sums, candidates) for sums in folds.folds())
    for fold in _decided(calls, table, folds, candidates, mapper):
        for setting, chosen in zip(candidates, fold.chosen, strict=True):
            scores[setting].add(table, fold.test, chosen)
        for key, held_out in fold.distances.items():
            distances.setdefault(key, []).append(held_out)
        single.add(table, fold.test, np.full(len(fold.test), fold.default_model))
        if table.n_tasks >= MIN_PARALLEL_TASKS:
            release_memory()
        if tick:
            tick(1)
    setting, held_out_scores = best_single_setting(descriptive), single
    for step in _steps(scores):
        # Of equal settings the first, which trusts clusters and correction least.
        best = min(step, key=lambda s: round(scores[s].mean_regret, 12))
        gain, error = scores[best].gain_over(held_out_scores)
        correction_only = best.shrinkage == FULL_SHRINKAGE
        required = MIN_GAIN_CORRECTION if correction_only else MIN_GAIN_CLUSTERS
        if gain > required * error:
            setting, held_out_scores = best, scores[best]
    return Selection(
        setting=setting,
        held_out=held_out_scores,
        best_single=single,
        distances=np.concatenate(distances[setting.clustering])
        if setting.clustering in distances
        else folds.held_out_distances(*setting.clustering),
        folds=FOLDS,
        repeats=count_repeats(int(table.prompt_groups().max()) + 1),
        start=folds.start,
    )


def _decided(
    calls: Iterable[partial[FoldDecisions]],
    table: OutcomeTable,
    folds: CrossValidation,
    candidates: list[Setting],
    mapper: Mapper,
) -> Iterator[FoldDecisions]:
    """Make the calls of all folds, and yield their results in order."""
    if mapper.engine == "local":
        # Threads share the vectors; the core, BLAS and faiss let each other run.
        threads = mapper.jobs or 1
        few = table.n_tasks < MIN_PARALLEL_TASKS
        yield from calls_in_threads(calls, 1 if few else threads, folds.stop)
        return
    repeats = count_repeats(int(table.prompt_groups().max()) + 1)
    results = mapper.map(
        calls, total=FOLDS * repeats, description="choosing", shared=(folds, candidates)
    )
    with closing(results):
        yield from results


def _candidates(source: ClusterSource, k: int, correction_only: bool) -> list[Setting]:
    """List the settings to try with some clusters, those that trust them least first."""
    pairs = list(product((None, RIDGE_WEIGHT), SHRINKAGES))
    if correction_only:
        pairs.append((RIDGE_WEIGHT, FULL_SHRINKAGE))
    return [
        Setting(source, k, shrinkage, weight, guard_z)
        for weight, shrinkage in pairs
        for guard_z in GUARDS
    ]


def _steps(settings: Iterable[Setting]) -> list[list[Setting]]:
    """Sort settings into the steps of `select_setting`, the simplest first."""
    found: dict[int, list[Setting]] = {}
    for setting in settings:
        step = 0 if setting.shrinkage == FULL_SHRINKAGE else 1 + (setting.source == "groups")
        found.setdefault(step, []).append(setting)
    return [found[step] for step in sorted(found)]


def count_ticks(table: OutcomeTable, clusters: int | None, other_prompts: bool) -> int:
    """Return how often `select_setting` calls ``tick``; arguments of `candidate_clusterings`."""
    repeats = count_repeats(int(table.prompt_groups().max()) + 1)
    tried = candidate_clusterings(table, clusters, other_prompts)
    return FOLDS * repeats + len(tried)
