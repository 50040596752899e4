"""Let LiteLLM's proxy and Router follow the ranking of `hypernova.Router`. The extra ``litellm``.

Not here: calls of models, retries, cooldowns and balancing among deployments: LiteLLM does that.
Its hooks before routing can name one model. The call hook of its proxy may set the request's
``fallbacks``, too, so that is where the ranking goes in; its Router takes the same arguments.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from hypernova.errors import (
    MessagesError,
    MissingExtraError,
    NoCandidateError,
    NovelPromptError,
    PolicyError,
    TextError,
    UnknownModelError,
)
from hypernova.integrations.gateway import OnUnreadable, messages_in, rank_within

_LOCAL = "LITELLM_LOCAL_MODEL_COST_MAP"
if "litellm" not in sys.modules and not os.environ.get(_LOCAL):
    # Else its import fetches a list of prices. Where the program has imported it, as the proxy has,
    # that is done, and what it does later is the program's.
    os.environ[_LOCAL] = "True"
try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError:
    raise MissingExtraError(
        "hypernova.integrations.litellm needs litellm: pip install 'hypernova-router[litellm]'"
    ) from None

if TYPE_CHECKING:
    from collections.abc import Collection

    from hypernova import Router
    from hypernova.router import RouteOptions

# Where a request's metadata may hold options, and where the decision is noted for LiteLLM's logs.
OPTIONS = "hypernova"
DECISION = "hypernova_decision"
# LiteLLM's own fields beside a request. In some protocols ``metadata`` goes on to the provider,
# and the proxy keeps its notes in the other one.
_METADATA = ("metadata", "litellm_metadata")
# Lists of models that a request may bring along.
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
# Calls that language models answer with text. The proxy names the function that it will call.
_ROUTED = frozenset(
    {
        "acompletion",
        "completion",
        "atext_completion",
        "text_completion",
        "aresponses",
        "responses",
        "anthropic_messages",
        "aanthropic_messages",
        "agenerate_content",
        "generate_content",
        "agenerate_content_stream",
        "generate_content_stream",
    }
)


class Plan(TypedDict):
    """Which model to ask, and whom then: arguments of LiteLLM's ``acompletion``.

    Attributes:
        model: LiteLLM's name of the first.
        fallbacks: Of those after it, the best first.
        context_window_fallbacks: None: no other list has a say.
        content_policy_fallbacks: None, either.
        metadata: The decision under ``hypernova_decision``: ``id``, ``model``, ``reason``,
            ``artifact``.
    """

    model: str
    fallbacks: list[str]
    context_window_fallbacks: list[str]
    content_policy_fallbacks: list[str]
    metadata: dict[str, Any]


class Ranked(CustomLogger):  # type: ignore[misc]  # its base has no types
    """Answer requests for one made-up model with those that the router ranks.

    Args:
        router: What decides.
        alias: Name of the model that clients ask for. Requests for other models pass untouched.
        names: LiteLLM's ``model_name`` of each of the artifact's models, where they differ. Only
            models that LiteLLM serves are candidates.
        fallbacks: Most models to try after the first. LiteLLM's own limit,
            ``router_settings.max_fallbacks``, holds as well: 5 unless set.
        on_unreadable: What a request gets that holds no text of a user's. ``"default"``: the
            artifact's default model, then the others by what the whole table says of them.
            ``"error"``: 400.
        **options: For every request; see `hypernova.RouteOptions`. They are bounds: a request
            may have its own in ``metadata: {"hypernova": {...}}``, which can narrow them, and
            which choose among what they leave.

    Raises:
        UnknownModelError: ``names`` or a wish has a model that the artifact does not hold.
        PolicyError: A wish is out of range.
        ValueError: ``fallbacks`` is below 0, or ``on_unreadable`` is unknown.

    Example:
        >>> import hypernova
        >>> from hypernova.integrations.litellm import Ranked  # doctest: +SKIP
        >>> ranked = Ranked(hypernova.Router.open("router.hnv"))  # doctest: +SKIP
        >>> plan = await ranked.plan(messages)  # doctest: +SKIP
        >>> await litellm_router.acompletion(messages=messages, **plan)  # doctest: +SKIP
    """

    def __init__(
        self,
        router: Router,
        *,
        alias: str = "hypernova",
        names: Mapping[str, str] | None = None,
        fallbacks: int = 5,
        on_unreadable: OnUnreadable = "default",
        **options: Unpack[RouteOptions],
    ) -> None:
        super().__init__()
        names = dict(names or {})
        if unknown := sorted(set(names) - set(router.artifact.models)):
            raise UnknownModelError(
                f"names has the model {unknown[0]!r}, which the artifact does not hold; "
                f"it holds {', '.join(router.artifact.models)}"
            )
        if fallbacks < 0:
            raise ValueError(f"fallbacks is {fallbacks}, expected at least 0")
        if on_unreadable not in ("default", "error"):
            raise ValueError(f"on_unreadable is {on_unreadable!r}, expected 'default' or 'error'")
        # Decided once, so that a wrong wish is the operator's error now, and not each caller's.
        with contextlib.suppress(NoCandidateError):
            router.artifact.decide(router.artifact.centroids[0], **options)
        self._router = router
        self._alias = alias
        self._names = names
        self._fallbacks = fallbacks
        self._on_unreadable: OnUnreadable = on_unreadable
        self._options = options
        _ = router.embedder  # loaded now: the first request does not wait for it

    async def plan(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        served: Collection[str] | None = None,
        **options: Unpack[RouteOptions],
    ) -> Plan:
        """Rank the models for a conversation.

        Args:
            messages: As `hypernova.Router.route` takes them.
            served: LiteLLM's names of the models that it serves, as its ``get_model_names``
                gives them; by default every model of the artifact is.
            **options: For this request, within those for all.

        Raises:
            PolicyError: A wish is unknown, out of range, or the operator's alone.
            UnknownModelError: A wish names a model that the artifact does not hold.
            NoCandidateError: The options leave no model.
            MessagesError: Nothing can be read, and ``on_unreadable`` is ``"error"``.
            HypernovaError: What `hypernova.Router.route` raises besides.
        """
        return await self._plan(messages, served, options)

    async def _plan(self, messages: Any, served: Collection[str] | None, asked: object) -> Plan:
        ranking = await rank_within(
            self._router,
            messages,
            self._options,
            asked,
            is_served=None if served is None else lambda model: self._name(model) in served,
            on_unreadable=self._on_unreadable,
        )
        # Two of the artifact's models may be one for LiteLLM, say at two efforts.
        order = list(dict.fromkeys(map(self._name, ranking.models)))
        note = {
            "id": ranking.id,
            "model": ranking.models[0],
            "reason": ranking.reason,
            "artifact": ranking.artifact,
        }
        return {
            "model": order[0],
            "fallbacks": order[1 : self._fallbacks + 1],
            # Empty rather than left out: else those of LiteLLM's settings, or of the request,
            # would be asked where the ranking ends.
            "context_window_fallbacks": [],
            "content_policy_fallbacks": [],
            "metadata": {DECISION: note},
        }

    def _name(self, model: str) -> str:
        return self._names.get(model, model)

    async def async_pre_call_hook(  # the arguments are called by their names
        self,
        user_api_key_dict: Any,  # noqa: ARG002
        cache: Any,  # noqa: ARG002
        data: dict[str, Any],
        call_type: str,
    ) -> dict[str, Any]:
        """Put the ranking in place of the alias; LiteLLM's proxy calls this.

        The proxy has checked the caller's key against the alias by then: who may ask for the
        alias may be answered by any model that the operator's options allow.
        """
        if data.get("model") != self._alias:
            if self._is_among_others(data):
                raise _refused(
                    f"{self._alias!r} stands for several models already: ask for it as the only "
                    "model, neither in a list of models nor as a fallback"
                )
            return data
        if call_type not in _ROUTED:
            raise _refused(
                f"{self._alias!r} stands for models that answer with text, and this is a call of "
                f"{call_type!r}: ask for a model by its name"
            )
        from litellm.proxy.proxy_server import llm_router

        asked: dict[str, Any] = {}
        kept: dict[str, Any] = {}
        try:
            for field in _METADATA:
                metadata = data.get(field)
                if isinstance(metadata, Mapping):
                    kept[field] = {k: v for k, v in metadata.items() if k != OPTIONS}
                    asked |= _options_of(metadata.get(OPTIONS), field)
            plan = await self._plan(
                messages_in(data), llm_router.get_model_names() if llm_router else None, asked
            )
        except (PolicyError, NovelPromptError, MessagesError, TextError) as error:
            raise _refused(str(error)) from None
        noted = _METADATA[1] if _METADATA[1] in kept else _METADATA[0]
        kept[noted] = {**kept.get(noted, {}), **plan["metadata"]}
        return {**data, **plan, **kept}

    def _is_among_others(self, data: Mapping[str, Any]) -> bool:
        """Whether the alias is one of several models that a request names."""
        model = data.get("model")
        if isinstance(model, str):
            # So the proxy reads it: each of them is asked.
            model = [part.strip() for part in model.split(",")] if "," in model else None
        return _holds(model, self._alias) or any(
            _holds(data[field], self._alias) for field in _FALLBACKS if data.get(field)
        )


def _options_of(options: object, field: str) -> Mapping[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise PolicyError(
            f"{field}.{OPTIONS} is of type {type(options).__name__}, expected an object of options"
        )
    return options


def _holds(value: object, name: str) -> bool:
    """Whether a name is anywhere in a list of models, which may have lists and objects in it."""
    if isinstance(value, Mapping):
        # Of a fallback with settings of its own only these name models: not what is said.
        if isinstance(value.get("model"), str):
            value = [value.get(field) for field in ("model", *_FALLBACKS)]
        else:
            value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return any(_holds(item, name) for item in value)
    return value == name


def _refused(message: str) -> Exception:
    from fastapi import HTTPException  # the proxy has it

    return HTTPException(status_code=400, detail={"error": f"hypernova: {message}"})
