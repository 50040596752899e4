"""Find the cost weight that meets a target of cost or accuracy on held-out tasks.

Not here: prices. Costs are those of the table, and an unknown cost never counts as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypernova.errors import FitError
from hypernova.training.cross_validation import CrossValidation
from hypernova.training.frontier import cost_weights
from hypernova.training.held_out_scores import HeldOutScores

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable
    from hypernova.training.partition import Partition
    from hypernova.training.training_part import Setting


@dataclass(frozen=True)
class CostWeightScore:
    """A cost weight, and accuracy and cost under it on held-out tasks.

    The same folds selected the weight, so the figures are slightly too good.

    Attributes:
        cost_weight: Success per USD.
        accuracy: Held-out accuracy, 0 to 1.
        cost_usd: Held-out cost of a task, USD.
    """

    cost_weight: float
    accuracy: float
    cost_usd: float


def find_cost_weight(
    table: OutcomeTable,
    vectors: Floats,
    seed: int,
    partition: Partition,
    setting: Setting,
    *,
    cost_usd: float | None = None,
    accuracy: float | None = None,
    tick: Callable[[int], None] | None = None,
) -> CostWeightScore:
    """Find the most accurate weight within a cost, or the cheapest that reaches an accuracy.

    Args:
        table: Outcomes, with some cost known (`cost_weights` is not empty).
        vectors: float32 (tasks, dim).
        seed: Seed of the folds, as for `select_setting`.
        partition: Cells of the tasks.
        setting: Setting of `select_setting`.
        cost_usd: Highest held-out cost of a task, USD.
        accuracy: Lowest held-out accuracy, 0 to 1; one of the two is given.
        tick: Called with 1 after each fold.

    Raises:
        FitError: No weight meets the target, or no cost of the chosen models is known.
    """
    weights = cost_weights(table)
    scores = [HeldOutScores(table.n_tasks) for _ in weights]
    folds = CrossValidation(table, vectors, partition, seed)
    for fold in folds.folds():
        artifact = folds.training(fold).artifact(setting)
        for weight, score in zip(weights, scores, strict=True):
            chosen = artifact.decide_many(vectors[fold.test], cost_weight=weight).model_indices
            score.add(table, fold.test, chosen)
        if tick:
            tick(1)
    points = [
        CostWeightScore(weight, score.accuracy, score.cost_usd)
        for weight, score in zip(weights, scores, strict=True)
        if score.cost_n.any()
    ]
    if not points:
        raise FitError(
            f"the table {table.name} knows no cost of the models that are chosen on held-out "
            "tasks, so no cost weight can be found; add their cost_usd, or leave the target out"
        )
    if cost_usd is not None:
        meeting = [point for point in points if point.cost_usd <= cost_usd]
        if meeting:
            return max(meeting, key=lambda point: (point.accuracy, -point.cost_usd))
        best = min(points, key=lambda point: (point.cost_usd, -point.accuracy))
        target = f"costs at most ${cost_usd:g} a task"
    else:
        assert accuracy is not None
        meeting = [point for point in points if point.accuracy >= accuracy]
        if meeting:
            return min(meeting, key=lambda point: (point.cost_usd, -point.accuracy))
        best = max(points, key=lambda point: (point.accuracy, -point.cost_usd))
        target = f"reaches an accuracy of {accuracy:g}"
    raise FitError(
        f"no cost weight {target} on held-out tasks of {table.name}: the nearest is an accuracy of "
        f"{best.accuracy:.4f} at ${best.cost_usd:.4f}; choose a target that this meets"
    )
