"""Read a log into columns: each decision, and each outcome that says something of its model.

Not here: any test or figure. Lines stream; a decision keeps about 40 bytes and an outcome 60, so
that a log of ten million lines takes half a gigabyte. Columns are in the order in which things
came: decisions by their time, outcomes by the time of the outcome. A later look at a longer log
then only appends to what an earlier one saw, which tests that hold at any time rest on.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.artifact.metadata import words_of
from hypernova.errors import RecalibrateError
from hypernova.outcome_log.join import LogReader
from hypernova.outcome_log.segments import find_segments
from hypernova.training.online.lineage import Lineage

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints
    from hypernova.outcome_log import Joined, LoggedDecision, LogTally

DAY_S = 86_400.0
NAN = math.nan
MIN_PROPENSITY = 1e-6
# Reasons why a pair that was joined says nothing here, beside those of the reader.
PAIR_REASONS = {
    "other_artifact": "outcome of a decision by an artifact that this one does not descend from",
    "unknown_model": "outcome of a decision for a model that the artifact does not hold",
    "unknown_cluster": "outcome of a decision with a cluster that the artifact does not have",
    "future": "dated more than a day ahead of this machine's clock",
    "rarely_drawn": "drawn with a probability below one in a million, whose weight would drown all",
    "before_window": "outcome of a decision from before the window that was asked for",
}

# Columns with the type of each; a model or an artifact is an index, -1 for none.
_DECISION = {
    "time": "d", "artifact": "h", "model": "h", "cluster": "i", "novelty": "f", "named": "b",
    "success": "f", "shadow": "h", "shadow_model": "h", "shadow_success": "f", "shadow_cost": "f",
    "cost": "f", "explored": "b",
}  # fmt: skip
_OUTCOME = {
    "time": "d", "decided": "d", "artifact": "h", "model": "h", "row": "i", "propensity": "f",
    "success": "f", "score": "f", "cost": "f", "latency": "f", "expected_cost": "f",
    "expected_latency": "f", "default": "h", "default_success": "f", "candidates": "i",
    "explored": "b", "fallback": "b", "shadow": "h", "shadow_model": "h", "shadow_success": "f",
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Named columns of one length, in the order in which their rows came.

    Attributes:
        values: Arrays (n,) by name.
    """

    values: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __len__(self) -> int:
        return len(self.values["time"])

    def where(self, mask: Any) -> Columns:
        """Keep the rows of a mask."""
        return Columns({name: values[mask] for name, values in self.values.items()})


@dataclass
class Observations:
    """All that a log says of an artifact.

    Attributes:
        decisions: Columns of all decisions by the artifact or an ancestor, by rising ``time``,
            with or without outcome: ``artifact`` (0 is the artifact itself), ``model``,
            ``cluster``, ``novelty``, ``named`` (the caller named its group), ``success``,
            ``cost`` (expected), ``explored``, and ``shadow``, ``shadow_model`` (-1 where it
            failed), ``shadow_success`` and ``shadow_cost``.
        outcomes: Columns of outcomes of the chosen model, by rising ``time``: ``decided`` (time
            of the decision), ``row`` (its cluster, k if novel), ``propensity``, ``success``,
            ``score``, ``cost``, ``latency`` and what was expected of the two, ``default`` and
            ``default_success``, ``candidates`` (0 if unknown), ``explored``, ``fallback``; NaN
            where unknown.
        models: Names by index: the artifact's, then others that only shadows know.
        artifacts: sha256 by index: the artifact, then its ancestors.
        shadows: sha256 of shadow artifacts by index.
        strangers: Number of decisions by the sha256 of each other artifact.
        answered_by_other: Number of outcomes of another model than the chosen one.
        tally: Of the reader.
        skipped: Joined outcomes that say nothing here, by reason.
        notes: What is odd about the log or the artifact.
        defaults_logged: Share of the outcomes whose decision logged its default model.
        since: Start of the window that counts; None for the whole log.
    """

    decisions: Columns
    outcomes: Columns
    models: list[str]
    artifacts: list[str]
    shadows: list[str]
    strangers: Counter[str]
    answered_by_other: int
    tally: LogTally
    skipped: Counter[str]
    notes: list[str]
    defaults_logged: float
    since: float | None

    def of_artifact(self) -> Columns:
        """Return the outcomes of decisions by the artifact itself."""
        return self.outcomes.where(self.outcomes["artifact"] == 0)


