"""The gain over the default model, doubly robust; else how much exploration would tell it.

Not here: the sequence (see ``gains``). Decisions that followed a failure, and those whose limits
excluded the default model, are counted and left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.monitoring.gains import GainSequence, decisions_to_tell
from hypernova.monitoring.report_fields import ExploreNeed, RoutingGain
from hypernova.report_values import Interval

if TYPE_CHECKING:
    from typing import Any

    from hypernova._core import Artifact
    from hypernova.monitoring.gains import GainFigure
    from hypernova.monitoring.observations import Columns
    from hypernova.numeric import Floats

# Shares of explored decisions that a reader is offered, beside the present one.
OFFERED = (0.02, 0.05, 0.1)
# A gain that is worth telling from none where the estimates expect less.
WORTHWHILE = 0.02
# A model that a decision draws less often tells nothing in any log's time, and the width of the
# interval is in proportion to the greatest weight: one such decision would drown all others.
MIN_CHANCE = 1e-4


def routing_gain(
    artifact: Artifact, outcomes: Columns, level: float, *, has_ancestors: bool
) -> RoutingGain:
    """Estimate the gain over the default model.

    Args:
        artifact: The artifact.
        outcomes: Of its decisions and of those of its ancestors.
        level: Of the interval.
        has_ancestors: Whether there are outcomes of ancestors.
    """
    own = outcomes.where(outcomes["artifact"] == 0)
    fallback = own["fallback"] == 1
    compared = _compared(own)
    figure = _figure(compared, level)
    chosen = compared.where(compared["explored"] == 0)
    expected = _mean(chosen["success"] - chosen["default_success"])
    routed = _mean(chosen["model"] != chosen["default"]) or 0.0
    if routed == 0.0 and len(chosen):
        # All that the log could show is the price of exploring.
        figure = replace(figure, known=False)
    explored = _explored(compared)
    # Of the default model, on the prompts that were routed past it.
    success = _mean(chosen["default_success"][chosen["model"] != chosen["default"]]) or 0.0
    assumed = min(max(abs(expected or 0.0), WORTHWHILE), 0.5 * routed * (1.0 - success))
    told = figure.known and not figure.low <= 0.0 <= figure.high
    needs: tuple[ExploreNeed, ...] = ()
    if not told and assumed > 0.0:
        needs = _needs(compared, assumed, routed, success, explored, level)
    whole = _figure(_compared(outcomes), level) if has_ancestors else None
    return RoutingGain(
        default_model=artifact.default_model,
        known=figure.known,
        gain=figure.gain if figure.known else None,
        ci=_interval(figure),
        n=figure.n,
        without_overlap=figure.without_overlap,
        without_default=int(((own["default"] < 0) & ~fallback).sum()),
        fallbacks=int(fallback.sum()),
        expected=expected,
        routed=routed,
        explored=explored,
        assumed=assumed,
        needs=needs,
        with_ancestors=whole.gain if whole is not None and whole.known else None,
        ci_with_ancestors=None if whole is None else _interval(whole),
        n_with_ancestors=0 if whole is None else whole.n,
    )


def _compared(outcomes: Columns) -> Columns:
    return outcomes.where((outcomes["default"] >= 0) & (outcomes["fallback"] == 0))


def _figure(rows: Columns, level: float) -> GainFigure:
    return compare(rows, rows["model"] == rows["default"], rows["default_success"], level)


def compare(rows: Columns, same: Any, success: Any, level: float) -> GainFigure:
    """Compute the gain of what was decided over another choice for each prompt.

    Args:
        rows: Outcomes.
        same: (n,) whether the other choice is the model that was decided.
        success: (n,) success estimate of the other choice.
        level: Of the interval.
    """
    propensity = _overlapping(rows)
    sequence = GainSequence(level=level, max_weight=_max_weight(rows, same, propensity))
    sequence.add(rows["score"], propensity, same, success)
    figure = sequence.figure()
    # Of a few decisions the weighted mean may lie beyond what scores can be.
    return replace(figure, gain=min(max(figure.gain, -1.0), 1.0)) if figure.known else figure


def _overlapping(rows: Columns) -> Floats:
    """Return the propensities, and 1 for decisions that drew the other models hardly ever.

    By the design of the decision, and not by what was drawn, so that it biases nothing.
    """
    propensity = rows["propensity"].astype(np.float64)
    candidates = rows["candidates"].astype(np.float64)
    others = (1.0 - propensity) / np.maximum(candidates - 1.0, 1.0)
    return np.where(np.minimum(propensity, others) < MIN_CHANCE, 1.0, propensity)


def _max_weight(rows: Columns, same: Any, propensity: Floats) -> float:
    """Bound the weights by the design of the exploration: its share and the candidates.

    The bound is as tight as the design allows: the width of an interval of few outcomes is in
    proportion to it.
    """
    candidates = rows["candidates"].astype(np.float64)
    explored = rows["explored"] == 1
    others = np.divide(
        1.0 - propensity, candidates - 1.0, out=np.ones_like(propensity), where=candidates > 1.0
    )
    chance = np.where(same | explored, propensity, np.where(candidates > 1.0, others, 1.0))
    chance = chance[(propensity < 1.0) & (chance > 0.0)]
    if not len(chance):
        return 1.0
    # Propensities are kept in 32 bits.
    return float((1.0 + 1e-6) / chance.min())


def _explored(rows: Columns) -> float | None:
    """Compute the mean share of decisions whose model is drawn, from their propensities."""
    if not len(rows):
        return None
    propensity, n = rows["propensity"].astype(np.float64), rows["candidates"].astype(np.float64)
    if (propensity == 1.0).all():
        return 0.0
    known = n > 1.0
    if not known.any():
        return None
    propensity, n = propensity[known], n[known]
    of_drawn, of_first = propensity * n, (1.0 - propensity) * n / (n - 1.0)
    return float(np.where(rows["explored"][known] == 1, of_drawn, of_first).clip(0.0, 1.0).mean())


def _needs(
    rows: Columns,
    gain: float,
    routed: float,
    success: float,
    explored: float | None,
    level: float,
) -> tuple[ExploreNeed, ...]:
    known = rows["candidates"][rows["candidates"] > 1]
    n_models = int(np.median(known)) if len(known) else int(rows["model"].max()) + 1
    present = round(explored, 4) if explored else None
    overlap = int((rows["propensity"] < 1.0).sum())
    return tuple(
        ExploreNeed(
            explore=explore,
            decisions=decisions_to_tell(
                gain,
                explore,
                max(n_models, 2),
                success=success,
                routed=routed,
                level=level,
                n=overlap if explore == present else 0,
            ),
        )
        for explore in sorted({*OFFERED, *([present] if present else [])})
    )


def _interval(figure: GainFigure) -> Interval | None:
    return Interval(figure.low, figure.high) if figure.known else None


def _mean(values: Any) -> float | None:
    return float(values.astype(np.float64).mean()) if len(values) else None
