"""Count pairs of decisions, of the old and of the new artifact for one prompt, in flat memory.

Not here: how a pair was decided, and the shares and means that follow from the counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hypernova.comparison.choosing import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypernova.numeric import Floats, Ints

# Index in place of a model or of a kind that there is none of.
NONE = -1
# Of each quantity in each view: the weight that is known, and the sums over it of the old choice,
# of the new one, and of the square of the change.
_SUMS = 4


@dataclass(frozen=True, slots=True)
class DecidedPairs:
    """The two decisions for each of n prompts, or of n places that stand for many.

    Attributes:
        weights: Number of prompts that each stands for, float64 (n,).
        old: Index of the old artifact's choice, int64 (n,); `NONE` without a decision.
        new: The same of the new artifact.
        clusters: Index of the nearest cluster of the old artifact, int64 (n,); `NONE` for prompts
            that are novel to it.
        groups: Index of the group, int64 (n,); `NONE` for none.
        values: Values of the old and of the new choice, float64 (n, views, 2, 3), the last axis by
            `QUANTITIES`; NaN where unknown.
    """

    weights: Floats
    old: Ints
    new: Ints
    clusters: Ints
    groups: Ints
    values: Floats


@dataclass(frozen=True, slots=True)
class PairSums:
    """The sums over some pairs.

    Attributes:
        weight: Number of prompts.
        values: float64 (views, 3, 4): by view and quantity the number of prompts of which both
            choices are known, and the sums over these of the old choice, of the new choice, and of
            the square of the change.
    """

    weight: float
    values: Floats

    def __add__(self, other: PairSums) -> PairSums:
        return PairSums(self.weight + other.weight, self.values + other.values)


@dataclass
class PairTally:
    """Counts of pairs, by kind of prompt and by what both artifacts chose.

    Memory grows with kinds and with pairs of models, and not with prompts.

    Attributes:
        n_models: Number of models, by whose indices pairs name them.
        n_views: Number of views of the pairs' values.
        clusters: PairSums by cluster, old choice and new choice.
        groups: PairSums by group, old choice and new choice.
    """

    n_models: int
    n_views: int
    clusters: dict[tuple[int, int, int], PairSums] = field(default_factory=dict)
    groups: dict[tuple[int, int, int], PairSums] = field(default_factory=dict)

    def add(self, pairs: DecidedPairs) -> None:
        """Count further pairs."""
        if not len(pairs.weights):
            return
        rows = self._rows(pairs)
        self._add(self.clusters, pairs, pairs.clusters, rows)
        if (pairs.groups != NONE).any():
            self._add(self.groups, pairs, pairs.groups, rows)

    def _rows(self, pairs: DecidedPairs) -> Floats:
        """Return the terms of the sums of each pair, (n, 1 + views * 3 * 4)."""
        before, after = pairs.values[:, :, 0], pairs.values[:, :, 1]
        known = ~(np.isnan(before) | np.isnan(after))
        before, after = (np.where(known, side, 0.0) for side in (before, after))
        terms = np.stack([known.astype(float), before, after, (after - before) ** 2], axis=-1)
        assert terms.shape[1:] == (self.n_views, len(QUANTITIES), _SUMS)
        flat = terms.reshape(len(terms), -1) * pairs.weights[:, None]
        return np.column_stack([pairs.weights, flat])

    def _add(
        self,
        cells: dict[tuple[int, int, int], PairSums],
        pairs: DecidedPairs,
        kinds: Ints,
        rows: Floats,
    ) -> None:
        keys = np.column_stack([kinds, pairs.old, pairs.new])
        distinct, place = np.unique(keys, axis=0, return_inverse=True)
        sums = np.zeros((len(distinct), rows.shape[1]))
        np.add.at(sums, place.reshape(-1), rows)
        for (kind, old, new), row in zip(distinct.tolist(), sums, strict=True):
            of_cell = PairSums(float(row[0]), row[1:].reshape(self.n_views, len(QUANTITIES), _SUMS))
            before = cells.get((kind, old, new))
            cells[kind, old, new] = of_cell if before is None else before + of_cell

    def total(self) -> PairSums:
        """Return the sums over all pairs."""
        return self.summed(self.clusters.values())

    def summed(self, parts: Iterable[PairSums]) -> PairSums:
        """Add sums up."""
        return sum(parts, PairSums(0.0, np.zeros((self.n_views, len(QUANTITIES), _SUMS))))

    def moves(self) -> dict[tuple[int, int], PairSums]:
        """Return the sums by old and new choice, without pairs of the same model."""
        found: dict[tuple[int, int], PairSums] = {}
        for (_, old, new), sums in self.clusters.items():
            if old != new:
                before = found.get((old, new))
                found[old, new] = sums if before is None else before + sums
        return found

    def choices(self) -> Floats:
        """Return the weight of the old and of the new choices of each model, float64 (m, 2)."""
        found = np.zeros((self.n_models, 2))
        for (_, old, new), sums in self.clusters.items():
            for side, model in enumerate((old, new)):
                if model != NONE:
                    found[model, side] += sums.weight
        return found