def observe(
    artifact: Artifact,
    paths: Iterable[str | os.PathLike[str]],
    *,
    since: float | None = None,
    days: float | None = None,
) -> Observations:
    """Read a log.

    Args:
        artifact: The artifact that is monitored.
        paths: Folders of segments, or segments.
        since: Time, seconds since 1970, of the earliest decision that counts.
        days: Length of the window that counts, back from the latest decision.

    Raises:
        NotFoundError: There is no such file or folder.
        OutcomeLogError: A file cannot be read, or two are copies of one segment.
    """
    notes: list[str] = []
    observer = _Observer(artifact, _ancestors(artifact, notes))
    reader = LogReader(find_segments(paths), on_decision=observer.add_decision)
    for pair in reader:
        observer.add_outcome(pair)
    return observer.finish(reader.tally, notes, since, days)


def _ancestors(artifact: Artifact, notes: list[str]) -> list[str]:
    try:
        known = Lineage.of(artifact).generations(artifact)
    except RecalibrateError as error:
        notes.append(f"decisions of earlier artifacts are not known as such: {error}")
        return []
    return [sha256 for sha256 in known if sha256 != artifact.sha256]


@dataclass
class _Names:
    """Indices of names, given as they come."""

    names: list[str]
    index: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.index = {name: at for at, name in enumerate(self.names)}

    def of(self, name: str) -> int:
        """Return the index of a name; more than 32,767 are one, -1."""
        found = self.index.get(name)
        if found is None:
            if len(self.names) >= 32_767:
                return -1
            found = self.index[name] = len(self.names)
            self.names.append(name)
        return found


class _Observer:
    """Append the rows of a log, and put them in order at the end."""

    def __init__(self, artifact: Artifact, ancestors: list[str]) -> None:
        self._artifact = artifact
        self._artifacts = [artifact.sha256, *ancestors]
        self._generation = {sha256: at for at, sha256 in enumerate(self._artifacts)}
        self._models = _Names(list(artifact.models))
        self._known = artifact.n_models
        self._clusters = artifact.n_clusters
        self._shadows = _Names([])
        self._limit = float(artifact.policy["novelty_limit"])
        self._success = artifact.success.tolist()
        self._default = artifact.models.index(artifact.default_model)
        self._cost = artifact.cost.tolist()
        self._latency = artifact.latency.tolist()
        self._latest = time.time() + DAY_S
        self._strangers: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._by_other = self._defaults = 0
        self._decisions: dict[str, array[Any]] = {
            name: array(kind) for name, kind in _DECISION.items()
        }
        self._outcomes: dict[str, array[Any]] = {
            name: array(kind) for name, kind in _OUTCOME.items()
        }
        # Bound once: a log has millions of lines.
        self._to_decisions = [column.append for column in self._decisions.values()]
        self._to_outcomes = [column.append for column in self._outcomes.values()]

    def add_decision(self, decision: LoggedDecision) -> None:
        generation = self._generation.get(decision.artifact)
        if generation is None:
            self._strangers[decision.artifact] += 1
            return
        model = self._models.index.get(decision.model, -1)
        if (
            not 0 <= model < self._known
            or decision.cluster >= self._clusters
            or decision.time > self._latest
        ):
            return  # its outcome is counted under its reason, if it ever comes
        shadow = self._shadow(decision)
        row = (
            decision.time, generation, model, decision.cluster, decision.novelty,
            decision.group is not None, decision.success, *shadow, _known(decision.cost_usd),
            decision.reason == "explored",
        )  # fmt: skip
        for append, value in zip(self._to_decisions, row, strict=True):
            append(value)

    def _shadow(self, decision: LoggedDecision) -> tuple[int, int, float, float]:
        """Return the shadow's artifact and model, its estimate and its expected cost."""
        shadow = decision.shadow
        if shadow is None:
            return -1, -1, NAN, NAN
        return (
            self._shadows.of(shadow.artifact),
            -1 if shadow.model is None else self._models.of(shadow.model),
            _known(shadow.success),
            _known(shadow.cost_usd),
        )

    def add_outcome(self, pair: Joined) -> None:
        reason = self._append(pair)
        if reason is not None:
            self._skipped[reason] += 1

    def _append(self, pair: Joined) -> str | None:
        """Append an outcome, or return the reason to skip it."""
        decision, outcome = pair
        if max(decision.time, outcome.time) > self._latest:
            return "future"
        generation = self._generation.get(decision.artifact)
        if generation is None:
            return "other_artifact"
        if decision.cluster >= self._clusters:
            return "unknown_cluster"
        model = self._models.index.get(decision.model, -1)
        if not 0 <= model < self._known:
            return "unknown_model"
        if decision.propensity < MIN_PROPENSITY:
            return "rarely_drawn"
        assert outcome.score is not None  # the reader keeps failed requests to itself
        if outcome.model not in (None, decision.model):
            # It says nothing of the chosen model, and of the other only where that was drawn.
            self._by_other += 1
            return None
        novel = decision.group is None and decision.novelty > self._limit
        row = self._clusters if novel else decision.cluster
        default, default_success = self._default_of(decision, row, generation)
        expected = (_known(decision.cost_usd), _known(decision.latency_s))
        shadow, shadow_model, shadow_success, _ = self._shadow(decision)
        values = (
            outcome.time, decision.time, generation, model, row, decision.propensity,
            decision.success, outcome.score, _known(outcome.cost_usd), _known(outcome.latency_s),
            self._cost[row][model] if math.isnan(expected[0]) else expected[0],
            self._latency[row][model] if math.isnan(expected[1]) else expected[1],
            default, default_success, min(decision.candidates or 0, self._known),
            decision.reason == "explored", decision.reason == "fallback", shadow,
            shadow_model, shadow_success,
        )  # fmt: skip
        for append, value in zip(self._to_outcomes, values, strict=True):
            append(value)
        return None

    def _default_of(self, decision: LoggedDecision, row: int, generation: int) -> tuple[int, float]:
        """Return the default model of a decision, and its estimate: -1 where it was not allowed.

        A log of an older hypernova names neither. Then they are the artifact's own.
        """
        if decision.default_model is None:
            if generation:
                return -1, NAN
            return self._default, self._success[row][self._default]
        self._defaults += 1
        if decision.default_success is None:
            return -1, NAN
        model = self._models.index.get(decision.default_model, -1)
        return (model if model < self._known else -1), decision.default_success

    def finish(
        self, tally: LogTally, notes: list[str], since: float | None, days: float | None
    ) -> Observations:
        decisions, outcomes = _in_order(self._decisions), _in_order(self._outcomes)
        joined = len(outcomes)
        start = since
        if days is not None and len(decisions):
            back = float(decisions["time"][-1]) - days * DAY_S
            start = back if start is None else max(start, back)
        if start is not None:
            decisions = decisions.where(decisions["time"] >= start)
            outcomes = outcomes.where(outcomes["decided"] >= start)
            self._skipped["before_window"] += joined - len(outcomes)
        return Observations(
            decisions=decisions,
            outcomes=outcomes,
            models=self._models.names,
            artifacts=self._artifacts,
            shadows=self._shadows.names,
            strangers=self._strangers,
            answered_by_other=self._by_other,
            tally=tally,
            skipped=+self._skipped,
            notes=notes,
            defaults_logged=self._defaults / joined if joined else 0.0,
            since=start,
        )


