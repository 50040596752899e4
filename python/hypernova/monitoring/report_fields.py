"""The typed fields of a monitoring report, read from and written to JSON.

Not here: how a figure is computed (see ``sections``), or how a report is shown (see ``report``).
"""

from __future__ import annotations

import math
import types
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Self, get_args, get_origin, get_type_hints

from hypernova.report_values import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class MonitoredArtifact:
    """The artifact that is monitored.

    Attributes:
        path: Its path as given; None of one in memory.
        sha256: Its identity; the name of the file does not matter.
        default_model: Name of its default model.
        models: Number of its models.
        clusters: Number of its clusters.
        ancestors: Number of artifacts that it descends from by recalibrating.
    """

    path: str | None
    sha256: str
    default_model: str
    models: int
    clusters: int
    ancestors: int


@dataclass(frozen=True, kw_only=True)
class LogCounts:
    """The lines of a log, and how many of them count.

    Attributes:
        lines: Whole lines read.
        decisions: Decisions by the artifact itself that count.
        ancestor_decisions: Decisions by its ancestors that count.
        outcomes: Outcomes of decisions by the artifact itself that count.
        ancestor_outcomes: Outcomes of decisions by its ancestors that count.
        open: Decisions without an outcome so far, in the whole log.
        first: Time of the first decision that counts, ISO 8601 in UTC; None without one.
        last: Time of the last record that counts; None without one.
        since: Start of the window that was asked for; None for the whole log.
        strangers: Number of decisions by the sha256 of other artifacts.
        answered_by_other: Outcomes of another model than the chosen one; they are not used.
        failed: Failed requests, by the model that failed; they have no score.
        skipped: Lines and outcomes that were not used, by reason; `REASONS` has a text each.
    """

    lines: int
    decisions: int
    ancestor_decisions: int
    outcomes: int
    ancestor_outcomes: int
    open: int
    first: str | None
    last: str | None
    since: str | None
    strangers: dict[str, int]
    answered_by_other: int
    failed: dict[str, int]
    skipped: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class ErrorLevels:
    """How the total error level is divided among the kinds of test.

    Attributes:
        total: Chance that any of the tests is ever wrong while nothing is.
        gain: Of the interval of the gain.
        calibration: Of estimates that are named as off.
        changes: Of models whose success is said to have changed.
        drift: Of the mix and the novelty of prompts, together.
        costs: Of costs and latencies, together.
    """

    total: float
    gain: float
    calibration: float
    changes: float
    drift: float
    costs: float


@dataclass(frozen=True, kw_only=True)
class ExploreNeed:
    """Decisions that it takes to tell the gain, with a share ``explore`` of drawn models."""

    explore: float
    decisions: int


@dataclass(frozen=True, kw_only=True)
class RoutingGain:
    """Mean score of the router less that of the default model on the same prompts.

    Attributes:
        default_model: Name of the default model.
        known: Whether the log tells it: False where no decision was explored, or where all but
            explored ones took the default model.
        gain: Doubly robust estimate; None where it is not known.
        ci: Interval of the gain that holds at every look; None where it is not known.
        n: Number of decisions behind it.
        without_overlap: Decisions left out because their model was certain.
        without_default: Decisions left out because their limits excluded the default model.
        fallbacks: Decisions left out because they followed a failure.
        expected: The gain by the artifact's own estimates; None if unknown.
        routed: Share of the decisions that took another model than the default, 0 to 1.
        explored: Mean share of decisions whose model is drawn, 0 to 1; None if unknown.
        assumed: Gain that ``needs`` is about.
        needs: Further decisions that would tell, by share of explored ones; empty where it is
            told already.
        with_ancestors: The gain over all decisions of ancestors as well; None without any.
        ci_with_ancestors: Its interval.
        n_with_ancestors: Number of decisions behind it.
    """

    default_model: str
    known: bool
    gain: float | None
    ci: Interval | None
    n: int
    without_overlap: int
    without_default: int
    fallbacks: int
    expected: float | None
    routed: float
    explored: float | None
    assumed: float
    needs: tuple[ExploreNeed, ...]
    with_ancestors: float | None
    ci_with_ancestors: Interval | None
    n_with_ancestors: int

    @property
    def always_default(self) -> bool:
        """Whether every decision took the default model, but for those that were drawn."""
        return self.expected is not None and self.routed == 0.0


