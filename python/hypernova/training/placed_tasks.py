"""Tasks with their places: vectors and cells.

Not here: what is learned from the sums that they give (see ``training_part``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.estimates.outcome_sums import (
    sum_groups,
    sum_outcomes,
    sum_pairs,
    sum_products,
    sum_tokens,
    sum_vector_scores,
)
from hypernova.training.estimates.profile import best_single
from hypernova.training.estimates.repeats import sum_repeats
from hypernova.training.estimates.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.partition import Partition


@dataclass(frozen=True)
class PlacedTasks:
    """Tasks of a table with their places.

    Attributes:
        table: Outcomes.
        coordinates: Of the vectors, (tasks, r).
        cells: Cell of each task, (tasks,).
        partition: The cells.
    """

    table: OutcomeTable
    coordinates: Coordinates
    cells: Ints
    partition: Partition

    @classmethod
    def of(
        cls,
        table: OutcomeTable,
        vectors: Floats,
        partition: Partition,
        coordinates: Coordinates | None = None,
    ) -> PlacedTasks:
        """Place the tasks of a table by their groups and vectors, float32 (tasks, dim)."""
        cells = partition.cells(table.groups, vectors)
        return cls(table, coordinates or Coordinates.of(vectors), cells, partition)

    def sums(self, references: Sequence[int] | None) -> Sums:
        """Sum all that is learned from these tasks.

        Args:
            references: Models over which gains are summed; None for the best single model.
        """
        values = self.coordinates.values
        sums = self._outcomes(references).with_sums(sum_products(values, self.table.score))
        if self.partition.groups is not None:
            sums = sums.with_sums(sum_groups(values, self.cells, self.partition.n_cells))
        return sums

    def _outcomes(self, references: Sequence[int] | None) -> Sums:
        table, cells, k = self.table, self.cells, self.partition.n_cells
        sums = sum_outcomes(table.score, table.cost_usd, table.latency_s, cells, k)
        if table.has_tokens:
            chars = table.prompt_chars()
            sums = sums.with_sums(
                sum_tokens(table.input_tokens, table.output_tokens, chars, cells, k)
            )
        if table.has_repeats:
            sums = sums.with_sums(sum_repeats(table.score, table.n, cells, k))
        chosen = [best_single(sums)] if references is None else references
        return sums.with_sums(sum_pairs(table.score, chosen, cells, k))

    def exchanged(self, given: Ints, before: Sums) -> Sums:
        """Sum what these tasks give when each has the place of another one.

        Args:
            given: Task whose place each task gets, (tasks,), a permutation.
            before: Sums with their own places.
        """
        values = self.coordinates.values[given]
        exchanged = replace(
            self,
            coordinates=Coordinates(values, self.coordinates.basis),
            cells=self.cells[given],
        )
        if np.isnan(self.table.score).any():
            return exchanged.sums(None)
        # Without holes every model has all places, in whatever order.
        scores = sum_vector_scores(values, self.table.score)
        kept = {
            name: before[name]
            for name in before
            if name.startswith(("class_", "level_", "group_")) and name not in scores
        }
        return exchanged._outcomes(None).with_sums(Sums(kept, classes=before.classes), scores)
