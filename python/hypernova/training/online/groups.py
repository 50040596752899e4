"""Move the profiles of groups as a log moved those of their clusters.

Not here: how the log moves a cluster's (see ``update``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.profile import GroupProfiles, clusters_of_groups
from hypernova.training.online.generation import mean_success

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.artifact.profile import Profile
    from hypernova.numeric import Floats
    from hypernova.training.online.generation import Generation
    from hypernova.training.online.lineage import Lineage


def moved_groups(
    artifact: Artifact, lineage: Lineage, after: Profile, generation: Generation, default: int
) -> GroupProfiles | None:
    """Return the profiles of an artifact's groups after a log; None if it has none.

    A group's success moves by the effects of its cluster, or of the whole table where clusters are
    not groups, and by the scale; its linear correction as those of all prompts do. Numbers of
    outcomes and sums of scores grow as those of the cluster; errors, costs and latencies by the
    same factor.

    Args:
        artifact: Before the log.
        lineage: Of the artifact.
        after: Profile of its clusters after the log.
        generation: How that differs from the fitted one.
        default: Index of the default model after the log.
    """
    groups = GroupProfiles.of(artifact)
    if groups is None:
        return None
    rows, old = clusters_of_groups(artifact), groups.profile

    def change(before: Floats, now: Floats) -> Floats:
        return (now.astype(np.float64) - before)[rows]

    def factor(before: Floats, now: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = (now.astype(np.float64) / before)[rows]
        return np.where(np.isfinite(found), found, 1.0)

    counts = np.maximum(old.counts + change(artifact.counts, after.counts), 0.0)
    score = old.counts * old.mean + change(
        artifact.counts * artifact.mean, after.counts * after.mean
    )
    mean = np.divide(score, counts, out=np.zeros_like(counts), where=counts > 0.0)
    fitted, before = lineage.base.profile, lineage.current
    success = old.success.astype(np.float64)
    if before.corrects_as(generation):
        success = success + change(before.success, generation.success)
    else:
        center = mean_success(fitted)
        deviation = (success - before.cells(fitted)[rows] - center) / (1.0 + before.scale)
        success = center + (1.0 + generation.scale) * deviation + generation.cells(fitted)[rows]
    slopes, offsets = groups.slopes, groups.offsets
    if slopes is not None:
        slopes, offsets = before.correction_after(generation, slopes, offsets, lineage.basis)
    error = old.standard_error * factor(artifact.standard_error, after.standard_error)
    gain_error = old.gain_error * factor(artifact.gain_error, after.gain_error)
    if default != artifact.models.index(artifact.default_model):
        gain_error = np.hypot(error, error[:, [default]])
        gain_error[:, default] = 0.0
    profile = replace(
        old,
        counts=counts,
        mean=np.clip(mean, 0.0, 1.0).astype(np.float32),
        success=np.clip(success, 0.0, 1.0).astype(np.float32),
        standard_error=error.astype(np.float32),
        gain_error=gain_error.astype(np.float32),
        cost=_scaled(old.cost, factor(artifact.cost, after.cost), after.cost[rows]),
        latency=_scaled(old.latency, factor(artifact.latency, after.latency), after.latency[rows]),
    )
    return replace(groups, profile=profile, slopes=slopes, offsets=offsets)


def _scaled(before: Floats, factor: Floats, otherwise: Floats) -> Floats:
    """Scale known values, float32; ``otherwise`` where none was known."""
    return np.where(np.isnan(before), otherwise, before * factor).astype(np.float32)
