"""Rank the models for a gateway's request, in whichever protocol it came, with or without text.

Not here: any gateway, and what a request may ask for (see ``bounds``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hypernova.errors import HypernovaError, MessagesError, NoCandidateError, TextError
from hypernova.integrations.bounds import narrow

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova import Router
    from hypernova.router import RouteOptions

OnUnreadable = Literal["default", "error"]
# The reason of a ranking that no text was read for.
UNREAD = "unread"


class Ranking(NamedTuple):
    """The models to try, and what to note of the decision.

    Attributes:
        models: Those that the options allow, the best first; at least one.
        id: Of the decision; None where nothing was read.
        reason: Of the decision, or ``unread``.
        artifact: sha256 of the artifact that decided.
    """

    models: tuple[str, ...]
    id: str | None
    reason: str
    artifact: str


async def rank_within(
    router: Router,
    messages: object,
    bounds: RouteOptions,
    asked: object,
    *,
    is_served: Callable[[str], bool] | None = None,
    on_unreadable: OnUnreadable,
) -> Ranking:
    """Rank the models for a request within the operator's bounds, by one artifact.

    Where another artifact takes over in between, the bounds are read again: its models and its
    limits may be others.

    Args:
        router: As in `rank`.
        messages: As in `rank`.
        bounds: The operator's options.
        asked: The request's, as `hypernova.integrations.bounds.narrow` takes them.
        is_served: Whether a model of the artifact can be asked at all; by default each can.
        on_unreadable: As in `rank`.

    Raises:
        PolicyError: As in `hypernova.integrations.bounds.narrow`.
        HypernovaError: As in `rank`.
    """
    while True:
        artifact = router.artifact
        served = None if is_served is None else [m for m in artifact.models if is_served(m)]
        try:
            options = narrow(artifact, bounds, asked, served=served)
            ranking = await rank(router, messages, options, on_unreadable=on_unreadable)
        except HypernovaError:
            if router.artifact is artifact:
                raise
        else:
            if ranking.artifact == artifact.sha256:
                return ranking


async def rank(
    router: Router, messages: object, options: RouteOptions, *, on_unreadable: OnUnreadable
) -> Ranking:
    """Rank the models for a conversation, or without one where nothing can be read.

    Args:
        router: What decides.
        messages: As `hypernova.Router.route` takes them; anything else cannot be read.
        options: For this request.
        on_unreadable: What a request gets that holds no text of a user's, or is malformed:
            the ranking of `Artifact.rank_unread`, or an error.

    Raises:
        MessagesError: Nothing can be read, and ``on_unreadable`` is ``"error"``.
        TextError: As `MessagesError`, where no token is known to the embedder.
        NoCandidateError: The options leave no model.
        HypernovaError: As `hypernova.Router.route`.
    """
    if messages is None:  # which would be no argument at all to the router
        messages = ()
    try:
        decision = await router.aroute(messages=messages, **options)  # type: ignore[arg-type]
    except (MessagesError, TextError):
        if on_unreadable == "error":
            raise
        artifact = router.artifact
        unread = artifact.rank_unread(**options)
        if not unread:
            raise NoCandidateError(
                "no model is left for a request without text: loosen allow, deny, max_cost_usd "
                "or min_success"
            ) from None
        models = tuple(entry.model for entry in unread)
        return Ranking(models, None, UNREAD, artifact.sha256)
    models = tuple(entry.model for entry in decision.ranking)
    return Ranking(models, decision.id, decision.reason, decision.artifact)


def messages_in(data: Mapping[str, Any]) -> Any:
    """Find the conversation in a request's body, in whichever protocol it came.

    Args:
        data: The body: ``messages`` of the chat protocols, ``input`` of the responses protocol,
            ``prompt`` of plain completions, or ``contents`` of Google's.

    Returns:
        Messages as `hypernova.Router.route` takes them, if there are any: a str is what the
        user said, and so is each of several. Whatever else is there is given as it is.
    """
    if contents := data.get("contents"):
        several = isinstance(contents, Sequence) and not isinstance(contents, str | bytes)
        return [_from_google(item) for item in (contents if several else [contents])]
    found: Any = next((data[k] for k in ("messages", "input", "prompt") if data.get(k)), [])
    if isinstance(found, str):
        return [_said(found)]
    if isinstance(found, Sequence) and not isinstance(found, bytes):
        return [_said(item) if isinstance(item, str) else item for item in found]
    return found


def _said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _from_google(item: Any) -> Any:
    """Turn a content of Google's protocol, with parts that have no type, into a message."""
    if isinstance(item, str):
        return _said(item)
    if not isinstance(item, Mapping):
        return item
    parts = item.get("parts")
    if isinstance(parts, Mapping):
        parts = [parts]
    texts = [
        {"type": "text", "text": part["text"]}
        for part in (parts if isinstance(parts, Sequence) else ())
        if isinstance(part, Mapping) and isinstance(part.get("text"), str)
    ]
    return {"role": item.get("role") or "user", "content": texts}
