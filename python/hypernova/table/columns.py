"""The rules that every form of an outcome table obeys, checked on columns in memory.

Not here: files. A reader turns its form into `Tasks` and `Outcomes`, with the row that each entry
came from, and the checks below name that row. One definition of each rule serves all forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hypernova.embedder.text.cut import is_blank
from hypernova.table.names import CONTROL, alike, fault_of_name, spellings
from hypernova.table.source import Source, shown

if TYPE_CHECKING:
    from collections.abc import Callable

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

# float32 rounding moves the length of a unit vector by far less than this.
_UNIT_TOLERANCE = 1e-6
_BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text column as int64 codes (rows,) into its distinct values, in order of appearance."""

    codes: Ints
    values: list[str]

    def first_rows(self) -> Ints:
        """Return the index of the first row of each value, int64 (values,)."""
        first = np.empty(len(self.values), dtype=np.int64)
        # Of repeated indices the last assignment stands, so going backwards leaves the first row.
        first[self.codes[::-1]] = np.arange(len(self.codes) - 1, -1, -1)
        return first


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of a table before they are checked.

    Attributes:
        source: Where they were read.
        rows: Row number of each task in the source, int64 (tasks,).
        ids: Task ids.
        prompts: Prompts.
        groups: Groups; None where a task has none.
        embedding: Vectors as given, float32 or float64 (tasks, dim), or None.
    """

    source: Source
    rows: Ints
    ids: list[str]
    prompts: list[str]
    groups: list[str | None]
    embedding: npt.NDArray[np.floating] | None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of a table before they are checked, one entry each; all arrays (outcomes,).

    Attributes:
        source: Where they were read.
        rows: Row number of each outcome in the source.
        task: Index into the tasks.
        model: Index into `models`.
        models: Model names in any order.
        score: Scores; must be in 0..1.
        cost_usd: Costs in USD, NaN where unknown.
        latency_s: Latencies in seconds, NaN where unknown.
    """

    source: Source
    rows: Ints
    task: Ints
    model: Ints
    models: list[str]
    score: Floats
    cost_usd: Floats
    latency_s: Floats


def tasks_of_long(
    source: Source, rows: Ints, ids: Encoded, prompts: Encoded, groups: Encoded | None
) -> Tasks:
    """Gather the tasks of a long form, in which every outcome repeats its task.

    Args:
        source: Where the rows were read.
        rows: Row numbers, int64 (rows,).
        ids: The task_id column.
        prompts: The prompt column.
        groups: The group column, or None if there is none.

    Raises:
        TableError: two rows of one task differ in prompt or group.
    """
    first = ids.first_rows()
    for column, encoded in (("prompt", prompts), ("group", groups)):
        if encoded is None:
            continue
        clash = np.flatnonzero(encoded.codes != encoded.codes[first[ids.codes]])
        if clash.size:
            row = int(clash[0])
            task = int(ids.codes[row])
            other = int(first[task])
            raise source.error(
                f"found {shown(encoded.values[encoded.codes[row]])}, but {source.unit} "
                f"{rows[other]} has {shown(encoded.values[encoded.codes[other]])} for the same "
                "task_id",
                f"give one task one {column}, or two tasks two ids",
                at=int(rows[row]),
                column=column,
                of=f"task {shown(ids.values[task])}",
            )
    return Tasks(
        source=source,
        rows=rows[first],
        ids=ids.values,
        prompts=[prompts.values[code] for code in prompts.codes[first]],
        groups=(
            [None] * len(ids.values)
            if groups is None
            else [groups.values[code] or None for code in groups.codes[first]]
        ),
        embedding=None,
    )


def check_prompt(prompt: str, source: Source, row: int, of: str | None = None) -> None:
    """Refuse a prompt that is empty, blank as embedders see it, or not Unicode text.

    Raises:
        TableError: the prompt is one of these.
    """
    if is_blank(prompt):
        raise source.error(
            f"found {shown(prompt)}, a prompt without text",
            "fill it in or leave the row out",
            at=row,
            column="prompt",
            of=of,
        )
    _check_unicode(prompt, source, row, "prompt")


