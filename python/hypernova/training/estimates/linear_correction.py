"""Fit linear corrections of success estimates by ridge regression, from sums.

Not here: the sums (see ``outcome_sums``), or how much a correction counts (see ``stacking``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.numeric import Floats
    from hypernova.training.estimates.sums import Sums


@dataclass(frozen=True)
class LinearCorrection:
    """Linear functions of a vector x, ``offsets[m] + slopes[m] @ x``, added to the success of m.

    Attributes:
        slopes: float32 (m, dim).
        offsets: float32 (m,).
    """

    slopes: Floats
    offsets: Floats


@dataclass(frozen=True)
class Coordinates:
    """Vectors of tasks, in coordinates of the space that they span.

    Fewer vectors than dimensions span a space of lower dimension. A ridge regression is the same
    there, and its cost grows with the third power of the dimension.

    Attributes:
        values: (n, r) of at most unit length: the vectors, or their coordinates.
        basis: Orthonormal columns, float64 (dim, r), of which these are the coordinates; None
            for the vectors themselves.
    """

    values: Floats
    basis: Floats | None = None

    @classmethod
    def of(cls, vectors: Floats) -> Coordinates:
        """Return the coordinates of vectors, (n, dim)."""
        if len(vectors) >= vectors.shape[1]:
            return cls(vectors)
        x = vectors.astype(np.float64)
        basis = np.linalg.qr(x.T)[0]
        return cls(x @ basis, basis)


def fit_ridges(
    products: Sums,
    weights: Sequence[float],
    basis: Floats | None = None,
    rates: Floats | None = None,
) -> list[LinearCorrection]:
    """Fit ridge regressions of the outcomes on the vector, for all models and several weights.

    The normal equations are solved for centred vectors and scores, so that a correction is 0 on
    the mean over the tasks, and says how a task differs from it.

    Where models were tried on different tasks, a model's correction is the sum of two: one of the
    tasks' *level*, the mean over the models tried of score less rate, from all tasks, and one of
    the model's *contrast* with it, from its own tasks. So a model that was tried on one kind alone
    follows the others to the other kinds. For a model that was tried on all tasks the sum is the
    regression of its own outcomes.

    Args:
        products: Sums of `sum_products`.
        weights: Of the squared length of a slope; in a Bayesian reading the noise variance of an
            outcome over the prior variance of a slope's entries.
        basis: Of the `Coordinates` whose products these are.
        rates: Comparable rates of the models, (m,); None for their mean scores.

    Returns:
        The corrections of each weight.
    """
    m, dim = products["vector_score"].shape
    slopes, offsets = np.zeros((len(weights), m, dim)), np.zeros((len(weights), m))
    everywhere = float(products["level_n"])
    level = (
        _LevelRidges.of(products, weights, rates)
        if products["class_n"].min() < everywhere
        else None
    )
    for c, models in enumerate(products.classes):
        n = products["class_n"][c]
        chosen = list(models)
        partial = level is not None and n < everywhere
        if level is not None and partial:
            slopes[:, chosen], offsets[:, chosen] = level.slopes[:, None], level.offsets[:, None]
        if n == 0:
            continue
        centre = products["class_vector"][c] / n
        gram = products["class_gram"][c] - n * np.outer(centre, centre)
        score, right = products["factor_score"][chosen], products["vector_score"][chosen].T
        if level is not None and partial:
            score = score - level.of_class(c)
            right = right - level.vector_of_class(c)[:, None]
        right = right - centre[:, None] * score
        for i, weight in enumerate(weights):
            solved = _ridge(gram, weight, right).T
            slopes[i, chosen] += solved
            offsets[i, chosen] -= solved @ centre
    if basis is not None:
        slopes = slopes @ basis.T
    return [
        LinearCorrection(slope.astype(np.float32), offset.astype(np.float32))
        for slope, offset in zip(slopes, offsets, strict=True)
    ]


def _ridge(gram: Floats, weight: float, right: Floats) -> Floats:
    """Solve the normal equations with a weight, (dim, ...)."""
    matrix = gram.copy()
    matrix[np.diag_indices(len(gram))] += weight
    solved: Floats = np.linalg.solve(matrix, right)
    return solved


@dataclass(frozen=True)
class _LevelRidges:
    """Regressions of the tasks' level on the vector, over all tasks with an outcome.

    Attributes:
        products: Sums of `sum_products`.
        rates: Comparable rates of the models, (m,).
        slopes: Of each weight, (weights, dim).
        offsets: Of each weight, (weights,).
    """

    products: Sums
    rates: Floats
    slopes: Floats
    offsets: Floats

    @classmethod
    def of(cls, products: Sums, weights: Sequence[float], rates: Floats | None) -> _LevelRidges:
        if rates is None:
            of_model = np.zeros(len(products["factor_score"]))
            for own, models in zip(products["class_n"], products.classes, strict=True):
                of_model[list(models)] = own
            rates = products["factor_score"] / np.maximum(of_model, 1.0)
        n = max(float(products["level_n"]), 1.0)
        centre = products["level_vector"] / n
        gram = products["level_gram"] - n * np.outer(centre, centre)
        level = products["level_score"] - rates @ products["level_share"]
        right = products["level_score_vector"] - rates @ products["level_shares"] - centre * level
        slopes = np.stack([_ridge(gram, weight, right) for weight in weights])
        return cls(products, rates, slopes, -(slopes @ centre))

    def of_class(self, c: int) -> float:
        """Return the sum of the level over the tasks of a class of models."""
        return float(self.products["class_level"][c] - self.rates @ self.products["class_share"][c])

    def vector_of_class(self, c: int) -> Floats:
        """Return the sum of the level times the vector over the tasks of a class, (dim,)."""
        products = self.products
        taken = self.rates @ products["class_shares"][c]
        vector: Floats = products["class_level_vector"][c] - taken
        return vector
