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
        ``tasks`` and ``tried`` (k + 1, 1), the number of tasks and of those with an outcome. Of
        each task the number of outcomes plus one is what the following are divided by before they
        are summed: ``shared`` (m, k + 1, m), 1 for two models with outcomes; ``shared_score``
        (k + 1, m), the sum of the task's scores, for a model with an outcome; ``shared_score2``
        (k + 1, 1), the square of that sum.
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
    shared = _sum_shared(rounded(score, SCORE_BITS), cells, n_folds * k)
    found |= {name: rows for name, rows in shared.items() if name != "shared"}
    by_fold = {
        name: _with_whole(rows.reshape(n_folds, k, rows.shape[1])) for name, rows in found.items()
    }
    m = score.shape[1]
    pairs = shared["shared"].reshape(m, n_folds, k, m).transpose(1, 0, 2, 3)
    by_fold["shared"] = _with_whole(pairs)
    return [Sums({name: rows[f] for name, rows in by_fold.items()}) for f in range(n_folds)]


def _sum_shared(score: Floats, cells: Ints, n_cells: int) -> dict[str, Floats]:
    """Sum by cell what models share on the same tasks, as `sum_outcomes` has it."""
    known = ~np.isnan(score)
    models, m = known.sum(axis=1), score.shape[1]
    weight = 1.0 / (models + 1.0)
    sums = np.where(known, score, 0.0).sum(axis=1)
    tried = np.bincount(cells[models > 0], minlength=n_cells).astype(np.float64)
    share = rounded(weight, SCORE_BITS)
    if known.all():
        pairs = np.broadcast_to((tried * share[:1].sum())[None, :, None], (m, n_cells, m)).copy()
    else:
        pairs = np.zeros((m, n_cells, m))
        order = np.argsort(cells, kind="stable")
        ends = np.searchsorted(cells[order], np.arange(n_cells + 1))
        for cell in np.flatnonzero(np.diff(ends)):
            members = order[ends[cell] : ends[cell + 1]]
            theirs = known[members].astype(np.float64)
            pairs[:, cell] = theirs.T @ (theirs * share[members, None])
    mean = rounded(sums * weight, SCORE_BITS)
    of_models = _by_cell(np.where(known, mean[:, None], np.nan), cells, n_cells)[1]
    squares = np.bincount(cells, rounded(sums**2 * weight, SCORE_BITS), minlength=n_cells)
    return {
        "tried": tried[:, None],
        "shared": pairs,
        "shared_score": of_models,
        "shared_score2": squares[:, None],
    }


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
    """Sum the vectors, and their products with each other and with what models share on a task.

    Args:
        vectors: float32 (n, dim), of at most unit length.
        score: (n, m), NaN where there is no outcome.

    Returns:
        float64, for the tasks of each class of models: ``class_n`` (classes,), ``class_vector``
        (classes, dim) and ``class_gram`` (classes, dim, dim), the sums of 1, x and x x';
        ``class_share`` (classes, m) and ``class_shares`` (classes, m, dim), those of s and s x',
        where s is the share of each model in the task's outcomes. ``level_n`` (), ``level_vector``,
        ``level_gram``, ``level_share`` and ``level_shares`` are the same for all tasks with an
        outcome.
    """
    classes, dim, m = classes_of(score), vectors.shape[1], score.shape[1]
    sizes = {"n": (), "vector": (dim,), "gram": (dim, dim), "share": (m,), "shares": (m, dim)}
    sums = {f"class_{name}": np.zeros((len(classes), *size)) for name, size in sizes.items()}
    level = {f"level_{name}": np.zeros(size) for name, size in sizes.items()}
    for x, y in _pieces(vectors, score):
        known = ~np.isnan(y)
        share = _shares(known)
        parts = [known[:, models[0]] for models in classes]
        # Of one class, all tasks with an outcome are those of its models.
        parts += [np.asarray(known.any(axis=1))] if len(classes) > 1 else []
        for i, has in enumerate(parts):
            theirs, shares = (x, share) if has.all() else (x[has], share[has])
            found = {
                "n": len(theirs),
                "vector": theirs.sum(axis=0),
                "gram": theirs.T @ theirs,
                "share": shares.sum(axis=0),
                "shares": shares.T @ theirs,
            }
            for name, value in found.items():
                if i < len(classes):
                    sums[f"class_{name}"][i] += value
                if i == len(parts) - 1:
                    level[f"level_{name}"] += value
    return Sums(sums | level, classes=classes)


def _shares(known: NDArray[np.bool_]) -> Floats:
    """Return the share of each model in the outcomes of a task, rounded as factors are, (n, m)."""
    models = known.sum(axis=1, keepdims=True)
    return rounded(known / np.maximum(models, 1), FACTOR_BITS)


def sum_vector_scores(vectors: Floats, score: Floats) -> Sums:
    """Sum the products of vectors and scores.

    Args:
        vectors: float32 (n, dim), of at most unit length.
        score: (n, m) in 0..1, NaN where there is no outcome.

    Returns:
        float64, for each model: ``vector_score`` (m, dim) and ``factor_score`` (m,), the sums of
        x times score and of scores, rounded as factors are; for the tasks of each class of models
        ``class_level_vector`` (classes, dim) and ``class_level`` (classes,), the same of the task's
        mean score, and for all tasks ``level_score_vector`` (dim,) and ``level_score`` ().
    """
    classes, m, dim = classes_of(score), score.shape[1], vectors.shape[1]
    sums = {
        "vector_score": np.zeros((m, dim)),
        "factor_score": np.zeros(m),
        "class_level": np.zeros(len(classes)),
        "class_level_vector": np.zeros((len(classes), dim)),
        "level_score": np.zeros(()),
        "level_score_vector": np.zeros(dim),
    }
    for x, y in _pieces(vectors, score):
        holes = np.isnan(y)
        known = rounded(np.where(holes, 0.0, y), FACTOR_BITS)
        sums["vector_score"] += known.T @ x
        sums["factor_score"] += known.sum(axis=0)
        level = rounded(known.sum(axis=1) / np.maximum((~holes).sum(axis=1), 1), FACTOR_BITS)
        sums["level_score"] += level.sum()
        sums["level_score_vector"] += level @ x
        of_class = np.stack([np.where(holes[:, models[0]], 0.0, level) for models in classes])
        sums["class_level"] += of_class.sum(axis=1)
        sums["class_level_vector"] += of_class @ x
    return Sums(sums, classes=classes)


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
