"""Missing outcomes that a strategy's decisions meet, each with its weight in the mean.

Not here: estimates for them (see ``estimated_table``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypernova.numeric import Floats, Ints


@dataclass(frozen=True)
class MissingCells:
    """Pairs of task and model without an outcome, each once.

    Attributes:
        tasks: (n,) indices.
        models: (n,) indices.
        weights: (n,) share of the task's decisions that chose the model; negative where it is
            subtracted.
    """

    tasks: Ints
    models: Ints
    weights: Floats

    @classmethod
    def of(cls, tasks: Ints, models: Ints, weights: Floats) -> MissingCells:
        """Add up the weights of equal pairs; pairs that cancel out are left out."""
        width = int(models.max(initial=0)) + 1
        pairs, place = np.unique(tasks * width + models, return_inverse=True)
        total = np.bincount(place, weights.astype(np.float64), minlength=len(pairs))
        there = np.abs(total) > 1e-12
        return cls(pairs[there] // width, pairs[there] % width, total[there].astype(np.float64))

    @classmethod
    def summed(cls, parts: Iterable[tuple[MissingCells, float]]) -> MissingCells:
        """Add up several, each times a factor."""
        found = list(parts)
        return cls.of(
            np.concatenate([cells.tasks for cells, _ in found]),
            np.concatenate([cells.models for cells, _ in found]),
            np.concatenate([factor * cells.weights for cells, factor in found]),
        )

    def __len__(self) -> int:
        return len(self.tasks)

    def within(self, chosen: Floats) -> MissingCells:
        """Keep those of some tasks, bool (tasks,)."""
        there = chosen[self.tasks]
        return MissingCells(self.tasks[there], self.models[there], self.weights[there])

    def decisions(self) -> float:
        """Count the decisions that they take part in, on either side of a difference."""
        if not len(self):
            return 0.0
        sides = [
            np.bincount(self.tasks, np.maximum(sign * self.weights, 0.0)) for sign in (1.0, -1.0)
        ]
        return float(np.maximum(*sides).sum())
