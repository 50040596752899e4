"""State the length of each prompt where prices are for tokens.

Not here: the number of tokens that follows from it, which the core computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypernova.route_options import BatchRouteOptions, RouteOptions


def with_length(options: RouteOptions, prompt: str | Sequence[Mapping[str, Any]]) -> RouteOptions:
    """Add the number of characters of a prompt, or of all texts of a conversation.

    Args:
        options: The caller's; returned as they are unless a price is for tokens, and where they
            state a length.
        prompt: A text, or messages that were read.
    """
    if not _needs_length(options):
        return options
    chars = len(prompt) if isinstance(prompt, str) else sum(map(_chars, prompt))
    return {**options, "prompt_chars": chars}


def with_lengths(options: BatchRouteOptions, texts: Sequence[str]) -> BatchRouteOptions:
    """Add the numbers of characters of the prompts of a batch, as `with_length` does."""
    if not _needs_length(options):
        return options
    return {**options, "prompt_chars": [len(text) for text in texts]}


def _needs_length(options: RouteOptions | BatchRouteOptions) -> bool:
    prices = options.get("prices")
    if not isinstance(prices, Mapping):
        return False  # none, or the core refuses them
    stated = options.get("prompt_chars") is not None or options.get("input_tokens") is not None
    if stated:
        return False
    # A copy, because another thread may change the caller's mapping: that of a dict is made in one
    # step, a walk over its values is not where there is no GIL.
    return any(isinstance(price, tuple | list) for price in dict(prices).values())


def _chars(message: Mapping[str, Any]) -> int:
    """Count the characters of a message's texts, whoever wrote them: a model reads them all."""
    content = message.get("content")
    if isinstance(content, str):
        return len(content)
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        return 0
    texts = (part.get("text") for part in content if isinstance(part, Mapping))
    return sum(len(text) for text in texts if isinstance(text, str))
