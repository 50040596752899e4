"""Find the cost weight that meets a target on held-out tasks.

Not here: prices. Costs are those of the table, and an unknown one is never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import FitError
from hypernova.training.estimates.sums import mean_known
from hypernova.training.model_selection import Tally, inner_folds
from hypernova.training.trainer import learn

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable
    from hypernova.training.model_selection import Setting

# Cost weights by what they say the whole cost of the best single model is worth, in
# success: from a fiftieth, which hardly counts, to four, which leaves the cheapest. Dense
# enough not to jump where one model takes over from another.
WORTHS = (0.0, *np.geomspace(0.02, 4.0, 30).tolist())


@dataclass(frozen=True)
class Target:
    """A cost weight and what it does on held-out tasks.

    The same folds chose the weight, so the figures are slightly too good.

    Attributes:
        cost_weight: Success per USD.
        accuracy: Held-out.
        cost_usd: Held-out, a task.
    """

    cost_weight: float
    accuracy: float
    cost_usd: float


def cost_weights(table: OutcomeTable) -> list[float]:
    """List cost weights worth a try, rising from 0, in success per USD.

    They scale with what the model with the best mean score costs, of those tried at
    least half as often as the most tried one. Empty where no cost is known.
    """
    n = (~np.isnan(table.score)).sum(axis=0)
    cost = mean_known(table.cost_usd)
    known = (cost > 0) & (2 * n >= n.max())
    if not known.any():
        return []
    best = int(np.argmax(np.where(known, mean_known(table.score), -np.inf)))
    return [worth / float(cost[best]) for worth in WORTHS]


def find_cost_weight(
    table: OutcomeTable,
    vectors: Floats,
    seed: int,
    setting: Setting,
    *,
    cost_usd: float | None = None,
    accuracy: float | None = None,
    structure: Floats | None = None,
    tick: Callable[[int], None] | None = None,
) -> Target:
    """Find the most accurate weight within a cost, or the cheapest with an accuracy.

    Args:
        table: Outcomes, with some cost known (`cost_weights` is not empty).
        vectors: float32 (tasks, dim).
        seed: Of the folds; that of `select`.
        setting: What `select` chose.
        cost_usd: Held-out cost of a task that must not be exceeded.
        accuracy: Held-out accuracy that must be reached; one of the two is given.
        structure: As in `select`.
        tick: Called with 1 after each fold.

    Raises:
        FitError: No weight meets the target, or no cost of the models taken is known.
    """
    weights = cost_weights(table)
    tallies = [Tally(table.n_tasks) for _ in weights]
    for train, test in inner_folds(table, seed):
        part = table.subset(train)
        learned = learn(part, vectors[train], seed=seed, structure=structure, setting=setting)
        artifact = learned.artifact()
        for weight, tally in zip(weights, tallies, strict=True):
            taken = artifact.decide_many(vectors[test], cost_weight=weight).model_indices
            tally.add(table, test, taken)
        if tick:
            tick(1)
    points = [
        Target(weight, tally.accuracy, tally.cost_usd)
        for weight, tally in zip(weights, tallies, strict=True)
        if tally.cost_n.any()
    ]
    if not points:
        raise FitError(
            f"the table {table.name} knows no cost of the models that are taken on held-out tasks, "
            "so no cost weight can be found; add their cost_usd, or leave the target out"
        )
    if cost_usd is not None:
        meeting = [point for point in points if point.cost_usd <= cost_usd]
        if meeting:
            return max(meeting, key=lambda point: (point.accuracy, -point.cost_usd))
        best = min(points, key=lambda point: (point.cost_usd, -point.accuracy))
        wish = f"costs at most ${cost_usd:g} a task"
    else:
        assert accuracy is not None
        meeting = [point for point in points if point.accuracy >= accuracy]
        if meeting:
            return min(meeting, key=lambda point: (point.cost_usd, -point.accuracy))
        best = max(points, key=lambda point: (point.accuracy, -point.cost_usd))
        wish = f"reaches an accuracy of {accuracy:g}"
    raise FitError(
        f"no cost weight {wish} on held-out tasks of {table.name}: the nearest is an accuracy of "
        f"{best.accuracy:.4f} at ${best.cost_usd:.4f}; choose a target that this meets"
    )
