"""Learn and choose models in every fold with every router, and compute the figures.

Not here: the routers themselves (see ``rivals``), or writing figures down (see ``record``).
Folds, seeds and bootstrap are those of `hypernova.evaluate`: with the same table, embedder,
folds, repeats and seed, hypernova's figures are the same as there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np
from benches.quality import rivals
from threadpoolctl import threadpool_limits

from hypernova.errors import EvaluationError
from hypernova.evaluation.baselines import (
    Hull,
    StrategyOutcomes,
    chosen_outcomes,
    mix_outcomes,
    oracle,
)
from hypernova.evaluation.figures import PairedFigures
from hypernova.evaluation.protocol import fold_splits, seed_of, test_to_train
from hypernova.parallel import map_calls
from hypernova.training.estimates.sums import mean_known
from hypernova.training.frontier import cost_weights
from hypernova.training.trainer import learn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.evaluation.protocol import Split
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

HYPERNOVA = "hypernova"
RIVALS: dict[str, Callable[[rivals.Training], rivals.Fitted]] = {
    "best single model": rivals.best_single,
    "kNN": rivals.knn,
    "ridge per model": rivals.ridge,
    "plain ridge": rivals.plain_ridge,
    "logistic per model": rivals.logistic,
    "Nordlys' recipe": rivals.nordlys,
}
GROUP_KNOWN = "best model of the group, group known"
HULL = "mix of two models at hypernova's cost"
# Routers whose frontier of cost and accuracy is compared.
FRONTIERS = (HYPERNOVA, "ridge per model", "plain ridge", GROUP_KNOWN)
CALIBRATION_BINS = 10
HINDSIGHT = "best single, in hindsight"
ORACLE = "best model per task, in hindsight"


@dataclass(frozen=True)
class FoldChoice:
    """The models that a router chose for one fold.

    Attributes:
        models: (test,) indices of models.
        train_s: CPU seconds to learn, tuning included.
        knob: The tuned knob; None without a knob.
        by_weight: (weights, test) the models chosen under each cost weight; None without.
        success: (test, m) hypernova's estimates; None for others.
    """

    models: Ints
    train_s: float
    knob: float | None
    by_weight: Ints | None = None
    success: Floats | None = None


@dataclass(frozen=True)
class Calibration:
    """How true hypernova's held-out estimates are, over all models and tasks with an outcome.

    Attributes:
        error: Expected calibration error in ten bins.
        brier: Mean squared error of the estimates.
        brier_of_rates: That of the models' rates in the training parts.
    """

    error: float
    brier: float
    brier_of_rates: float


@dataclass(frozen=True)
class Row:
    """The figures of one router.

    Attributes:
        router: Name.
        accuracy: Mean score of the chosen models.
        ci95: Interval of the accuracy.
        lead: Accuracy of hypernova less that of this router; None for hypernova.
        lead_ci95: Interval of the lead, paired by task.
        cost_usd: Mean known cost of a task; None where no cost is known.
        train_s: Mean CPU seconds to learn from one fold's training part; None for
            choices in hindsight.
        knobs: The tuned knob of each fold; empty without a knob.
        unscored: Share of decisions whose model has no outcome for the task.
        frontier: Mean gain over the mix of two single models at the same cost, over the cost
            weights; None without.
        frontier_ci95: Its interval.
    """

    router: str
    accuracy: float
    ci95: tuple[float, float]
    lead: float | None
    lead_ci95: tuple[float, float] | None
    cost_usd: float | None
    train_s: float | None
    knobs: tuple[float, ...]
    unscored: float = 0.0
    frontier: float | None = None
    frontier_ci95: tuple[float, float] | None = None

    @property
    def knob(self) -> tuple[float, float, float] | None:
        """Median, smallest and largest of the knobs."""
        return (median(self.knobs), min(self.knobs), max(self.knobs)) if self.knobs else None


@dataclass(frozen=True)
class Comparison:
    """All routers on one table.

    Attributes:
        table: Name of the table.
        tasks: Number of tasks.
        models: Number of models.
        embedder: Name of the embedder.
        dim: Length of a vector.
        folds: Number of folds.
        repeats: Number of times that the tasks were dealt into folds.
        seed: Seed of folds, learning and bootstrap.
        rows: One for each router, hypernova first.
        calibration: Of hypernova's estimates.
    """

    table: str
    tasks: int
    models: int
    embedder: str
    dim: int
    folds: int
    repeats: int
    seed: int
    rows: tuple[Row, ...]
    calibration: Calibration


def compare(
    table: OutcomeTable,
    vectors: Floats,
    *,
    embedder: str,
    folds: int,
    repeats: int,
    seed: int,
    jobs: int,
    progress: bool = False,
) -> Comparison:
    """Compare all routers on one table.

    Args:
        table: Outcomes.
        vectors: float32 (tasks, dim), rows of unit length.
        embedder: Name of the embedder, for the record.
        folds: Number of folds.
        repeats: Number of times that the tasks are dealt into folds.
        seed: The same seed gives the same decisions and figures; times differ.
        jobs: Number of processes.
        progress: Show a progress bar.

    Raises:
        EvaluationError: The table has too few prompts for k-means.
    """
    check(table, folds)
    prompts = table.prompt_groups()
    splits = list(fold_splits(prompts, folds, repeats, seed))
    routers = [HYPERNOVA, *RIVALS]
    if len({group for group in table.groups if group is not None}) > 1:
        routers.append(GROUP_KNOWN)
    hulls = [Hull.of(table.subset(split.train)) for split in splits]
    weights = cost_weights(table) if all(hulls) else []
    calls = [
        partial(choose, table, vectors, split, router, weights)
        for split in splits
        for router in routers
    ]
    results = list(
        map_calls(
            calls,
            jobs=jobs,
            total=len(calls),
            description="comparing",
            progress=progress,
            shared=(table, vectors),
        )
    )
    # `calls` go through all routers for each split in turn.
    choices = {router: results[i :: len(routers)] for i, router in enumerate(routers)}
    figures = PairedFigures(prompts, np.full(table.n_tasks, -1), [], seed_of(seed, 3))
    for router in routers:
        models = np.empty((repeats, table.n_tasks), dtype=np.int64)
        for split, choice in zip(splits, choices[router], strict=True):
            models[split.repeat, split.test] = choice.models
        figures.add(router, chosen_outcomes(table, models))
    others = routers[1:]
    overlap = test_to_train(splits)
    if weights:
        chosen = [choice.models for choice in choices[HYPERNOVA]]
        figures.add(HULL, _mixed(table, splits, hulls, chosen))
        others.append(HULL)
        for router in (name for name in FRONTIERS if name in routers):
            _add_frontier(figures, router, table, splits, hulls, choices[router])
            figures.pair(f"{router}, frontier", f"{router}, hull", overlap)
    best = np.full((1, table.n_tasks), rivals.single_rates(table.score).argmax())
    figures.add(HINDSIGHT, chosen_outcomes(table, best))
    figures.add(ORACLE, oracle(table))
    others += [HINDSIGHT, ORACLE]
    for other in others:
        figures.pair(HYPERNOVA, other, overlap)
    figures.draw()
    return Comparison(
        table=table.name,
        tasks=table.n_tasks,
        models=table.n_models,
        embedder=embedder,
        dim=vectors.shape[1],
        folds=folds,
        repeats=repeats,
        seed=seed,
        rows=tuple(_row(figures, name, choices.get(name, [])) for name in [HYPERNOVA, *others]),
        calibration=_calibration(table, splits, choices[HYPERNOVA]),
    )


def check(table: OutcomeTable, folds: int) -> None:
    """Refuse a table that the routers cannot learn from, before the work.

    Raises:
        EvaluationError: It has too few prompts for k-means.
    """
    different = int(table.prompt_groups().max()) + 1
    # ceil(different / folds) prompts are held out at a time; k-means learns from the rest.
    if different - -(-different // folds) < rivals.CLUSTERS:
        raise EvaluationError(
            f"the table {table.name} has {different} different prompts; the training part of each "
            f"of {folds} folds needs {rivals.CLUSTERS} for as many clusters"
        )


def choose(
    table: OutcomeTable,
    vectors: Floats,
    split: Split,
    router: str,
    weights: Sequence[float] = (),
) -> FoldChoice:
    """Learn from the training part with one router, and let it choose for the test part."""
    train = table.subset(split.train)
    test_vectors = vectors[split.test]
    with threadpool_limits(1):
        start = time.process_time()
        if router == HYPERNOVA:
            artifact = learn(train, vectors[split.train], seed=split.seed).artifact()
            train_s = time.process_time() - start
            decisions = artifact.decide_many(test_vectors)
            by_weight = [
                artifact.decide_many(test_vectors, cost_weight=weight).model_indices
                for weight in weights
            ]
            place = {model: m for m, model in enumerate(artifact.models)}
            success = np.empty((len(decisions), len(place)))
            for row, decision in zip(success, decisions, strict=True):
                for entry in decision.ranking:
                    row[place[entry.model]] = entry.success
            return FoldChoice(
                decisions.model_indices,
                train_s,
                artifact.n_clusters,
                np.array(by_weight) if weights else None,
                success,
            )
        part = rivals.Training(vectors[split.train], train.score, train.prompt_groups(), split.seed)
        if router == GROUP_KNOWN:
            names = {group: i for i, group in enumerate(sorted(set(map(str, table.groups))))}
            groups = np.array([names[str(group)] for group in table.groups])
            estimated = rivals.group_rates(part, groups[split.train], len(names))[
                groups[split.test]
            ]
            models, knob = rivals.best_of(estimated, part), None
            train_s = time.process_time() - start
        else:
            fitted = RIVALS[router](part)
            train_s = time.process_time() - start
            models, knob = fitted.choose(test_vectors), fitted.knob
            if not weights or router not in FRONTIERS or fitted.estimate is None:
                return FoldChoice(models, train_s, knob)
            estimated = fitted.estimate(test_vectors)
        if not weights:
            return FoldChoice(models, train_s, knob)
        cost = mean_known(train.cost_usd)
        cost = np.where(np.isnan(cost), np.nanmax(cost), cost)
        by_weight = [rivals.best_of(estimated - weight * cost, part) for weight in weights]
    return FoldChoice(models, train_s, knob, np.array(by_weight))


def _by_task(table: OutcomeTable, splits: Sequence[Split], values: Sequence[object]) -> Floats:
    """Put the values of each split's test part into rows of all tasks, (repeats, tasks)."""
    filled = np.empty((max(split.repeat for split in splits) + 1, table.n_tasks))
    for split, value in zip(splits, values, strict=True):
        filled[split.repeat, split.test] = value
    return filled


