"""Keep the prices of a file that an artifact can use.

Not here: the file (see ``hypernova.prices``), or the cost that follows from a price, which the core
computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.prices import Price, Prices


class UsablePrices(NamedTuple):
    """The prices that an artifact can use.

    Attributes:
        prices: For the route option ``prices``.
        without_tokens: Models of the artifact with a price for tokens, whose tokens it does not
            know.
    """

    prices: dict[str, Price]
    without_tokens: tuple[str, ...]


def usable_prices(artifact: Artifact, prices: Prices) -> UsablePrices:
    """Keep the prices of an artifact's models, and those for tokens where it knows tokens.

    Args:
        artifact: Its other models keep the costs of their profiles.
        prices: Of `hypernova.read_prices`; those of other models are left out.
    """
    of_models = {model: prices[model] for model in artifact.models if model in prices}
    tokens = artifact.token_profiles
    unknown = []
    for place, model in enumerate(artifact.models):
        if isinstance(of_models.get(model), tuple):
            whole = () if tokens is None else (tokens["input"][-1], tokens["output"][-1])
            if not whole or any(row[place] != row[place] for row in whole):  # NaN
                unknown.append(model)
                del of_models[model]
    return UsablePrices(of_models, tuple(unknown))
