"""Prices of a file, for requests that have none of their own.

Not here: the cost that follows from a price, which the core computes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hypernova.artifact.usable_prices import usable_prices
from hypernova.errors import HypernovaError
from hypernova.prices import read_prices

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova import Artifact
    from hypernova.prices import Price

_log = logging.getLogger("hypernova.server")


class PriceFile:
    """A file of prices, read at the start and when the artifact is opened again.

    Args:
        path: As `hypernova.read_prices` takes it.

    Raises:
        HypernovaError: The file cannot be read, or a price is malformed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._prices = read_prices(path)
        # With the artifact and the prices that they are of: any thread may replace either.
        self._usable: tuple[Artifact | None, object, dict[str, Any]] = None, None, {}

    def read_again(self) -> None:
        """Read the file again; one that cannot be read leaves the prices as they are."""
        try:
            self._prices = read_prices(self._path)
        except HypernovaError as error:
            _log.error("the prices stay as they were: %s", error)

    def of(self, models: Sequence[str]) -> dict[str, Price]:
        """Return the prices of some models, those that have one."""
        return {model: self._prices[model] for model in models if model in self._prices}

    def replace(self, prices: dict[str, Price]) -> None:
        """Take other prices, which were read elsewhere."""
        self._prices = prices

    def add_to(self, options: dict[str, Any], artifact: Artifact) -> dict[str, Any]:
        """Add the prices of the artifact's models to options that have none."""
        if "prices" in options:
            return options
        given = self._prices
        found_for, found_in, prices = self._usable
        if found_for is not artifact or found_in is not given:
            usable = usable_prices(artifact, given)
            if usable.without_tokens:
                names = ", ".join(usable.without_tokens)
                _log.warning("no price, because their tokens are unknown: %s", names)
            prices = usable.prices
            self._usable = artifact, given, prices
        return {**options, "prices": prices} if prices else options
