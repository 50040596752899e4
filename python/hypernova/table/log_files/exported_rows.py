"""Read the cells of exported tables: numbers, times and JSON in texts, whatever the format.

A CSV file holds texts alone, Parquet holds values, JSON holds both. Not here: which columns a tool
exports.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hypernova.table.log_files.messages import sent_text, user_text
from hypernova.table.source import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hypernova.table.log_files.files import LogFile
    from hypernova.table.log_files.prompt_choice import PromptChoice
    from hypernova.table.source import Source

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Keys of an object that hold what was sent, in the order in which they are looked for.
_SENT = ("messages", "prompt", "input", "contents", "body")


@lru_cache(maxsize=1024)
def snake_case(name: str) -> str:
    """Return a column's name in lower case with underscores: ``traceId`` as ``trace_id``."""
    return _HUMP.sub("_", name.strip()).lower().replace(" ", "_").replace("-", "_")


def column_names(file: LogFile) -> set[str]:
    """Return the columns of a table or the keys of its first object, in `snake_case`."""
    return set(map(snake_case, file.columns or file.first_keys))


def exported_rows(file: LogFile) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and cells of each row, its columns in `snake_case`.

    Raises:
        TableError: the file is malformed.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """
    for number, row in file.rows():
        yield number, {snake_case(name): value for name, value in row.items()}


def text_cell(row: Mapping[str, Any], *columns: str) -> str:
    """Return the first of some cells that holds a text or a number, as text; "" if none does."""
    for column in columns:
        value = row.get(column)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""


def number_cell(row: Mapping[str, Any], column: str, source: Source, at: int) -> float | None:
    """Return the number in a cell; None where it is empty, null or NaN.

    Raises:
        TableError: the cell holds something else, or a number beyond float64.
    """
    value = row.get(column)
    if value is None or value == "":
        return None
    number = as_number(value)
    if number is None:
        raise source.error(f"found {quoted(value)}", "export the table again", at=at, column=column)
    return None if math.isnan(number) else number


def as_number(value: object) -> float | None:
    """Return a number, or a text of a finite one or of NaN; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isinf(number) else number


def as_moment(value: object) -> float | None:
    """Return seconds since 1970 of a time or its ISO text, UTC where it names no zone, or None."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None


def seconds_between(row: Mapping[str, Any], start: str, end: str) -> float | None:
    """Return the seconds from one cell's time to another's, or None where one is not known."""
    begun, ended = as_moment(row.get(start)), as_moment(row.get(end))
    # Clocks of two machines may make it negative.
    return None if begun is None or ended is None or ended < begun else round(ended - begun, 6)


def parsed(value: object) -> object:
    """Return the value of a text that holds a JSON object or list; anything else as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "["}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


@dataclass(frozen=True, slots=True)
class Sent:
    """The texts of what was sent to a model.

    Attributes:
        content: What was sent, parsed.
        sent: All of its text.
        user: The last message of the user; "" without one.
        written: All messages of the user, or all of the text without one. It is the same whatever
            system message and whatever answers of a model stand between.
        media: Whether it has images or other media.
    """

    content: object
    sent: str
    user: str
    written: str
    media: bool

    @classmethod
    def of(cls, cell: object) -> Sent:
        """Read a cell: a text, messages, or an object that holds one of them under a known key."""
        content = whole = parsed(cell)
        while isinstance(content, dict):
            inner = next((parsed(content[key]) for key in _SENT if content.get(key)), None)
            if inner is None:
                break
            content = inner
        if isinstance(content, list) and content:
            messages = [_message(message) for message in content]
            sent, media = sent_text(messages)
            turns = [user_text([message])[0] for message in messages]
            written = "\n\n".join(turn for turn in turns if turn)
            return cls(whole, sent, user_text(messages)[0], written or sent, media)
        if isinstance(content, str):
            return cls(whole, content, content, content, False)
        # An object of an unknown form is its JSON, and nothing is nothing.
        text = json.dumps(content, ensure_ascii=False) if content else ""
        return cls(whole, text, "", text, False)

    def prompt(self, choice: PromptChoice) -> str | None:
        """Return the text that is the prompt, or None without text."""
        if choice.kind == "field":
            value = self.content.get(choice.field) if isinstance(self.content, dict) else None
            text = value if isinstance(value, str) else ""
        elif choice.kind == "sent":
            text = self.sent
        else:
            text = self.user or ("" if choice.kind == "user" else self.sent)
        return text if text.strip() else None


def _message(message: object) -> object:
    # Google's messages have parts where the others have content.
    if isinstance(message, dict) and "content" not in message and "parts" in message:
        return {**message, "content": message["parts"]}
    return message
