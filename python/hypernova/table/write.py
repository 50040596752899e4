"""Write an outcome table as a folder of Parquet or as JSON Lines, whole or not at all.

Not here: what a table may hold; `columns` checks it when the table is made.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.errors import MissingExtraError, TableWriteError, WriteError
from hypernova.paths import cannot_write, check_file, replacing
from hypernova.table.source import Source, shown

if TYPE_CHECKING:
    from hypernova.table.outcome_table import OutcomeTable

# A folder of such a name would be taken for a file of that form.
NOT_WRITTEN = frozenset({
    ".bz2", ".csv", ".gz", ".json", ".ndjson", ".parquet", ".tsv", ".txt", ".xlsx", ".xz", ".zip",
    ".zst",
})  # fmt: skip
_MEASURES = ("cost_usd", "latency_s")


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return the path if a table can be written there; a command asks before it works.

    Raises:
        TableError: the suffix is that of a file which is not written, such as `.csv`.
        TableWriteError: something is there already, or nothing can be written there.
        NotFoundError: the folder that it is in does not exist.
    """
    target = _free(path)
    try:
        check_file(target)
    except WriteError as error:
        raise TableWriteError(str(error)) from error
    return target


def _free(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    source = Source.of(target, "")
    if target.suffix.lower() in NOT_WRITTEN:
        raise source.error(
            f"tables are not written as {target.suffix}", "name a folder or a .jsonl file"
        )
    if os.path.lexists(target):
        raise TableWriteError(
            f"{source.label}: exists already and is left as it is; remove it or name another path"
        )
    return target


def save_table(table: OutcomeTable, path: str | os.PathLike[str]) -> None:
    """Write `table`; see `OutcomeTable.save`."""
    source = Source(f"table {shown(table.name)}", "index")
    if not table.n_tasks:
        raise source.error("holds no tasks", "write a table with at least one")
    empty = np.flatnonzero(np.isnan(table.score).all(axis=0))
    if empty.size:
        raise source.error(
            f"model {shown(table.models[empty[0]])} has no outcomes", "write a table without it"
        )
    target = check_target(path)
    write = _write_jsonl if target.suffix.lower() == ".jsonl" else _write_folder
    with replacing(target, TableWriteError) as part:
        write(table, part)
        # On POSIX a rename would replace a file that has appeared meanwhile.
        _free(target)
    try:
        _sync(target.absolute().parent)
    except OSError as error:
        raise cannot_write(target, error, TableWriteError) from error


def _write_jsonl(table: OutcomeTable, path: Path) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        for task in range(table.n_tasks):
            row: dict[str, Any] = {
                "task_id": table.task_ids[task],
                "prompt": table.prompts[task],
            }
            if table.groups[task] is not None:
                row["group"] = table.groups[task]
            if table.embedding is not None:
                # A float32 is exact as the float64 that JSON holds.
                row["embedding"] = table.embedding[task].tolist()
            row["outcomes"] = {
                table.models[model]: _outcome(table, task, model)
                for model in np.flatnonzero(~np.isnan(table.score[task])).tolist()
            }
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _outcome(table: OutcomeTable, task: int, model: int) -> dict[str, float]:
    outcome = {"score": float(table.score[task, model])}
    for name in _MEASURES:
        value = float(getattr(table, name)[task, model])
        if value == value:  # NaN is unknown, and unknown is left out
            outcome[name] = value
    return outcome


def _write_folder(table: OutcomeTable, path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            'writing Parquet needs pyarrow: pip install "hypernova-router[train]", '
            "or write a .jsonl file"
        ) from error
    tasks: dict[str, Any] = {
        "task_id": pa.array(table.task_ids, pa.large_string()),
        "prompt": pa.array(table.prompts, pa.large_string()),
        "group": pa.array(table.groups, pa.large_string()),
    }
    if table.embedding is not None:
        flat = pa.array(table.embedding.ravel(), pa.float32())
        tasks["embedding"] = pa.FixedSizeListArray.from_arrays(flat, table.embedding.shape[1])
    task, model = np.nonzero(~np.isnan(table.score))
    outcomes: dict[str, Any] = {
        "task_id": tasks["task_id"].take(pa.array(task)),
        "model": pa.array(table.models, pa.large_string()).take(pa.array(model)),
        "score": pa.array(table.score[task, model]),
    }
    for name in _MEASURES:
        outcomes[name] = pa.array(getattr(table, name)[task, model], from_pandas=True)
    path.mkdir()
    for name, columns in (("tasks", tasks), ("outcomes", outcomes)):
        file = path / f"{name}.parquet"
        pyarrow.parquet.write_table(pa.table(columns), file)
        _sync(file)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
