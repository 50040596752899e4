"""Learn and decide in every fold with every router, and make figures of the decisions.

Not here: the routers themselves (see ``rivals``), or how figures are written down (see
``record``). Folds, seeds and bootstrap are those of `hypernova.evaluate`, so with the
same table, embedder, folds, repeats and seed hypernova's figures are the same as there.
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

from hypernova.errors import JudgeError
from hypernova.evaluation.baselines import oracle, taken_values
from hypernova.evaluation.figures import Figures
from hypernova.evaluation.processes import in_processes
from hypernova.evaluation.protocol import deal_parts, seed_of, test_to_train
from hypernova.training.trainer import learn

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.evaluation.protocol import Part
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
class Chosen:
    """What a router did with one fold.

    Attributes:
        taken: (test,) models.
        train_s: CPU seconds to learn, tuning included.
        knob: What tuning chose; None without a knob.
    """

    taken: Ints
    train_s: float
    knob: float | None


@dataclass(frozen=True)
class Row:
    """The figures of one router.

    Attributes:
        router: Its name.
        accuracy: Mean score of the models taken.
        ci95: Of the accuracy.
        lead: Accuracy of hypernova less that of this router; None for hypernova.
        lead_ci95: Of the lead, paired by task.
        cost_usd: Mean known cost of a task; None where no cost is known.
        train_s: CPU seconds to learn from one fold's training part, the mean; None for
            what is known in hindsight only.
        knobs: What tuning chose in each fold; empty without a knob.
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
        """Median, least and largest of the knobs."""
        return (median(self.knobs), min(self.knobs), max(self.knobs)) if self.knobs else None


@dataclass(frozen=True)
class Comparison:
    """All routers on one table.

    Attributes:
        table: Its name.
        tasks: Number of tasks.
        models: Number of models.
        embedder: Who made the vectors.
        dim: Of the vectors.
        folds: Number of folds.
        repeats: How often the tasks were dealt into folds.
        seed: Of all.
        rows: hypernova first.
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
        embedder: Who made them, for the record.
        folds: Number of folds.
        repeats: How often the tasks are dealt into folds.
        seed: Same seed, same decisions and figures; times differ.
        jobs: Processes.
        progress: Show a progress bar.

    Raises:
        JudgeError: The table has holes, or too few prompts for k-means.
    """
    check(table, folds)
    prompts = table.prompt_groups()
    parts = list(deal_parts(prompts, folds, repeats, seed))
    routers = [HYPERNOVA, *RIVALS]
    calls = [partial(choose, table, vectors, part, router) for part in parts for router in routers]
    results = in_processes(calls, jobs, progress)
    # `calls` go through all routers for each part in turn.
    chosen = {router: results[i :: len(routers)] for i, router in enumerate(routers)}
    figures = Figures(prompts, np.full(table.n_tasks, -1), [], seed_of(seed, 3))
    for router in routers:
        taken = np.empty((repeats, table.n_tasks), dtype=np.int64)
        for part, of_part in zip(parts, chosen[router], strict=True):
            taken[part.row, part.test] = of_part.taken
        figures.add(router, taken_values(table, taken))
    best = np.full((1, table.n_tasks), table.score.mean(axis=0).argmax())
    figures.add(HINDSIGHT, taken_values(table, best))
    figures.add(ORACLE, oracle(table))
    others = [*RIVALS, HINDSIGHT, ORACLE]
    for other in others:
        figures.pair(HYPERNOVA, other, test_to_train(parts))
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
        rows=tuple(_row(figures, name, chosen.get(name, [])) for name in [HYPERNOVA, *others]),
    )


def check(table: OutcomeTable, folds: int) -> None:
    """Say what is wrong with a table before the work.

    Raises:
        JudgeError: It has holes, or too few prompts for k-means.
    """
    holes = int(np.isnan(table.score).sum())
    if holes:
        raise JudgeError(
            f"the table {table.name} has {holes} holes; the other routers learn from complete "
            "tables only, so keep the tasks that every model has an outcome for"
        )
    different = int(table.prompt_groups().max()) + 1
    # ceil(different / folds) prompts are held out at a time; k-means learns from the rest.
    if different - -(-different // folds) < rivals.CLUSTERS:
        raise JudgeError(
            f"the table {table.name} has {different} different prompts; the training part of each "
            f"of {folds} folds needs {rivals.CLUSTERS} for as many clusters"
        )


def choose(table: OutcomeTable, vectors: Floats, part: Part, router: str) -> Chosen:
    """Learn on ``part.train`` with one router, and let it choose for ``part.test``."""
    train = table.subset(part.train)
    test_vectors = vectors[part.test]
    taken: Ints
    knob: float | None
    with threadpool_limits(1):
        start = time.process_time()
        if router == HYPERNOVA:
            artifact = learn(train, vectors[part.train], seed=part.seed).artifact()
            train_s = time.process_time() - start
            taken, knob = artifact.decide_many(test_vectors).model_indices, artifact.n_clusters
        else:
            fitted = RIVALS[router](
                rivals.Training(vectors[part.train], train.score, train.prompt_groups(), part.seed)
            )
            train_s = time.process_time() - start
            taken, knob = fitted.choose(test_vectors), fitted.knob
    return Chosen(taken, train_s, knob)


def _row(figures: Figures, name: str, chosen: list[Chosen]) -> Row:
    figure = figures.figure(name)
    gain = None if name == HYPERNOVA else figures.gain(HYPERNOVA, name)
    cost = float(figure["cost_usd"])
    return Row(
        router=name,
        accuracy=float(figure["accuracy"]),
        ci95=figure["ci95"],
        lead=None if gain is None else float(gain["mean"]),
        lead_ci95=None if gain is None else gain["ci95"],
        cost_usd=None if np.isnan(cost) else cost,
        train_s=fmean(c.train_s for c in chosen) if chosen else None,
        knobs=tuple(c.knob for c in chosen if c.knob is not None),
    )
