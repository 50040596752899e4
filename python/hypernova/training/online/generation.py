"""One generation of an artifact: how its estimates differ from the fitted ones.

Not here: what the log says they should be (see ``update``), or the record of all generations (see
``lineage``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.artifact.profile import Profile
    from hypernova.artifact.sketch import SketchBasis
    from hypernova.numeric import Floats


def mean_success(fitted: Profile) -> Floats:
    """Average each model's fitted success over the clusters, by their outcomes, float64 (m,).

    Unlike the row of the whole table it leans on the other models' as the clusters' rows do: of
    models that the table cannot separate, none is above the others.
    """
    weight = fitted.counts[:-1].sum(axis=1)
    weight = weight if weight.sum() > 0.0 else np.ones_like(weight)
    mean: Floats = np.average(fitted.success[:-1].astype(np.float64), axis=0, weights=weight)
    return mean


def scaled_success(fitted: Profile, scale: float) -> Floats:
    """Return the fitted success with larger deviations, float64 (k + 1, m).

    Args:
        fitted: The fitted estimates.
        scale: By which part deviations from `mean_success` are larger.
    """
    success = fitted.success.astype(np.float64)
    success[:-1] += scale * (success[:-1] - mean_success(fitted))
    return success


@dataclass(frozen=True)
class Generation:
    """The estimates of a generation, and the changes of its linear corrections.

    An estimate for a prompt of the coordinates z, in a cluster c, differs from the fitted one by
    ``cells[c, m] + scale * deviation + coefficients[m] @ z``, where the deviation is that of the
    fitted estimate from the model's `mean_success`.

    Attributes:
        success: float32 (k + 1, m), those of clusters.
        scale: By which part deviations are larger than the fitted ones, above -1.
        coefficients: Of the coordinates in standard deviations, float32 (m, r).
    """

    success: Floats
    scale: float
    coefficients: Floats

    def cells(self, fitted: Profile) -> Floats:
        """Return what is neither scale nor coefficients, float64 (k + 1, m).

        Args:
            fitted: The fitted estimates.
        """
        found: Floats = self.success - scaled_success(fitted, self.scale)
        return found

    def corrects_as(self, other: Generation) -> bool:
        """Tell whether the linear corrections are those of another generation."""
        same = np.array_equal(self.coefficients, other.coefficients)
        return same and self.scale == other.scale

    def correction_after(
        self,
        after: Generation,
        slopes: Floats | None,
        offsets: Floats | None,
        basis: SketchBasis | None,
    ) -> tuple[Floats | None, Floats | None]:
        """Return the linear corrections of another generation, from those of this one.

        Args:
            after: The other one.
            slopes: Of this one, float32 (m, dim); None without linear corrections.
            offsets: Float32 (m,), or one row for each group, (g, m).
            basis: Of the coordinates; None without.
        """
        if self.corrects_as(after):
            return slopes, offsets
        if slopes is None or offsets is None:
            if basis is None:
                return None, None
            slopes = np.zeros((len(after.coefficients), basis.directions.shape[1]))
            offsets = np.zeros(len(slopes))
        factor = (1.0 + after.scale) / (1.0 + self.scale)
        slopes, offsets = slopes * factor, offsets.astype(np.float64) * factor
        if basis is not None:
            change = after.coefficients - factor * self.coefficients.astype(np.float64)
            more, shift = basis.linear(change)
            slopes, offsets = slopes + more, offsets + shift
        return slopes.astype(np.float32), offsets.astype(np.float32)
