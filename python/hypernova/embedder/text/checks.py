"""Refuse values that no embedder can read, by their place among the texts of a call.

Not here: texts without a token (see ``tokenizer``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hypernova._core import is_blank
from hypernova.errors import TextError

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_is_text(text: object, index: int | None) -> None:
    """Refuse a value that is not a str.

    Args:
        text: The value.
        index: Its index among several texts, for the message; None if it is the only one.

    Raises:
        TypeError: ``text`` is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"{text_label(index)} is {type(text).__name__}, expected str")


def check_is_sequence(texts: object, instead: str) -> None:
    """Refuse a value that is no sequence: in a set or a dict, texts have no place.

    Args:
        texts: The value.
        instead: What takes one text, for the message.

    Raises:
        TypeError: ``texts`` is a str, or not a sequence.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts is a str, expected a sequence of str; use {instead}")
    in_order = hasattr(texts, "__getitem__") and hasattr(texts, "__len__")
    if not in_order or isinstance(texts, Mapping):
        raise TypeError(f"texts is {type(texts).__name__}, expected a list or tuple of str")


def check_has_text(text: object, index: int | None) -> None:
    """Refuse a value that is not a str, or a str of blanks alone.

    Args:
        text: As for `check_is_text`.
        index: As for `check_is_text`.

    Raises:
        TypeError: ``text`` is not a str.
        TextError: ``text`` holds no visible character.
    """
    check_is_text(text, index)
    assert isinstance(text, str)
    if is_blank(text):
        raise empty_error(index)


def empty_error(index: int | None) -> TextError:
    """Return the error for a text without a visible character."""
    return TextError(f"{text_label(index)} is empty: expected at least one visible character")


def text_label(index: int | None) -> str:
    """Return the name of a text in a message."""
    return "the text" if index is None else f"text {index}"


def text_labels(indices: Sequence[int | None]) -> str:
    """Return the name of several texts, in the order of their indices, in a message."""
    if len(indices) == 1:
        return text_label(indices[0])
    return f"{len(indices)} texts ({indices[0]} to {indices[-1]})"
