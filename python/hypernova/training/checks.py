"""Check the arguments that fitting and evaluation share, before any work is done.

Not here: whether a table is large enough (see ``hypernova.training.trainer``).
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import TYPE_CHECKING, Literal

from hypernova._core import is_blank
from hypernova.numeric import to_float
from hypernova.table import OutcomeTable, ScannedTable
from hypernova.table.source import quoted

if TYPE_CHECKING:
    from hypernova.errors import HypernovaError


def check_table(table: object, error: type[HypernovaError], *, scanned: bool = False) -> None:
    """Refuse an object that is no table, such as the path of one.

    Args:
        table: A table, as the caller gives it.
        error: The exception.
        scanned: Whether a table that is not held in memory will do.
    """
    if scanned and isinstance(table, ScannedTable):
        return
    if isinstance(table, ScannedTable):
        raise error(f"table is {quoted(table)}; expected an OutcomeTable: its read() makes one")
    if not isinstance(table, OutcomeTable):
        raise error(
            f"table is {quoted(table)}; expected an OutcomeTable: OutcomeTable.read(path) makes one"
        )


def check_count(
    name: str, value: object, minimum: int, error: type[HypernovaError], maximum: int | None = None
) -> int:
    """Refuse a value that is no whole number in the range; a bool is none.

    Returns:
        The number as an ``int``, which JSON can hold, unlike NumPy's.
    """
    if (
        not isinstance(value, Integral)
        or isinstance(value, bool)
        or int(value) < minimum
        or (maximum is not None and int(value) > maximum)
    ):
        span = f"from {minimum}" if maximum is None else f"from {minimum} to {maximum:,}"
        raise error(f"{name} is {quoted(value)}; expected a whole number {span}")
    return int(value)


def check_number(
    name: str,
    value: object,
    error: type[HypernovaError],
    minimum: float = 0.0,
    maximum: float | None = None,
) -> float:
    """Refuse a value that is no finite number in the range; a bool is none.

    Returns:
        The number as a ``float``, which JSON can hold, unlike NumPy's.
    """
    try:
        number = to_float(value)
    except TypeError:
        number = math.nan
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if not (math.isfinite(number) and number >= minimum and (maximum is None or number <= maximum)):
        span = f"a finite number, at least {minimum:g}"
        if maximum is not None:
            span = f"a number from {minimum:g} to {maximum:g}"
        raise error(f"{name} is {quoted(value)}; expected {span}")
    return number


def check_clusters(clusters: object, error: type[HypernovaError]) -> int | Literal["auto"]:
    """Return ``"auto"`` or a whole number from 1; refuse any other value."""
    if isinstance(clusters, str) and clusters == "auto":
        return "auto"
    if not isinstance(clusters, Integral) or isinstance(clusters, bool) or clusters < 1:
        raise error(f'clusters is {quoted(clusters)}; expected a whole number from 1, or "auto"')
    return int(clusters)


def check_cluster_prompts(prompts: object, error: type[HypernovaError]) -> None:
    """Refuse a value that is neither None nor a sequence of prompts.

    A single text is refused too: its letters would pass for prompts.
    """
    if prompts is None:
        return
    if isinstance(prompts, str | bytes) or not hasattr(prompts, "__len__"):
        raise error(
            f"cluster_prompts is {quoted(prompts)}; expected a sequence of prompts: "
            "hypernova.table.read_prompts(path) reads some"
        )
    for index, prompt in enumerate(prompts):  # type: ignore[arg-type, var-annotated]
        if not isinstance(prompt, str) or is_blank(prompt):
            raise error(f"cluster_prompts holds {quoted(prompt)} at index {index}; expected a text")
