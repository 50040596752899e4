"""Average estimates with weights learned on held-out tasks, instead of choosing one.

Not here: the estimates that are averaged (see ``profile`` and ``linear_correction``).

Stacked regression (Wolpert 1992; Breiman 1996) with weights that are not negative. The models'
mean success of a prompt, its *level*, and each model's *contrast* with that mean have weights of
their own: only contrasts decide between models, and a prompt's level is the easier to predict.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypernova.numeric import Floats

# Strength with which weights lean on equal ones, as a share of the estimates' own variance.
LEANING = 0.1


@dataclass(frozen=True)
class StackingSums:
    """Sums of held-out estimates and scores, from which weights follow; they add up.

    Estimates and scores are differences from the models' overall rates.

    Attributes:
        products: Of each two estimates, (2, c, c): of contrasts, and of levels.
        scores: Of each estimate and the score, (2, c).
        squares: Of the score, (2,).
        n: Number of values, (2,).
    """

    products: Floats
    scores: Floats
    squares: Floats
    n: Floats

    @classmethod
    def of(cls, estimates: Floats, score: Floats) -> StackingSums:
        """Sum over n held-out tasks.

        Args:
            estimates: (c, n, m) of c estimates for m models.
            score: (n, m), NaN where there is no outcome.
        """
        known = ~np.isnan(score)
        models = known.sum(axis=1)
        share = known / np.maximum(models, 1)[:, None]

        def parts(values: Floats) -> tuple[Floats, Floats]:
            level = (np.where(known, values, 0.0) * share).sum(axis=-1)
            contrast = np.where(known, values - level[..., None], 0.0)
            return contrast.reshape(*values.shape[:-2], -1), level

        found, target = parts(estimates.astype(np.float64)), parts(score)
        return cls(
            np.stack([x @ x.T for x in found]),
            np.stack([x @ y for x, y in zip(found, target, strict=True)]),
            np.array([y @ y for y in target]),
            # A task with one outcome has no contrast, one with m has m - 1.
            np.array([np.maximum(models - 1, 0).sum(), (models > 0).sum()], dtype=np.float64),
        )

    def __add__(self, other: StackingSums) -> StackingSums:
        """Add the sums over other tasks."""
        return StackingSums(
            self.products + other.products,
            self.scores + other.scores,
            self.squares + other.squares,
            self.n + other.n,
        )

    def scaled(self, factor: float) -> StackingSums:
        """Return the sums times a factor, as of fewer tasks."""
        return StackingSums(
            self.products * factor, self.scores * factor, self.squares * factor, self.n * factor
        )


@dataclass(frozen=True)
class StackingWeights:
    """Weights of estimates.

    Attributes:
        contrast: Of each estimate's contrasts, (c,).
        level: Of each estimate's level, (c,).
    """

    contrast: tuple[float, ...]
    level: tuple[float, ...]

    @classmethod
    def of(cls, sums: StackingSums) -> StackingWeights:
        """Find the weights with the least squared error that lean on equal ones."""
        contrast, level = (
            tuple(_least_squares(a, b, float(y2), float(n)).tolist())
            for a, b, y2, n in zip(sums.products, sums.scores, sums.squares, sums.n, strict=True)
        )
        return cls(contrast, level)

    def average(self, estimates: Iterable[Floats]) -> Floats:
        """Average estimates of all models, (..., m) each; the last axis is the model."""
        parts = []
        for contrast, level, values in zip(self.contrast, self.level, estimates, strict=True):
            mean = values.mean(axis=-1, keepdims=True, dtype=np.float64)
            parts.append(contrast * (values - mean) + level * mean)
        averaged: Floats = np.sum(parts, axis=0)
        return averaged


def _least_squares(products: Floats, scores: Floats, squares: float, n: float) -> Floats:
    """Minimise the squared error over weights that are not negative.

    Besides leaning on equal weights, they have a prior as strong as one value of theirs: a
    handful of tasks makes no large weight. All sets of positive weights are tried: there are
    few estimates.
    """
    c = len(scores)
    unequal = np.eye(c) - 1.0 / c
    matrix = products + LEANING * float(np.trace(products)) / c * unequal
    matrix = matrix + max(squares / max(n, 1.0), 1e-12) * np.eye(c)
    best, least = np.zeros(c), 0.0
    for positive in _subsets(c):
        at = list(positive)
        weights = np.linalg.solve(matrix[np.ix_(at, at)], scores[at])
        if (weights >= 0.0).all():
            loss = -float(weights @ scores[at])
            if loss < least:
                least = loss
                best = np.zeros(c)
                best[at] = weights
    return best


def _subsets(c: int) -> Iterable[tuple[int, ...]]:
    for size in range(1, c + 1):
        yield from combinations(range(c), size)
