"""Write large outcome tables of a simulated world, in many files and with flat memory.

Not here: what is true in the world (`simulated_world.py`). The content of a task depends on the
seed and the number of the task, not on the number of tasks, files or processes: a table of a
million tasks is the beginning of one of three million.

    python -m benches.large_tables OUT --tasks 1000000 [--layout nested] [--files 16] [--seed 0]

OUT becomes a folder. Its files by layout:

- ``nested``: ``part-00000.parquet`` and so on: task_id, group, prompt, and ``outcomes``, a list of
  structs of model, score, cost_usd and latency_s
- ``apart``: ``tasks.parquet`` and ``outcomes.parquet``; with several files, ``part-00000.parquet``
  and so on in the folders ``tasks`` and ``outcomes``
- ``shuffled``: as ``apart``, with all outcomes in a random order
- ``csv``: ``part-00000.csv`` and so on, one outcome a row
- ``jsonl``: ``part-00000.jsonl`` and so on, one task a line
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from benches.simulated_world import BLOCK_TASKS, Tasks, World, make_world, tasks_of, truth

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYOUTS = ("nested", "apart", "shuffled", "csv", "jsonl")
# Rows of a row group, as DuckDB writes them.
ROW_GROUP = 122_880
# Outcomes are dealt into so many files, and each is shuffled in memory.
BUCKETS = 64
_BUCKET_STREAM, _ORDER_STREAM = 100, 101
RECORD = np.dtype(
    [("task", "<i8"), ("model", "<i2"), ("score", "<f8"), ("cost", "<f8"), ("latency", "<f8")]
)


def write(
    out: Path,
    world: World,
    tasks: int,
    *,
    layout: str = "nested",
    files: int = 16,
    packed: bool = False,
    jobs: int | None = None,
    row_group: int = ROW_GROUP,
) -> None:
    """Write a table as a folder, whole or not at all.

    Args:
        out: Where the folder goes; nothing may be there.
        world: Where tasks and outcomes come from.
        tasks: Number of tasks.
        layout: One of `LAYOUTS`.
        files: Number of files of tasks, and of outcomes where they are apart.
        packed: Pack text files with gzip.
        jobs: Number of processes; one for each core by default.
        row_group: Rows of a Parquet row group.
    """
    if os.path.lexists(out):
        sys.exit(f"{out}: exists already; name another folder, or remove it")
    if world.dim is not None and layout == "csv":
        sys.exit("CSV cannot hold vectors; choose another layout")
    needed = bytes_needed(world, tasks, layout)
    free = shutil.disk_usage(out.absolute().parent).free
    if free < needed:
        sys.exit(
            f"{out}: the table needs about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        )
    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}-") as parent:
        folder = Path(parent) / "table"
        folder.mkdir()
        scattered = Path(parent) / "scattered"
        bounds = [tasks * i // files for i in range(files + 1)]
        options = {"folder": folder, "files": files, "row_group": row_group, "packed": packed}
        if layout == "shuffled":
            scattered.mkdir()
            options["scattered"] = scattered
        if layout in ("apart", "shuffled") and files > 1:
            (folder / "tasks").mkdir()
            (folder / "outcomes").mkdir()
        part = partial(_write_part, world, layout, **options)
        _each(part, zip(range(files), bounds[:-1], bounds[1:], strict=True), jobs)
        if layout == "shuffled":
            places = [BUCKETS * i // files for i in range(files + 1)]
            part = partial(_write_shuffled, world, tasks, **options)
            _each(part, zip(range(files), places[:-1], places[1:], strict=True), jobs)
        folder.rename(out)


def bytes_needed(world: World, tasks: int, layout: str) -> float:
    """Estimate the bytes of a table on the disk, with what lies beside it while it is written."""
    # Text shrinks by a third in Parquet; a row of CSV repeats the prompt.
    task = 6.2 * world.tokens if world.dim is None else 4.0 * world.dim
    outcomes = {"csv": 75, "jsonl": 75, "shuffled": 60}.get(layout, 20) * len(world.models)
    return tasks * (task * (len(world.models) if layout == "csv" else 1) + outcomes + 150)


def _each(call: Any, arguments: Any, jobs: int | None) -> None:
    """Call a function with each tuple of arguments, in processes of their own."""
    given = list(arguments)
    jobs = min(jobs or os.cpu_count() or 1, len(given))
    if jobs == 1:
        for some in given:
            call(*some)
        return
    # An interrupt ends the block here, and the end of the block ends the processes.
    ignored = (signal.SIGINT, signal.SIG_IGN)
    with get_context("spawn").Pool(jobs, signal.signal, ignored) as pool:
        pool.starmap(call, given, chunksize=1)


def _write_part(
    world: World,
    layout: str,
    number: int,
    start: int,
    stop: int,
    *,
    folder: Path,
    files: int,
    row_group: int,
    packed: bool,
    scattered: Path | None = None,
) -> None:
    blocks = tasks_of(world, start, stop)
    name = f"part-{number:05}"
    if layout in ("csv", "jsonl"):
        path = folder / f"{name}.{layout}{'.gz' * packed}"
        (_write_csv if layout == "csv" else _write_jsonl)(path, world, blocks)
        return
    with ExitStack() as stack:

        def writer(kind: str) -> RowGroups:
            path = folder / f"{name}.parquet"
            if layout != "nested":
                path = _half(folder, kind, number, files)
            return stack.enter_context(RowGroups(path, row_group))

        tasks = writer("tasks")
        outcomes = writer("outcomes") if layout == "apart" else None
        for block in blocks:
            columns = _task_columns(world, block)
            if layout == "nested":
                columns["outcomes"] = _nested(world, block)
            tasks.add(columns)
            if outcomes is not None:
                outcomes.add(_outcome_columns(world, _records(block)))
            if scattered is not None:
                _scatter(world, block, scattered, number)


def _half(folder: Path, kind: str, number: int, files: int) -> Path:
    """Name a file of tasks or of outcomes that are apart."""
    return folder / (f"{kind}/part-{number:05}.parquet" if files > 1 else f"{kind}.parquet")


class RowGroups:
    """Write a Parquet file in row groups of one size, from columns that come in pieces.

    Args:
        path: The file.
        rows: Rows of a row group; the last may have fewer.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self._path, self._rows = path, rows
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._n_waiting = 0

    def add(self, columns: dict[str, Any]) -> None:
        """Add rows; full row groups are written."""
        import pyarrow as pa

        batch = pa.table(columns)
        self._waiting.append(batch)
        self._n_waiting += len(batch)
        if self._n_waiting >= self._rows:
            table = pa.concat_tables(self._waiting)
            whole = len(table) // self._rows * self._rows
            self._write(table.slice(0, whole))
            self._waiting = [table.slice(whole)]
            self._n_waiting = len(table) - whole

    def __enter__(self) -> RowGroups:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        import pyarrow as pa

        if kind is None and (self._n_waiting or self._writer is None) and self._waiting:
            self._write(pa.concat_tables(self._waiting))
        if self._writer is not None:
            self._writer.close()

    def _write(self, table: Any) -> None:
        import pyarrow.parquet

        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table, row_group_size=self._rows)


