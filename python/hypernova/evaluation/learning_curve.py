"""Compute gain and saving by the number of tasks, and what twice as many would add.

Not here: which tasks are learned from (see ``curve_parts``), and how the curve is shown (see
``terminal`` and ``html``).

Each point is compared with the best single model of its own tasks: someone with no more tasks
would have taken that one. The step from one point to the next is the difference of the two
routers' accuracies on the same test tasks. It is not the difference of the gains: that would
call it progress that a smaller part names a worse best single model.

A forecast is made for the next doubling, and no further. Errors of what is learned from n tasks
fall with a power of n between 0 and 1 (Hestness et al. 2017, arXiv 1712.00409, find such powers
for many learners), so that each doubling adds between half of what the one before added (power 1:
accuracy is ``a - b / n``) and as much (power 0: ``a + b log n``). The forecast is the half, and its
interval holds that of the last step under both. Of a step, what led no higher than the best single
model is not counted: a router that came to lose less, or to route nothing, has not learned to gain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.evaluation.curve_parts import PartDecisions
from hypernova.evaluation.figures import PairedFigures
from hypernova.evaluation.learning_curve_fields import (
    CurvePoint,
    Doubling,
    LearningCurve,
)
from hypernova.evaluation.protocol import seed_of, test_to_train
from hypernova.report_values import Interval
from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.baselines import StrategyOutcomes
    from hypernova.evaluation.estimated_table import EstimatedTable
    from hypernova.evaluation.evaluation_run import EvaluationRun
    from hypernova.evaluation.figure_fields import Gain
    from hypernova.numeric import Floats, Ints

# A doubling that adds less than this is not worth the tasks, whether or not it is proven.
WORTHWHILE = 0.005


def learning_curve(run: EvaluationRun, table: EstimatedTable) -> LearningCurve | None:
    """Compute the field of the report; None if no smaller part was learned from."""
    if not run.curve_parts:
        return None
    # Of fewer repeats than the other figures, so with a bootstrap of its own.
    figures = PairedFigures(run.prompts, run.groups, run.group_names, seed_of(run.seed, 3), table)
    _add_strategies(run, table, figures)
    figures.draw()
    points: list[CurvePoint] = []
    smaller: str | None = None
    for part in _parts(run):
        router, single, saving = _names(part.share)
        points.append(
            CurvePoint(
                share=part.share,
                tasks=round(np.mean([len(split.train) for split in part.splits])),
                accuracy=figures.figure(router).accuracy,
                best_single=figures.figure(single).accuracy,
                gain=figures.gain(router, single),
                over_smaller=None if smaller is None else figures.gain(router, smaller),
                saving=figures.gain(saving, single) if saving in figures else None,
            )
        )
        smaller = router
    # The last step is a doubling: a share is left out only if those below it are.
    last = points[-1]
    doubling = forecast(last.over_smaller, last.gain, 2 * last.tasks)
    return LearningCurve(
        points=tuple(points),
        repeats=len(run.curve_parts[0].splits) // run.folds,
        doubling=doubling,
        text=sentence(doubling, last.gain),
    )


def _add_strategies(run: EvaluationRun, table: EstimatedTable, figures: PairedFigures) -> None:
    """Add the routers of each share, the best single models of their tasks, and their steps."""
    smaller: str | None = None
    overlap = 0.0
    for part in _parts(run):
        router, single, saving = _names(part.share)
        chosen = run.by_task([d.chosen for d in part.decisions], splits=part.splits)
        singles = run.by_task([d.single for d in part.decisions], splits=part.splits)
        figures.add(router, table.chosen(chosen))
        figures.add(single, table.chosen(singles))
        if smaller is not None:
            # The draw of the smaller part weighs most.
            figures.pair(router, smaller, overlap)
        overlap = test_to_train(part.splits)
        figures.pair(router, single, overlap)
        if run.cost_weights:
            figures.add(saving, table.chosen(at_no_loss(run, table, part)), alone=False)
            figures.pair(saving, single, overlap)
        smaller = router


def at_no_loss(run: EvaluationRun, table: EstimatedTable, part: PartDecisions) -> Ints:
    """Choose models under the cost weight that saves most and loses no accuracy.

    The weight of each test part is chosen on the test parts of the other folds, so that a weight
    that is good by chance saves nothing. Where none is as accurate as the best single model, or
    none is cheaper, that model is taken.

    Returns:
        (repeats, tasks), -1 where a task was not held out.
    """

    def outcomes(values: Sequence[Ints]) -> StrategyOutcomes:
        return table.chosen(run.by_task(values, splits=part.splits))

    single = outcomes([np.full(len(s.test), d.single)
                       for s, d in zip(part.splits, part.decisions, strict=True)])  # fmt: skip
    # Of each weight, (weights, repeats, tasks).
    gain, saved = [], []
    for i in range(len(run.cost_weights)):
        routed = outcomes([d.by_weight[i] for d in part.decisions])
        gain.append(routed.score - single.score)
        saved.append(single.cost - routed.cost)
    gains, savings = np.stack(gain), np.stack(saved)
    chosen = []
    for split, decisions in zip(part.splits, part.decisions, strict=True):
        others = np.ones(run.table.n_tasks, dtype=bool)
        others[split.test] = False
        place = best_weight(
            mean_known(gains[:, split.repeat, others], 1),
            mean_known(savings[:, split.repeat, others], 1),
        )
        of_single = np.full(len(split.test), decisions.single)
        chosen.append(of_single if place is None else decisions.by_weight[place])
    models: Ints = run.by_task(chosen, splits=part.splits).astype(np.int64)
    return models


def best_weight(gain: Floats, saved: Floats) -> int | None:
    """Find the cost weight that saves most among those up to the first that loses accuracy.

    Accuracy is looked at from the smallest weight up, as for the verdict: beyond a weight that
    loses some, one that does not has been lucky.

    Args:
        gain: (weights,) mean gain over the best single model, by rising weight; NaN where unknown.
        saved: (weights,) mean cost saved; NaN where unknown.

    Returns:
        Its index; None if no weight saves anything without a loss.
    """
    keeps = np.logical_and.accumulate(gain >= 0)
    fits = np.where(keeps & (saved > 0), saved, -np.inf)
    place = int(np.argmax(fits))
    return place if np.isfinite(fits[place]) else None


def forecast(step: Gain | None, gain: Gain, tasks: int) -> Doubling | None:
    """Forecast what the next doubling of the tasks adds to the router's accuracy.

    Args:
        step: What the last doubling added; None without one.
        gain: Gain of the router that learned from all tasks.
        tasks: Number of tasks after the next one.

    Returns:
        Half of the step, as far as it led above the best single model, with an interval from the
        lower of its halved and whole low ends to the higher of its high ends. Unknown if more
        tasks changed nothing, and no gain is proven.
    """
    if step is None:
        return None
    none = Doubling(tasks=tasks, mean=None, ci95=None)
    if step.mean is None or step.ci95 is None or gain.ci95 is None:
        return none
    if step.ci95 == (0, 0) and not gain.is_proven:  # it has not begun to learn, or never will
        return none
    # A router that has come to lose less has not come to gain.
    counts = min(step.mean, max(gain.mean or 0.0, 0.0))
    low, high = min(step.ci95.low, gain.ci95.low), step.ci95.high
    low, high = min(low / 2, low), max(high / 2, high)
    if not (step.is_proven and gain.is_proven):  # whatever their intervals are made of
        low = min(low, 0.0)
    return Doubling(tasks=tasks, mean=counts / 2, ci95=Interval(low, high))


def sentence(doubling: Doubling | None, gain: Gain) -> str:
    """Say what is known of more tasks.

    Args:
        doubling: The forecast; None without one.
        gain: Gain of the router that learned from all tasks.
    """
    if doubling is None or gain.ci95 is None:
        return "Whether more tasks would help is not known."
    if doubling.mean is None or doubling.ci95 is None:
        return (
            "Whether more tasks would help is not known: half of them led to the same decisions as "
            "all."
        )
    ends = f"95% interval {' to '.join(_signed(100 * end) for end in doubling.ci95)}"
    # A router that hardly routes yet does not show what it will do once it does.
    if gain.is_proven and doubling.ci95.high < WORTHWHILE:
        return (
            "More tasks would hardly help: what twice as many would add to the router's accuracy "
            f"has the {ends} points."
        )
    if doubling.is_proven:
        return (
            f"More tasks would help: twice as many would add about {100 * doubling.mean:.1f} "
            f"points to the router's accuracy ({ends})."
        )
    return (
        "More tasks are not known to help: what twice as many would add to the router's accuracy "
        f"has the {ends} points."
    )


def _signed(value: float) -> str:
    text = f"{value:+.1f}"
    return text.lstrip("+-") if float(text) == 0 else text


def _names(share: float) -> tuple[str, str, str]:
    """Name the router, the best single model and the saving router of a share."""
    return f"curve {share}", f"curve {share}, best single", f"curve {share}, at no loss"


def _parts(run: EvaluationRun) -> list[PartDecisions]:
    """List the smaller parts, and the whole training parts of the same splits."""
    count = len(run.curve_parts[0].splits)
    whole = PartDecisions(1.0, run.splits[:count], run.decisions[:count])
    return [*run.curve_parts, whole]
