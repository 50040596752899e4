"""`TableArrays`: the arrays of an outcome table in memory, and tables derived from them.

Not here: reading and writing (`outcome_table`), and the rules that the arrays keep (`checks`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hypernova.table.arrays import check_rows
from hypernova.table.columns import (
    OUTCOME_NUMBERS,
    TOKENS,
    is_single,
    is_unknown,
    picked,
    single,
    unknown,
)
from hypernova.table.notes import table_notes
from hypernova.table.pricing import check_prices, costs_of, count_priced
from hypernova.table.repeats import Repeats
from hypernova.table.source import quoted

if TYPE_CHECKING:
    import numpy.typing as npt

    from hypernova.prices import Prices
    from hypernova.table.columns import Floats, Ints, Vectors


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TableArrays:
    """The arrays of a table; `OutcomeTable` describes them."""

    task_ids: tuple[str, ...]
    prompts: tuple[str, ...]
    groups: tuple[str | None, ...]
    models: tuple[str, ...]
    score: Floats
    cost_usd: Floats
    latency_s: Floats
    embedding: Vectors | None = None
    name: str = "table"
    embedding_origin: str | None = None
    input_tokens: Floats = field(default_factory=lambda: unknown(0))
    output_tokens: Floats = field(default_factory=lambda: unknown(0))
    n: Floats = field(default_factory=lambda: single(0))

    def __post_init__(self) -> None:
        for name in TOKENS:
            array = getattr(self, name)
            if array.ndim == 1 or is_unknown(array):
                object.__setattr__(self, name, unknown(self.score.shape))
        if self.n.ndim == 1 or is_single(self.n):
            object.__setattr__(self, "n", single(self.score.shape))
        for name in (*OUTCOME_NUMBERS, "embedding"):
            array = getattr(self, name)
            if array is not None:
                array.setflags(write=False)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        # Through the constructor, because unpickled and copied arrays are writable again.
        values = {of.name: getattr(self, of.name) for of in fields(self)}
        values |= {name: unknown(0) for name in TOKENS if is_unknown(values[name])}
        values |= {"n": single(0)} if is_single(self.n) else {}
        return type(self), tuple(values.values())

    def __repr__(self) -> str:
        vectors = "" if self.embedding is None else f", embedding of {self.embedding.shape[1]}"
        return (
            f"<{type(self).__name__} {quoted(self.name)}: {self.n_tasks} tasks x "
            f"{self.n_models} models, {self.n_outcomes} outcomes{vectors}>"
        )

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return len(self.task_ids)

    @property
    def n_models(self) -> int:
        """Number of models."""
        return len(self.models)

    @property
    def n_outcomes(self) -> int:
        """Number of outcomes: pairs of task and model that are no hole."""
        return int(np.count_nonzero(~np.isnan(self.score)))

    @property
    def has_tokens(self) -> bool:
        """Whether tokens of an outcome are known, in or out."""
        tokens = (getattr(self, name) for name in TOKENS)
        return any(not is_unknown(array) and not np.isnan(array).all() for array in tokens)

    @property
    def has_repeats(self) -> bool:
        """Whether an outcome has others behind it."""
        return not is_single(self.n) and bool((self.n > 1.0).any())

    @property
    def repeats(self) -> Repeats:
        """How many outcomes have others behind them."""
        return Repeats.of(self.score, self.n)

    @property
    def embedding_dim(self) -> int | None:
        """Length of the vectors, or None without vectors."""
        return None if self.embedding is None else self.embedding.shape[1]

    def prompt_groups(self) -> Ints:
        """Number the distinct prompts.

        Equal prompts belong in one fold: no prompt may be both trained on and tested on.

        Returns:
            int64 (tasks,): equal exactly where the prompt text is equal, counted from 0 in order
            of appearance.
        """
        number: dict[str, int] = {}
        return np.array(
            [number.setdefault(prompt, len(number)) for prompt in self.prompts], dtype=np.int64
        )

    def prompt_chars(self) -> Ints:
        """Return the number of characters (code points) of each prompt, int64 (tasks,)."""
        return np.fromiter(map(len, self.prompts), dtype=np.int64, count=self.n_tasks)

    def notes(self) -> list[str]:
        """Look for signs that the table is not what its rows say.

        Notes are about models that hardly agree with the others on which tasks are hard (rows out
        of order), models with identical scores, constant models, scores that look like percentages,
        costs about a thousand times off, and groups that one model alone was tried on. `fit` and
        `evaluate` look at them too. docs/tables.md has the rules and how often they are right.

        Returns:
            A line for each kind that is found: what and where, with its number, and what to do.
            Agreement and costs are looked at on 8,192 tasks of a larger table.

        Example:
            >>> table.notes()  # doctest: +SKIP
            []
        """
        return table_notes(self.models, self.groups, self.score, self.cost_usd)

    def subset(self, rows: npt.NDArray[np.integer]) -> Self:
        """Return the table of some tasks. All models stay, with or without outcomes.

        Args:
            rows: Indices of tasks, integers (n,) in 0..n_tasks-1, in the order of the result.

        Raises:
            TableError: `rows` is not one-dimensional, not of integers, or out of range.
        """
        rows = check_rows(self.name, rows, self.n_tasks)
        places = rows.tolist()
        return type(self)(
            task_ids=tuple(self.task_ids[row] for row in places),
            prompts=tuple(self.prompts[row] for row in places),
            groups=tuple(self.groups[row] for row in places),
            models=self.models,
            **{name: picked(getattr(self, name), rows) for name in OUTCOME_NUMBERS},
            embedding=None if self.embedding is None else self.embedding[rows],
            name=self.name,
            embedding_origin=self.embedding_origin,
        )

    def priced(self, prices: Prices) -> Self:
        """Return a copy whose costs are computed from tokens and prices.

        Args:
            prices: By model, USD per million tokens in and out, or USD per task. Models without a
                price keep the cost that they have; an outcome without tokens, in or out, has an
                unknown cost.

        Raises:
            PriceError: a price is no number from 0 to 1e12, or names no model of the table.

        Example:
            >>> table = table.priced({"large": (2.0, 8.0), "small": 0.001})  # doctest: +SKIP
        """
        cost = self.cost_usd.copy()
        for model, price in check_prices(prices, self.name, self.models).items():
            m = self.models.index(model)
            columns = (self.score, self.input_tokens, self.output_tokens)
            cost[:, m] = costs_of(price, *(column[:, m] for column in columns))
        return replace(self, cost_usd=cost)

    def with_missing_costs(self, prices: Prices) -> Self:
        """Return a copy whose unknown costs are computed from tokens and prices.

        Args:
            prices: As in `priced`. A known cost stays as it is, 0 too; an outcome without tokens,
                in or out, stays without a cost under a price per token.

        Raises:
            PriceError: As in `priced`.

        Example:
            >>> table = table.with_missing_costs({"large": (2.0, 8.0)})  # doctest: +SKIP
        """
        known = ~np.isnan(self.cost_usd)
        return replace(self, cost_usd=np.where(known, self.cost_usd, self.priced(prices).cost_usd))

    def count_priced(self, prices: Prices) -> int:
        """Count the outcomes whose cost `priced` computes."""
        tokens = ~np.isnan(self.input_tokens + self.output_tokens) & ~np.isnan(self.score)
        counts = np.count_nonzero(~np.isnan(self.score), axis=0), tokens.sum(axis=0)
        of_model, with_tokens = (dict(zip(self.models, n.tolist(), strict=True)) for n in counts)
        return count_priced(check_prices(prices, self.name, self.models), of_model, with_tokens)
