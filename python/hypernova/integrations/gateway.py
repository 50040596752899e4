"""Rank the models for a gateway's request, in any protocol, with or without text.

Not here: the gateways themselves, and the options of a request (`request_options`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hypernova.errors import HypernovaError, MessagesError, NoCandidateError, TextError
from hypernova.integrations.request_options import constrain_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova import Router
    from hypernova.router import RouteOptions

OnUnreadable = Literal["default", "error"]
# Reason of a ranking without text.
REASON_UNREAD = "unread"


class Ranking(NamedTuple):
    """The models to try, and the decision that ranked them.

    Attributes:
        models: Models that the options allow, the best first; at least one.
        id: Id of the decision; None if no text was read.
        reason: Reason of the decision, or ``unread``.
        artifact: sha256 of the artifact that decided.
    """

    models: tuple[str, ...]
    id: str | None
    reason: str
    artifact: str


async def rank_for_request(
    router: Router,
    messages: object,
    operator: RouteOptions,
    requested: object,
    *,
    is_served: Callable[[str], bool] | None = None,
    on_unreadable: OnUnreadable,
) -> Ranking:
    """Rank the models for a request within the operator's limits, by one artifact.

    If a new artifact replaces the one in use meanwhile, ranking starts again: models and limits may
    differ.

    Args:
        router: As in `rank`.
        messages: As in `rank`.
        operator: The operator's options.
        requested: The request's options, as `constrain_options` takes them.
        is_served: Returns whether a model of the artifact can be called; by default all can.
        on_unreadable: As in `rank`.

    Raises:
        PolicyError: As in `constrain_options`.
        HypernovaError: As in `rank`.
    """
    while True:
        artifact = router.artifact
        served = None if is_served is None else [m for m in artifact.models if is_served(m)]
        try:
            options = constrain_options(artifact, operator, requested, served=served)
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
    """Rank the models for a conversation, or without text if the messages are unreadable.

    Args:
        router: The router that decides.
        messages: Messages as `hypernova.Router.route` takes them; anything else is unreadable.
        options: Route options of this request.
        on_unreadable: For messages that are malformed or hold no text of a user: ``"default"``
            ranks by `Artifact.rank_unread`, ``"error"`` raises.

    Raises:
        MessagesError: The messages are unreadable, and ``on_unreadable`` is ``"error"``.
        TextError: Likewise, where the embedder knows no token of the text.
        NoCandidateError: The options leave no model.
        HypernovaError: As `hypernova.Router.route`.
    """
    if messages is None:  # to the router None means that the argument is missing
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
        return Ranking(models, None, REASON_UNREAD, artifact.sha256)
    models = tuple(entry.model for entry in decision.ranking)
    return Ranking(models, decision.id, decision.reason, decision.artifact)


def messages_of(data: Mapping[str, Any]) -> Any:
    """Return the conversation in a request's body, in any protocol.

    Args:
        data: The body: ``messages`` of the chat protocols, ``input`` of the responses protocol,
            ``prompt`` of plain completions, or ``contents`` of Google's.

    Returns:
        Messages as `hypernova.Router.route` takes them: a str, or each of several, becomes a
        message of the user. Any other content is returned unchanged.
    """
    if contents := data.get("contents"):
        several = isinstance(contents, Sequence) and not isinstance(contents, str | bytes)
        return [_message_of_google(item) for item in (contents if several else [contents])]
    found: Any = next((data[k] for k in ("messages", "input", "prompt") if data.get(k)), [])
    if isinstance(found, str):
        return [_user_message(found)]
    if isinstance(found, Sequence) and not isinstance(found, bytes):
        return [_user_message(item) if isinstance(item, str) else item for item in found]
    return found


def _user_message(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _message_of_google(item: Any) -> Any:
    """Convert a content of Google's protocol, whose parts have no type, into a message."""
    if isinstance(item, str):
        return _user_message(item)
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
