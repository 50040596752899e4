"""The definition of a completed table: one linear mixed model over all outcomes, in plain NumPy.

Not here: sums. `hypernova.training.estimates.completion` computes the same from sums by cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MODEL_WEIGHT, USUAL, WEIGHTS = 20.0, 20.0, [1.25 * 2.0**i for i in range(10)]


@dataclass(frozen=True)
class Filled:
    """A table without holes.

    Attributes:
        score: (tasks, m).
        tried: Whether a task has an outcome, (tasks,).
        covariance: Of the errors that holes add to the models' means, (m, m).
        cell_error: Of a model's mean in a cell, (k, m).
    """

    score: np.ndarray
    tried: np.ndarray
    covariance: np.ndarray
    cell_error: np.ndarray

    @property
    def error(self) -> np.ndarray:
        return np.sqrt(np.diag(self.covariance))

    def over(self, default: int) -> np.ndarray:
        """Variance that holes add to the gain over a model."""
        own = np.diag(self.covariance)
        return np.maximum(own + own[default] - 2 * self.covariance[default], 0.0)


def fill(score: np.ndarray, cells: np.ndarray, k: int) -> Filled:
    """Fill the holes of scores (tasks, m); a hole of a task without any outcome stays."""
    score, cells = np.asarray(score, float), np.asarray(cells)
    n, m = score.shape
    task, model = np.nonzero(~np.isnan(score))
    y = score[task, model]
    tried = ~np.isnan(score).all(axis=1)
    if len(y) == m * tried.sum():
        return Filled(score, tried, np.zeros((m, m)), np.zeros((k, m)))
    # Columns: cells, models, models in cells. Each task has an effect as uncertain as the noise.
    design = np.zeros((len(y), k + m + k * m))
    rows = np.arange(len(y))
    design[rows, cells[task]] = 1
    design[rows, k + model] = 1
    design[rows, k + m + cells[task] * m + model] = 1
    used = np.unique(cells[task])
    kept = np.concatenate([used, np.arange(k, k + m + k * m)])

    def products(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        by_task, sums = np.zeros((n, columns.shape[1])), np.zeros(n)
        np.add.at(by_task, task, columns)
        np.add.at(sums, task, y)
        over = 1 / (np.bincount(task, minlength=n) + 1)
        matrix = columns.T @ columns - by_task.T @ (by_task * over[:, None])
        return matrix, columns.T @ y - by_task.T @ (sums * over)

    sums = np.bincount(task, y, minlength=n)
    total = (y**2).sum() - (sums**2 / (np.bincount(task, minlength=n) + 1)).sum()
    alone = design[:, k + m :]
    alone = alone[:, alone.any(axis=0)]
    matrix, right = products(alone)
    left = max(total - right @ np.linalg.solve(matrix, right), 0.0)
    noise = (left + 20 * 0.25) / (len(y) - alone.shape[1] + 20)

    best = None
    for weight in WEIGHTS:
        matrix, right = products(design[:, kept])
        prior = [np.zeros(len(used)), np.full(m, MODEL_WEIGHT), np.full(k * m, weight)]
        matrix += np.diag(np.concatenate(prior))
        effects = np.linalg.solve(matrix, right)
        misfit = np.linalg.slogdet(matrix)[1] - k * m * np.log(weight)
        misfit += (total - right @ effects) / noise + np.log(weight / USUAL) ** 2
        if best is None or misfit < best[0] - 1e-9:
            best = misfit, weight, effects, matrix
    _, weight, solved, matrix = best
    effects = np.zeros(k + m + k * m)
    effects[kept] = solved
    expected = effects[:k, None] + effects[k : k + m] + effects[k + m :].reshape(k, m)
    of_task = np.zeros(n)
    np.add.at(of_task, task, y - expected[cells[task], model])
    of_task /= np.bincount(task, minlength=n) + 1
    guess = expected[cells] + of_task[:, None]

    filled = np.where(np.isnan(score), guess, score)
    # What is filled in for a model in a cell lies between none solved and all.
    for c in range(k):
        for j in range(m):
            holes = np.isnan(score[:, j]) & (cells == c) & tried
            if holes.any():
                filled[holes, j] += np.clip(guess[holes, j].mean(), 0, 1) - guess[holes, j].mean()
    filled[~tried] = np.nan

    whole = np.linalg.inv(matrix)
    at = slice(len(used), len(used) + m)
    models = noise * whole[at, at]
    in_cells = noise * np.diag(np.linalg.inv(matrix[at.stop :, at.stop :])).reshape(k, m)
    holes = np.array(
        [[(np.isnan(score[:, j]) & (cells == c) & tried).sum() for j in range(m)] for c in range(k)]
    )
    share = holes / tried.sum()
    missing = share.sum(axis=0)
    covariance = models * np.outer(missing, missing) + np.diag((share**2 * in_cells).sum(axis=0))
    here = np.array([(tried & (cells == c)).sum() for c in range(k)])
    error = np.sqrt(in_cells + np.diag(models)) * holes / np.maximum(here, 1)[:, None]
    return Filled(filled, tried, covariance, error)