def _task_columns(world: World, block: Tasks) -> dict[str, Any]:
    import pyarrow as pa

    columns = {
        "task_id": _ids(np.arange(block.first, block.first + len(block))),
        "group": pa.array(world.groups).take(pa.array(block.kinds)),
        "prompt": block.prompts,
    }
    if block.vectors is not None:
        flat = pa.array(block.vectors.reshape(-1))
        columns["embedding"] = pa.FixedSizeListArray.from_arrays(flat, block.vectors.shape[1])
    return columns


def _ids(tasks: np.ndarray) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = pc.utf8_lpad(pa.array(tasks).cast(pa.string()), 9, "0")
    return pc.binary_join_element_wise("task", digits, "-")


def _records(block: Tasks) -> np.ndarray:
    """List the outcomes of a block, the models of a task one after the other."""
    row, model = np.nonzero(~np.isnan(block.score))
    records = np.empty(len(row), dtype=RECORD)
    records["task"], records["model"] = block.first + row, model
    records["score"] = block.score[row, model]
    records["cost"] = block.cost_usd[row, model]
    records["latency"] = block.latency_s[row, model]
    return records


def _result_columns(world: World, records: np.ndarray) -> dict[str, Any]:
    import pyarrow as pa

    return {
        "model": pa.array(world.models).take(pa.array(records["model"].astype(np.int32))),
        "score": pa.array(np.ascontiguousarray(records["score"])),
        "cost_usd": pa.array(np.ascontiguousarray(records["cost"])),
        "latency_s": pa.array(np.ascontiguousarray(records["latency"])),
    }


def _outcome_columns(world: World, records: np.ndarray) -> dict[str, Any]:
    task = np.ascontiguousarray(records["task"])
    return {"task_id": _ids(task), **_result_columns(world, records)}


def _nested(world: World, block: Tasks) -> Any:
    import pyarrow as pa

    columns = _result_columns(world, _records(block))
    structs = pa.StructArray.from_arrays(list(columns.values()), list(columns))
    ends = np.cumsum((~np.isnan(block.score)).sum(axis=1))
    return pa.ListArray.from_arrays(pa.array(np.r_[0, ends].astype(np.int32)), structs)


def _scatter(world: World, block: Tasks, folder: Path, part: int) -> None:
    """Deal the outcomes of a block into buckets, files with raw records."""
    records = _records(block)
    # A draw for each outcome by its own number: a block that two files share is dealt alike.
    width = len(world.models)
    number = block.first // BLOCK_TASKS
    draws = np.random.default_rng([world.seed, _BUCKET_STREAM, number]).integers(
        0, BUCKETS, BLOCK_TASKS * width
    )
    at = (records["task"] - number * BLOCK_TASKS) * width + records["model"]
    bucket = draws[at]
    for i in range(BUCKETS):
        with (folder / f"{i:03}-{part:05}").open("ab") as file:
            records[bucket == i].tofile(file)


