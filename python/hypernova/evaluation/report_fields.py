"""The typed fields of a report, read from and written to JSON.

Not here: how a figure is computed (see ``results``), or how a report is shown (see ``report``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, overload

from hypernova.evaluation.figure_fields import (
    CostChange,
    Estimated,
    Figure,
    Gain,
    GainOverShuffled,
    GroupGiven,
    HindsightFigure,
    LabelledFigure,
)
from hypernova.evaluation.frontier_fields import (
    Calibration,
    CalibrationBin,
    CallFrontier,
    CallPoint,
    FrontierPoint,
    GapPoint,
    GapRecovered,
    QualityArea,
)
from hypernova.evaluation.learning_curve_fields import CurvePoint, Doubling, LearningCurve
from hypernova.evaluation.unseen_fields import UnseenKinds, WorstKind
from hypernova.report_values import Interval, rounded
from hypernova.table import Repeats

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
# Fields that hold a `Figure`, or None where the table lacks the costs or groups for it.
BASELINES = ("random", "group_oracle", "oracle", "shuffled_clusters", "cost_matched_mix")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The table that was evaluated, less tasks without any outcome.

    Attributes:
        name: Name of the table.
        tasks: Number of tasks.
        different_prompts: Number of different prompts.
        models: Names, in the table's order.
        groups: Number of named groups.
        outcomes: Number of known scores.
        density: Known scores over tasks x models, 0 to 1.
        costs: Share of the outcomes with a known cost, 0 to 1.
        repeats: How many outcomes are means of several; None if none is.
    """

    name: str
    tasks: int
    different_prompts: int
    models: tuple[str, ...]
    groups: int
    outcomes: int
    density: float
    costs: float
    repeats: Repeats | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol:
    """The options of the evaluation.

    Attributes:
        folds: Number of folds.
        repeats: Number of times that all tasks were dealt into folds.
        seed: Seed of folds, clusters, baselines and bootstrap.
        embedder: Identity of the embedder, with ``name`` and ``fingerprint``.
        clusters: Number of clusters, or ``"auto"``.
        bootstrap: Number of draws.
        unseen: Share of prompts of unseen kinds that learning was told to expect; None in a report
            of a version that did not ask.
        text: The protocol in a sentence.
    """

    folds: int
    repeats: int
    seed: int
    embedder: Mapping[str, Any]
    clusters: int | str
    bootstrap: int
    text: str
    unseen: float | None = None


@dataclass(frozen=True, kw_only=True)
class SingleModel:
    """One model on all tasks.

    Attributes:
        model: Name.
        accuracy, ci95, cost_usd, n, estimated: As in `Figure`.
        taken: Share of the held-out decisions that chose it, 0 to 1.
    """

    model: str
    accuracy: float | None
    ci95: Interval | None
    cost_usd: float | None
    n: int
    taken: float
    estimated: Estimated | None = None


@dataclass(frozen=True, kw_only=True)
class GroupFigures:
    """Held-out figures of one group.

    Attributes:
        group: Name.
        tasks: Number of tasks.
        accuracy: Of the router.
        best_single: Accuracy of the best single model of each fold.
        gain: Mean over the group's tasks.
        estimated: Share of the group's decisions whose outcome, or the best single model's, is
            missing and is estimated.
    """

    group: str
    tasks: int
    accuracy: float | None
    best_single: float | None
    gain: float | None
    estimated: float = 0.0


@dataclass(frozen=True, kw_only=True)
class UnseenGroupFigures(GroupFigures):
    """Figures of a group that was left out of training.

    Attributes:
        novel: Share of its prompts that the router took for novel.
    """

    novel: float


@dataclass(frozen=True, kw_only=True)
class LeaveOneGroupOut:
    """Figures on groups never seen: each named group in turn was the test part.

    Attributes:
        held_out: The router.
        best_single: The best single model of the other groups.
        gain: Router less best single model.
        novel: Share of the prompts that the router took for novel.
        groups: One row a group.
    """

    held_out: Figure
    best_single: Figure
    gain: Gain
    novel: float
    groups: tuple[UnseenGroupFigures, ...]


@dataclass(frozen=True, kw_only=True)
class Rescuer:
    """A ``model`` that ``solves`` a number of the tasks that the best single model fails."""

    model: str
    solves: int


