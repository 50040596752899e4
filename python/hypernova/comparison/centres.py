"""Compare two artifacts at the centroids of the old one, where there are no prompts.

Not here: the number of prompts that each centroid stands for; training tasks and logs give it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hypernova.comparison.choosing import QUANTITIES
from hypernova.comparison.tally import NONE, DecidedPairs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hypernova._core import Artifact
    from hypernova.comparison.choosing import Chooser
    from hypernova.numeric import Floats, Ints
    from hypernova.route_options import BatchRouteOptions


class Place(NamedTuple):
    """Prompts that are alike to an artifact that is known by its centroids alone.

    Attributes:
        cluster: Index of their cluster; None for novel prompts, for which the whole table decides.
        group: Name of the group that decides; None for none.
    """

    cluster: int | None
    group: str | None


def training_places(artifact: Artifact) -> dict[Place, float]:
    """Return the clusters of an artifact, each with the number of its training tasks.

    The number is the largest that a model has there; where none has any, each cluster counts 1.
    """
    counts = artifact.counts[:-1].max(axis=1)
    if not counts.any():
        counts = np.ones_like(counts)
    return {Place(at, None): float(n) for at, n in enumerate(counts) if n > 0.0}


def decided_places(
    choosers: tuple[Chooser, Chooser],
    places: Mapping[Place, float],
    models: Mapping[str, int],
    groups: Mapping[str, int],
) -> DecidedPairs:
    """Decide with both artifacts at the centroids of the old one.

    Args:
        choosers: The old and the new artifact, of the same embedder.
        places: Number of prompts of each place.
        models: Index of each model's name.
        groups: Index of each group's name.
    """
    at = list(places)
    old = choosers[0].artifact
    chosen = [_choices(chooser, old, at) for chooser in choosers]
    names = list(zip(*chosen, strict=True))
    return DecidedPairs(
        weights=np.array([places[place] for place in at], dtype=np.float64),
        old=indices_of(chosen[0], models),
        new=indices_of(chosen[1], models),
        clusters=clusters_of(at),
        groups=indices_of([place.group for place in at], groups),
        values=np.stack(
            [estimates_at(chooser, old, at, names) for chooser in choosers],
            axis=1,
        ),
    )


def _choices(chooser: Chooser, placed: Artifact, places: Sequence[Place]) -> list[str | None]:
    """Return the choice of an artifact at each place; arguments as of `estimates_at`."""
    near, novel = _divided(places)
    some = [places[row] for row in near]
    chosen: list[str | None] = [None] * len(places)
    decisions = chooser.decide(_vectors(placed, some), _facts(some))
    for row, decision in zip(near, decisions, strict=True):
        chosen[row] = None if decision is None else decision.model
    of_novel = chooser.novel() if novel else None
    for row in novel:
        chosen[row] = of_novel
    return chosen


def estimates_at(
    chooser: Chooser,
    placed: Artifact,
    places: Sequence[Place],
    names: Sequence[tuple[str | None, ...]],
) -> Floats:
    """Estimate models at places.

    Args:
        chooser: The artifact that estimates.
        placed: The artifact whose clusters the places name; of the same embedder.
        places: The n places.
        names: Names of p models for each place.

    Returns:
        float64 (n, p, 3), by `QUANTITIES`; NaN where the artifact does not know it.
    """
    found = np.full((len(places), len(names[0]) if names else 0, len(QUANTITIES)), np.nan)
    near, novel = _divided(places)
    some = [places[row] for row in near]
    found[near] = chooser.estimates(
        _vectors(placed, some), _facts(some), [names[row] for row in near]
    ).reshape(len(near), *found.shape[1:])
    whole = chooser.whole_table() if novel else {}
    for row in novel:
        for column, name in enumerate(names[row]):
            if name in whole:
                found[row, column] = whole[name]
    return found


def clusters_of(places: Sequence[Place]) -> Ints:
    """Return the cluster of each place, int64 (n,); `NONE` for novel prompts."""
    clusters = [NONE if place.cluster is None else place.cluster for place in places]
    return np.array(clusters, dtype=np.int64)


def indices_of(names: Sequence[str | None], index: Mapping[str, int]) -> Ints:
    """Return the index of each name, int64 (n,); `NONE` for None."""
    return np.array([NONE if name is None else index[name] for name in names], dtype=np.int64)


def _divided(places: Sequence[Place]) -> tuple[list[int], list[int]]:
    """Return the indices of places with a cluster, and of those of novel prompts."""
    near = [row for row, place in enumerate(places) if place.cluster is not None]
    return near, [row for row, place in enumerate(places) if place.cluster is None]


def _vectors(artifact: Artifact, places: Sequence[Place]) -> NDArray[np.float32]:
    """Return the centroid of each place's cluster, float32 (n, dim)."""
    return np.ascontiguousarray(artifact.centroids[clusters_of(places)])


def _facts(places: Sequence[Place]) -> BatchRouteOptions:
    """Return the option ``group`` for places; without any group, no option."""
    groups = [place.group for place in places]
    return {"group": groups} if any(group is not None for group in groups) else {}
