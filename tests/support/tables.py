"""Write outcome tables as files of every form, and assert how they read.

Not here: tables in memory (factories.py).
"""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypernova.errors import TableError
from hypernova.table import OutcomeTable, read_prompts

if TYPE_CHECKING:
    from pathlib import Path


def assert_same_table(left: OutcomeTable, right: OutcomeTable, *, embedding: bool = True) -> None:
    assert left.task_ids == right.task_ids
    assert left.prompts == right.prompts
    assert left.groups == right.groups
    assert left.models == right.models
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    if embedding:
        assert (left.embedding is None) == (right.embedding is None)
        if left.embedding is not None and right.embedding is not None:
            assert left.embedding.tobytes() == right.embedding.tobytes()


def assert_read_refused(path: Path, *parts: str) -> str:
    """Assert that a table is refused by name, and return the message, which holds each part."""
    with pytest.raises(TableError) as caught:
        OutcomeTable.read(path)
    return assert_one_line(caught.value, path.name, *parts)


def assert_prompts_refused(path: Path, *parts: str) -> str:
    with pytest.raises(TableError) as caught:
        read_prompts(path)
    return assert_one_line(caught.value, path.name, *parts)


def assert_arrays_refused(*parts: str, **changes: Any) -> str:
    with pytest.raises(TableError) as caught:
        OutcomeTable.from_arrays(**{**ARRAYS, **changes})
    return assert_one_line(caught.value, "table 'table'", *parts)


def assert_one_line(error: TableError, *parts: str) -> str:
    """Assert that a message is one line that holds each part and says what to do; return it."""
    message = str(error)
    assert message.isprintable(), "one line, nothing that a terminal would act on"
    for part in parts:
        assert part in message
    problem, _, remedy = message.rpartition("; ")
    assert problem
    assert remedy, "says what to do"
    return message


ARRAYS: dict[str, Any] = {
    "task_ids": ["t0", "t1", "t2"],
    "prompts": ["one", "two", "three"],
    "models": ["b", "a"],
    "score": [[1.0, 0.0], [np.nan, 0.5], [0.25, np.nan]],
}

TASK = {"task_id": "t0", "prompt": "one", "outcomes": {"a": 1, "b": 0}}


def jsonl(tmp_path: Path, *rows: object, name: str = "table.jsonl") -> Path:
    """Write rows; a string goes in as it is, anything else as JSON."""
    path = tmp_path / name
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def csv_file(tmp_path: Path, *lines: str, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="")
    return path


NUMBERS = ("score", "cost_usd", "latency_s", "input_tokens", "output_tokens", "n")
HEADER = "task_id,prompt,group,model,score,cost_usd,latency_s"
FULL_HEADER = f"task_id,prompt,group,model,{','.join(NUMBERS)}"