def _mixed(
    table: OutcomeTable,
    splits: Sequence[Split],
    hulls: Sequence[Hull | None],
    chosen: Sequence[Ints],
) -> StrategyOutcomes:
    """Compute the expectation of the mix that costs what the choices of each split do."""
    mixes = []
    for split, hull, models in zip(splits, hulls, chosen, strict=True):
        cost = float(mean_known(table.cost_usd[split.test, models]))
        assert hull is not None
        mixes.append(hull.mix(cost))
    return mix_outcomes(
        table,
        _by_task(table, splits, [mix.cheap if mix else -1 for mix in mixes]).astype(np.int64),
        _by_task(table, splits, [mix.dear if mix else -1 for mix in mixes]).astype(np.int64),
        _by_task(table, splits, [mix.share if mix else 0.0 for mix in mixes]),
    )


def _add_frontier(
    figures: PairedFigures,
    router: str,
    table: OutcomeTable,
    splits: Sequence[Split],
    hulls: Sequence[Hull | None],
    choices: Sequence[FoldChoice],
) -> None:
    """Add the means over all cost weights of a router and of the mixes, as `evaluate` does."""
    routed, mixed = [], []
    of_splits = [choice.by_weight for choice in choices if choice.by_weight is not None]
    for chosen in zip(*of_splits, strict=True):
        models = _by_task(table, splits, chosen).astype(np.int64)
        ours, theirs = chosen_outcomes(table, models), _mixed(table, splits, hulls, chosen)
        # A mean over the weights is of those at which both have an outcome.
        either = np.isnan(ours.score) | np.isnan(theirs.score)
        for outcomes, of_weights in ((ours, routed), (theirs, mixed)):
            score = np.where(either, np.nan, outcomes.score)
            of_weights.append(StrategyOutcomes(score, outcomes.cost))
    for name, of_weights in (("frontier", routed), ("hull", mixed)):
        figures.add(
            f"{router}, {name}",
            StrategyOutcomes(
                mean_known(np.stack([outcomes.score for outcomes in of_weights])),
                mean_known(np.stack([outcomes.cost for outcomes in of_weights])),
            ),
        )


