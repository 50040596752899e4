"""Turn the arrays of a table into columns, and check them.

Not here: the rules that hold for every table (`checks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hypernova.table.checks import check_models
from hypernova.table.columns import (
    OUTCOME_NUMBERS,
    Floats,
    OutcomeColumns,
    TaskColumns,
    Vectors,
    is_single,
    picked,
    unknown,
)
from hypernova.table.source import Source, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence


def columns_of_arrays(
    name: str,
    *,
    task_ids: Sequence[str],
    prompts: Sequence[str],
    models: Sequence[str],
    score: npt.ArrayLike,
    cost_usd: npt.ArrayLike | None,
    latency_s: npt.ArrayLike | None,
    input_tokens: npt.ArrayLike | None,
    output_tokens: npt.ArrayLike | None,
    n: npt.ArrayLike | None,
    groups: Sequence[str | None] | None,
    embedding: npt.ArrayLike | None,
) -> tuple[TaskColumns, OutcomeColumns]:
    """Return arrays as columns; the arguments are those of `OutcomeTable.from_arrays`.

    Raises:
        TableError: a shape does not fit, or a name of a model breaks a rule.
    """
    source = array_source(name)
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
    optional = (cost_usd, latency_s, input_tokens, output_tokens, n)
    values = {
        key: unknown(len(task))
        if given is None
        else _matrix(given, key, shape, source)[task, column].astype(np.float64)
        for key, given in zip(OUTCOME_NUMBERS[1:], optional, strict=True)
    }
    vectors = None
    if embedding is not None:
        vectors = _matrix(embedding, "embedding", (n_tasks, None), source)
    tasks = TaskColumns(
        source=source,
        rows=np.arange(n_tasks, dtype=np.int64),
        ids=texts["task_ids"],
        prompts=texts["prompts"],
        groups=named,
        embedding=vectors,
    )
    outcomes = OutcomeColumns(
        source=source,
        rows=task.astype(np.int64),
        task=task.astype(np.int64),
        model=column.astype(np.int64),
        models=texts["models"],
        score=scores[task, column],
        **values,
    )
    return tasks, outcomes


def columns_to_write(
    name: str,
    texts: tuple[Sequence[str], Sequence[str], Sequence[str | None], Sequence[str]],
    numbers: Sequence[Floats],
    embedding: Vectors | None,
) -> tuple[TaskColumns, OutcomeColumns]:
    """Return the arrays of a table as columns, for `write_table`.

    Args:
        name: Name of the table.
        texts: Task ids, prompts, groups, and models.
        numbers: Those of `OUTCOME_NUMBERS`, each (tasks, models).
        embedding: Vectors (tasks, dim), or None.

    Raises:
        TableError: the table has no tasks or a model without outcomes, which no file may hold.
    """
    ids, prompts, groups, models = texts
    score = numbers[0]
    source = array_source(name)
    if not ids:
        raise source.error("holds no tasks", "write a table with at least one")
    empty = np.flatnonzero(np.isnan(score).all(axis=0))
    if empty.size:
        raise source.error(
            f"model {quoted(models[empty[0]])} has no outcomes", "write a table without it"
        )
    # An outcome that stands for itself is written without a number.
    n = numbers[-1]
    numbers = [*numbers[:-1], unknown(n.shape) if is_single(n) else np.where(n > 1.0, n, np.nan)]
    task, model = np.nonzero(~np.isnan(score))
    tasks = TaskColumns(
        source=source,
        rows=np.arange(len(ids), dtype=np.int64),
        ids=list(ids),
        prompts=list(prompts),
        groups=list(groups),
        embedding=embedding,
    )
    outcomes = OutcomeColumns(
        source=source,
        rows=task,
        task=task,
        model=model,
        models=list(models),
        **{
            name: picked(values, (task, model))
            for name, values in zip(OUTCOME_NUMBERS, numbers, strict=True)
        },
    )
    return tasks, outcomes


def check_rows(name: str, rows: npt.NDArray[np.integer], n_tasks: int) -> npt.NDArray[np.integer]:
    """Return indices of tasks as an array.

    Raises:
        TableError: they are not one-dimensional, not of integers, or out of range.
    """
    source = array_source(name)
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise source.error(
            f"found {rows.dtype} of shape {rows.shape}",
            "give integer indices of one dimension, np.flatnonzero(mask) for a mask",
            column="rows",
        )
    # Negative indices would silently take tasks from the end.
    if rows.size and (rows.min() < 0 or rows.max() >= n_tasks):
        raise source.error(
            f"found indices from {rows.min()} to {rows.max()}",
            f"give indices in 0..{n_tasks - 1}",
            column="rows",
        )
    return rows


def array_source(name: str) -> Source:
    """Return the source of a table made from arrays."""
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
