"""Find costs that are about a thousand times too high or too low.

Not here: the sentences on them (`notes`).

Prices are given per token, per thousand or per million tokens, and a table that mixes them has
costs that are a thousand or a million times off. Real costs differ much as well: models of one
table a hundredfold, runs of one model on two tasks likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.table.notes.scores import MIN_OUTCOMES

if TYPE_CHECKING:
    from hypernova.numeric import Floats, Ints

# In powers of ten, midway between a hundred and a thousand.
_OFF = 2.5
# A few runs that failed at once cost next to nothing.
_MIN_SHARE = 0.01
_ROUNDS = 3


@dataclass(frozen=True)
class OddCosts:
    """Costs that are off.

    Attributes:
        models: Models whose costs lie apart from all others', as rising indices.
        factor: Times the nearest other model's that their costs are, below 1 if they are lower.
        of_rows: Model, number of its costs that are off, number of its costs, and times the rest
            that those are.
    """

    models: Ints
    factor: float
    of_rows: list[tuple[int, int, int, float]]


def odd_costs(cost: Floats) -> OddCosts:
    """Compare costs with those of other models and of the same model elsewhere.

    In logarithms, a cost is the sum of a level of the model and a level of the task, both medians
    (Tukey 1977, *Exploratory Data Analysis*, median polish), and a rest.

    Args:
        cost: float64 (tasks, models) in USD; NaN where unknown. Costs of zero are passed over.
    """
    logs = np.full(cost.shape, np.nan)
    np.log10(cost, out=logs, where=cost > 0)  # NaN is not
    n_costs = np.count_nonzero(~np.isnan(logs), axis=0)
    used = np.flatnonzero(n_costs >= MIN_OUTCOMES)
    nothing = OddCosts(used[:0], 1.0, [])
    if len(used) < 2:
        return nothing
    logs = logs[:, used]
    compared = np.count_nonzero(~np.isnan(logs), axis=1)
    logs, compared = logs[compared >= 2], compared[compared >= 2]
    if not len(logs):
        return nothing
    level: Floats = np.zeros(len(used))  # models that share no task are not compared
    for _ in range(_ROUNDS):
        of_task = _median(logs - level)
        level = _median((logs - of_task[:, None]).T, upper=False)
    rest = logs - level - of_task[:, None]
    rest[compared == 2] *= 2  # half of the difference is the task's
    models, factor = _apart(level)
    found = []
    for m in range(len(used)):
        known = rest[:, m][~np.isnan(rest[:, m])]
        # Where half of the costs are off, the median is an outer one of the other half.
        known -= np.median(known[np.abs(known) < _OFF / 2])
        off = known[np.abs(known) >= _OFF]
        if len(off) >= max(MIN_OUTCOMES, _MIN_SHARE * len(known)):
            found.append((int(used[m]), len(off), len(known), float(10 ** np.median(off))))
    return OddCosts(used[models], factor, found)


def _apart(level: Floats) -> tuple[Ints, float]:
    """Return the fewer of the models on both sides of the widest gap, and its factor."""
    order = np.argsort(level, kind="stable")
    order = order[~np.isnan(level[order])]
    gaps = np.diff(level[order])
    if not gaps.size or gaps.max() < _OFF:
        return order[:0], 1.0
    at = int(np.argmax(gaps)) + 1
    factor = float(10 ** gaps[at - 1])
    if len(order) - at <= at:
        return np.sort(order[at:]), factor
    return np.sort(order[:at]), 1 / factor


def _median(values: Floats, *, upper: bool = True) -> Floats:
    """Return the median of what is known in each row.

    Args:
        values: float64 (rows, n); NaN is unknown.
        upper: Take the mean of the two in the middle, where there are two, and not the lower: half
            of a model's costs may be off, and the mean would be none of them.
    """
    ranked = np.sort(np.ascontiguousarray(values), axis=1)
    rows, n = np.arange(len(ranked)), np.count_nonzero(~np.isnan(ranked), axis=1)
    low: Floats = ranked[rows, np.maximum(n - 1, 0) // 2]
    return (low + ranked[rows, n // 2]) / 2 if upper else low
