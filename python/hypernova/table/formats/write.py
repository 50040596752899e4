"""Write an outcome table as a folder of Parquet or as JSON Lines, whole or not at all.

Not here: which tables may be written; `OutcomeTable.save` checks that.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.errors import MissingExtraError, TableWriteError, WriteError
from hypernova.paths import cannot_write, check_file, replacing
from hypernova.system import sync_file, sync_folder
from hypernova.table.columns import OUTCOME_NUMBERS, SELDOM_NUMBERS
from hypernova.table.source import Source

if TYPE_CHECKING:
    from hypernova.table.columns import OutcomeColumns, TaskColumns

# A folder with such a suffix would be taken for a file in that format.
_OTHER_SUFFIXES = frozenset({
    ".bz2", ".csv", ".gz", ".json", ".ndjson", ".parquet", ".tsv", ".txt", ".xlsx", ".xz", ".zip",
    ".zst",
})  # fmt: skip


def check_target(path: str | os.PathLike[str]) -> Path:
    """Check that a table can be written to a path, before the work that makes the table.

    Returns:
        The path.

    Raises:
        TableError: tables are not written with that suffix, such as `.csv`.
        TableWriteError: something exists at the path, or the path cannot be written.
        NotFoundError: the folder that holds the path does not exist.
    """
    target = _require_free(path)
    try:
        check_file(target)
    except WriteError as error:
        raise TableWriteError(str(error)) from error
    return target


def _require_free(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    source = Source.of(target, "")
    if target.suffix.lower() in _OTHER_SUFFIXES:
        raise source.error(
            f"tables are not written as {target.suffix}", "name a folder or a .jsonl file"
        )
    if os.path.lexists(target):
        raise TableWriteError(
            f"{source.label}: exists already and is left as it is; remove it or name another path"
        )
    return target


def write_table(tasks: TaskColumns, outcomes: OutcomeColumns, path: str | os.PathLike[str]) -> None:
    """Write a table; see `OutcomeTable.save`.

    Args:
        tasks: The tasks, with vectors in float32.
        outcomes: Their outcomes, sorted by task.
        path: A `.jsonl` file, or else a folder to make.

    Raises:
        TableError: tables are not written with that suffix.
        TableWriteError: something exists at the path, or the path cannot be written.
        NotFoundError: the folder that holds the path does not exist.
        MissingExtraError: the format is Parquet and pyarrow is not installed.
    """
    target = check_target(path)
    write = _write_jsonl if target.suffix.lower() == ".jsonl" else _write_folder
    with replacing(target, TableWriteError) as part:
        write(tasks, outcomes, part)
        # On POSIX a rename would replace a file that has appeared meanwhile.
        _require_free(target)
    try:
        sync_folder(target.absolute().parent)
    except OSError as error:
        raise cannot_write(target, error, TableWriteError) from error


def _write_jsonl(tasks: TaskColumns, outcomes: OutcomeColumns, path: Path) -> None:
    # ends[i] is the end of task i's outcomes.
    ends = np.searchsorted(outcomes.task, np.arange(len(tasks.ids)), side="right").tolist()
    start = 0
    with path.open("x", encoding="utf-8", newline="\n") as file:
        for task, end in enumerate(ends):
            row: dict[str, Any] = {"task_id": tasks.ids[task], "prompt": tasks.prompts[task]}
            if tasks.groups[task] is not None:
                row["group"] = tasks.groups[task]
            if tasks.embedding is not None:
                # A float32 is exact as the float64 that JSON holds.
                row["embedding"] = tasks.embedding[task].tolist()
            row["outcomes"] = {
                outcomes.models[outcomes.model[entry]]: _json_outcome(outcomes, entry)
                for entry in range(start, end)
            }
            start = end
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _json_outcome(outcomes: OutcomeColumns, entry: int) -> dict[str, float]:
    outcome = {"score": float(outcomes.score[entry])}
    for name in OUTCOME_NUMBERS[1:]:
        value = float(getattr(outcomes, name)[entry])
        if value == value:  # NaN is unknown, and unknown is left out
            outcome[name] = int(value) if name == "n" else value
    return outcome


def _write_folder(tasks: TaskColumns, outcomes: OutcomeColumns, path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            'writing Parquet needs pyarrow: pip install "hypernova-router[train]", '
            "or write a .jsonl file"
        ) from error
    task_table: dict[str, Any] = {
        "task_id": pa.array(tasks.ids, pa.large_string()),
        "prompt": pa.array(tasks.prompts, pa.large_string()),
        "group": pa.array(tasks.groups, pa.large_string()),
    }
    if tasks.embedding is not None:
        flat = pa.array(tasks.embedding.ravel(), pa.float32())
        dim = tasks.embedding.shape[1]
        task_table["embedding"] = pa.FixedSizeListArray.from_arrays(flat, dim)
    models = pa.array(outcomes.models, pa.large_string())
    outcome_table: dict[str, Any] = {
        "task_id": task_table["task_id"].take(pa.array(outcomes.task)),
        "model": models.take(pa.array(outcomes.model)),
        "score": pa.array(outcomes.score),
    }
    for name in OUTCOME_NUMBERS[1:]:
        values = pa.array(getattr(outcomes, name), from_pandas=True)
        if name not in SELDOM_NUMBERS or values.null_count < len(values):
            outcome_table[name] = values.cast(pa.int64()) if name == "n" else values
    path.mkdir()
    for name, columns in (("tasks", task_table), ("outcomes", outcome_table)):
        file = path / f"{name}.parquet"
        pyarrow.parquet.write_table(pa.table(columns), file)
        sync_file(file)
    sync_folder(path)