def check_tasks(tasks: Tasks) -> None:
    """Check every rule on tasks but those on vectors, which `unit_vectors` checks.

    Raises:
        TableError: there are no tasks, or one breaks a rule.
    """
    source = tasks.source
    if not tasks.ids:
        raise source.error("holds no tasks", "give at least one task with outcomes")
    seen: dict[str, int] = {}
    for row, task_id, prompt, group in zip(
        tasks.rows.tolist(), tasks.ids, tasks.prompts, tasks.groups, strict=True
    ):
        check_name(task_id, source, row, "task_id")
        if task_id in seen:
            raise source.error(
                f"found {shown(task_id)}, which {source.unit} {seen[task_id]} has already",
                "give each task its own id, and each id one row",
                at=row,
                column="task_id",
            )
        seen[task_id] = row
        check_prompt(prompt, source, row, f"task {shown(task_id)}")
        if group is not None:
            _check_unicode(group, source, row, "group")


def check_name(name: str, source: Source, row: int | None, column: str) -> None:
    """Refuse a task id that is empty, blank, or holds control characters.

    Raises:
        TableError: the name is one of these.
    """
    if not name or name.isspace():
        raise source.error(
            f"found {shown(name)}, an empty name", "fill it in", at=row, column=column
        )
    if CONTROL.search(name):
        raise source.error(
            f"found {shown(name)}, which holds a control character",
            "remove line breaks, tabs and the like from it",
            at=row,
            column=column,
        )
    _check_unicode(name, source, row, column)


def check_models(names: list[str], rows: list[int], source: Source, column: str) -> None:
    """Check the distinct names of models, once for all their outcomes.

    Args:
        names: The names.
        rows: Row number of the first outcome of each, -1 where it has none.
        source: Where they were read.
        column: What the source calls the column.

    Raises:
        TableError: a name breaks a rule of `names`, or two look the same.
    """
    place = {name: row for name, row in zip(names, rows, strict=True) if row >= 0}
    for name in names:
        fault = fault_of_name(name)
        if fault:
            raise source.error(*fault, at=place.get(name), column=column)
    pair = alike(names)
    if pair:
        later, earlier = sorted(pair, key=lambda name: -place.get(name, -1))
        at = {name: f"{source.unit} {row}" for name, row in place.items()}
        raise source.error(
            spellings(later, earlier, at),
            "spell one model one way, or give two models two names",
            at=place.get(later),
            column=column,
        )


def _check_unicode(text: str, source: Source, row: int | None, column: str) -> None:
    # A JSON escape can make half a surrogate pair, which no tokenizer and no file takes.
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise source.error(
            f"found half of a surrogate pair at character {error.start}",
            "write the text as UTF-8 or with both halves of the escape",
            at=row,
            column=column,
        ) from error


