"""The other routers, each as strong as its idea allows.

Not here: hypernova itself, folds and figures (see ``compare``).

A router sees its training part only, and tunes its one knob inside it, on prompts that
it did not learn from. A knob is tuned for the score of the chosen models, which the
comparison reports. Of knobs that do equally well the router uses the one that trusts the
prompts least; of models predicted to do equally well in a task, the one with the better
rate in the whole training part, then the lower index.

Where outcomes are missing each model is learned from its own tasks, and a model that was tried
less than half as often as the most tried one is not the best single model.
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
from hypernova.training.estimates.outcome_sums import classes_of
from hypernova.training.estimates.sums import mean_known

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
# Its penalty is tuned on at most this number of training tasks, and it is fitted on all.
LOGISTIC_TASKS = 3000
# Of the ridge regression that is not tuned.
PLAIN_PENALTY = 30.0
# Relative. Predictions are then within 0.02 logits of those of 1e-12, in half the time.
LOGISTIC_TOLERANCE = 1e-7
CLUSTERS = 20
STARTS = 10


@dataclass(frozen=True)
class Training:
    """The training part of a fold.

    Attributes:
        vectors: float32 (n, dim), rows of unit length.
        score: float64 (n, m) in 0..1, NaN where there is no outcome.
        prompts: (n,) the same number for tasks with the same prompt.
        seed: Seed of learning.
    """

    vectors: Floats
    score: Floats
    prompts: Ints
    seed: int

    @property
    def rates(self) -> Floats:
        """Mean score of each model, (m,); -inf for one that was tried less than half as often."""
        return single_rates(self.score)


@dataclass(frozen=True)
class Fitted:
    """A router that has learned.

    Attributes:
        choose: Function from vectors, float32 (n, dim), to models, (n,).
        knob: The tuned knob; None without a knob.
        estimate: Function from vectors to the success of each model, (n, m); None for a router
            that is compared without costs only.
    """

    choose: Callable[[Floats], Ints]
    knob: float | None = None
    estimate: Callable[[Floats], Floats] | None = None


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
    best = int(np.argmax(train.rates))
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
        scores = train.score[near]
        known = ~np.isnan(scores)
        return best_of(_means(np.where(known, scores, 0.0).sum(axis=1), known.sum(axis=1)), train)

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
    total, n = np.zeros_like(train.score), np.zeros_like(train.score)
    known = ~np.isnan(train.score)
    score = np.where(known, train.score, 0.0)
    accuracy = []
    for start, end in pairwise([0, *tried]):
        total += score[near[:, start:end]].sum(axis=1)
        n += known[near[:, start:end]].sum(axis=1)
        accuracy.append(_mean_score(train.score, best_of(_means(total, n), train)))
    return accuracy


def ridge(train: Training) -> Fitted:
    """Fit a ridge regression of each model's score on the vector, one penalty for all."""
    return _tuned(train, ridge_path, RIDGE_REPEATS)


def plain_ridge(train: Training) -> Fitted:
    """Fit a ridge regression of each model's score on the vector, with one penalty for ever."""
    (fitted,) = ridge_path(train.vectors, train.score, [PLAIN_PENALTY])
    return Fitted(lambda vectors: best_of(fitted.predict(vectors), train), None, fitted.predict)


def logistic(train: Training) -> Fitted:
    """Fit a logistic regression of each model's success on the vector, one penalty for all."""
    return _tuned(train, logistic_path, LOGISTIC_REPEATS, LOGISTIC_TASKS)


def ridge_path(vectors: Floats, score: Floats, penalties: Sequence[float]) -> Iterator[Linear]:
    """Fit ridge regressions with intercepts, one after another.

    Args:
        vectors: (n, dim).
        score: (n, m), NaN where there is no outcome.
        penalties: Factors of the sum of squared weights, against the sum of squared errors.
    """
    dim, m = vectors.shape[1], score.shape[1]
    weights, intercepts = np.zeros((len(penalties), dim, m)), np.zeros((len(penalties), m))
    for models in map(list, classes_of(score)):
        known = ~np.isnan(score[:, models[0]])
        if not known.any():
            intercepts[:, models] = -np.inf
            continue
        x, y = vectors[known], score[np.ix_(known, models)]
        centre, rates = x.mean(axis=0, dtype=np.float64), y.mean(axis=0)
        centred = x - centre
        spread, axes = np.linalg.eigh(centred.T @ centred)
        along = axes.T @ (centred.T @ (y - rates))
        for i, penalty in enumerate(penalties):
            solved = axes @ (along / (spread + penalty)[:, None])
            weights[i][:, models], intercepts[i, models] = solved, rates - centre @ solved
    yield from map(Linear, weights, intercepts)


