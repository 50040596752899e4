"""`OutcomeTable`: tasks x models with scores, costs and latencies, checked and immutable.

Not here: the formats (`formats`) and the rules that a table obeys (`checks`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hypernova.paths import escaped
from hypernova.table.checks import check_models, check_tasks, outcome_arrays, unit_vectors
from hypernova.table.columns import Floats, Ints, OutcomeColumns, TaskColumns, Vectors
from hypernova.table.formats.csv import read_csv
from hypernova.table.formats.files import detect_format, require_path
from hypernova.table.formats.jsonl import read_jsonl
from hypernova.table.formats.parquet import read_parquet, read_parquet_folder
from hypernova.table.formats.write import write_table
from hypernova.table.source import Source, quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

# Tasks of a chunk; the last chunk may have fewer.
CHUNK_TASKS = 8192

_READERS = {".jsonl": read_jsonl, ".csv": read_csv, ".parquet": read_parquet}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OutcomeTable:
    """Scores, costs and latencies of models on tasks.

    Make a table with `read` or `from_arrays`, which check it; the constructor checks nothing. All
    arrays are read-only.

    Attributes:
        task_ids: Distinct ids (tasks,), in the order of the source.
        prompts: Prompts (tasks,); prompts may repeat.
        groups: Groups (tasks,); None for a task without a group.
        models: Distinct names (models,), sorted: the order of rows in a file changes no artifact.
        score: float64 (tasks, models) in 0..1; NaN where the model has no outcome on the task.
        cost_usd: float64 (tasks, models) in USD; NaN where unknown, never zero for unknown.
        latency_s: float64 (tasks, models) in seconds; NaN where unknown.
        embedding: Vectors, float32 (tasks, dim) of unit length, or None.
        name: Base name of the source without its suffix, for reports.
        embedding_origin: Where the vectors come from, or None without vectors.
    """

    task_ids: tuple[str, ...]
    prompts: tuple[str, ...]
    groups: tuple[str | None, ...]
    models: tuple[str, ...]
    score: Floats
    cost_usd: Floats
    latency_s: Floats
    embedding: Vectors | None = None
    name: str = "table"
    embedding_origin: str | None = None

    def __post_init__(self) -> None:
        for array in (self.score, self.cost_usd, self.latency_s, self.embedding):
            if array is not None:
                array.setflags(write=False)

    def __reduce__(self) -> tuple[type[OutcomeTable], tuple[Any, ...]]:
        # Through the constructor, because unpickled and copied arrays are writable again.
        return OutcomeTable, tuple(getattr(self, field.name) for field in fields(self))

    def __repr__(self) -> str:
        outcomes = int(np.count_nonzero(~np.isnan(self.score)))
        vectors = "" if self.embedding is None else f", embedding of {self.embedding.shape[1]}"
        return (
            f"<OutcomeTable {quoted(self.name)}: {self.n_tasks} tasks x {self.n_models} models, "
            f"{outcomes} outcomes{vectors}>"
        )

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return len(self.task_ids)

    @property
    def n_models(self) -> int:
        """Number of models."""
        return len(self.models)

    @property
    def n_outcomes(self) -> int:
        """Number of outcomes."""
        return int(np.count_nonzero(~np.isnan(self.score)))

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return -(-self.n_tasks // CHUNK_TASKS)

    def chunk(self, index: int) -> OutcomeTable:
        """Return a chunk of the table, `CHUNK_TASKS` tasks or those that are left."""
        first = index * CHUNK_TASKS
        return self.subset(np.arange(first, min(first + CHUNK_TASKS, self.n_tasks)))

    def chunks(self) -> Iterator[OutcomeTable]:
        """Yield the chunks of the table."""
        return map(self.chunk, range(self.n_chunks))

    @classmethod
    def concatenated(cls, parts: Sequence[OutcomeTable]) -> OutcomeTable:
        """Put parts of one table together, with the tasks of each in their order."""
        first = parts[0]
        vectors = [part.embedding for part in parts if part.embedding is not None]
        return cls(
            task_ids=tuple(chain.from_iterable(part.task_ids for part in parts)),
            prompts=tuple(chain.from_iterable(part.prompts for part in parts)),
            groups=tuple(chain.from_iterable(part.groups for part in parts)),
            models=first.models,
            score=np.concatenate([part.score for part in parts]),
            cost_usd=np.concatenate([part.cost_usd for part in parts]),
            latency_s=np.concatenate([part.latency_s for part in parts]),
            embedding=np.concatenate(vectors) if vectors else None,
            name=first.name,
            embedding_origin=first.embedding_origin,
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, min_models: int = 2) -> OutcomeTable:
        """Read and check an outcome table.

        Args:
            path: A table in one of four formats. A text file may be packed with gzip, with `.gz`
                after its suffix.

                - A folder with `tasks.parquet` (task_id, prompt, group?, embedding?) and
                  `outcomes.parquet` (task_id, model, score, cost_usd?, latency_s?).
                - A `.jsonl` or `.ndjson` file, one task a line: `{"task_id", "prompt", "group"?,
                  "embedding"?, "outcomes": {model: {"score", "cost_usd"?, "latency_s"?} |
                  score}}`.
                - A `.csv` or `.tsv` file with a header, one outcome a row: task_id, prompt, group?,
                  model, score, cost_usd?, latency_s?. Commas, semicolons or tabs separate the
                  cells. CSV cannot hold an embedding.
                - A `.parquet` file with the same columns, and embedding? (lists of numbers).
            min_models: Fewest models allowed. A table to learn from needs two; the scored prompts
                of a new model need one.

        Text is UTF-8. Other columns and keys are ignored. A task_id that is an integer, in JSON or
        Parquet, is read as its decimal string. A boolean score in JSON or Parquet is 1 or 0,
        and so is `true`, `false`, `yes` or `no` in CSV. A null, empty or (in Parquet) NaN cost or
        latency is unknown; a null or empty group is none. A missing outcome is a hole; an outcome
        that stands twice with the same values counts once. Vectors are scaled to unit length;
        those of unit length keep their bits.

        Returns:
            The table: tasks in the order of the source, models sorted.

        Raises:
            NotFoundError: nothing is at the path.
            TableError: the table is malformed. The message names the file, the row (line of a text
                file, row of a Parquet file, both from 1), the column, what was found and what to
                do.
            MissingExtraError: the format is Parquet and pyarrow is not installed.

        Example:
            >>> table = OutcomeTable.read("data/")  # doctest: +SKIP
        """
        place = require_path(path)
        if place.is_dir():
            # "." and ".." have no name of their own.
            base = place.resolve().name if place.name in {"", ".."} else place.name
            return cls.from_columns(*read_parquet_folder(place), name=base, min_models=min_models)
        suffix, base = detect_format(
            place,
            _READERS,
            "an outcome table",
            "give .jsonl, .csv, .tsv or .parquet, or a folder with tasks.parquet and "
            "outcomes.parquet",
        )
        return cls.from_columns(*_READERS[suffix](place), name=base, min_models=min_models)

    @classmethod
    def from_arrays(
        cls,
        *,
        task_ids: Sequence[str],
        prompts: Sequence[str],
        models: Sequence[str],
        score: npt.ArrayLike,
        cost_usd: npt.ArrayLike | None = None,
        latency_s: npt.ArrayLike | None = None,
        groups: Sequence[str | None] | None = None,
        embedding: npt.ArrayLike | None = None,
        name: str = "table",
        embedding_origin: str | None = None,
        min_models: int = 2,
    ) -> OutcomeTable:
        """Make a table from arrays, under the rules of `read`. All arrays are copied.

        Args:
            task_ids: Distinct ids (tasks,).
            prompts: Prompts (tasks,).
            models: Distinct names (models,) in any order; columns are sorted by them.
            score: Numbers (tasks, models) in 0..1; NaN is a hole.
            cost_usd: USD (tasks, models); NaN is unknown. Dropped in holes.
            latency_s: Seconds (tasks, models); NaN is unknown. Dropped in holes.
            groups: Groups (tasks,); None or an empty string is no group.
            embedding: Vectors (tasks, dim) of any length above zero.
            name: Name of the table, for reports and messages.
            embedding_origin: Where the vectors come from; by default `embedding of NAME`.
            min_models: As in `read`.

        Raises:
            TableError: a shape does not fit, or a rule is broken. The message names the table, the
                index (from 0) and the argument.

        Example:
            >>> table = OutcomeTable.from_arrays(
            ...     task_ids=["t0", "t1"],
            ...     prompts=["Add 1 and 1", "Name a prime"],
            ...     models=["small", "large"],
            ...     score=[[1, 1], [0, 1]],
            ... )
            >>> table.models
            ('large', 'small')
        """
        source = _array_source(name)
        n_tasks = len(task_ids)
        texts = {
            "task_ids": _texts(task_ids, "task_ids", n_tasks, source),
            "prompts": _texts(prompts, "prompts", n_tasks, source),
            "models": _texts(models, "models", len(models), source),
        }
        filled = [""] * n_tasks if groups is None else ["" if g is None else g for g in groups]
        named = [group or None for group in _texts(filled, "groups", n_tasks, source)]
        seen: set[str] = set()
        for index, model in enumerate(texts["models"]):
            if model in seen:
                raise source.error(
                    f"found {quoted(model)} twice", "keep one", at=index, column="models"
                )
            seen.add(model)
        check_models(texts["models"], list(range(len(texts["models"]))), source, "models")
        shape = (n_tasks, len(texts["models"]))
        scores = _matrix(score, "score", shape, source).astype(np.float64)
        task, column = np.nonzero(~np.isnan(scores))
        values = {
            key: np.full(len(task), np.nan)
            if given is None
            else _matrix(given, key, shape, source)[task, column].astype(np.float64)
            for key, given in (("cost_usd", cost_usd), ("latency_s", latency_s))
        }
        vectors = None
        if embedding is not None:
            vectors = _matrix(embedding, "embedding", (n_tasks, None), source)
            embedding_origin = embedding_origin or f"embedding of {name}"
        return cls.from_columns(
            TaskColumns(
                source=source,
                rows=np.arange(n_tasks, dtype=np.int64),
                ids=texts["task_ids"],
                prompts=texts["prompts"],
                groups=named,
                embedding=vectors,
            ),
            OutcomeColumns(
                source=source,
                rows=task.astype(np.int64),
                task=task.astype(np.int64),
                model=column.astype(np.int64),
                models=texts["models"],
                score=scores[task, column],
                cost_usd=values["cost_usd"],
                latency_s=values["latency_s"],
            ),
            name=name,
            embedding_origin=embedding_origin,
            min_models=min_models,
        )

    @classmethod
    def from_columns(
        cls,
        tasks: TaskColumns,
        outcomes: OutcomeColumns,
        *,
        name: str,
        embedding_origin: str | None = None,
        min_models: int = 2,
    ) -> OutcomeTable:
        """Make a table of the columns that a reader returns, under the rules of `read`.

        Args:
            tasks: The tasks.
            outcomes: Their outcomes.
            name: Name of the table.
            embedding_origin: Where the vectors come from; by default `embedding column of NAME`.
            min_models: As in `read`.

        Raises:
            TableError: a rule is broken; the message names the source and the row.
        """
        name = escaped(name)  # the name of a file may hold line breaks, or bytes that are no text
        check_tasks(tasks)
        embedding = unit_vectors(tasks)
        models, score, cost_usd, latency_s = outcome_arrays(tasks, outcomes, min_models)
        if embedding is None:
            embedding_origin = None
        elif embedding_origin is None:
            embedding_origin = f"embedding column of {name}"
        return cls(
            task_ids=tuple(tasks.ids),
            prompts=tuple(tasks.prompts),
            groups=tuple(tasks.groups),
            models=tuple(models),
            score=score,
            cost_usd=cost_usd,
            latency_s=latency_s,
            embedding=embedding,
            name=name,
            embedding_origin=embedding_origin,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table so that `read` returns an equal one.

        The table is written whole or not at all, and replaces nothing. Its name and the origin of
        vectors are not written: `read` takes them from the path.

        Args:
            path: A `.jsonl` file to write, or else a folder to make, for `tasks.parquet` and
                `outcomes.parquet`.

        Raises:
            TableError: the table has no tasks or a model without outcomes, which no file may hold,
                or tables are not written with that suffix.
            TableWriteError: something exists at the path, or the path cannot be written.
            NotFoundError: the folder that holds the path does not exist.
            MissingExtraError: the format is Parquet and pyarrow is not installed.

        Example:
            >>> table.save("swebench.jsonl")  # doctest: +SKIP
        """
        source = _array_source(self.name)
        if not self.n_tasks:
            raise source.error("holds no tasks", "write a table with at least one")
        empty = np.flatnonzero(np.isnan(self.score).all(axis=0))
        if empty.size:
            raise source.error(
                f"model {quoted(self.models[empty[0]])} has no outcomes", "write a table without it"
            )
        task, model = np.nonzero(~np.isnan(self.score))
        tasks = TaskColumns(
            source=source,
            rows=np.arange(self.n_tasks, dtype=np.int64),
            ids=list(self.task_ids),
            prompts=list(self.prompts),
            groups=list(self.groups),
            embedding=self.embedding,
        )
        outcomes = OutcomeColumns(
            source=source,
            rows=task,
            task=task,
            model=model,
            models=list(self.models),
            score=self.score[task, model],
            cost_usd=self.cost_usd[task, model],
            latency_s=self.latency_s[task, model],
        )
        write_table(tasks, outcomes, path)

    def prompt_groups(self) -> Ints:
        """Number the distinct prompts.

        Equal prompts belong in one fold: no prompt may be both trained on and tested on.

        Returns:
            int64 (tasks,): equal exactly where the prompt text is equal, counted from 0 in order
            of appearance.
        """
        number: dict[str, int] = {}
        return np.array(
            [number.setdefault(prompt, len(number)) for prompt in self.prompts], dtype=np.int64
        )

    def subset(self, rows: npt.NDArray[np.integer]) -> OutcomeTable:
        """Return the table of some tasks. All models stay, with or without outcomes.

        Args:
            rows: Indices of tasks, integers (n,) in 0..n_tasks-1, in the order of the result.

        Raises:
            TableError: `rows` is not one-dimensional, not of integers, or out of range.
        """
        source = _array_source(self.name)
        rows = np.asarray(rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise source.error(
                f"found {rows.dtype} of shape {rows.shape}",
                "give integer indices of one dimension, np.flatnonzero(mask) for a mask",
                column="rows",
            )
        # Negative indices would silently take tasks from the end.
        if rows.size and (rows.min() < 0 or rows.max() >= self.n_tasks):
            raise source.error(
                f"found indices from {rows.min()} to {rows.max()}",
                f"give indices in 0..{self.n_tasks - 1}",
                column="rows",
            )
        picked = rows.tolist()
        return OutcomeTable(
            task_ids=tuple(self.task_ids[row] for row in picked),
            prompts=tuple(self.prompts[row] for row in picked),
            groups=tuple(self.groups[row] for row in picked),
            models=self.models,
            score=self.score[rows],
            cost_usd=self.cost_usd[rows],
            latency_s=self.latency_s[rows],
            embedding=None if self.embedding is None else self.embedding[rows],
            name=self.name,
            embedding_origin=self.embedding_origin,
        )


def _array_source(name: str) -> Source:
    return Source(f"table {quoted(name)}", "index")


def _texts(values: Sequence[object], column: str, length: int, source: Source) -> list[str]:
    if len(values) != length:
        raise source.error(
            f"found {len(values)} entries", f"give {length}, one for each task", column=column
        )
    texts = []
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise source.error(f"found {quoted(value)}", "give strings", at=index, column=column)
        # numpy.str_ is a str of another type, and would show in messages and JSON as such.
        texts.append(str(value))
    return texts


def _matrix(
    values: npt.ArrayLike, column: str, shape: tuple[int, int | None], source: Source
) -> npt.NDArray[np.floating]:
    """Return numbers as a float matrix of a shape, in which None is any size."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise source.error(
            "found rows of different lengths", "give a rectangle", column=column
        ) from error
    # With dtype=float64 NumPy would parse strings and turn None into NaN.
    if array.dtype.kind not in "biuf":
        raise source.error(
            f"found {array.dtype}", "give numbers, NaN for what is not known", column=column
        )
    if array.ndim != 2 or any(
        expected not in (None, size) for size, expected in zip(array.shape, shape, strict=True)
    ):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise source.error(f"found shape {array.shape}", f"give ({wanted})", column=column)
    return array if array.dtype.kind == "f" else array.astype(np.float64)
