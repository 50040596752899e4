"""Compute the costs of a table's outcomes from their tokens and prices.

Not here: files of prices (see ``hypernova.prices``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import PriceError
from hypernova.prices import checked_price
from hypernova.table.source import quoted, quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova.prices import Price, Prices
    from hypernova.table.columns import Floats


def check_prices(prices: Prices, name: str, models: Sequence[str]) -> dict[str, Price]:
    """Return the prices of models of a table, checked.

    Args:
        prices: By model.
        name: Name of the table, for messages.
        models: Its models.

    Raises:
        PriceError: A price is malformed, or names no model of the table.
    """
    where = f"table {quoted(name)}: prices"
    known = set(models)
    for model in prices:
        if model not in known:
            raise PriceError(
                f"{where} name {quoted(model)}, which has no outcomes there; leave it out: the "
                f"models are {quoted_list(models)}"
            )
    return {model: checked_price(model, price, where) for model, price in prices.items()}


def costs_of(price: Price, score: Floats, input_tokens: Floats, output_tokens: Floats) -> Floats:
    """Return the costs of a model's outcomes under its price, float64 (tasks,).

    Args:
        price: Checked price of the model.
        score: Its scores (tasks,); a hole has no cost.
        input_tokens: Tokens of the prompts (tasks,).
        output_tokens: Tokens of the answers (tasks,).
    """
    if isinstance(price, tuple):
        cost: Floats = (input_tokens * price[0] + output_tokens * price[1]) / 1e6
    else:
        cost = np.full(len(score), price)
    return np.where(np.isnan(score), np.nan, cost)


def count_priced(
    prices: Mapping[str, Price], of_model: Mapping[str, int], with_tokens: Mapping[str, int]
) -> int:
    """Count the outcomes whose cost is computed from prices.

    Args:
        prices: Checked prices.
        of_model: Number of outcomes of each model.
        with_tokens: Number of outcomes of each model whose tokens are known, in and out.
    """
    return sum(
        (with_tokens if isinstance(price, tuple) else of_model).get(model, 0)
        for model, price in prices.items()
    )