def logistic_path(vectors: Floats, score: Floats, penalties: Sequence[float]) -> Iterator[Linear]:
    """Fit logistic regressions with intercepts, each started from the one before.

    A score between 0 and 1 counts as that part of a success.

    Args:
        vectors: (n, dim).
        score: (n, m) in 0..1, NaN where there is no outcome.
        penalties: Factors of half the sum of squared weights, against the sum of log losses.
    """
    rows = vectors.astype(np.float64)
    shape = (rows.shape[1] + 1, score.shape[1])
    known = ~np.isnan(score)
    score = np.where(known, score, 0.0)

    def loss(flat: Floats, penalty: float) -> tuple[float, Floats]:
        weights, intercepts = flat.reshape(shape)[:-1], flat.reshape(shape)[-1]
        logit = rows @ weights + intercepts
        value = (np.logaddexp(0.0, logit) - score * logit)[known].sum()
        slope = np.where(known, expit(logit) - score, 0.0)
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
        weights, intercepts = flat.reshape(shape)[:-1], flat.reshape(shape)[-1]
        yield Linear(weights, np.where(known.any(axis=0), intercepts, -np.inf))


def nordlys(train: Training) -> Fitted:
    """Apply Nordlys' recipe: 20 clusters by k-means, raw rates, the cluster's best rate.

    Nothing is tuned, shrunk or guarded.
    """
    found = KMeans(CLUSTERS, n_init=STARTS, random_state=train.seed).fit(train.vectors)
    member = found.labels_[:, None] == np.arange(CLUSTERS)
    known = ~np.isnan(train.score)
    total = member.T.astype(np.float64) @ np.where(known, train.score, 0.0)
    best = best_of(_means(total, member.T.astype(np.float64) @ known), train)
    return Fitted(lambda vectors: best[found.predict(vectors)])


def group_rates(train: Training, groups: Ints, n_groups: int) -> Floats:
    """Compute the mean score of each model in each group, (n_groups, m).

    A group has the overall rates of the models where the training part has none of it; a model
    that was tried in a group less than half as often as another one is not its best.

    Args:
        train: The training part.
        groups: Group of each of its tasks, (n,), -1 where it has none.
        n_groups: Number of groups.
    """
    rates = [
        single_rates(train.score[groups == g]) if (groups == g).any() else train.rates
        for g in range(n_groups)
    ]
    return np.stack(rates)


def single_rates(score: Floats) -> Floats:
    """Compute the mean score of each model, -inf for one tried less than half as often, (m,)."""
    n = (~np.isnan(score)).sum(axis=0)
    rates: Floats = np.where((n > 0) & (2 * n >= n.max()), mean_known(score), -np.inf)
    return rates


def best_of(predicted: Floats, train: Training) -> Ints:
    """Choose the models with the highest values, (n,); of equal ones the better one overall.

    Args:
        predicted: (n, m); only the order within a row counts.
        train: The source of the overall rates.
    """
    order = np.argsort(-train.rates, kind="stable")
    chosen: Ints = order[np.argmax(predicted[:, order], axis=1)]
    return chosen


def _tuned(
    train: Training,
    path: Callable[[Floats, Floats, Sequence[float]], Iterator[Linear]],
    repeats: int,
    max_tasks: int | None = None,
) -> Fitted:
    # From the largest penalty down, so that each fit starts near its end.
    penalties = PENALTIES[::-1]
    rng = np.random.default_rng(train.seed)
    total, n = np.zeros(len(penalties)), np.zeros(len(penalties))
    kept = np.arange(len(train.prompts))
    if max_tasks is not None and len(kept) > max_tasks:
        kept = rng.permutation(kept)[:max_tasks]
    vectors, score = train.vectors[kept], train.score[kept]
    for _ in range(repeats):
        fold = deal_folds(train.prompts[kept], INNER_FOLDS, rng)
        for f in range(INNER_FOLDS):
            inside, outside = fold != f, fold == f
            for i, fitted in enumerate(path(vectors[inside], score[inside], penalties)):
                chosen = best_of(fitted.predict(vectors[outside]), train)
                reached = score[outside][np.arange(outside.sum()), chosen]
                total[i] += np.nansum(reached)
                n[i] += (~np.isnan(reached)).sum()
    penalty = _best_knob(penalties, total / np.maximum(n, 1.0))
    (tuned,) = path(train.vectors, train.score, [penalty])
    return Fitted(lambda vectors: best_of(tuned.predict(vectors), train), penalty, tuned.predict)


def _best_knob(tried: Sequence[float], accuracy: Sequence[float] | Floats) -> float:
    """Choose the best knob; of those that are equal but for rounding the largest."""
    return max(zip(np.round(accuracy, 12), tried, strict=True))[1]


def _mean_score(score: Floats, chosen: Ints) -> float:
    return float(mean_known(score[np.arange(len(chosen)), chosen]))


def _means(total: Floats, n: Floats) -> Floats:
    """Divide sums of scores by their number; a model without an outcome is the last choice."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, total / n, -np.inf)


def _index(vectors: Floats) -> NearestNeighbors:
    # Of unit vectors the nearest by Euclid are those with the largest cosine.
    return NearestNeighbors(algorithm="brute", metric="euclidean").fit(vectors)
