"""Recalibrate an artifact by an outcome log.

Not here: writing the log; a service does that with ``hypernova.OutcomeLog``.
"""

from __future__ import annotations

import base64
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import Artifact
from hypernova.artifact.profile import (
    ModelColumns,
    TokenProfiles,
    clusters_of_groups,
    rebuild,
)
from hypernova.errors import NoCandidateError, RecalibrateError
from hypernova.numeric import is_number
from hypernova.outcome_log.join import REASONS, LogReader
from hypernova.outcome_log.segments import find_segments, paths_of
from hypernova.parallel import compute_threads
from hypernova.training.online.generation import mean_success
from hypernova.training.online.groups import moved_groups
from hypernova.training.online.lineage import KEY, Lineage, checked_metadata
from hypernova.training.online.log_sums import DAY_S, LoggedOutcomes, LogSums
from hypernova.training.online.update import updated_estimate, updated_margin

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from hypernova.numeric import Floats, Ints
    from hypernova.outcome_log import Joined, LoggedDecision, LogTally

# The highest weight of one outcome: by default all count alike. Residuals are taken from the
# estimate for the prompt, by which the router chose, so they leave little of the router's bias to
# correct; inverse propensities only add noise (docs/experiments.md).
MAX_WEIGHT = 1.0
BATCH_SIZE = 65_536
# Why a pair of decision and outcome is skipped; the reader has reasons for lines.
PAIR_REASONS = {
    "other_artifact": "outcome of a decision by an artifact that this one does not descend from",
    "unknown_model": "outcome of a model that the artifact does not hold",
    "unknown_cluster": "decision with a cluster that the artifact does not have",
    "no_estimate": "answered by another model, whose estimate was not logged",
    "future": "dated more than a day ahead of this machine's clock",
}
ALL_REASONS = {**REASONS, **PAIR_REASONS}


@dataclass(frozen=True)
class ModelChange:
    """A model's outcomes in a log, and its success estimate before and after.

    Attributes:
        model: Name of the model.
        outcomes: Number of outcomes added by this call.
        effective: Effective number of these outcomes, which have different weights.
        mean_score: Weighted mean score of these outcomes, 0 to 1; None without outcomes.
        before: Success estimate over the whole table before the call, 0 to 1.
        after: The same estimate after the call.
    """

    model: str
    outcomes: int
    effective: float
    mean_score: float | None
    before: float
    after: float


@dataclass(frozen=True)
class Recalibration:
    """A recalibrated artifact, and a summary of the changes.

    Attributes:
        artifact: The new artifact, in memory; ``.save(path)`` writes it.
        models: A change for each model, in the artifact's order.
        outcomes: Number of outcomes added by this call.
        answered_by_other: Number of outcomes among them of another model than the one decided.
            They are learned for the model that answered, with the lowest weight.
        failed: Number of failed requests, from which nothing is learned: they have no score.
        failed_by_model: The same by the model that failed.
        sketched: Number of outcomes added whose decision has a sketch.
        damaged_sketches: Number of outcomes added whose sketch cannot be read with the artifact:
            of another form or length. They are learned as those without a sketch.
        outcomes_before: Number of outcomes added by earlier recalibrations.
        open: Number of decisions without an outcome so far, in all segments given.
        lines: Number of lines read by this call.
        skipped: Number of skipped lines and outcomes by reason; ``REASONS`` has a text each.
        clusters: Number of clusters.
        clusters_changed: Number of clusters at whose centroid another model is chosen than
            before; None if the artifact's own limits leave no model at some centroid.
        default_before: Name of the default model before the call.
        default_after: Name of the default model after the call.
        kept: Share of the fitted outcomes that decay has left, 0 to 1.
    """

    REASONS = ALL_REASONS

    artifact: Artifact
    models: tuple[ModelChange, ...]
    outcomes: int
    answered_by_other: int
    failed: int
    failed_by_model: Mapping[str, int]
    sketched: int
    damaged_sketches: int
    outcomes_before: int
    open: int
    lines: int
    skipped: Mapping[str, int]
    clusters: int
    clusters_changed: int | None
    default_before: str
    default_after: str
    kept: float


