"""Find constant models, identical models, and scores that look like percentages.

Not here: the sentences on them (`notes`).

How alike is too alike depends on the table: two strong models agree on nearly all tasks of an easy
one. So both rules take the most alike that the table holds otherwise, and ask whether as many tasks
would then be equal by chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.numeric import Floats, Ints

# Fewer outcomes than this are no sign of anything.
MIN_OUTCOMES = 10
# Chance, over a whole table of honest outcomes, of a note on a constant or an identical model.
_MAX_CHANCE = 1e-3
# A score of 1, taken for a percentage.
_PERCENT = 0.01
# Tasks that are compared at a time, at first.
_BLOCK_TASKS = 64
# Tasks on which it is measured how alike other models are.
_ALIKE_TASKS = 4096


def constant_models(score: Floats) -> list[tuple[int, float, int]]:
    """Find models whose scores are all equal, though another model's chance says otherwise.

    The chance is that of the model which has this score most often on the same tasks, as often as
    the constant model has outcomes; a model that is constant itself does not count.

    Args:
        score: float64 (tasks, models); NaN is a hole.

    Returns:
        Model, score and number of outcomes of each.
    """
    low, high = np.fmin.reduce(score, axis=0), np.fmax.reduce(score, axis=0)
    constant = low == high
    found = []
    for m in np.flatnonzero(constant).tolist():
        same = score[~np.isnan(score[:, m])]
        rest = same[:, ~constant]
        n = np.count_nonzero(~np.isnan(rest), axis=0)
        equal = np.count_nonzero(rest == high[m], axis=0)
        shares = ((equal + 1) / (n + 2))[n >= MIN_OUTCOMES]
        share = shares.max() if shares.size else 0.5
        if len(same) >= MIN_OUTCOMES and share ** len(same) * score.shape[1] < _MAX_CHANCE:
            found.append((m, float(high[m]), len(same)))
    return found


def identical_models(score: Floats) -> list[tuple[int, int, int]]:
    """Find pairs of models with equal scores on all tasks that both have.

    Equal by chance is what two independent models with these scores would be, or as often as the
    most alike pair that is not identical, whichever is more. Constant models are passed over.

    Args:
        score: float64 (tasks, models); NaN is a hole.

    Returns:
        The two models, and the number of tasks that both have.
    """
    known = ~np.isnan(score)
    varied = np.flatnonzero(np.fmin.reduce(score, axis=0) != np.fmax.reduce(score, axis=0))
    first, second = (varied[side] for side in np.triu_indices(len(varied), 1))
    counts = known.astype(np.float32)
    shared = (counts.T @ counts)[first, second].astype(np.int64)
    left = np.flatnonzero(shared >= MIN_OUTCOMES)
    start, size = 0, _BLOCK_TASKS
    while left.size and start < len(score):
        block, here = score[start : start + size], known[start : start + size]
        i, j = first[left], second[left]
        differ = (block[:, i] != block[:, j]) & here[:, i] & here[:, j]
        left = left[~differ.any(axis=0)]
        start, size = start + size, min(2 * size, _ALIKE_TASKS)
    if not left.size:
        return []
    pairs = list(zip(first[left].tolist(), second[left].tolist(), strict=True))
    alike = _most_alike(score, set(pairs))
    found = []
    for (one, other), n in zip(pairs, shared[left].tolist(), strict=True):
        values = score[known[:, one] & known[:, other], one]
        shares = np.unique(values, return_counts=True)[1] / n
        if max(alike, float(shares @ shares)) ** n * len(first) < _MAX_CHANCE:
            found.append((one, other, n))
    return found


def _most_alike(score: Floats, identical: set[tuple[int, int]]) -> float:
    """Return the largest share of equal scores of two models that are not identical."""
    rows = np.linspace(0, len(score) - 1, min(len(score), _ALIKE_TASKS)).astype(np.int64)
    part = score[rows]
    known = ~np.isnan(part)
    alike = 0.0
    for i in range(part.shape[1]):
        both = known & known[:, [i]]
        n = both.sum(axis=0)
        equal = (both & (part == part[:, [i]])).sum(axis=0)
        others = [
            j
            for j in range(part.shape[1])
            if j != i and n[j] >= MIN_OUTCOMES and (min(i, j), max(i, j)) not in identical
        ]
        if others:
            alike = max(alike, float(((equal + 1) / (n + 2))[others].max()))
    return alike


def largest_percentages(score: Floats, groups: Ints) -> tuple[Floats, Floats]:
    """Find scores that are so small that they may be percentages divided by 100 twice.

    Args:
        score: float64 (tasks, models); NaN is a hole.
        groups: Number of each task's group, from 0, int64 (tasks,).

    Returns:
        Largest score of each such model, float64 (models,), and of each such group,
        float64 (groups,); NaN for the others.
    """
    of_group = np.full(int(groups.max()) + 1, np.nan)
    np.fmax.at(of_group, groups, np.fmax.reduce(score, axis=1))
    of_model = np.fmax.reduce(score, axis=0)
    # A few points of partial credit are no scale.
    for m in np.flatnonzero(of_model <= _PERCENT):
        if np.count_nonzero(score[:, m] > 0) < MIN_OUTCOMES:
            of_model[m] = np.nan
    for g in np.flatnonzero(of_group <= _PERCENT):
        if np.count_nonzero(score[groups == g] > 0) < MIN_OUTCOMES:
            of_group[g] = np.nan
    of_model[~((of_model > 0) & (of_model <= _PERCENT))] = np.nan
    of_group[~((of_group > 0) & (of_group <= _PERCENT))] = np.nan
    return of_model, of_group
