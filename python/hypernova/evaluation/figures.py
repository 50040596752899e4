"""Compute figures with intervals from the outcomes of each strategy.

Not here: decisions (see ``protocol``), or sentences about figures (see ``verdict``).
Figures are in full precision here; what is unknown is None, never zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.evaluation.estimate_errors import draw_errors
from hypernova.evaluation.figure_fields import CostChange, Estimated, Figure, Gain
from hypernova.evaluation.intervals import draw_means, interval, widened
from hypernova.evaluation.missing_cells import MissingCells
from hypernova.evaluation.report_fields import Complementarity, GroupFigures, Rescuer
from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from hypernova.evaluation.baselines import StrategyOutcomes
    from hypernova.evaluation.estimated_table import EstimatedTable
    from hypernova.numeric import Floats, Ints
    from hypernova.report_values import Interval

SOLVED = 0.5


class PairedFigures:
    """Figures of strategies on the same tasks, and gains paired by task.

    Add all strategies and pairs, then call `draw` once, then read the figures.

    Args:
        prompts: (tasks,) the same number for tasks with the same prompt, from 0.
        groups: (tasks,) group numbers, -1 where a task has none.
        group_names: Names by group number.
        seed: Seed of the bootstrap.
        table: The table, which gives the errors of estimates; None if no strategy has any.
    """

    def __init__(
        self,
        prompts: Ints,
        groups: Ints,
        group_names: list[str],
        seed: int,
        table: EstimatedTable | None = None,
    ) -> None:
        self._prompts, self._groups, self._seed = prompts, groups, seed
        self._group_names, self._table = group_names, table
        self._rows: dict[tuple[str, ...], Floats] = {}
        self._outcomes: dict[str, StrategyOutcomes] = {}
        self._test_to_train: dict[tuple[str, str], float] = {}
        self._drawn: dict[tuple[str, ...], Floats] = {}

    def add(self, name: str, outcomes: StrategyOutcomes, *, alone: bool = True) -> None:
        """Add the outcomes of a strategy under a name.

        Args:
            name: Of the strategy.
            outcomes: Of the models that it chose.
            alone: Whether its own figure is wanted, and not only gains over it.
        """
        self._outcomes[name] = outcomes
        if alone:
            self._rows["score", name] = outcomes.score

    def __contains__(self, name: object) -> bool:
        return name in self._outcomes

    def pair(self, name: str, base: str, test_to_train: float) -> None:
        """Ask for the gain of one strategy over another; both were added before.

        Args:
            name: The strategy that gains.
            base: The strategy that it is compared with.
            test_to_train: As in `widened`.
        """
        self._test_to_train[name, base] = test_to_train
        ours, theirs = self._outcomes[name], self._outcomes[base]
        saved = ours.cost - theirs.cost
        self._rows["gain", name, base] = ours.score - theirs.score
        if len(self.missing(name, base)):
            self._rows["measured", name, base] = ours.known_score - theirs.known_score
        if not np.isnan(saved).all():
            self._rows["saved", name, base] = saved
            self._rows["spent", name, base] = np.where(np.isnan(saved), np.nan, theirs.cost)

    def draw(self) -> None:
        """Run the bootstrap over all that was added, in one pass, and draw errors of estimates."""
        self._drawn = draw_means(self._rows, self._prompts, seed=self._seed)
        if self._table is None:
            return
        missing, usd = {}, {}
        for key, rows in self._rows.items():
            kind, name, *rest = key
            n = int((~np.isnan(rows)).any(axis=0).sum())
            if kind in ("score", "gain"):
                missing[key] = self.missing(name, *rest), n
            elif kind in ("saved", "spent"):
                ours, theirs = (self._outcomes[each].estimated_usd for each in (name, *rest))
                if ours is not None and theirs is not None:
                    usd[key] = (ours - theirs if kind == "saved" else theirs) / max(n, 1)
        errors = draw_errors(self._table, missing, usd, seed=self._seed)
        for key, drawn in errors.items():
            self._drawn[key] = self._drawn[key] + drawn

    def figure(self, name: str) -> Figure:
        """Compute accuracy with its interval, cost, mean over groups, and tasks scored."""
        tasks = mean_known(self._outcomes[name].score)
        measured = mean_known(self._outcomes[name].known_score)
        return Figure(
            accuracy=_known(mean_known(tasks)),
            ci95=interval(self._drawn["score", name]),
            cost_usd=_known(mean_known(mean_known(self._outcomes[name].cost))),
            macro=self._macro(tasks),
            n=int((~np.isnan(measured)).sum()),
            estimated=self._estimated(tasks, mean_known(measured), None, name),
        )

    def unscored(self, name: str) -> float:
        """Compute the share of decisions whose model has no outcome for the task."""
        return float(np.isnan(self._outcomes[name].known_score).mean())

    def gain(self, name: str, base: str) -> Gain:
        """Compute the gain over ``base``, over all tasks."""
        tasks = self.gains(name, base)
        mean = float(mean_known(tasks))
        drawn = interval(self._drawn["gain", name, base])
        overlap = self._test_to_train[name, base]
        ours, theirs = self._outcomes[name], self._outcomes[base]
        measured, ends = mean_known(ours.known_score - theirs.known_score), None
        if ("measured", name, base) in self._rows:
            of_measured = interval(self._drawn["measured", name, base])
            ends = widened(of_measured, float(mean_known(measured)), overlap)
        return Gain(
            mean=_known(mean),
            ci95=widened(drawn, mean, overlap),
            macro=self._macro(tasks),
            tasks=int((~np.isnan(measured)).sum()),
            cost_change=self._cost_change(name, base),
            estimated=self._estimated(tasks, mean_known(measured), ends, name, base),
        )

    def recovered(
        self, name: str, low: str, high: str, test_to_train: float
    ) -> tuple[float, Interval | None] | None:
        """Compute the share of the gap between two strategies that another one recovers.

        Args:
            name: The other one; all three were added, with outcomes for the same tasks.
            low: The strategy at 0.
            high: The strategy at 1.
            test_to_train: As in `widened`.

        Returns:
            The share and its interval; None unless the gap is proven to be above 0.
        """
        ours, start, end = (
            float(mean_known(mean_known(self._outcomes[key].score))) for key in (name, low, high)
        )
        drawn, starts, ends = (self._drawn["score", key] for key in (name, low, high))
        proven = widened(interval(ends - starts), end - start, test_to_train)
        if proven is None or proven.low <= 0:
            return None
        share = (ours - start) / (end - start)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = (drawn - starts) / (ends - starts)
        return share, widened(interval(shares[np.isfinite(shares)]), share, test_to_train)

    def by_group(self, name: str, base: str) -> list[GroupFigures]:
        """Compute the accuracies and the gain of each named group."""
        ours, theirs = (mean_known(self._outcomes[key].score) for key in (name, base))
        gains = self.gains(name, base)
        cells = self.missing(name, base)
        members = [self._groups == number for number in range(len(self._group_names))]
        return [
            GroupFigures(
                group=group,
                tasks=int(of_group.sum()),
                accuracy=_known(mean_known(ours[of_group])),
                best_single=_known(mean_known(theirs[of_group])),
                gain=_known(mean_known(gains[of_group])),
                estimated=cells.within(of_group).decisions() / max(int(of_group.sum()), 1),
            )
            for group, of_group in zip(self._group_names, members, strict=True)
        ]

    def missing(self, name: str, base: str | None = None) -> MissingCells:
        """Return the missing outcomes of a strategy, less those of another one."""
        parts = ((self._outcomes[key].missing, sign) for key, sign in ((name, 1.0), (base, -1.0))
                 if key is not None)  # fmt: skip
        found = [(cells, sign) for cells, sign in parts if cells is not None]
        none = np.zeros(0, dtype=np.int64)
        return MissingCells.summed([*found, (MissingCells(none, none, np.zeros(0)), 1.0)])

    def _estimated(
        self, tasks: Floats, measured: Floats, ci95: Interval | None, *names: str
    ) -> Estimated | None:
        """Compute what of a mean is estimated, and the bounds of it.

        Args:
            tasks: Values of the tasks, (tasks,), NaN for those that take no part.
            measured: Mean of the measured ones.
            ci95: Its interval.
            names: A strategy, and the one that it is compared with.
        """
        cells = self.missing(*names)
        if not len(cells) or self._table is None:
            return None
        n, mean = int((~np.isnan(tasks)).sum()), float(mean_known(tasks))
        estimate = self._table.filled.score[cells.tasks, cells.models]
        up, down = np.maximum(cells.weights, 0.0), np.maximum(-cells.weights, 0.0)
        return Estimated(
            share=cells.decisions() / n,
            low=mean - float(up @ estimate + down @ (1 - estimate)) / n,
            high=mean + float(up @ (1 - estimate) + down @ estimate) / n,
            measured=_known(measured),
            ci95=ci95,
        )

    def gains(self, name: str, base: str) -> Floats:
        """Gain of each task, (tasks,): its mean over the repeats."""
        return mean_known(self._rows["gain", name, base])

    def _macro(self, tasks: Floats) -> float | None:
        if not self._group_names:
            return None
        means = [mean_known(tasks[self._groups == g]) for g in range(len(self._group_names))]
        return _known(mean_known(np.array(means)))

    def _cost_change(self, name: str, base: str) -> CostChange | None:
        saved, spent = ("saved", name, base), ("spent", name, base)
        if saved not in self._rows:
            return None
        mean_spent = mean_known(mean_known(self._rows[spent]))
        if not mean_spent > 0:  # unknown, or nothing was spent
            return None
        mean = float(mean_known(mean_known(self._rows[saved])) / mean_spent)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = self._drawn[saved] / self._drawn[spent]
        ends = interval(drawn[np.isfinite(drawn)])
        return CostChange(mean=mean, ci95=widened(ends, mean, self._test_to_train[name, base]))


def complementarity(score: Floats, models: tuple[str, ...], best: int) -> Complementarity:
    """Count the tasks that one model fails, and which other models solve them.

    Args:
        score: (tasks, models); a task is solved by a score of at least 0.5.
        models: Names.
        best: Index of the model whose failures are counted.
    """
    failed = score[:, best] < SOLVED  # False without an outcome
    solved = score[failed] >= SOLVED
    times = solved.sum(axis=0)
    order = sorted(np.flatnonzero(times).tolist(), key=lambda m: (-int(times[m]), m))
    return Complementarity(
        model=models[best],
        failed=int(failed.sum()),
        solved_by_another=int(solved.any(axis=1).sum()),
        rescuers=tuple(Rescuer(model=models[m], solves=int(times[m])) for m in order),
    )


def _known(value: float | Floats) -> float | None:
    return None if np.isnan(value) else float(value)
