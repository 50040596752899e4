"""Read prompts without outcomes, in pieces: to route, to fit clusters on or to choose from.

Not here: outcomes; `OutcomeTable.read` reads them.
"""

from __future__ import annotations

import glob
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

import numpy as np

from hypernova._core import is_blank
from hypernova.errors import NotFoundError, TableError
from hypernova.paths import path_label
from hypernova.table.checks import check_prompt, check_unicode, unit_vectors
from hypernova.table.columns import TaskColumns, Vectors
from hypernova.table.formats.csv import CsvReader, unlimited_cell_size
from hypernova.table.formats.files import detect_format, open_bytes, read_lines, require_path
from hypernova.table.formats.jsonl import read_objects, require_id, require_text, require_vector
from hypernova.table.formats.parquet import require_files
from hypernova.table.formats.parquet_rows import ParquetRows
from hypernova.table.source import Source, quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

# Prompts of a chunk. A vector depends, in its last bits, on the texts that it is embedded with:
# chunks that begin at the same prompts, however a table is stored, give the same decisions.
CHUNK_PROMPTS = 8192
# Rows that are read from a file at a time.
_PIECE_ROWS = 2048
_REMEDY = "give .txt, .jsonl, .csv, .tsv or .parquet, or a folder with tasks.parquet"


class PromptColumns(NamedTuple):
    """Which columns of a table of prompts are read.

    Attributes:
        task_id: Whether to read `task_id`.
        dim: Length of the vectors in `embedding`, which are read in place of `prompt`; None to
            read the prompts.
    """

    task_id: bool
    dim: int | None


class _Piece(NamedTuple):
    """Successive rows of one file."""

    source: Source
    rows: Sequence[int]  # row numbers in the source
    prompts: list[str | None]  # None for null; empty where vectors are read
    task_ids: list[str] | None
    vectors: Vectors | None


@dataclass(frozen=True, slots=True)
class PromptChunk:
    """Successive prompts of a table, or their vectors. It pickles.

    Attributes:
        start: Index of the first prompt in the table, from 0.
        prompts: The prompts; None for null. Empty if the vectors were read instead.
        task_ids: Their ids, or None if the table has no `task_id`.
        vectors: Their vectors, float32 (prompts, dim) of unit length; None if the prompts were
            read.
    """

    start: int
    prompts: list[str | None]
    task_ids: list[str] | None
    vectors: Vectors | None

    def __len__(self) -> int:
        return len(self.prompts if self.vectors is None else self.vectors)