def _write_shuffled(
    world: World,
    tasks: int,
    number: int,
    start: int,
    stop: int,
    *,
    folder: Path,
    files: int,
    row_group: int,
    scattered: Path,
    **_: object,
) -> None:
    """Write a file of outcomes from the buckets ``start`` up to ``stop``."""
    with RowGroups(_half(folder, "outcomes", number, files), row_group) as rows:
        for i in range(start, stop):
            parts = [np.fromfile(p, dtype=RECORD) for p in sorted(scattered.glob(f"{i:03}-*"))]
            records = np.concatenate(parts)
            order = np.random.default_rng([world.seed, _ORDER_STREAM, tasks, i])
            rows.add(_outcome_columns(world, records[order.permutation(len(records))]))
            for p in scattered.glob(f"{i:03}-*"):
                p.unlink()


def _open_text(path: Path, stack: ExitStack) -> Any:
    """Open a file for bytes; a packed one without name and time, which would differ."""
    file = stack.enter_context(path.open("wb"))
    if path.suffix == ".gz":
        file = stack.enter_context(gzip.GzipFile("", "wb", 1, file, mtime=0))
    return file


def _write_csv(path: Path, world: World, blocks: Iterator[Tasks]) -> None:
    import pyarrow as pa
    import pyarrow.csv

    with ExitStack() as stack:
        file = _open_text(path, stack)
        for i, block in enumerate(blocks):
            records = _records(block)
            row = pa.array(records["task"] - block.first)
            columns = {name: c.take(row) for name, c in _task_columns(world, block).items()}
            table = pa.table({**columns, **_result_columns(world, records)})
            options = pyarrow.csv.WriteOptions(include_header=i == 0)
            pyarrow.csv.write_csv(table, file, options)


def _write_jsonl(path: Path, world: World, blocks: Iterator[Tasks]) -> None:
    with ExitStack() as stack:
        file = _open_text(path, stack)
        for block in blocks:
            columns = {name: c.to_pylist() for name, c in _task_columns(world, block).items()}
            outcomes: list[dict[str, Any]] = [{} for _ in range(len(block))]
            for task, model, score, cost, latency in _records(block).tolist():
                outcomes[task - block.first][world.models[model]] = {
                    "score": score, "cost_usd": cost, "latency_s": latency,
                }  # fmt: skip
            lines = (
                json.dumps({**dict(zip(columns, values, strict=True)), "outcomes": results})
                for *values, results in zip(*columns.values(), outcomes, strict=True)
            )
            file.write(("\n".join(lines) + "\n").encode())


def task_files(table: Path) -> list[Path]:
    """List the Parquet files that hold the tasks of a table, in their order."""
    files = sorted((table / "tasks").glob("*.parquet")) or sorted(table.glob("part-*.parquet"))
    return files or [table / "tasks.parquet"]


def add_world_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a world to a parser."""
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--groups", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=200, help="mean length of a prompt")
    parser.add_argument("--holes", type=float, default=0.0, help="part of outcomes that is missing")
    parser.add_argument("--seed", type=int, default=0)


def world_of(arguments: argparse.Namespace, dim: int | None = None) -> World:
    """Make the world that the arguments describe."""
    return make_world(
        arguments.seed,
        models=arguments.models,
        groups=arguments.groups,
        tokens=arguments.tokens,
        holes=arguments.holes,
        dim=dim,
    )


def size_of(folder: Path) -> int:
    """Add up the bytes of all files below a folder, or of one file."""
    paths = [folder, *folder.rglob("*")]
    return sum(path.stat().st_size for path in paths if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", type=int, required=True)
    add_world_to(parser)
    parser.add_argument("--vectors-only", type=int, metavar="DIM", help="vectors in place of texts")
    parser.add_argument("--layout", choices=LAYOUTS, default="nested")
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--packed", action="store_true", help="pack text files with gzip")
    parser.add_argument("--jobs", type=int, help="processes (default: one for each core)")
    parser.add_argument("--row-group", type=int, default=ROW_GROUP)
    parser.add_argument("--truth", type=Path, metavar="PATH", help="write the truth as JSON")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    world = world_of(arguments, arguments.vectors_only)
    start = time.perf_counter()
    write(
        arguments.out,
        world,
        arguments.tasks,
        layout=arguments.layout,
        files=arguments.files,
        packed=arguments.packed,
        jobs=arguments.jobs,
        row_group=arguments.row_group,
    )
    took, size = time.perf_counter() - start, size_of(arguments.out)
    print(
        f"{arguments.out}: {arguments.tasks:,} tasks, {size / 1e6:,.0f} MB, {took:.1f} s, "
        f"{arguments.tasks / took:,.0f} tasks/s"
    )
    true = truth(world)
    if arguments.truth is not None:
        arguments.truth.write_text(json.dumps(true, indent=1) + "\n")
    print(f"best single model: {true['best_single']}, {true['best_single_success']:.4f}")
    print(f"best model of each kind: {true['best_of_group_success']:.4f}")


if __name__ == "__main__":
    main()
