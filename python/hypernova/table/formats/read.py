"""Read the file or folder of an outcome table, whatever its format.

Not here: tables that are not held in memory (`scan`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.table.formats.csv import read_csv
from hypernova.table.formats.files import detect_format, require_path
from hypernova.table.formats.jsonl import read_jsonl
from hypernova.table.formats.parquet import read_parquet, read_parquet_folder

if TYPE_CHECKING:
    import os

    from hypernova.table.columns import OutcomeColumns, TaskColumns

_READERS = {".jsonl": read_jsonl, ".csv": read_csv, ".parquet": read_parquet}


def read_table(path: str | os.PathLike[str]) -> tuple[str, TaskColumns, OutcomeColumns]:
    """Read a table.

    Returns:
        Its name, and its columns, unchecked.

    Raises:
        NotFoundError: nothing is at the path.
        TableError: the file cannot be read as its format says.
        MissingExtraError: the format is Parquet and pyarrow is not installed.
    """
    place = require_path(path)
    if place.is_dir():
        # "." and ".." have no name of their own.
        base = place.resolve().name if place.name in {"", ".."} else place.name
        return base, *read_parquet_folder(place)
    suffix, base = detect_format(
        place,
        _READERS,
        "an outcome table",
        "give .jsonl, .csv, .tsv or .parquet, or a folder with tasks.parquet and outcomes.parquet",
    )
    return base, *_READERS[suffix](place)
