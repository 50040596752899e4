"""Read prompts without outcomes: text to fit clusters on or to choose prompts from.

Not here: outcomes; `OutcomeTable.read` reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.embedder.text.cut import is_blank
from hypernova.table.checks import check_prompt
from hypernova.table.formats.csv import CsvReader, unlimited_cell_size
from hypernova.table.formats.files import detect_format, open_bytes, read_lines, require_path
from hypernova.table.formats.jsonl import read_objects, require_text
from hypernova.table.formats.parquet import ParquetColumns, require_files
from hypernova.table.source import Source

if TYPE_CHECKING:
    import os
    from pathlib import Path


def read_prompts(path: str | os.PathLike[str]) -> list[str]:
    """Read prompts without outcomes, in the order of the file and with their repeats.

    Args:
        path: A `.txt` file with one prompt a line (blank lines are skipped), a `.jsonl` or
            `.ndjson` file of objects with a `prompt`, a `.csv`, `.tsv` or `.parquet` file with a
            `prompt` column, or a folder with `tasks.parquet`. A text file may be packed with gzip
            (`.csv.gz`). Other keys and columns are ignored.

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
    place = require_path(path)
    source = Source.of(place, "line")
    suffix = ".parquet"
    if not place.is_dir():
        remedy = "give .txt, .jsonl, .csv, .tsv or .parquet, or a folder with tasks.parquet"
        suffix, _ = detect_format(place, _READERS, "prompts", remedy)
    prompts = _READERS[suffix](place)
    if not prompts:
        raise source.error("holds no prompts", "give at least one")
    return prompts


def _prompts_of_txt(path: Path) -> list[str]:
    source = Source.of(path, "line")
    with open_bytes(path, source) as file:
        lines = (line.rstrip("\r\n") for line in read_lines(file, source))
        return [line for line in lines if not is_blank(line)]


def _prompts_of_jsonl(path: Path) -> list[str]:
    source = Source.of(path, "line")
    prompts = []
    with open_bytes(path, source) as file:
        for line, row in read_objects(file, source):
            if "prompt" not in row:
                raise source.missing_columns(["prompt"], row, at=line)
            prompt = require_text(row["prompt"], source, line, "prompt")
            check_prompt(prompt, source, line)
            prompts.append(prompt)
    return prompts


def _prompts_of_csv(path: Path) -> list[str]:
    source = Source.of(path, "line")
    prompts = []
    with unlimited_cell_size(), open_bytes(path, source) as file:
        table = CsvReader(file, source, ("prompt",), once=("prompt",))
        for line, cells in table:
            prompt = cells[table.column_index["prompt"]]
            check_prompt(prompt, source, line)
            prompts.append(prompt)
    return prompts


def _prompts_of_parquet(path: Path) -> list[str]:
    if path.is_dir():
        require_files(path, ("tasks.parquet",))
        path = path / "tasks.parquet"
    file = ParquetColumns.read(path, ("prompt",), ())
    encoded = file.texts("prompt")
    for prompt, row in zip(encoded.values, encoded.first_rows().tolist(), strict=True):
        check_prompt(prompt, file.source, row + 1)
    return encoded.texts()


_READERS = {
    ".txt": _prompts_of_txt,
    ".jsonl": _prompts_of_jsonl,
    ".csv": _prompts_of_csv,
    ".parquet": _prompts_of_parquet,
}
