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
    from hypernova.numeric import Floats
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
    near = [place for place in places if place.cluster is not None]
    novel = [place for place in places if place.cluster is None]
    vectors = vectors_of(choosers[0].artifact, near)
    facts = group_facts(near)
    chosen: list[list[str | None]] = []
    for chooser in choosers:
        decisions = chooser.decide(vectors, facts)
        first = chooser.unread()
        unread = None if first is None else first.model
        chosen.append([*(d and d.model for d in decisions), *([unread] * len(novel))])
    names = list(zip(*chosen, strict=True))
    return DecidedPairs(
        weights=np.array([places[place] for place in [*near, *novel]]),
        old=_indices(chosen[0], models),
        new=_indices(chosen[1], models),
        clusters=np.array(
            [NONE if p.cluster is None else p.cluster for p in [*near, *novel]], dtype=np.int64
        ),
        groups=_indices([place.group for place in [*near, *novel]], groups),
        values=np.stack(
            [estimates_at(chooser, vectors, facts, len(novel), names) for chooser in choosers],
            axis=1,
        ),
    )


def vectors_of(artifact: Artifact, places: Sequence[Place]) -> NDArray[np.float32]:
    """Return the centroid of each place's cluster, float32 (n, dim)."""
    at = np.array([place.cluster for place in places], dtype=np.int64)
    return np.ascontiguousarray(artifact.centroids[at])


def group_facts(places: Sequence[Place]) -> BatchRouteOptions:
    """Return the option ``group`` for places; without any group, no option."""
    groups = [place.group for place in places]
    return {"group": groups} if any(group is not None for group in groups) else {}


def estimates_at(
    chooser: Chooser,
    vectors: NDArray[np.float32],
    facts: BatchRouteOptions,
    n_novel: int,
    names: Sequence[tuple[str | None, ...]],
) -> Floats:
    """Estimate models at centroids, and then for novel prompts.

    Args:
        chooser: The artifact that estimates.
        vectors: Centroids, float32 (n, dim).
        facts: Options with a value for each centroid.
        n_novel: Number of further rows, for novel prompts.
        names: Names of p models for each of the n + ``n_novel`` rows.

    Returns:
        float64 (n + n_novel, p, 3), by `QUANTITIES`; NaN where the artifact does not know it.
    """
    n = len(vectors)
    whole = chooser.whole_table() if n_novel else {}
    unknown = (np.nan,) * len(QUANTITIES)
    novel = [[whole.get(name or "", unknown) for name in row] for row in names[n:]]
    near = chooser.estimates(vectors, facts, names[:n])
    if not n_novel:
        return near
    rows = np.array(novel, dtype=np.float64)
    return np.concatenate([near, rows]) if n else rows


def _indices(names: Sequence[str | None], index: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([NONE if name is None else index[name] for name in names], dtype=np.int64)
