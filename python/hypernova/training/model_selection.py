"""Learn the weights of the estimates, and choose margin and guard, on held-out tasks.

Not here: an unbiased figure. What is chosen looks better on the folds that gave it than it is.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from hypernova.parallel import HERE, calls_in_threads
from hypernova.training.cross_validation import (
    FOLDS,
    CrossValidation,
    count_kind_folds,
    count_repeats,
)
from hypernova.training.estimates.stacking import StackingSums, StackingWeights
from hypernova.training.estimates.sums import mean_known, ratio
from hypernova.training.frontier import call_weights, cost_weights
from hypernova.training.held_out_scores import HeldOutScores
from hypernova.training.margin import MARGINS, UNSEEN, ClaimedGains, choose_margin
from hypernova.training.memory import release_memory
from hypernova.training.training_part import Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hypernova.numeric import Floats, Ints
    from hypernova.parallel import Mapper
    from hypernova.table import OutcomeTable
    from hypernova.training.cross_validation import FoldEstimates, FoldSums
    from hypernova.training.partition import Partition
    from hypernova.training.placed_tasks import PlacedTasks

# Tasks from which folds are learned in several threads.
MIN_PARALLEL_TASKS = 4000
# Standard errors by which a model must beat the default one.
GUARDS = (0.0, 0.5, 1.0, 2.0)
# Standard errors by which a guard must gain more than none.
PROVEN = 3.0


@dataclass(frozen=True)
class Selection:
    """A selected setting and its held-out scores.

    The same folds selected the setting, so its scores are a little too good.

    Attributes:
        setting: Selected setting.
        held_out: Its scores.
        best_single: Scores of the best single model of each fold.
        distances: Distance of each held-out prompt from its nearest centroid, float32; the
            clusters are found without its fold.
        folds: Number of folds.
        repeats: Number of times that the tasks were dealt into folds.
        unseen: Share of prompts that were expected to be of kinds that the table lacks.
        unseen_gain: Mean gain over the best single model on kinds that were left out; None where
            there are none.
    """

    setting: Setting
    held_out: HeldOutScores
    best_single: HeldOutScores
    distances: Floats
    folds: int
    repeats: int
    unseen: float
    unseen_gain: float | None


def choose(
    estimates: FoldEstimates,
    success: Floats,
    guard_z: float,
    cost_weight: float = 0.0,
    *,
    margin: float = 0.0,
    calls: bool = False,
) -> Ints:
    """Choose models as an artifact with a guard and a margin does.

    Args:
        estimates: Of the tasks of a fold.
        success: Averaged estimates of their success, (n, m).
        guard_z: Standard errors of the guard.
        cost_weight: In success per USD; an unknown cost weighs nothing.
        margin: Part of an estimated gain in success that does not count.
        calls: Whether it is in success per call to the default model instead.

    Returns:
        Index of a model for each task, (n,); of equal models the lower one.
    """
    default = np.full(len(success), estimates.default_model)
    price = estimates.cost_usd
    if calls:
        price = _call_prices(default, success.shape[1])
    return _chosen(success, default, estimates.gain_error, price, guard_z, cost_weight, margin)


def _call_prices(default: Ints, models: int) -> Floats:
    """Return the prices of models where a call to the default model of a task costs 1, (n, m)."""
    prices: Floats = (default[:, None] == np.arange(models)).astype(np.float64)
    return prices


def _chosen(
    success: Floats,
    default: Ints,
    gain_error: Floats,
    price: Floats | None,
    guard_z: float,
    cost_weight: float,
    margin: float,
) -> Ints:
    """Choose as `choose` does, for tasks whose default models may differ, (n,)."""
    rows = np.arange(len(success))
    utility = success - cost_weight * price if cost_weight and price is not None else success
    gain = utility - utility[rows, default][:, None]
    bound = guard_z * gain_error
    if margin:
        bound = bound + np.clip(success - success[rows, default][:, None], 0.0, margin)
    proven = gain > bound
    best = np.where(proven, utility, -np.inf).argmax(axis=1)
    return np.where(proven[rows, best], best, default)


def _group_weights(
    table: OutcomeTable, parts: Sequence[FoldEstimates], repeats: int
) -> StackingWeights | None:
    """Learn the weights of the estimates of tasks whose group is known."""
    found = []
    for part in parts:
        if part.of_group is not None:
            known = ~np.isnan(part.of_group[:, 0])
            estimates = np.concatenate([part.of_group[None, known], part.estimates[1:, known]])
            score = table.score[part.test[known]]
            found.append(StackingSums.of(estimates, score - part.rates))
    return StackingWeights.of(reduce(add, found).scaled(1.0 / repeats)) if found else None


def _choose_guard(
    table: OutcomeTable,
    parts: Sequence[FoldEstimates],
    success: Sequence[Floats],
    margin: float = 0.0,
) -> float:
    """Choose no guard, or the one of the highest held-out utility if it is proven to have more.

    Utility without a cost weight counts as much as its mean over all cost weights: a guard
    keeps from models that only seem better, and can keep from savings. Where no cost is known, a
    call to the best single model of the training part stands for one, so that the artifact serves
    a caller who knows prices. Guards often differ by less than noise, and one that changes with it
    changes decisions and nothing else. Where no known outcome tells guards apart the strictest is
    chosen: a model that was hardly tried has none that speaks against it.
    """
    priced = cost_weights(table)
    weights = (priced or call_weights())[::3]
    known = ~np.isnan(table.score)
    # A few lucky outcomes must not make a model look free and as good as any.
    tried = 2 * known.sum(axis=0) >= known.sum(axis=0).max()
    tasks = np.concatenate([part.test for part in parts])
    default = np.concatenate([np.full(len(part.test), part.default_model) for part in parts])
    estimated = np.concatenate(list(success))
    gain_error = np.concatenate([part.gain_error for part in parts])
    of_parts = [part.cost_usd for part in parts if part.cost_usd is not None]
    price = np.concatenate(of_parts) if len(of_parts) == len(parts) else None
    if not priced:
        price = _call_prices(default, table.n_models)

    def mean_by_task(values: Floats) -> Floats:
        there = ~np.isnan(values)
        n = np.bincount(tasks[there], minlength=table.n_tasks).astype(np.float64)
        total = np.bincount(tasks[there], values[there], table.n_tasks).astype(np.float64)
        return ratio(total, n, np.nan)

    def utility(guard_z: float) -> Floats:
        """Utility of each task under each weight, (weights, tasks); NaN where it is unknown."""
        of_weights = []
        for weight in weights:
            chosen = _chosen(estimated, default, gain_error, price, guard_z, weight, margin)
            if weight and not priced:
                there = known[tasks, chosen] & tried[chosen]
                chosen = np.where(there, chosen, default)
            score = table.score[tasks, chosen]
            spent = table.cost_usd[tasks, chosen] if priced else (chosen == default).astype(float)
            cost = weight * mean_by_task(spent) if weight else 0.0
            of_weights.append(mean_by_task(score) - cost)
        return np.stack(of_weights)

    unguarded, best, most = utility(0.0), 0.0, 0.0
    for guard_z in GUARDS[1:]:
        gains = utility(guard_z) - unguarded
        # The first weight is 0.
        gain = gains[0] + mean_known(gains[1:])
        gain = gain[~np.isnan(gain)]
        if not gain.any():
            best = guard_z if most == 0.0 else best
            continue
        mean, error = float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))
        if mean > max(most, PROVEN * error):
            best, most = guard_z, mean
    return best


def select_setting(
    table: OutcomeTable,
    vectors: Floats,
    partition: Partition,
    seed: int,
    *,
    unseen: float = UNSEEN,
    of_table: bool = True,
    placed: PlacedTasks | None = None,
    mapper: Mapper = HERE,
    tick: Callable[[int], None] | None = None,
) -> Selection:
    """Learn the weights of the estimates on held-out tasks, and choose margin and guard.

    Args:
        table: Outcomes.
        vectors: float32 (tasks, dim), unit length.
        partition: Cells of the tasks.
        seed: Same input and seed, same setting.
        unseen: Share of prompts that are expected to be of kinds that the table lacks.
        of_table: Whether clusters of prompts were found on this table's prompts.
        placed: The tasks with their places, where they are known.
        mapper: Where the folds of a larger table are learned from.
        tick: Called with 1 after each fold, `count_ticks` times in all.
    """
    folds = CrossValidation(table, vectors, partition, seed, placed)

    def estimated_in(sums: Iterator[FoldSums], total: int) -> list[FoldEstimates]:
        parts = []
        calls = (partial(folds.estimate, own) for own in sums)
        for part in _learned(calls, total, table, folds, mapper):
            parts.append(part)
            if table.n_tasks >= MIN_PARALLEL_TASKS:
                release_memory()
            if tick:
                tick(1)
        return parts

    parts = estimated_in(folds.folds(), _count_folds(table))
    repeats = len(parts) // FOLDS
    sums = reduce(add, (StackingSums.of(p.estimates, table.score[p.test] - p.rates) for p in parts))
    weights = StackingWeights.of(sums.scaled(1.0 / repeats))
    group_weights = _group_weights(table, parts, repeats)

    def averaged(parts: Sequence[FoldEstimates]) -> list[Floats]:
        return [
            np.clip(p.rates + weights.average(p.estimates) - p.caution, 0.0, 1.0) for p in parts
        ]

    success = averaged(parts)
    returning, left_out = ClaimedGains.of(table, parts, success).by_task(), None
    kind_folds = count_kind_folds(folds.kinds)
    if kind_folds > 1:
        kinds = estimated_in(folds.left_out(), kind_folds)
        left_out = ClaimedGains.of(table, kinds, averaged(kinds)).by_kind(folds.kinds)
    prompts = int(table.prompt_groups().max()) + 1
    at = choose_margin(returning, left_out, unseen, prompts)
    margin = MARGINS[at]
    guard_z = _choose_guard(table, parts, success, margin)
    single, held_out = HeldOutScores(table.n_tasks), HeldOutScores(table.n_tasks)
    for part, estimated in zip(parts, success, strict=True):
        held_out.add(table, part.test, choose(part, estimated, guard_z, margin=margin))
        single.add(table, part.test, np.full(len(part.test), part.default_model))
    distances = [part.distances for part in parts if part.distances is not None]
    return Selection(
        setting=Setting(
            partition.source, partition.n_cells, guard_z, weights, group_weights, margin
        ),
        unseen=unseen,
        unseen_gain=None if left_out is None else float(left_out.mean[at]),
        held_out=held_out,
        best_single=single,
        distances=np.concatenate(distances)
        if distances
        else folds.held_out_distances(of_table=of_table),
        folds=FOLDS,
        repeats=repeats,
    )


def _learned(
    calls: Iterable[partial[FoldEstimates]],
    total: int,
    table: OutcomeTable,
    folds: CrossValidation,
    mapper: Mapper,
) -> Iterator[FoldEstimates]:
    """Make the calls of all folds, and yield their results in order."""
    if mapper.engine == "local":
        # Threads share the vectors; the core and BLAS let each other run.
        threads = mapper.jobs or 1
        few = table.n_tasks < MIN_PARALLEL_TASKS
        yield from calls_in_threads(calls, 1 if few else threads, folds.stop)
        return
    results = mapper.map(calls, total=total, description="choosing", shared=(folds,))
    with closing(results):
        yield from results


def count_ticks(table: OutcomeTable, kinds: Ints) -> int:
    """Return how often `select_setting` calls ``tick``.

    Args:
        table: Outcomes.
        kinds: Kind of each task, (tasks,).
    """
    kind_folds = count_kind_folds(kinds)
    return _count_folds(table) + (kind_folds if kind_folds > 1 else 0)


def _count_folds(table: OutcomeTable) -> int:
    return FOLDS * count_repeats(int(table.prompt_groups().max()) + 1)
