"""Read tables in the JSON Lines format, and JSON values with their types checked.

Not here: rules that hold for every format (`checks`). The reader loops over lines in Python: for
millions of outcomes use Parquet.
"""

from __future__ import annotations

import dataclasses
import json
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.strict_json import reason_of
from hypernova.table.checks import common_dim
from hypernova.table.columns import (
    OUTCOME_NUMBERS,
    Floats,
    OutcomeBuilder,
    OutcomeColumns,
    TaskColumns,
    int_array,
)
from hypernova.table.formats.files import Readable, open_bytes, read_lines
from hypernova.table.source import Source, quoted, quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_ONE_TASK_A_LINE = (
    'write one task a line, with "outcomes": {MODEL: SCORE, ...}, or these rows as .csv, which has '
    "one outcome a line"
)


class JsonObject(dict[str, Any]):
    """A JSON object that keeps all pairs of duplicate keys, which a dict would hide.

    Attributes:
        pairs: All pairs, in order, if a key stands twice; else None.
    """

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs if len(pairs) != len(self) else None

    def first_duplicate(self, keys: Iterable[str]) -> str | None:
        """Return the first of `keys` that stands more than once, or None."""
        if self.pairs is None:
            return None
        names = [name for name, _ in self.pairs]
        return next((key for key in keys if names.count(key) > 1), None)


def read_jsonl(path: Path) -> tuple[TaskColumns, OutcomeColumns]:
    """Read the JSON Lines format, one task a line.

    Raises:
        TableError: a line is not UTF-8, not JSON, or holds a value of the wrong kind.
    """
    source = Source.of(path, "line")
    with open_bytes(path, source) as file:
        return columns_of_objects(read_objects(file, source), source)


def columns_of_objects(
    objects: Iterable[tuple[int, JsonObject]], source: Source
) -> tuple[TaskColumns, OutcomeColumns]:
    """Return the columns of tasks that are objects with their outcomes.

    Args:
        objects: Row number and object of each task.
        source: Where they were read.

    Raises:
        TableError: an object lacks a key, or holds a value of the wrong kind.
    """
    ids: list[str] = []
    prompts: list[str] = []
    groups: list[str | None] = []
    vectors: list[Floats | None] = []
    rows = array("q")
    outcomes = OutcomeBuilder()
    for line, task in objects:
        missing = [key for key in ("task_id", "prompt", "outcomes") if key not in task]
        if missing:
            one_outcome = "outcomes" in missing and "model" in task
            raise source.missing_columns(
                missing, task, at=line, remedy=_ONE_TASK_A_LINE if one_outcome else None
            )
        duplicate = task.first_duplicate(("task_id", "prompt", "group", "embedding", "outcomes"))
        if duplicate:
            raise source.error("the key stands twice", "keep one", at=line, column=duplicate)
        task_id = require_id(task["task_id"], source, line)
        of = f"task {quoted(task_id)}"
        entries = task["outcomes"]
        if not isinstance(entries, JsonObject):
            raise source.error(
                f"found {quoted(entries)}",
                'write an object {"model": {"score": 1, "cost_usd": 0.1}}',
                at=line,
                column="outcomes",
                of=of,
            )
        # Both entries of a duplicate model are kept: repeats, like two CSV rows.
        for model, entry in entries.pairs or entries.items():
            named = f"{of}, model {quoted(model)}"
            if entry == []:
                raise source.error(
                    "found no outcome in the list",
                    "leave the model out where it has none",
                    at=line,
                    column="outcomes",
                    of=named,
                )
            for one in entry if isinstance(entry, list) else (entry,):
                outcomes.add(line, len(ids), model, _json_outcome(one, source, line, named))
        rows.append(line)
        ids.append(task_id)
        prompts.append(require_text(task["prompt"], source, line, "prompt"))
        group = task.get("group")
        # An empty CSV cell can only mean "no group", so the other formats read "" the same way.
        groups.append(None if group is None else require_text(group, source, line, "group") or None)
        vectors.append(require_vector(task.get("embedding"), source, line, of))
    tasks = TaskColumns(source, int_array(rows), ids, prompts, groups, None)
    lengths = int_array(-1 if vector is None else len(vector) for vector in vectors)
    if common_dim(lengths, source, tasks.rows, lambda task: f"task {quoted(ids[task])}") >= 0:
        given = [vector for vector in vectors if vector is not None]
        tasks = dataclasses.replace(tasks, embedding=np.stack(given))
    return tasks, outcomes.build(source)


