"""Make LiteLLM's proxy and Router follow the ranking of `hypernova.Router`: the extra ``litellm``.

LiteLLM's hooks before routing can name one model only. The call hook of its proxy may also set the
request's ``fallbacks``, so it carries the ranking; LiteLLM's Router takes the same arguments.

Not here: calls of models, retries, cooldowns and balancing among deployments, which LiteLLM does.
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
from hypernova.integrations.gateway import OnUnreadable, messages_of, rank_for_request

_LOCAL_PRICES = "LITELLM_LOCAL_MODEL_COST_MAP"
if "litellm" not in sys.modules and not os.environ.get(_LOCAL_PRICES):
    # Otherwise LiteLLM's import fetches a list of prices. A program that has imported LiteLLM
    # before, as the proxy has, made that choice itself.
    os.environ[_LOCAL_PRICES] = "True"
try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError:
    raise MissingExtraError(
        'hypernova.integrations.litellm needs litellm: pip install "hypernova-router[litellm]"'
    ) from None

if TYPE_CHECKING:
    from collections.abc import Collection

    from hypernova import Router
    from hypernova.router import RouteOptions

# Fields of a request's metadata: its route options, and the decision, for LiteLLM's logs.
OPTIONS_FIELD = "hypernova"
DECISION_FIELD = "hypernova_decision"
# Metadata of a request in LiteLLM. Some protocols send ``metadata`` to the provider, so the proxy
# keeps its own in ``litellm_metadata``.
_METADATA_FIELDS = ("metadata", "litellm_metadata")
# Fields of a request that list models.
_FALLBACK_FIELDS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
# Functions of LiteLLM that language models answer with text; the proxy passes their name.
_TEXT_CALLS = frozenset(
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
    """The models to call, in order: arguments of LiteLLM's ``acompletion``.

    Attributes:
        model: LiteLLM's name of the first model.
        fallbacks: LiteLLM's names of the models after it, the best first.
        context_window_fallbacks: Empty: the ranking is the only list.
        content_policy_fallbacks: Empty, likewise.
        metadata: The decision under ``hypernova_decision``: ``id``, ``model``, ``reason``,
            ``artifact``.
    """

    model: str
    fallbacks: list[str]
    context_window_fallbacks: list[str]
    content_policy_fallbacks: list[str]
    metadata: dict[str, Any]


class RoutingHook(CustomLogger):  # type: ignore[misc]  # its base has no types
    """A call hook of LiteLLM that answers requests for an alias with the models of the ranking.

    Args:
        router: The router that decides.
        alias: Name of the model that clients ask for. Requests for other models pass unchanged.
        names: LiteLLM's ``model_name`` by model of the artifact, where the two differ. Only models
            that LiteLLM serves are candidates.
        fallbacks: Most models to try after the first. LiteLLM's own limit,
            ``router_settings.max_fallbacks``, holds as well: 5 by default.
        on_unreadable: For a request without text of a user: ``"default"`` ranks the artifact's
            default model first, then the others by their utility over the whole table;
            ``"error"`` answers 400.
        **options: The operator's options for every request; see `hypernova.RouteOptions`. A
            request may have its own in ``metadata: {"hypernova": {...}}``, which can narrow the
            operator's limits and choose among the models that those leave.

    Raises:
        UnknownModelError: ``names`` or an option has a model that the artifact does not hold.
        PolicyError: An option is out of range.
        ValueError: ``fallbacks`` is below 0, or ``on_unreadable`` is unknown.

    Example:
        >>> import hypernova
        >>> from hypernova.integrations.litellm import RoutingHook  # doctest: +SKIP
        >>> hook = RoutingHook(hypernova.Router.open("router.hnv"))  # doctest: +SKIP
        >>> plan = await hook.plan(messages)  # doctest: +SKIP
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
        # One decision now, so that an invalid option fails here and not in every request.
        with contextlib.suppress(NoCandidateError):
            router.artifact.decide(router.artifact.centroids[0], **options)
        self._router = router
        self._alias = alias
        self._names = names
        self._fallbacks = fallbacks
        self._on_unreadable: OnUnreadable = on_unreadable
        self._options = options
        _ = router.embedder  # loaded here, so the first request does not wait

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
            served: LiteLLM's names of the models that it serves, as its ``get_model_names`` returns
                them; by default every model of the artifact.
            **options: Options of this request, within the operator's.

        Raises:
            PolicyError: An option is unknown, out of range, or the operator's alone.
            UnknownModelError: An option names a model that the artifact does not hold.
            NoCandidateError: The options leave no model.
            MessagesError: The messages are unreadable, and ``on_unreadable`` is ``"error"``.
            HypernovaError: Any other error of `hypernova.Router.route`.
        """
        return await self._plan(messages, served, options)

    async def _plan(self, messages: Any, served: Collection[str] | None, requested: object) -> Plan:
        ranking = await rank_for_request(
            self._router,
            messages,
            self._options,
            requested,
            is_served=None if served is None else lambda model: self._litellm_name(model) in served,
            on_unreadable=self._on_unreadable,
        )
        # Two models of the artifact, say at two efforts, may be one for LiteLLM.
        order = list(dict.fromkeys(map(self._litellm_name, ranking.models)))
        decision = {
            "id": ranking.id,
            "model": ranking.models[0],
            "reason": ranking.reason,
            "artifact": ranking.artifact,
        }
        return {
            "model": order[0],
            "fallbacks": order[1 : self._fallbacks + 1],
            # Empty, not missing: otherwise LiteLLM would follow the lists of its settings or of
            # the request after the ranking.
            "context_window_fallbacks": [],
            "content_policy_fallbacks": [],
            "metadata": {DECISION_FIELD: decision},
        }

    def _litellm_name(self, model: str) -> str:
        return self._names.get(model, model)

    async def async_pre_call_hook(  # LiteLLM passes the arguments by name
        self,
        user_api_key_dict: Any,  # noqa: ARG002
        cache: Any,  # noqa: ARG002
        data: dict[str, Any],
        call_type: str,
    ) -> dict[str, Any]:
        """Replace the alias by the ranking; LiteLLM's proxy calls this.

        The proxy has checked the caller's key against the alias by then: a key for the alias may be
        answered by any model that the operator's options allow.
        """
        if data.get("model") != self._alias:
            if self._names_alias_among_others(data):
                raise _bad_request(
                    f"{self._alias!r} stands for several models already: ask for it as the only "
                    "model, neither in a list of models nor as a fallback"
                )
            return data
        if call_type not in _TEXT_CALLS:
            raise _bad_request(
                f"{self._alias!r} stands for models that answer with text, and this is a call of "
                f"{call_type!r}: ask for a model by its name"
            )
        from litellm.proxy.proxy_server import llm_router

        requested: dict[str, Any] = {}
        kept: dict[str, Any] = {}
        try:
            for field in _METADATA_FIELDS:
                metadata = data.get(field)
                if isinstance(metadata, Mapping):
                    kept[field] = {k: v for k, v in metadata.items() if k != OPTIONS_FIELD}
                    requested |= _options_of(metadata.get(OPTIONS_FIELD), field)
            plan = await self._plan(
                messages_of(data), llm_router.get_model_names() if llm_router else None, requested
            )
        except (PolicyError, NovelPromptError, MessagesError, TextError) as error:
            raise _bad_request(str(error)) from None
        field = _METADATA_FIELDS[1] if _METADATA_FIELDS[1] in kept else _METADATA_FIELDS[0]
        kept[field] = {**kept.get(field, {}), **plan["metadata"]}
        return {**data, **plan, **kept}

    def _names_alias_among_others(self, data: Mapping[str, Any]) -> bool:
        """Return whether the alias is one of several models that a request names."""
        model = data.get("model")
        if isinstance(model, str):
            # The proxy reads commas as a list of models, and calls each.
            model = [part.strip() for part in model.split(",")] if "," in model else None
        return _mentions(model, self._alias) or any(
            _mentions(data[field], self._alias) for field in _FALLBACK_FIELDS if data.get(field)
        )


def _options_of(options: object, field: str) -> Mapping[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise PolicyError(
            f"{field}.{OPTIONS_FIELD} is of type {type(options).__name__}, expected an object of "
            "options"
        )
    return options


def _mentions(value: object, name: str) -> bool:
    """Return whether a name is anywhere in a list of models, which may nest lists and objects."""
    if isinstance(value, Mapping):
        # In a fallback with settings of its own only these fields name models.
        if isinstance(value.get("model"), str):
            value = [value.get(field) for field in ("model", *_FALLBACK_FIELDS)]
        else:
            value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return any(_mentions(item, name) for item in value)
    return value == name


def _bad_request(message: str) -> Exception:
    from fastapi import HTTPException  # the proxy has it

    return HTTPException(status_code=400, detail={"error": f"hypernova: {message}"})
