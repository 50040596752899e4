"""From what each way of choosing achieved to figures with intervals.

Not here: the decisions (see ``folds``), or words about the figures (see ``verdict``).
Everything here is JSON-able, in full precision; what is unknown is NaN or None, never
zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.evaluation.intervals import draw_means, interval, widened
from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from hypernova.evaluation.baselines import Values
    from hypernova.numeric import Floats, Ints

SOLVED = 0.5


class Figures:
    """Named values over the same tasks, paired by task.

    Args:
        prompts: (tasks,) the same number for tasks with the same prompt, from 0.
        groups: (tasks,) group numbers, -1 where a task has none.
        names: Of the groups.
        seed: Of the bootstrap.
    """

    def __init__(self, prompts: Ints, groups: Ints, names: list[str], seed: int) -> None:
        self._prompts, self._groups, self._names, self._seed = prompts, groups, names, seed
        self._rows: dict[tuple[str, ...], Floats] = {}
        self._values: dict[str, Values] = {}
        self._test_to_train: dict[tuple[str, str], float] = {}
        self._drawn: dict[tuple[str, ...], Floats] = {}

    def add(self, name: str, values: Values) -> None:
        """Name what a way of choosing achieved, (repeats or 1, tasks)."""
        self._values[name] = values
        self._rows["score", name] = values.score

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def pair(self, name: str, base: str, test_to_train: float) -> None:
        """Ask for the gain of one over another, both added before.

        Args:
            name: What gains.
            base: Over what.
            test_to_train: As in `widened`.
        """
        self._test_to_train[name, base] = test_to_train
        ours, theirs = self._values[name], self._values[base]
        gain = ours.score - theirs.score
        both = ours.cost - theirs.cost
        self._rows["gain", name, base] = gain
        self._rows["saved", name, base] = both
        self._rows["spent", name, base] = np.where(np.isnan(both), np.nan, theirs.cost)

    def draw(self) -> None:
        """Run the bootstrap over all that was added, in one pass."""
        self._drawn = draw_means(self._rows, self._prompts, seed=self._seed)

    def figure(self, name: str) -> dict[str, Any]:
        """Accuracy with its interval, cost, mean over groups, and tasks scored."""
        tasks = mean_known(self._values[name].score)
        return {
            "accuracy": mean_known(tasks),
            "ci95": interval(self._drawn["score", name]),
            "cost_usd": mean_known(mean_known(self._values[name].cost)),
            "macro": self._macro(tasks),
            "n": int((~np.isnan(tasks)).sum()),
        }

    def unscored(self, name: str) -> float:
        """Share of decisions whose model has no outcome for the task."""
        return float(np.isnan(self._values[name].score).mean())

    def gain(self, name: str, base: str) -> dict[str, Any]:
        """Gain over ``base``, over the tasks that both have an outcome for."""
        tasks = self.gains(name, base)
        mean = float(mean_known(tasks))
        drawn = interval(self._drawn["gain", name, base])
        return {
            "mean": mean,
            "ci95": widened(drawn, mean, self._test_to_train[name, base]),
            "macro": self._macro(tasks),
            "tasks": int((~np.isnan(tasks)).sum()),
            "cost_change": self._cost_change(name, base),
        }

    def gains(self, name: str, base: str) -> Floats:
        """Gain of each task, (tasks,): its mean over the repeats."""
        return mean_known(self._rows["gain", name, base])

    def by_group(self, name: str, base: str, novel: Floats | None = None) -> list[dict[str, Any]]:
        """Figures of each named group; ``novel`` (tasks,) is averaged as well if given."""
        ours, theirs = (mean_known(self._values[key].score) for key in (name, base))
        gains = self.gains(name, base)
        rows: list[dict[str, Any]] = []
        for number, group in enumerate(self._names):
            members = self._groups == number
            row = {
                "group": group,
                "tasks": int(members.sum()),
                "accuracy": mean_known(ours[members]),
                "best_single": mean_known(theirs[members]),
                "gain": mean_known(gains[members]),
            }
            if novel is not None:
                row["novel"] = mean_known(novel[members])
            rows.append(row)
        return rows

    def _macro(self, tasks: Floats) -> Floats | None:
        if not self._names:
            return None
        means = [mean_known(tasks[self._groups == g]) for g in range(len(self._names))]
        return mean_known(np.array(means))

    def _cost_change(self, name: str, base: str) -> dict[str, Any] | None:
        saved, spent = ("saved", name, base), ("spent", name, base)
        mean_spent = mean_known(mean_known(self._rows[spent]))
        if not mean_spent > 0:  # unknown, or nothing was spent
            return None
        mean = float(mean_known(mean_known(self._rows[saved])) / mean_spent)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = self._drawn[saved] / self._drawn[spent]
        ends = interval(drawn[np.isfinite(drawn)])
        return {"mean": mean, "ci95": widened(ends, mean, self._test_to_train[name, base])}


def complementarity(score: Floats, models: tuple[str, ...], best: int) -> dict[str, Any]:
    """Which models solve what one model fails.

    Args:
        score: (tasks, models); a task is solved by a score of at least 0.5.
        models: Names.
        best: Index of the model that is looked at.
    """
    failed = score[:, best] < SOLVED  # False without an outcome
    solved = score[failed] >= SOLVED
    times = solved.sum(axis=0)
    order = sorted(np.flatnonzero(times).tolist(), key=lambda m: (-int(times[m]), m))
    return {
        "model": models[best],
        "failed": int(failed.sum()),
        "solved_by_another": int(solved.any(axis=1).sum()),
        "rescuers": [{"model": models[m], "solves": int(times[m])} for m in order],
    }


def rounded(value: Any) -> Any:
    """Make a value JSON-able: floats with 6 digits, None for NaN."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    if isinstance(value, np.generic | np.ndarray):
        return rounded(value.tolist())
    if isinstance(value, float):
        return round(value, 6) + 0.0 if np.isfinite(value) else None
    return value
