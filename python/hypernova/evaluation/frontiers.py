"""Figures of the frontier beside the mean gain: AIQ, the trade of calls, and the gap recovered.

Not here: the curves' areas themselves (see ``areas``), and decisions (see ``protocol``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.evaluation.areas import CallOrder, first_reach, mean_accuracy
from hypernova.evaluation.baselines import StrategyOutcomes
from hypernova.evaluation.calibration import CalibrationSums
from hypernova.evaluation.estimated_table import averaged
from hypernova.evaluation.frontier_fields import (
    CallFrontier,
    CallPoint,
    GapPoint,
    GapRecovered,
    QualityArea,
)
from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypernova.evaluation.estimated_table import EstimatedTable
    from hypernova.evaluation.evaluation_run import EvaluationRun
    from hypernova.evaluation.figures import PairedFigures
    from hypernova.evaluation.frontier_fields import Calibration
    from hypernova.evaluation.report_fields import SingleModel
    from hypernova.evaluation.verdict import WeightedResult
    from hypernova.numeric import Floats

# Shares of calls at which the curve of the gap is computed, and those that a report holds.
SHARES = 200
SHOWN = 20


def add_mean(
    figures: PairedFigures,
    names: tuple[str, str],
    pairs: Iterable[tuple[StrategyOutcomes, StrategyOutcomes]],
    test_to_train: float,
) -> None:
    """Add two strategies' means over several weights, and their gain.

    A mean is of the weights at which both have an outcome.
    """
    found: tuple[list[StrategyOutcomes], list[StrategyOutcomes]] = [], []
    for pair in pairs:
        either = np.isnan(pair[0].score) | np.isnan(pair[1].score)
        unmeasured = np.isnan(pair[0].known_score) | np.isnan(pair[1].known_score)
        for outcomes, each in zip(pair, found, strict=True):
            measured = outcomes.measured
            each.append(
                replace(
                    outcomes,
                    score=np.where(either, np.nan, outcomes.score),
                    measured=None if measured is None else np.where(unmeasured, np.nan, measured),
                )
            )
    for name, strategies in zip(names, found, strict=True):
        figures.add(name, averaged(strategies), alone=False)
    figures.pair(*names, test_to_train)


def quality_area(
    frontier: Sequence[WeightedResult], models: Sequence[SingleModel], tried: Floats
) -> QualityArea | None:
    """Compute the AIQ of the router and of the single models.

    Args:
        frontier: The router under each cost weight.
        models: Every single model.
        tried: Whether each has enough outcomes to take part, (models,).
    """
    points = [
        (result.figure.cost_usd, result.figure.accuracy)
        for result in frontier
        if result.figure.cost_usd is not None and result.figure.accuracy is not None
    ]
    singles = [
        (model.cost_usd, model.accuracy)
        for model, there in zip(models, tried, strict=True)
        if there and model.cost_usd is not None and model.accuracy is not None
    ]
    if not points or len({cost for cost, _ in singles}) < 2:
        return None
    costs = [cost for cost, _ in singles]
    low, high = min(costs), max(costs)
    areas = (
        mean_accuracy([cost for cost, _ in each], [accuracy for _, accuracy in each], low, high)
        for each in (points, singles)
    )
    router, single_models = areas
    return QualityArea(router=router, single_models=single_models, low_usd=low, high_usd=high)


def add_calls(
    run: EvaluationRun, table: EstimatedTable, figures: PairedFigures, test_to_train: float
) -> None:
    """Add the router under each weight of a call, and the mix with as many calls."""
    single, other = (run.by_task([getattr(d, key) for d in run.decisions])
                     for key in ("single", "other"))  # fmt: skip
    pairs = []
    for i in range(len(run.call_weights)):
        chosen = run.by_task([d.by_calls[i] for d in run.decisions])
        calls = run.by_task([float((d.by_calls[i] == d.single).mean()) for d in run.decisions], 0.0)
        routed = table.chosen(chosen)
        mixed = table.mixed(other, single, calls)
        figures.add(f"calls {i}", routed)
        figures.add(f"mix of calls {i}", mixed, alone=False)
        figures.pair(f"calls {i}", f"mix of calls {i}", test_to_train)
        pairs.append((routed, mixed))
    add_mean(figures, ("calls", "mix of calls"), pairs, test_to_train)


def call_frontier(run: EvaluationRun, figures: PairedFigures) -> CallFrontier:
    """Compute the trade of accuracy against calls to the best single model."""
    named = (Counter(getattr(d, key) for d in run.decisions) for key in ("single", "other"))
    model, other = (run.table.models[min(times, key=lambda m: (-times[m], m))] for times in named)
    points = []
    for i, weight in enumerate(run.call_weights):
        figure = figures.figure(f"calls {i}")
        calls = [d.by_calls[i] == d.single for d in run.decisions]
        points.append(
            CallPoint(
                call_weight=weight,
                accuracy=figure.accuracy,
                ci95=figure.ci95,
                calls=float(np.concatenate(calls).mean()),
                over_mix=figures.gain(f"calls {i}", f"mix of calls {i}"),
                estimated=figure.estimated,
            )
        )
    gain = figures.gain("calls", "mix of calls")
    return CallFrontier(model=model, other=other, points=tuple(points), gain=gain)


def add_gap(run: EvaluationRun, figures: PairedFigures) -> CallOrder | None:
    """Add two models that span the table, and the mean over all shares of calls between them.

    Returns:
        The order in which tasks go to the stronger one; None unless the same two models span
        the training parts of all folds.
    """
    pairs = {decisions.pair for decisions in run.decisions}
    pair = next(iter(pairs))
    if len(pairs) > 1 or pair is None:
        return None
    weak, strong = (run.table.score[:, m] for m in pair)
    both = ~np.isnan(weak) & ~np.isnan(strong)
    if not both.any():
        return None
    margins = run.by_task([d.margins for d in run.decisions], np.nan)
    order = CallOrder.of(np.where(both, margins, np.nan))
    none = np.full(both.shape, np.nan)
    for name, score in (("weak", weak), ("strong", strong)):
        figures.add(name, StrategyOutcomes(np.where(both, score, np.nan)[None], none[None]))
    swept = weak + order.sent_on_average() * (strong - weak)
    figures.add("swept", StrategyOutcomes(swept, np.full(swept.shape, np.nan)))
    return order


def gap_recovered(
    run: EvaluationRun, figures: PairedFigures, order: CallOrder, test_to_train: float
) -> GapRecovered | None:
    """Compute RouteLLM's figures; None if the stronger model's lead is not proven held out."""
    found = figures.recovered("swept", "weak", "strong", test_to_train)
    pair = run.decisions[0].pair
    if found is None or pair is None:
        return None
    weak, strong = (run.table.score[:, m] for m in pair)
    calls = np.linspace(0.0, 1.0, SHARES + 1)
    accuracy = [
        float(mean_known(mean_known(weak + order.sent(share) * (strong - weak))))
        for share in calls.tolist()
    ]
    low, gap = accuracy[0], accuracy[-1] - accuracy[0]
    recovered = [(value - low) / gap for value in accuracy]
    curve = tuple(
        GapPoint(calls=float(calls[i]), accuracy=accuracy[i], recovered=recovered[i])
        for i in range(0, SHARES + 1, SHARES // SHOWN)
    )
    half, most = (first_reach(calls.tolist(), recovered, share) for share in (0.5, 0.8))
    return GapRecovered(
        strong=run.table.models[pair[1]],
        weak=run.table.models[pair[0]],
        apgr=found[0],
        ci95=found[1],
        calls_for_50=half,
        calls_for_80=most,
        tasks=figures.figure("swept").n,
        curve=curve,
    )


def calibration(run: EvaluationRun) -> Calibration | None:
    """Compare the success estimates of the first repeat with what came of them."""
    sums = CalibrationSums.none()
    for split, decisions in zip(run.splits, run.decisions, strict=True):
        if decisions.estimates is not None:
            sums.add(decisions.estimates, run.table.score[split.test], decisions.rates)
    return sums.calibration()