@dataclass(frozen=True, kw_only=True)
class Complementarity:
    """Tasks that the best single model in hindsight fails, and the models that solve them.

    Attributes:
        model: The best single model in hindsight.
        failed: Number of tasks that it fails (score below 0.5).
        solved_by_another: Number of these that some other model solves.
        rescuers: The models that solve any of them, the most helpful first.
    """

    model: str
    failed: int
    solved_by_another: int
    rescuers: tuple[Rescuer, ...]


@dataclass(frozen=True, kw_only=True)
class ClusterCell:
    """One model in one cluster, in-sample.

    Attributes:
        model: Name.
        n: Number of outcomes; repeats may make it fractional.
        mean: Mean score; None without outcomes.
        success: Success estimate at the cluster's centre.
        ci95: The estimate plus or minus 1.96 standard errors, within 0 to 1.
        cost_usd: Mean cost of a task; None if unknown.
    """

    model: str
    n: float
    mean: float | None
    success: float | None
    ci95: Interval | None
    cost_usd: float | None


@dataclass(frozen=True, kw_only=True)
class ClusterFigures:
    """One cluster of the artifact that was fitted to the whole table.

    Attributes:
        cluster: Index, from 0.
        tasks: Number of tasks of which it is the nearest cluster.
        words: Distinctive words.
        prompts: First lines of the prompts nearest to its centre.
        decision: The model that is chosen at its centre.
        reason: The reason of that decision.
        cells: One for each model.
    """

    cluster: int
    tasks: int
    words: tuple[str, ...]
    prompts: tuple[str, ...]
    decision: str
    reason: str
    cells: tuple[ClusterCell, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class ReportFields:
    """The fields of a `Report`, which documents them; the pages and the terminal read these."""

    version: int
    hypernova: str
    dataset: Dataset
    protocol: EvaluationProtocol
    in_sample: LabelledFigure
    held_out: Figure
    best_single: Figure
    best_single_hindsight: HindsightFigure
    random: Figure
    group_oracle: Figure | None
    oracle: Figure
    shuffled_clusters: Figure
    cost_matched_mix: Figure | None
    gain: Gain
    shared_text: Mapping[str, Any] | None = None
    alike_prompts: Mapping[str, Any] | None = None
    gain_over_shuffled: GainOverShuffled
    pareto: tuple[FrontierPoint, ...]
    frontier_gain: Gain | None = None
    aiq: QualityArea | None = None
    call_frontier: CallFrontier | None = None
    gap_recovered: GapRecovered | None = None
    calibration: Calibration | None = None
    group_given: GroupGiven | None = None
    learning_curve: LearningCurve | None = None
    unseen_kinds: UnseenKinds | None = None
    models: tuple[SingleModel, ...]
    groups: tuple[GroupFigures, ...]
    leave_one_group_out: LeaveOneGroupOut | None
    complementarity: Complementarity
    settings: tuple[Mapping[str, Any], ...]
    clusters: tuple[ClusterFigures, ...]
    verdict: str
    notes: tuple[str, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read a report from the dict of `to_dict`, or from the JSON of ``evaluate --json``.

        Args:
            values: A dict as `json.load` gives it; of any version up to this one.

        Raises:
            ValueError: The dict is no report, or one of a later version.

        Example:
            >>> import json, hypernova
            >>> with open("report.json") as file:  # doctest: +SKIP
            ...     report = hypernova.Report.from_dict(json.load(file))
        """
        version = values.get("version")
        if version != VERSION:
            raise ValueError(f"a report of version {version!r}; this hypernova reads {VERSION}")
        try:
            return cls(**_typed(_frozen(values)))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no report of `evaluate`, or an incomplete one: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Give all figures, JSON-able: floats with 6 digits, None for what is unknown."""
        values: dict[str, Any] = rounded(self)
        return values


def _frozen(value: Any) -> Any:
    """Copy a value of JSON: tuples for lists, `Interval` for ``ci95``, and `Estimated`."""
    if isinstance(value, dict):
        found: dict[str, Any] = {
            key: Interval(*each) if key == "ci95" and each is not None else _frozen(each)
            for key, each in value.items()
        }
        if isinstance(found.get("estimated"), dict):
            found["estimated"] = Estimated(**found["estimated"])
        return found
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _dataset(values: dict[str, Any]) -> Dataset:
    repeats = values.get("repeats")
    return Dataset(**{**values, "repeats": Repeats(**repeats) if repeats else None})


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """Replace the dicts of a report by the classes of its fields."""
    left_out = values["leave_one_group_out"]
    complementarity = values["complementarity"]
    return {
        **values,
        "dataset": _dataset(values["dataset"]),
        "protocol": EvaluationProtocol(**values["protocol"]),
        "in_sample": LabelledFigure(**values["in_sample"]),
        "held_out": Figure(**values["held_out"]),
        "best_single": Figure(**values["best_single"]),
        "best_single_hindsight": HindsightFigure(**values["best_single_hindsight"]),
        **{name: Figure(**values[name]) if values[name] else None for name in BASELINES},
        "gain": _gain(values["gain"]),
        "gain_over_shuffled": GainOverShuffled(**values["gain_over_shuffled"]),
        "pareto": tuple(
            FrontierPoint(**{**point, "over_mix": _gain(point.get("over_mix"))})
            for point in values["pareto"]
        ),
        "frontier_gain": _gain(values.get("frontier_gain")),
        "aiq": QualityArea(**values["aiq"]) if values.get("aiq") else None,
        "call_frontier": _call_frontier(values.get("call_frontier")),
        "gap_recovered": _gap_recovered(values.get("gap_recovered")),
        "calibration": _calibration(values.get("calibration")),
        "group_given": _group_given(values.get("group_given")),
        "learning_curve": _learning_curve(values.get("learning_curve")),
        "unseen_kinds": _unseen_kinds(values.get("unseen_kinds")),
        "models": tuple(SingleModel(**row) for row in values["models"]),
        "groups": tuple(GroupFigures(**row) for row in values["groups"]),
        "leave_one_group_out": left_out
        and LeaveOneGroupOut(
            held_out=Figure(**left_out["held_out"]),
            best_single=Figure(**left_out["best_single"]),
            gain=_gain(left_out["gain"]),
            novel=left_out["novel"],
            groups=tuple(UnseenGroupFigures(**row) for row in left_out["groups"]),
        ),
        "complementarity": Complementarity(
            **{
                **complementarity,
                "rescuers": tuple(Rescuer(**row) for row in complementarity["rescuers"]),
            }
        ),
        "clusters": tuple(
            ClusterFigures(**{**row, "cells": tuple(ClusterCell(**cell) for cell in row["cells"])})
            for row in values["clusters"]
        ),
    }


@overload
def _gain(values: dict[str, Any]) -> Gain: ...
@overload
def _gain(values: dict[str, Any] | None) -> Gain | None: ...
def _gain(values: dict[str, Any] | None) -> Gain | None:
    if values is None:
        return None
    change = values["cost_change"]
    return Gain(**{**values, "cost_change": change and CostChange(**change)})


def _call_frontier(values: dict[str, Any] | None) -> CallFrontier | None:
    if values is None:
        return None
    points = (
        CallPoint(**{**point, "over_mix": _gain(point["over_mix"])}) for point in values["points"]
    )
    return CallFrontier(**{**values, "points": tuple(points), "gain": _gain(values["gain"])})


def _gap_recovered(values: dict[str, Any] | None) -> GapRecovered | None:
    if values is None:
        return None
    curve = tuple(GapPoint(**point) for point in values["curve"])
    return GapRecovered(**{**values, "curve": curve})


def _calibration(values: dict[str, Any] | None) -> Calibration | None:
    if values is None:
        return None
    bins = tuple(CalibrationBin(**each) for each in values["bins"])
    return Calibration(**{**values, "bins": bins})


def _group_given(values: dict[str, Any] | None) -> GroupGiven | None:
    if values is None:
        return None
    gains = ("gain", "over_text", "over_best_of_group", "frontier_gain")
    return GroupGiven(
        held_out=Figure(**values["held_out"]),
        best_of_group=Figure(**values["best_of_group"]),
        **{name: _gain(values[name]) for name in gains},
    )


def _unseen_kinds(values: dict[str, Any] | None) -> UnseenKinds | None:
    if values is None:
        return None
    return UnseenKinds(
        **{
            **values,
            "gain": _gain(values["gain"]),
            "worst": WorstKind(**values["worst"]),
        }
    )


def _learning_curve(values: dict[str, Any] | None) -> LearningCurve | None:
    if values is None:
        return None
    gains = ("gain", "over_smaller", "saving")
    points = (
        CurvePoint(**{**point, **{name: _gain(point[name]) for name in gains}})
        for point in values["points"]
    )
    doubling = values["doubling"]
    return LearningCurve(
        **{**values, "points": tuple(points), "doubling": doubling and Doubling(**doubling)}
    )
