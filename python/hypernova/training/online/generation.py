"""One generation of an artifact: how its estimates differ from the fitted ones.

Not here: what the log says they should be (see ``update``), or the record of all generations (see
``lineage``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.artifact.sketch import SketchBasis
    from hypernova.numeric import Floats


@dataclass(frozen=True)
class Generation:
    """The estimates of a generation, and the changes of its linear corrections.

    An estimate for a prompt of the coordinates z, in a cluster c, differs from the fitted one by
    ``cells[c, m] + scale * deviation + coefficients[m] @ z``, where the deviation is that of the
    fitted estimate from the model's overall one.

    Attributes:
        success: float32 (k + 1, m), those of clusters.
        scale: By which part deviations are larger than the fitted ones, above -1.
        coefficients: Of the coordinates in standard deviations, float32 (m, r).
    """

    success: Floats
    scale: float
    coefficients: Floats

    def cells(self, fitted: Floats) -> Floats:
        """Return what is neither scale nor coefficients, float64 (k + 1, m).

        Args:
            fitted: Fitted success, float32 (k + 1, m).
        """
        before = fitted.astype(np.float64)
        found: Floats = self.success - before - self.scale * (before - before[-1])
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
