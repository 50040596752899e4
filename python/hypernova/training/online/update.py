"""How far a log moves the estimates of an artifact, and how sure of that it is.

Not here: reading the log, or what the artifact was fitted on.

What the outcomes of model m for prompts of cluster c say beyond what was estimated is
taken as ``common + model[m] + cluster[c] + cell[c, m]``, each part a priori about 0, as
sure as the outcomes behind the artifact make it; the estimate is the posterior mean. In a
service most of what is unexpected belongs to the prompts, or to how they are scored there,
and not to the one model that was taken. Put all of it down to that model, and the router
would leave it for one that nobody tried on those prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.profile import (
    ENOUGH_OUTCOMES,
    GAIN_VARIANCE,
    OVERALL_WEIGHT,
    SCORE_VARIANCE,
    Profiles,
)

if TYPE_CHECKING:
    from hypernova.numeric import Floats
    from hypernova.training.online.log_sums import Folded


@dataclass(frozen=True)
class Shift:
    """Differences to the fitted estimates.

    Attributes:
        level: Of each model everywhere, float64 (m,): ``common + model``.
        total: Of each cell, float64 (k + 1, m); row k is what novel prompts are judged by.
        own: Weight of a cell's own outcomes in what sets its model apart, (k + 1, m).
        whole: Weight of a cell's own outcomes in its estimate, (k + 1, m).
    """

    level: Floats
    total: Floats
    own: Floats
    whole: Floats


def shift(base: Profiles, folded: Folded, shrinkage: float, kept: float) -> Shift:
    """Estimate the shift: the posterior mean of its four parts.

    A cell of ``n`` fitted outcomes is as sure as ``n + a`` outcomes, a model's rate as
    sure as its ``N + 20``; each of these is shared in equal parts between what the models
    have in common and what is the model's own, so that their sum is as sure as the whole.

    Args:
        base: As fitted.
        folded: Sums of the log.
        shrinkage: ``a``.
        kept: What decay leaves of the fitted outcomes, 0 to 1.
    """
    n, residual = folded.effective(), folded.mean("residual")
    weight = max(shrinkage, 1.0)
    cell = 2.0 * (kept * base.counts + weight)
    # The table says little of prompts that are unlike all of its own: they are mostly a
    # cluster of their own, and hardly move the others.
    cell[-1] = 2.0 * OVERALL_WEIGHT
    model = 2.0 * (kept * base.counts[-1] + OVERALL_WEIGHT)
    seen = n.sum(axis=1)
    cluster = _weighted_mean(cell, n, axis=1)
    common = float(_weighted_mean(model, n.sum(axis=0), axis=0))

    # The cells' own parts are integrated out: they lower the weight of their outcomes.
    h = n * cell / (n + cell)
    h_all, hr = h.sum(axis=1), h * residual
    # Then the clusters'; what is left is a system of the common part and the models'.
    design = np.column_stack([h_all, h])
    matrix = np.diag(design.sum(axis=0))
    matrix[0, 1:] = matrix[1:, 0] = h.sum(axis=0)
    precision = cluster + h_all
    matrix -= design.T @ (design / precision[:, None])
    right = np.append(hr.sum(), hr.sum(axis=0)) - design.T @ (hr.sum(axis=1) / precision)
    prior = np.append(common, model)
    inverse = np.linalg.inv(matrix + np.diag(prior))
    solved = inverse @ right
    noise = float(np.average(outcome_variance(folded), weights=n.sum(axis=0) + 1e-9))
    own_level = _held_back(solved[1:], np.diag(inverse)[1:], 1.0 / model, noise)
    level = solved[0] + own_level

    left = residual - level
    clusters = (h * left).sum(axis=1) / precision
    own = n / (n + cell)
    cells = own * (left - clusters[:, None])
    in_cluster = np.where(seen > 0, clusters, 0.0)
    return Shift(
        level=level,
        total=level + in_cluster[:, None] + cells,
        own=own,
        whole=own + (1.0 - own) * h / precision[:, None],
    )


def _weighted_mean(values: Floats, weights: Floats, axis: int) -> Floats:
    """Mean by weights; the plain one where all weights are 0."""
    weights = np.where(weights.sum(axis=axis, keepdims=True) > 0, weights, 1.0)
    mean: Floats = np.average(values, weights=weights, axis=axis)
    return mean


def _held_back(mean: Floats, variance: Floats, prior: Floats, noise: float) -> Floats:
    """Hold a model's own shift back as far as it may be noise.

    The fit makes models equal that nothing tells apart (`pulled_success`); between equal
    ones the least noise would decide everywhere. The same estimator is used here: the
    positive part of James and Stein, of the shift that the log alone would say.

    Args:
        mean: Posterior mean, (m,).
        variance: Posterior variance, in those of an outcome.
        prior: Prior variance, likewise.
        noise: Variance of an outcome.
    """
    # Posterior and prior give back what was observed, and how surely.
    told = prior - variance
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = mean * prior / told
        kept = np.maximum(1.0 - noise * (variance * prior / told) / observed**2, 0.0)
    held: Floats = np.where((told > 1e-12 * prior) & (mean != 0.0), kept * mean, 0.0)
    return held


def outcome_variance(folded: Folded) -> Floats:
    """Variance of a model's outcomes around what was estimated, float64 (m,).

    Leans on the largest there is with the weight of 20 outcomes: a few equal ones do not
    prove that a model never varies.
    """
    n = folded.effective().sum(axis=0)
    squares = folded.mean("residual2") - folded.mean("residual") ** 2
    observed = (folded.effective() * np.maximum(squares, 0.0)).sum(axis=0)
    variance: Floats = (observed + OVERALL_WEIGHT * SCORE_VARIANCE) / (n + OVERALL_WEIGHT)
    return variance


def moved_profiles(base: Profiles, folded: Folded, shrinkage: float, kept: float) -> Profiles:
    """Fold a log into the fitted profiles.

    Args:
        base: As fitted.
        folded: Sums of the log.
        shrinkage: Weight of the prior, in outcomes.
        kept: What decay leaves of the fitted outcomes, 0 to 1.
    """
    moved = shift(base, folded, shrinkage, kept)
    default = _default_model(base, folded, moved, shrinkage, kept)
    errors = _Errors(base, folded, moved, shrinkage, kept, default)
    n = folded.effective()
    n = np.vstack([n[:-1], n.sum(axis=0)])
    counts = kept * base.counts + n
    mean = _blended(kept * base.counts, base.mean, n, _with_whole(folded, "score"))
    return Profiles(
        counts=counts,
        mean=np.clip(np.where(counts > 0, mean, 0.0), 0.0, 1.0).astype(np.float32),
        success=np.clip(base.success + moved.total, 0.0, 1.0).astype(np.float32),
        standard_error=errors.standard().astype(np.float32),
        gain_error=errors.gain().astype(np.float32),
        cost=_expense(base.cost, kept * base.counts, folded, "cost"),
        latency=_expense(base.latency, kept * base.counts, folded, "latency"),
        default_model=default,
    )


def _default_model(
    base: Profiles, folded: Folded, moved: Shift, shrinkage: float, kept: float
) -> int:
    """The best single model, among those tried often enough, as in the fit (`best_single`).

    There is a default model to lose here: another one takes its place only if the log has
    raised it against the fitted one, and to more than a standard error above it. Between
    two that are as good as each other it would change with every log.
    """
    fitted = base.default_model
    n = kept * base.counts[-1] + folded.effective().sum(axis=0)
    overall = base.success[-1].astype(np.float64) + moved.level
    error = _Errors(base, folded, moved, shrinkage, kept, fitted).overall_gain()
    proven = (moved.level > moved.level[fitted]) & (overall - overall[fitted] > error)
    proven &= n >= min(n.max() / 2, ENOUGH_OUTCOMES)
    proven[fitted] = True
    return int(np.argmax(np.where(proven, overall, -np.inf)))


def _with_whole(folded: Folded, name: str, kind: str = "") -> Floats:
    """Weighted means, the last row that of all outcomes instead of the novel ones."""
    total, weight = folded[name].sum(axis=0), folded[f"{kind}weight"].sum(axis=0)
    whole = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0.0)
    return np.vstack([folded.mean(name, kind)[:-1], whole])


def _blended(n_old: Floats, old: Floats, n_new: Floats, new: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        blended: Floats = (n_old * old + n_new * new) / (n_old + n_new)
    return np.where(n_new > 0, blended, old)


def _expense(old: Floats, n_old: Floats, folded: Folded, name: str) -> Floats:
    """Mean cost or latency; the fitted one is taken for that of all fitted outcomes."""
    kind = f"{name}_"
    n = folded.effective(kind)
    n = np.vstack([n[:-1], n.sum(axis=0)])
    new = _with_whole(folded, name, kind)
    old = old.astype(np.float64)
    # At least one outcome's worth: a cell without outcomes has its model's overall mean.
    known = np.where(np.isnan(old), 0.0, np.maximum(n_old, 1.0))
    mean = _blended(known, np.where(np.isnan(old), 0.0, old), n, new)
    mean = np.where((n > 0) | ~np.isnan(old), mean, np.nan)
    filled: Floats = np.where(np.isnan(mean), mean[-1], mean).astype(np.float32)
    return filled


class _Errors:
    """Standard errors of the moved estimates.

    An estimate that goes a share q of the way from the fitted value to the mean of n new
    outcomes has the error of the former times 1 - q, and that of the latter times q. Only
    a cell's own outcomes, and the whole log's for the overall rate that it leans on, are
    counted in its favour.
    """

    def __init__(
        self,
        base: Profiles,
        folded: Folded,
        moved: Shift,
        shrinkage: float,
        kept: float,
        default: int,
    ) -> None:
        self._base, self._moved, self._kept, self._default = base, moved, kept, default
        n = folded.effective()
        noise = outcome_variance(folded)
        self._noise = np.divide(noise, n, out=np.zeros_like(n), where=n > 0)
        self._all_n = n.sum(axis=0)
        self._all_noise = np.divide(
            noise, self._all_n, out=np.zeros_like(noise), where=self._all_n > 0
        )
        weight = max(shrinkage, 1.0)
        # How much of a cell's fitted error is that of the overall rate (`_shrunk_error`).
        self._leaning = (weight / (base.counts[:-1] + weight)) ** 2

    def standard(self) -> Floats:
        """Of the success estimates, float64 (k + 1, m)."""
        fitted = self._decayed(self._base.standard_error, SCORE_VARIANCE)
        sure = self._kept * self._base.counts[-1] + OVERALL_WEIGHT
        share = self._all_n / (self._all_n + sure)
        last = (1.0 - share) ** 2 * fitted[-1] + share**2 * self._all_noise
        whole = self._moved.whole
        variance = (1.0 - whole) ** 2 * self._leaned(fitted, last) + whole**2 * self._noise
        variance[-1] = last + (self._moved.own**2 * self._noise)[-1]
        return np.sqrt(variance)

    def gain(self) -> Floats:
        """Of the gain over the default model, float64 (k + 1, m).

        The fitted gain is paired by task and the log's is not. Where the two models'
        estimates go different shares of the way, what was paired comes apart: the error
        of the one that stayed behind counts for the difference, in the worst case.
        """
        paired = self._decayed(self._gain_error(), GAIN_VARIANCE)
        single = np.sqrt(self._decayed(self._base.standard_error, SCORE_VARIANCE))
        last = self.overall_gain() ** 2
        own = self._moved.own
        fitted = np.sqrt(self._leaned(paired, last))
        variance = np.empty_like(fitted)
        for row in range(len(fitted) - 1):
            variance[row] = self._apart(fitted[row], single[row], own[row], self._noise[row])
        novel = own[-1] ** 2 * self._noise[-1]
        variance[-1] = last + novel + novel[self._default]
        error = np.sqrt(variance)
        error[:, self._default] = 0.0
        return error

    def overall_gain(self) -> Floats:
        """Of the gain over the default model on the whole table, float64 (m,)."""
        paired = self._decayed(self._gain_error()[-1], GAIN_VARIANCE)
        single = self._decayed(self._base.standard_error[-1], SCORE_VARIANCE)
        sure = self._kept * self._base.counts[-1] + OVERALL_WEIGHT
        share = self._all_n / (self._all_n + 2.0 * sure)
        return np.sqrt(self._apart(np.sqrt(paired), np.sqrt(single), share, self._all_noise))

    def _apart(self, paired: Floats, single: Floats, share: Floats, noise: Floats) -> Floats:
        d = self._default
        behind = np.where(share < share[d], single, single[d])
        fitted = (1.0 - np.maximum(share, share[d])) * paired + np.abs(share - share[d]) * behind
        variance: Floats = fitted**2 + share**2 * noise + share[d] ** 2 * noise[d]
        return variance

    def _gain_error(self) -> Floats:
        """The fitted one; against another default model the least that is sure to hold."""
        error = self._base.gain_error.astype(np.float64)
        d = self._default
        if d == self._base.default_model:
            return error
        single = self._base.standard_error.astype(np.float64)
        over_old = error + error[:, [d]]
        unpaired = np.sqrt(single**2 + single[:, [d]] ** 2)
        changed = np.minimum(over_old, unpaired)
        changed[:, self._base.default_model] = error[:, d]
        changed[:, d] = 0.0
        return changed

    def _decayed(self, error: Floats, largest: float) -> Floats:
        """Variance of the fitted values when only ``kept`` of their outcomes count."""
        variance = error.astype(np.float64) ** 2
        if self._kept == 1.0:
            return variance
        bound = np.maximum(variance, largest)
        return np.minimum(variance / max(self._kept, 1e-300), bound)

    def _leaned(self, fitted: Floats, last: Floats) -> Floats:
        """Variances of the cells once that of the overall rate which they lean on is ``last``."""
        part = np.minimum(self._leaning * fitted[-1], fitted[:-1])
        ratio = np.divide(last, fitted[-1], out=np.ones_like(last), where=fitted[-1] > 0)
        return np.vstack([fitted[:-1] - part + part * ratio, fitted[-1][None]])
