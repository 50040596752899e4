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
    products: Sums, weights: Sequence[float], basis: Floats | None = None
) -> list[LinearCorrection]:
    """Fit ridge regressions of the outcomes on the vector, for all models and several weights.

    The normal equations are solved for centred vectors and scores, so that a correction is 0 on
    the mean over each model's tasks, and says how a task differs from it.

    Args:
        products: Sums of `sum_products`.
        weights: Of the squared length of a slope; in a Bayesian reading the noise variance of an
            outcome over the prior variance of a slope's entries.
        basis: Of the `Coordinates` whose products these are.

    Returns:
        The corrections of each weight.
    """
    m, dim = products["vector_score"].shape
    slopes, offsets = np.zeros((len(weights), m, dim)), np.zeros((len(weights), m))
    for c, models in enumerate(products.classes):
        n = products["class_n"][c]
        if n == 0:
            continue
        chosen = list(models)
        centre = products["class_vector"][c] / n
        gram = products["class_gram"][c] - n * np.outer(centre, centre)
        score = products["factor_score"][chosen]
        right = products["vector_score"][chosen].T - centre[:, None] * score
        for i, weight in enumerate(weights):
            matrix = gram.copy()
            matrix[np.diag_indices(dim)] += weight
            solved = np.linalg.solve(matrix, right).T
            slopes[i, chosen], offsets[i, chosen] = solved, -(solved @ centre)
    if basis is not None:
        slopes = slopes @ basis.T
    return [
        LinearCorrection(slope.astype(np.float32), offset.astype(np.float32))
        for slope, offset in zip(slopes, offsets, strict=True)
    ]