def _calibration(
    table: OutcomeTable, splits: Sequence[Split], choices: Sequence[FoldChoice]
) -> Calibration:
    """Compare hypernova's estimates with the outcomes of the test parts."""
    estimates, outcomes, rates = [], [], []
    for split, choice in zip(splits, choices, strict=True):
        assert choice.success is not None
        score = table.score[split.test]
        known = ~np.isnan(score)
        plain = np.nan_to_num(mean_known(table.score[split.train]))
        estimates.append(choice.success[known])
        outcomes.append(score[known])
        rates.append(np.broadcast_to(plain, score.shape)[known])
    return calibration(np.concatenate(estimates), np.concatenate(outcomes), np.concatenate(rates))


def calibration(estimates: Floats, outcomes: Floats, rates: Floats) -> Calibration:
    """Compute calibration error and Brier scores.

    Args:
        estimates: Success, (n,) in 0..1.
        outcomes: Scores, (n,) in 0..1.
        rates: Estimates that know the model alone, (n,).
    """
    bins = np.minimum((estimates * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    apart = np.bincount(bins, estimates - outcomes, CALIBRATION_BINS)
    return Calibration(
        error=float(np.abs(apart).sum() / len(outcomes)),
        brier=float(((estimates - outcomes) ** 2).mean()),
        brier_of_rates=float(((rates - outcomes) ** 2).mean()),
    )


def _row(figures: PairedFigures, name: str, choices: list[FoldChoice]) -> Row:
    figure = figures.figure(name)
    gain = None if name == HYPERNOVA else figures.gain(HYPERNOVA, name)
    # Some model of every task has an outcome, and every router chooses one that has many.
    assert figure.accuracy is not None
    assert figure.ci95 is not None
    above = None
    if f"{name}, frontier" in figures:
        above = figures.gain(f"{name}, frontier", f"{name}, hull")
    return Row(
        router=name,
        accuracy=figure.accuracy,
        ci95=figure.ci95,
        lead=None if gain is None else gain.mean,
        lead_ci95=None if gain is None else gain.ci95,
        cost_usd=figure.cost_usd,
        train_s=fmean(choice.train_s for choice in choices) if choices else None,
        knobs=tuple(choice.knob for choice in choices if choice.knob is not None),
        unscored=figures.unscored(name),
        frontier=None if above is None else above.mean,
        frontier_ci95=None if above is None else above.ci95,
    )
