"""The turns of a conversation that are routed by, and their vector.

Not here: the model that the conversation was with before (see ``RouteOptions.previous_model``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.embedder.text.cut import is_blank
from hypernova.errors import MessagesError, TextError

if TYPE_CHECKING:
    from hypernova.embedder import TextEmbedder
    from hypernova.embedder.base import Vectors

# Parts of a message that hold text, in the chat and in the responses form of the protocol.
_TEXT_PARTS = ("text", "input_text")
# Two unit vectors whose sum is shorter than this point away from each other: what is left is
# mostly the rounding of float32.
_LEAST_SUM = 1e-3


def turns_of(messages: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Find the texts that a conversation is routed by: its first and its last user turn.

    The first turn of the user says what the conversation is about, and the last what is
    asked now. Turns of the system, of developers, of tools and of the model are not read: they
    are the service's own words, and other models'. Nor are a user's turns without text, and
    items of the responses protocol that are no messages, such as ``reasoning`` and
    ``function_call_output``: of those only ``type`` is looked at.

    Args:
        messages: As chat protocols have them, each with a ``role`` and a ``content``; or, as
            the responses protocol has them, with a ``type`` and no role. The content of a user's
            turn is text, a list of parts, of which those of type ``text`` and ``input_text``
            are read, with a line feed between, or None.

    Returns:
        One text, or two: the first turn and the last. One turn, or two with the same text,
        are one.

    Raises:
        MessagesError: A message is malformed, or no turn of the user holds text.

    Example:
        >>> from hypernova.router import turns_of
        >>> turns_of([{"role": "system", "content": "Be brief."},
        ...           {"role": "user", "content": "Write a parser"},
        ...           {"role": "assistant", "content": "Of what?"},
        ...           {"role": "user", "content": [{"type": "text", "text": "JSON"}]}])
        ('Write a parser', 'JSON')
    """
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise MessagesError(
            f"messages is {_kind(messages)}, expected a list of dicts, each with role and content"
        )
    turns = []
    for i, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise MessagesError(f"messages[{i}] is {_kind(message)}, expected a dict with a role")
        role = message.get("role")
        if role is None and isinstance(message.get("type"), str):
            continue
        if not isinstance(role, str):
            found = "is missing" if role is None else f"is {_kind(role)}"
            raise MessagesError(f"messages[{i}]: role {found}, expected a str such as 'user'")
        if role == "user" and not is_blank(text := _content(message.get("content"), i)):
            turns.append(text)
    if not turns:
        raise MessagesError(
            f"messages holds {len(messages)} turns and no text of role 'user': nothing to route by"
        )
    first, last = turns[0], turns[-1]
    return (first,) if first == last else (first, last)


def embed_turns(embedder: TextEmbedder, turns: Sequence[str]) -> Vectors:
    """Embed a conversation: the mean of its turns' vectors, brought to length 1.

    Each turn is embedded as a prompt of its own, as the prompts of a table are, so that a long
    first turn takes nothing from what is read of the last, and a cache holds the first one's
    vector when the conversation goes on.

    Args:
        embedder: The artifact's.
        turns: One text or two, as `turns_of` gives them.

    Returns:
        float32 of shape (dim,) and length 1. A turn of no token that the embedder knows does
        not count, if the other one has some; of two vectors that cancel, the last stands.

    Raises:
        TextError: No turn holds a token that the embedder knows.
    """
    if len(turns) == 1:
        return embedder.embed_one(turns[0])
    first, last = turns
    try:
        now = embedder.embed_one(last)
    except TextError:
        return embedder.embed_one(first)
    try:
        vector: Vectors = embedder.embed_one(first) + now
    except TextError:
        return now
    length = math.sqrt(np.vdot(vector, vector))
    return now if length < _LEAST_SUM else vector / np.float32(length)


def _content(content: object, i: int) -> str:
    """Join the text of a user's turn; empty if there is none."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    expected = "expected a str or a list of parts, each with a type"
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        raise MessagesError(f"messages[{i}]: content is {_kind(content)}, {expected}")
    texts = []
    for j, part in enumerate(content):
        if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
            raise MessagesError(f"messages[{i}]: content[{j}] is no part with a type, {expected}")
        if part["type"] in _TEXT_PARTS:
            text = part.get("text")
            if not isinstance(text, str):
                raise MessagesError(
                    f"messages[{i}]: content[{j}]: text is {_kind(text)}, expected a str"
                )
            texts.append(text)
    return "\n".join(texts)


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
