"""Find the turns of a conversation that it is routed by, and embed them.

Not here: the model that the conversation was with before (see ``RouteOptions.previous_model``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hypernova._core import is_blank
from hypernova.errors import MessagesError, TextError

if TYPE_CHECKING:
    from hypernova.embedder import TextEmbedder
    from hypernova.embedder.base import Vectors

# Types of a message's parts that hold text, in the chat and in the responses protocol.
_TEXT_PARTS = ("text", "input_text")
# Two unit vectors with a shorter sum point away from each other: the sum is mostly the rounding
# of float32.
_MIN_SUM = 1e-3


def turns_of(messages: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Find the texts that a conversation is routed by: its first and its last user turn.

    The first user turn states the subject of the conversation, and the last the present
    request. Turns of the system, of developers, of tools and of the model are not read: they
    are the service's own words, and other models'. User turns without text are not read,
    either, nor items of the responses protocol that are no messages, such as ``reasoning`` and
    ``function_call_output``: of an item without a role only ``type`` is read.

    Args:
        messages: Messages of a chat protocol, each with a ``role`` and a ``content``; or items
            of the responses protocol, with a ``type`` and no role. The content of a user's
            turn is a text, None, or a list of parts, of which those of type ``text`` and
            ``input_text`` are read, with a line feed between.

    Returns:
        The first turn and the last; one text if there is one turn, or both have the same text.

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


def prompt_turns(text: str | None, messages: Sequence[Mapping[str, Any]] | None) -> tuple[str, ...]:
    """Return the texts to embed, of a caller who gives either a text or messages.

    Raises:
        TypeError: The caller gives neither, or both.
        MessagesError: As in `turns_of`.
    """
    if messages is None:
        if text is None:
            raise TypeError("neither text nor messages= is given: expected one of them")
        return (text,)
    if text is not None:
        raise TypeError("text and messages are both given: expected one of them")
    return turns_of(messages)


def embed_turns(embedder: TextEmbedder, turns: Sequence[str]) -> Vectors:
    """Embed a conversation: the mean of its turns' vectors, brought to length 1.

    Each turn is embedded as a prompt of its own, like the prompts of a table, so that a long
    first turn takes no room from the last, and a cache holds the first turn's vector for the
    rest of the conversation.

    Args:
        embedder: The artifact's embedder.
        turns: One text or two, of `turns_of`.

    Returns:
        float32 of shape (dim,) and length 1. If one turn holds no token that the embedder knows,
        the vector is that of the other; if the two cancel, it is that of the last.

    Raises:
        TextError: No turn holds a token that the embedder knows.
    """
    if len(turns) == 1:
        return embedder.embed_one(turns[0])
    first, last = turns
    lookup = embedder._lookup()
    if lookup is not None:
        return lookup.embed_turns(first, last)
    try:
        now = embedder.embed_one(last)
    except TextError:
        return embedder.embed_one(first)
    try:
        vector: Vectors = embedder.embed_one(first) + now
    except TextError:
        return now
    import numpy as np  # loaded already by an embedder that makes arrays

    length = math.sqrt(np.vdot(vector, vector))
    return now if length < _MIN_SUM else vector / np.float32(length)


def _content(content: object, i: int) -> str:
    """Return the text of a user's turn, its parts joined; empty if there is none."""
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
