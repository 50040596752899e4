"""The other routers, each as strong as its idea allows.

Not here: hypernova itself, folds and figures (see ``compare``).

A router sees its training part only, and tunes its one knob inside it, on prompts that
it did not learn from. A knob is tuned for the score of the chosen models, which the
comparison reports. Of knobs that do equally well the router uses the one that trusts the
prompts least; of models predicted to do equally well in a task, the one with the better
rate in the whole training part, then the lower index.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from hypernova.training.cross_validation import deal_folds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypernova.numeric import Floats, Ints

NEIGHBOURS = (5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480)
# From nearly none to so large that no prompt changes the choice.
PENALTIES = (10.0 ** np.arange(0.0, 4.5, 0.5)).tolist()
INNER_FOLDS = 5
# Number of times that the training part is dealt into folds to tune. A fit of logistic
# regressions takes some twenty-five times as long as one of ridge regressions.
RIDGE_REPEATS = 4
LOGISTIC_REPEATS = 1
# Relative. Predictions are then within 0.02 logits of those of 1e-12, in half the time.
LOGISTIC_TOLERANCE = 1e-7
CLUSTERS = 20
STARTS = 10


@dataclass(frozen=True)
class Training:
    """The training part of a fold.

    Attributes:
        vectors: float32 (n, dim), rows of unit length.
        score: float64 (n, m) in 0..1, without holes.
        prompts: (n,) the same number for tasks with the same prompt.
        seed: Seed of learning.
    """

    vectors: Floats
    score: Floats
    prompts: Ints
    seed: int


@dataclass(frozen=True)
class Fitted:
    """A router that has learned.

    Attributes:
        choose: Function from vectors, float32 (n, dim), to models, (n,).
        knob: The tuned knob; None without a knob.
    """

    choose: Callable[[Floats], Ints]
    knob: float | None = None


@dataclass(frozen=True)
class Linear:
    """One linear function of the vector for each model.

    Attributes:
        weights: float64 (dim, m).
        intercepts: float64 (m,).
    """

    weights: Floats
    intercepts: Floats

    def predict(self, vectors: Floats) -> Floats:
        """Compute the values for vectors (n, dim), float64 (n, m)."""
        values: Floats = vectors @ self.weights + self.intercepts
        return values


def best_single(train: Training) -> Fitted:
    """Choose the model with the best mean score, for every prompt."""
    best = int(np.argmax(train.score.mean(axis=0)))
    return Fitted(lambda vectors: np.full(len(vectors), best))


def knn(train: Training) -> Fitted:
    """Choose the best mean score among the nearest training prompts, by cosine.

    The number of neighbours is tuned by leaving out one prompt at a time.
    """
    tried = [k for k in NEIGHBOURS if k < len(np.unique(train.prompts))]
    accuracy = knn_accuracy(train, tried)
    k = int(_best_knob(tried, accuracy))
    index = _index(train.vectors)

    def choose(vectors: Floats) -> Ints:
        near = index.kneighbors(vectors, k, return_distance=False)
        return best_of(train.score[near].sum(axis=1), train)

    return Fitted(choose, k)


def knn_accuracy(train: Training, tried: Sequence[int]) -> list[float]:
    """Compute the accuracy for each number of neighbours, leaving out each prompt in turn.

    Args:
        train: The training part.
        tried: Numbers of neighbours, rising, each less than the number of different prompts.
    """
    # Tasks with the prompt itself are among the nearest: ask for as many more, drop them.
    _, times = np.unique(train.prompts, return_counts=True)
    near = _index(train.vectors).kneighbors(
        train.vectors, tried[-1] + times.max(), return_distance=False
    )
    own = train.prompts[near] == train.prompts[:, None]
    near = np.take_along_axis(near, np.argsort(own, axis=1, kind="stable"), axis=1)
    total = np.zeros_like(train.score)
    accuracy = []
    for start, end in pairwise([0, *tried]):
        total += train.score[near[:, start:end]].sum(axis=1)
        accuracy.append(_mean_score(train.score, best_of(total, train)))
    return accuracy


def ridge(train: Training) -> Fitted:
    """Fit a ridge regression of each model's score on the vector, one penalty for all."""
    return _tuned(train, ridge_path, RIDGE_REPEATS)


def logistic(train: Training) -> Fitted:
    """Fit a logistic regression of each model's success on the vector, one penalty for all."""
    return _tuned(train, logistic_path, LOGISTIC_REPEATS)


