"""Fit linear corrections of the clusters' success estimates by ridge regression.

Not here: whether they are used (see ``hypernova.training.model_selection``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.profile import estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova.numeric import Floats
    from hypernova.training.estimates.profile import Evidence


@dataclass(frozen=True)
class LinearCorrection:
    """Linear functions of a vector x, ``offsets[m] + slopes[m] @ x``, added to the success of m.

    Attributes:
        slopes: float32 (m, dim).
        offsets: float32 (m,).
    """

    slopes: Floats
    offsets: Floats


def unexplained(score: Floats, shares: Floats, evidence: Evidence, shrinkage: float) -> Floats:
    """Compute the residuals of the clusters' estimates, which a linear correction may explain.

    Args:
        score: (n, m), NaN where there is no outcome.
        shares: (n, k), of `Clusters.shares`.
        evidence: Sums over the same tasks.
        shrinkage: As in `estimate`.

    Returns:
        Score less estimate, float64 (n, m), NaN where there is no outcome.
    """
    success = estimate(evidence, shrinkage).profile.success[:-1].astype(np.float64)
    residuals: Floats = score - shares @ success
    return residuals


class Ridge:
    """Ridge regressions of all models' residuals on the vectors.

    Made once for a set of vectors, fitted to several sets of residuals.

    Args:
        vectors: float32 (n, dim).
        known: (n, m), whether the model has an outcome for the task.
    """

    def __init__(self, vectors: Floats, known: NDArray[np.bool_]) -> None:
        self._shape = (known.shape[1], vectors.shape[1])
        # Models with outcomes for the same tasks share the costly Gram matrix.
        patterns, which = np.unique(known.T, axis=0, return_inverse=True)
        self._equations = [
            (
                _NormalEquations(vectors[tasks].astype(np.float64)),
                tasks,
                np.flatnonzero(which.ravel() == i),
            )
            for i, tasks in enumerate(patterns)
            if tasks.any()
        ]

    def fit(self, residuals: Floats, weight: float) -> LinearCorrection:
        """Fit the linear correction of all models.

        Args:
            residuals: float64 (n, m), score less estimate, read where an outcome is known.
            weight: Of the squared length of a slope; in a Bayesian reading the noise
                variance of an outcome over the prior variance of a slope's entries.

        Returns:
            A correction whose mean over each model's tasks is 0.
        """
        slopes, offsets = np.zeros(self._shape), np.zeros(self._shape[0])
        for equations, tasks, models in self._equations:
            y = residuals[np.ix_(tasks, models)]
            slopes[models] = equations.solve(y - y.mean(axis=0), weight)
            offsets[models] = -(slopes[models] @ equations.centre)
        return LinearCorrection(slopes.astype(np.float32), offsets.astype(np.float32))


class _NormalEquations:
    """Normal equations of the centred vectors of some tasks, primal or dual, as is smaller."""

    def __init__(self, x: Floats) -> None:
        self.centre = x.mean(axis=0)
        self._x = x - self.centre
        self._dual = len(x) < x.shape[1]
        self._gram = self._x @ self._x.T if self._dual else self._x.T @ self._x

    def solve(self, y: Floats, weight: float) -> Floats:
        """Solve for the slopes (m, dim) of centred targets ``y`` (n, m)."""
        matrix = self._gram + weight * np.eye(len(self._gram))
        if self._dual:
            slopes = self._x.T @ np.linalg.solve(matrix, y)
        else:
            slopes = np.linalg.solve(matrix, self._x.T @ y)
        transposed: Floats = slopes.T
        return transposed
