"""What a caller may ask of a decision.

Not here: what is made of it; the core reads, checks and follows these arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class RouteOptions(TypedDict, total=False):
    """What a caller may ask for; what is left out is the artifact's default.

    Attributes:
        cost_weight: Success per USD, at least 0.
        latency_weight: Success per second, at least 0.
        max_cost_usd: Dearest expected cost of a task. A model whose cost is unknown
            does not meet it. ``inf`` is no limit, also where the artifact's default is one.
        min_success: Least shrunk success estimate, 0 to 1.
        allow: Models to choose from.
        deny: Models not to choose.
        prices: Expected cost of a task in USD by model, instead of the profile's.
        previous_model: The model that the conversation is with. The decision stays with it,
            if it meets the limits, unless the first choice has a utility that is higher
            by more than ``switch_cost``.
        switch_cost: Utility that a change of model must gain, at least 0; by default 0. A lost
            prompt cache that costs ``x`` USD is worth ``cost_weight * x``.
        explore: With this chance, 0 to 1, any model that meets the limits is drawn, each as
            likely as the others, so that what is never taken is learned, too. The
            decision's ``propensity`` says how likely its model was.
        explore_seed: Whole number, 0 to 2**64 - 1, that the draws follow from; by default
            another one for each call.
        on_novel: What a prompt gets that is unlike all training prompts. ``"default"``: what
            the whole table proves, most often the default model. ``"best_overall"``: the
            highest utility over the whole table, proven or not. ``"error"``:
            `NovelPromptError`.
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
