"""Fold an outcome log into an artifact.

Not here: writing the log; the service does that, with ``hypernova.OutcomeLog``.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import Artifact
from hypernova.artifact.profile import Profile, rebuild
from hypernova.errors import NoCandidateError, RecalibrateError
from hypernova.numeric import is_number
from hypernova.outcome_log.join import REASONS, LogReader
from hypernova.outcome_log.segments import find_segments
from hypernova.training.online.lineage import KEY, Lineage, notes_of
from hypernova.training.online.log_sums import DAY_S, Batch, Folded
from hypernova.training.online.update import moved_profiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hypernova.numeric import Ints
    from hypernova.outcome_log import Joined, Tally
    from hypernova.training.estimates.profile import Profiles

# The heaviest weight that one outcome may have. With 25 models and `explore=0.05` a model
# that was drawn had a chance of 0.002: unbounded, a cell would hang on a few such outcomes.
# The residuals leave little of the router's bias to correct: the estimate for the prompt has
# most of it. With 20 the accuracy was half a point lower (docs/learning-from-use.md).
MAX_WEIGHT = 5.0
BATCH = 65_536
# Why a joined outcome may be left out, beside what `LogReader` says of lines.
PAIR_REASONS = {
    "other_artifact": "outcome of a decision by an artifact that this one does not descend from",
    "unknown_model": "outcome of a model that the artifact does not hold",
    "unknown_cluster": "decision with a cluster that the artifact does not have",
    "no_estimate": "answered by another model, and what was estimated of it was not logged",
    "future": "dated more than a day ahead of this machine's clock",
}
ALL_REASONS = {**REASONS, **PAIR_REASONS}


@dataclass(frozen=True)
class ModelChange:
    """What a log said of a model.

    Attributes:
        model: Name.
        outcomes: Folded now.
        effective: How many outcomes of one weight would tell as much.
        mean_score: Their weighted mean; None without outcomes.
        before: Estimate of the whole table so far, 0 to 1.
        after: The same, now.
    """

    model: str
    outcomes: int
    effective: float
    mean_score: float | None
    before: float
    after: float


@dataclass(frozen=True)
class Recalibration:
    """A recalibrated artifact, and what changed.

    Attributes:
        artifact: In memory; ``.save(path)`` writes it.
        models: A change for each model, in the artifact's order.
        outcomes: Folded now.
        outcomes_before: Folded earlier.
        open: Decisions without an outcome so far, of all segments given.
        lines: Read now.
        skipped: How many were left out, by reason (``REASONS``).
        clusters: How many there are.
        clusters_changed: In how many, at the centre, another model is taken than before;
            None if the artifact's own limits leave no model somewhere.
        default_before: The default model so far.
        default_after: And now.
        kept: What decay left of the fitted outcomes, 0 to 1.
    """

    REASONS = ALL_REASONS

    artifact: Artifact
    models: tuple[ModelChange, ...]
    outcomes: int
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
    """Learn from what a service logged: fold outcomes into the estimates of an artifact.

    Clusters, lifts, policy and embedder stay. What was folded before is not folded again,
    so give every segment that still exists each time: outcomes that came later find their
    decisions. Lines that cannot be used are counted by reason. Same artifact and log, same
    bytes.

    Args:
        artifact: An artifact, or the path of one.
        logs: A folder of segments, a segment, or several of them.
        half_life: Days after which an outcome counts half as much, the fitted ones
            included. Ages are counted back from the latest outcome; the fitted ones are
            taken to be as old as the first decision. None: nothing decays now.
        max_weight: The heaviest weight of one outcome, at least 1.

    Returns:
        The new artifact, and what changed.

    Raises:
        NotFoundError: There is no such artifact, file or folder.
        ArtifactError: The artifact is none.
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
    several = [logs] if isinstance(logs, str | os.PathLike) else logs
    lineage = Lineage.of(artifact, half_life)
    before = int(lineage.folded["outcomes"].sum())
    read = {head: end for head, (_, end) in lineage.files.items()}
    reader = LogReader(find_segments(several), read)
    fold = _Fold(artifact, lineage, reader.tally, half_life, max_weight)
    for pair in reader:
        fold.add(pair)
    fold.finish()
    for segment in reader.segments:
        if segment.head is not None:
            end = max(segment.end, read.get(segment.head, 0))
            lineage.files[segment.head] = (segment.path.name, end)
    profiles = lineage.base
    if lineage.folded["outcomes"].any():
        shrinkage = artifact.policy["shrinkage"]
        profiles = moved_profiles(lineage.base, lineage.folded, shrinkage, lineage.kept)
    new = _rebuilt(artifact, profiles, lineage)
    return Recalibration(
        artifact=new,
        models=_changes(artifact, new, fold.folded),
        outcomes=int(fold.folded["outcomes"].sum()),
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


class _Fold:
    """Sums up the pairs of a log, and adds the sums to a lineage at the end."""

    def __init__(
        self,
        artifact: Artifact,
        lineage: Lineage,
        tally: Tally,
        half_life: float | None,
        max_weight: float,
    ) -> None:
        self.folded = Folded((artifact.n_clusters + 1, len(artifact.models)), half_life)
        self._lineage, self._tally = lineage, tally
        self._half_life, self._max_weight = half_life, max_weight
        self._models = {name: index for index, name in enumerate(artifact.models)}
        # Lists: one value is read for each outcome.
        self._moved = {sha: moved.tolist() for sha, moved in lineage.known(artifact).items()}
        self._fitted = lineage.base.success.tolist()
        self._clusters = artifact.n_clusters
        self._novelty_limit = float(artifact.policy["novelty_limit"])
        self._lifted = artifact.slopes is not None
        self._latest = time.time() + DAY_S
        self._first = math.inf
        self._batch = Batch()

    def add(self, pair: Joined) -> None:
        """Add an outcome, or count why not."""
        reason = self._take(pair)
        if reason is not None:
            self._tally.skipped[reason] += 1
        if len(self._batch) >= BATCH:
            self._flush()

    def _take(self, pair: Joined) -> str | None:
        decision, outcome = pair
        if max(decision.time, outcome.time) > self._latest:
            return "future"
        moved = self._moved.get(decision.artifact)
        if moved is None:
            return "other_artifact"
        if decision.cluster >= self._clusters:
            return "unknown_cluster"
        model = self._models.get(outcome.model or decision.model)
        if model is None or decision.model not in self._models:
            return "unknown_model"
        novel = decision.novelty > self._novelty_limit
        row = self._clusters if novel else decision.cluster
        weight, estimated = 1.0, decision.success
        if outcome.model not in (None, decision.model):
            # Nobody chose it with a known chance: it stands for itself and no other.
            if outcome.success is not None:
                estimated = outcome.success
            elif self._lifted and not novel:
                return "no_estimate"
            else:
                estimated = self._fitted[row][model] + moved[row][model]
        elif decision.reason != "fallback":
            weight = min(1.0 / decision.propensity, self._max_weight)
        batch = self._batch
        batch.row.append(row)
        batch.model.append(model)
        batch.time.append(outcome.time)
        batch.weight.append(weight)
        # What the fitted artifact would have estimated for this prompt, had it decided.
        batch.residual.append(outcome.score - (estimated - moved[row][model]))
        batch.score.append(outcome.score)
        batch.cost.append(math.nan if outcome.cost_usd is None else outcome.cost_usd)
        batch.latency.append(math.nan if outcome.latency_s is None else outcome.latency_s)
        self._first = min(self._first, decision.time)
        return None

    def _flush(self) -> None:
        self.folded.add(self._batch)
        self._batch = Batch()

    def finish(self) -> None:
        """Add the sums to the lineage, and let its fitted outcomes decay."""
        self._flush()
        lineage, until = self._lineage, self.folded.until
        if until is None:
            return
        since = self._first if lineage.since is None else min(self._first, lineage.since)
        if self._half_life is not None:
            # From the first decision to the last outcome, less what decayed before.
            if lineage.since is None or lineage.folded.until is None:
                aged = until - since
            else:
                aged = lineage.since - since + max(until - lineage.folded.until, 0.0)
            lineage.kept *= 0.5 ** (max(aged, 0.0) / (self._half_life * DAY_S))
        lineage.since = since
        lineage.folded.merge(self.folded)


def _rebuilt(artifact: Artifact, profiles: Profiles, lineage: Lineage) -> Artifact:
    metadata = {**notes_of(artifact), KEY: lineage.written(artifact, profiles)}
    profile = Profile(
        counts=np.ascontiguousarray(profiles.counts, dtype=np.float64),
        mean=profiles.mean,
        success=profiles.success,
        standard_error=profiles.standard_error,
        gain_error=profiles.gain_error,
        cost=profiles.cost,
        latency=profiles.latency,
        slopes=artifact.slopes,
        offsets=artifact.offsets,
    )
    models = list(artifact.models)
    return rebuild(artifact, models, profile, models[profiles.default_model], metadata)


def _changes(old: Artifact, new: Artifact, folded: Folded) -> tuple[ModelChange, ...]:
    outcomes, weight = folded["outcomes"].sum(axis=0), folded["weight"].sum(axis=0)
    effective, score = folded.effective().sum(axis=0), folded["score"].sum(axis=0)
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
        return int((_taken(old) != _taken(new)).sum())
    except NoCandidateError:
        return None


def _taken(artifact: Artifact) -> Ints:
    taken: Ints = artifact.decide_many(artifact.centroids).model_indices
    return taken
