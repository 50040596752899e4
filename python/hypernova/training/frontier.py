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
# enough to see the frontier; where many prompts are alike to a router, cost still jumps by a
# third of the best single model's from one to the next.
LOW, HIGH, STEPS = 0.02, 4.0, 29


def worths(finer: int = 1) -> list[float]:
    """List the candidates, rising from 0, with so many steps for each one between two."""
    return [0.0, *np.geomspace(LOW, HIGH, finer * STEPS + 1).tolist()]


def cost_weights(table: OutcomeTable, finer: int = 1) -> list[float]:
    """List the cost weights to try, rising from 0, in success per USD.

    They scale with the cost of the model with the best mean score, among models tried at
    least half as often as the most tried one. Empty where no cost is known.

    Args:
        table: Outcomes.
        finer: As for `worths`.
    """
    n = (~np.isnan(table.score)).sum(axis=0)
    cost = mean_known(table.cost_usd)
    known = (cost > 0) & (2 * n >= n.max())
    if not known.any():
        return []
    best = int(np.argmax(np.where(known, mean_known(table.score), -np.inf)))
    return [worth / float(cost[best]) for worth in worths(finer)]


def call_weights() -> list[float]:
    """List the weights to try where no cost is known, rising from 0, in success per call.

    One model, the best single one, then has the price 1 and every other model 0, so the share of
    calls to it takes the place of cost.
    """
    return worths()
