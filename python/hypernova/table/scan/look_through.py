"""Look through a whole table once, before anything is learned from it: check it and index it.

Not here: the rules (`checks`), and reading.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hypernova.table.checks import (
    check_models,
    check_n_models,
    check_tasks,
    check_values,
    common_dim,
    no_outcomes,
    no_tasks,
    unit_vectors,
)
from hypernova.table.columns import is_unknown
from hypernova.table.repeats import Repeats, merged
from hypernova.table.scan.cursors import CHUNK_TASKS
from hypernova.table.scan.ids import refuse_repeated
from hypernova.table.scan.seen_ids import SeenIds
from hypernova.table.source import quoted

if TYPE_CHECKING:
    from hypernova.table.columns import Ints, OutcomeColumns, TaskColumns
    from hypernova.table.scan.forms import TableForm


class Contents(NamedTuple):
    """All that a table holds besides its rows.

    Attributes:
        marks: Where each chunk begins, and where the last ends, int64 (chunks + 1, numbers).
        n_tasks: Number of tasks.
        n_outcomes: Number of outcomes, their repeats merged.
        repeats: How many of them have others behind them.
        models: Names of models, sorted.
        of_model: Number of outcomes of each model.
        with_tokens: Number of outcomes of each model whose tokens are known, in and out.
        dim: Length of the vectors, or None without.
    """

    marks: Ints
    n_tasks: int
    n_outcomes: int
    repeats: Repeats
    models: tuple[str, ...]
    of_model: dict[str, int]
    with_tokens: dict[str, int]
    dim: int | None


def look_through(form: TableForm, min_models: int) -> Contents:
    """Check every row of a table, and note where its chunks begin.

    Args:
        form: The files.
        min_models: Fewest models allowed.

    Raises:
        TableError: a rule is broken, or a file is unreadable or changes meanwhile.
        OutOfOrderError: the outcomes do not follow the tasks, and must be joined.
    """
    cursor = form.open()
    marks = []
    n_tasks = 0
    of_model: Counter[str] = Counter()
    with_tokens: Counter[str] = Counter()
    repeats = Repeats(0, 0, 0)
    models: dict[str, int] = {}  # each with the place of its first outcome
    seen = None if form.joined is not None else SeenIds()
    first: tuple[int, int, str] | None = None  # the first task's place, length of vector and id
    try:
        while True:
            marks.append(cursor.mark)
            columns = cursor.read()
            if columns is None:
                break
            tasks, outcomes = columns
            check_tasks(tasks)
            if seen is not None:
                refuse_repeated(form, tasks.ids, tasks.rows, seen)
            dim = -1 if tasks.embedding is None else tasks.embedding.shape[1]
            first = first or (int(tasks.rows[0]), dim, tasks.ids[0])
            _check_dim(tasks, dim, first)
            unit_vectors(tasks)
            check_values(tasks, outcomes)
            _add_models(models, outcomes)
            n_tasks += len(tasks.ids)
            outcomes = merged(outcomes, len(tasks.ids))
            repeats = repeats + Repeats.of(outcomes.score, outcomes.n)
            _count(of_model, outcomes, outcomes.model)
            if not is_unknown(outcomes.input_tokens) and not is_unknown(outcomes.output_tokens):
                tokens = outcomes.input_tokens + outcomes.output_tokens
                _count(with_tokens, outcomes, outcomes.model[~np.isnan(tokens)])
    finally:
        cursor.close()
    if not n_tasks:
        raise no_tasks(form.files.tasks.source)
    n_outcomes = of_model.total()
    if not n_outcomes:
        raise no_outcomes(form.outcome_source)
    names = sorted(models, key=models.__getitem__)
    check_models(names, [models[name] for name in names], form.outcome_source, "model")
    check_n_models(names, form.outcome_source, min_models)
    assert len(marks) == -(-n_tasks // CHUNK_TASKS) + 1
    dim = None if first is None or first[1] < 0 else first[1]
    index = np.array(marks, dtype=np.int64)
    in_order = tuple(sorted(names))
    return Contents(index, n_tasks, n_outcomes, repeats, in_order, of_model, with_tokens, dim)


def _check_dim(tasks: TaskColumns, dim: int, first: tuple[int, int, str]) -> None:
    rows = np.array([first[0], tasks.rows[0]], dtype=np.int64)
    lengths = np.array([first[1], dim], dtype=np.int64)
    ids = (first[2], tasks.ids[0])
    common_dim(lengths, tasks.source, rows, lambda entry: f"task {quoted(ids[entry])}")


def _count(counts: Counter[str], outcomes: OutcomeColumns, model: Ints) -> None:
    """Count some of the outcomes, of which the models are given."""
    found = np.bincount(model, minlength=len(outcomes.models)).tolist()
    counts.update({name: n for name, n in zip(outcomes.models, found, strict=True) if n})


def _add_models(models: dict[str, int], outcomes: OutcomeColumns) -> None:
    rows = np.full(len(outcomes.models), np.iinfo(np.int64).max)
    np.minimum.at(rows, outcomes.model, outcomes.rows)
    there = np.zeros(len(outcomes.models), dtype=np.bool_)
    there[outcomes.model] = True
    for index in np.flatnonzero(there).tolist():
        name, row = outcomes.models[index], int(rows[index])
        models[name] = min(row, models.get(name, row))
