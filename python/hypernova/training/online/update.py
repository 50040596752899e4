"""Update the fitted estimates by the sums of a log, with standard errors.

Not here: reading the log (see ``recalibrate``), and the posterior of its effects.

The estimates move by the posterior means of ``posterior``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.profile import (
    MAX_GAIN_VARIANCE,
    MAX_SCORE_VARIANCE,
    OVERALL_WEIGHT,
    Estimate,
    has_enough_outcomes,
)
from hypernova.training.online.generation import Generation, scaled_success
from hypernova.training.online.posterior import EffectPrior, outcome_variance, posterior_update

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova.artifact.sketch import SketchBasis
    from hypernova.numeric import Floats
    from hypernova.training.online.log_sums import LogSums
    from hypernova.training.online.posterior import PosteriorUpdate

# Standard errors of a mean of outcomes of other models than the default one, beyond which a gain
# over it counts after a log, in standard deviations of a score (see `updated_margin`).
MARGIN = 2.0


def updated_estimate(
    base: Estimate,
    sums: LogSums,
    shrinkage: float,
    kept: float,
    basis: SketchBasis | None = None,
) -> tuple[Estimate, Generation]:
    """Update the fitted estimates by the sums of a log.

    Args:
        base: Fitted estimates.
        sums: Sums of the log.
        shrinkage: Weight of the prior, in outcomes.
        kept: Share of the fitted outcomes that decay has left, 0 to 1.
        basis: Of the sums' coordinates; None without coordinates.

    Returns:
        The estimates, without linear correction, and how they differ from the fitted ones.
    """
    fitted = base.profile
    update = posterior_update(sums, EffectPrior.of(base, sums, shrinkage, kept, basis))
    moved = scaled_success(fitted, update.scale) + update.cells
    success = np.clip(moved, 0.0, 1.0).astype(np.float32)
    default = _default_model(base, sums, update, shrinkage, kept)
    errors = _StandardErrors(base, sums, update, shrinkage, kept, default)
    n = sums.effective()
    n = np.vstack([n[:-1], n.sum(axis=0)])
    counts = kept * fitted.counts + n
    mean = _pooled_mean(kept * fitted.counts, fitted.mean, n, _with_whole(sums, "score"))
    profile = replace(
        fitted,
        counts=counts.astype(np.float64),
        mean=np.clip(np.where(counts > 0, mean, 0.0), 0.0, 1.0).astype(np.float32),
        success=success,
        standard_error=errors.standard().astype(np.float32),
        gain_error=errors.gain().astype(np.float32),
        cost=_mean_expense(fitted.cost, kept * fitted.counts, sums, "cost"),
        latency=_mean_expense(fitted.latency, kept * fitted.counts, sums, "latency"),
    )
    coefficients = update.coefficients.astype(np.float32)
    return Estimate(profile, default), Generation(success, update.scale, coefficients)


def updated_margin(margin: float, sums: LogSums, default: int) -> float:
    """Return the margin after a log: a fitted one shrinks with the outcomes of other models.

    A margin protects where few tasks taught the estimates, and on prompts of kinds that the table
    lacks. A log is of the service's own prompts, and outcomes of models other than the default one
    say whether the estimates hold there; without these the margin stays.

    Args:
        margin: The fitted one.
        sums: Sums of the log.
        default: Index of the fitted default model.
    """
    tried = np.delete(sums.effective().sum(axis=0), default).sum()
    if tried == 0.0:
        return margin
    return min(margin, float(MARGIN * np.sqrt(MAX_SCORE_VARIANCE / tried)))


def _default_model(
    base: Estimate, sums: LogSums, update: PosteriorUpdate, shrinkage: float, kept: float
) -> int:
    """Select the best single model among those with enough outcomes, as `best_single` does.

    Another model replaces the fitted default only if the log raised it against the default,
    and to more than a standard error of the gain above it. Between two equally good models the
    default would change with every log.
    """
    fitted = base.default_model
    n = kept * base.profile.counts[-1] + sums.effective().sum(axis=0)
    overall = base.profile.success[-1].astype(np.float64) + update.models
    error = _StandardErrors(base, sums, update, shrinkage, kept, fitted).overall_gain()
    proven = (update.models > update.models[fitted]) & (overall - overall[fitted] > error)
    proven &= has_enough_outcomes(n)
    proven[fitted] = True
    return int(np.argmax(np.where(proven, overall, -np.inf)))


def _with_whole(sums: LogSums, name: str, kind: str = "") -> Floats:
    """Compute weighted means; the last row is over all outcomes, not over novel prompts."""
    total, weight = sums[name].sum(axis=0), sums[f"{kind}weight"].sum(axis=0)
    whole = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0.0)
    return np.vstack([sums.mean(name, kind)[:-1], whole])


def _pooled_mean(n_old: Floats, old: Floats, n_new: Floats, new: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        pooled: Floats = (n_old * old + n_new * new) / (n_old + n_new)
    return np.where(n_new > 0, pooled, old)


def _mean_expense(
    old: NDArray[np.float32], n_old: Floats, sums: LogSums, name: str
) -> NDArray[np.float32]:
    """Average cost or latency; the fitted mean counts as that of all fitted outcomes."""
    kind = f"{name}_"
    n = sums.effective(kind)
    n = np.vstack([n[:-1], n.sum(axis=0)])
    new, before = _with_whole(sums, name, kind), old.astype(np.float64)
    # At least one outcome's worth: a cell without outcomes has its model's overall mean.
    known = np.where(np.isnan(before), 0.0, np.maximum(n_old, 1.0))
    mean = _pooled_mean(known, np.where(np.isnan(before), 0.0, before), n, new)
    mean = np.where((n > 0) | ~np.isnan(before), mean, np.nan)
    return np.where(np.isnan(mean), mean[-1], mean).astype(np.float32)


class _StandardErrors:
    """Standard errors of the updated estimates.

    An estimate that goes a share q of the way from the fitted value to the mean of n new
    outcomes has the error of the former times 1 - q, and that of the latter times q. Only
    the outcomes of the cell, and all of the log for the overall rate that the cell leans on,
    reduce its error.
    """

    def __init__(
        self,
        base: Estimate,
        sums: LogSums,
        update: PosteriorUpdate,
        shrinkage: float,
        kept: float,
        default: int,
    ) -> None:
        self._fitted, self._fitted_default = base.profile, base.default_model
        self._update, self._kept, self._default = update, kept, default
        n = sums.effective()
        noise = outcome_variance(sums)
        self._noise = np.divide(noise, n, out=np.zeros_like(n), where=n > 0)
        self._all_n = n.sum(axis=0)
        self._all_noise = np.divide(
            noise, self._all_n, out=np.zeros_like(noise), where=self._all_n > 0
        )
        weight = max(shrinkage, 1.0)
        # Weight of the overall rate's variance in that of a fitted cell (see `estimate`).
        self._leaning = (weight / (base.profile.counts[:-1] + weight)) ** 2

    def standard(self) -> Floats:
        """Compute the errors of the success estimates, float64 (k + 1, m)."""
        fitted = self._decayed(self._fitted.standard_error, MAX_SCORE_VARIANCE)
        sure = self._kept * self._fitted.counts[-1] + OVERALL_WEIGHT
        share = self._all_n / (self._all_n + sure)
        last = (1.0 - share) ** 2 * fitted[-1] + share**2 * self._all_noise
        total = self._update.total_weight
        variance = (1.0 - total) ** 2 * self._with_overall(fitted, last) + total**2 * self._noise
        variance[-1] = last + (self._update.own_weight**2 * self._noise)[-1]
        return np.sqrt(variance)

    def gain(self) -> Floats:
        """Compute the errors of the gain over the default model, float64 (k + 1, m).

        The fitted gain is paired by task, that of the log is not. Where the two models'
        estimates go different shares of the way, the pairing is lost for the difference: it
        counts with the error of the model that stayed behind, in the worst case.
        """
        paired = self._decayed(self._gain_error(), MAX_GAIN_VARIANCE)
        single = np.sqrt(self._decayed(self._fitted.standard_error, MAX_SCORE_VARIANCE))
        last = self.overall_gain() ** 2
        own = self._update.own_weight
        fitted = np.sqrt(self._with_overall(paired, last))
        variance = np.empty_like(fitted)
        for row in range(len(fitted) - 1):
            variance[row] = self._unpaired(fitted[row], single[row], own[row], self._noise[row])
        novel = own[-1] ** 2 * self._noise[-1]
        variance[-1] = last + novel + novel[self._default]
        error = np.sqrt(variance)
        error[:, self._default] = 0.0
        return error

    def overall_gain(self) -> Floats:
        """Compute the error of each model's gain on the whole table, float64 (m,)."""
        paired = self._decayed(self._gain_error()[-1], MAX_GAIN_VARIANCE)
        single = self._decayed(self._fitted.standard_error[-1], MAX_SCORE_VARIANCE)
        sure = self._kept * self._fitted.counts[-1] + OVERALL_WEIGHT
        share = self._all_n / (self._all_n + 2.0 * sure)
        return np.sqrt(self._unpaired(np.sqrt(paired), np.sqrt(single), share, self._all_noise))

    def _unpaired(self, paired: Floats, single: Floats, share: Floats, noise: Floats) -> Floats:
        """Compute variances of gains; ``share`` is the share of the way of each estimate."""
        d = self._default
        behind = np.where(share < share[d], single, single[d])
        fitted = (1.0 - np.maximum(share, share[d])) * paired + np.abs(share - share[d]) * behind
        variance: Floats = fitted**2 + share**2 * noise + share[d] ** 2 * noise[d]
        return variance

    def _gain_error(self) -> Floats:
        """Return the fitted errors; for a new default model, the lower of two upper bounds."""
        error = self._fitted.gain_error.astype(np.float64)
        d = self._default
        if d == self._fitted_default:
            return error
        single = self._fitted.standard_error.astype(np.float64)
        over_old = error + error[:, [d]]
        unpaired = np.sqrt(single**2 + single[:, [d]] ** 2)
        changed = np.minimum(over_old, unpaired)
        changed[:, self._fitted_default] = error[:, d]
        changed[:, d] = 0.0
        return changed

    def _decayed(self, error: Floats, max_variance: float) -> Floats:
        """Compute variances of the fitted values when only ``kept`` of their outcomes count."""
        variance = error.astype(np.float64) ** 2
        if self._kept == 1.0:
            return variance
        bound = np.maximum(variance, max_variance)
        return np.minimum(variance / max(self._kept, 1e-300), bound)

    def _with_overall(self, fitted: Floats, last: Floats) -> Floats:
        """Replace the variance of the overall rate in the fitted cells' variances by ``last``."""
        part = np.minimum(self._leaning * fitted[-1], fitted[:-1])
        ratio = np.divide(last, fitted[-1], out=np.ones_like(last), where=fitted[-1] > 0)
        return np.vstack([fitted[:-1] - part + part * ratio, fitted[-1][None]])