def recalibrate(
    artifact: Artifact | str | os.PathLike[str],
    logs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    half_life: float | None = None,
    max_weight: float = MAX_WEIGHT,
) -> Recalibration:
    """Update the estimates of an artifact by the outcome log of a service.

    Estimates of clusters and groups move, linear corrections too, and the margin may shrink;
    clusters, the rest of the policy and the embedder stay. Directions inside clusters are learned
    from decisions with a sketch (`OutcomeLog`). Outcomes of earlier recalibrations are not added
    again, so give every segment that still exists each time: outcomes that came
    later find their decisions. Unusable lines are skipped and counted by reason. Same artifact
    and log, same bytes.

    Args:
        artifact: An artifact, or the path of one.
        logs: A folder of segments, a segment, or several of either.
        half_life: Age in days at which an outcome counts half as much, fitted outcomes
            included. Ages are counted back from the latest outcome; fitted outcomes count as
            old as the first decision. None for no decay.
        max_weight: Upper bound of an outcome's weight, the inverse of its propensity; at least 1.
            With 1 all outcomes count alike.

    Returns:
        The new artifact, and a summary of the changes.

    Raises:
        TypeError: ``logs`` is neither a path nor several.
        NotFoundError: There is no such artifact, file or folder.
        ArtifactError: The file is no valid artifact.
        OutcomeLogError: A file cannot be read, or two are copies of one segment.
        RecalibrateError: An option is out of range, or the artifact's record of earlier
            recalibrations is damaged.

    Example:
        >>> import hypernova
        >>> new = hypernova.recalibrate("router.hnv", "outcomes")  # doctest: +SKIP
        >>> new.artifact.save("router.hnv")  # doctest: +SKIP
    """
    if half_life is not None and not (is_number(half_life) and 0 < half_life < math.inf):
        raise RecalibrateError(f"half_life is {half_life!r}; expected days, above 0")
    if not (is_number(max_weight) and max_weight >= 1):
        raise RecalibrateError(f"max_weight is {max_weight!r}; expected a number from 1")
    if not isinstance(artifact, Artifact):
        artifact = Artifact.open(Path(artifact))
    paths = paths_of(logs)
    lineage = Lineage.of(artifact, half_life)
    before = int(lineage.sums["outcomes"].sum())
    read = {head: end for head, (_, end) in lineage.files.items()}
    reader = LogReader(find_segments(paths), read)
    summed = _LogSummer(artifact, lineage, reader.tally, half_life, max_weight)
    for pair in reader:
        summed.add(pair)
    summed.finish()
    for segment in reader.segments:
        if segment.head is not None:
            end = max(segment.end, read.get(segment.head, 0))
            lineage.files[segment.head] = (segment.path.name, end)
    with compute_threads(1):  # the last bits of products depend on the number
        new = _recalibrated(artifact, lineage)
    return Recalibration(
        artifact=new,
        models=_changes(artifact, new, summed.sums),
        outcomes=int(summed.sums["outcomes"].sum()),
        answered_by_other=summed.answered_by_other,
        failed=reader.tally.failed,
        failed_by_model=dict(sorted(reader.tally.failed_by_model.items())),
        sketched=summed.sketched,
        damaged_sketches=summed.damaged_sketches,
        outcomes_before=before,
        open=reader.tally.open,
        lines=reader.tally.lines,
        skipped=dict(sorted(reader.tally.skipped.items())),
        clusters=artifact.n_clusters,
        clusters_changed=_clusters_changed(artifact, new),
        default_before=artifact.default_model,
        default_after=new.default_model,
        kept=lineage.kept,
    )


