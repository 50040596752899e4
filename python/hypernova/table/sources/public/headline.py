"""Compare the outcomes of a model with its headline rate, as the publisher states it.

Not here: which of the two is right. Both are the publisher's, and only the publisher knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A model whose outcomes disagree with its headline rate.

    Attributes:
        model: Name of the model.
        headline: The rate that its publisher states, 0..1.
        rate: Mean score of its outcomes in the file, 0..1.
        tasks: Number of these outcomes.
    """

    model: str
    headline: float
    rate: float
    tasks: int

    @property
    def difference(self) -> float:
        """`rate` less `headline`, -1..1."""
        return self.rate - self.headline


def discrepancy(model: str, percent: float, solved: int, tasks: int) -> Discrepancy | None:
    """Compare a model's headline rate with the tasks that it solved.

    The two agree if the headline is the percentage of `solved` in `tasks`, rounded to the decimals
    of the headline: 64.93 stands for 64.925 to 64.935, and 65.0 for 64.95 to 65.05. A whole number
    has one decimal, because JSON writers drop the zero.

    Args:
        model: Name of the model.
        percent: The headline rate, 0..100.
        solved: Number of tasks that the model solved.
        tasks: Number of tasks that the model has an outcome on, at least 1.

    Returns:
        The discrepancy, or None if the two agree.
    """
    # repr is the shortest text that reads back as the same number: the digits of the file, with
    # 65.0 for 65.
    stated = Decimal(repr(float(percent)))
    exponent = stated.as_tuple().exponent
    assert isinstance(exponent, int)  # a finite number
    half_a_unit = Decimal(5).scaleb(exponent - 1)
    # Multiplied out, because a quotient would be rounded once more.
    if abs(stated * tasks - 100 * solved) <= half_a_unit * tasks:
        return None
    return Discrepancy(model, percent / 100, solved / tasks, tasks)
