"""Estimate missing outcomes from those that are known: a mixed model of tasks, models and kinds.

Not here: which estimates a figure needs (see ``estimated_table``), or missing costs (see
``cost_model``).

A score is ``mean + task + loading[kind] * model + interaction[kind, model] + noise``. Effects of
tasks, models and interactions are random (best linear unbiased prediction: Henderson 1975,
Biometrics 31), so an estimate of little evidence leans on what is usual, and a model that was
only run on easy tasks is not taken for a good one. Kinds differ in how far they set models apart:
each has a loading, as in factor analysis with one factor, and a variance of its own, both leaning
on those of all kinds. Variances and loadings are found by expectation maximisation (Rubin and
Thayer 1982, Psychometrika 47).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from hypernova.numeric import Floats, Ints

    Known: TypeAlias = npt.NDArray[np.bool_]

# Steps of expectation maximisation at most; most tables settle in about ten.
STEPS = 40
# Number of models with which a kind's loading and variance lean on those of all kinds.
LEANING = 4.0
# Degrees of freedom of a model's drawn effects. With those of a normal distribution the intervals
# held too seldom on `zeroeval`, where one model lies four standard errors above what its outcomes
# on the easiest kind say.
FREEDOM = 4
MIN_VARIANCE = 1e-6


@dataclass(frozen=True)
class OutcomeModel:
    """The mixed model, fitted to the known outcomes.

    Attributes:
        kinds: (tasks,) the kind of each task, from 0.
        known: (tasks, models) whether there is an outcome.
        noise: Variance of an outcome around its expectation.
        task_variance: Variance of the task effects within a kind.
        model_variance: Variance of the model effects.
        interaction_variance: (kinds,) of the interactions.
        lean: (tasks,) share of the sum of a task's residuals that is its effect.
        expected: (kinds, models) expected score of a task of mean difficulty.
        filled: (tasks, models) the scores, with estimates from 0 to 1 where they are missing.
        main: Covariance of the model effects and the kinds' means, (models + kinds, same).
        loading: (kinds,) how far a kind sets models apart.
        information: (kinds, models, models) of the outcomes about the expected scores.
        spread: (kinds, models, models) covariance of the interactions, given the main effects.
    """

    kinds: Ints
    known: Known
    noise: float
    task_variance: float
    model_variance: float
    interaction_variance: Floats
    lean: Floats
    expected: Floats
    filled: Floats
    main: Floats
    loading: Floats
    information: Floats
    spread: Floats

    @classmethod
    def fit(cls, score: Floats, kinds: Ints) -> OutcomeModel:
        """Fit the model.

        Args:
            score: (tasks, models), NaN where unknown; each task has a score.
            kinds: (tasks,) numbers from 0, all of which occur.
        """
        known = ~np.isnan(score)
        n_kinds = int(kinds.max()) + 1
        noise, task_variance = _variances(score, kinds)
        ratio = task_variance / noise
        n = known.sum(axis=1)
        lean = ratio / (1 + n * ratio)
        mean = float(score[known].mean())
        centred = np.where(known, score - mean, 0.0)
        information, evidence = [], []
        for kind in range(n_kinds):
            of_kind = np.flatnonzero(kinds == kind)
            there, values = known[of_kind].astype(np.float64), centred[of_kind]
            shared = lean[of_kind]
            information.append(
                (np.diag(there.sum(axis=0)) - there.T @ (shared[:, None] * there)) / noise
            )
            evidence.append((values.sum(axis=0) - there.T @ (shared * values.sum(axis=1))) / noise)
        found = _Effects.find(np.stack(information), np.stack(evidence))
        expected = mean + found.expected
        residual = np.where(known, score - expected[kinds], 0.0)
        estimate = expected[kinds] + (lean * residual.sum(axis=1))[:, None]
        return cls(
            kinds=kinds,
            known=known,
            noise=noise,
            task_variance=task_variance,
            model_variance=found.model_variance,
            interaction_variance=found.variance,
            lean=lean,
            expected=expected,
            filled=np.where(known, score, np.clip(estimate, 0.0, 1.0)),
            main=found.main,
            loading=found.loading,
            information=np.stack(information),
            spread=found.spread,
        )

    def draw_errors(self, rng: np.random.Generator, draws: int) -> Iterator[Floats]:
        """Draw errors of the expected scores, (models, draws) for each kind.

        A model's errors in all kinds are stretched alike, by a factor whose distribution gives
        them Student's instead of normal tails.
        """
        n_models = self.known.shape[1]
        main = np.linalg.cholesky(self.main) @ rng.normal(size=(len(self.main), draws))
        stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, size=(n_models, draws)))
        for kind, (information, spread) in enumerate(
            zip(self.information, self.spread, strict=True)
        ):
            of_main = self.loading[kind] * main[:n_models] + main[n_models + kind]
            alone = np.linalg.cholesky(spread) @ rng.normal(size=(n_models, draws))
            yield stretch * (of_main - spread @ (information @ of_main) + alone)

    def unit_weights(self, tasks: Ints, models: Ints, weights: Floats) -> Floats:
        """Weigh the errors of expected scores in a weighted sum of estimates.

        A model whose expected score is taken for too high makes tasks look harder than they are
        that it was run on, so its error enters into the estimates of other models too.

        Args:
            tasks: (n,) of each estimate.
            models: (n,) of each.
            weights: (n,) of each.

        Returns:
            (kinds, models).
        """
        n_kinds, n_models = self.expected.shape
        units = self.kinds[tasks] * n_models + models
        found: Floats = np.zeros((n_kinds, n_models))
        found += np.bincount(units, weights, minlength=found.size).reshape(found.shape)
        different, place = np.unique(tasks, return_inverse=True)
        of_task = self.lean[different] * np.bincount(place, weights)
        for kind in np.unique(self.kinds[different]):
            there = self.kinds[different] == kind
            found[kind] -= of_task[there] @ self.known[different[there]]
        return found

    def own_variance(self, tasks: Ints, weights: Floats) -> float:
        """Compute the variance that tasks of their own add to a weighted sum of estimates.

        Args:
            tasks: (n,) of each estimate, of different models or tasks.
            weights: (n,) of each.
        """
        different, place = np.unique(tasks, return_inverse=True)
        of_task = np.bincount(place, weights)
        n = self.known[different].sum(axis=1)
        unsure = self.task_variance / (1 + n * self.task_variance / self.noise)
        return self.noise * float((weights**2).sum()) + float((unsure * of_task**2).sum())


def _variances(score: Floats, kinds: Ints) -> tuple[float, float]:
    """Estimate the variances of noise and of tasks, within kinds, by their moments."""
    residual = np.full(score.shape, np.nan)
    for kind in range(int(kinds.max()) + 1):
        of_kind = kinds == kind
        values = score[of_kind]
        n = (~np.isnan(values)).sum(axis=0)
        # A mean of few takes part of their spread with it.
        stretch = np.sqrt(n / np.where(n > 1, n - 1, np.nan))
        residual[of_kind] = (values - mean_known(values)) * stretch
    n = (~np.isnan(residual)).sum(axis=1)
    mean = mean_known(residual, 1)
    within = np.nansum((residual - mean[:, None]) ** 2, axis=1)
    several = n > 1
    if not several.any():
        return max(float(np.nansum(residual**2) / max(n.sum(), 1)), MIN_VARIANCE), 0.0
    noise = max(float(within[several].sum() / (n[several] - 1).sum()), MIN_VARIANCE)
    return noise, max(float(np.mean(mean[n > 0] ** 2 - noise / n[n > 0])), 0.0)


@dataclass(frozen=True)
class _Effects:
    """Effects of models and kinds, with the variances under which they are likeliest."""

    expected: Floats
    main: Floats
    loading: Floats
    spread: Floats
    variance: Floats
    model_variance: float

    @classmethod
    def find(cls, information: Floats, evidence: Floats) -> _Effects:
        """Alternate between effects and their variances.

        Args:
            information: (kinds, models, models) of the outcomes.
            evidence: (kinds, models) information times the scores.
        """
        n_kinds = len(evidence)
        tried = np.diagonal(information, axis1=1, axis2=2) > 0
        model_variance = 0.01
        loading, variance = np.ones(n_kinds), np.full(n_kinds, 0.01)
        if n_kinds == 1:  # one kind tells no interactions from effects of models
            variance[:] = MIN_VARIANCE
        for _ in range(STEPS):
            _, square, products, squares = cls._given(
                information, evidence, loading, variance, model_variance
            )
            if n_kinds == 1:
                new_loading, new_variance = loading, variance
            else:
                step = (
                    (products * tried).sum(axis=1) + LEANING * model_variance * (1 - loading)
                ) / (tried @ square + LEANING * model_variance)
                left = ((squares - 2 * step[:, None] * products) * tried).sum(axis=1)
                left += step**2 * (tried @ square)
                pooled = left.sum() / tried.sum()
                new_variance = np.maximum(
                    (left + LEANING * pooled) / (tried.sum(axis=1) + LEANING), MIN_VARIANCE
                )
                new_loading = np.maximum(loading + step, 0.05)
            scale = float(np.sqrt(np.mean(new_loading**2)))
            new_model_variance = max(float(square.mean()) * scale**2, MIN_VARIANCE)
            settled = np.allclose(
                [new_model_variance, *new_variance, *(new_loading / scale)],
                [model_variance, *variance, *loading],
                rtol=0.01,
            )
            loading, variance = new_loading / scale, new_variance
            model_variance = new_model_variance
            if settled:
                break
        return cls._given(information, evidence, loading, variance, model_variance)[0]

    @classmethod
    def _given(
        cls,
        information: Floats,
        evidence: Floats,
        loading: Floats,
        variance: Floats,
        model_variance: float,
    ) -> tuple[_Effects, Floats, Floats, Floats]:
        """Find the effects under given variances, and the moments from which new ones follow.

        Returns:
            The effects; expected squares of the models' effects, (models,); and of the
            interactions, their products with the models' effects and their squares, both
            (kinds, models).
        """
        n_kinds, n_models = evidence.shape
        eye = np.eye(n_models)
        # Interactions are integrated out first: the main effects are few.
        shrunk = np.linalg.inv(eye + variance[:, None, None] * information)
        precision = np.zeros((n_models + n_kinds,) * 2)
        # Scores lie in 0..1: a variance of 1 says next to nothing of a kind's mean.
        precision[np.diag_indices_from(precision)] = 1.0
        precision[:n_models, :n_models] = eye / model_variance
        right = np.zeros(n_models + n_kinds)
        for kind in range(n_kinds):
            of_kind, known = shrunk[kind] @ information[kind], shrunk[kind] @ evidence[kind]
            at = n_models + kind
            precision[:n_models, :n_models] += loading[kind] ** 2 * of_kind
            precision[:n_models, at] += loading[kind] * of_kind.sum(axis=1)
            precision[at, :n_models] += loading[kind] * of_kind.sum(axis=0)
            precision[at, at] += of_kind.sum()
            right[:n_models] += loading[kind] * known
            right[at] += known.sum()
        main = np.linalg.inv(precision)
        main = (main + main.T) / 2
        effects = main @ right
        of_models = effects[:n_models]
        squares_of_models = of_models**2 + np.diag(main)[:n_models]
        spread = np.linalg.inv(information + eye / variance[:, None, None])
        spread = (spread + spread.transpose(0, 2, 1)) / 2
        expected, products, squares = (np.empty((n_kinds, n_models)) for _ in range(3))
        for kind in range(n_kinds):
            of_main = loading[kind] * of_models + effects[n_models + kind]
            interaction = spread[kind] @ (evidence[kind] - information[kind] @ of_main)
            expected[kind] = of_main + interaction
            pull = spread[kind] @ information[kind]
            moved = loading[kind] * pull @ main[:n_models]
            moved += np.outer(pull.sum(axis=1), main[n_models + kind])
            own = loading[kind] * moved[:, :n_models] @ pull.T
            own += np.outer(moved[:, n_models + kind], pull.sum(axis=1))
            products[kind] = interaction * of_models - np.diag(moved[:, :n_models])
            squares[kind] = interaction**2 + np.diag(spread[kind]) + np.diag(own)
        found = cls(
            expected=expected,
            main=main,
            loading=loading,
            spread=spread,
            variance=variance,
            model_variance=model_variance,
        )
        return found, squares_of_models, products, squares
