"""Choose clusters, shrinkage, lifts and guard on held-out tasks.

Not here: an unbiased figure. The best of many settings looks better on the folds
that chose it than it is; what is returned is labelled so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.assemble import assemble
from hypernova.training.clustering.clusters import Structure, find_structure
from hypernova.training.clustering.kmeans import assign
from hypernova.training.clustering.prototypes import group_indices
from hypernova.training.estimates.linear_correction import Ridge, unexplained
from hypernova.training.estimates.profile import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.clustering.clusters import Source

FOLDS = 5
# Small tables are dealt into folds several times: until this many tasks were held out.
HELD_OUT_TASKS = 2000
MOST_REPEATS = 4
CLUSTERS = (4, 16, 48)
# Where clusters estimate nothing they still describe what a table holds.
DESCRIBING = 16
SHRINKAGES = (40.0, 10.0)
# Held-out gains change little from 30 to 100 (docs/experiments.md).
RIDGE = 60.0
GUARDS = (1.0, 0.0)
# A cluster smaller than this, on average, has nothing to say.
TASKS_PER_CLUSTER = 8
# Fewer than for the artifact itself: numbers of clusters are compared over many folds.
COMPARING_STARTS = 4
# Standard errors by which the settings of a step must beat what stands: lifts the best
# single model, and whatever has more to choose from the steps before.
LIFTS_GAIN, CLUSTERS_GAIN = 0.0, 1.0
# A shrinkage at which no cluster differs from another.
DROWNING = 1e9


@dataclass(frozen=True)
class Setting:
    """What is chosen.

    Attributes:
        source: Whether clusters are made of ``"prompts"`` alone or also of ``"groups"``.
        clusters: Number of clusters asked for; of no meaning for groups.
        shrinkage: Weight of the prior, in outcomes.
        ridge: Weight that holds back the lifts; None for no lifts.
        guard_z: Standard errors of the guard.
    """

    source: Source
    clusters: int
    shrinkage: float
    ridge: float | None
    guard_z: float


def best_single_setting(clusters: int) -> Setting:
    """Give the setting that never leaves the default model for what a prompt says.

    Its clusters describe the table and estimate nothing. Under a cost weight cheaper
    models are taken.
    """
    return Setting("prompts", clusters, DROWNING, None, GUARDS[0])


@dataclass
class Tally:
    """Scores over held-out tasks, where the model taken has an outcome.

    Attributes:
        n: How often each task was scored, (tasks,).
        score: Sum of the scores of the models taken, (tasks,).
        regret: Sum of what the task's best outcome was higher, (tasks,).
        cost_n: How often the cost was known, (tasks,).
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

    def add(self, table: OutcomeTable, tasks: Ints, taken: Ints) -> None:
        """Add held-out ``tasks`` of ``table``, (n,) ``taken`` being the models taken for them."""
        score = table.score[tasks, taken]
        cost = table.cost_usd[tasks, taken]
        scored, costed = ~np.isnan(score), ~np.isnan(cost)
        at = tasks[scored]
        self.n[at] += 1
        self.score[at] += score[scored]
        # A task that has this outcome has a best one, so no row here is all NaN.
        self.regret[at] += np.nanmax(table.score[at], axis=1) - score[scored]
        self.cost_n[tasks[costed]] += 1
        self.cost[tasks[costed]] += cost[costed]

    @property
    def accuracy(self) -> float:
        """Mean score of the model taken."""
        return _mean(self.score, self.n)

    @property
    def mean_regret(self) -> float:
        """Mean of the best outcome of the task less that of the model taken."""
        return _mean(self.regret, self.n)

    @property
    def cost_usd(self) -> float:
        """Mean known cost of the model taken, NaN if none is known."""
        return _mean(self.cost, self.cost_n)

    def gain_over(self, other: Tally) -> tuple[float, float]:
        """Mean paired gain over another tally, and its standard error over tasks."""
        both = (self.n > 0) & (other.n > 0)
        gain = self.score[both] / self.n[both] - other.score[both] / other.n[both]
        if len(gain) < 2:
            return 0.0, float("inf")
        return float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))


def _mean(total: Floats, n: Floats) -> float:
    return float(total.sum() / n.sum()) if n.any() else float("nan")


@dataclass(frozen=True)
class Selection:
    """A setting and how it did on the folds that chose it (so: a little too well).

    Attributes:
        setting: What was chosen.
        held_out: How it did.
        best_single: How the best single model of each fold did.
        distances: Of every held-out prompt from its nearest centroid, float32; clusters
            found with the chosen setting on the other folds.
        folds: Number of folds.
        repeats: How often the tasks were dealt into folds.
    """

    setting: Setting
    held_out: Tally
    best_single: Tally
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


