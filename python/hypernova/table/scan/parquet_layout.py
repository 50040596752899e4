"""Read the schemas of all Parquet files of a table, before any of their rows.

Not here: the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.table.columns import OUTCOME_NUMBERS, TaskColumns
from hypernova.table.formats.parquet import (
    LONG_COLUMNS,
    OUTCOME_COLUMNS,
    TASK_COLUMNS,
    ParquetColumns,
    import_pyarrow,
    open_parquet,
    pick_columns,
)
from hypernova.table.scan.nested import is_list, nested_outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.table.scan.files import DataFile, DataFiles
    from hypernova.table.source import Source

_NESTED_COLUMNS = (("task_id", "prompt", "outcomes"), ("group", "embedding"))
_COLUMNS = {
    "tasks": TASK_COLUMNS,
    "outcomes": OUTCOME_COLUMNS,
    "long": LONG_COLUMNS,
    "nested": _NESTED_COLUMNS,
}
_TEXTS = ("prompt", "group", "model")


@dataclass(frozen=True, slots=True)
class ParquetLayout:
    """The columns of Parquet files of one form.

    Attributes:
        form: `tasks` or `outcomes` (apart), `long` (one outcome a row), or `nested` (one task a
            row, with its outcomes).
        columns: For each file, the columns to read.
        kinds: For each column, its kind in all files.
    """

    form: str
    columns: tuple[tuple[str, ...], ...]
    kinds: dict[str, str]

    @classmethod
    def of(cls, files: DataFiles, form: str | None = None) -> ParquetLayout:
        """Read the schema of each file.

        Args:
            files: The files.
            form: Their form; by default that which the first file shows.

        Raises:
            TableError: a file is unreadable, or a column is missing, stands twice, is of a wrong
                type, or is of another type than in the files before.
            MissingExtraError: pyarrow is not installed.
        """
        columns: list[tuple[str, ...]] = []
        kinds: dict[str, tuple[str, object, Source]] = {}
        for file in files.files:
            schema = _schema_of(file)
            form = form or _form_of(schema.names)
            wanted = tuple(pick_columns(schema.names, file.source, *_COLUMNS[form]))
            # Equal tuples are one, for a small pickle.
            columns.append(columns[-1] if columns and columns[-1] == wanted else wanted)
            for name in wanted:
                kind = schema.field(name).type
                found = _kind_of(file.source, name, kind)
                known = kinds.get(name)
                if known and found not in ("null", known[0]):
                    raise file.source.error(
                        f"found a column of type {kind}, but {known[2].label} has {known[1]}",
                        "store one type in all files",
                        column=name,
                    )
                if not known and found != "null":
                    kinds[name] = (found, kind, file.source)
            _check_types(file.source, schema, wanted)
        assert form is not None
        known_kinds = {name: "null" for wanted in columns for name in wanted}
        known_kinds |= {name: kind for name, (kind, *_) in kinds.items()}
        return cls(form, tuple(columns), known_kinds)


def _schema_of(file: DataFile) -> Any:
    file.check_unchanged()
    with open_parquet(file.path, file.source) as content:
        return content.schema_arrow


def _form_of(names: list[str]) -> str:
    if "outcomes" in names and not {"model", "score"} <= set(names):
        return "nested"
    return "long"


def _kind_of(source: Source, name: str, kind: Any) -> str:
    """Return the kind of a column's type; types of one kind are read alike."""
    types = import_pyarrow(source).types
    if name == "outcomes":
        nested = is_list(source, kind) or types.is_map(kind) or types.is_struct(kind)
        return "outcomes" if nested else "wrong"
    if types.is_null(kind):
        return "null"
    if types.is_dictionary(kind):
        kind = kind.value_type
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if text and name in ("task_id", *_TEXTS):
        return "text"
    if types.is_integer(kind) and name == "task_id":
        return "integers"
    if name in OUTCOME_NUMBERS:
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            return "numbers"
        if types.is_boolean(kind) and name == "score":
            return "booleans"
    if name == "embedding" and is_list(source, kind):
        numbers = types.is_floating(kind.value_type) or types.is_integer(kind.value_type)
        return "vectors" if numbers else "wrong"
    return "wrong"


def _check_types(source: Source, schema: Any, names: Sequence[str]) -> None:
    """Raise the error for a column of a wrong type: that of reading it, from no rows."""
    rows = np.empty(0, dtype=np.int64)
    table = schema.empty_table().select(list(names))
    file = ParquetColumns(source, table, rows)
    for name in names:
        if name == "outcomes":
            nested_outcomes(source, table.column(name), rows)
        elif name == "embedding":
            file.vectors(TaskColumns(source, rows, [], [], [], None), rows)
        elif name in OUTCOME_NUMBERS:
            file.numbers(name)
        else:
            file.texts(name, integers=name == "task_id")
