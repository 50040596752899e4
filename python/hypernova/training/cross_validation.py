"""Learn the training part of each fold by subtraction: the sums of the whole less the fold.

Not here: which setting is best (see ``model_selection``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.parallel import Stop
from hypernova.training.assemble import assemble
from hypernova.training.clustering.clusters import find_clusters, find_group_clusters
from hypernova.training.clustering.kmeans import assign, sum_by_cluster
from hypernova.training.clustering.prototypes import group_indices, start_prototypes
from hypernova.training.estimates.blended import BlendedEstimates
from hypernova.training.estimates.linear_correction import Coordinates, LinearCorrection, Ridge
from hypernova.training.estimates.outcome_sums import (
    Outcomes,
    sum_outcomes_by_fold,
    sum_pairs_by_fold,
    sum_products,
    sum_shares,
)
from hypernova.training.estimates.profile import Estimate, Evidence, best_single, estimate
from hypernova.training.estimates.sums import total
from hypernova.training.placed_tasks import Located

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.clustering.clusters import Clusters, ClusterSource
    from hypernova.training.clustering.prototypes import PrototypeStart
    from hypernova.training.estimates.sums import Sums

FOLDS = 5
# Small tables are dealt into folds repeatedly, until about this many tasks were held out.
HELD_OUT_TASKS = 2000
MAX_REPEATS = 4
# Fewer starts than for the artifact itself: numbers of clusters are compared, and clusters of
# one start routed as well as the best of 16 (docs/experiments.md).
SELECTION_STARTS = 1


@dataclass(frozen=True)
class Setting:
    """Hyperparameters of an artifact. The field names are keys of its metadata.

    Attributes:
        source: Whether clusters are found by ``"prompts"`` alone or also by ``"groups"``.
        clusters: Number of clusters asked for; not read for groups.
        shrinkage: Weight of the prior, in outcomes.
        ridge: Weight of the ridge of the linear correction; None for no correction.
        guard_z: Standard errors of the guard.
    """

    source: ClusterSource
    clusters: int
    shrinkage: float
    ridge: float | None
    guard_z: float

    @property
    def clustering(self) -> tuple[ClusterSource, int]:
        """Source and number of the clusters."""
        return self.source, self.clusters


@dataclass(frozen=True)
class FoldSums:
    """The sums of a training part: those of the whole less those of its fold.

    Attributes:
        test: Indices of the tasks of the fold.
        default_model: Best single model of the training part.
        products: Sums of `sum_products`.
        by_clustering: Sums of outcomes, and of `sum_shares`, for each clustering of prompts.
    """

    test: Ints
    default_model: int
    products: Sums
    by_clustering: Mapping[tuple[ClusterSource, int], tuple[Sums, Sums]]


@dataclass(frozen=True)
class FoldTraining:
    """A training part, ready to learn from with any setting.

    Attributes:
        models: Names of the models.
        products: Sums of `sum_products`.
        basis: Basis of the `Coordinates` whose products these are.
        by_clustering: Clusters, evidence, and sums of `sum_shares`, for each clustering.
    """

    models: Sequence[str]
    products: Sums
    basis: Floats | None
    by_clustering: Mapping[tuple[ClusterSource, int], tuple[Clusters, Evidence, Sums]]

    def artifacts(self, settings: Sequence[Setting]) -> Iterator[Artifact]:
        """Learn an artifact with each setting; estimates and equations are shared."""
        estimates, corrections = self._learn(settings)
        for setting in settings:
            key = setting.clustering, setting.shrinkage
            yield assemble(
                self.models,
                self.by_clustering[setting.clustering][0].centroids,
                estimates[key],
                shrinkage=setting.shrinkage,
                guard_z=setting.guard_z,
                correction=None if setting.ridge is None else corrections[(*key, setting.ridge)],
            )

    def choose(
        self,
        settings: Sequence[Setting],
        vectors: Floats,
        shares: Mapping[tuple[ClusterSource, int], Floats],
    ) -> Ints:
        """Choose models as the artifact of each setting does, without assembling it.

        Args:
            settings: Settings.
            vectors: float32 (n, dim).
            shares: Shares of the vectors in the clusters of each clustering, float64 (n, k).

        Returns:
            Index of the chosen model, int32 (settings, n).
        """
        estimates, corrections = self._learn(settings)
        blended: dict[tuple[object, ...], BlendedEstimates] = {}
        chosen = np.empty((len(settings), len(vectors)), dtype=np.int32)
        for i, setting in enumerate(settings):
            key = setting.clustering, setting.shrinkage
            learned = (*key, setting.ridge)
            if learned not in blended:
                correction = None if setting.ridge is None else corrections[(*key, setting.ridge)]
                blended[learned] = BlendedEstimates.of(
                    vectors, shares[setting.clustering], estimates[key], correction
                )
            chosen[i] = blended[learned].choose(setting.guard_z)
        return chosen

    def _learn(
        self, settings: Sequence[Setting]
    ) -> tuple[
        dict[tuple[tuple[ClusterSource, int], float], Estimate],
        dict[tuple[tuple[ClusterSource, int], float, float], LinearCorrection],
    ]:
        """Compute the estimates of each clustering and shrinkage, and their corrections."""
        estimates = {
            (setting.clustering, setting.shrinkage): estimate(
                self.by_clustering[setting.clustering][1], setting.shrinkage
            )
            for setting in settings
        }
        return estimates, self._corrections(settings, estimates)

    def _corrections(
        self,
        settings: Sequence[Setting],
        estimates: dict[tuple[tuple[ClusterSource, int], float], Estimate],
    ) -> dict[tuple[tuple[ClusterSource, int], float, float], LinearCorrection]:
        found: dict[tuple[tuple[ClusterSource, int], float, float], LinearCorrection] = {}
        for ridge in {setting.ridge for setting in settings if setting.ridge is not None}:
            keys = list(
                dict.fromkeys((s.clustering, s.shrinkage) for s in settings if s.ridge == ridge)
            )
            fitted = Ridge(self.products, ridge, self.basis).fit(
                [(self.by_clustering[key[0]][2], estimates[key].cluster_success) for key in keys]
            )
            found.update(
                ((*key, ridge), correction) for key, correction in zip(keys, fitted, strict=True)
            )
        return found


class CrossValidation:
    """Folds of a table, in which any setting is learned without the held-out outcomes.

    The clusters of prompts are found once, on all prompts: they read no outcomes and no groups.
    Those of groups are found in each training part, because they read the groups of its tasks.

    Args:
        table: Outcomes.
        vectors: float32 (tasks, dim), unit length.
        seed: Seed of folds and clusters.
        clusterings: Sources and numbers of clusters.
        cluster_vectors: float32 (prompts, dim), to find the clusters on instead.
        tick: Called with 1 after each clustering.

    Attributes:
        vectors: As given.
        stop: Set to give up decisions that other threads work on.
        start: Where the prototypes of groups start; None if groups give no clusters.
        located: The clusters of prompts, by source and number, with the place of all tasks.
    """

    def __init__(
        self,
        table: OutcomeTable,
        vectors: Floats,
        seed: int,
        clusterings: Sequence[tuple[ClusterSource, int]],
        *,
        cluster_vectors: Floats | None = None,
        tick: Callable[[int], None] | None = None,
    ) -> None:
        self._table, self.vectors, self._seed = table, vectors, seed
        self._outcomes = Outcomes(table.score, table.cost_usd, table.latency_s)
        self._models = table.models
        self.stop = Stop()
        self._coordinates = Coordinates.of(vectors)
        self.located: dict[tuple[ClusterSource, int], Located] = {}
        self._groups: Ints | None = None
        self.start: PrototypeStart | None = None
        self._of_table = cluster_vectors is None
        points = vectors if cluster_vectors is None else cluster_vectors
        for source, k in clusterings:
            if source == "groups":
                self._groups = group_indices(table.groups)
                assert self._groups is not None  # or groups would not be tried
                self.start = start_prototypes(vectors, self._groups, seed)
            else:
                found = find_clusters(
                    points, source, min(k, len(points)), seed, starts=SELECTION_STARTS
                )
                self.located[source, k] = Located.of(vectors, found)
            if tick:
                tick(1)

    def __getstate__(self) -> dict[str, object]:
        # Whoever decides a fold needs no prompts.
        return {**self.__dict__, "_table": None}

    def folds(self) -> Iterator[FoldSums]:
        """Yield the sums of each fold of each deal."""
        for fold in deals(self._table, self._seed):
            yield from self._deal(fold)

    def _deal(self, fold: Ints) -> Iterator[FoldSums]:
        table = self._table
        columns = table.score, table.cost_usd, table.latency_s
        nowhere = np.zeros(table.n_tasks, dtype=np.int64)
        totals = sum_outcomes_by_fold(*columns, nowhere, 1, fold)
        whole_totals = total(totals)
        defaults = [best_single(whole_totals - part) for part in totals]
        references = sorted(set(defaults))
        members = [np.flatnonzero(fold == f) for f in range(FOLDS)]
        x = self._coordinates.values
        products = [sum_products(x[own], table.score[own]) for own in members]
        whole_products = total(products)
        outcomes, shares = {}, {}
        for key, located in self.located.items():
            k = located.found.k
            outcomes[key] = [
                sums.with_sums(pairs)
                for sums, pairs in zip(
                    sum_outcomes_by_fold(*columns, located.assigned, k, fold),
                    sum_pairs_by_fold(table.score, references, located.assigned, k, fold),
                    strict=True,
                )
            ]
            shares[key] = [
                sum_shares(x, table.score[own], located.shares[own], own) for own in members
            ]
        whole = {key: (total(outcomes[key]), total(shares[key])) for key in self.located}
        for f, test in enumerate(members):
            yield FoldSums(
                test,
                defaults[f],
                whole_products - products[f],
                {
                    key: (whole[key][0] - outcomes[key][f], whole[key][1] - shares[key][f])
                    for key in self.located
                },
            )

    def training(self, sums: FoldSums) -> FoldTraining:
        """Return the training part of a fold, with the clusters of groups that it finds."""
        by_clustering = {
            key: (located.found, Evidence(outcomes), shares)
            for key, located in self.located.items()
            for outcomes, shares in [sums.by_clustering[key]]
        }
        if self._groups is not None and self.start is not None:
            train = np.setdiff1d(np.arange(len(self.vectors)), sums.test, assume_unique=True)
            part = self._outcomes.subset(train)
            found = find_group_clusters(
                self.vectors, self._groups, self.start, self._seed, self.stop.check, train
            )
            located = Located.of(self.vectors, found, train)
            by_clustering["groups", 0] = (
                found,
                Evidence.of(part, located.assigned, found.k, found.groups),
                sum_shares(self._coordinates.values, part.score, located.shares, train),
            )
        return FoldTraining(self._models, sums.products, self._coordinates.basis, by_clustering)

    def held_out_distances(self, source: ClusterSource, k: int) -> Floats:
        """Measure how far held-out prompts are from centroids that they took no part in.

        Each centroid of the table's prompts becomes the mean direction of its members less those
        in the fold, and is left out if all are in it. Centroids of other prompts stay.

        Returns:
            float32, one for each time that a task is held out.
        """
        located = self.located[source, k]
        centroids = located.found.centroids
        distances = []
        for fold in deals(self._table, self._seed):
            cells = fold * len(centroids) + located.assigned
            shape = FOLDS, *centroids.shape
            sums = sum_by_cluster(self.vectors, cells, FOLDS * len(centroids)).reshape(shape)
            sizes = np.bincount(cells, minlength=FOLDS * len(centroids)).reshape(shape[:2])
            for f in range(FOLDS):
                others = centroids
                if self._of_table:
                    kept = sizes.sum(axis=0) > sizes[f]
                    others = _directions((sums.sum(axis=0) - sums[f])[kept], centroids[kept])
                distances.append(assign(self.vectors[fold == f], others)[1])
        return np.concatenate(distances)


def _directions(sums: Floats, otherwise: Floats) -> Floats:
    """Scale sums of vectors (k, dim) to unit length, float32; ``otherwise`` where there is none."""
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    directions: Floats = np.where(length > 1e-6, sums / np.maximum(length, 1e-6), otherwise)
    return directions.astype(np.float32)


def deal_folds(prompt_groups: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Deal tasks into folds of about equal size, equal prompts into the same one.

    Args:
        prompt_groups: (n,) the same integer for tasks with the same prompt.
        folds: Number of folds.
        rng: Source of randomness.

    Returns:
        Fold of each task, (n,) in 0..folds-1.
    """
    groups, inverse = np.unique(prompt_groups, return_inverse=True)
    fold_of_group = np.arange(len(groups)) % folds
    rng.shuffle(fold_of_group)
    return fold_of_group[inverse]


