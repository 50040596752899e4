"""Read prompts without outcomes: the text that clusters may be fitted on.

Not here: outcomes; `OutcomeTable.read` has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.table.delimited import prompts_of_csv
from hypernova.table.parquet import prompts_of_parquet
from hypernova.table.source import Source, existing, form_of
from hypernova.table.text import prompts_of_jsonl, prompts_of_txt

if TYPE_CHECKING:
    import os

_READERS = {
    ".txt": prompts_of_txt,
    ".jsonl": prompts_of_jsonl,
    ".csv": prompts_of_csv,
    ".parquet": prompts_of_parquet,
}


def read_prompts(path: str | os.PathLike[str]) -> list[str]:
    """Read unlabelled prompts, in the order of the file and with their repeats.

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
    there = existing(path)
    source = Source.of(there, "line")
    form = ".parquet"
    if not there.is_dir():
        remedy = "give .txt, .jsonl, .csv, .tsv or .parquet, or a folder with tasks.parquet"
        form, _ = form_of(there, _READERS, "prompts", remedy)
    prompts = _READERS[form](there)
    if not prompts:
        raise source.error("holds no prompts", "give at least one")
    return prompts
