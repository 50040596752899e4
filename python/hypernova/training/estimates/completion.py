"""Estimate what the outcomes would sum up to if every model had been tried on every task.

Not here: the sums (see ``outcome_sums``), or the estimates made of the completed ones (see
``profile``).

Where outcomes are missing by kind, a plain mean compares one model's easy tasks with another's
hard ones. So holes are filled with the estimates of a linear mixed model (Henderson 1975; Searle,
Casella and McCulloch 1992): a score is ``model + cell + model in cell + task + noise``. Known
outcomes count as they are, and a model without holes keeps its sums to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.outcome_sums import SCORE_BITS, rounded

if TYPE_CHECKING:
    from hypernova.numeric import Floats
    from hypernova.training.estimates.sums import Sums

# Prior precision of a model's effect, in outcomes: it leans on the mean of all models.
MODEL_WEIGHT = 20.0
# Prior precisions that the effect of a model in a cell may have, in outcomes, and the one that
# they lean on, with a standard deviation of its logarithm of 1.
CELL_WEIGHTS = tuple(1.25 * 2.0**i for i in range(10))
USUAL_CELL_WEIGHT = 20.0
# The largest variance of a score in 0..1, and how many outcomes it counts for.
_MAX_VARIANCE, _MAX_VARIANCE_WEIGHT = 0.25, 20.0


@dataclass(frozen=True)
class Completion:
    """Sums of a table whose holes are filled with estimates.

    Attributes:
        tasks: Number of tasks with an outcome, float64 (k + 1, 1); the last row is the whole.
        score: Sums of scores over those tasks, known or estimated, float64 (k + 1, m).
        missing: Share of those tasks on which a model was not tried, float64 (k + 1, m).
        covariance: Of the errors that holes add to the models' mean scores, float64 (m, m).
        cell_error: Standard error that holes add to a model's mean score in a cell, float64 (k, m).
        cell_weight: Prior precision of the effects of models in cells, in outcomes; None without
            holes.
    """

    tasks: Floats
    score: Floats
    missing: Floats
    covariance: Floats
    cell_error: Floats
    cell_weight: float | None = None

    @property
    def error(self) -> Floats:
        """Standard error that holes add to each model's mean score, float64 (m,)."""
        error: Floats = np.sqrt(np.diag(self.covariance))
        return error


def complete(sums: Sums) -> Completion:
    """Fill the holes of a table with estimates.

    Args:
        sums: Sums of `sum_outcomes` over k cells and m models.
    """
    n, tasks = sums["n"], sums["tried"]
    m = n.shape[1]
    missing = np.where(tasks > 0, 1.0 - n / np.maximum(tasks, 1.0), 0.0)
    if (n == tasks).all():
        none = np.zeros((len(n) - 1, m))
        return Completion(tasks, sums["score"], missing, np.zeros((m, m)), none)
    cells = _Cells.of(sums)
    noise = cells.noise()
    fitted = min((cells.fit(weight, noise) for weight in CELL_WEIGHTS), key=lambda f: f.misfit)
    # The tasks' own effects: their sum over a cell, and over the tasks that a model was tried on.
    expected = fitted.expected
    of_tried = cells.shared_score - np.einsum("cij,cj->ci", cells.shared, expected)
    of_all = cells.score.sum(axis=1) - cells.shared_score.sum(axis=1)
    of_all -= ((cells.n - cells.shared.sum(axis=2)) * expected).sum(axis=1)
    holes = tasks[:-1] - cells.n
    filled = np.clip(holes * expected + of_all[:, None] - of_tried, 0.0, holes)
    # Two models with equal outcomes stay equal: a solver's last bits prefer neither.
    filled = rounded(filled, SCORE_BITS)
    score = np.where(holes > 0, cells.score + filled, cells.score)
    whole = np.where(missing[-1] > 0, score.sum(axis=0), sums["score"][-1])
    # Errors of the models' effects, and of those in cells, weighted by the tasks that are missing.
    in_cells = (holes / tasks[-1]) ** 2 * fitted.cell_variance
    covariance = fitted.model_covariance * np.outer(missing[-1], missing[-1])
    covariance[np.diag_indices(m)] += in_cells.sum(axis=0)
    error = np.sqrt(fitted.cell_variance + np.diag(fitted.model_covariance))
    return Completion(
        tasks,
        np.vstack([score, whole]),
        missing,
        rounded(covariance, SCORE_BITS),
        rounded(missing[:-1] * error, SCORE_BITS),
        fitted.cell_weight,
    )