def read_objects(
    file: Readable, source: Source, first: int = 1
) -> Iterator[tuple[int, JsonObject]]:
    """Yield each line's number, from `first`, and object; blank lines are skipped.

    Raises:
        TableError: a line is not UTF-8 or not a JSON object.
    """
    for number, line in enumerate(read_lines(file, source, first), first):
        if line.isspace():
            continue
        try:
            row = json.loads(line, object_pairs_hook=JsonObject)
        # ValueError: broken JSON, or an integer of thousands of digits. RecursionError: "[[[[...".
        except (ValueError, RecursionError) as error:
            # The decoder counts lines within this one; its "line 1" would contradict ours.
            raise source.error(
                f"is not valid JSON ({reason_of(error, in_line=True)})",
                "write one object per line",
                at=number,
            ) from error
        if not isinstance(row, JsonObject):
            raise source.error(f"found {quoted(row)}", "write one object per line", at=number)
        yield number, row


def require_id(value: object, source: Source, line: int) -> str:
    """Return the task_id of a JSON value, an integer as its decimal string.

    Raises:
        TableError: the value is neither a string nor an integer.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise source.error(
        f"found {quoted(value)}", "write a string or an integer", at=line, column="task_id"
    )


def require_text(value: object, source: Source, line: int, column: str) -> str:
    """Return a JSON value if it is a string.

    Raises:
        TableError: the value is no string.
    """
    if isinstance(value, str):
        return value
    raise source.error(f"found {quoted(value)}", "write a string", at=line, column=column)


def _json_outcome(entry: object, source: Source, line: int, of: str) -> list[float]:
    if not isinstance(entry, JsonObject):
        return [require_number(entry, source, line, "score", of), np.nan, np.nan]
    if "score" not in entry:
        raise source.error(
            f"lacks 'score', found {quoted_list(entry)}",
            "add the score, or leave the model out where it has none",
            at=line,
            column="outcomes",
            of=of,
        )
    duplicate = entry.first_duplicate(OUTCOME_NUMBERS)
    if duplicate:
        raise source.error("the key stands twice", "keep one", at=line, column=duplicate, of=of)
    if len(entry) > 1:
        source.check_optional_names(entry, at=line)
    numbers = [
        np.nan
        if entry.get(column) is None
        else require_number(entry[column], source, line, column, of)
        for column in OUTCOME_NUMBERS[1:]
    ]
    return [require_number(entry["score"], source, line, "score", of), *numbers]


def require_number(value: object, source: Source, line: int, column: str, of: str) -> float:
    """Return a JSON value if it is a number; a boolean counts as one only in a score.

    Raises:
        TableError: the value is no number, or NaN.
    """
    # A boolean is a fine score ("resolved": true) and a slip as a cost.
    if isinstance(value, int | float) and (column == "score" or not isinstance(value, bool)):
        try:
            number = float(value)
        except OverflowError:
            number = np.inf
        if number == number:
            return number
    remedy = (
        "write a number in 0..1, or leave the model out where it has no score"
        if column == "score"
        else "write a number, or null where it is not known"
    )
    raise source.error(f"found {quoted(value)}", remedy, at=line, column=column, of=of)


def require_vector(value: object, source: Source, line: int, of: str) -> Floats | None:
    """Return a JSON value if it is a list of numbers, float64 (dim,); null is None.

    Raises:
        TableError: the value is another, or holds an integer beyond float64.
    """
    if value is None:
        return None
    if isinstance(value, list) and set(map(type, value)) <= {int, float}:
        try:
            return np.array(value, dtype=np.float64)
        except OverflowError:
            pass
    odd: object = value
    if isinstance(value, list):
        odd = next((x for x in value if type(x) not in (int, float)), "an integer beyond float64")
    raise source.error(
        f"found {quoted(odd)}", "write a list of numbers", at=line, column="embedding", of=of
    )
