"""The posterior means of what a log says of the fitted estimates.

Not here: the sums of a log (see ``log_sums``), or the estimates that follow (see ``update``).

The residual of an outcome of model m in cluster c, whose prompt has the coordinates z and whose
estimate lies d above the model's mean one, is modelled as a sum of random effects::

    common + model[m] + cluster[c] + cell[c, m] + (common_slope + slope[m]) z + scale d

and noise; d is a difference from its mean over the log, since chosen models have high estimates.
Each effect has a Gaussian prior around 0, as precise as the fitted outcomes make it, and the
estimates move by the posterior means (the best linear unbiased predictors of a mixed model:
Henderson 1975). In a service most of a residual belongs to the prompts, or to the way they are
scored there, and not to the chosen model. Attributed to that model alone, it would make the router
leave the model for one that nobody tried on those prompts.

All follows from sums of products. Effects of cells and slopes of models are eliminated first, in
closed form, so the system that is left has an unknown for each cluster, model and coordinate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.profile import MAX_SCORE_VARIANCE, OVERALL_WEIGHT
from hypernova.training.online.log_sums import VARIANCE

if TYPE_CHECKING:
    from hypernova.artifact.sketch import SketchBasis
    from hypernova.numeric import Floats
    from hypernova.training.estimates.profile import Estimate
    from hypernova.training.online.log_sums import LogSums

# Weight of a slope's prior beside the fitted tasks, in outcomes of a prompt at unit distance: among
# those of the ridge regressions of the fit.
SLOPE_WEIGHT = 30.0
# Standard deviation of the prior of the scale, and the bounds that it is kept in.
SCALE_DEVIATION = 0.1
MIN_SCALE, MAX_SCALE = -0.5, 1.0


@dataclass(frozen=True)
class EffectPrior:
    """Prior precisions of the effects, in outcomes.

    Half of the prior variance is the model's own and half is common to the models, so that the
    variance of the sum is the whole.

    Attributes:
        cells: float64 (k + 1, m).
        clusters: (k + 1,).
        models: (m,).
        common: Of the effect that is common to all.
        slopes: Of models' own slopes of coordinates in standard deviations, (m, r).
        common_slopes: (r,).
    """

    cells: Floats
    clusters: Floats
    models: Floats
    common: float
    slopes: Floats
    common_slopes: Floats

    @classmethod
    def of(
        cls,
        base: Estimate,
        sums: LogSums,
        shrinkage: float,
        kept: float,
        basis: SketchBasis | None,
    ) -> EffectPrior:
        """Compute the precisions from numbers of fitted outcomes.

        The prior of a cell with ``n`` fitted outcomes has the precision of ``n + a`` outcomes, that
        of a model with ``N`` the precision of ``N + 20``, and that of a slope in a direction in
        which its ``N`` fitted prompts have the variance ``v`` of ``N v + 30``.

        Args:
            base: Fitted estimates.
            sums: Sums of the log.
            shrinkage: Weight ``a`` of the prior, in outcomes.
            kept: Share of the fitted outcomes that decay has left, 0 to 1.
            basis: Of the coordinates; None without coordinates.
        """
        fitted, n = kept * base.profile.counts, sums.effective()
        cells = 2.0 * (fitted + max(shrinkage, 1.0))
        # The table says little of novel prompts: their row has a weak prior of its own, and they
        # hardly move the other rows.
        cells[-1] = 2.0 * OVERALL_WEIGHT
        models = 2.0 * (fitted[-1] + OVERALL_WEIGHT)
        slopes = np.zeros((len(models), 0))
        if basis is not None:
            slopes = 2.0 * (fitted[-1][:, None] + SLOPE_WEIGHT / basis.spread**2)
        tried = n.sum(axis=0)
        return cls(
            cells=cells,
            clusters=_weighted_mean(cells, n, axis=1),
            models=models,
            common=float(_weighted_mean(models, tried, axis=0)),
            slopes=slopes,
            common_slopes=_weighted_mean(slopes, np.tile(tried, (slopes.shape[1], 1)).T, axis=0),
        )


@dataclass(frozen=True)
class PosteriorUpdate:
    """Posterior means of the effects, as differences from the fitted estimates.

    Attributes:
        models: Of each model everywhere, float64 (m,): ``common + model``.
        cells: Of each cell, float64 (k + 1, m): the sum of all effects but slopes and scale, for a
            deviation of 0; row k is for novel prompts.
        coefficients: Of the coordinates in standard deviations, float64 (m, r).
        scale: By which part the deviations of estimates from the models' mean ones grow.
        own_weight: Weight of a cell's own outcomes in its cell effect, (k + 1, m).
        total_weight: Weight of a cell's own outcomes in the sum of effects, (k + 1, m).
    """

    models: Floats
    cells: Floats
    coefficients: Floats
    scale: float
    own_weight: Floats
    total_weight: Floats


def posterior_update(sums: LogSums, prior: EffectPrior) -> PosteriorUpdate:
    """Compute the posterior means.

    A model's own effect everywhere is shrunk besides, as far as it may be noise.

    Args:
        sums: Sums of the log.
        prior: Precisions of the effects.
    """
    system = _System.of(sums, prior)
    matrix, right = system.matrix, system.right
    inverse = np.linalg.inv(matrix + np.diag(system.precision))
    solved = inverse @ right
    noise = float(np.average(outcome_variance(sums), weights=sums.effective().sum(axis=0) + 1e-9))
    own = system.own
    shrunk = _positive_part(solved[own], np.diag(inverse)[own], 1.0 / prior.models, noise)
    # Those are final, and so is the common effect; the others follow once more, given these.
    fixed = np.r_[system.common, np.arange(own.start, own.stop)]
    solved[fixed] = np.append(solved[system.common], shrunk)
    free = np.setdiff1d(np.arange(len(right)), fixed)
    left = right[free] - matrix[np.ix_(free, fixed)] @ solved[fixed]
    solved[free] = np.linalg.solve(
        matrix[np.ix_(free, free)] + np.diag(system.precision[free]), left
    )
    clusters, common_slopes = solved[system.clusters], solved[system.slopes]
    scale = float(np.clip(solved[system.scale], MIN_SCALE, MAX_SCALE))
    models = solved[system.common] + shrunk
    coefficients = common_slopes + system.own_slopes(solved)
    rows = system.rows
    explained = rows[..., 0] * (models + clusters[:, None]) + scale * rows[..., -2]
    explained += np.einsum("cmi,mi->cm", rows[..., 1:-2], coefficients)
    cells = (rows[..., -1] - explained) / (rows[..., 0] + prior.cells)
    # A novel prompt has no deviation.
    cells[:-1] -= scale * system.deviation
    n = sums.effective()
    own_weight = n / (n + prior.cells)
    h = own_weight * prior.cells
    return PosteriorUpdate(
        models=models,
        cells=models + clusters[:, None] + cells,
        coefficients=coefficients,
        scale=scale,
        own_weight=own_weight,
        total_weight=own_weight
        + (1.0 - own_weight) * h / (prior.clusters + h.sum(axis=1))[:, None],
    )


@dataclass(frozen=True)
class _System:
    """Normal equations of clusters, common slopes, scale, the common effect and models, in order.

    Cells and the models' own slopes are eliminated.

    Attributes:
        matrix: Without the priors.
        right: Right side.
        precision: Of the priors, its diagonal.
        rows: By cell the sums of 1, the coordinates, the deviation and the residual,
            (k + 1, m, r + 3).
        deviation: Mean deviation, which is taken off.
        crossed: Of each model, its own slopes' products with all unknowns and with the residual,
            divided by their matrix, (m, r, unknowns + 1).
    """

    matrix: Floats
    right: Floats
    precision: Floats
    rows: Floats
    deviation: float
    crossed: Floats

    @classmethod
    def of(cls, sums: LogSums, prior: EffectPrior) -> _System:
        weight, squares = sums["weight"].sum(axis=0), sums["weight2"].sum(axis=0)
        # Outcomes of different weights count as their effective number, as in a mean.
        worth = np.divide(weight, squares, out=np.ones_like(weight), where=squares > 0.0)
        cells, products = sums.design
        rows, products = cells * worth[:, None], products * worth[:, None, None]
        k, m, r = rows.shape[0], rows.shape[1], rows.shape[2] - 3
        deviation = _center_deviations(rows, products)
        # Without the cells: each takes its part of the mean.
        total = rows[..., 0] + prior.cells
        part = rows * (prior.cells / total)[..., None]
        q = np.zeros((m, r + 3, r + 3))
        q[:, 0] = q[:, :, 0] = part.sum(axis=0)
        mean = rows[..., 1:] / total[..., None]
        q[:, 1:, 1:] = products - np.einsum("cmi,cmj->mij", rows[..., 1:], mean)

        clusters, slopes, scale = np.arange(k), np.arange(k, k + r), k + r
        common, models = k + r + 1, np.arange(k + r + 2, k + r + 2 + m)
        size = k + r + 2 + m
        # The last column is the right side.
        full = np.zeros((size, size + 1))
        columns = np.r_[common, slopes, scale, size]  # the order of ``rows`` and ``q``
        full[clusters, clusters] = part[..., 0].sum(axis=1)
        full[models, models] = q[:, 0, 0]
        full[np.ix_(columns[:-1], columns)] = q.sum(axis=0)[:-1]
        for at, others, block in (
            (clusters, columns, part.sum(axis=1)),
            (models, columns, q[:, 0]),
            (clusters, models, part[..., 0]),
        ):
            full[np.ix_(at, others)] = block
            unknown = others < size
            full[np.ix_(others[unknown], at)] = block[:, unknown].T
        crossed = np.zeros((m, r, size + 1))
        for i in range(m if r else 0):
            own = q[i, 1 : r + 1]
            crossed[i][:, clusters] = part[:, i, 1 : r + 1].T
            crossed[i][:, columns] = own
            crossed[i][:, models[i]] = own[:, 0]
            solved = np.linalg.solve(own[:, 1 : r + 1] + np.diag(prior.slopes[i]), crossed[i])
            full -= crossed[i][:, :size].T @ solved
            crossed[i] = solved
        precision = np.concatenate(
            [
                prior.clusters,
                prior.common_slopes,
                [VARIANCE / SCALE_DEVIATION**2, prior.common],
                prior.models,
            ]
        )
        return cls(full[:, :size], full[:, size], precision, rows, deviation, crossed)

    @property
    def clusters(self) -> slice:
        """Places of the clusters."""
        return slice(0, len(self.rows))

    @property
    def slopes(self) -> slice:
        """Places of the common slopes."""
        return slice(self.clusters.stop, self.clusters.stop + self.rows.shape[2] - 3)

    @property
    def scale(self) -> int:
        """Place of the scale."""
        return int(self.slopes.stop)

    @property
    def common(self) -> int:
        """Place of the effect common to all."""
        return self.scale + 1

    @property
    def own(self) -> slice:
        """Places of the models."""
        return slice(self.common + 1, len(self.right))

    def own_slopes(self, solved: Floats) -> Floats:
        """Return the models' own slopes given the other unknowns, (m, r)."""
        slopes: Floats = self.crossed[..., -1] - self.crossed[..., :-1] @ solved
        return slopes


def _center_deviations(rows: Floats, products: Floats) -> float:
    """Take the mean deviation off those of all prompts that are not novel, in place.

    Args:
        rows: Sums by cell of 1, the coordinates, the deviation and the residual.
        products: By model of each two but 1; those of novel prompts have no deviation in them.

    Returns:
        The mean.
    """
    known = rows[:-1]
    n = known[..., 0].sum()
    mean = float(known[..., -2].sum() / n) if n > 0.0 else 0.0
    of_model, at = known.sum(axis=0), products.shape[1] - 2
    square = products[:, at, at] - 2.0 * mean * of_model[:, -2] + mean**2 * of_model[:, 0]
    products[:, at] -= mean * of_model[:, 1:]
    products[:, :, at] -= mean * of_model[:, 1:]
    products[:, at, at] = square
    known[..., -2] -= mean * known[..., 0]
    return mean


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