@dataclass(frozen=True, kw_only=True)
class EstimateRow:
    """Predicted and observed success of one model, or of one cluster.

    Attributes:
        name: Name of the model; ``"cluster 3"`` or ``"novel prompts"``.
        words: Distinctive words of a cluster; empty for a model.
        n: Number of outcomes.
        predicted: Mean success estimate; None without outcomes.
        observed: Mean score; None without outcomes.
        ci: Interval of observed less predicted that holds at every look.
        off: Whether it is proven to be off by more than the tolerance.
    """

    name: str
    words: tuple[str, ...]
    n: int
    predicted: float | None
    observed: float | None
    ci: Interval
    off: bool


@dataclass(frozen=True, kw_only=True)
class EstimateErrors:
    """Predicted against observed success.

    Attributes:
        tolerance: Estimates that are off by no more count as right.
        overall: All outcomes.
        models: By model, the most frequent first; models without outcomes are left out.
        clusters: By cluster, the most frequent first.
    """

    tolerance: float
    overall: EstimateRow
    models: tuple[EstimateRow, ...]
    clusters: tuple[EstimateRow, ...]


@dataclass(frozen=True, kw_only=True)
class HistoryPart:
    """Outcomes that came one after the other.

    Attributes:
        since: Time of the first one, ISO 8601 in UTC.
        until: Time of the last one.
        n: Number of outcomes.
        predicted: Mean success estimate.
        observed: Mean score.
        cost_usd: Mean cost where it is known; None if it never is.
    """

    since: str
    until: str
    n: int
    predicted: float
    observed: float
    cost_usd: float | None


@dataclass(frozen=True, kw_only=True)
class SuccessChange:
    """A model whose success changed, measured against its estimates.

    Attributes:
        model: Name.
        is_default: Whether it is the default model.
        since: Most likely time of the change, ISO 8601 in UTC.
        found: Time of the outcome that proved it.
        before: Mean score less estimate until then.
        after: Mean score less estimate from then on.
        ci_after: Interval of ``after``.
        n_before: Number of outcomes until then.
        n_after: Number of outcomes from then on.
    """

    model: str
    is_default: bool
    since: str
    found: str
    before: float
    after: float
    ci_after: Interval
    n_before: int
    n_after: int

    @property
    def points(self) -> float:
        """The change, as a difference of shares."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class Novelty:
    """Share of prompts that are unlike the training prompts.

    Attributes:
        n: Number of decisions whose group the caller did not name.
        limit: Novelty above which a prompt is novel.
        expected: Share of novel prompts in training.
        observed: Share of novel prompts; None without decisions.
        ci: Interval of the share that holds at every look.
        tolerance: Shares up to ``expected`` plus this are as in training.
        mean: Mean novelty, 0.5 in training; None without decisions.
        off: Whether more prompts are proven to be novel than that.
    """

    n: int
    limit: float
    expected: float
    observed: float | None
    ci: Interval
    tolerance: float
    mean: float | None
    off: bool


@dataclass(frozen=True, kw_only=True)
class ClusterShare:
    """Share of one cluster in training and in the log.

    Attributes:
        cluster: Index.
        words: Distinctive words.
        trained: Share of the training tasks.
        observed: Share of the decisions; None without decisions.
        n: Number of decisions.
    """

    cluster: int
    words: tuple[str, ...]
    trained: float
    observed: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class ClusterMix:
    """The mix of clusters against training.

    Attributes:
        n: Number of decisions.
        distance: Total variation distance of the two mixes: the share of prompts that would have
            to be of another cluster; None without decisions.
        at_least: Distance that is proven, at every look.
        tolerance: Distances up to this are as in training; it holds the sampling error of the
            training mix.
        clusters: A share for each cluster, those that moved most first.
        off: Whether the mix is proven to be farther away than that.
    """

    n: int
    distance: float | None
    at_least: float
    tolerance: float
    clusters: tuple[ClusterShare, ...]
    off: bool


@dataclass(frozen=True, kw_only=True)
class AmountRow:
    """Cost or latency of one model against the profile.

    Attributes:
        model: Name.
        n: Number of outcomes with a known and an expected amount.
        expected: Mean of what was expected, USD or seconds.
        observed: Mean of what came, USD or seconds.
        ratio: Mean of observed over expected, each counted up to ``MAX_RATIO``.
        ci: Interval of ``ratio`` that holds at every look.
        off: Whether it is proven to be off by more than the tolerance.
    """

    model: str
    n: int
    expected: float
    observed: float
    ratio: float
    ci: Interval
    off: bool


@dataclass(frozen=True, kw_only=True)
class ShadowComparison:
    """A shadow artifact beside the one that answered.

    Attributes:
        sha256: Of the shadow.
        decisions: Decisions that it was asked for as well.
        failed: Decisions among them for which it had none.
        same: Share of the others, less those that explored, for which both chose the same model.
        expected_gain: Mean success estimate of the shadow's choices less that of the router's,
            each by its own estimates; None without decisions.
        expected_cost: Expected cost of the shadow's choices over that of the router's, less 1;
            None if unknown.
        unknown_models: Outcomes left out of ``gain``: the shadow chose a model that the router
            does not have, and never draws.
        same_n: Outcomes where both chose the same model.
        same_score: Their mean score; None without any.
        known: Whether the log tells the gain: exploration took the shadow's choice at times.
        gain: Mean score of the shadow's choices less that of the router's on the same prompts,
            doubly robust; None where it is not known.
        ci: Its interval, which holds at every look.
        n: Number of decisions behind it.
    """

    sha256: str
    decisions: int
    failed: int
    same: float | None
    expected_gain: float | None
    expected_cost: float | None
    unknown_models: int
    same_n: int
    same_score: float | None
    known: bool
    gain: float | None
    ci: Interval | None
    n: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is proven to be wrong.

    Attributes:
        kind: ``"gain"``, ``"mix"``, ``"novelty"``, ``"change"``, ``"calibration"``, ``"cost"`` or
            ``"latency"``.
        remedy: The verdict that it leads to alone; None of one that only deserves notice.
        text: It in a sentence.
    """

    kind: str
    remedy: str | None
    text: str


