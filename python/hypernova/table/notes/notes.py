"""Write the notes on a table, each one line: what is odd, where, what to do.

Not here: how it is found (`agreement`, `scores`, `costs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.paths import escaped
from hypernova.table.notes.agreement import agreement
from hypernova.table.notes.costs import odd_costs
from hypernova.table.notes.scores import constant_models, identical_models, largest_percentages
from hypernova.table.source import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.numeric import Floats, Ints

# Agreement and costs are looked at on this many tasks, which is more than they need.
_COMPARED_TASKS = 8192
# Names in a note.
_MAX_NAMES = 5


def table_notes(
    models: Sequence[str], groups: Sequence[str | None], score: Floats, cost: Floats
) -> list[str]:
    """Write the notes on the arrays of a table; `OutcomeTable.notes` describes them.

    Args:
        models: Names (models,).
        groups: Group of each task, None for a task without one.
        score: float64 (tasks, models); NaN is a hole.
        cost: float64 (tasks, models) in USD; NaN where unknown.
    """
    if not len(score):
        return []
    number: dict[str | None, int] = {}
    numbers = np.array([number.setdefault(group, len(number)) for group in groups])
    order = np.argsort(numbers, kind="stable")
    size = min(len(order), _COMPARED_TASKS)
    # The same share of each group.
    rows = order[np.linspace(0, len(order) - 1, size).astype(np.int64)]
    return [
        *_out_of_order(models, score[rows], numbers[rows], grouped=len(number) > 1),
        *_identical(models, score),
        *_constant(models, score),
        *_percentages(models, list(number), score, numbers),
        *_costs(models, cost[rows]),
        *_groups_of_one_model(models, list(number), score, numbers, order),
    ]


def _out_of_order(
    models: Sequence[str], score: Floats, groups: Ints, *, grouped: bool
) -> list[str]:
    found = agreement(score, groups)
    odd = found.disagreeing
    if not odd.size:
        return []
    each = [f"{models[m]} ({found.correlation[m]:.2f} on {found.tasks[m]:,} tasks)" for m in odd]
    reverse = ""
    if (found.z[odd] < -3).any():
        reverse = ", or right and wrong exchanged where it is negative"
    return [
        f"The scores of {_listed(each)} hardly correlate with the other models' on which tasks "
        f"{'of a group ' if grouped else ''}are hard, where {found.typical[odd].mean():.2f} is "
        f"typical: rows may be out of order{reverse}; match the outcomes to their task ids again."
    ]


def _identical(models: Sequence[str], score: Floats) -> list[str]:
    pairs = identical_models(score)
    if not pairs:
        return []
    each = [f"{models[i]} and {models[j]} ({n:,} tasks)" for i, j, n in pairs]
    return [
        f"Identical scores on all tasks that both models have: {_listed(each)}; one may be a copy "
        "of the other under a second name: check where both come from, and leave one out."
    ]


def _constant(models: Sequence[str], score: Floats) -> list[str]:
    found = constant_models(score)
    if not found:
        return []
    each = [f"{models[m]} ({value:g} on {n:,} tasks)" for m, value, n in found]
    whose, which = ("its", "model") if len(found) == 1 else ("their", "models")
    some_vary = bool((np.fmin.reduce(score, axis=0) < np.fmax.reduce(score, axis=0)).any())
    if not some_vary:
        return [
            f"All scores are the same for {_listed(each)}, and those of no model differ: check "
            f"that {whose} answers were graded."
        ]
    return [
        f"All scores are the same for {_listed(each)}, which is no chance beside the other "
        f"models': check that {whose} answers were graded, or leave the {which} out."
    ]


def _percentages(
    models: Sequence[str], names: Sequence[str | None], score: Floats, groups: Ints
) -> list[str]:
    of_model, of_group = largest_percentages(score, groups)
    remedy = "may be percentages that were divided by 100 twice; multiply them by 100"
    if not np.isnan(of_model).any() and len(models):
        return [f"All scores are at most {of_model.max():g}: they {remedy}."]
    found = []
    for what, labels, largest in (
        ("", [escaped(model) for model in models], of_model),
        ("group ", [quoted(name) for name in names], of_group),
    ):
        each = [
            f"{what}{labels[index]} (at most {largest[index]:g})"
            for index in np.flatnonzero(~np.isnan(largest)).tolist()
        ]
        if each:
            found.append(f"The scores of {_listed(each)} {remedy}.")
    return found


def _costs(models: Sequence[str], cost: Floats) -> list[str]:
    odd = odd_costs(cost)
    remedy = "check whether prices are per token, per thousand or per million tokens."
    found = []
    if odd.models.size:
        found.append(
            f"The costs of {_listed([models[m] for m in odd.models])} are {_times(odd.factor)} "
            f"those of the nearest other model on the same tasks: {remedy}"
        )
    if odd.of_rows:
        each = [
            f"{models[m]} ({_times(factor).removesuffix(' of')} on {n:,} of {known:,} tasks)"
            for m, n, known, factor in odd.of_rows
        ]
        found.append(
            f"Some costs are far from the model's others, beside other models' on the same tasks: "
            f"{_listed(each)}; {remedy}"
        )
    return found


def _groups_of_one_model(
    models: Sequence[str],
    names: Sequence[str | None],
    score: Floats,
    groups: Ints,
    order: Ints,
) -> list[str]:
    if len(models) < 2:
        return []
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    tried = np.logical_or.reduceat(~np.isnan(score)[order], starts, axis=0)
    lonely = [g for g in np.flatnonzero(tried.sum(axis=1) == 1).tolist() if names[g] is not None]
    if not lonely:
        return []
    each = [f"{quoted(names[g])} ({models[int(np.argmax(tried[g]))]})" for g in lonely]
    some = f"{len(each):,} groups have" if len(each) > 1 else "1 group has"
    return [
        f"{some} outcomes of one model alone: {_listed(each)}; nothing can be compared there: "
        "run other models on it, or leave it out."
    ]


def _times(factor: float) -> str:
    """Write a factor with the digits that matter."""
    if factor >= 1:
        return f"{factor:,.0f} times" if factor < 1e12 else "over 1e12 times"
    return f"1/{1 / factor:,.0f} of" if factor > 1e-12 else "less than 1e-12 of"


def _listed(each: Sequence[str]) -> str:
    if len(each) > _MAX_NAMES:
        each = [*each[:_MAX_NAMES], f"{len(each) - _MAX_NAMES:,} more"]
    return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} and {each[-1]}"
