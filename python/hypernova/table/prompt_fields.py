"""Read what stands beside some prompts of a file: ids, targets and the other fields of their rows.

Not here: the prompts themselves (`hypernova.table.prompts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypernova._core import is_blank
from hypernova.table.formats.csv import CsvReader, unlimited_cell_size
from hypernova.table.formats.files import open_bytes, read_lines
from hypernova.table.formats.jsonl import read_objects, require_id
from hypernova.table.formats.parquet_rows import ParquetRows
from hypernova.table.prompts import find_files, format_of
from hypernova.table.source import Source

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator
    from pathlib import Path

# Those of a table, which say nothing of the prompt; an embedding is of use to hypernova alone.
_LEFT_OUT = frozenset({
    "task_id", "prompt", "embedding", "outcomes", "model", "score", "cost_usd", "latency_s",
    "input_tokens", "output_tokens", "n",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class PromptFields:
    """The id and the other fields of the row of a prompt.

    Attributes:
        task_id: Id of the task, or None without one.
        fields: The other fields of the row, as JSON has them; those of outcomes are left out.
    """

    task_id: str | None
    fields: dict[str, Any]


def read_prompt_fields(
    path: str | os.PathLike[str], indices: Collection[int]
) -> dict[int, PromptFields]:
    """Read the fields of some prompts.

    Args:
        path: Prompts, as `read_prompts` takes them. JSON Lines and CSV keep all fields, Parquet
            ``task_id`` and ``group``; a text file has none.
        indices: Indices of the prompts in the result of `read_prompts`.

    Returns:
        By index, what stands beside the prompt.

    Raises:
        NotFoundError: nothing is at the path.
        TableError: the file is malformed.
        MissingExtraError: the file is Parquet and pyarrow is not installed.
    """
    wanted = set(indices)
    found: dict[int, PromptFields] = {}
    index = 0
    for file in find_files(path)[1]:
        for row in _ROWS[format_of(file)](file):
            if index in wanted:
                found[index] = row
            index += 1
    return found


def _of_row(task_id: str | None, row: dict[str, Any]) -> PromptFields:
    kept = {
        name: value
        for name, value in row.items()
        if name not in _LEFT_OUT and value is not None and value != ""
    }
    return PromptFields(task_id, kept)


def _jsonl(path: Path) -> Iterator[PromptFields]:
    source = Source.of(path, "line")
    with open_bytes(path, source) as file:
        for line, row in read_objects(file, source):
            task_id = row.get("task_id")
            yield _of_row(None if task_id is None else require_id(task_id, source, line), dict(row))


def _csv(path: Path) -> Iterator[PromptFields]:
    source = Source.of(path, "line")
    with open_bytes(path, source) as file, unlimited_cell_size():
        table = CsvReader(file, source, ("prompt",), once=("prompt",))
        for _, cells in table:
            row = {name: cells[place] for name, place in table.column_index.items()}
            yield _of_row(row.get("task_id") or None, row)


def _parquet(path: Path) -> Iterator[PromptFields]:
    with ParquetRows(path) as file:
        names = [name for name in ("task_id", "group") if name in file.names]
        for name in names:
            file.require(name)
        if not names:
            yield from (PromptFields(None, {}) for _ in range(file.n_rows))
            return
        for start, batch in file.batches(names, 2048):
            nothing = [None] * batch.num_rows
            ids = file.ids(batch, start) if "task_id" in names else nothing
            groups = file.texts(batch, "group", start) if "group" in names else nothing
            for task_id, group in zip(ids, groups, strict=True):
                yield _of_row(task_id, {"group": group})


def _txt(path: Path) -> Iterator[PromptFields]:
    source = Source.of(path, "line")
    with open_bytes(path, source) as file:
        for line in read_lines(file, source):
            if not is_blank(line):
                yield PromptFields(None, {})


_ROWS = {".txt": _txt, ".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