class _LogSummer:
    """Sum the pairs of a log, and add the sums to a lineage at the end."""

    def __init__(
        self,
        artifact: Artifact,
        lineage: Lineage,
        tally: LogTally,
        half_life: float | None,
        max_weight: float,
    ) -> None:
        basis = lineage.basis
        self._dims = 0 if basis is None else basis.dims
        shape = (artifact.n_clusters + 1, len(artifact.models))
        self.sums = LogSums(shape, half_life, self._dims)
        self._basis = basis
        self._lineage, self._tally = lineage, tally
        self._half_life, self._max_weight = half_life, max_weight
        self._models = {name: index for index, name in enumerate(artifact.models)}
        fitted = lineage.base.profile
        self._generations = lineage.generations(artifact)
        # Lists, because a single value is read for each outcome.
        self._cells = {sha: of.cells(fitted).tolist() for sha, of in self._generations.items()}
        self._mean = mean_success(fitted).tolist()
        self._none = np.zeros(self._dims)
        # Of a prompt without a sketch, the coordinates of its cluster's centroid are known.
        self._centroids: Floats = np.zeros((artifact.n_clusters, self._dims))
        if basis is not None:
            self._centroids = basis.standardized(artifact.centroids)
        self._clusters = artifact.n_clusters
        # An outcome in a group that the caller named moves that group's cluster.
        rows = clusters_of_groups(artifact).tolist()
        self._groups: dict[str | None, int] = dict(zip(artifact.groups, rows, strict=True))
        self._novelty_limit = float(artifact.policy["novelty_limit"])
        self._corrected = artifact.slopes is not None
        self._latest = time.time() + DAY_S
        self._first = math.inf
        self._batch = LoggedOutcomes()
        self.answered_by_other = self.sketched = self.damaged_sketches = 0

    def add(self, pair: Joined) -> None:
        """Add an outcome, or count the reason to skip it."""
        reason = self._append(pair)
        if reason is not None:
            self._tally.skipped[reason] += 1
        if len(self._batch) >= BATCH_SIZE:
            self._flush()

    def _append(self, pair: Joined) -> str | None:
        """Append an outcome to the batch, or return the reason to skip it."""
        decision, outcome = pair
        assert outcome.score is not None  # a failed request makes no pair
        if max(decision.time, outcome.time) > self._latest:
            return "future"
        generation = self._generations.get(decision.artifact)
        if generation is None:
            return "other_artifact"
        if decision.cluster >= self._clusters:
            return "unknown_cluster"
        model = self._models.get(outcome.model or decision.model)
        if model is None or decision.model not in self._models:
            return "unknown_model"
        row = self._groups.get(decision.group)
        novel = row is None and decision.novelty > self._novelty_limit
        if row is None:
            row = self._clusters if novel else decision.cluster
        weight, estimated = 1.0, decision.success
        by_other = outcome.model not in (None, decision.model)
        if by_other:
            # Its propensity is unknown: it stands for itself and no other.
            if outcome.success is not None:
                estimated = outcome.success
            elif self._corrected and not novel:
                return "no_estimate"
            else:
                estimated = float(generation.success[row, model])
        elif decision.reason != "fallback":
            weight = min(1.0 / decision.propensity, self._max_weight)
        self.answered_by_other += by_other
        coordinates = None if novel else self._coordinates(decision.sketch)
        fitted = self._fitted_estimate(decision, estimated, row, model, coordinates, novel)
        batch = self._batch
        batch.row.append(row)
        batch.model.append(model)
        batch.time.append(outcome.time)
        batch.weight.append(weight)
        batch.coordinates.append(self._none if coordinates is None else coordinates)
        batch.estimate.append(fitted)
        batch.deviation.append(0.0 if novel else fitted - self._mean[model])
        batch.residual.append(outcome.score - fitted)
        batch.score.append(outcome.score)
        batch.cost.append(math.nan if outcome.cost_usd is None else outcome.cost_usd)
        batch.latency.append(math.nan if outcome.latency_s is None else outcome.latency_s)
        self._first = min(self._first, decision.time)
        return None

    def _coordinates(self, sketch: str | None) -> Floats | None:
        """Read a sketch; None without one, and for one that cannot be read."""
        if sketch is None:
            return None
        found = None
        if self._basis is not None:
            found = self._basis.coordinates(base64.b64decode(sketch))
        self.sketched += found is not None
        self.damaged_sketches += found is None
        return found

    def _fitted_estimate(
        self,
        decision: LoggedDecision,
        estimated: float,
        row: int,
        model: int,
        coordinates: Floats | None,
        novel: bool,
    ) -> float:
        """Return the estimate that the fitted artifact would have made for the prompt."""
        cell = self._cells[decision.artifact][row][model]
        if novel:
            return float(estimated - cell)
        generation, mean = self._generations[decision.artifact], self._mean[model]
        coefficients = generation.coefficients[model]
        if coordinates is None:
            coordinates = self._centroids[decision.cluster]
        moved = cell + float(coefficients @ coordinates)
        return float(mean + (estimated - mean - moved) / (1.0 + generation.scale))

    def _flush(self) -> None:
        self.sums.add(self._batch)
        self._batch = LoggedOutcomes()

    def finish(self) -> None:
        """Add the sums to the lineage, and let its fitted outcomes decay."""
        self._flush()
        lineage, until = self._lineage, self.sums.until
        if until is None:
            return
        since = self._first if lineage.since is None else min(self._first, lineage.since)
        if self._half_life is not None:
            # From the first decision to the last outcome, less the decay of earlier calls.
            if lineage.since is None or lineage.sums.until is None:
                aged = until - since
            else:
                aged = lineage.since - since + max(until - lineage.sums.until, 0.0)
            lineage.kept *= 0.5 ** (max(aged, 0.0) / (self._half_life * DAY_S))
        lineage.since = since
        lineage.sums.merge(self.sums)


