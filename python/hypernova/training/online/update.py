"""Update the fitted estimates by the sums of a log, with standard errors.

Not here: reading the log (see ``recalibrate``).

The mean residual of model m in cluster c is modelled as a sum of random effects, ``common +
model[m] + cluster[c] + cell[c, m]``. Each has a Gaussian prior around 0, as precise as the
fitted outcomes make it, and the estimates move by the posterior mean (the best linear unbiased
predictor of a mixed model). In a service most of a residual belongs to the prompts, or to the
way they are scored there, and not to the chosen model. Attributed to that model alone, it
would make the router leave the model for one that nobody tried on those prompts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.profile import (
    MAX_GAIN_VARIANCE,
    MAX_SCORE_VARIANCE,
    OVERALL_WEIGHT,
    Estimate,
    has_enough_outcomes,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova.numeric import Floats
    from hypernova.training.online.log_sums import LogSums


@dataclass(frozen=True)
class PosteriorUpdate:
    """Posterior means of the effects, as differences from the fitted estimates.

    Attributes:
        models: Of each model everywhere, float64 (m,): ``common + model``.
        cells: Of each cell, float64 (k + 1, m): the sum of all effects; row k is for novel
            prompts.
        own_weight: Weight of a cell's own outcomes in its cell effect, (k + 1, m).
        total_weight: Weight of a cell's own outcomes in the sum of effects, (k + 1, m).
    """

    models: Floats
    cells: Floats
    own_weight: Floats
    total_weight: Floats


def posterior_update(
    base: Estimate, sums: LogSums, shrinkage: float, kept: float
) -> PosteriorUpdate:
    """Compute the posterior means of the four effects.

    The prior of a cell with ``n`` fitted outcomes has the precision of ``n + a`` outcomes, that
    of a model with ``N`` the precision of ``N + 20``. Half of the prior variance is the
    model's own and half is common to the models, so that the variance of the sum is the whole.

    Args:
        base: Fitted estimates.
        sums: Sums of the log.
        shrinkage: Weight ``a`` of the prior, in outcomes.
        kept: Share of the fitted outcomes that decay has left, 0 to 1.
    """
    profile = base.profile
    n, residual = sums.effective(), sums.mean("residual")
    weight = max(shrinkage, 1.0)
    # Prior precisions, in outcomes.
    cell = 2.0 * (kept * profile.counts + weight)
    # The table says little of novel prompts: their row has a weak prior of its own, and they
    # hardly move the other rows.
    cell[-1] = 2.0 * OVERALL_WEIGHT
    model = 2.0 * (kept * profile.counts[-1] + OVERALL_WEIGHT)
    seen = n.sum(axis=1)
    cluster = _weighted_mean(cell, n, axis=1)
    common = float(_weighted_mean(model, n.sum(axis=0), axis=0))

    # The cell effects are integrated out: they lower the weight of their outcomes.
    h = n * cell / (n + cell)
    h_all, hr = h.sum(axis=1), h * residual
    # Then the cluster effects; a system of the common and the model effects is left.
    design = np.column_stack([h_all, h])
    matrix = np.diag(design.sum(axis=0))
    matrix[0, 1:] = matrix[1:, 0] = h.sum(axis=0)
    precision = cluster + h_all
    matrix -= design.T @ (design / precision[:, None])
    right = np.append(hr.sum(), hr.sum(axis=0)) - design.T @ (hr.sum(axis=1) / precision)
    prior = np.append(common, model)
    inverse = np.linalg.inv(matrix + np.diag(prior))
    solved = inverse @ right
    noise = float(np.average(outcome_variance(sums), weights=n.sum(axis=0) + 1e-9))
    own_effects = _positive_part(solved[1:], np.diag(inverse)[1:], 1.0 / model, noise)
    models = solved[0] + own_effects

    left = residual - models
    clusters = (h * left).sum(axis=1) / precision
    own_weight = n / (n + cell)
    cells = own_weight * (left - clusters[:, None])
    in_cluster = np.where(seen > 0, clusters, 0.0)
    return PosteriorUpdate(
        models=models,
        cells=models + in_cluster[:, None] + cells,
        own_weight=own_weight,
        total_weight=own_weight + (1.0 - own_weight) * h / precision[:, None],
    )


def _weighted_mean(values: Floats, weights: Floats, axis: int) -> Floats:
    """Average by weights; without weights where all are 0."""
    weights = np.where(weights.sum(axis=axis, keepdims=True) > 0, weights, 1.0)
    mean: Floats = np.average(values, weights=weights, axis=axis)
    return mean


def _positive_part(mean: Floats, variance: Floats, prior: Floats, noise: float) -> Floats:
    """Shrink the model effects as far as they may be noise (James and Stein, positive part).

    The fit pools models that the outcomes do not tell apart (`pooled_success`); between equal
    models the least noise would decide everywhere. So the same estimator is applied here, to
    the effect that the log alone would give.

    Args:
        mean: Posterior mean, (m,).
        variance: Posterior variance, in units of an outcome's variance, (m,).
        prior: Prior variance, in the same units, (m,).
        noise: Variance of an outcome.
    """
    # Posterior and prior give back the observed effect and its variance.
    learned = prior - variance
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = mean * prior / learned
        kept = np.maximum(1.0 - noise * (variance * prior / learned) / observed**2, 0.0)
    shrunk: Floats = np.where((learned > 1e-12 * prior) & (mean != 0.0), kept * mean, 0.0)
    return shrunk


def outcome_variance(sums: LogSums) -> Floats:
    """Estimate the variance of each model's outcomes around the estimates, float64 (m,).

    It leans on the largest possible variance with the weight of 20 outcomes: a few equal
    outcomes do not prove that a model never varies.
    """
    n = sums.effective().sum(axis=0)
    squares = sums.mean("residual2") - sums.mean("residual") ** 2
    observed = (sums.effective() * np.maximum(squares, 0.0)).sum(axis=0)
    variance: Floats = (observed + OVERALL_WEIGHT * MAX_SCORE_VARIANCE) / (n + OVERALL_WEIGHT)
    return variance


def updated_estimate(base: Estimate, sums: LogSums, shrinkage: float, kept: float) -> Estimate:
    """Update the fitted estimates by the sums of a log.

    Args:
        base: Fitted estimates.
        sums: Sums of the log.
        shrinkage: Weight of the prior, in outcomes.
        kept: Share of the fitted outcomes that decay has left, 0 to 1.
    """
    fitted, update = base.profile, posterior_update(base, sums, shrinkage, kept)
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
        success=np.clip(fitted.success + update.cells, 0.0, 1.0).astype(np.float32),
        standard_error=errors.standard().astype(np.float32),
        gain_error=errors.gain().astype(np.float32),
        cost=_mean_expense(fitted.cost, kept * fitted.counts, sums, "cost"),
        latency=_mean_expense(fitted.latency, kept * fitted.counts, sums, "latency"),
    )
    return Estimate(profile, default)


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
