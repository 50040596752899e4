"""Blend the clusters' estimates for many vectors, and choose the models that the core chooses.

Not here: serving, which decides in the core. Settings that are compared on held-out tasks share
the clusters' shares in each task, and here they are computed once for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.numeric import Floats, Ints
    from hypernova.training.estimates.linear_correction import LinearCorrection
    from hypernova.training.estimates.profile import Estimate

# Estimates that differ by less are ties: the product of matrices adds up equal columns in
# different orders.
_DECIMALS = 12


@dataclass(frozen=True)
class BlendedEstimates:
    """Estimates for n vectors (FORMAT.md, *Meaning*), of vectors that are not novel.

    Attributes:
        success: Success of each model, float64 (n, m).
        gain_error: Standard error of the gain over the default model, float64 (n, m).
        default_model: Index of the default model.
    """

    success: Floats
    gain_error: Floats
    default_model: int

    @classmethod
    def of(
        cls,
        vectors: Floats,
        shares: Floats,
        estimated: Estimate,
        correction: LinearCorrection | None,
    ) -> BlendedEstimates:
        """Blend the estimates of k clusters.

        Args:
            vectors: float32 (n, dim).
            shares: Share of each cluster in each vector, float64 (n, k).
            estimated: Estimates of the clusters.
            correction: Linear corrections of the models, or None.
        """
        profile = estimated.profile
        success = shares @ profile.success[:-1].astype(np.float64)
        if correction is not None:
            success += (vectors @ correction.slopes.T).astype(np.float64)
            success += correction.offsets
            np.clip(success, 0.0, 1.0, out=success)
        return cls(
            success.round(_DECIMALS),
            (shares @ profile.gain_error[:-1].astype(np.float64)).round(_DECIMALS),
            estimated.default_model,
        )

    def choose(self, guard_z: float) -> Ints:
        """Choose the model with the highest success among those that the guard lets pass.

        Args:
            guard_z: Standard errors by which a model must beat the default model.

        Returns:
            Index of the chosen model, (n,); of equal models the lower one.
        """
        gain = self.success - self.success[:, self.default_model, None]
        proven = gain.round(_DECIMALS) > guard_z * self.gain_error
        best = np.where(proven, self.success, -np.inf).argmax(axis=1)
        return np.where(proven.any(axis=1), best, self.default_model)
