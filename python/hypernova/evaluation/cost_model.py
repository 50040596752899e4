"""Estimate the unknown costs of models from those that are known.

Not here: missing scores (see ``outcome_model``).

A cost is ``model * task * ratio[kind, model]``: a long task is dear with every model. Ratios lean
on 1 where few costs are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from hypernova.numeric import Floats, Ints

    Known: TypeAlias = npt.NDArray[np.bool_]

STEPS = 20
# Number of tasks of usual cost with which a ratio leans on 1.
LEANING = 10.0


@dataclass(frozen=True)
class CostModel:
    """A model of the costs, fitted to the known ones.

    Attributes:
        kinds: (tasks,) the kind of each task, from 0.
        known: (tasks, models) whether the cost is known.
        filled: (tasks, models) USD, with estimates where it is not; NaN for models without any
            known cost.
        deviation: (kinds, models) standard deviation of the estimates' error, relative to them.
    """

    kinds: Ints
    known: Known
    filled: Floats
    deviation: Floats

    @classmethod
    def fit(cls, cost: Floats, kinds: Ints) -> CostModel:
        """Fit the model.

        Args:
            cost: USD (tasks, models), NaN where unknown; some cost is known.
            kinds: (tasks,) numbers from 0, all of which occur.
        """
        known = ~np.isnan(cost)
        paid = np.where(known, cost, 0.0)
        n_kinds, n_models = int(kinds.max()) + 1, cost.shape[1]
        members = np.bincount(kinds, minlength=n_kinds)
        of_task: Floats = np.ones(len(cost))
        of_model: Floats = np.zeros(n_models)
        for _ in range(STEPS):
            of_model = _ratio(paid.sum(axis=0), of_task @ known)
            usual = float(of_model[known.any(axis=0)].mean())
            of_kind = (np.bincount(kinds, of_task, minlength=n_kinds) / members)[kinds]
            # A task of which little is known costs what its kind does.
            of_task = _ratio(paid.sum(axis=1) + usual * of_kind, known @ of_model + usual)
        fitted = of_task[:, None] * of_model
        totals = np.zeros((3, n_kinds, n_models))
        for kind in range(n_kinds):
            of_this = kinds == kind
            there = known[of_this]
            totals[0, kind] = paid[of_this].sum(axis=0)
            totals[1, kind] = (fitted[of_this] * there).sum(axis=0)
            totals[2, kind] = there.sum(axis=0)
        lean = LEANING * of_model * np.bincount(kinds, of_task, minlength=n_kinds)[:, None]
        lean /= members[:, None]
        ratio = np.where(lean > 0, (totals[0] + lean) / np.where(lean > 0, totals[1] + lean, 1), 1)
        tried = totals[2] >= LEANING
        variance = float(np.mean((ratio[tried] - 1) ** 2)) if tried.any() and n_kinds > 1 else 0.0
        kinds_tried = np.maximum(tried.sum(axis=0), 1)
        unsure = LEANING / (totals[2] + LEANING) + 1 / kinds_tried
        estimate = np.where(known.any(axis=0), fitted * ratio[kinds], np.nan)
        return cls(
            kinds=kinds,
            known=known,
            filled=np.where(known, cost, estimate),
            deviation=np.sqrt(variance * unsure),
        )


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
