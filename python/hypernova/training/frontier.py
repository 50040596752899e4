"""The weights under which a router is judged: its frontier of success and cost, or of calls.

Not here: which weight meets a target (see ``cost_weight``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from hypernova.table import OutcomeTable

# Candidates, as the success that a weight gives up to save the whole cost of the best single
# model: from a fiftieth, which hardly counts, to four, which leaves the cheapest model. Dense
# enough that accuracy and cost do not jump where one model takes over from another.
WORTHS = (0.0, *np.geomspace(0.02, 4.0, 30).tolist())


def cost_weights(table: OutcomeTable) -> list[float]:
    """List the cost weights to try, rising from 0, in success per USD.

    They scale with the cost of the model with the best mean score, among models tried at
    least half as often as the most tried one. Empty where no cost is known.
    """
    n = (~np.isnan(table.score)).sum(axis=0)
    cost = mean_known(table.cost_usd)
    known = (cost > 0) & (2 * n >= n.max())
    if not known.any():
        return []
    best = int(np.argmax(np.where(known, mean_known(table.score), -np.inf)))
    return [worth / float(cost[best]) for worth in WORTHS]


def call_weights() -> list[float]:
    """List the weights to try where no cost is known, rising from 0, in success per call.

    One model, the best single one, then has the price 1 and every other model 0, so the share of
    calls to it takes the place of cost.
    """
    return list(WORTHS)
