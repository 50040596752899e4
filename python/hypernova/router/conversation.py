"""Which words of a conversation are routed by.

Not here: which model it was with before (see ``Wishes.previous_model``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypernova.errors import MessagesError

# Of the parts of a message that hold text, in the chat and in the responses form of the protocol.
_TEXT_PARTS = ("text", "input_text")


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """Give the text that a conversation is routed by.

    The first turn of the user says what the conversation is about, and the last what is
    asked now: these two are read, the first before the last, with an empty line between;
    one alone if they are the same turn. Turns of the system, of tools and of the model are
    not read: they are the service's own words, and other models'.

    Args:
        messages: Each with a ``role`` and a ``content``, as chat protocols have them. The
            content of a user's turn is text, or a list of parts, of which those of type
            ``text`` and ``input_text`` are read, with a line feed between.

    Returns:
        The text; the embedder cuts it, if it is long, as any other.

    Raises:
        MessagesError: A message is malformed, or no turn of the user holds text.

    Example:
        >>> from hypernova.router import text_of
        >>> text_of([{"role": "system", "content": "Be brief."},
        ...          {"role": "user", "content": "Write a parser"}])
        'Write a parser'
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
        if not isinstance(role, str):
            found = "is missing" if role is None else f"is {_kind(role)}"
            raise MessagesError(f"messages[{i}]: role {found}, expected a str such as 'user'")
        if role == "user" and (text := _content(message.get("content"), i)).strip():
            turns.append(text)
    if not turns:
        raise MessagesError(
            f"messages holds {len(messages)} turns and no text of role 'user': nothing to route by"
        )
    return turns[0] if len(turns) == 1 else f"{turns[0]}\n\n{turns[-1]}"


def _content(content: object, i: int) -> str:
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
