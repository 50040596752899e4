"""Draw errors of means that rest on estimates, for the bootstrap.

Not here: the spread of the tasks (see ``intervals``), or the estimates (see ``estimated_table``).

A model that was never run on a kind has one unknown effect there, which all of the kind's tasks
share: the bootstrap over tasks does not see it. All means share the drawn effects, as they share
the drawn tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from hypernova.evaluation.intervals import DRAWS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from hypernova.evaluation.estimated_table import EstimatedTable
    from hypernova.evaluation.missing_cells import MissingCells
    from hypernova.numeric import Floats

Key = TypeVar("Key", bound="Hashable")


def draw_errors(
    table: EstimatedTable,
    missing: Mapping[Key, tuple[MissingCells, int]],
    usd: Mapping[Key, Floats],
    *,
    seed: int,
    draws: int = DRAWS,
) -> dict[Key, Floats]:
    """Draw errors of mean scores, and of mean costs.

    Args:
        table: The table and its estimates.
        missing: Missing outcomes in each mean score, and the number of its tasks.
        usd: Estimated costs in each mean cost, USD a task, (kinds, models).
        seed: The same estimates and seed give the same draws.
        draws: Number of draws.

    Returns:
        (draws,) for each mean that has estimates.
    """
    rng = np.random.default_rng([seed, 1])
    found: dict[Key, Floats] = {}
    scored = {key: (cells, n) for key, (cells, n) in missing.items() if len(cells)}
    if table.scores is not None and scored:
        weights = np.stack(
            [
                table.scores.unit_weights(cells.tasks, cells.models, cells.weights) / n
                for cells, n in scored.values()
            ]
        )
        errors = np.zeros((len(scored), draws))
        for kind, of_kind in enumerate(table.scores.draw_errors(rng, draws)):
            errors += weights[:, kind] @ of_kind
        for (key, (cells, n)), error in zip(scored.items(), errors, strict=True):
            own = np.sqrt(table.scores.own_variance(cells.tasks, cells.weights)) / n
            found[key] = error + own * rng.normal(size=draws)
    if table.costs is not None and usd:
        deviation = table.costs.deviation
        ratios = rng.normal(size=(draws, deviation.size))
        for key, spent in usd.items():
            found[key] = ratios @ (spent * deviation).ravel()
    return found
