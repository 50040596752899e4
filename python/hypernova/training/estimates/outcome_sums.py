"""Sum the outcomes of tasks by cluster and model, and their products with the vectors.

Not here: which cluster a task is in, or the estimates (see ``profile``).

Summands are rounded to multiples of a power of two, so fine that no figure shows it, and so coarse
that float64 adds them without rounding. The sums of a fold taken off those of the whole are
therefore those of the other folds, to the bit, and no order, number of threads or size of pieces
changes them: products of vectors up to 131,072 tasks in one piece, scores up to two million tasks
in a cell, costs up to 131,072 USD, latencies up to 134 million seconds and tokens up to 35 million
million in a cell, and products of tokens and characters up to as many for a model: a million tasks
of 10,000 characters and 2,500 tokens. Sums beyond that depend on the order alone, and pieces have
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from hypernova.training.estimates.sums import Sums, sum_by_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hypernova.numeric import Floats, Ints

_Value = TypeVar("_Value", bound=np.generic)

# Binary digits after the point that summands keep: of scores, of USD, of seconds, of tokens, and of
# the factors of a product, whose products then have twice as many.
SCORE_BITS, COST_BITS, LATENCY_BITS, TOKEN_BITS, FACTOR_BITS = 32, 36, 26, 8, 18
# Products of tasks are summed in pieces of this number, which bounds float64 copies of vectors.
PIECE_TASKS = 1024


def rounded(values: Floats, bits: int) -> Floats:
    """Round values to multiples of ``2**-bits``, float64."""
    scaled: Floats = values.astype(np.float64) * 2.0**bits
    np.rint(scaled, out=scaled)
    scaled *= 2.0**-bits
    return scaled


def _by_cell(values: Floats, cells: Ints, n_cells: int) -> tuple[Floats, Floats]:
    """Count and sum the values (n, m) that are not NaN by cell, (n_cells, m) each."""
    m = values.shape[1]
    known = ~np.isnan(values)
    index, shape = cells[:, None] * np.int64(m) + np.arange(m), (n_cells, m)
    count = sum_by_cell(known.astype(np.float64), index, shape)
    return count, sum_by_cell(np.where(known, values, 0.0), index, shape)


def _with_whole(rows: Floats) -> Floats:
    """Add a last row for the whole table to sums by cluster, (..., k, m)."""
    return np.concatenate([rows, rows.sum(axis=-2, keepdims=True)], axis=-2)


def sum_outcomes(
    score: Floats, cost_usd: Floats, latency_s: Floats, clusters: Ints, k: int
) -> Sums:
    """Sum the outcomes of tasks by cluster.

    Args:
        score: (n, m) in 0..1, NaN where there is no outcome.
        cost_usd: (n, m), NaN where unknown.
        latency_s: (n, m), NaN where unknown.
        clusters: (n,) in 0..k-1.
        k: Number of clusters.

    Returns:
        float64 (k + 1, m) each, row ``k`` for all tasks: ``n`` outcomes, ``score`` and
        ``score2``, the sums of scores and their squares, ``cost_n`` and ``cost``, the number of
        known costs and their sum in USD, ``latency_n`` and ``latency``, the same in seconds; and
        ``tasks`` (k + 1, 1), the number of tasks.
    """
    return sum_outcomes_by_fold(score, cost_usd, latency_s, clusters, k, np.zeros_like(clusters))[0]


def sum_outcomes_by_fold(
    score: Floats, cost_usd: Floats, latency_s: Floats, clusters: Ints, k: int, folds: Ints
) -> list[Sums]:
    """Sum as `sum_outcomes` does, for each fold; ``folds`` has that of each task, (n,)."""
    n_folds = int(folds.max(initial=0)) + 1
    cells = folds * np.int64(k) + clusters
    found: dict[str, Floats] = {}
    for name, values, bits in (
        ("score", score, SCORE_BITS),
        ("cost", cost_usd, COST_BITS),
        ("latency", latency_s, LATENCY_BITS),
    ):
        count = "n" if name == "score" else f"{name}_n"
        if np.isnan(values).all():
            found[count] = found[name] = np.zeros((n_folds * k, values.shape[1]))
        else:
            found[count], found[name] = _by_cell(rounded(values, bits), cells, n_folds * k)
    found["score2"] = _by_cell(rounded(score**2, SCORE_BITS), cells, n_folds * k)[1]
    tasks = np.bincount(cells, minlength=n_folds * k)
    found["tasks"] = tasks.astype(np.float64)[:, None]
    by_fold = {
        name: _with_whole(rows.reshape(n_folds, k, rows.shape[1])) for name, rows in found.items()
    }
    return [Sums({name: rows[f] for name, rows in by_fold.items()}) for f in range(n_folds)]


def sum_tokens(
    input_tokens: Floats, output_tokens: Floats, chars: Ints, clusters: Ints, k: int
) -> Sums:
    """Sum the tokens of tasks by cluster, and their products with the lengths of the prompts.

    Args:
        input_tokens: (n, m), NaN where unknown.
        output_tokens: (n, m), NaN where unknown.
        chars: Number of characters of each prompt, (n,).
        clusters: (n,) in 0..k-1.
        k: Number of clusters.

    Returns:
        float64 (k + 1, m) each, row ``k`` for all tasks: ``input_tokens_n`` and ``input_tokens``,
        the number of outcomes whose input tokens are known and their sum, ``output_tokens_n`` and
        ``output_tokens``, the same for output tokens; and float64 (m,) each, over the outcomes
        whose input tokens are known: ``chars``, ``chars2`` and ``chars_tokens``, the sums of
        characters, their squares and their products with the input tokens.
    """
    none = np.zeros_like(clusters)
    return sum_tokens_by_fold(input_tokens, output_tokens, chars, clusters, k, none)[0]


def sum_tokens_by_fold(
    input_tokens: Floats, output_tokens: Floats, chars: Ints, clusters: Ints, k: int, folds: Ints
) -> list[Sums]:
    """Sum as `sum_tokens` does, for each fold; ``folds`` has that of each task, (n,)."""
    n_folds, m = int(folds.max(initial=0)) + 1, input_tokens.shape[1]
    cells = folds * np.int64(k) + clusters
    found: dict[str, Floats] = {}
    tokens = rounded(input_tokens, TOKEN_BITS)
    for name, values in (
        ("input_tokens", tokens),
        ("output_tokens", rounded(output_tokens, TOKEN_BITS)),
    ):
        for key, rows in zip(
            (f"{name}_n", name), _by_cell(values, cells, n_folds * k), strict=True
        ):
            found[key] = _with_whole(rows.reshape(n_folds, k, m))
    length = chars.astype(np.float64)[:, None]
    of_known = np.where(np.isnan(tokens), np.nan, length)
    for name, values in (
        ("chars", of_known),
        ("chars2", of_known * length),
        ("chars_tokens", tokens * length),
    ):
        found[name] = _by_cell(values, folds, n_folds)[1]
    return [Sums({name: rows[f] for name, rows in found.items()}) for f in range(n_folds)]


def sum_pairs(score: Floats, references: Sequence[int], clusters: Ints, k: int) -> Sums:
    """Sum the paired gains over each of some reference models by cluster.

    Args:
        score: (n, m), NaN where there is no outcome.
        references: Indices of r models.
        clusters: (n,) in 0..k-1.
        k: Number of clusters.

    Returns:
        float64 (r, k + 1, m) each: ``pair_n``, the number of tasks with an outcome of both models,
        ``pair_gain`` and ``pair_gain2``, the sums of gains and their squares.
    """
    return sum_pairs_by_fold(score, references, clusters, k, np.zeros_like(clusters))[0]


def sum_pairs_by_fold(
    score: Floats, references: Sequence[int], clusters: Ints, k: int, folds: Ints
) -> list[Sums]:
    """Sum as `sum_pairs` does, for each fold; ``folds`` has that of each task, (n,)."""
    n_folds, m = int(folds.max(initial=0)) + 1, score.shape[1]
    cells = folds * np.int64(k) + clusters
    found: dict[str, list[Floats]] = {"pair_n": [], "pair_gain": [], "pair_gain2": []}
    for reference in references:
        gain = rounded(score - score[:, [reference]], SCORE_BITS)
        n, gained = _by_cell(gain, cells, n_folds * k)
        squares = _by_cell(rounded(gain**2, SCORE_BITS), cells, n_folds * k)[1]
        for name, rows in zip(found, (n, gained, squares), strict=True):
            found[name].append(_with_whole(rows.reshape(n_folds, k, m)))
    stacked = {name: np.stack(rows) for name, rows in found.items()}
    return [
        Sums({name: rows[:, f] for name, rows in stacked.items()}, tuple(references))
        for f in range(n_folds)
    ]


def classes_of(score: Floats) -> tuple[tuple[int, ...], ...]:
    """Return the classes of models with outcomes for exactly the same tasks (see `Sums`)."""
    known = np.packbits(~np.isnan(score), axis=0)
    found: dict[bytes, list[int]] = {}
    for model in range(score.shape[1]):
        found.setdefault(known[:, model].tobytes(), []).append(model)
    return tuple(map(tuple, found.values()))


def sum_vectors(vectors: Floats, score: Floats) -> Sums:
    """Sum the vectors, and their products with each other.

    Args:
        vectors: float32 (n, dim), of at most unit length.
        score: (n, m), NaN where there is no outcome.

    Returns:
        float64, for the tasks of each class of models: ``class_n`` (classes,), ``class_vector``
        (classes, dim) and ``class_gram`` (classes, dim, dim), the sums of 1, x and x x'.
    """
    classes, dim = classes_of(score), vectors.shape[1]
    sums = {
        "class_n": np.zeros(len(classes)),
        "class_vector": np.zeros((len(classes), dim)),
        "class_gram": np.zeros((len(classes), dim, dim)),
    }
    for x, y in _pieces(vectors, score):
        known = ~np.isnan(y)
        for i, models in enumerate(classes):
            has = known[:, models[0]]
            theirs = x if has.all() else x[has]
            sums["class_n"][i] += len(theirs)
            sums["class_vector"][i] += theirs.sum(axis=0)
            sums["class_gram"][i] += theirs.T @ theirs
    return Sums(sums, classes=classes)


def sum_vector_scores(vectors: Floats, score: Floats) -> Sums:
    """Sum the products of vectors and scores.

    Args:
        vectors: float32 (n, dim), of at most unit length.
        score: (n, m) in 0..1, NaN where there is no outcome.

    Returns:
        float64, for each model: ``vector_score`` (m, dim) and ``factor_score`` (m,), the sums of
        x times score and of scores, rounded as factors are.
    """
    m = score.shape[1]
    sums = {"vector_score": np.zeros((m, vectors.shape[1])), "factor_score": np.zeros(m)}
    for x, y in _pieces(vectors, score):
        known = rounded(np.where(np.isnan(y), 0.0, y), FACTOR_BITS)
        sums["vector_score"] += known.T @ x
        sums["factor_score"] += known.sum(axis=0)
    return Sums(sums)


def sum_products(vectors: Floats, score: Floats) -> Sums:
    """Sum as `sum_vectors` and `sum_vector_scores` do."""
    return sum_vectors(vectors, score).with_sums(sum_vector_scores(vectors, score))


def _pieces(vectors: Floats, values: NDArray[_Value]) -> Iterator[tuple[Floats, NDArray[_Value]]]:
    """Yield pieces of the vectors, rounded in float64, and of other values of the tasks."""
    for start in range(0, len(vectors), PIECE_TASKS):
        piece = slice(start, start + PIECE_TASKS)
        yield rounded(vectors[piece], FACTOR_BITS), values[piece]


def sum_groups(vectors: Floats, groups: Ints, n_groups: int) -> Sums:
    """Sum the vectors by group, and their products with each other.

    Args:
        vectors: float32 (n, dim), of at most unit length.
        groups: Group of each, (n,) in 0..n_groups-1.
        n_groups: Number of groups.

    Returns:
        float64: ``group_n`` (groups,), ``group_vector`` (groups, dim), and ``group_gram``
        (dim, dim) over all groups.
    """
    dim = vectors.shape[1]
    sums = {
        "group_n": np.zeros(n_groups),
        "group_vector": np.zeros((n_groups, dim)),
        "group_gram": np.zeros((dim, dim)),
    }
    for x, own in _pieces(vectors, groups):
        member = np.zeros((n_groups, len(x)))
        member[own, np.arange(len(x))] = 1.0
        sums["group_n"] += member.sum(axis=1)
        sums["group_vector"] += member @ x
        sums["group_gram"] += x.T @ x
    return Sums(sums)
