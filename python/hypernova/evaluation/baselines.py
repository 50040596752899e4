"""Baselines of a router: random choice, mixes of two models, and oracles.

Not here: the best single model (training names it), or routers that learned from shuffled
prompts (see ``protocol``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from hypernova.evaluation.missing_cells import MissingCells
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable


@dataclass(frozen=True)
class StrategyOutcomes:
    """Scores and costs of the models that a strategy chose.

    Attributes:
        score: float64 (repeats, tasks), one row if all repeats are equal; NaN where the
            chosen model has no outcome, unless that is estimated.
        cost: USD, the same shape; NaN where unknown.
        measured: ``score`` without estimates; None if there are none.
        missing: What is estimated in ``score``; None if nothing is.
        estimated_usd: (kinds, models) sum over the tasks of the estimates in ``cost``; None if
            there are none.
    """

    score: Floats
    cost: Floats
    measured: Floats | None = None
    missing: MissingCells | None = None
    estimated_usd: Floats | None = None

    @property
    def known_score(self) -> Floats:
        """Scores without estimates, NaN where the chosen model has no outcome."""
        return self.score if self.measured is None else self.measured


@dataclass(frozen=True)
class Mix:
    """A random mix of two models, which may be the same one.

    Attributes:
        cheap: Index of the cheaper model.
        dear: Index of the dearer model.
        share: Share of the tasks that ``dear`` gets, 0 to 1.
    """

    cheap: int
    dear: int
    share: float


def chosen_outcomes(table: OutcomeTable, chosen: Ints) -> StrategyOutcomes:
    """Look up the outcomes of the chosen models, (repeats, tasks); -1 is no model."""
    tasks = np.arange(table.n_tasks)
    none = chosen < 0
    return StrategyOutcomes(
        np.where(none, np.nan, table.score[tasks, chosen]),
        np.where(none, np.nan, table.cost_usd[tasks, chosen]),
    )


def random_choice(table: OutcomeTable) -> StrategyOutcomes:
    """Compute the expectation of a model drawn evenly from those with an outcome."""
    return StrategyOutcomes(mean_known(table.score, 1)[None], mean_known(table.cost_usd, 1)[None])


def oracle(table: OutcomeTable) -> StrategyOutcomes:
    """Choose the best outcome of each task; of equal ones that of the least known cost."""
    scored = ~np.isnan(table.score)
    best = np.where(scored, table.score, -np.inf).max(axis=1)
    cost = np.where(table.score == best[:, None], table.cost_usd, np.nan)
    least = np.where(np.isnan(cost), np.inf, cost).min(axis=1)
    return StrategyOutcomes(
        np.where(scored.any(axis=1), best, np.nan)[None],
        np.where(np.isinf(least), np.nan, least)[None],
    )


def best_of_groups(table: OutcomeTable, groups: Ints, filled: OutcomeTable | None = None) -> Ints:
    """Choose the best model of each group, in hindsight: (1, tasks).

    Models with less than half as many outcomes in the group as the most tried one take no
    part: a few lucky outcomes are no rate.

    Args:
        table: Outcomes.
        groups: (tasks,) group numbers; tasks without a group share -1, and a best model.
        filled: The table with estimates for missing scores, by which models are compared.
    """
    compared = (filled or table).score
    chosen = np.zeros(table.n_tasks, dtype=np.int64)
    for group in np.unique(groups):
        members = groups == group
        n = (~np.isnan(table.score[members])).sum(axis=0)
        rate = np.where(2 * n >= max(n.max(), 1), mean_known(compared[members]), -np.inf)
        chosen[members] = int(np.argmax(rate))
    return chosen[None]


def well_tried(table: OutcomeTable) -> Floats:
    """Find the models with at least half as many outcomes as the most tried one, bool (m,)."""
    n = (~np.isnan(table.score)).sum(axis=0)
    tried: Floats = (2 * n >= n.max()) & (n > 0)
    return tried


def upper_hull(cost: Floats, accuracy: Floats) -> list[int]:
    """Find the models whose random mixes reach the best accuracy for each cost.

    Args:
        cost: (m,) mean cost of each model, NaN where unknown.
        accuracy: (m,) mean score, NaN where the model is no candidate.

    Returns:
        Indices by rising cost and rising accuracy; empty if no model has both.
    """
    known = [m for m in range(len(cost)) if not np.isnan(cost[m] + accuracy[m])]
    hull: list[int] = []
    for m in sorted(known, key=lambda m: (cost[m], -accuracy[m], m)):
        if hull and accuracy[m] <= accuracy[hull[-1]]:
            continue
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            rise_to_b = (accuracy[b] - accuracy[a]) * (cost[m] - cost[a])
            rise_to_m = (accuracy[m] - accuracy[a]) * (cost[b] - cost[a])
            if rise_to_b > rise_to_m:
                break
            hull.pop()
        hull.append(m)
    return hull


@dataclass(frozen=True)
class Hull:
    """Single models whose random mixes reach the best accuracy for each cost.

    Attributes:
        models: Indices, by rising cost and accuracy.
        cost: Mean cost of each, USD.
    """

    models: tuple[int, ...]
    cost: tuple[float, ...]

    @classmethod
    def of(cls, train: OutcomeTable, filled: OutcomeTable | None = None) -> Hull | None:
        """Find the models by the outcomes of a training part; None where costs are unknown.

        Args:
            train: The training part.
            filled: The same with estimates for what is missing, by which models are compared.
        """
        compared = filled or train
        accuracy = np.where(well_tried(train), mean_known(compared.score), np.nan)
        cost = mean_known(compared.cost_usd)
        hull = upper_hull(cost, accuracy)
        return cls(tuple(hull), tuple(cost[hull].tolist())) if hull else None

    def mix(self, cost: float) -> Mix | None:
        """Return the mix of two models of this cost, USD; None if that is unknown.

        A cost above that of the most accurate model is matched with that model, one below the
        cheapest with the cheapest.
        """
        if np.isnan(cost):
            return None
        place = int(np.searchsorted(self.cost, cost))
        if place in (0, len(self.cost)):
            only = self.models[min(place, len(self.cost) - 1)]
            return Mix(only, only, 1.0)
        low, high = self.cost[place - 1], self.cost[place]
        return Mix(self.models[place - 1], self.models[place], float((cost - low) / (high - low)))


def mix_outcomes(table: OutcomeTable, cheap: Ints, dear: Ints, share: Floats) -> StrategyOutcomes:
    """Compute the expectation of a mix, without drawing.

    Args:
        table: Outcomes.
        cheap: (repeats, tasks), -1 where there is no mix.
        dear: The same shape.
        share: Share of ``dear``; the same shape.
    """
    low, high = chosen_outcomes(table, cheap), chosen_outcomes(table, dear)
    # A model that is never drawn need not have an outcome.
    score = np.where(share == 1, high.score, (1 - share) * low.score + share * high.score)
    cost = np.where(share == 1, high.cost, (1 - share) * low.cost + share * high.cost)
    return StrategyOutcomes(score, cost)