def candidate_structures(
    table: OutcomeTable, clusters: int | None, structure: bool
) -> list[tuple[Source, int]]:
    """List the kinds of clusters worth a try, the simplest first.

    Args:
        table: Outcomes.
        clusters: The only number of clusters to try, None for all.
        structure: Whether clusters are found on other prompts, of which no groups are known.
    """
    if clusters is not None:
        return [("prompts", clusters)]
    different = int(table.prompt_groups().max()) + 1
    most = max(different * (FOLDS - 1) // FOLDS // TASKS_PER_CLUSTER, 1)
    numbers = [k for k in CLUSTERS if k <= most] or [most]
    found: list[tuple[Source, int]] = [("prompts", k) for k in numbers]
    if not structure and group_indices(table.groups) is not None:
        found.append(("groups", 0))
    return found


def _describing(tried: Iterable[tuple[Source, int]]) -> int:
    """Number of clusters of the settings whose clusters estimate nothing."""
    by_prompts = [k for source, k in tried if source == "prompts"]
    return max((k for k in by_prompts if k <= DESCRIBING), default=min(by_prompts))


def count_repeats(different_prompts: int) -> int:
    """How often so many different prompts are dealt into folds."""
    return int(np.clip(round(HELD_OUT_TASKS / different_prompts), 1, MOST_REPEATS))


def select(
    table: OutcomeTable,
    vectors: Floats,
    seed: int,
    *,
    clusters: int | None = None,
    structure: Floats | None = None,
    tick: Callable[[int], None] | None = None,
) -> Selection:
    """Choose a setting on held-out tasks, step by step from the simplest.

    The steps are: the best single model; lifts; clusters of prompts, with and without
    lifts; clusters of groups. Of each step the setting with the least
    mean regret is taken, and it replaces what stands if it beats that by some standard
    errors of the paired gain: the best of many settings is too often the luckiest (the
    one-standard-error rule of Breiman et al. 1984, by pairs).

    Args:
        table: Outcomes.
        vectors: float32 (tasks, dim), unit length.
        seed: Same input and seed, same choice.
        clusters: Number of clusters; None to choose among `CLUSTERS` and groups.
        structure: float32 (prompts, dim): find the clusters on these instead.
        tick: Called with 1 after each clustering, `steps` times in all.
    """
    tried = candidate_structures(table, clusters, structure is not None)
    describing = _describing(tried)
    tick = tick or (lambda _: None)
    fitted = {}
    if structure is not None:
        for source, k in tried:
            fitted[source, k] = find_structure(structure, source, min(k, len(structure)), seed)
            tick(1)
    tallies: dict[Setting, Tally] = {}
    single = Tally(table.n_tasks)
    distances: dict[tuple[Source, int], list[Floats]] = {key: [] for key in tried}
    for train, test in inner_folds(table, seed):
        part = table.subset(train)
        default = Evidence.of(part, np.zeros(len(train), dtype=np.int64), 1).default_model
        ridge = Ridge(vectors[train], ~np.isnan(part.score))
        for source, k in tried:
            found = fitted.get((source, k)) or find_structure(
                vectors[train], source, k, seed, groups=part.groups, starts=COMPARING_STARTS
            )
            distances[source, k].append(assign(vectors[test], found.centroids)[1])
            for setting, artifact in _artifacts(
                part, vectors[train], found, source, k, ridge, lifts_only=k == describing
            ):
                taken = artifact.decide_many(vectors[test]).model_indices
                tallies.setdefault(setting, Tally(table.n_tasks)).add(table, test, taken)
            tick(1)
        single.add(table, test, np.full(len(test), default))
    setting, held_out = best_single_setting(describing), single
    for step in _steps(tallies):
        # Of equal ones the first, which trusts clusters and lifts least.
        best = min(step, key=lambda s: round(tallies[s].mean_regret, 12))
        gain, error = tallies[best].gain_over(held_out)
        required = LIFTS_GAIN if best.shrinkage == DROWNING else CLUSTERS_GAIN
        if gain > required * error:
            setting, held_out = best, tallies[best]
    return Selection(
        setting=setting,
        held_out=held_out,
        best_single=single,
        distances=np.concatenate(distances[setting.source, setting.clusters]),
        folds=FOLDS,
        repeats=count_repeats(int(table.prompt_groups().max()) + 1),
    )


def _artifacts(
    table: OutcomeTable,
    vectors: Floats,
    found: Structure,
    source: Source,
    k: int,
    ridge: Ridge,
    *,
    lifts_only: bool,
) -> Iterator[tuple[Setting, Artifact]]:
    """Artifacts of all settings that share a structure, those that trust it least first."""
    evidence = Evidence.of(table, assign(vectors, found.centroids)[0], found.k, found.groups)
    shares = found.shares(vectors)
    candidates = list(product((False, True), SHRINKAGES))
    if lifts_only:
        candidates.append((True, DROWNING))
    for lifted, shrinkage in candidates:
        weight = RIDGE if lifted else None
        lifts = None
        if lifted:
            lifts = ridge.lifts(unexplained(table.score, shares, evidence, shrinkage), RIDGE)
        for guard_z in GUARDS:
            artifact = assemble(
                table.models,
                found.centroids,
                evidence,
                shrinkage=shrinkage,
                guard_z=guard_z,
                lifts=lifts,
            )
            yield Setting(source, k, shrinkage, weight, guard_z), artifact


def _steps(settings: Iterable[Setting]) -> list[list[Setting]]:
    """Put settings into the steps of `select`, the simplest first."""
    found: dict[int, list[Setting]] = {}
    for setting in settings:
        step = 0 if setting.shrinkage == DROWNING else 1 + (setting.source == "groups")
        found.setdefault(step, []).append(setting)
    return [found[step] for step in sorted(found)]


def steps(table: OutcomeTable, clusters: int | None, structure: bool) -> int:
    """How often `select` calls ``tick``."""
    repeats = count_repeats(int(table.prompt_groups().max()) + 1)
    return (FOLDS * repeats + structure) * len(candidate_structures(table, clusters, structure))


def inner_folds(table: OutcomeTable, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield the training and the held-out tasks of each fold of `select`."""
    prompts = table.prompt_groups()
    rng = np.random.default_rng(seed)
    for _ in range(count_repeats(int(prompts.max()) + 1)):
        fold = deal_folds(prompts, FOLDS, rng)
        for f in range(FOLDS):
            yield np.flatnonzero(fold != f), np.flatnonzero(fold == f)
