"""Place tasks in clusters, and sum what their places and outcomes teach.

Not here: which clusters there are (see ``clustering``), or estimates (see ``estimates``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.clustering.kmeans import assign
from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.estimates.outcome_sums import (
    PIECE_TASKS,
    sum_outcomes,
    sum_pairs,
    sum_products,
    sum_shares,
    sum_vector_scores,
)
from hypernova.training.estimates.profile import best_single
from hypernova.training.estimates.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.clustering.clusters import Clusters


@dataclass(frozen=True)
class Located:
    """Clusters, and the place of some tasks in them.

    Attributes:
        found: Clusters.
        assigned: Nearest cluster of each task, (n,).
        shares: Share of each cluster in each task, float64 (n, k).
    """

    found: Clusters
    assigned: Ints
    shares: Floats

    @classmethod
    def of(cls, vectors: Floats, found: Clusters, tasks: Ints | None = None) -> Located:
        """Locate tasks by their vectors.

        Args:
            vectors: float32 (tasks, dim).
            found: Clusters.
            tasks: Indices of the tasks to locate, (n,); None for all.
        """
        if tasks is None:
            return cls(found, assign(vectors, found.centroids)[0], found.shares(vectors))
        pieces = np.split(tasks, range(PIECE_TASKS, len(tasks), PIECE_TASKS))
        each = [cls.of(vectors[piece], found) for piece in pieces]
        return cls(
            found,
            np.concatenate([located.assigned for located in each]),
            np.concatenate([located.shares for located in each]),
        )

    def subset(self, tasks: Ints) -> Located:
        """Return the places of some tasks, indices (n,); they may repeat."""
        return Located(self.found, self.assigned[tasks], self.shares[tasks])


@dataclass(frozen=True)
class PlacedTasks:
    """Tasks of a table with their places: vectors, clusters and shares.

    Attributes:
        table: Outcomes.
        coordinates: Of the vectors, (tasks, r).
        located: Clusters, and the place of each task in them.
    """

    table: OutcomeTable
    coordinates: Coordinates
    located: Located

    @classmethod
    def of(cls, table: OutcomeTable, vectors: Floats, found: Clusters) -> PlacedTasks:
        """Place the tasks of a table by their vectors, float32 (tasks, dim)."""
        return cls(table, Coordinates.of(vectors), Located.of(vectors, found))

    def sums(self, references: Sequence[int] | None, *, corrected: bool) -> Sums:
        """Sum all that is learned from these tasks.

        Args:
            references: Models over which gains are summed; None for the best single model.
            corrected: Whether a linear correction is learned too.
        """
        sums = self._outcomes(references)
        if corrected:
            x, score = self.coordinates.values, self.table.score
            sums = sums.with_sums(sum_products(x, score), sum_shares(x, score, self.located.shares))
        return sums

    def _outcomes(self, references: Sequence[int] | None) -> Sums:
        table, located = self.table, self.located
        sums = sum_outcomes(
            table.score, table.cost_usd, table.latency_s, located.assigned, located.found.k
        )
        chosen = [best_single(sums)] if references is None else references
        return sums.with_sums(sum_pairs(table.score, chosen, located.assigned, located.found.k))

    def exchanged(self, given: Ints, before: Sums, *, corrected: bool) -> Sums:
        """Sum what these tasks give when each has the place of another one.

        Args:
            given: Task whose place each task gets, (tasks,), a permutation.
            before: Sums with their own places.
            corrected: As in `sums`.
        """
        values, basis = self.coordinates.values[given], self.coordinates.basis
        exchanged = PlacedTasks(self.table, Coordinates(values, basis), self.located.subset(given))
        if not corrected or np.isnan(self.table.score).any():
            return exchanged.sums(None, corrected=corrected)
        # Without holes every model has all places, in whatever order.
        kept = {name: before[name] for name in before if name.startswith("class_")}
        return exchanged._outcomes(None).with_sums(
            Sums(kept, classes=before.classes), sum_vector_scores(values, self.table.score)
        )
