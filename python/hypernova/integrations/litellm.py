"""Let LiteLLM's proxy and Router follow the ranking of `hypernova.Router`. The extra ``litellm``.

Not here: calls of models, retries, cooldowns and balancing among deployments: LiteLLM does that.
Its hooks before routing can name one model. The call hook of its proxy may set the request's
``fallbacks``, too, so that is where the ranking goes in; its Router takes the same arguments.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from hypernova.errors import HypernovaError, MissingExtraError, UnknownModelError

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
    from collections.abc import Collection, Mapping, Sequence

    from hypernova import Router
    from hypernova.router import Wishes

# Where a request's metadata may hold wishes, and where the decision is noted for LiteLLM's logs.
WISHES = "hypernova"
DECISION = "hypernova_decision"


class Plan(TypedDict):
    """Which model to ask, and whom then: arguments of LiteLLM's ``acompletion``.

    Attributes:
        model: LiteLLM's name of the first.
        fallbacks: Of those after it, the best first.
        metadata: The decision under ``hypernova_decision``: ``id``, ``model``, ``reason``,
            ``artifact``.
    """

    model: str
    fallbacks: list[str]
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
        **wishes: For every request; see `hypernova.router.Wishes`. A request may have its own
            in ``metadata: {"hypernova": {...}}``, which take their place one by one.

    Raises:
        UnknownModelError: ``names`` has a model that the artifact does not hold.

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
        **wishes: Unpack[Wishes],
    ) -> None:
        super().__init__()
        names = dict(names or {})
        if unknown := sorted(set(names) - set(router.artifact.models)):
            raise UnknownModelError(
                f"names has the model {unknown[0]!r}, which the artifact does not hold; "
                f"it holds {', '.join(router.artifact.models)}"
            )
        self._router = router
        self._alias = alias
        self._names = names
        self._fallbacks = fallbacks
        self._wishes = wishes
        _ = router.embedder  # loaded now: the first request does not wait for it

    async def plan(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        served: Collection[str] | None = None,
        **wishes: Unpack[Wishes],
    ) -> Plan:
        """Rank the models for a chat.

        Args:
            messages: As `hypernova.Router.route` takes them.
            served: LiteLLM's names of the models that it serves, as its ``get_model_names``
                gives them; by default every model of the artifact is.
            **wishes: For this request, in place of those for all.

        Raises:
            HypernovaError: What `hypernova.Router.route` raises.
        """
        asked: dict[str, Any] = {**self._wishes, **wishes}
        if served is not None:
            unserved = {m for m in self._router.artifact.models if self._name(m) not in served}
            # Denied, not left out of what is allowed: an unknown name is still an error.
            asked["deny"] = [*(asked.get("deny") or ()), *sorted(unserved)]
        decision = await self._router.aroute(messages=messages, **asked)
        # Two of the artifact's models may be one for LiteLLM, say at two efforts.
        order = list(dict.fromkeys(self._name(entry.model) for entry in decision.ranking))
        note = {
            "id": decision.id,
            "model": decision.model,
            "reason": decision.reason,
            "artifact": decision.artifact,
        }
        return {
            "model": order[0],
            "fallbacks": order[1 : self._fallbacks + 1],
            "metadata": {DECISION: note},
        }

    def _name(self, model: str) -> str:
        return self._names.get(model, model)

    async def async_pre_call_hook(  # the arguments are called by their names
        self,
        user_api_key_dict: Any,  # noqa: ARG002
        cache: Any,  # noqa: ARG002
        data: dict[str, Any],
        call_type: str,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Put the ranking in place of the alias; LiteLLM's proxy calls this.

        The proxy has checked the caller's key against the alias by then: who may ask for the
        alias may be answered by any model that the wishes allow.
        """
        if data.get("model") != self._alias:
            return data
        from fastapi import HTTPException  # the proxy has it
        from litellm.proxy.proxy_server import llm_router

        metadata = dict(data.get("metadata") or {})
        try:
            wishes = metadata.pop(WISHES, None) or {}
            plan = await self.plan(
                _messages(data),
                served=llm_router.get_model_names() if llm_router else None,
                **wishes,
            )
        except (HypernovaError, TypeError) as error:
            detail = {"error": f"hypernova: {error}"}
            raise HTTPException(status_code=400, detail=detail) from None
        return {**data, **plan, "metadata": {**metadata, **plan["metadata"]}}


def _messages(data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The chat of a request, in whichever of the proxy's protocols it came."""
    # The responses protocol has ``input``, the one before chats ``prompt``.
    found: Any = next((data[k] for k in ("messages", "input", "prompt") if data.get(k)), [])
    return [{"role": "user", "content": found}] if isinstance(found, str) else found