def parquet(path: Path, columns: dict[str, Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


LONG: dict[str, Any] = {
    "task_id": ["t0", "t0", "t1", "t1"],
    "prompt": ["one", "one", "two", "two"],
    "model": ["a", "b", "a", "b"],
    "score": [1.0, 0.0, 0.5, 1.0],
}


def long_parquet(tmp_path: Path, **changes: Any) -> Path:
    """Write the small long table; a column given as None is left out."""
    columns = {key: value for key, value in {**LONG, **changes}.items() if value is not None}
    return parquet(tmp_path / "long.parquet", columns)


def folder(
    tmp_path: Path,
    tasks: dict[str, Any] | None = None,
    outcomes: dict[str, Any] | None = None,
) -> Path:
    path = tmp_path / "folder"
    task_columns = {"task_id": ["t0", "t1"], "prompt": ["one", "two"], **(tasks or {})}
    outcome_columns = {key: LONG[key] for key in ("task_id", "model", "score")} | (outcomes or {})
    parquet(path / "tasks.parquet", task_columns)
    parquet(path / "outcomes.parquet", outcome_columns)
    return path


@dataclass
class Example:
    """A table in plain Python: outcomes are (task, model, *NUMBERS) by index."""

    ids: list[str]
    prompts: list[str]
    groups: list[str | None]
    models: list[str]
    outcomes: list[tuple[int, int, float, *tuple[float | None, ...]]]
    embedding: list[list[float]] | None


def write_folder(at: Path, example: Example, seed: int) -> Path:
    path = at / f"folder{seed}"
    tasks, outcomes = _shuffled(example, seed)
    columns: dict[str, Any] = {
        "task_id": [example.ids[task] for task in tasks],
        "prompt": [example.prompts[task] for task in tasks],
        "group": pa.array([example.groups[task] for task in tasks], pa.string()),
    }
    if example.embedding is not None:
        vectors = [example.embedding[task] for task in tasks]
        columns["embedding"] = pa.array(vectors, pa.list_(pa.float32()))
    parquet(path / "tasks.parquet", columns)
    parquet(
        path / "outcomes.parquet",
        {
            "task_id": [example.ids[task] for task, *_ in outcomes],
            **_outcome_columns(example, outcomes),
            "api_calls": [7] * len(outcomes),
        },
    )
    return path


def write_long(at: Path, example: Example, seed: int) -> Path:
    _, outcomes = _shuffled(example, seed)
    columns: dict[str, Any] = {
        "task_id": pa.array([example.ids[o[0]] for o in outcomes]).dictionary_encode(),
        "prompt": pa.array([example.prompts[o[0]] for o in outcomes], pa.large_string()),
        "group": pa.array([example.groups[o[0]] for o in outcomes], pa.string()),
        **_outcome_columns(example, outcomes),
    }
    if example.embedding is not None:
        vectors = [example.embedding[o[0]] for o in outcomes]
        columns["embedding"] = pa.array(vectors, pa.list_(pa.float64(), 3))
    path = at / f"long{seed}.parquet"
    # Small row groups, so that a column comes in several chunks.
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def write_jsonl(at: Path, example: Example, seed: int) -> Path:
    tasks, outcomes = _shuffled(example, seed)
    rows = []
    for task in tasks:
        row: dict[str, Any] = {"task_id": example.ids[task], "prompt": example.prompts[task]}
        if example.groups[task] is not None:
            row["group"] = example.groups[task]
        if example.embedding is not None:
            row["embedding"] = example.embedding[task]
        found: dict[str, list[Any]] = {}
        for owner, model, *numbers in outcomes:
            if owner == task:
                bare = all(value is None for value in numbers[1:])
                outcome = numbers[0] if bare else dict(zip(NUMBERS, numbers, strict=True))
                found.setdefault(example.models[model], []).append(outcome)
        # Repeats are a list.
        row["outcomes"] = {name: o if len(o) > 1 else o[0] for name, o in found.items()}
        rows.append(row)
    return jsonl(at, *rows, name=f"table{seed}.jsonl")


def write_csv(at: Path, example: Example, seed: int) -> Path:
    _, outcomes = _shuffled(example, seed)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(FULL_HEADER.split(","))
    for task, model, *numbers in outcomes:
        group = example.groups[task]
        writer.writerow(
            [example.ids[task], example.prompts[task], group, example.models[model]]
            + ["" if value is None else repr(value) for value in numbers]
        )
    path = at / f"table{seed}.csv"
    path.write_bytes(text.getvalue().encode())
    return path


def _outcome_columns(example: Example, outcomes: list[Any]) -> dict[str, Any]:
    return {
        "model": [example.models[model] for _, model, *_ in outcomes],
        **{
            name: pa.array([numbers[i] for _, _, *numbers in outcomes], pa.float64())
            for i, name in enumerate(NUMBERS)
        },
    }


def _shuffled(example: Example, seed: int) -> tuple[list[int], list[Any]]:
    # Seed 0 is the order of the example.
    tasks, outcomes = list(range(len(example.ids))), list(example.outcomes)
    if seed:
        random.Random(seed).shuffle(tasks)
        random.Random(seed).shuffle(outcomes)
    return tasks, outcomes


WRITERS = [write_folder, write_long, write_jsonl, write_csv]
