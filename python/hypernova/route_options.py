"""The route options: a caller's limits and weights for one request.

Not here: their effect and their rules; the core reads, checks and follows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class RouteOptions(TypedDict, total=False):
    """The limits and weights of one request; an option that is left out has the artifact's default.

    Every method that decides takes them as keyword arguments. None is as good as left out.

    Attributes:
        cost_weight: Success that a USD is worth, at least 0.
        latency_weight: Success that a second is worth, at least 0.
        max_cost_usd: Highest expected cost of a task. A model of unknown cost does not meet it.
            ``inf`` is no limit, also where the artifact's default is one.
        min_success: Lowest success estimate, 0 to 1.
        allow: Models to choose from.
        deny: Models not to choose.
        prices: Expected cost of a task in USD by model, instead of the profile's.
        previous_model: The model that the conversation is with. The decision stays with it, if it
            meets the limits, unless the first choice has a utility that is higher by more than
            ``switch_cost``.
        switch_cost: Utility that a change of model must gain, at least 0; by default 0. A lost
            prompt cache that costs ``x`` USD is worth ``cost_weight * x``.
        explore: Chance, 0 to 1, of drawing a model instead: any that meets the limits, each as
            likely as the others, so that models that are never chosen are learned, too. The
            decision's ``propensity`` is the chance that its model had.
        explore_seed: Whole number, 0 to 2**64 - 1, that the draws follow from; by default another
            one for each call.
        on_novel: How to decide for a prompt that is unlike all training prompts. ``"default"``: by
            the estimates of the whole table, most often for the default model.
            ``"best_overall"``: for the highest utility over the whole table, proven or not.
            ``"error"``: not at all, with `NovelPromptError`.

    Example:
        >>> import hypernova
        >>> options: hypernova.RouteOptions = {"cost_weight": 0.05, "max_cost_usd": 1.0}
        >>> decision = hypernova.Router.open().route("Fix the race in the scheduler", **options)
        >>> decision.ranking[0].cost_usd <= 1.0
        True
    """

    cost_weight: float | None
    latency_weight: float | None
    max_cost_usd: float | None
    min_success: float | None
    allow: Collection[str] | None
    deny: Collection[str] | None
    prices: Mapping[str, float] | None
    previous_model: str | None
    switch_cost: float | None
    explore: float | None
    explore_seed: int | None
    on_novel: Literal["default", "best_overall", "error"] | None
