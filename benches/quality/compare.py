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
from hypernova.evaluation.baselines import chosen_outcomes, oracle
from hypernova.evaluation.figures import PairedFigures
from hypernova.evaluation.protocol import fold_splits, seed_of, test_to_train
from hypernova.parallel import map_calls
from hypernova.training.trainer import learn

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.evaluation.protocol import Split
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

HYPERNOVA = "hypernova"
RIVALS: dict[str, Callable[[rivals.Training], rivals.Fitted]] = {
    "best single model": rivals.best_single,
    "kNN": rivals.knn,
    "ridge per model": rivals.ridge,
    "logistic per model": rivals.logistic,
    "Nordlys' recipe": rivals.nordlys,
}
HINDSIGHT = "best single, in hindsight"
ORACLE = "best model per task, in hindsight"


@dataclass(frozen=True)
class FoldChoice:
    """The models that a router chose for one fold.

    Attributes:
        models: (test,) indices of models.
        train_s: CPU seconds to learn, tuning included.
        knob: The tuned knob; None without a knob.
    """

    models: Ints
    train_s: float
    knob: float | None


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
    """

    router: str
    accuracy: float
    ci95: tuple[float, float]
    lead: float | None
    lead_ci95: tuple[float, float] | None
    cost_usd: float | None
    train_s: float | None
    knobs: tuple[float, ...]

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
        table: Outcomes without holes.
        vectors: float32 (tasks, dim), rows of unit length.
        embedder: Name of the embedder, for the record.
        folds: Number of folds.
        repeats: Number of times that the tasks are dealt into folds.
        seed: The same seed gives the same decisions and figures; times differ.
        jobs: Number of processes.
        progress: Show a progress bar.

    Raises:
        EvaluationError: The table has holes, or too few prompts for k-means.
    """
    check(table, folds)
    prompts = table.prompt_groups()
    splits = list(fold_splits(prompts, folds, repeats, seed))
    routers = [HYPERNOVA, *RIVALS]
    calls = [
        partial(choose, table, vectors, split, router) for split in splits for router in routers
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
    best = np.full((1, table.n_tasks), table.score.mean(axis=0).argmax())
    figures.add(HINDSIGHT, chosen_outcomes(table, best))
    figures.add(ORACLE, oracle(table))
    others = [*RIVALS, HINDSIGHT, ORACLE]
    for other in others:
        figures.pair(HYPERNOVA, other, test_to_train(splits))
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
    )


def check(table: OutcomeTable, folds: int) -> None:
    """Refuse a table that the routers cannot learn from, before the work.

    Raises:
        EvaluationError: It has holes, or too few prompts for k-means.
    """
    holes = int(np.isnan(table.score).sum())
    if holes:
        raise EvaluationError(
            f"the table {table.name} has {holes} holes; the other routers learn from complete "
            "tables only, so keep the tasks that every model has an outcome for"
        )
    different = int(table.prompt_groups().max()) + 1
    # ceil(different / folds) prompts are held out at a time; k-means learns from the rest.
    if different - -(-different // folds) < rivals.CLUSTERS:
        raise EvaluationError(
            f"the table {table.name} has {different} different prompts; the training part of each "
            f"of {folds} folds needs {rivals.CLUSTERS} for as many clusters"
        )


def choose(table: OutcomeTable, vectors: Floats, split: Split, router: str) -> FoldChoice:
    """Learn from the training part with one router, and let it choose for the test part."""
    train = table.subset(split.train)
    test_vectors = vectors[split.test]
    models: Ints
    knob: float | None
    with threadpool_limits(1):
        start = time.process_time()
        if router == HYPERNOVA:
            artifact = learn(train, vectors[split.train], seed=split.seed).artifact()
            train_s = time.process_time() - start
            models, knob = artifact.decide_many(test_vectors).model_indices, artifact.n_clusters
        else:
            fitted = RIVALS[router](
                rivals.Training(
                    vectors[split.train], train.score, train.prompt_groups(), split.seed
                )
            )
            train_s = time.process_time() - start
            models, knob = fitted.choose(test_vectors), fitted.knob
    return FoldChoice(models, train_s, knob)


def _row(figures: PairedFigures, name: str, choices: list[FoldChoice]) -> Row:
    figure = figures.figure(name)
    gain = None if name == HYPERNOVA else figures.gain(HYPERNOVA, name)
    # A table without holes has an accuracy and an interval for every router.
    assert figure.accuracy is not None
    assert figure.ci95 is not None
    return Row(
        router=name,
        accuracy=figure.accuracy,
        ci95=figure.ci95,
        lead=None if gain is None else gain.mean,
        lead_ci95=None if gain is None else gain.ci95,
        cost_usd=figure.cost_usd,
        train_s=fmean(choice.train_s for choice in choices) if choices else None,
        knobs=tuple(choice.knob for choice in choices if choice.knob is not None),
    )
