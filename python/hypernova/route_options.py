"""The route options: a caller's limits and weights for one request.

Not here: their effect and their rules; the core reads, checks and follows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class _CommonOptions(TypedDict, total=False):
    """The options that hold for all prompts of a batch."""

    cost_weight: float | None
    latency_weight: float | None
    max_cost_usd: float | None
    min_success: float | None
    allow: Collection[str] | None
    deny: Collection[str] | None
    prices: Mapping[str, float | tuple[float, float]] | None
    previous_model: str | None
    switch_cost: float | None
    explore: float | None
    explore_seed: int | None
    on_novel: Literal["default", "best_overall", "error"] | None


class RouteOptions(_CommonOptions, total=False):
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
        prices: Price by model, from which its expected cost follows, instead of the profile's: USD
            of a task; or a pair for tokens, USD of a million input tokens and USD of a million
            output tokens. A pair takes the output tokens that the profile expects, and the input
            tokens of the prompt by ``input_tokens``, else by ``prompt_chars``, else by the profile.
            It needs an artifact that knows the model's tokens (`Artifact.token_profiles`).
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
        group: Name of the prompt's group, the kind of a task as the table named it. The profile of
            the group then decides in place of those of clusters, and the prompt is not novel. A
            group that the artifact does not hold (`Artifact.groups`) changes nothing, and
            ``Decision.unknown_group`` says so.
        prompt_chars: Number of characters of the prompt, at least 0. Prices for tokens read it.
        input_tokens: Number of tokens of the prompt, at least 0, which goes before
            ``prompt_chars``.

    Example:
        >>> import hypernova
        >>> options: hypernova.RouteOptions = {"cost_weight": 0.05, "max_cost_usd": 1.0}
        >>> decision = hypernova.Router.open().route("Fix the race in the scheduler", **options)
        >>> decision.ranking[0].cost_usd <= 1.0
        True
    """

    group: str | None
    prompt_chars: float | None
    input_tokens: float | None


class BatchRouteOptions(_CommonOptions, total=False):
    """Route options for many prompts at once, where each may have facts of its own.

    They are those of `RouteOptions` and hold for all prompts; but ``group``, ``prompt_chars`` and
    ``input_tokens`` may be lists instead, with a value for each prompt, or None where it is not
    stated.

    Attributes:
        cost_weight: As in `RouteOptions`, like all that follow: success per USD.
        latency_weight: Success per second.
        max_cost_usd: USD of a task.
        min_success: 0 to 1.
        allow: Names of models.
        deny: Names of models.
        prices: By model, USD of a task, or USD of a million input and of a million output tokens.
        previous_model: Name of a model.
        switch_cost: Utility.
        explore: Chance, 0 to 1.
        explore_seed: 0 to 2**64 - 1; each row of a batch has its own draw.
        on_novel: ``"default"``, ``"best_overall"`` or ``"error"``.
        group: Name of the group of all prompts, or a list of names, one for each.
        prompt_chars: Number of characters of each prompt, or a list of numbers, one for each.
        input_tokens: Number of tokens of each prompt, or a list of numbers, one for each.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> options: hypernova.BatchRouteOptions = {"group": ["sql", None], "cost_weight": 0.05}
        >>> decisions = artifact.decide_many(artifact.centroids[:2], **options)
        >>> decisions[1].unknown_group
        False
    """

    group: str | Iterable[str | None] | None
    prompt_chars: float | Iterable[float | None] | None
    input_tokens: float | Iterable[float | None] | None
