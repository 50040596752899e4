"""Say where a table is wrong, in one line and in the same words for every format.

Not here: the rules; readers and checks state what is wrong and what to do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypernova.errors import TableError
from hypernova.paths import path_label

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

_MAX_CHARS = 60
_MAX_NAMES = 12
# Names that others give to the required columns, as `_plain` has them, the most telling first.
_OTHER_NAMES = {
    "task_id": ("id", "task", "sample_id", "example_id", "question_id", "instance_id", "index"),
    "prompt": ("prompt_text", "question", "input", "query", "instruction", "text", "user_prompt"),
    "model": ("model_name", "model_id", "llm", "engine"),
    "score": (
        *("correct", "is_correct", "passed", "success", "resolved", "accuracy", "grade"),
        *("rating", "result"),
    ),
}
_REQUIRED = tuple(_OTHER_NAMES)
_OTHER_NAMES["sample_id"] = _OTHER_NAMES["task_id"]
# Likewise of columns that a table may lack. Other columns are ignored, but a cost that is not read
# would go unnoticed until routing by cost takes no cost into account.
_OTHER_OPTIONAL_NAMES = {
    "cost_usd": ("cost", "cost_in_usd", "cost_dollars", "total_cost", "total_cost_usd"),
    "latency_s": ("latency", "latency_in_s", "latency_seconds", "latency_sec"),
}
_UNITS = {"cost_usd": "US dollars", "latency_s": "seconds"}
_HOW_TO_ADD = {"task_id": "add 'task_id', which numbers the prompts"}


def quoted(value: object) -> str:
    """Return the repr of `value` for a one-line message, cut after 60 characters."""
    # A prompt may be megabytes: cut before repr, not after.
    if isinstance(value, str) and len(value) > _MAX_CHARS:
        return f"{value[:_MAX_CHARS]!r}..."
    text = repr(value)
    return text if len(text) <= _MAX_CHARS + 2 else f"{text[:_MAX_CHARS]}..."


def quoted_list(names: Iterable[str]) -> str:
    """Return names for a message: quoted, with commas, cut after twelve; `nothing` without any."""
    every = [quoted(name) for name in names]
    if len(every) > _MAX_NAMES:
        every = [*every[:_MAX_NAMES], f"and {len(every) - _MAX_NAMES} more"]
    return ", ".join(every) or "nothing"


@dataclass(frozen=True, slots=True)
class Source:
    """The file or arrays that rows come from, as messages name them.

    Attributes:
        label: The path as the caller wrote it, or the name of a table made from arrays.
        unit: Unit of row numbers: `line` (text, 1-based), `row` (Parquet, 1-based), `entry` (a list
            in JSON, 1-based) or `index` (arrays, 0-based).
        column_names: Name in the source of a column that hypernova names otherwise, such as
            `instance_id` for `task_id`.
    """

    label: str
    unit: str
    column_names: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, path: Path, unit: str, column_names: Mapping[str, str] | None = None) -> Source:
        """Return the source for a path; line breaks in the path are escaped."""
        return cls(path_label(path), unit, column_names or {})

    def place(self, row: int) -> str:
        """Return the words for a row besides the one that an error is about, such as `line 4`."""
        return f"{self.unit} {row}"

    def error(
        self,
        problem: str,
        remedy: str,
        *,
        at: int | None = None,
        column: str | None = None,
        of: str | None = None,
    ) -> TableError:
        """Build the one-line error.

        Args:
            problem: What was found.
            remedy: What to do about it.
            at: Row number in the unit of this source.
            column: Column name.
            of: Task, model or both that the row belongs to.
        """
        where = self.label
        if at is not None:
            where += f", {self.unit} {at}"
        if column is not None:
            where += f", column {self.column_names.get(column, column)!r}"
        if of is not None:
            where += f" ({of})"
        return TableError(f"{where}: {problem}; {remedy}")

    def missing_columns(
        self,
        missing: Iterable[str],
        found: Iterable[str],
        *,
        at: int | None = None,
        remedy: str | None = None,
    ) -> TableError:
        """Build the error for missing columns; it names the missing and the present ones.

        Args:
            missing: Columns that are required and absent.
            found: Columns that are present.
            at: Row number in the unit of this source.
            remedy: What to do, in place of the general advice.
        """
        missing, found = list(missing), list(found)
        near = {_plain(name): name for name in reversed(found) if name not in _REQUIRED}
        renamed: dict[str, str] = {}
        for name in missing:
            other = next((n for n in (name, *_OTHER_NAMES.get(name, ())) if n in near), None)
            if other is not None:
                renamed[name] = near.pop(other)
        steps = [f"rename {quoted(other)} to {quoted(name)}" for name, other in renamed.items()]
        if remedy is None:
            steps += [_HOW_TO_ADD[n] for n in missing if n not in renamed and n in _HOW_TO_ADD]
            if len(steps) < len(missing):
                steps.append("add what is missing or rename the column that holds it")
        elif len(steps) < len(missing):
            steps.append(remedy)
        return self.error(
            f"lacks {quoted_list(missing)}, found {quoted_list(found)}", ", ".join(steps), at=at
        )

    def check_optional_names(self, found: Collection[str], *, at: int | None = None) -> None:
        """Refuse a cost or a latency that would be ignored for its name.

        Args:
            found: Columns that are present.
            at: Row number in the unit of this source.

        Raises:
            TableError: one of them has another name, and no column has the right one.
        """
        for name, others in _OTHER_OPTIONAL_NAMES.items():
            if name in found:
                continue
            near = next((other for other in found if _plain(other) in others), None)
            if near is not None:
                raise self.error(
                    f"found {quoted(near)}, where costs and latencies are read of 'cost_usd' and "
                    "'latency_s' alone",
                    f"rename {quoted(near)} to {quoted(name)} if it is in {_UNITS[name]}, or drop "
                    "it",
                    at=at,
                )


def _plain(name: str) -> str:
    """Return the name of a column without its case, its punctuation and its unit in brackets."""
    words = re.sub(r"\(.*?\)", " ", name).casefold()
    return "_".join(re.findall(r"[^\W_]+", words))