@dataclass(frozen=True, slots=True)
class PromptTable:
    """Prompts in files, which are read in pieces. It holds paths and no data, so that it pickles.

    Attributes:
        path: The path as the caller gave it.
        files: The files, in the order in which they are read.
        rows: Number of prompts of each file; None for a text file, which nobody has counted.
        has_task_ids: Whether there is a `task_id`; in JSON Lines, whether the first object has one.
    """

    path: Path
    files: tuple[Path, ...]
    rows: tuple[int | None, ...]
    has_task_ids: bool

    @classmethod
    def scan(cls, path: str | os.PathLike[str], *, vectors: bool = False) -> Self:
        """Find the files of a table of prompts and check their columns, but no row.

        Args:
            path: A file as `read_prompts` takes it, or a pattern of files, such as
                `prompts/*.parquet`. Files are read in the order of their names.
            vectors: Whether `embedding` is to be read in place of `prompt`.

        Raises:
            NotFoundError: Nothing is at the path, or no file matches the pattern.
            TableError: A file has another suffix or is not readable, a column is missing, of
                another type or stands twice, some of the files have a `task_id` and others have
                none, or there is no row.
            MissingExtraError: A file is Parquet and pyarrow is not installed.
        """
        place, files = find_files(path)
        needed = "embedding" if vectors else "prompt"
        rows: list[int | None] = []
        with_ids: list[Path] = []
        without_ids: list[Path] = []
        for file in files:
            names, n_rows = _columns_of(file, needed)
            rows.append(n_rows)
            (with_ids if "task_id" in names else without_ids).append(file)
        if with_ids and without_ids:
            raise Source.of(without_ids[0], "").error(
                f"lacks 'task_id', which {path_label(with_ids[0].name)} has",
                "give every file the column, or none",
            )
        if not any(n_rows is None or n_rows for n_rows in rows):
            raise _no_prompts(place)
        return cls(place, files, tuple(rows), bool(with_ids))

    @property
    def n_prompts(self) -> int | None:
        """Number of prompts; None if there are text files."""
        counted = [n_rows for n_rows in self.rows if n_rows is not None]
        return sum(counted) if len(counted) == len(self.rows) else None

    @property
    def n_chunks(self) -> int | None:
        """Number of chunks; None if there are text files."""
        return None if self.n_prompts is None else -(-self.n_prompts // CHUNK_PROMPTS)

    def chunks(self, *, dim: int | None = None) -> Iterator[PromptChunk]:
        """Read the table from its beginning.

        Args:
            dim: Length of the vectors in `embedding`, which are read in place of `prompt`; None to
                read the prompts.

        Yields:
            `CHUNK_PROMPTS` prompts each but the last, whatever the sizes of files and row groups.

        Raises:
            TableError: A row is malformed, or there is none; the message names the file and the
                row.
        """
        start, held = 0, _Held()
        for piece in self._pieces(PromptColumns(self.has_task_ids, dim)):
            held.add(piece)
            while len(held) >= CHUNK_PROMPTS:
                yield held.take(start, CHUNK_PROMPTS)
                start += CHUNK_PROMPTS
        if len(held):
            yield held.take(start, len(held))
        elif not start:
            raise _no_prompts(self.path)

    def chunk(self, index: int, *, dim: int | None = None) -> PromptChunk:
        """Read one chunk, the same as `chunks` reads in its place.

        A row group is read from its beginning: a file of one large group is faster read with
        `chunks`.

        Args:
            index: Index of the chunk, from 0.
            dim: As in `chunks`.

        Raises:
            IndexError: There is no such chunk.
            ValueError: There are text files, which are read from their beginning only.
            TableError: As in `chunks`; or the files have changed.
        """
        if self.n_prompts is None or self.n_chunks is None:
            raise ValueError("a text file is read from its beginning: use chunks")
        if not 0 <= index < self.n_chunks:
            raise IndexError(f"chunk {index} is none of {self.n_chunks}")
        columns, held = PromptColumns(self.has_task_ids, dim), _Held()
        first = index * CHUNK_PROMPTS
        last = min(first + CHUNK_PROMPTS, self.n_prompts)
        offset = 0
        for file, n_rows in zip(self.files, self.rows, strict=True):
            assert n_rows is not None
            if first < offset + n_rows and offset < last:
                for piece in _read_parquet(file, columns, max(0, first - offset), last - offset):
                    held.add(piece)
            offset += n_rows
        if len(held) != last - first:
            raise Source.of(self.path, "").error(
                f"has changed: prompts of chunk {index} were {last - first}, and are {len(held)}",
                "leave the files as they are while they are read",
            )
        return held.take(first, last - first)

    def _pieces(self, columns: PromptColumns) -> Iterator[_Piece]:
        for file in self.files:
            yield from _READERS[format_of(file)](file, columns)


class _Held:
    """Rows that were read and belong to no chunk yet."""

    def __init__(self) -> None:
        self._prompts: list[str | None] = []
        self._ids: list[str] | None = None
        self._vectors: Vectors | None = None

    def __len__(self) -> int:
        return len(self._prompts if self._vectors is None else self._vectors)

    def add(self, piece: _Piece) -> None:
        self._prompts += piece.prompts
        if piece.task_ids is not None:
            self._ids = [*(self._ids or ()), *piece.task_ids]
        if piece.vectors is not None:
            before = () if self._vectors is None else (self._vectors,)
            self._vectors = np.concatenate([*before, piece.vectors])

    def take(self, start: int, count: int) -> PromptChunk:
        """Remove the first rows, and return them."""
        prompts, self._prompts = self._prompts[:count], self._prompts[count:]
        ids, vectors = self._ids, self._vectors
        if ids is not None:
            ids, self._ids = ids[:count], ids[count:]
        if vectors is not None:
            vectors, self._vectors = vectors[:count], vectors[count:]
        return PromptChunk(start, prompts, ids, vectors)


def read_prompts(path: str | os.PathLike[str]) -> list[str]:
    """Read prompts without outcomes, in the order of the file and with their repeats.

    Args:
        path: A `.txt` file with one prompt a line (blank lines are skipped), a `.jsonl` or
            `.ndjson` file of objects with a `prompt`, a `.csv`, `.tsv` or `.parquet` file with a
            `prompt` column, a folder with `tasks.parquet` or with Parquet files, or a pattern such
            as `prompts/*.parquet`. A text file may be packed with gzip (`.csv.gz`). Other keys and
            columns are ignored.

    Returns:
        At least one prompt; none is empty or blank.

    Raises:
        NotFoundError: nothing is at the path.
        TableError: the file has another suffix, is malformed, or holds no prompt. The message names
            the file, the row and the column.
        MissingExtraError: the file is Parquet and pyarrow is not installed.

    Example:
        >>> prompts = read_prompts("prompts.txt")  # doctest: +SKIP
    """
    place, files = find_files(path)
    prompts: list[str] = []
    kept: dict[str, str] = {}  # of equal prompts one
    for file in files:
        format_ = format_of(file)
        for piece in _READERS[format_](file, PromptColumns(task_id=False, dim=None)):
            for row, prompt in zip(piece.rows, piece.prompts, strict=True):
                if prompt is None:
                    raise piece.source.error(
                        "found null", "fill it in or leave the row out", at=row, column="prompt"
                    )
                if format_ == ".txt" and is_blank(prompt):
                    continue
                check_prompt(prompt, piece.source, row)
                prompts.append(kept.setdefault(prompt, prompt))
    if not prompts:
        raise _no_prompts(place)
    return prompts


def has_outcomes(path: str | os.PathLike[str], *, vectors: bool = False) -> bool:
    """Tell whether a table of prompts is an outcome table as well, by the names of its columns.

    Args:
        path: As in `PromptTable.scan`, like ``vectors``, and all that is raised.
        vectors: Whether `embedding` is to be read in place of `prompt`.

    Raises:
        NotFoundError: Nothing is at the path, or no file matches the pattern.
        TableError: The first file has another suffix, is not readable, or lacks the column.
        MissingExtraError: The first file is Parquet and pyarrow is not installed.
    """
    place, files = find_files(path)
    if place.is_dir():
        halves = ("outcomes.parquet", "outcomes")
        if any((place / half).exists() for half in halves):
            return True
    if format_of(files[0]) == ".txt":
        return False
    names, _ = _columns_of(files[0], "embedding" if vectors else "prompt")
    found = {*names}
    return "task_id" in found and ("outcomes" in found or {"model", "score"} <= found)


def format_of(file: Path) -> str:
    """Return the suffix that stands for the format of a file of prompts.

    Raises:
        TableError: the file has another suffix.
    """
    return detect_format(file, _READERS, "prompts", _REMEDY)[0]


def find_files(path: str | os.PathLike[str]) -> tuple[Path, tuple[Path, ...]]:
    """Return the path, and the files of the table in the order in which they are read.

    Raises:
        NotFoundError: nothing is at the path, or no file matches the pattern.
        TableError: a file has another suffix, or the folder holds none.
    """
    place = Path(path)
    if glob.has_magic(str(place)) and not place.exists():
        names = sorted(glob.glob(str(place)))  # noqa: PTH207 - Path.glob takes no absolute pattern
        files = tuple(Path(name) for name in names if Path(name).is_file())
        if not files:
            label = Source.of(place, "").label
            raise NotFoundError(f"{label}: no file matches the pattern; check it")
        for file in files:
            format_of(file)
        return place, files
    require_path(place)
    if not place.is_dir():
        format_of(place)
        return place, (place,)
    if (place / "tasks.parquet").is_file():
        return place, (place / "tasks.parquet",)
    folder = place / "tasks" if (place / "tasks").is_dir() else place
    files = tuple(sorted(file for file in folder.glob("[!._]*.parquet") if file.is_file()))
    if folder == place and (not files or (place / "outcomes.parquet").is_file()):
        require_files(place, ("tasks.parquet",))
    if not files:
        raise Source.of(folder, "").error("the folder holds no Parquet file", "put one into it")
    return place, files


def _columns_of(path: Path, needed: str) -> tuple[list[str], int | None]:
    """Return the names of a file's columns, and its number of rows if the file says it."""
    format_ = format_of(path)
    if format_ == ".parquet":
        with ParquetRows(path) as file:
            file.require(needed)
            return file.names, file.n_rows
    source = Source.of(path, "line")
    if needed == "embedding" and format_ != ".jsonl":
        raise source.error(
            "vectors are not read from a file of this format",
            "give them in the column 'embedding' of a .parquet or a .jsonl file",
        )
    if format_ == ".txt":
        return ["prompt"], None
    with open_bytes(path, source) as opened:
        if format_ == ".csv":
            with unlimited_cell_size():
                return list(CsvReader(opened, source, (needed,), once=()).column_index), None
        # The first object stands for all; `_read_jsonl` holds the others to it.
        first = next(read_objects(opened, source), None)
        return [] if first is None else list(first[1]), None


def _no_prompts(place: Path) -> TableError:
    return Source.of(place, "").error("holds no prompts", "give at least one")


def _read_txt(path: Path, _columns: PromptColumns) -> Iterator[_Piece]:
    source = Source.of(path, "line")
    with open_bytes(path, source) as file:
        lines = enumerate(read_lines(file, source), 1)
        while some := list(itertools.islice(lines, _PIECE_ROWS)):
            rows = [row for row, _ in some]
            yield _Piece(source, rows, [line.rstrip("\r\n") for _, line in some], None, None)


def _read_jsonl(path: Path, columns: PromptColumns) -> Iterator[_Piece]:
    source = Source.of(path, "line")
    names = [
        "prompt" if columns.dim is None else "embedding",
        *(["task_id"] if columns.task_id else []),
    ]

    def values_of(file: BinaryIO) -> Iterator[tuple[int, str, Any]]:
        for line, row in read_objects(file, source):
            missing = [name for name in names if name not in row]
            if missing:
                raise source.missing_columns(missing, row, at=line)
            task_id = require_id(row["task_id"], source, line) if columns.task_id else ""
            check_unicode(task_id, source, line, "task_id")
            if columns.dim is None:
                prompt = row["prompt"]
                text = None if prompt is None else require_text(prompt, source, line, "prompt")
                yield line, task_id, text
                continue
            of = f"task {quoted(task_id or str(line))}"
            yield line, task_id, require_vector(row["embedding"], source, line, of)

    with open_bytes(path, source) as file:
        values = values_of(file)
        while some := list(itertools.islice(values, _PIECE_ROWS)):
            rows = [row for row, _, _ in some]
            ids = [task_id for _, task_id, _ in some] if columns.task_id else None
            found = [value for _, _, value in some]
            if columns.dim is None:
                yield _Piece(source, rows, found, ids, None)
            else:
                for row, vector in zip(rows, found, strict=True):
                    _check_dim(-1 if vector is None else len(vector), columns.dim, source, row)
                yield _Piece(source, rows, [], ids, _unit(np.stack(found), source, rows, ids))


def _read_csv(path: Path, columns: PromptColumns) -> Iterator[_Piece]:
    source = Source.of(path, "line")
    names = ["prompt", *(["task_id"] if columns.task_id else [])]
    with open_bytes(path, source) as file:
        with unlimited_cell_size():
            table = CsvReader(file, source, names, once=names)
        prompt, task_id = table.column_index["prompt"], table.column_index.get("task_id", 0)
        cells = iter(table)
        while True:
            # Not around the yield: the limit is the process's, and held by a lock.
            with unlimited_cell_size():
                some = list(itertools.islice(cells, _PIECE_ROWS))
            if not some:
                return
            rows = [line for line, _ in some]
            ids = [row[task_id] for _, row in some] if columns.task_id else None
            yield _Piece(source, rows, [row[prompt] for _, row in some], ids, None)


def _read_parquet(
    path: Path, columns: PromptColumns, first: int = 0, last: int | None = None
) -> Iterator[_Piece]:
    needed = "prompt" if columns.dim is None else "embedding"
    wanted = [needed, *(["task_id"] if columns.task_id else [])]
    with ParquetRows(path) as file:
        for start, batch in file.batches(wanted, _PIECE_ROWS, first, last):
            rows = range(start + 1, start + batch.num_rows + 1)
            ids = file.ids(batch, start) if columns.task_id else None
            if columns.dim is None:
                yield _Piece(file.source, rows, file.texts(batch, "prompt", start), ids, None)
                continue
            lengths = file.lengths(batch, "embedding")
            for at in np.flatnonzero(lengths != columns.dim)[:1]:
                _check_dim(int(lengths[at]), columns.dim, file.source, rows[at])
            vectors = file.vectors(batch, "embedding", columns.dim)
            yield _Piece(file.source, rows, [], ids, _unit(vectors, file.source, rows, ids))


_READERS = {
    ".txt": _read_txt,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}


def _check_dim(length: int, dim: int, source: Source, row: int) -> None:
    if length != dim:
        raise source.error(
            "found no vector" if length < 0 else f"found a vector of {length} numbers",
            f"the artifact takes vectors of {dim}; embed this prompt as the artifact's were",
            at=row,
            column="embedding",
        )


def _unit(raw: Any, source: Source, rows: Sequence[int], ids: list[str] | None) -> Vectors:
    """Return vectors of unit length, float32 (rows, dim), as a table that is fitted has them."""
    numbers = np.asarray(rows, dtype=np.int64)
    names = [str(row) for row in rows] if ids is None else ids
    columns = TaskColumns(source, numbers, names, [], [], raw)
    vectors = unit_vectors(columns)
    assert vectors is not None
    return vectors