def _recalibrated(artifact: Artifact, lineage: Lineage) -> Artifact:
    """Return the artifact that the sums of a lineage make of the fitted one."""
    estimate, generation, margin = lineage.base, lineage.current, lineage.margin
    if lineage.sums["outcomes"].any():
        shrinkage = artifact.policy["shrinkage"]
        estimate, generation = updated_estimate(
            lineage.base, lineage.sums, shrinkage, lineage.kept, lineage.basis
        )
        margin = updated_margin(margin, lineage.sums, lineage.base.default_model)
    slopes, offsets = lineage.current.correction_after(
        generation, artifact.slopes, artifact.offsets, lineage.basis
    )
    record = lineage.to_dict(artifact, estimate.profile, generation)
    profile = replace(
        estimate.profile,
        counts=np.ascontiguousarray(estimate.profile.counts, dtype=np.float64),
        slopes=slopes,
        offsets=offsets,
    )
    models, default = list(artifact.models), estimate.default_model
    metadata = {**checked_metadata(artifact), KEY: record}
    groups = moved_groups(artifact, lineage, profile, generation, default)
    columns = ModelColumns(profile, groups, TokenProfiles.of(artifact))
    made = rebuild(artifact, models, columns, models[default], metadata)
    return made if margin == artifact.margin else made.replace(margin=margin)


def _changes(old: Artifact, new: Artifact, sums: LogSums) -> tuple[ModelChange, ...]:
    outcomes, weight = sums["outcomes"].sum(axis=0), sums["weight"].sum(axis=0)
    effective, score = sums.effective().sum(axis=0), sums["score"].sum(axis=0)
    return tuple(
        ModelChange(
            model=model,
            outcomes=int(outcomes[m]),
            effective=float(effective[m]),
            mean_score=float(score[m] / weight[m]) if weight[m] > 0 else None,
            before=_overall(old, m),
            after=_overall(new, m),
        )
        for m, model in enumerate(old.models)
    )


def _overall(artifact: Artifact, model: int) -> float:
    return float(artifact.success[-1, model])


def _clusters_changed(old: Artifact, new: Artifact) -> int | None:
    try:
        return int((_chosen(old) != _chosen(new)).sum())
    except NoCandidateError:
        return None


def _chosen(artifact: Artifact) -> Ints:
    chosen: Ints = artifact.decide_many(artifact.centroids).model_indices
    return chosen
