"""Return the text of chat messages as evaluation tools store them.

Not here: where a tool stores them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_USERS = ("user", "human")
# Words in the type of a part that is media, such as `image_url` or `input_audio`; other parts
# without text are calls of tools and reasoning, which are no part of a prompt.
_MEDIA = ("image", "audio", "video", "file", "document", "media")


def sent_text(messages: Sequence[object]) -> tuple[str, bool]:
    """Return the text of all messages, a blank line between two, and whether media is left out.

    A message is a text, or a mapping with ``content``: a text, or a list of parts of which those
    with a ``text`` are text. A part whose type is that of an image, audio, video or a file is
    media.
    """
    texts, media = [], False
    for message in messages:
        content = message.get("content") if isinstance(message, Mapping) else message
        text, has_media = _content(content)
        media = media or has_media
        if text:
            texts.append(text)
    return "\n\n".join(texts), media


def user_text(messages: Sequence[object]) -> tuple[str, bool]:
    """Return the text of the last message of the role ``user``, as `sent_text` does.

    The role ``human`` is the same. Without such a message the text is empty.
    """
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role") in _USERS:
            return sent_text([message])
    return "", False


def _content(content: object) -> tuple[str, bool]:
    if isinstance(content, str):
        return content, False
    parts = [content] if isinstance(content, Mapping) else content
    if not isinstance(parts, list | tuple):
        return "", False
    texts, media = [], False
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping):
            text = part.get("text")
            if isinstance(text, str):
                texts.append(text)
            else:
                kind = part.get("type")
                media = media or (isinstance(kind, str) and any(m in kind for m in _MEDIA))
    return "\n\n".join(text for text in texts if text), media