def ridge_path(vectors: Floats, score: Floats, penalties: Sequence[float]) -> Iterator[Linear]:
    """Fit ridge regressions with intercepts, one after another.

    Args:
        vectors: (n, dim).
        score: (n, m).
        penalties: Factors of the sum of squared weights, against the sum of squared errors.
    """
    centre, rates = vectors.mean(axis=0, dtype=np.float64), score.mean(axis=0)
    centred = vectors - centre
    spread, axes = np.linalg.eigh(centred.T @ centred)
    along = axes.T @ (centred.T @ (score - rates))
    for penalty in penalties:
        weights = axes @ (along / (spread + penalty)[:, None])
        yield Linear(weights, rates - centre @ weights)


def logistic_path(vectors: Floats, score: Floats, penalties: Sequence[float]) -> Iterator[Linear]:
    """Fit logistic regressions with intercepts, each started from the one before.

    A score between 0 and 1 counts as that part of a success.

    Args:
        vectors: (n, dim).
        score: (n, m) in 0..1.
        penalties: Factors of half the sum of squared weights, against the sum of log losses.
    """
    rows = vectors.astype(np.float64)
    shape = (rows.shape[1] + 1, score.shape[1])

    def loss(flat: Floats, penalty: float) -> tuple[float, Floats]:
        weights, intercepts = flat.reshape(shape)[:-1], flat.reshape(shape)[-1]
        logit = rows @ weights + intercepts
        value = (np.logaddexp(0.0, logit) - score * logit).sum()
        slope = expit(logit) - score
        gradient = np.vstack([rows.T @ slope + penalty * weights, slope.sum(axis=0)])
        return float(value + 0.5 * penalty * (weights**2).sum()), gradient.ravel()

    flat = np.zeros(shape[0] * shape[1])
    for penalty in penalties:
        found = minimize(
            loss,
            flat,
            args=(penalty,),
            jac=True,
            method="L-BFGS-B",
            options={"ftol": LOGISTIC_TOLERANCE},
        )
        flat = found.x
        yield Linear(flat.reshape(shape)[:-1], flat.reshape(shape)[-1])


def nordlys(train: Training) -> Fitted:
    """Apply Nordlys' recipe: 20 clusters by k-means, raw rates, the cluster's best rate.

    Nothing is tuned, shrunk or guarded.
    """
    found = KMeans(CLUSTERS, n_init=STARTS, random_state=train.seed).fit(train.vectors)
    member = found.labels_[:, None] == np.arange(CLUSTERS)
    best = best_of(member.T.astype(np.float64) @ train.score, train)
    return Fitted(lambda vectors: best[found.predict(vectors)])


def best_of(predicted: Floats, train: Training) -> Ints:
    """Choose the models with the highest values, (n,); of equal ones the better one overall.

    Args:
        predicted: (n, m); only the order within a row counts.
        train: The source of the overall rates.
    """
    order = np.argsort(-train.score.mean(axis=0), kind="stable")
    chosen: Ints = order[np.argmax(predicted[:, order], axis=1)]
    return chosen


def _tuned(
    train: Training,
    path: Callable[[Floats, Floats, Sequence[float]], Iterator[Linear]],
    repeats: int,
) -> Fitted:
    # From the largest penalty down, so that each fit starts near its end.
    penalties = PENALTIES[::-1]
    rng = np.random.default_rng(train.seed)
    total = np.zeros(len(penalties))
    for _ in range(repeats):
        fold = deal_folds(train.prompts, INNER_FOLDS, rng)
        for f in range(INNER_FOLDS):
            inside, outside = fold != f, fold == f
            fits = path(train.vectors[inside], train.score[inside], penalties)
            for i, fitted in enumerate(fits):
                chosen = best_of(fitted.predict(train.vectors[outside]), train)
                total[i] += train.score[outside, chosen].sum()
    penalty = _best_knob(penalties, total / (repeats * len(train.prompts)))
    (tuned,) = path(train.vectors, train.score, [penalty])
    return Fitted(lambda vectors: best_of(tuned.predict(vectors), train), penalty)


def _best_knob(tried: Sequence[float], accuracy: Sequence[float] | Floats) -> float:
    """Choose the best knob; of those that are equal but for rounding the largest."""
    return max(zip(np.round(accuracy, 12), tried, strict=True))[1]


def _mean_score(score: Floats, chosen: Ints) -> float:
    return float(score[np.arange(len(chosen)), chosen].mean())


def _index(vectors: Floats) -> NearestNeighbors:
    # Of unit vectors the nearest by Euclid are those with the largest cosine.
    return NearestNeighbors(algorithm="brute", metric="euclidean").fit(vectors)
