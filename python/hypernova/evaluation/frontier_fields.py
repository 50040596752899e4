"""The typed figures of frontiers, and of calibration.

Not here: how they are computed (see ``areas`` and ``calibration``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypernova.evaluation.figure_fields import Estimated, Gain
    from hypernova.report_values import Interval


@dataclass(frozen=True, kw_only=True)
class FrontierPoint:
    """Held-out accuracy and cost of the router under one cost weight.

    Attributes:
        cost_weight: Success per USD.
        accuracy, ci95, cost_usd, estimated: As in `Figure`.
        over_mix: Gain over a random mix of two models at the same cost, which the training
            parts name; None if unknown.
    """

    cost_weight: float
    accuracy: float | None
    ci95: Interval | None
    cost_usd: float | None
    over_mix: Gain | None = None
    estimated: Estimated | None = None


@dataclass(frozen=True, kw_only=True)
class QualityArea:
    """RouterBench's AIQ, average improvement in quality (Hu et al. 2024, arXiv 2403.12031).

    The area under the non-decreasing convex hull of points of cost and accuracy, over the range
    of the single models' mean costs, divided by the range: the mean accuracy over all costs.

    Attributes:
        router: Of the router's held-out points.
        single_models: Of the single models, in hindsight: what mixes of two of them reach.
        low_usd: Cost of the cheapest single model, USD a task.
        high_usd: Cost of the dearest one.
    """

    router: float
    single_models: float
    low_usd: float
    high_usd: float


@dataclass(frozen=True, kw_only=True)
class CallPoint:
    """Held-out accuracy of the router where calls to the best single model have a price.

    Attributes:
        call_weight: Success per call.
        accuracy, ci95, estimated: As in `Figure`.
        calls: Share of the decisions that chose the best single model of the training part.
        over_mix: Gain over a random mix of that model and the best other one, with as many calls
            to it.
    """

    call_weight: float
    accuracy: float | None
    ci95: Interval | None
    calls: float
    over_mix: Gain
    estimated: Estimated | None = None


@dataclass(frozen=True, kw_only=True)
class CallFrontier:
    """The router on a table without costs: accuracy against calls to the best single model.

    Calls are no costs: what one is worth, only its price says.

    Attributes:
        model: The best single model of most training parts.
        other: The best other one of most training parts.
        points: By rising call weight.
        gain: Gain over the mix with as many calls, averaged over the call weights.
    """

    model: str
    other: str
    points: tuple[CallPoint, ...]
    gain: Gain


@dataclass(frozen=True, kw_only=True)
class GapPoint:
    """A point of the curve of `GapRecovered`.

    Attributes:
        calls: Share of calls to the stronger model.
        accuracy: Held-out accuracy.
        recovered: Share of the gap that is recovered: 0 is the weaker model, 1 the stronger.
    """

    calls: float
    accuracy: float
    recovered: float


@dataclass(frozen=True, kw_only=True)
class GapRecovered:
    """RouteLLM's figures of two models (Ong et al. 2024, arXiv 2406.18665).

    Prompts go to the stronger model in the order of the difference of the two held-out success
    estimates, whatever the guard says.

    Attributes:
        strong: Name of the more accurate model.
        weak: Name of the other one.
        apgr: Average performance gap recovered: the area under ``recovered`` over ``calls``; a
            random mix has 0.5.
        ci95: Its interval.
        calls_for_50: Share of calls to the stronger model that recovers 50% of the gap: CPT(50%),
            the call-performance threshold.
        calls_for_80: The same for 80%.
        tasks: Number of tasks that both have an outcome for.
        curve: Points at shares of calls from 0 to 1.
    """

    strong: str
    weak: str
    apgr: float
    ci95: Interval | None
    calls_for_50: float
    calls_for_80: float
    tasks: int
    curve: tuple[GapPoint, ...]


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Held-out success estimates between two values, and what came of them.

    Attributes:
        low, high: Ends of the bin; the last one holds its high end.
        n: Number of estimates.
        estimate: Their mean; None without any.
        score: Mean score of the outcomes; None without any.
    """

    low: float
    high: float
    n: int
    estimate: float | None
    score: float | None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far held-out success estimates can be taken at their word.

    Attributes:
        error: Expected calibration error: the mean distance of the bins' mean estimate and mean
            score, by the number of estimates (Guo et al. 2017).
        brier: Brier score, the mean squared distance of estimate and score (Brier 1950).
        brier_of_rates: Brier score of each model's mean score in the training part.
        n: Number of estimates: of every model for every task that it has an outcome for.
        bins: Ten bins of equal width.
    """

    error: float
    brier: float
    brier_of_rates: float
    n: int
    bins: tuple[CalibrationBin, ...]
