"""Linear corrections of the clusters' estimates: what the direction of a prompt adds.

Not here: how strongly they are held back (see ``select``).
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
class Lifts:
    """What is added to a model's estimate for a vector x: ``offsets[m] + slopes[m] @ x``.

    Attributes:
        slopes: float32 (m, dim).
        offsets: float32 (m,).
    """

    slopes: Floats
    offsets: Floats


def unexplained(score: Floats, shares: Floats, evidence: Evidence, shrinkage: float) -> Floats:
    """Score less the clusters' estimate, float64 (n, m), NaN where there is no outcome.

    Args:
        score: (n, m).
        shares: (n, k), of `Structure.shares`.
        evidence: Of the same tasks.
        shrinkage: As in `estimate`.
    """
    success = estimate(evidence, shrinkage).success[:-1].astype(np.float64)
    left: Floats = score - shares @ success
    return left


class Ridge:
    """Ridge regressions of what clusters leave unexplained, on the same vectors.

    Args:
        vectors: float32 (n, dim).
        known: (n, m), whether the model has an outcome for the task.
    """

    def __init__(self, vectors: Floats, known: NDArray[np.bool_]) -> None:
        self._shape = (known.shape[1], vectors.shape[1])
        # Models with outcomes for the same tasks share what is costly.
        patterns, which = np.unique(known.T, axis=0, return_inverse=True)
        self._parts = [
            (_Part(vectors[tasks].astype(np.float64)), tasks, np.flatnonzero(which.ravel() == i))
            for i, tasks in enumerate(patterns)
            if tasks.any()
        ]

    def lifts(self, residuals: Floats, weight: float) -> Lifts:
        """Fit the lifts of all models.

        Args:
            residuals: float64 (n, m), score less estimate, read where an outcome is known.
            weight: Of the squared length of a slope; in a Bayesian reading the noise
                variance of an outcome over the prior variance of a slope's entries.

        Returns:
            Lifts whose mean over a model's tasks is 0.
        """
        slopes, offsets = np.zeros(self._shape), np.zeros(self._shape[0])
        for part, tasks, models in self._parts:
            y = residuals[np.ix_(tasks, models)]
            slopes[models] = part.solve(y - y.mean(axis=0), weight)
            offsets[models] = -(slopes[models] @ part.centre)
        return Lifts(slopes.astype(np.float32), offsets.astype(np.float32))


class _Part:
    """The normal equations of some tasks, in the smaller of their two forms."""

    def __init__(self, x: Floats) -> None:
        self.centre = x.mean(axis=0)
        self._x = x - self.centre
        self._dual = len(x) < x.shape[1]
        self._gram = self._x @ self._x.T if self._dual else self._x.T @ self._x

    def solve(self, y: Floats, weight: float) -> Floats:
        matrix = self._gram + weight * np.eye(len(self._gram))
        if self._dual:
            slopes = self._x.T @ np.linalg.solve(matrix, y)
        else:
            slopes = np.linalg.solve(matrix, self._x.T @ y)
        transposed: Floats = slopes.T
        return transposed
