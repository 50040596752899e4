"""Compare the figures that a log states with the means of its samples, and say why they differ.

Not here: which metric counts, and merging logs (`collect`).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from hypernova.table.importing.summary import FigureAgreement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from hypernova.table.columns import Floats, Ints
    from hypernova.table.importing.scores import ScoreRules
    from hypernova.table.sources.log import Reported

# Tools round to three decimals at least, and write a zero at the end of none: 0.5 is 0.500.
_MAX_TOLERANCE = 0.0005
_EXACT = 1e-9
_CHOSEN = "the scores are those of --choice, or of choices=, and the figure is of the tool's own"


@dataclass(frozen=True, slots=True)
class LogScores:
    """The scores of a log, of one metric each; samples are rows.

    Attributes:
        label: The log.
        models: Names of the models.
        groups: Names of the groups.
        model: Index into `models` (samples,).
        group: Index into `groups` (samples,).
        task: Number of the task (samples,).
        used: Whether the sample is not left out (samples,).
        scores: By metric, the score of each sample, NaN where it has none (samples,).
        scaled: The metrics with a value that the scale changes: their figures are on it too.
        chosen: The metrics with a value to which a choice gives another score.
    """

    label: str
    models: Mapping[str, int]
    groups: Mapping[str | None, int]
    model: Ints
    group: Ints
    task: Ints
    used: NDArray[np.bool_]
    scores: Mapping[str, Floats]
    scaled: Collection[str] = ()
    chosen: Collection[str] = ()


def compare(log: LogScores, stated: Sequence[Reported], rules: ScoreRules) -> list[FigureAgreement]:
    """Return each stated figure beside the mean of the samples that it speaks of.

    A figure of a model, group or metric without a scored sample is left out.

    Args:
        log: The samples of the log, before those that other logs have too are dropped.
        stated: Its figures.
        rules: The rules by which its values became scores.
    """
    unscaled = dataclasses.replace(rules, scale=None)
    found = []
    for figure in stated:
        scores = log.scores.get(figure.metric)
        if scores is None or not math.isfinite(figure.value):
            continue
        rows = np.ones(len(scores), dtype=np.bool_)
        if figure.group is not None:
            rows &= log.group == log.groups.get(figure.group, -1)
        of_model = rows & (log.model == log.models.get(figure.model, -1))
        one = _Figures(scores[of_model], log.used[of_model], log.task[of_model])
        if not len(one.values):
            continue
        mean = _mean(one.values)
        on = rules if figure.metric in log.scaled else unscaled
        reported, tolerance = on.stated(figure.value), _tolerance(figure.value, on)
        reason = None
        if abs(mean - reported) > tolerance:
            every = _Figures(scores[rows], log.used[rows], log.task[rows])
            reported, tolerance, reason = _explained(
                figure.value, reported, tolerance, mean, one, every
            )
            if reason is None and figure.metric in log.chosen:
                reason = _CHOSEN if abs(mean - reported) > tolerance else None
        found.append(
            FigureAgreement(
                log=log.label,
                model=figure.model,
                group=figure.group,
                metric=figure.metric,
                name=figure.name,
                reported=reported,
                mean=mean,
                outcomes=len(one.values),
                reason=reason,
                tolerance=tolerance,
            )
        )
    return found


class _Figures:
    """The samples that a figure may be of."""

    def __init__(self, scores: Floats, used: NDArray[np.bool_], task: Ints) -> None:
        scored = ~np.isnan(scores)
        self.values = scores[scored & used]
        self.tasks = task[scored & used]
        # Of all samples, those left out among them.
        self.every = scores[scored]
        self.n_unscored = int(np.count_nonzero(used & ~scored))
        self.n_left_out = int(np.count_nonzero(~used))
        self.n_left_out_scored = int(np.count_nonzero(~used & scored))


def _explained(
    value: float,
    reported: float,
    tolerance: float,
    mean: float,
    one: _Figures,
    every: _Figures,
) -> tuple[float, float, str | None]:
    """Return a figure, how far the mean may lie from it, and the reason why the two differ."""
    for reason, other in _other_figures(one, every):
        if abs(other - reported) <= tolerance:
            return reported, tolerance, reason
    if reported > 1.0:
        share, narrow = value / 100, tolerance / 100
        if abs(mean - share) <= narrow:
            return share, narrow, None  # a percentage of scores in 0..1
        for reason, other in _other_figures(one, every):
            if abs(other - share) <= narrow:
                return share, narrow, reason
    return reported, tolerance, None


def _other_figures(one: _Figures, every: _Figures) -> Iterator[tuple[str, float]]:
    """Yield what else a tool may state, each with the words for it."""
    total, n = math.fsum(one.values), len(one.values)
    without, failed = one.n_unscored, one.n_left_out
    if without:
        yield f"the tool counts {_samples(without)} without a score as 0", total / (n + without)
    if failed:
        are = "is" if failed == 1 else "are"
        words = f"the tool counts {_samples(failed)} that {are} left out here"
        if one.n_left_out_scored:
            yield f"{words}, by their scores", _mean(one.every)
        yield f"{words}, as 0", total / (n + failed)
        if without:
            zero = f"{words}, and {without} without a score, as 0"
            yield zero, total / (n + without + failed)
        with_scores = math.fsum(one.every) / (len(one.every) + without)
        if one.n_left_out_scored and without:
            yield f"{words}, and {without} without a score as 0", with_scores
    for words, reduced in _reduced(one.values, one.tasks):
        yield f"the tool takes {words}", _mean(reduced)
    if len(every.values) > n:
        yield "the tool's figure is over all models of the log", _mean(every.values)


def _reduced(values: Floats, tasks: Ints) -> Iterator[tuple[str, Floats]]:
    """Yield one score a task, by each way to reduce several attempts to one."""
    order = np.lexsort((values, tasks))
    values, tasks = values[order], tasks[order]
    starts = np.flatnonzero(np.r_[True, tasks[1:] != tasks[:-1]])
    sizes = np.diff(np.r_[starts, len(values)])
    if len(starts) == len(values):
        return
    yield "the mean of each task first", np.add.reduceat(values, starts) / sizes
    yield "the best of several attempts at a task", values[starts + sizes - 1]
    yield "the worst of several attempts at a task", values[starts]
    middle = (values[starts + (sizes - 1) // 2] + values[starts + sizes // 2]) / 2
    yield "the median of several attempts at a task", middle
    # Of sorted values the most frequent has the longest run; the first of equally long ones.
    modes = []
    for part in np.split(values, starts[1:]):
        different, counts = np.unique(part, return_counts=True)
        modes.append(different[counts.argmax()])
    yield "the most frequent score of several attempts at a task", np.array(modes)


def _samples(n: int) -> str:
    return f"{n} sample{'s' * (n != 1)}"


def _mean(values: Floats) -> float:
    return math.fsum(values) / len(values)


def _tolerance(value: float, rules: ScoreRules) -> float:
    """Return half a unit of the last digit of a figure, on the scale of the table."""
    exponent = Decimal(repr(float(value))).as_tuple().exponent
    assert isinstance(exponent, int)  # a finite number
    half_a_unit = 0.5 * 10.0**exponent
    if rules.scale is not None:
        low, high = rules.scale
        return min(half_a_unit / (high - low), _MAX_TOLERANCE) + _EXACT
    # A percentage such as 65.0 says as much as 0.650.
    return min(half_a_unit, _MAX_TOLERANCE * (100.0 if abs(value) > 1.0 else 1.0)) + _EXACT