def _empty(kinds: dict[str, str]) -> dict[str, array[Any]]:
    return {name: array(kind) for name, kind in kinds.items()}


def _known(value: float | None) -> float:
    return NAN if value is None else value


def _in_order(columns: dict[str, array[Any]]) -> Columns:
    """Return columns by rising time; rows of one time keep their order."""
    arrays = {name: np.frombuffer(column, column.typecode) if len(column) else
              np.empty(0, column.typecode) for name, column in columns.items()}  # fmt: skip
    order = np.argsort(arrays["time"], kind="stable")
    return Columns({name: values[order] for name, values in arrays.items()})


@dataclass(frozen=True)
class Training:
    """The tasks that an artifact was fitted to, as far as it keeps them.

    Attributes:
        sizes: Number of training tasks of each cluster, float64 (k,).
        words: Distinctive words of each cluster; empty where there are none.
    """

    sizes: Floats
    words: list[list[str]]

    @classmethod
    def of(cls, artifact: Artifact) -> Training:
        """Read it from the metadata, else from the numbers of outcomes of the most tried model."""
        k = artifact.n_clusters
        stored = artifact.metadata.get("cluster_sizes")
        sizes: Floats = artifact.counts[:-1].max(axis=1)
        if isinstance(stored, list) and len(stored) == k:
            try:
                given: Floats = np.array(stored, dtype=np.float64)
            except (TypeError, ValueError):
                given = np.full(k, -1.0)
            if given.shape == (k,) and (given >= 0).all() and np.isfinite(given).all():
                sizes = given
        return cls(sizes, words_of(artifact) or [[] for _ in range(k)])


def count_by(rows: Ints, n: int) -> Ints:
    """Count indices 0 to n - 1."""
    counted: Ints = np.bincount(rows, minlength=n)
    return counted
