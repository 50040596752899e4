"""The figures that follow from the counts of pairs: shares, means, kinds of prompt.

Not here: the counts (see ``tally``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hypernova.artifact.metadata import words_of
from hypernova.comparison.result import ChosenModel, KindChange, MeanChange, ModelMove, View
from hypernova.comparison.tally import NONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova._core import Artifact
    from hypernova.comparison.result import Source
    from hypernova.comparison.tally import PairSums, PairTally

# Standard errors of the end of a 95% interval.
Z95 = 1.959964


def model_moves(
    tally: PairTally, models: Sequence[str], sources: Sequence[Source]
) -> tuple[ModelMove, ...]:
    """Return the pairs of different choices, the most frequent first.

    Args:
        tally: The counts.
        models: Name of each model.
        sources: Source of each view.
    """
    n = tally.total().weight
    moves = [
        ModelMove(
            old=_name(models, old),
            new=_name(models, new),
            n=sums.weight,
            share=sums.weight / n,
            views=views_of(sums, sources),
        )
        for (old, new), sums in tally.moves().items()
    ]
    return tuple(sorted(moves, key=lambda move: (-move.n, move.old or "", move.new or "")))


def chosen_models(tally: PairTally, models: Sequence[str]) -> tuple[ChosenModel, ...]:
    """Return the models that either artifact chooses, most often chosen by the old one first."""
    found = [
        ChosenModel(model, float(old), float(new))
        for model, (old, new) in zip(models, tally.choices(), strict=True)
        if old or new
    ]
    return tuple(sorted(found, key=lambda one: (-one.old, -one.new, one.model)))


def change_kinds(
    tally: PairTally, models: Sequence[str], old: Artifact, groups: Sequence[str]
) -> tuple[tuple[KindChange, ...], tuple[KindChange, ...]]:
    """Return the decisions by cluster and by group, those with most changes first.

    Args:
        tally: The counts.
        models: Name of each model.
        old: The artifact whose clusters are counted.
        groups: Name of each group.
    """
    words = words_of(old)
    clusters = [
        KindChange(
            cluster=None if kind == NONE else kind,
            group=None,
            words=() if words is None or kind == NONE else tuple(words[kind]),
            **found,
        )
        for kind, found in _by_kind(tally.clusters, models).items()
    ]
    of_groups = [
        KindChange(cluster=None, group=groups[kind], words=(), **found)
        for kind, found in _by_kind(tally.groups, models).items()
        if kind != NONE
    ]
    clusters.sort(key=lambda kind: (-kind.changed, -1 if kind.cluster is None else kind.cluster))
    of_groups.sort(key=lambda kind: (-kind.changed, kind.group or ""))
    return tuple(clusters), tuple(of_groups)


def _by_kind(
    cells: Mapping[tuple[int, int, int], PairSums], models: Sequence[str]
) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for kind, old, new, weight in sorted(
        ((*key, sums.weight) for key, sums in cells.items()), key=lambda cell: (cell[0], -cell[3])
    ):
        row = found.setdefault(kind, {"n": 0.0, "changed": 0.0, "old": None, "new": None})
        row["n"] += weight
        if old != new:
            if not row["changed"]:  # the most frequent, by the order
                row |= {"old": _name(models, old), "new": _name(models, new)}
            row["changed"] += weight
    return found


def views_of(sums: PairSums, sources: Sequence[Source]) -> tuple[View, ...]:
    """Return the mean changes that follow from sums, for each source of values.

    Of a measured change there is an interval: by the normal distribution of the mean over tasks.
    """
    views = []
    for source, values in zip(sources, sums.values, strict=True):
        changes = [_mean_change(row, sums.weight, measured=source == "measured") for row in values]
        views.append(View(source, *changes))
    return tuple(views)


def _mean_change(row: Sequence[float], weight: float, *, measured: bool) -> MeanChange | None:
    known, before, after, squares = map(float, row)
    if known <= 0.0:
        return None
    change = (after - before) / known
    interval = None
    if measured and known > 1.0:
        variance = max(0.0, squares / known - change**2) * known / (known - 1.0)
        half = Z95 * math.sqrt(variance / known)
        interval = (change - half, change + half)
    return MeanChange(before / known, after / known, change, known / weight, interval)


def _name(models: Sequence[str], index: int) -> str | None:
    return None if index == NONE else models[index]
