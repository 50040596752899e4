"""Fit linear corrections of the clusters' success estimates by ridge regression, from sums.

Not here: the sums (see ``outcome_sums``), or whether corrections are used (see
``hypernova.training.model_selection``).
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


class Ridge:
    """Ridge regressions, for all models, of what the clusters' estimates leave unexplained.

    The normal equations are solved for centred vectors and residuals, so that a correction is 0
    on the mean over each model's tasks.

    Args:
        products: Sums of `sum_products`.
        weight: Of the squared length of a slope; in a Bayesian reading the noise variance of an
            outcome over the prior variance of a slope's entries.
        basis: Of the `Coordinates` whose products these are.
    """

    def __init__(self, products: Sums, weight: float, basis: Floats | None = None) -> None:
        self._products, self._weight, self._basis = products, weight, basis

    def fit(self, pairs: Sequence[tuple[Sums, Floats]]) -> list[LinearCorrection]:
        """Fit a correction of each of several estimates, which share the equations' matrices.

        Args:
            pairs: Sums of `sum_shares` over the same tasks, and success estimates (k, m).
        """
        products = self._products
        m, dim = products["vector_score"].shape
        slopes, offsets = np.zeros((len(pairs), m, dim)), np.zeros((len(pairs), m))
        place = {model: i for i, models in enumerate(products.classes) for model in models}
        shared = [
            {model: i for i, models in enumerate(sums.classes) for model in models}
            for sums, _ in pairs
        ]
        for models in products.classes:
            c, chosen = place[models[0]], list(models)
            n = products["class_n"][c]
            if n == 0:
                continue
            centre = products["class_vector"][c] / n
            matrix = products["class_gram"][c] - n * np.outer(centre, centre)
            matrix[np.diag_indices(dim)] += self._weight
            right = []
            for (sums, success), classes in zip(pairs, shared, strict=True):
                at = classes[models[0]]
                explained = success[:, chosen]
                # Sums over the tasks of x and 1 times score less estimate.
                with_x = products["vector_score"][chosen].T
                with_x = with_x - sums["class_vector_shares"][at] @ explained
                with_1 = products["factor_score"][chosen] - sums["class_shares"][at] @ explained
                right.append(with_x - centre[:, None] * with_1)
            solved = np.linalg.solve(matrix, np.concatenate(right, axis=1))
            for i, part in enumerate(np.split(solved.T, len(pairs))):
                slopes[i, chosen] = part
                offsets[i, chosen] = -(part @ centre)
        if self._basis is not None:
            slopes = slopes @ self._basis.T
        return [
            LinearCorrection(of_pair.astype(np.float32), offset.astype(np.float32))
            for of_pair, offset in zip(slopes, offsets, strict=True)
        ]
