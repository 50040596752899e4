"""Return the text of chat messages as evaluation tools store them.

Not here: where a tool stores them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def sent_text(messages: Sequence[object]) -> tuple[str, bool]:
    """Return the text of all messages, a blank line between two, and whether media is left out.

    A message is a mapping with ``content``: a text, or a list of parts of which those with a
    ``text`` are text.
    """
    raise NotImplementedError


def user_text(messages: Sequence[object]) -> tuple[str, bool]:
    """Return the text of the last message of the role ``user``, as `sent_text` does."""
    raise NotImplementedError
