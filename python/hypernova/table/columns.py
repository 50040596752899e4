"""Columns of a table, unchecked, as readers return and writers take them in every format.

Not here: the rules on what they hold (`checks`) and the formats (`formats`).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hypernova.table.source import Source, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

# The numbers of an outcome besides its score; each may be unknown. Few tables have tokens: where
# none are known their column is `unknown`, which takes no memory, and files are written without.
TOKENS = ("input_tokens", "output_tokens")
OPTIONAL_NUMBERS = ("cost_usd", "latency_s", *TOKENS)
NUMBERS = ("score", *OPTIONAL_NUMBERS)
# Costs in USD, latencies in seconds and numbers of tokens: sums and their squares stay finite.
MAX_NUMBER = 1e12
# The numbers of an outcome in a file: `n` is the number of outcomes that one stands for, 1 where it
# is not known. In a table it is 1 at least, and held only where an outcome has more behind it.
OUTCOME_NUMBERS = (*NUMBERS, "n")
# Numbers that few tables have, whose columns may be `unknown`.
SELDOM_NUMBERS = (*TOKENS, "n")


def unknown(shape: int | tuple[int, ...]) -> Floats:
    """Return NaN of a shape, float64, as a read-only view of one number."""
    return np.broadcast_to(np.float64(np.nan), shape)


def is_unknown(values: Floats) -> bool:
    """Return whether an array is one of `unknown`, without a look at all its values."""
    return not any(values.strides) and bool(np.isnan(values.flat[:1]).all())


def single(shape: int | tuple[int, ...]) -> Floats:
    """Return 1 of a shape, float64, as a read-only view of one number: no outcome is repeated."""
    return np.broadcast_to(np.float64(1.0), shape)


def is_single(values: Floats) -> bool:
    """Return whether an array is one of `single`, without a look at all its values."""
    return not any(values.strides) and bool((values.flat[:1] == 1.0).all())


def picked(values: Floats, rows: Any) -> Floats:
    """Return ``values[rows]``; of `unknown` or `single` values a view as small as they are."""
    for is_one, view in ((is_unknown, unknown), (is_single, single)):
        if is_one(values):
            # Of one byte each, to learn the shape.
            return view(np.broadcast_to(np.False_, values.shape)[rows].shape)
    found: Floats = values[rows]
    return found


def concatenated(parts: Sequence[Floats]) -> Floats:
    """Concatenate columns; those that are all `unknown`, or all `single`, stay so."""
    for is_one, view in ((is_unknown, unknown), (is_single, single)):
        if parts and all(map(is_one, parts)):
            return view((sum(map(len, parts)), *parts[0].shape[1:]))
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class EncodedColumn:
    """A text column as int64 codes (rows,) into its distinct values, in order of appearance."""

    codes: Ints
    values: list[str]

    def first_rows(self) -> Ints:
        """Return the index of the first row of each value, int64 (values,)."""
        first = np.empty(len(self.values), dtype=np.int64)
        # Of repeated indices the last assignment stands, so going backwards leaves the first row.
        first[self.codes[::-1]] = np.arange(len(self.codes) - 1, -1, -1)
        return first

    def texts(self) -> list[str]:
        """Return the text of each row."""
        return [self.values[code] for code in self.codes]


@dataclass(frozen=True, slots=True)
class TaskColumns:
    """The tasks of a table.

    Attributes:
        source: Where the tasks were read, for messages.
        rows: Row number of each task in the source, int64 (tasks,).
        ids: Task ids.
        prompts: Prompts.
        groups: Groups; None for a task without a group.
        embedding: Vectors as given, float32 or float64 (tasks, dim), or None.
    """

    source: Source
    rows: Ints
    ids: list[str]
    prompts: list[str]
    groups: list[str | None]
    embedding: npt.NDArray[np.floating] | None


@dataclass(frozen=True, slots=True)
class OutcomeColumns:
    """The outcomes of a table, one entry each; all arrays have the shape (outcomes,).

    Attributes:
        source: Where the outcomes were read, for messages.
        rows: Row number of each outcome in the source.
        task: Index into the tasks.
        model: Index into `models`.
        models: Model names in any order.
        score: Scores; valid in 0..1.
        cost_usd: Costs in USD, NaN where unknown.
        latency_s: Latencies in seconds, NaN where unknown.
        input_tokens: Tokens of the prompt, NaN where unknown; by default `unknown`.
        output_tokens: Tokens of the answer, NaN where unknown; by default `unknown`.
        n: Number of outcomes that each stands for, NaN for one; by default `unknown`.
    """

    source: Source
    rows: Ints
    task: Ints
    model: Ints
    models: list[str]
    score: Floats
    cost_usd: Floats
    latency_s: Floats
    input_tokens: Floats = field(default_factory=lambda: unknown(0))
    output_tokens: Floats = field(default_factory=lambda: unknown(0))
    n: Floats = field(default_factory=lambda: unknown(0))

    def __post_init__(self) -> None:
        for name in SELDOM_NUMBERS:
            if is_unknown(getattr(self, name)):
                object.__setattr__(self, name, unknown(len(self.score)))


class OutcomeBuilder:
    """Collect outcomes one by one, in arrays compact enough for millions."""

    def __init__(self) -> None:
        self.rows, self.task, self.model = array("q"), array("q"), array("q")
        self.values = array("d")
        self.seldom: dict[str, array[float]] = {}
        self.models: dict[str, int] = {}

    def add(self, row: int, task: int, model: str, values: Sequence[float]) -> None:
        """Append one outcome; `values` are those of `OUTCOME_NUMBERS`, or the first three."""
        self.rows.append(row)
        self.task.append(task)
        self.model.append(self.models.setdefault(model, len(self.models)))
        self.values.extend(values[:3])
        for name, number in zip(SELDOM_NUMBERS, values[3:], strict=False):
            if number == number:
                known = self.seldom.setdefault(name, array("d"))
                # Those since the last known number are unknown.
                known.extend([np.nan] * (len(self.rows) - 1 - len(known)))
                known.append(number)

    def build(self, source: Source) -> OutcomeColumns:
        """Return the collected outcomes as columns."""
        values = np.array(self.values, dtype=np.float64).reshape(-1, 3)
        for known in self.seldom.values():
            known.extend([np.nan] * (len(self.rows) - len(known)))
        return OutcomeColumns(
            source=source,
            rows=int_array(self.rows),
            task=int_array(self.task),
            model=int_array(self.model),
            models=list(self.models),
            score=values[:, 0],
            cost_usd=values[:, 1],
            latency_s=values[:, 2],
            **{name: np.array(known, dtype=np.float64) for name, known in self.seldom.items()},
        )


def tasks_of_long_format(
    source: Source,
    rows: Ints,
    ids: EncodedColumn,
    prompts: EncodedColumn,
    groups: EncodedColumn | None,
) -> TaskColumns:
    """Gather the tasks of a long format, in which every outcome repeats its task.

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
                f"found {quoted(encoded.values[encoded.codes[row]])}, but "
                f"{source.place(int(rows[other]))} has "
                f"{quoted(encoded.values[encoded.codes[other]])} for the same task_id",
                f"give one task one {column}, or two tasks two ids",
                at=int(rows[row]),
                column=column,
                of=f"task {quoted(ids.values[task])}",
            )
    return TaskColumns(
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


def int_array(values: Iterable[int]) -> Ints:
    """Return integers as an int64 array."""
    return np.fromiter(values, dtype=np.int64)
