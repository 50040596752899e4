"""An outcome table in which missing scores and costs are estimated, and strategies on it.

Not here: the models that estimate (see ``outcome_model`` and ``cost_model``), or figures (see
``figures``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.evaluation import baselines
from hypernova.evaluation.baselines import StrategyOutcomes, chosen_outcomes
from hypernova.evaluation.cost_model import CostModel
from hypernova.evaluation.missing_cells import MissingCells
from hypernova.evaluation.outcome_model import OutcomeModel
from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

# A kind with fewer tasks is one with all others that are as small.
MIN_TASKS_OF_KIND = 20
MAX_KINDS = 64


def kinds_of(table: OutcomeTable, clusters: Ints) -> Ints:
    """Number the kinds of tasks: the named groups, if there are two.

    Without them, tasks that the same models were run on are a kind, if they are enough: where
    models were run on some benchmarks and not on others, that tells the benchmarks apart. The
    other tasks have the kind of their cluster.

    Args:
        table: Outcomes.
        clusters: (tasks,) the nearest cluster of each task.

    Returns:
        (tasks,) numbers from 0, all of which occur; small kinds are one.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(table.groups))}
    if len(numbers) - (None in numbers) > 1:
        kinds = np.array([numbers[name] for name in table.groups])
    else:
        known = ~np.isnan(table.score)
        _, alike, n = np.unique(known, axis=0, return_inverse=True, return_counts=True)
        alike = alike.ravel()
        kinds = np.where(n[alike] >= MIN_TASKS_OF_KIND, alike, len(n) + clusters)
    found, place, n = np.unique(kinds, return_inverse=True, return_counts=True)
    largest = np.argsort(-n, kind="stable")[:MAX_KINDS]
    kept = np.zeros(len(found), dtype=bool)
    kept[largest] = n[largest] >= MIN_TASKS_OF_KIND
    renumbered = np.where(kept, np.cumsum(kept) - 1, kept.sum())
    return np.asarray(renumbered[place], dtype=np.int64)


@dataclass(frozen=True)
class EstimatedTable:
    """A table and its estimates.

    Attributes:
        known: The table.
        filled: The same with estimates for what is missing; the same object if nothing is. Costs
            of a model without any known cost stay unknown.
        scores: Model of the scores; None if no score is missing.
        costs: Model of the costs; None if none can be estimated.
    """

    known: OutcomeTable
    filled: OutcomeTable
    scores: OutcomeModel | None
    costs: CostModel | None

    @classmethod
    def of(cls, table: OutcomeTable, kinds: Ints) -> EstimatedTable:
        """Estimate what is missing.

        Args:
            table: Outcomes; each task has one.
            kinds: As `kinds_of` gives them.
        """
        lacks_score, lacks_cost = _lacks(table)
        if not lacks_score and not lacks_cost:
            return cls(table, table, None, None)
        scores = OutcomeModel.fit(table.score, kinds) if lacks_score else None
        costs = CostModel.fit(table.cost_usd, kinds) if lacks_cost else None
        filled = replace(
            table,
            score=table.score if scores is None else scores.filled.astype(np.float64),
            cost_usd=table.cost_usd if costs is None else costs.filled.astype(np.float64),
        )
        return cls(table, filled, scores, costs)

    @classmethod
    def by_kind(cls, table: OutcomeTable, find_clusters: Callable[[], Ints]) -> EstimatedTable:
        """Find the kinds of tasks, and estimate what is missing.

        Args:
            table: Outcomes; each task has one.
            find_clusters: Gives the nearest cluster of each task, (tasks,); asked if needed.
        """
        if not any(_lacks(table)):
            return cls(table, table, None, None)
        return cls.of(table, kinds_of(table, find_clusters()))

    def chosen(self, models: Ints) -> StrategyOutcomes:
        """Look up the outcomes of the chosen models, (repeats, tasks); -1 is no model."""
        return self._of(
            chosen_outcomes(self.filled, models),
            chosen_outcomes(self.known, models).score,
            [(models, np.ones(models.shape))],
        )

    def mixed(self, cheap: Ints, dear: Ints, share: Floats) -> StrategyOutcomes:
        """Compute the expectation of a mix, as `baselines.mix_outcomes`."""
        return self._of(
            baselines.mix_outcomes(self.filled, cheap, dear, share),
            baselines.mix_outcomes(self.known, cheap, dear, share).score,
            [(cheap, 1 - share), (dear, share)],
        )

    def random_choice(self) -> StrategyOutcomes:
        """Compute the expectation of a model drawn evenly."""
        shape = self.known.score.shape
        models = np.broadcast_to(np.arange(shape[1]), shape).T
        found = baselines.random_choice(self.filled)
        measured = baselines.random_choice(self.known).score
        return self._of(found, measured, [(models, np.ones(models.shape))])

    def _of(
        self, found: StrategyOutcomes, measured: Floats, parts: Sequence[tuple[Ints, Floats]]
    ) -> StrategyOutcomes:
        """Add what is estimated to a strategy's outcomes.

        Args:
            found: Outcomes of the filled table.
            measured: Scores of the table itself.
            parts: Models that the strategy chose, (repeats, tasks), and with which probability.
        """
        if self.filled is self.known:
            return found
        rows = len(parts[0][0])
        tasks = np.arange(self.known.n_tasks)
        cells, dollars = [], None
        if self.costs is not None:
            dollars = np.zeros_like(self.costs.deviation)
        for models, probability in parts:
            weights = np.where(models < 0, 0.0, probability) / rows
            if self.scores is not None:
                there = ~self.scores.known[tasks, models] & (weights > 0)
                repeat, task = np.nonzero(there)
                cells.append(MissingCells.of(task, models[repeat, task], weights[repeat, task]))
            if self.costs is not None and dollars is not None:
                usd = np.nan_to_num(self.costs.filled[tasks, models] * weights)
                usd[self.costs.known[tasks, models]] = 0.0
                kinds = np.broadcast_to(self.costs.kinds, models.shape)
                np.add.at(dollars, (kinds, models), usd)
        return replace(
            found,
            measured=measured,
            missing=MissingCells.summed((each, 1.0) for each in cells) if cells else None,
            estimated_usd=dollars,
        )


def _lacks(table: OutcomeTable) -> tuple[bool, bool]:
    """Say whether scores are missing, and costs of models that have some."""
    unknown = np.isnan(table.cost_usd)
    priced = ~unknown.all(axis=0)
    return bool(np.isnan(table.score).any()), bool(unknown[:, priced].any())


def averaged(strategies: Sequence[StrategyOutcomes]) -> StrategyOutcomes:
    """Average several strategies, task by task, over those that have an outcome."""
    found = StrategyOutcomes(
        mean_known(np.stack([each.score for each in strategies])),
        mean_known(np.stack([each.cost for each in strategies])),
    )
    if all(each.measured is None for each in strategies):
        return found
    share = 1 / len(strategies)
    missing = [(each.missing, share) for each in strategies if each.missing is not None]
    usd = [each.estimated_usd for each in strategies if each.estimated_usd is not None]
    return replace(
        found,
        measured=mean_known(np.stack([each.known_score for each in strategies])),
        missing=MissingCells.summed(missing) if missing else None,
        estimated_usd=share * np.sum(usd, axis=0) if usd else None,
    )
