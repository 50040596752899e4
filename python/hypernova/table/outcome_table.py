"""`OutcomeTable` and `ScannedTable`: tasks x models with scores, costs, latencies and tokens.

Not here: the formats (`formats`, `scan`) and the rules that a table obeys (`checks`).
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hypernova.paths import escaped
from hypernova.table.arrays import columns_of_arrays, columns_to_write
from hypernova.table.checks import arrange_outcomes, check_tasks, outcome_arrays, unit_vectors
from hypernova.table.columns import OUTCOME_NUMBERS, concatenated
from hypernova.table.formats.read import read_table
from hypernova.table.formats.write import write_table
from hypernova.table.importing.options import ImportOptions
from hypernova.table.importing.read import are_logs, read_log_columns
from hypernova.table.pricing import check_prices, count_priced
from hypernova.table.scan.cursors import CHUNK_TASKS
from hypernova.table.scan.reader import no_such_chunk
from hypernova.table.scan.scan import Scan, scan_table
from hypernova.table.source import Source, quoted
from hypernova.table.table_arrays import TableArrays

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from hypernova.prices import Prices
    from hypernova.table.columns import OutcomeColumns, TaskColumns


class OutcomeTable(TableArrays):
    """Scores, costs, latencies and tokens of models on tasks.

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
        input_tokens: Tokens of the prompt, float64 (tasks, models); NaN where unknown. Tokens of
            which none are known take no memory: the array is a view of one NaN.
        output_tokens: Tokens of the answer, as `input_tokens`.
        n: Number of outcomes behind each, float64 (tasks, models), 1 or more, and 1 in holes. Of
            repeats, several outcomes of one model on one task, the other arrays hold the means.
            Without repeats it takes no memory: the array is a view of one 1.
    """

    __slots__ = ()

    @property
    def n_chunks(self) -> int:
        """Number of chunks, each of `CHUNK_TASKS` tasks but the last."""
        return -(-self.n_tasks // CHUNK_TASKS)

    def chunk(self, index: int) -> OutcomeTable:
        """Return the tasks of a chunk, with the columns of all models.

        Args:
            index: Number of the chunk, 0 to `n_chunks` - 1; it has the tasks from
                `index * CHUNK_TASKS` on.

        Raises:
            TableError: there is no such chunk.
        """
        if not 0 <= index < self.n_chunks:
            raise no_such_chunk(self.name, index, self.n_chunks)
        start = index * CHUNK_TASKS
        return self.subset(np.arange(start, min(start + CHUNK_TASKS, self.n_tasks)))

    def chunks(self) -> Iterator[OutcomeTable]:
        """Yield each chunk, in order."""
        return map(self.chunk, range(self.n_chunks))

    @classmethod
    def concatenated(cls, parts: Sequence[OutcomeTable]) -> OutcomeTable:
        """Put parts of one table together, with the tasks of each in their order.

        Raises:
            TypeError: A part is no table.
            ValueError: There is no part.
        """
        for part in parts:
            if not isinstance(part, OutcomeTable):
                raise TypeError(f"a part is {type(part).__name__}, expected an OutcomeTable")
        if not parts:
            raise ValueError("parts is empty, expected at least one OutcomeTable")
        first = parts[0]
        vectors = [part.embedding for part in parts if part.embedding is not None]
        return cls(
            task_ids=tuple(chain.from_iterable(part.task_ids for part in parts)),
            prompts=tuple(chain.from_iterable(part.prompts for part in parts)),
            groups=tuple(chain.from_iterable(part.groups for part in parts)),
            models=first.models,
            **{
                name: concatenated([getattr(part, name) for part in parts])
                for name in OUTCOME_NUMBERS
            },
            embedding=np.concatenate(vectors) if vectors else None,
            name=first.name,
            embedding_origin=first.embedding_origin,
        )

    @classmethod
    def scan(
        cls,
        path: str | os.PathLike[str],
        *,
        min_models: int = 2,
        scratch: str | os.PathLike[str] | None = None,
    ) -> ScannedTable:
        """Check a table of any size, and return it without holding it in memory.

        Every row is looked at once, under the rules of `read`; the schema or header of every file
        comes before any row. Files are read in the natural order of their names: `part-9` before
        `part-10`.

        Args:
            path: A file, a folder of files of one format, or a pattern such as
                `'tasks/*.parquet'`. Names in a folder that begin with `.` or `_` are passed over.
                A text file may be packed with gzip.

                - Parquet, one task a row: task_id, prompt, group?, embedding?, and `outcomes`,
                  a list of structs (model, score and other numbers of `read`), or a map or a
                  struct from models to scores or to structs.
                - Parquet, CSV or TSV, one outcome a row, as `read` has it.
                - JSON Lines, one task a line, as `read` has it.
                - A folder with tasks and outcomes apart, as `read` has it, in which a folder
                  `tasks` may stand for `tasks.parquet`, and `outcomes` for `outcomes.parquet`.
            min_models: As in `read`.
            scratch: Folder to make a folder in where the outcomes are not in the tasks' order and
                must be joined; by default the system's for temporary files, which TMPDIR names.

        Returns:
            The table. It reads its files when chunks are asked for.

        Raises:
            NotFoundError: nothing is at the path, or `scratch` does not exist.
            TableError: the table is malformed, or the path holds logs of an evaluation tool. The
                message names the file and the row.
            TableWriteError: joined outcomes cannot be written.
            MissingExtraError: a format needs pyarrow, or the join DuckDB, and it is missing.

        Example:
            >>> table = OutcomeTable.scan("logs/*.parquet")  # doctest: +SKIP
            >>> sum(chunk.n_tasks for chunk in table.chunks())  # doctest: +SKIP
            3000000
        """
        if are_logs(path):
            raise Source.of(Path(path), "").error(
                "holds logs of an evaluation tool, which are read into memory",
                "make a table of them first: hypernova import LOGS -o TABLE",
            )
        return ScannedTable(scan_table(path, min_models, scratch))

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, min_models: int = 2) -> OutcomeTable:
        """Read and check an outcome table, or make one of logs of evaluation tools.

        Args:
            path: A table in one of four formats, or a log or a folder of logs, which are known by
                their content and read as `hypernova.table.read_logs` reads them by default. A text
                file may be packed with gzip, with `.gz` after its suffix.

                - A folder with `tasks.parquet` (task_id, prompt, group?, embedding?) and
                  `outcomes.parquet` (task_id, model, score, cost_usd?, latency_s?,
                  input_tokens?, output_tokens?, n?).
                - A `.jsonl` or `.ndjson` file, one task a line: `{"task_id", "prompt", "group"?,
                  "embedding"?, "outcomes": {model: {"score", "cost_usd"?, ...} | score}}`; a list
                  holds several outcomes of a model.
                - A `.csv` or `.tsv` file with a header, one outcome a row: task_id, prompt, group?,
                  and the columns of outcomes. Commas, semicolons or tabs separate the cells. CSV
                  cannot hold an embedding.
                - A `.parquet` file with the same columns, and embedding? (lists of numbers).
            min_models: Fewest models allowed. A table to learn from needs two; the scored prompts
                of a new model need one.

        Text is UTF-8. Other columns and keys are ignored, but not `cost` and `latency` without a
        unit, which are refused. A task_id that is an integer, in JSON or Parquet, is read as its
        decimal string. A boolean score in JSON or Parquet is 1 or 0, and so is `true`, `false`,
        `yes` or `no` in CSV. A null, empty or (in Parquet) NaN cost, latency or number of tokens is
        unknown; a null or empty group is none. A missing outcome is a hole. Several outcomes of one
        model on one task are repeats, and so is one with a number in `n`: the table has their
        means, weighted by `n`, and how many they are. Vectors are scaled to unit length; those of
        unit length keep their bits.

        Returns:
            The table: tasks in the order of the source, models sorted.

        Raises:
            NotFoundError: nothing is at the path.
            TableError: the table is malformed. The message names the file, the row (line of a text
                file, row of a Parquet file, both from 1), the column, what was found and what to
                do. Or a log is broken, or its scores are ambiguous.
            MissingExtraError: the format is Parquet, or a log is packed with Zstandard, and pyarrow
                is not installed.

        Example:
            >>> table = OutcomeTable.read("data/")  # doctest: +SKIP
        """
        if are_logs(path):
            name, tasks, outcomes, _ = read_log_columns([path], ImportOptions(), lambda _: None)
        else:
            name, tasks, outcomes = read_table(path)
        return cls.from_columns(tasks, outcomes, name=name, min_models=min_models)

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
        input_tokens: npt.ArrayLike | None = None,
        output_tokens: npt.ArrayLike | None = None,
        n: npt.ArrayLike | None = None,
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
            input_tokens: Tokens of the prompt (tasks, models); NaN is unknown. Dropped in holes.
            output_tokens: Tokens of the answer, as `input_tokens`.
            n: Number of outcomes that each stands for, whole numbers (tasks, models) from 1; NaN
                is 1. Dropped in holes.
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
        tasks, outcomes = columns_of_arrays(
            name,
            task_ids=task_ids,
            prompts=prompts,
            models=models,
            score=score,
            cost_usd=cost_usd,
            latency_s=latency_s,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            n=n,
            groups=groups,
            embedding=embedding,
        )
        if embedding is not None:
            embedding_origin = embedding_origin or f"embedding of {name}"
        return cls.from_columns(
            tasks, outcomes, name=name, embedding_origin=embedding_origin, min_models=min_models
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
        models, numbers = outcome_arrays(tasks, outcomes, min_models)
        if embedding is None:
            embedding_origin = None
        elif embedding_origin is None:
            embedding_origin = f"embedding column of {name}"
        return cls(
            task_ids=tuple(tasks.ids),
            prompts=tuple(tasks.prompts),
            groups=tuple(tasks.groups),
            models=tuple(models),
            **numbers,
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
        tasks, outcomes = columns_to_write(
            self.name,
            (self.task_ids, self.prompts, self.groups, self.models),
            [getattr(self, name) for name in OUTCOME_NUMBERS],
            self.embedding,
        )
        write_table(tasks, outcomes, path)


class ScannedTable:
    """A table that is read from its files chunk by chunk: `OutcomeTable.scan` makes it.

    The files must not change meanwhile: a chunk of a file of another size or time of change is
    refused. The table pickles as paths and an index, and other processes and machines that see
    the same files at the same paths read the same chunks. Joined outcomes are removed when the
    table that `scan` returned is closed, is no longer used, or its process ends.

    Attributes:
        name: Base name of the file or folder, for reports.
        models: Distinct names (models,), sorted.
        n_models: Number of models.
        n_tasks: Number of tasks.
        n_outcomes: Number of outcomes: pairs of task and model that are no hole.
        repeats: How many of them have others behind them.
        n_chunks: Number of chunks, each of `CHUNK_TASKS` tasks but the last.
        embedding_dim: Length of the vectors, or None without vectors.
        embedding_origin: Where the vectors come from, or None without vectors.
    """

    def __init__(self, scan: Scan, prices: Prices | None = None) -> None:
        """Take the result of a scan, and checked prices; `OutcomeTable.scan` calls this."""
        self._scan, self._prices = scan, dict(prices or {})
        contents = scan.contents
        self.name = escaped(scan.name)
        self.models = contents.models
        self.n_models = len(contents.models)
        self.n_tasks = contents.n_tasks
        self.n_outcomes = contents.n_outcomes
        self.repeats = contents.repeats
        self.n_chunks = -(-contents.n_tasks // CHUNK_TASKS)
        self.embedding_dim = contents.dim
        self.embedding_origin = None if contents.dim is None else f"embedding column of {self.name}"

    def __reduce__(self) -> tuple[type[ScannedTable], tuple[Scan, Prices]]:
        return ScannedTable, (self._scan, self._prices)

    def __repr__(self) -> str:
        vectors = "" if self.embedding_dim is None else f", embedding of {self.embedding_dim}"
        return (
            f"<ScannedTable {quoted(self.name)}: {self.n_tasks} tasks x {self.n_models} models, "
            f"{self.n_outcomes} outcomes{vectors}>"
        )

    def __enter__(self) -> ScannedTable:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def chunk(self, index: int) -> OutcomeTable:
        """Read a chunk, with the columns of all models.

        Ascending order is fastest: a row of Parquet is reached by decoding those before it in its
        row group, and one of a packed text file by unpacking it from its beginning.

        Args:
            index: Number of the chunk, 0 to `n_chunks` - 1.

        Raises:
            TableError: there is no such chunk, the table is closed, or a file has changed.
        """
        return self._table(*self._scan.reader.columns(index))

    def chunks(self) -> Iterator[OutcomeTable]:
        """Yield each chunk, in order; every file is read once.

        Raises:
            TableError: the table is closed, or a file has changed.
        """
        for columns in self._scan.reader.walk():
            yield self._table(*columns)

    def read(self) -> OutcomeTable:
        """Read the whole table into memory.

        Raises:
            TableError: the table is closed, or a file has changed.
        """
        return OutcomeTable.concatenated(list(self.chunks()))

    def priced(self, prices: Prices) -> ScannedTable:
        """Return the table with costs computed from tokens and prices, as `OutcomeTable.priced`.

        Chunks are priced when they are read. The two tables share their files: closing one closes
        both.

        Args:
            prices: As for `OutcomeTable.priced`.

        Raises:
            PriceError: a price is no number from 0 to 1e12, or names no model of the table.
        """
        checked = check_prices(prices, self.name, self.models)
        return ScannedTable(self._scan, self._prices | checked)

    def count_priced(self, prices: Prices) -> int:
        """Count the outcomes whose cost `priced` computes, without reading the files."""
        checked, contents = check_prices(prices, self.name, self.models), self._scan.contents
        return count_priced(checked, contents.of_model, contents.with_tokens)

    def close(self) -> None:
        """Close the files, and remove joined outcomes; no chunk can be read any more."""
        self._scan.reader.close()

    def _table(self, tasks: TaskColumns, outcomes: OutcomeColumns) -> OutcomeTable:
        table = OutcomeTable(
            task_ids=tuple(tasks.ids),
            prompts=tuple(tasks.prompts),
            groups=tuple(tasks.groups),
            models=self.models,
            **arrange_outcomes(outcomes, len(tasks.ids), self.models),
            embedding=unit_vectors(tasks),
            name=self.name,
            embedding_origin=self.embedding_origin,
        )
        return table.priced(self._prices) if self._prices else table
