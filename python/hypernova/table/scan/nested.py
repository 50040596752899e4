"""Read the outcomes that stand in the rows of their tasks, in Parquet.

Not here: the tasks, and the rules for outcomes.

The column `outcomes` holds a list of structs (`model` and the numbers of an outcome), or a map or a
struct from models to scores or to structs of these numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.table.columns import (
    OUTCOME_NUMBERS,
    Floats,
    Ints,
    OutcomeColumns,
    concatenated,
    picked,
)
from hypernova.table.formats.parquet import ParquetColumns, import_pyarrow

if TYPE_CHECKING:
    from hypernova.errors import TableError
    from hypernova.table.source import Source

_REMEDY = (
    "store a list of structs (model, score, cost_usd, latency_s), or a map or a struct from models "
    "to scores"
)


def nested_outcomes(source: Source, column: Any, rows: Ints) -> OutcomeColumns:
    """Return the outcomes of a column of them.

    Args:
        source: Where the rows were read.
        column: The column, a pyarrow.ChunkedArray.
        rows: Row number of each of its rows, int64 (rows,).

    Raises:
        TableError: the column is of another type, or a model or a score is null.
    """
    pa = import_pyarrow(source)
    kind = column.type
    array = column.combine_chunks()
    if pa.types.is_struct(kind):
        return _of_struct(source, array, rows)
    if pa.types.is_map(kind):
        start = array.offsets.to_numpy().astype(np.int64)
        task = np.repeat(np.arange(len(array)), np.diff(start))
        length = int(start[-1] - start[0]) if len(start) else 0
        first = int(start[0]) if len(start) else 0
        fields = {
            "model": array.keys.slice(first, length),
            **_numbers(source, kind, array.items.slice(first, length)),
        }
    elif is_list(source, kind) and pa.types.is_struct(kind.value_type):
        task = pa.compute.list_parent_indices(array).to_numpy().astype(np.int64)
        fields = _fields(source, kind, array.flatten(), ("model", *OUTCOME_NUMBERS))
    else:
        raise wrong_type(source, kind)
    return _columns(source, fields, rows, task.astype(np.int64))


def is_list(source: Source, kind: Any) -> bool:
    """Return whether a type of pyarrow is one of lists."""
    types = import_pyarrow(source).types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def wrong_type(source: Source, kind: object) -> TableError:
    """Return the error for a column of another type."""
    return source.error(f"found a column of type {kind}", _REMEDY, column="outcomes")


def _of_struct(source: Source, array: Any, rows: Ints) -> OutcomeColumns:
    """Return the outcomes of a struct with a field for each model, in which null is a hole."""
    parts = []
    models: list[str] = []
    # The children that flatten() gives are null where the struct is.
    for field, child in zip(array.type, array.flatten(), strict=True):
        task = np.flatnonzero(child.is_valid().to_numpy(zero_copy_only=False))
        fields = _numbers(source, array.type, child.drop_null())
        part = _numbers_of(source, fields, rows[task])
        parts.append((np.full(len(task), len(models)), task, part))
        models.append(field.name)
    if not parts:
        raise wrong_type(source, array.type)
    model = np.concatenate([part[0] for part in parts]).astype(np.int64)
    task = np.concatenate([part[1] for part in parts]).astype(np.int64)
    # In the order of rows, and of fields within a row.
    order = np.argsort(task, kind="stable")
    numbers = [
        picked(concatenated([part[2][i] for part in parts]), order)
        for i in range(len(OUTCOME_NUMBERS))
    ]
    return OutcomeColumns(source, rows[task[order]], task[order], model[order], models, *numbers)


def _numbers(source: Source, kind: Any, values: Any) -> dict[str, Any]:
    """Return the columns of numbers of a model's values: scores, or structs."""
    pa = import_pyarrow(source)
    if pa.types.is_struct(values.type):
        return _fields(source, kind, values, OUTCOME_NUMBERS)
    if pa.types.is_nested(values.type) or pa.types.is_string(values.type):
        raise wrong_type(source, kind)
    return {"score": values}


def _fields(source: Source, kind: Any, structs: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
    names = [field.name for field in structs.type]
    children = dict(zip(names, structs.flatten(), strict=True))
    if any(name not in children for name in ("model", "score") if name in wanted):
        raise wrong_type(source, kind)
    return {name: children[name] for name in wanted if name in children}


def _numbers_of(source: Source, fields: dict[str, Any], rows: Ints) -> list[Floats]:
    pa = import_pyarrow(source)
    file = ParquetColumns(source, pa.table(fields), rows)
    return [file.numbers(name) for name in OUTCOME_NUMBERS]


def _columns(source: Source, fields: dict[str, Any], rows: Ints, task: Ints) -> OutcomeColumns:
    pa = import_pyarrow(source)
    file = ParquetColumns(source, pa.table(fields), rows[task])
    models = file.texts("model")
    numbers = [file.numbers(name) for name in OUTCOME_NUMBERS]
    return OutcomeColumns(source, file.rows, task, models.codes, models.values, *numbers)