def unit_vectors(tasks: Tasks) -> Vectors | None:
    """Return the vectors of tasks at unit length, float32 (tasks, dim), or None without any.

    Raises:
        TableError: a vector is of no numbers, not finite, or of zero length.
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
            of=f"task {shown(tasks.ids[row])}",
        )

    if raw.shape[1] == 0:
        refuse(0, "found a vector of no numbers", "give every task a vector of one length")
    # In blocks, so that the float64 intermediates do not double the memory of a large table.
    for start in range(0, len(raw), _BLOCK_ROWS):
        block = raw[start : start + _BLOCK_ROWS].astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
        if bad.size:
            row = int(bad[0])
            place = int(np.flatnonzero(~np.isfinite(block[row]))[0])
            refuse(
                start + row,
                f"found {shown(float(block[row, place]))} at position {place}, not a finite number",
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
        # A vector that is already of unit length keeps its bits: reading what was written once is
        # then the identity, and an embedder's vectors match those it gives when routing.
        unit[start : start + len(block)] = np.where(off, scaled / length, block)
    return unit


def outcome_arrays(
    tasks: Tasks, outcomes: Outcomes, min_models: int = 2
) -> tuple[list[str], Floats, Floats, Floats]:
    """Check every rule on outcomes and lay them out.

    Args:
        tasks: Tasks that passed `check_tasks`.
        outcomes: Their outcomes.
        min_models: Models that there must be; 1 where nothing is learned from the table alone.

    Returns:
        Sorted model names, then score, cost in USD and latency in seconds, each (tasks, models)
        with NaN for holes and unknowns.

    Raises:
        TableError: there are no outcomes, too few models, a model without outcomes or with a
            name that breaks a rule, a value out of range, or two outcomes of one task and model
            that differ.
    """
    source = outcomes.source
    if not len(outcomes.rows):
        raise source.error("holds no outcomes", "give every task at least one scored model")
    model_rows = np.full(len(outcomes.models), -1, dtype=np.int64)
    model_rows[outcomes.model[::-1]] = outcomes.rows[::-1]
    check_models(outcomes.models, model_rows.tolist(), source, "model")
    for name, row in zip(outcomes.models, model_rows.tolist(), strict=True):
        if row < 0:
            raise source.error(
                f"model {shown(name)} has no outcomes",
                "leave it out or add its outcomes",
                column="model",
            )

    def of(entry: int) -> str:
        task, model = outcomes.task[entry], outcomes.model[entry]
        return f"task {shown(tasks.ids[task])}, model {shown(outcomes.models[model])}"

    _check_ranges(outcomes, of)
    _check_repeats(outcomes, len(tasks.ids), of)
    if len(outcomes.models) < min_models:
        raise source.error(
            f"found outcomes of one model only, {shown(outcomes.models[0])}",
            "add those of a second model: there is nothing to route between",
            column="model",
        )

    # Sorted, so that the order of rows in a file never changes an artifact.
    order = sorted(range(len(outcomes.models)), key=outcomes.models.__getitem__)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    arrays = []
    for values in (outcomes.score, outcomes.cost_usd, outcomes.latency_s):
        array = np.full((len(tasks.ids), len(order)), np.nan)
        array[outcomes.task, place[outcomes.model]] = values
        arrays.append(array)
    return [outcomes.models[index] for index in order], arrays[0], arrays[1], arrays[2]


def _check_ranges(outcomes: Outcomes, of: Callable[[int], str]) -> None:
    # Written so that NaN fails the test for scores, and passes as unknown for the other two.
    score_bad = ~((outcomes.score >= 0.0) & (outcomes.score <= 1.0))
    checks = [
        ("score", outcomes.score, score_bad, "a score is a number in 0..1; leave out the outcome")
    ]
    for column, values in (("cost_usd", outcomes.cost_usd), ("latency_s", outcomes.latency_s)):
        bad = (values < 0.0) | np.isinf(values)
        checks.append(
            (column, values, bad, f"a {column} is finite and not negative; leave it empty")
        )
    for column, values, bad, remedy in checks:
        rows = np.flatnonzero(bad)
        if rows.size:
            entry = int(rows[0])
            raise outcomes.source.error(
                f"found {float(values[entry])!r}",
                f"{remedy} where it is not known",
                at=int(outcomes.rows[entry]),
                column=column,
                of=of(entry),
            )


def _check_repeats(outcomes: Outcomes, n_tasks: int, of: Callable[[int], str]) -> None:
    cell = outcomes.task * len(outcomes.models) + outcomes.model
    first_of_cell = np.empty(n_tasks * len(outcomes.models), dtype=np.int64)
    first_of_cell[cell[::-1]] = np.arange(len(cell) - 1, -1, -1)
    first = first_of_cell[cell]
    for column, values in (
        ("score", outcomes.score),
        ("cost_usd", outcomes.cost_usd),
        ("latency_s", outcomes.latency_s),
    ):
        there = values[first]
        clash = np.flatnonzero((values != there) & ~(np.isnan(values) & np.isnan(there)))
        if clash.size:
            entry = int(clash[0])
            other = int(first[entry])
            raise outcomes.source.error(
                f"found {_known(values[entry])}, but {outcomes.source.unit} "
                f"{outcomes.rows[other]} has {_known(values[other])} for the same task and model",
                "keep one of the two, or their mean",
                at=int(outcomes.rows[entry]),
                column=column,
                of=of(entry),
            )


def _known(value: np.float64) -> str:
    return "nothing" if np.isnan(value) else repr(float(value))


def common_length(lengths: Ints, source: Source, rows: Ints, of: Callable[[int], str]) -> int:
    """Return the one dimension of vectors.

    Args:
        lengths: Length of each vector, -1 for an absent one, int64 (rows,).
        source: Where they were read.
        rows: Row number of each, int64 (rows,).
        of: Says what the entry at an index is about.

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
            f"found {here}, but {source.unit} {rows[other]} has one of {lengths[other]}",
            "give every task a vector of one length, or none at all",
            at=int(rows[entry]),
            column="embedding",
            of=of(entry),
        )
    return int(lengths[given[0]])
