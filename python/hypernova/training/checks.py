"""The options that fitting and judging share, checked before any work is done.

Not here: what a table must hold (see `hypernova.training.trainer`).
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import TYPE_CHECKING, Literal

from hypernova.embedder.text.cut import is_blank
from hypernova.numeric import to_float
from hypernova.table import OutcomeTable
from hypernova.table.source import shown

if TYPE_CHECKING:
    from hypernova.errors import HypernovaError


def check_table(table: object, error: type[HypernovaError]) -> None:
    """Refuse what is no table, such as the path of one."""
    if not isinstance(table, OutcomeTable):
        raise error(
            f"table is {shown(table)}; expected an OutcomeTable: OutcomeTable.read(path) makes one"
        )


def check_count(
    name: str, value: object, least: int, error: type[HypernovaError], most: int | None = None
) -> int:
    """Refuse what is no whole number in the range; a truth value is none.

    Returns:
        The number, of Python's own type: metadata and reports are written as JSON.
    """
    if (
        not isinstance(value, Integral)
        or isinstance(value, bool)
        or int(value) < least
        or (most is not None and int(value) > most)
    ):
        span = f"from {least}" if most is None else f"from {least} to {most:,}"
        raise error(f"{name} is {shown(value)}; expected a whole number {span}")
    return int(value)


def check_number(
    name: str,
    value: object,
    error: type[HypernovaError],
    least: float = 0.0,
    most: float | None = None,
) -> float:
    """Refuse what is no finite number in the range; a truth value is none.

    Returns:
        The number, of Python's own type.
    """
    try:
        number = to_float(value)
    except TypeError:
        number = math.nan
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if not (math.isfinite(number) and number >= least and (most is None or number <= most)):
        span = f"a finite number, at least {least:g}"
        if most is not None:
            span = f"a number from {least:g} to {most:g}"
        raise error(f"{name} is {shown(value)}; expected {span}")
    return number


def check_clusters(clusters: object, error: type[HypernovaError]) -> int | Literal["auto"]:
    """Refuse what is neither ``"auto"`` nor a whole number from 1, and return it."""
    if isinstance(clusters, str) and clusters == "auto":
        return "auto"
    if not isinstance(clusters, Integral) or isinstance(clusters, bool) or clusters < 1:
        raise error(f'clusters is {shown(clusters)}; expected a whole number from 1, or "auto"')
    return int(clusters)


def check_structure(structure: object, error: type[HypernovaError]) -> None:
    """Refuse what is no sequence of prompts; the letters of one text would pass for prompts."""
    if structure is None:
        return
    if isinstance(structure, str | bytes) or not hasattr(structure, "__len__"):
        raise error(
            f"structure is {shown(structure)}; expected a sequence of prompts: "
            "hypernova.table.read_prompts(path) reads some"
        )
    for index, prompt in enumerate(structure):  # type: ignore[arg-type, var-annotated]
        if not isinstance(prompt, str) or is_blank(prompt):
            raise error(f"structure holds {shown(prompt)} at index {index}; expected a text")
