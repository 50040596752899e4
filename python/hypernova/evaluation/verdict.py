"""One sentence that a manager can act on, and the rule that it follows.

Not here: figures, or where they come from.

The rule, in this order (docs/evaluation.md gives the reasons):

1. The gain over the best single model is proven, its interval above 0, and so is the
   gain over a router that learned from shuffled prompts: *Route*.
2. Some cost weight is proven to save money and proven to lose no more than `MARGIN`
   of accuracy, and no single model does both as well: *Route for cost*.
3. The gain may be real and worth having, but is not proven: *Do not route yet*.
4. Otherwise: *Do not route*.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Point:
    """One cost weight.

    Attributes:
        cost_weight: Success per USD.
        figure: Held-out, of `Figures.figure`.
        gain: Over the best single model, of `Figures.gain`.
    """

    cost_weight: float
    figure: dict[str, Any]
    gain: dict[str, Any]


def verdict(
    gain: dict[str, Any],
    over_shuffled: dict[str, Any],
    single: str,
    pareto: Sequence[Point],
    models: Sequence[dict[str, Any]],
) -> str:
    """Write the verdict.

    Args:
        gain: Over the best single model, of `Figures.gain`.
        over_shuffled: The same over a router that learned from shuffled prompts.
        single: The best single model.
        pareto: By rising cost weight.
        models: Every single model, with ``model``, ``accuracy`` and ``cost_usd``.
    """
    if gain["ci95"] is None:
        return (
            f"Do not route yet: no held-out task has outcomes of both the router's model and the "
            f"best single one, so nothing can be compared; use {single} until the models have "
            "been run on the same tasks"
        )
    low, high = gain["ci95"]
    # Where several models are equally good, a router that takes them in turn beats a bet
    # on one of them, whatever the prompts say.
    by_prompts = over_shuffled["ci95"] is not None and over_shuffled["ci95"][0] > 0
    if low > 0 and by_prompts:
        return f"Route: {_gain(gain)} over {single} ({_interval(gain)}){_at_cost(gain)}"
    place = cheaper_weight([point.gain for point in pareto])
    if place is not None:
        point = pareto[place]
        plain = _as_good(point.figure, models)
        if plain is not None:
            return (
                f"Do not route: use {plain['model']} for everything; at ${plain['cost_usd']:.3g} a "
                f"task and an accuracy of {plain['accuracy']:.3f} no cost weight is better"
            )
        return (
            f"Route for cost: {_percent(point.gain)} lower cost than {single} at a cost weight of "
            f"{point.cost_weight:.3g}, for {_gain(point.gain)} of accuracy "
            f"({_interval(point.gain)})"
        )
    if low > 0:
        return (
            f"Do not route yet: {_gain(gain)} over {single} ({_interval(gain)}), but a router that "
            "learned from shuffled prompts is not proven to do worse, so the prompts may have no "
            "part in it"
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


def _as_good(figure: dict[str, Any], models: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Find the best single model that is as accurate as a point, and as cheap."""
    found = [
        model
        for model in models
        if model["cost_usd"] is not None
        and model["cost_usd"] <= figure["cost_usd"]
        and model["accuracy"] >= figure["accuracy"]
    ]
    return max(found, key=lambda model: model["accuracy"], default=None)


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
