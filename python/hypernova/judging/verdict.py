"""One sentence that a manager can act on, and the rule that it follows.

Not here: figures, or where they come from.

The rule, in this order (docs/judging.md gives the reasons):

1. The gain over the best single model is proven, its interval above 0: *Route*.
2. Some cost weight is proven to save money and proven to lose no more than `MARGIN`
   of accuracy: *Route for cost*.
3. The gain may be real and worth having, but is not proven: *Do not route yet*.
4. Otherwise: *Do not route*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# Accuracy that may be lost where routing is for cost. No finer loss can be excluded
# with a few hundred tasks.
MARGIN = 0.01
# A gain that is not proven is worth more tasks if it may be at least so large.
WORTHWHILE = 0.01


def cheaper_weight(gains: Sequence[dict[str, Any]]) -> int | None:
    """Find the largest cost weight that saves money and keeps accuracy.

    Many weights are tried, so one of them would look good by chance. Each of the two
    claims is therefore tested in an order that is fixed beforehand and ends at the first
    failure, which keeps the error of the whole sequence at that of one test (Maurer,
    Hothorn and Lehmacher 1995): accuracy from the smallest weight up, cost from the
    largest down.

    Args:
        gains: Over the best single model, by rising cost weight; of `Figures.gain`.

    Returns:
        An index, or None.
    """
    keeps = 0
    while keeps < len(gains) and gains[keeps]["ci95"] and gains[keeps]["ci95"][0] > -MARGIN:
        keeps += 1
    saves = len(gains)
    while saves > 0 and _saves(gains[saves - 1]):
        saves -= 1
    return keeps - 1 if saves < keeps else None


def _saves(gain: dict[str, Any]) -> bool:
    change = gain["cost_change"]
    return change is not None and change["ci95"] is not None and change["ci95"][1] < 0


def verdict(
    gain: dict[str, Any], single: str, weighted: Sequence[tuple[float, dict[str, Any]]]
) -> str:
    """Write the verdict.

    Args:
        gain: Over the best single model, of `Figures.gain`.
        single: The best single model.
        weighted: Cost weights and their gains, rising.
    """
    if gain["ci95"] is None:
        return (
            f"Do not route yet: no held-out task has outcomes of both the router's model and the "
            f"best single one, so nothing can be compared; use {single} until the models have "
            "been run on the same tasks"
        )
    low, high = gain["ci95"]
    if low > 0:
        return f"Route: {_gain(gain)} over {single} ({_interval(gain)}){_at_cost(gain)}"
    place = cheaper_weight([each for _, each in weighted])
    if place is not None:
        weight, cheap = weighted[place]
        return (
            f"Route for cost: {_percent(cheap)} lower cost than {single} at a cost weight of "
            f"{weight:.3g}, for {_gain(cheap)} of accuracy ({_interval(cheap)})"
        )
    if low == high == 0:
        return (
            f"Do not route: use {single} for everything; the router found nothing that another "
            "model does better"
        )
    if _may_be_worth_it(gain):
        return (
            f"Do not route yet: {_gain(gain)} over {single} is not proven ({_interval(gain)}); "
            f"use {single} for everything until more tasks decide it"
        )
    return (
        f"Do not route: use {single} for everything; routing changes accuracy by {_gain(gain)} "
        f"({_interval(gain)})"
    )


def tasks_to_decide(gain: dict[str, Any]) -> int | None:
    """How many tasks give an even chance to prove a gain of the size found.

    None if it is proven, or is not worth it. Two significant digits.
    """
    if gain["ci95"] is None or gain["ci95"][0] > 0 or not _may_be_worth_it(gain):
        return None
    reach = gain["mean"] - gain["ci95"][0]
    return int(float(f"{gain['tasks'] * (reach / gain['mean']) ** 2:.1e}"))


def _may_be_worth_it(gain: dict[str, Any]) -> bool:
    return bool(gain["mean"] > 0 and gain["ci95"][1] >= WORTHWHILE)


def points(value: float, digits: int = 1) -> str:
    """A difference of accuracies in points, signed."""
    text = f"{100 * value:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def _digits(gain: dict[str, Any]) -> int:
    """As many as keep an end of the interval that is not 0 from being shown as 0."""
    ends = [abs(end) for end in gain["ci95"] if end]
    return next((digits for digits in (1, 2) if all(e >= 0.005 / 10**digits for e in ends)), 3)


def _gain(gain: dict[str, Any]) -> str:
    return f"{points(gain['mean'], _digits(gain))} points"


def _interval(gain: dict[str, Any]) -> str:
    low, high = (points(end, _digits(gain)) for end in gain["ci95"])
    return f"95% interval {low} to {high}"


def _percent(gain: dict[str, Any]) -> str:
    return f"{100 * abs(gain['cost_change']['mean']):.0f}%"


def _at_cost(gain: dict[str, Any]) -> str:
    change = gain["cost_change"]
    if change is None:
        return "; what it costs is not known"
    if _percent(gain) == "0%":
        return " at the same cost"
    return f" at {_percent(gain)} {'lower' if change['mean'] < 0 else 'higher'} cost"
