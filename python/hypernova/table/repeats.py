"""Merge repeats: several outcomes of one model on one task are one, with a number behind it.

Not here: what they change in the estimates (`hypernova.training.estimates.repeats`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from hypernova.table.columns import NUMBERS, OutcomeColumns, is_single, is_unknown, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova.table.columns import Floats, Ints


@dataclass(frozen=True, slots=True)
class Repeats:
    """How many outcomes of a table are means of several.

    Attributes:
        outcomes: Number of outcomes that are the mean of more than one.
        largest: The largest number that one is the mean of; 0 without outcomes.
        total: Number of all outcomes, each repeat counted.
    """

    outcomes: int
    largest: int
    total: int

    @classmethod
    def of(cls, score: Floats, n: Floats) -> Self:
        """Count those of outcomes.

        Args:
            score: Scores, NaN where there is no outcome.
            n: Number of outcomes behind each, of the shape of `score`; `single` or `unknown` for 1.
        """
        known = ~np.isnan(score)
        if is_single(n) or is_unknown(n):
            n_outcomes = int(np.count_nonzero(known))
            return cls(0, min(n_outcomes, 1), n_outcomes)
        of_known = n[known]
        return cls(
            int(np.count_nonzero(of_known > 1.0)),
            int(of_known.max(initial=0.0)),
            int(of_known.sum()),
        )

    def __add__(self, other: Self) -> Self:
        """Add those of other outcomes."""
        return type(self)(
            self.outcomes + other.outcomes,
            max(self.largest, other.largest),
            self.total + other.total,
        )


def merged(outcomes: OutcomeColumns, n_tasks: int) -> OutcomeColumns:
    """Return checked outcomes with one for each task and model.

    Its score is the mean of all, its cost, latency and tokens those of the known ones, each
    weighted by the number that it stands for; `n` adds up. They are summed by rising value, so
    that the order of rows changes no bit.

    Args:
        outcomes: The outcomes.
        n_tasks: Number of tasks.

    Returns:
        The outcomes themselves where none is repeated, with `n` unknown unless one has more than
        one behind it. Otherwise the merged ones, in the order and with the row of the first of
        each.
    """
    given = None if is_unknown(outcomes.n) else np.where(np.isnan(outcomes.n), 1.0, outcomes.n)
    if given is not None and (given == 1.0).all():
        given = None
    cell = outcomes.task * len(outcomes.models) + outcomes.model
    filled = np.zeros(n_tasks * len(outcomes.models), dtype=np.bool_)
    filled[cell] = True
    if np.count_nonzero(filled) == len(cell):
        return dataclasses.replace(outcomes, n=unknown(0) if given is None else given)
    first_of_cell = np.empty(len(filled), dtype=np.int64)
    first_of_cell[cell[::-1]] = np.arange(len(cell) - 1, -1, -1)
    first = first_of_cell[cell]
    kept = np.flatnonzero(first == np.arange(len(cell)))
    # The place of each entry among those that are kept.
    place = np.searchsorted(kept, first)
    weight = np.ones(len(cell)) if given is None else given
    n: Floats = np.bincount(place, weights=weight, minlength=len(kept)).astype(np.float64)
    several = np.bincount(place, minlength=len(kept)) > 1
    members = np.flatnonzero(several[place])
    values = {
        name: _means(getattr(outcomes, name), weight, place, kept, several, members)
        for name in NUMBERS
    }
    return OutcomeColumns(
        source=outcomes.source,
        rows=outcomes.rows[kept],
        task=outcomes.task[kept],
        model=outcomes.model[kept],
        models=outcomes.models,
        **values,
        n=n,
    )


def _means(
    values: Floats,
    weight: Floats,
    place: Ints,
    kept: Ints,
    several: NDArray[np.bool_],
    members: Ints,
) -> Floats:
    """Return the weighted mean of the known values at each place; a single value as it is."""
    if is_unknown(values):
        return unknown(len(kept))
    found: Floats = values[kept]
    known = members[~np.isnan(values[members])]
    known = known[np.lexsort((weight[known], values[known], place[known]))]
    at, w = place[known], weight[known]
    n = np.bincount(at, weights=w, minlength=len(kept))
    total = np.bincount(at, weights=w * values[known], minlength=len(kept))
    with np.errstate(invalid="ignore"):
        found[several] = (total / n)[several]
    return found
