"""Check the rules that every outcome table obeys, whatever its format.

Not here: files. A reader returns `TaskColumns` and `OutcomeColumns` with the row of each entry, and
the errors raised here name that row. One definition of each rule serves all formats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import is_blank
from hypernova.table.columns import (
    MAX_NUMBER,
    NUMBERS,
    OPTIONAL_NUMBERS,
    TOKENS,
    is_unknown,
    single,
    unknown,
)
from hypernova.table.model_names import CONTROL, describe_lookalikes, find_lookalikes, name_problem
from hypernova.table.repeats import merged
from hypernova.table.source import Source, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypernova.errors import TableError
    from hypernova.table.columns import Floats, Ints, OutcomeColumns, TaskColumns, Vectors

# float32 rounding moves the length of a unit vector by far less than this.
_UNIT_TOLERANCE = 1e-6
_BLOCK_ROWS = 8192


def check_prompt(prompt: str, source: Source, row: int, of: str | None = None) -> None:
    """Raise unless a prompt holds text that an embedder can read.

    Raises:
        TableError: the prompt is empty, blank as embedders see it, or not Unicode text.
    """
    if is_blank(prompt):
        raise source.error(
            f"found {quoted(prompt)}, a prompt without text",
            "fill it in or leave the row out",
            at=row,
            column="prompt",
            of=of,
        )
    check_unicode(prompt, source, row, "prompt")


def check_tasks(tasks: TaskColumns) -> None:
    """Check the rules on tasks, except those on vectors (`unit_vectors`).

    Raises:
        TableError: the table has no tasks, or a task breaks a rule.
    """
    source = tasks.source
    if not tasks.ids:
        raise no_tasks(source)
    seen: dict[str, int] = {}
    for row, task_id, prompt, group in zip(
        tasks.rows.tolist(), tasks.ids, tasks.prompts, tasks.groups, strict=True
    ):
        _check_task_id(task_id, source, row)
        if task_id in seen:
            raise repeated_task(task_id, source, row, seen[task_id])
        seen[task_id] = row
        check_prompt(prompt, source, row, f"task {quoted(task_id)}")
        if group is not None:
            check_unicode(group, source, row, "group")


def no_tasks(source: Source) -> TableError:
    """Return the error for a table without tasks."""
    return source.error("holds no tasks", "give at least one task with outcomes")


def repeated_task(task_id: str, source: Source, row: int, earlier: int) -> TableError:
    """Return the error for a row whose task an earlier row has already."""
    return source.error(
        f"found {quoted(task_id)}, which {source.place(earlier)} has already",
        "give each task its own id, and each id one row",
        at=row,
        column="task_id",
    )


def unknown_task(task_id: str, source: Source, row: int, tasks: str) -> TableError:
    """Return the error for an outcome whose task is not in the file or folder `tasks`."""
    return source.error(
        f"found {quoted(task_id)}, which is not in {tasks}",
        "add the task there or leave the outcome out",
        at=row,
        column="task_id",
    )


def _check_task_id(name: str, source: Source, row: int) -> None:
    if not name or name.isspace():
        raise source.error(
            f"found {quoted(name)}, an empty name", "fill it in", at=row, column="task_id"
        )
    if CONTROL.search(name):
        raise source.error(
            f"found {quoted(name)}, which holds a control character",
            "remove line breaks, tabs and the like from it",
            at=row,
            column="task_id",
        )
    check_unicode(name, source, row, "task_id")


def check_models(names: list[str], rows: list[int], source: Source, column: str) -> None:
    """Check the distinct names of models, once for all their outcomes.

    Args:
        names: The names.
        rows: Row number of the first outcome of each, -1 for a model without outcomes.
        source: Where the names were read.
        column: Column that holds the names.

    Raises:
        TableError: a name breaks a rule of `names`, or two look the same.
    """
    place = {name: row for name, row in zip(names, rows, strict=True) if row >= 0}
    for name in names:
        problem = name_problem(name)
        if problem:
            raise source.error(*problem, at=place.get(name), column=column)
    pair = find_lookalikes(names)
    if pair:
        later, earlier = sorted(pair, key=lambda name: -place.get(name, -1))
        at = {name: source.place(row) for name, row in place.items()}
        raise source.error(
            describe_lookalikes(later, earlier, at),
            "spell one model one way, or give two models two names",
            at=place.get(later),
            column=column,
        )


def check_unicode(text: str, source: Source, row: int | None, column: str) -> None:
    """Raise unless a text can be written as UTF-8.

    Raises:
        TableError: it holds half of a surrogate pair.
    """
    # A JSON escape can make half a surrogate pair, which no tokenizer and no file accepts.
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise source.error(
            f"found half of a surrogate pair at character {error.start}",
            "write the text as UTF-8 or with both halves of the escape",
            at=row,
            column=column,
        ) from error


def unit_vectors(tasks: TaskColumns) -> Vectors | None:
    """Scale the vectors of tasks to unit length.

    Returns:
        float32 (tasks, dim), or None if the tasks have no vectors.

    Raises:
        TableError: a vector is empty, not finite, or of zero length.
    """
    raw = tasks.embedding
    if raw is None:
        return None
    unit = np.empty(raw.shape, dtype=np.float32)

    def refuse(row: int, problem: str, remedy: str) -> None:
        raise tasks.source.error(
            problem,
            remedy,
            at=int(tasks.rows[row]),
            column="embedding",
            of=f"task {quoted(tasks.ids[row])}",
        )

    if raw.shape[1] == 0:
        refuse(0, "found a vector of no numbers", "give every task a vector of one length")
    # In blocks: float64 intermediates would double the memory of a large table.
    for start in range(0, len(raw), _BLOCK_ROWS):
        block = raw[start : start + _BLOCK_ROWS].astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if bad.size:
            row = int(bad[0])
            place = int(np.flatnonzero(~np.isfinite(block[row]))[0])
            refuse(
                start + row,
                f"found {quoted(float(block[row, place]))} at position {place}, "
                "not a finite number",
                "embed this prompt again",
            )
        # Dividing by the largest entry first keeps squares from overflowing or vanishing.
        peak = np.abs(block).max(axis=1, keepdims=True)
        zero = np.flatnonzero(peak[:, 0] == 0.0)
        if zero.size:
            refuse(
                start + int(zero[0]),
                "found a vector of zero length, which has no direction",
                "embed this prompt again",
            )
        scaled = block / peak
        length = np.sqrt(np.square(scaled).sum(axis=1, keepdims=True))
        with np.errstate(over="ignore"):
            off = np.abs(peak * length - 1.0) > _UNIT_TOLERANCE
        # A vector of unit length keeps its bits: a table that is written and read again is equal,
        # and vectors of an embedder match those that it gives when routing.
        unit[start : start + len(block)] = np.where(off, scaled / length, block)
    return unit


def outcome_arrays(
    tasks: TaskColumns, outcomes: OutcomeColumns, min_models: int = 2
) -> tuple[list[str], dict[str, Floats]]:
    """Check the rules on outcomes and arrange them as tasks x models.

    Args:
        tasks: TaskColumns that passed `check_tasks`.
        outcomes: Their outcomes.
        min_models: Fewest models allowed; 1 where the table is not learned from alone.

    Returns:
        Sorted model names, and the arrays of `arrange_outcomes`.

    Raises:
        TableError: the table has no outcomes, too few models, a model without outcomes or with a
            name that breaks a rule, or a value out of range.
    """
    source = outcomes.source
    if not len(outcomes.rows):
        raise no_outcomes(source)
    model_rows = np.full(len(outcomes.models), -1, dtype=np.int64)
    model_rows[outcomes.model[::-1]] = outcomes.rows[::-1]
    check_models(outcomes.models, model_rows.tolist(), source, "model")
    for name, row in zip(outcomes.models, model_rows.tolist(), strict=True):
        if row < 0:
            raise source.error(
                f"model {quoted(name)} has no outcomes",
                "leave it out or add its outcomes",
                column="model",
            )

    check_values(tasks, outcomes)
    check_n_models(outcomes.models, source, min_models)

    # Sorted, so that the order of rows in a file never changes an artifact.
    models = sorted(outcomes.models)
    return models, arrange_outcomes(outcomes, len(tasks.ids), models)


def no_outcomes(source: Source) -> TableError:
    """Return the error for a table without outcomes."""
    return source.error("holds no outcomes", "give every task at least one scored model")


def check_n_models(models: Sequence[str], source: Source, min_models: int) -> None:
    """Raise unless a table has enough models, of which it has one at least.

    Raises:
        TableError: the models are fewer than `min_models`.
    """
    if len(models) < min_models:
        raise source.error(
            f"found outcomes of one model only, {quoted(models[0])}",
            "add those of a second model: there is nothing to route between",
            column="model",
        )


def check_values(tasks: TaskColumns, outcomes: OutcomeColumns) -> None:
    """Check the rules on the numbers of outcomes.

    Args:
        tasks: The tasks of the outcomes.
        outcomes: The outcomes, which may be none.

    Raises:
        TableError: a value is out of range.
    """

    def of(entry: int) -> str:
        task, model = outcomes.task[entry], outcomes.model[entry]
        return f"task {quoted(tasks.ids[task])}, model {quoted(outcomes.models[model])}"

    _check_ranges(outcomes, of)


def arrange_outcomes(
    outcomes: OutcomeColumns, n_tasks: int, models: Sequence[str]
) -> dict[str, Floats]:
    """Arrange checked outcomes as tasks x models, repeats of an outcome merged.

    Args:
        outcomes: The outcomes.
        n_tasks: Number of tasks.
        models: Models in the order of the columns, those of all outcomes among them.

    Returns:
        Arrays by the names of `OUTCOME_NUMBERS`, each (tasks, models), with NaN for holes and
        unknown values; tokens of which none are known are `unknown`. `n` is 1 in holes, and
        `single` where no outcome is repeated.
    """
    outcomes = merged(outcomes, n_tasks)
    column = {name: index for index, name in enumerate(models)}
    place = np.array([column[name] for name in outcomes.models], dtype=np.int64)
    shape = n_tasks, len(models)
    arrays = {}
    for name in NUMBERS:
        values = getattr(outcomes, name)
        if name in TOKENS and (is_unknown(values) or np.isnan(values).all()):
            arrays[name] = unknown(shape)
            continue
        arrays[name] = np.full(shape, np.nan)
        arrays[name][outcomes.task, place[outcomes.model]] = values
    arrays["n"] = single(shape)
    if not is_unknown(outcomes.n):
        arrays["n"] = np.ones(shape)
        arrays["n"][outcomes.task, place[outcomes.model]] = outcomes.n
    return arrays


def _check_ranges(outcomes: OutcomeColumns, of: Callable[[int], str]) -> None:
    # NaN fails the test for scores, and passes the others as unknown.
    score_bad = ~((outcomes.score >= 0.0) & (outcomes.score <= 1.0))
    checks = [
        ("score", outcomes.score, score_bad, "a score is a number in 0..1; leave out the outcome")
    ]
    for column in OPTIONAL_NUMBERS:
        values = getattr(outcomes, column)
        if is_unknown(values):
            continue
        bad = (values < 0.0) | (values > MAX_NUMBER)
        rule = f"{column} are" if column in TOKENS else f"a {column} is"
        remedy = f"{rule} not negative and at most {MAX_NUMBER:g}; leave it empty"
        checks.append((column, values, bad, remedy))
    if not is_unknown(outcomes.n):
        known = ~np.isnan(outcomes.n)
        # Beyond 2**53 not every whole number is a float64.
        whole = (outcomes.n >= 1.0) & (outcomes.n <= 2.0**53) & (np.floor(outcomes.n) == outcomes.n)
        remedy = "n is the number of outcomes behind a score, a whole number from 1; leave it empty"
        checks.append(("n", outcomes.n, known & ~whole, remedy))
    for column, values, bad, remedy in checks:
        rows = np.flatnonzero(bad)
        if rows.size:
            entry = int(rows[0])
            if column == "score" and 1.0 < values[entry] <= 100.0:
                share = f"{values[entry] / 100:g}"
                remedy = (
                    f"a score is a number in 0..1: divide percentages by 100, to {share} here, "
                    "or leave out the outcome"
                )
            raise outcomes.source.error(
                f"found {float(values[entry])!r}",
                f"{remedy} where it is not known",
                at=int(outcomes.rows[entry]),
                column=column,
                of=of(entry),
            )


def common_dim(lengths: Ints, source: Source, rows: Ints, of: Callable[[int], str]) -> int:
    """Return the dimension that all vectors share.

    Args:
        lengths: Length of each vector, -1 for an absent one, int64 (rows,).
        source: Where the vectors were read.
        rows: Row number of each, int64 (rows,).
        of: Returns the task at an index, for messages.

    Returns:
        The dimension, or -1 if all vectors are absent.

    Raises:
        TableError: only some vectors are absent, or two lengths differ.
    """
    given = np.flatnonzero(lengths >= 0)
    if not given.size:
        return -1
    absent = np.flatnonzero(lengths < 0)
    odd = absent if absent.size else np.flatnonzero(lengths != lengths[given[0]])
    if odd.size:
        entry, other = int(odd[0]), int(given[0])
        here = "no vector" if absent.size else f"a vector of {lengths[entry]} numbers"
        raise source.error(
            f"found {here}, but {source.place(int(rows[other]))} has one of {lengths[other]}",
            "give every task a vector of one length, or none at all",
            at=int(rows[entry]),
            column="embedding",
            of=of(entry),
        )
    return int(lengths[given[0]])
