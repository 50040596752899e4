"""Sentences on the figures: the verdict that a manager can act on, and the notes.

Not here: the figures (see ``figures``).

The rule of the verdict, in this order (docs/evaluation.md gives the reasons):

1. The gain over the best single model is proven, its interval above 0, and so is the
   gain over routers that learned from shuffled prompts: *Route*. Where outcomes are missing,
   the gain is proven twice: with estimates for them and their errors, and without.
2. Some cost weight is proven to save money, to lose no more than `MARGIN` of accuracy, and
   to be more accurate than a random mix of two models at the same cost: *Route for cost*.
3. The gain may be real and worth having, but is not proven: *Do not route yet*.
4. Otherwise: *Do not route*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from hypernova.evaluation.figure_fields import Figure, Gain, GainOverShuffled
    from hypernova.evaluation.report_fields import ReportFields, SingleModel
    from hypernova.numeric import Floats
    from hypernova.report_values import Interval

# Accuracy that may be lost where routing is for cost. No finer loss can be excluded
# with a few hundred tasks.
MARGIN = 0.01
# A gain that is not proven is worth more tasks if its interval reaches this.
WORTHWHILE = 0.01
# With fewer prompts a percentile interval is known to be too narrow.
FEW_PROMPTS = 50
# With fewer prompts a note says whether more tasks would help.
SMALL_TABLE = 1000


@dataclass(frozen=True)
class WeightedResult:
    """Held-out result of the router under one cost weight.

    Attributes:
        cost_weight: Success per USD.
        figure: Accuracy and cost.
        gain: Gain over the best single model.
        over_mix: Gain over the random mix of two models at the same cost; None if unknown.
    """

    cost_weight: float
    figure: Figure
    gain: Gain
    over_mix: Gain | None


def cheaper_weight(gains: Sequence[Gain]) -> int | None:
    """Find the largest cost weight that saves money and keeps accuracy.

    Of many weights one would look good by chance. Each of the two claims is therefore
    tested in an order fixed beforehand and ends at the first failure, which keeps the error
    of the whole sequence at that of one test (Maurer, Hothorn and Lehmacher 1995): accuracy
    from the smallest weight up, cost from the largest down.

    Args:
        gains: Gains over the best single model, by rising cost weight.

    Returns:
        An index, or None.
    """
    keeps = 0
    while keeps < len(gains) and _keeps(gains[keeps]):
        keeps += 1
    saves = len(gains)
    while saves > 0 and _saves(gains[saves - 1]):
        saves -= 1
    return keeps - 1 if saves < keeps else None


def _keeps(gain: Gain) -> bool:
    return gain.lies_above(-MARGIN)


def _saves(gain: Gain) -> bool:
    change = gain.cost_change
    return change is not None and change.ci95 is not None and change.ci95.high < 0


def verdict(
    gain: Gain,
    over_shuffled: GainOverShuffled,
    single: str,
    frontier: Sequence[WeightedResult],
    models: Sequence[SingleModel],
    accuracy: float | None = None,
) -> str:
    """Write the verdict.

    Args:
        gain: Gain over the best single model.
        over_shuffled: Gain over routers that learned from shuffled prompts.
        single: The best single model.
        frontier: Results by rising cost weight.
        models: Every single model.
        accuracy: Of the router.
    """
    if gain.ci95 is None or (gain.estimated is not None and not gain.tasks):
        return (
            f"Do not route yet: no held-out task has outcomes of both the router's model and the "
            f"best single one, so nothing can be compared; use {single} until the models have "
            "been run on the same tasks"
        )
    # Where several models are equally good, a router that takes them in turn beats a bet
    # on one of them, whatever the prompts say.
    by_prompts = over_shuffled.ci95 is not None and over_shuffled.ci95.low > 0
    if gain.is_proven and by_prompts:
        plain = _more_accurate(accuracy, models)
        if plain is not None:
            return (
                f"Do not route yet: {_points(gain)} over {single} ({_interval(gain)}), but on all "
                f"tasks {plain.model} alone is estimated to be as accurate as the router; use "
                f"{plain.model} for everything until the models have been run on the same tasks"
            )
        return (
            f"Route: {_points(gain)} over {single} ({_interval(gain)}){_at_cost(gain)}"
            f"{_estimated(gain)}"
        )
    place = cheaper_weight([result.gain for result in frontier])
    if place is not None:
        result = frontier[place]
        plain = _as_good(result.figure, models)
        if plain is not None:
            return (
                f"Do not route: use {plain.model} for everything; at ${plain.cost_usd:.3g} a "
                f"task and an accuracy of {plain.accuracy:.3f} no cost weight is better"
            )
        if result.over_mix is not None and result.over_mix.is_proven:
            return (
                f"Route for cost: {_percent(result.gain)} lower cost than {single} at a cost "
                f"weight of {result.cost_weight:.3g}, for {_points(result.gain)} of accuracy "
                f"({_interval(result.gain)}){_estimated(result.gain)}"
            )
    half = _half_proven(gain, single)
    if half is not None:
        return half
    if gain.is_proven:
        return (
            f"Do not route yet: {_points(gain)} over {single} ({_interval(gain)}), but a router "
            "that learned from shuffled prompts is not proven to do worse, so the prompts may have "
            "no part in it"
        )
    if gain.ci95 == (0, 0):
        return (
            f"Do not route: use {single} for everything; the router found nothing that another "
            "model does better"
        )
    if _may_be_worth_it(gain):
        return (
            f"Do not route yet: {_points(gain)} over {single} is not proven ({_interval(gain)}); "
            f"use {single} for everything until more tasks decide it{_estimated(gain)}"
        )
    return (
        f"Do not route: use {single} for everything; routing changes accuracy by {_points(gain)} "
        f"({_interval(gain)}){_estimated(gain)}"
    )


def _half_proven(gain: Gain, single: str) -> str | None:
    """Say that a gain is proven with estimates for missing outcomes only, or without only."""
    part = gain.estimated
    if part is None or gain.is_proven or gain.ci95 is None:
        return None
    if gain.ci95.low > 0:
        return (
            f"Do not route yet: {_points(gain)} over {single} ({_interval(gain)}) rests on "
            f"estimates for the {_share(part.share)} of the decisions without outcomes, and what "
            f"was measured does not prove it; use {single} for everything until the models have "
            "been run there"
        )
    hopeful = gain.mean is not None and gain.mean > 0
    if hopeful and part.measured is not None and part.ci95 is not None and part.ci95.low > 0:
        low, high = (points(end, _digits(part.ci95)) for end in part.ci95)
        return (
            f"Do not route yet: {points(part.measured, _digits(part.ci95))} points over {single} "
            f"(95% interval {low} to {high}) leave out the {_share(part.share)} of the decisions "
            f"without outcomes, and with estimates for those {_points(gain)} ({_interval(gain)}) "
            f"are not proven; use {single} for everything until the models have been run there"
        )
    return None


def _estimated(gain: Gain) -> str:
    """Write the share of decisions that a gain estimates, for the end of a sentence."""
    if gain.estimated is None:
        return ""
    return f"; the outcomes of {_share(gain.estimated.share)} of the decisions are estimated"


def _as_good(figure: Figure, models: Sequence[SingleModel]) -> SingleModel | None:
    """Find the best single model that is as accurate as a figure, and as cheap."""
    if figure.accuracy is None or figure.cost_usd is None:
        return None
    found = [
        (model.accuracy, model)
        for model in models
        if model.accuracy is not None
        and model.cost_usd is not None
        and model.cost_usd <= figure.cost_usd
        and model.accuracy >= figure.accuracy
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _more_accurate(accuracy: float | None, models: Sequence[SingleModel]) -> SingleModel | None:
    """Find the best single model that is as accurate as the router, by estimated outcomes.

    Where outcomes are missing the best single model of a fold may be one that was run on easy
    tasks, and a gain over it is none.

    Returns:
        None where every outcome is known.
    """
    if accuracy is None or all(model.estimated is None for model in models):
        return None
    found = [
        (model.accuracy, model)
        for model in models
        if model.accuracy is not None and model.accuracy >= accuracy
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def tasks_to_decide(gain: Gain) -> int | None:
    """Estimate the number of tasks with an even chance to prove a gain of this size.

    Returns:
        Two significant digits; None if the gain is proven, is not worth it, or lacks outcomes.
    """
    if not gain.mean or gain.ci95 is None or gain.is_proven or not _may_be_worth_it(gain):
        return None
    if gain.estimated is not None:  # more tasks say nothing of models that are not run on them
        return None
    reach = gain.mean - gain.ci95.low
    return int(float(f"{gain.tasks * (reach / gain.mean) ** 2:.1e}"))


def _may_be_worth_it(gain: Gain) -> bool:
    return bool(gain.mean and gain.mean > 0 and gain.ci95 and gain.ci95.high >= WORTHWHILE)


def points(value: float | None, digits: int = 1) -> str:
    """Write a difference of accuracies in percentage points, with its sign."""
    if value is None:
        return "unknown"
    text = f"{100 * value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def _digits(ci95: Interval | None) -> int:
    """Choose the digits that keep an end of the interval from being shown as 0 if it is not."""
    ends = [abs(end) for end in ci95 or () if end]
    return next((digits for digits in (1, 2) if all(e >= 0.005 / 10**digits for e in ends)), 3)


def _points(gain: Gain) -> str:
    return f"{points(gain.mean, _digits(gain.ci95))} points"


def _interval(gain: Gain) -> str:
    low, high = (points(end, _digits(gain.ci95)) for end in gain.ci95 or (None, None))
    return f"95% interval {low} to {high}"


def _percent(gain: Gain) -> str:
    return "unknown" if gain.cost_change is None else f"{100 * abs(gain.cost_change.mean):.0f}%"


def _at_cost(gain: Gain) -> str:
    change = gain.cost_change
    if change is None:
        return "; what it costs is not known"
    if _percent(gain) == "0%":
        return " at the same cost"
    return f" at {_percent(gain)} {'lower' if change.mean < 0 else 'higher'} cost"


def notes(
    report: ReportFields,
    score: Floats,
    singles: Counter[int],
    unscored: float,
    wanted: Sequence[str] = (),
) -> list[str]:
    """Write the limits of the figures, with their reasons, and what is odd about them.

    Args:
        report: All figures.
        score: (tasks, models), NaN where unknown.
        singles: Number of folds that chose each model as the best single one.
        unscored: Share of held-out decisions whose model has no outcome for the task.
        wanted: Runs of models that would replace most of the estimates in the gain.
    """
    models, dataset, gain = report.dataset.models, report.dataset, report.gain
    known = ~np.isnan(score)
    found: list[str] = []
    if dataset.different_prompts < FEW_PROMPTS:
        found.append(
            f"Only {dataset.different_prompts} different prompts: intervals of so few are too "
            "narrow."
        )
    if np.ptp(score[known]) == 0:
        found.append("All scores are equal: no model can be better than another here.")
    if (known.sum(axis=1) < 2).all():
        found.append(
            "No task has outcomes of two models: which is better on the same task cannot be "
            "said; run the models on the same tasks."
        )
    seldom = [models[m] for m in np.flatnonzero(2 * known.sum(axis=0) < known.sum(axis=0).max())]
    if seldom:
        found.append(
            f"Tried less than half as often as the most tried model, so their rates are rough: "
            f"{', '.join(seldom)}."
        )
    if unscored > 0:
        found.append(
            f"The router took a model without an outcome in {_share(unscored)} of the held-out "
            "decisions; those are estimated."
        )
    part = gain.estimated
    if part is not None:
        measured = "nothing" if part.measured is None else f"{points(part.measured)} points"
        found.append(
            f"Estimates take part in {_share(part.share)} of the gain's decisions. The others "
            f"alone show {measured}; whatever the missing outcomes are, the gain lies from "
            f"{points(part.low)} to {points(part.high)} points."
        )
    if wanted:
        found.append(f"These runs would replace most of the estimates: {'; '.join(wanted)}.")
    if len(singles) > 1:
        shares = ", ".join(
            f"{models[m]} in {_share(times / singles.total())}"
            for m, times in singles.most_common()
        )
        found.append(f"The best single model differs among folds: {shares}.")
    if not report.pareto:
        found.append("No cost above zero is known: nothing is said about cost.")
    elif dataset.costs < 1:
        found.append(
            f"Costs are known for {_share(dataset.costs)} of the outcomes; unknown ones are "
            "estimated where the model has any, and none is counted as zero."
        )
    if not dataset.groups:
        found.append("The table names no groups: no mean over groups, no best model per group.")
    tasks = tasks_to_decide(gain)
    if tasks is not None:
        found.append(
            f"If the gain is what it seems, about {tasks:,} tasks would have an even chance to "
            "prove it."
        )
    if report.unseen_kinds is not None:
        found.append(report.unseen_kinds.text)
    found += few_tasks_notes(report)
    left_out = report.leave_one_group_out
    lost = left_out.gain if left_out else None
    if left_out and lost and lost.mean is not None and lost.ci95 and lost.ci95.high < 0:
        found.append(
            "On groups never seen routing loses "
            f"{points(-lost.mean).lstrip('+')} points to the best single model; "
            f"{_share(left_out.novel)} of their prompts were taken for novel."
        )
    accuracy = report.held_out.accuracy
    if gain.is_proven and accuracy is not None:
        for figure, meaning in (
            (report.shuffled_clusters, "a router that learned from shuffled prompts"),
            (report.cost_matched_mix, "a random mix of two models at the same cost"),
        ):
            if figure and figure.accuracy is not None and figure.accuracy >= accuracy:
                found.append(
                    f"Odd: {meaning} is as accurate as the router; the gain over the best single "
                    "model may not come from the prompts."
                )
    return found


def few_tasks_notes(report: ReportFields) -> list[str]:
    """Say of a small table whether more tasks would help; empty for a large one."""
    curve = report.learning_curve
    if curve is None or report.dataset.different_prompts >= SMALL_TABLE:
        return []
    found = []
    losing = [point for point in curve.points[:-1] if point.gain.ci95 and point.gain.ci95.high < 0]
    if losing:
        found.append(
            f"Routers that learned from {losing[-1].tasks:,} tasks lost "
            f"{points(losing[-1].gain.mean).lstrip('+-')} points to the best single model."
        )
    if curve.doubling is None or not curve.doubling.is_proven:
        found.append(
            f"Whether more tasks would help is not to be seen from {report.dataset.tasks:,}."
        )
    return found


def _share(share: float) -> str:
    return "less than 1%" if 0 < share < 0.01 else f"{100 * share:.0f}%"
