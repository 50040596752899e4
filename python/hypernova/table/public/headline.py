"""Compare a model's outcomes with the rate that its publisher states for it.

Not here: which of the two is right. Both come from the same publisher, and only they can say.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypernova.table.outcome_table import OutcomeTable


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A model whose outcomes do not give its stated rate.

    Attributes:
        model: Name of the model.
        headline: The rate stated for it, 0..1.
        rate: Its mean score over its own outcomes in the file, 0..1.
        tasks: How many outcomes those are.
    """

    model: str
    headline: float
    rate: float
    tasks: int

    @property
    def difference(self) -> float:
        """`rate` less `headline`, -1..1."""
        return self.rate - self.headline


@dataclass(frozen=True, slots=True)
class PublicTable:
    """Public data as an outcome table, and what was found when it was read.

    Attributes:
        table: The table.
        discrepancies: Models whose outcomes disagree with their headline rate, the largest
            difference first; also those that were left out of the table for it. Empty where the
            source states no such rates.
        without_outcomes: Names of entries that the source lists without any outcome by task.
    """

    table: OutcomeTable
    discrepancies: tuple[Discrepancy, ...] = ()
    without_outcomes: tuple[str, ...] = ()


def discrepancy(model: str, percent: float, solved: int, tasks: int) -> Discrepancy | None:
    """Compare the headline of a model with what it solved.

    They agree where the percentage is that of `solved` of `tasks`, rounded as the headline is
    written: 64.93 stands for 64.925 to 64.935, and 65.0 for 64.95 to 65.05. A whole number counts
    as written with one decimal, because JSON writers drop the zero.

    Args:
        model: Name of the model.
        percent: The headline, 0..100.
        solved: Number of tasks that it solved.
        tasks: Number of tasks that it has an outcome on, at least 1.

    Returns:
        The discrepancy, or None if they agree.
    """
    # repr is the shortest text that reads back as the same number: what the file says, and 65.0
    # for its 65.
    stated = Decimal(repr(float(percent)))
    exponent = stated.as_tuple().exponent
    assert isinstance(exponent, int)  # a finite number
    half_a_unit = Decimal(5).scaleb(exponent - 1)
    # Multiplied out, because a quotient would be rounded once more.
    if abs(stated * tasks - 100 * solved) <= half_a_unit * tasks:
        return None
    return Discrepancy(model, percent / 100, solved / tasks, tasks)
