"""Learn the training part of each fold by subtraction: the sums of the whole less the fold.

Not here: the weights of the estimates (see ``model_selection``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.parallel import Stop
from hypernova.training.clustering.kmeans import assign, sum_by_cluster
from hypernova.training.estimates.outcome_sums import (
    sum_groups,
    sum_outcomes_by_fold,
    sum_pairs_by_fold,
    sum_products,
    sum_tokens_by_fold,
)
from hypernova.training.estimates.profile import best_single
from hypernova.training.estimates.sums import total
from hypernova.training.placed_tasks import PlacedTasks
from hypernova.training.training_part import TrainingPart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.estimates.sums import Sums
    from hypernova.training.partition import Partition

FOLDS = 5
# Small tables are dealt into folds repeatedly, until about this many tasks were held out.
HELD_OUT_TASKS = 2000
MAX_REPEATS = 4
# Kinds of task are left out one by one, or in this number of sets.
MAX_KIND_FOLDS = 4


@dataclass(frozen=True)
class FoldSums:
    """The sums of a training part: those of the whole less those of its fold.

    Attributes:
        test: Indices of the tasks of the fold.
        groups: Number of each one's group, (n,); None where cells are no groups.
        sums: As `PlacedTasks.sums` gives them, with the training part's best single model as a
            reference.
        kept: Clusters of prompts that the training part has; None for all of them.
    """

    test: Ints
    groups: Ints | None
    sums: Sums
    kept: Ints | None = None


@dataclass(frozen=True)
class FoldEstimates:
    """Estimates for the tasks of a fold, learned from its training part.

    Attributes:
        test: Indices of the tasks, (n,).
        default_model: Best single model of the training part.
        rates: Overall success of each model, float64 (m,).
        estimates: `ESTIMATES` as differences from the rates, float32 (estimates, n, m).
        of_group: The estimates of the cells where each task's group is known, float32 (n, m); NaN
            where it has none with a profile. None where cells are no groups.
        gain_error: Standard error of the gain over the default model, float32 (n, m).
        caution: By how much each model's success is lowered for holes, float64 (n, m).
        cost_usd: Cost of each model, float32 (n, m); the dearest one's where it is unknown. None if
            no cost is known.
        distances: Distance of each task from its nearest centroid, float32 (n,), if the training
            part finds the clusters anew.
    """

    test: Ints
    default_model: int
    rates: Floats
    estimates: Floats
    of_group: Floats | None
    gain_error: Floats
    caution: Floats
    cost_usd: Floats | None
    distances: Floats | None


class CrossValidation:
    """Folds of a table, learned from without the held-out outcomes.

    Clusters of prompts are found once, on all prompts: they read no outcomes and no groups. The
    centroids of groups are found in each training part, from its sums.

    Args:
        table: Outcomes.
        vectors: float32 (tasks, dim), unit length.
        partition: Cells of the tasks.
        seed: Of the folds.
        placed: The tasks with their places, where they are known.

    Attributes:
        vectors: As given.
        stop: Set to give up what other threads work on.
    """

    def __init__(
        self,
        table: OutcomeTable,
        vectors: Floats,
        partition: Partition,
        seed: int,
        placed: PlacedTasks | None = None,
    ) -> None:
        self._table, self._partition, self._seed = table, partition, seed
        self.vectors, self._models = vectors, table.models
        self.stop = Stop()
        self._placed = placed or PlacedTasks.of(table, vectors, partition)
        self._basis = self._placed.coordinates.basis
        self._shares = None
        if partition.clusters is not None:
            self._shares = partition.clusters.shares(vectors).astype(np.float32)

    def __getstate__(self) -> dict[str, object]:
        # Whoever learns from a fold's sums needs no tasks.
        return {**self.__dict__, "_table": None, "_placed": None}

    def folds(self) -> Iterator[FoldSums]:
        """Yield the sums of each fold of each deal."""
        for fold in deals(self._table, self._seed):
            yield from self._deal(fold)

    @property
    def kinds(self) -> Ints:
        """Kind of each task, (tasks,): its group, or the cluster of its prompt."""
        return self._placed.cells

    def left_out(self) -> Iterator[FoldSums]:
        """Yield the sums without each kind of task in turn, or each of a few sets of kinds.

        A task whose prompt is also of another kind is in no part held out: its training part
        would know it.
        """
        fold = deal_kinds(self.kinds, count_kind_folds(self.kinds))
        if fold.max(initial=0) == 0:
            return
        prompts, cells = self._table.prompt_groups(), self.kinds
        for part in self._deal(fold):
            within = np.zeros(self._table.n_tasks, dtype=np.bool_)
            within[part.test] = True
            there = ~np.isin(prompts[part.test], prompts[~within])
            kept = None
            if self._partition.groups is None:
                kept = np.setdiff1d(np.arange(self._partition.n_cells), cells[part.test])
            groups = None if part.groups is None else part.groups[there]
            yield FoldSums(part.test[there], groups, part.sums, kept)

    def _deal(self, fold: Ints) -> Iterator[FoldSums]:
        table, cells, k = self._table, self._placed.cells, self._partition.n_cells
        columns = table.score, table.cost_usd, table.latency_s
        outcomes = sum_outcomes_by_fold(*columns, cells, k, fold)
        if table.has_tokens:
            tokens = table.input_tokens, table.output_tokens, table.prompt_chars()
            spent = sum_tokens_by_fold(*tokens, cells, k, fold)
            outcomes = [own.with_sums(more) for own, more in zip(outcomes, spent, strict=True)]
        whole = total(outcomes)
        # Gains are summed over the best single model of each training part.
        references = sorted({best_single(whole - part) for part in outcomes})
        pairs = sum_pairs_by_fold(table.score, references, cells, k, fold)
        x = self._placed.coordinates.values
        parts = []
        for f, (own, paired) in enumerate(zip(outcomes, pairs, strict=True)):
            members = np.flatnonzero(fold == f)
            part = own.with_sums(paired, sum_products(x[members], table.score[members]))
            if self._partition.groups is not None:
                part = part.with_sums(sum_groups(x[members], cells[members], k))
            parts.append(part)
        whole = total(parts)
        for f, part in enumerate(parts):
            test = np.flatnonzero(fold == f)
            groups = None if self._partition.groups is None else cells[test]
            yield FoldSums(test, groups, whole - part)

    def training(self, fold: FoldSums) -> TrainingPart:
        """Return the training part of a fold."""
        clusters = self._partition.clusters
        if fold.kept is None or clusters is None:
            return TrainingPart.of(self._models, fold.sums, self._partition, self._basis)
        kept = replace(clusters, centroids=clusters.centroids[fold.kept], groups=fold.kept)
        return TrainingPart(self._models, fold.sums, kept, basis=self._basis)

    def estimate(self, fold: FoldSums) -> FoldEstimates:
        """Learn from the training part of a fold, and estimate the success of its tasks."""
        self.stop.check()
        part, held_out = self.training(fold), self.vectors[fold.test]
        distances = None
        if self._shares is not None and fold.kept is None:
            shares = self._shares[fold.test]
        else:
            shares = part.found.shares(held_out)
            distances = assign(held_out, part.found.centroids)[1]
        profile = part.by_cell.profile
        return FoldEstimates(
            test=fold.test,
            default_model=part.by_cell.default_model,
            rates=part.rates,
            estimates=part.estimates(held_out, shares),
            of_group=part.of_groups(fold.groups),
            gain_error=(shares @ profile.gain_error[:-1]).astype(np.float32),
            caution=shares @ part.caution,
            cost_usd=_blended_cost(shares, profile.cost[:-1]),
            distances=distances,
        )

    def held_out_distances(self, *, of_table: bool) -> Floats:
        """Measure how far held-out prompts are from clusters that they took no part in.

        Each centroid of the table's prompts becomes the mean direction of its members less those
        in the fold, and is left out if all are in it.

        Args:
            of_table: Whether the clusters were found on these prompts; others stay as they are.

        Returns:
            float32, one for each time that a task is held out.
        """
        clusters = self._partition.clusters
        assert clusters is not None
        centroids, assigned = clusters.centroids, self._placed.cells
        distances = []
        for fold in deals(self._table, self._seed):
            cells = fold * len(centroids) + assigned
            shape = FOLDS, *centroids.shape
            sums = sum_by_cluster(self.vectors, cells, FOLDS * len(centroids)).reshape(shape)
            sizes = np.bincount(cells, minlength=FOLDS * len(centroids)).reshape(shape[:2])
            for f in range(FOLDS):
                others = centroids
                if of_table:
                    kept = sizes.sum(axis=0) > sizes[f]
                    others = _directions((sums.sum(axis=0) - sums[f])[kept], centroids[kept])
                distances.append(assign(self.vectors[fold == f], others)[1])
        return np.concatenate(distances)


def _blended_cost(shares: Floats, cost: Floats) -> Floats | None:
    """Average the costs of the clusters, (k, m), with shares (n, k), as the core does."""
    # A cell where a model's cost is unknown has its overall cost, if that is known.
    known = ~np.isnan(cost).any(axis=0)
    if not known.any():
        return None
    blended = np.full((len(shares), cost.shape[1]), -np.inf, dtype=np.float32)
    blended[:, known] = shares @ cost[:, known]
    return np.where(known, blended, blended.max(axis=1, keepdims=True))


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


def count_kind_folds(kinds: Ints) -> int:
    """Return in how many sets the kinds of a table are left out."""
    return min(len(np.unique(kinds)), MAX_KIND_FOLDS)


def deal_kinds(kinds: Ints, folds: int) -> Ints:
    """Deal kinds of tasks into folds of about equal size; with a fold for each, one each.

    Args:
        kinds: Kind of each task, (n,).
        folds: Number of folds, at most that of different kinds.

    Returns:
        Fold of each task, (n,) in 0..folds-1.
    """
    _, kind, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
    fold_of_kind, load = np.zeros(len(sizes), dtype=np.int64), np.zeros(max(folds, 1))
    # The largest first, each into the smallest fold.
    for k in np.argsort(-sizes, kind="stable"):
        fold_of_kind[k] = int(load.argmin())
        load[fold_of_kind[k]] += sizes[k]
    return fold_of_kind[kind]


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
