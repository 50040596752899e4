"""Rank the models for a gateway's request, in whichever protocol it came, with or without text.

Not here: any gateway, and what a request may ask for (see ``bounds``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from hypernova.errors import MessagesError, NoCandidateError, TextError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova import Artifact, Router
    from hypernova.router import Wishes

OnUnreadable = Literal["default", "error"]
# The reason of a ranking that no text was read for.
UNREAD = "unread"


class Ranking(NamedTuple):
    """The models to try, and what to note of the decision.

    Attributes:
        models: Those that the wishes allow, the best first; at least one.
        id: Of the decision; None where nothing was read.
        reason: Of the decision, or ``unread``.
        artifact: sha256 of the artifact that decided.
    """

    models: tuple[str, ...]
    id: str | None
    reason: str
    artifact: str


async def rank(
    router: Router, messages: object, wishes: Wishes, *, on_unreadable: OnUnreadable
) -> Ranking:
    """Rank the models for a conversation, or without one where nothing can be read.

    Args:
        router: What decides.
        messages: As `hypernova.Router.route` takes them; anything else cannot be read.
        wishes: For this request.
        on_unreadable: What a request gets that holds no text of a user's, or is malformed:
            `rank_unread`, or an error.

    Raises:
        MessagesError: Nothing can be read, and ``on_unreadable`` is ``"error"``.
        TextError: As `MessagesError`, where no token is known to the embedder.
        NoCandidateError: The wishes leave no model.
        HypernovaError: As `hypernova.Router.route`.
    """
    try:
        decision = await router.aroute(messages=messages, **wishes)  # type: ignore[arg-type]
    except (MessagesError, TextError):
        if on_unreadable == "error":
            raise
        artifact = router.artifact
        return Ranking(rank_unread(artifact, wishes), None, UNREAD, artifact.sha256)
    models = tuple(entry.model for entry in decision.ranking)
    return Ranking(models, decision.id, decision.reason, decision.artifact)


def rank_unread(artifact: Artifact, wishes: Wishes) -> tuple[str, ...]:
    """Rank the models without a prompt: the default model, then the others by overall utility.

    Success, cost and latency are those of the whole table. The limits hold, and a conversation
    stays with its ``previous_model`` as it does with text. Nothing is drawn.

    Args:
        artifact: Whose default model answers.
        wishes: For this request.

    Returns:
        The models that meet the limits, at least one.

    Raises:
        NoCandidateError: The limits leave no model.
    """
    policy: dict[str, Any] = {
        **artifact.policy,
        **{k: v for k, v in wishes.items() if v is not None},
    }
    names = artifact.models
    prices = policy.get("prices") or {}
    success = artifact.success[-1].astype(np.float64)
    known = artifact.cost[-1].astype(np.float64)
    cost = np.array([prices.get(name, usd) for name, usd in zip(names, known, strict=True)])
    utility = success - _loss(policy["cost_weight"], cost)
    utility -= _loss(policy["latency_weight"], artifact.latency[-1].astype(np.float64))

    allowed = set(names if policy.get("allow") is None else policy["allow"])
    allowed -= set(policy.get("deny") or ())
    limit = np.inf if policy["max_cost_usd"] is None else policy["max_cost_usd"]
    default = artifact.default_model
    places = sorted(
        (
            i
            for i, name in enumerate(names)
            if name in allowed
            and success[i] >= policy["min_success"]
            # An unknown cost meets no limit but none.
            and (limit == np.inf or cost[i] <= limit)
        ),
        key=lambda i: (names[i] != default, -utility[i], i),
    )
    if not places:
        raise NoCandidateError(
            f"no model is left for a request without text: of {len(names)} models allow and deny "
            f"leave {len(allowed)}, and of these none meets max_cost_usd={limit:g} and "
            f"min_success={policy['min_success']:g}; loosen the limits"
        )
    stays = [i for i in places if names[i] == policy.get("previous_model")]
    if stays and utility[places[0]] - utility[stays[0]] <= policy.get("switch_cost", 0.0):
        places.remove(stays[0])
        places.insert(0, stays[0])
    return tuple(names[i] for i in places)


def _loss(weight: float, amount: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weigh costs or latencies; an unknown one counts as the worst that is known."""
    known = amount[~np.isnan(amount)]
    worst = known.max() if len(known) else 0.0
    return weight * np.where(np.isnan(amount), worst, amount)


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
