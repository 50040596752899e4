"""Which of the texts of a sample is its prompt. Not here: how a tool stores them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from hypernova.errors import TableError
from hypernova.table.source import quoted

_KINDS = ("auto", "sent", "user")


@dataclass(frozen=True, slots=True)
class PromptChoice:
    """The text that becomes the prompt of a task.

    Attributes:
        kind: ``auto``: what the user wrote, as well as the tool tells: its reader says where that
            stands. ``sent``: everything as it was sent to the model, with templates, examples and
            system messages. ``user``: the last message of the user. ``field``: a field of the
            document.
        field: The name of that field.
    """

    kind: Literal["auto", "sent", "user", "field"] = "auto"
    field: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``auto``, ``sent``, ``user`` or ``field:NAME``.

        Raises:
            TableError: the text is none of these.
        """
        kind, _, field = text.partition(":")
        if kind == "field" and field:
            return cls("field", field)
        for known in _KINDS:
            if text == known:
                return cls(known)  # type: ignore[arg-type]
        raise TableError(
            f"prompt: found {quoted(text)}; give auto, sent, user or field:NAME, a field of the "
            "document"
        )
