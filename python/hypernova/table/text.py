"""Read tables and prompts from JSON Lines and plain text.

Not here: rules that hold for every form; `columns` has them. These readers loop over rows in
Python: for millions of outcomes use Parquet.
"""

from __future__ import annotations

import dataclasses
import json
from array import array
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from hypernova.embedder.text.cut import is_blank
from hypernova.table.columns import (
    Floats,
    Ints,
    Outcomes,
    Tasks,
    check_prompt,
    common_length,
)
from hypernova.table.source import Source, listed, opened, shown, text_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

MEASURES = ("cost_usd", "latency_s")


class JsonObject(dict[str, Any]):
    """A JSON object that remembers its pairs where a key stands twice, which a dict would hide."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs if len(pairs) != len(self) else None

    def repeated(self, keys: Iterable[str]) -> str | None:
        """Return the first of `keys` that stands more than once."""
        names = [name for name, _ in self.pairs or ()]
        return next((key for key in keys if names.count(key) > 1), None)


class OutcomeRows:
    """Outcomes in the order read, compact enough for millions."""

    def __init__(self) -> None:
        self.rows, self.task, self.model = array("q"), array("q"), array("q")
        self.values = array("d")
        self.models: dict[str, int] = {}

    def add(self, row: int, task: int, model: str, values: Sequence[float]) -> None:
        """Append one outcome; `values` are score, cost and latency."""
        self.rows.append(row)
        self.task.append(task)
        self.model.append(self.models.setdefault(model, len(self.models)))
        self.values.extend(values)

    def columns(self, source: Source) -> Outcomes:
        """Return what was added as columns."""
        values = np.array(self.values, dtype=np.float64).reshape(-1, 3)
        return Outcomes(
            source=source,
            rows=ints(self.rows),
            task=ints(self.task),
            model=ints(self.model),
            models=list(self.models),
            score=values[:, 0],
            cost_usd=values[:, 1],
            latency_s=values[:, 2],
        )


def ints(values: Iterable[int]) -> Ints:
    """Return whole numbers as int64."""
    return np.fromiter(values, dtype=np.int64)


def read_jsonl(path: Path) -> tuple[Tasks, Outcomes]:
    """Read the JSON Lines form, one task a line.

    Raises:
        TableError: a line is not UTF-8, not JSON, or holds a value of the wrong kind.
    """
    source = Source.of(path, "line")
    ids: list[str] = []
    prompts: list[str] = []
    groups: list[str | None] = []
    vectors: list[Floats | None] = []
    rows = array("q")
    outcomes = OutcomeRows()
    with opened(path, source) as file:
        for line, task in json_objects(file, source):
            missing = [key for key in ("task_id", "prompt", "outcomes") if key not in task]
            if missing:
                raise source.missing(missing, task, at=line)
            repeated = task.repeated(("task_id", "prompt", "group", "embedding", "outcomes"))
            if repeated:
                raise source.error("the key stands twice", "keep one", at=line, column=repeated)
            task_id = _json_id(task["task_id"], source, line)
            of = f"task {shown(task_id)}"
            entries = task["outcomes"]
            if not isinstance(entries, JsonObject):
                raise source.error(
                    f"found {shown(entries)}",
                    'write an object {"model": {"score": 1, "cost_usd": 0.1}}',
                    at=line,
                    column="outcomes",
                    of=of,
                )
            # Both entries of a model that stands twice go on, to be compared like two CSV rows.
            for model, entry in entries.pairs or entries.items():
                values = _json_outcome(entry, source, line, f"{of}, model {shown(model)}")
                outcomes.add(line, len(ids), model, values)
            rows.append(line)
            ids.append(task_id)
            prompts.append(json_text(task["prompt"], source, line, "prompt"))
            group = task.get("group")
            # An empty CSV cell can only mean "no group", so the other forms read "" the same way.
            groups.append(
                None if group is None else json_text(group, source, line, "group") or None
            )
            vectors.append(_json_vector(task.get("embedding"), source, line, of))
    tasks = Tasks(source, ints(rows), ids, prompts, groups, None)
    lengths = ints(-1 if vector is None else len(vector) for vector in vectors)
    if common_length(lengths, source, tasks.rows, lambda task: f"task {shown(ids[task])}") >= 0:
        given = [vector for vector in vectors if vector is not None]
        tasks = dataclasses.replace(tasks, embedding=np.stack(given))
    return tasks, outcomes.columns(source)


def json_objects(file: BinaryIO, source: Source) -> Iterator[tuple[int, JsonObject]]:
    """Yield each line's number and object; blank lines are skipped.

    Raises:
        TableError: a line is not UTF-8 or not a JSON object.
    """
    for number, line in enumerate(text_lines(file, source), 1):
        if line.isspace():
            continue
        try:
            row = json.loads(line, object_pairs_hook=JsonObject)
        # ValueError: broken JSON, or an integer of thousands of digits. RecursionError: "[[[[...".
        except (ValueError, RecursionError) as error:
            # The decoder counts lines within this one; its "line 1" would contradict ours.
            reason = (
                f"{error.msg} at character {error.colno}"
                if isinstance(error, json.JSONDecodeError)
                else str(error)
            )
            raise source.error(
                f"is not valid JSON ({reason})", "write one object per line", at=number
            ) from error
        if not isinstance(row, JsonObject):
            raise source.error(f"found {shown(row)}", "write one object per line", at=number)
        yield number, row


def _json_id(value: object, source: Source, line: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise source.error(
        f"found {shown(value)}", "write a string or an integer", at=line, column="task_id"
    )


def json_text(value: object, source: Source, line: int, column: str) -> str:
    """Return a JSON value that must be a string.

    Raises:
        TableError: it is not.
    """
    if isinstance(value, str):
        return value
    raise source.error(f"found {shown(value)}", "write a string", at=line, column=column)


def _json_outcome(entry: object, source: Source, line: int, of: str) -> tuple[float, float, float]:
    if not isinstance(entry, JsonObject):
        return json_number(entry, source, line, "score", of), np.nan, np.nan
    if "score" not in entry:
        raise source.error(
            f"lacks 'score', found {listed(entry)}",
            "add the score, or leave the model out where it has none",
            at=line,
            column="outcomes",
            of=of,
        )
    repeated = entry.repeated(("score", *MEASURES))
    if repeated:
        raise source.error("the key stands twice", "keep one", at=line, column=repeated, of=of)
    cost, latency = (
        np.nan
        if entry.get(column) is None
        else json_number(entry[column], source, line, column, of)
        for column in MEASURES
    )
    return json_number(entry["score"], source, line, "score", of), cost, latency


def json_number(value: object, source: Source, line: int, column: str, of: str) -> float:
    """Return a JSON value that must be a number; a boolean is one only as a score.

    Raises:
        TableError: it is no number, or NaN.
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
    raise source.error(f"found {shown(value)}", remedy, at=line, column=column, of=of)


def _json_vector(value: object, source: Source, line: int, of: str) -> Floats | None:
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
        f"found {shown(odd)}", "write a list of numbers", at=line, column="embedding", of=of
    )


def prompts_of_txt(path: Path) -> list[str]:
    """Read one prompt a line; blank lines are skipped.

    Raises:
        TableError: the file is not UTF-8.
    """
    source = Source.of(path, "line")
    with opened(path, source) as file:
        lines = (line.rstrip("\r\n") for line in text_lines(file, source))
        return [line for line in lines if not is_blank(line)]


def prompts_of_jsonl(path: Path) -> list[str]:
    """Read the `prompt` of each object.

    Raises:
        TableError: a line is not UTF-8, not a JSON object, or has no prompt with text.
    """
    source = Source.of(path, "line")
    prompts = []
    with opened(path, source) as file:
        for line, row in json_objects(file, source):
            if "prompt" not in row:
                raise source.missing(["prompt"], row, at=line)
            prompt = json_text(row["prompt"], source, line, "prompt")
            check_prompt(prompt, source, line)
            prompts.append(prompt)
    return prompts