def held_in(different_prompts: int) -> int:
    """Return the number of different prompts in the smallest training part of a fold."""
    return different_prompts - -(-different_prompts // FOLDS)


def count_repeats(different_prompts: int) -> int:
    """Return how often a table with this number of different prompts is dealt into folds."""
    return int(np.clip(round(HELD_OUT_TASKS / different_prompts), 1, MAX_REPEATS))


def deals(table: OutcomeTable, seed: int) -> Iterator[Ints]:
    """Yield the fold of each task, (tasks,), for each time that the tasks are dealt."""
    prompts = table.prompt_groups()
    rng = np.random.default_rng(seed)
    for _ in range(count_repeats(int(prompts.max()) + 1)):
        yield deal_folds(prompts, FOLDS, rng)


@dataclass(frozen=True)
class FoldDecisions:
    """Decisions for the tasks of a fold, by artifacts of its training part.

    Attributes:
        test: Indices of the tasks, (n,).
        default_model: Best single model of the training part.
        chosen: Models that were chosen with each setting, int32 (settings, n).
        distances: Distance of each task from its nearest centroid, float32 (n,), for clusterings
            that each training part finds anew.
    """

    test: Ints
    default_model: int
    chosen: Ints
    distances: Mapping[tuple[ClusterSource, int], Floats]


def decide_fold(
    folds: CrossValidation, sums: FoldSums, settings: Sequence[Setting]
) -> FoldDecisions:
    """Learn with each setting from the training part of a fold, and route the fold."""
    training, held_out = folds.training(sums), folds.vectors[sums.test]
    folds.stop.check()
    shares, distances = {}, {}
    for key, (clusters, _, _) in training.by_clustering.items():
        if key in folds.located:
            shares[key] = folds.located[key].shares[sums.test]
        else:
            shares[key] = clusters.shares(held_out)
            distances[key] = assign(held_out, clusters.centroids)[1]
    chosen = training.choose(settings, held_out, shares)
    return FoldDecisions(sums.test, sums.default_model, chosen, distances)