@dataclass(frozen=True, kw_only=True, repr=False)
class MonitorFields:
    """The fields of a `MonitorReport`, which documents them; page and terminal read these."""

    version: int
    hypernova: str
    action: str
    verdict: str
    advice: str
    commands: tuple[str, ...]
    more_outcomes: int | None
    findings: tuple[Finding, ...]
    artifact: MonitoredArtifact
    log: LogCounts
    levels: ErrorLevels
    gain: RoutingGain
    estimates: EstimateErrors
    history: tuple[HistoryPart, ...]
    changes: tuple[SuccessChange, ...]
    novelty: Novelty
    mix: ClusterMix
    costs: tuple[AmountRow, ...]
    latencies: tuple[AmountRow, ...]
    shadows: tuple[ShadowComparison, ...]
    notes: tuple[str, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read a report from the dict of `to_dict`, or from the JSON of ``monitor --json``.

        Args:
            values: A dict as `json.load` gives it.

        Raises:
            ValueError: The dict is no report, or one of another version.

        Example:
            >>> import json, hypernova
            >>> with open("monitor.json") as file:  # doctest: +SKIP
            ...     report = hypernova.MonitorReport.from_dict(json.load(file))
        """
        version = values.get("version")
        if version != VERSION:
            raise ValueError(f"a report of version {version!r}; this hypernova reads {VERSION}")
        try:
            report: Self = _typed(cls, values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no report of `monitor`, or an incomplete one: {error!r}") from None
        return report

    def to_dict(self) -> dict[str, Any]:
        """Give all figures, JSON-able: floats with 6 digits, None for what is unknown."""
        values: dict[str, Any] = _plain(self)
        return values


def _plain(value: Any) -> Any:
    """Make a value JSON-able; six significant digits, since a call may cost $0.000001."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") + 0.0 if math.isfinite(value) else None
    return value


def _typed(kind: Any, value: Any) -> Any:
    """Turn a value of JSON into the type that a field has."""
    if get_origin(kind) in (types.UnionType,):
        if value is None:
            return None
        (kind,) = (each for each in get_args(kind) if each is not type(None))
        return _typed(kind, value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{field.name: _typed(hints[field.name], value[field.name])
                       for field in fields(kind)})  # type: ignore[operator]  # fmt: skip
    if kind is Interval:
        return Interval(*value)
    if get_origin(kind) is tuple:
        return tuple(_typed(get_args(kind)[0], each) for each in value)
    return value