@dataclass(frozen=True)
class _Fitted:
    """The mixed model under one prior.

    Attributes:
        cell_weight: Prior precision of the effects of models in cells, in outcomes.
        misfit: Twice the negative logarithm of the restricted likelihood, and of the prior.
        expected: Score of a model in a cell on a task without an effect of its own, (k, m).
        model_covariance: Of the errors of the models' effects, (m, m).
        cell_variance: Of the errors of their effects in cells, (k, m).
    """

    cell_weight: float
    misfit: float
    expected: Floats
    model_covariance: Floats
    cell_variance: Floats


@dataclass(frozen=True)
class _Cells:
    """The sums of k cells, from which the tasks' effects are integrated out.

    Attributes:
        n: Number of outcomes, (k, m).
        score: Sum of scores, (k, m).
        shared: Over the tasks with outcomes of two models, of one over one more than the number of
            outcomes, (k, m, m).
        shared_score: Over the tasks of a model, of the sum of the outcomes over one more than
            their number, (k, m).
        squares: Sum of squared scores less those that the tasks explain, (k,).
    """

    n: Floats
    score: Floats
    shared: Floats
    shared_score: Floats
    squares: Floats

    @classmethod
    def of(cls, sums: Sums) -> _Cells:
        squares = sums["score2"][:-1].sum(axis=1) - sums["shared_score2"][:-1, 0]
        shared = sums["shared"][:, :-1].transpose(1, 0, 2)
        return cls(sums["n"][:-1], sums["score"][:-1], shared, sums["shared_score"][:-1], squares)

    @property
    def information(self) -> Floats:
        """Normal equations of the models' effects in each cell alone, (k, m, m)."""
        return np.eye(self.n.shape[1]) * self.n[:, None] - self.shared

    @property
    def right(self) -> Floats:
        """Their right sides, (k, m)."""
        return self.score - self.shared_score

    def alone(self) -> Floats:
        """Solve the normal equations of each cell alone; 0 for a model without outcomes, (k, m)."""
        untried = np.eye(self.n.shape[1]) * (self.n == 0)[:, None]
        solved: Floats = np.linalg.solve(self.information + untried, self.right[..., None])[..., 0]
        return solved

    def noise(self) -> float:
        """Estimate the variance of an outcome around its task's and model's effects."""
        left = float(self.squares.sum() - (self.right * self.alone()).sum())
        freedom = float(self.n.sum() - (self.n > 0).sum())
        known = max(left, 0.0) + _MAX_VARIANCE_WEIGHT * _MAX_VARIANCE
        return known / (max(freedom, 0.0) + _MAX_VARIANCE_WEIGHT)

    def fit(self, cell_weight: float, noise: float) -> _Fitted:
        """Fit the mixed model with a prior precision of the effects of models in cells.

        Cells have fixed effects, so levels of difficulty are compared with nothing; models, models
        in cells and tasks have random ones.
        """
        m = self.n.shape[1]
        precise = self.information + cell_weight * np.eye(m)
        inverse = np.linalg.inv(precise)
        # The effects in cells are integrated out, and then those of the cells.
        kept = cell_weight * (np.eye(m) - cell_weight * inverse)
        right = cell_weight * np.einsum("cij,cj->ci", inverse, self.right)
        of_models = kept.sum(axis=2)
        level = np.maximum(of_models.sum(axis=1), 1e-300)
        has = np.asarray(self.n.sum(axis=1) > 0)
        of_models = np.where(has[:, None], of_models, 0.0)
        matrix = kept[has].sum(axis=0) + MODEL_WEIGHT * np.eye(m)
        matrix -= of_models.T @ (of_models / level[:, None])
        left = (right - of_models * (right.sum(axis=1) / level)[:, None])[has].sum(axis=0)
        covariance = np.linalg.inv(matrix)
        models = covariance @ left
        cells = np.where(has, (right.sum(axis=1) - of_models @ models) / level, 0.0)
        effects = models + cells[:, None]
        residual = self.right - np.einsum("cij,cj->ci", self.information, effects)
        in_cells = np.einsum("cij,cj->ci", inverse, residual)
        explained = float((self.alone() * right).sum() - models @ left)
        explained -= float((right.sum(axis=1) ** 2 / level)[has].sum())
        misfit = explained / noise + float(np.linalg.slogdet(matrix)[1])
        misfit += float(np.linalg.slogdet(precise)[1].sum() + np.log(level[has]).sum())
        misfit -= m * len(self.n) * np.log(cell_weight)
        misfit += np.log(cell_weight / USUAL_CELL_WEIGHT) ** 2
        return _Fitted(
            cell_weight,
            misfit,
            effects + in_cells,
            noise * covariance,
            noise * np.diagonal(inverse, axis1=1, axis2=2),
        )
