"""Mixtures of bets on bounded numbers, the source of all anytime-valid statements.

Not here: the statements (see ``sequences``, ``estimate_checks``, ``changes`` and ``gains``).

Let ``u`` be numbers in 0..1 that arrive one after the other, ``mu`` the mean of each given all
that came before, and ``m`` the mean of the ``mu`` so far. A *tilt* ``a`` above -1 multiplies its
wealth by ``(1 + a u) / (1 + a mu)`` at each number. The game is fair, so that the expected wealth
stays 1: it is the bet ``1 + b (u - mu)`` of Waudby-Smith and Ramdas 2024, with
``b = a / (1 + a mu)``. The logarithm is concave, so that the denominators of ``n`` numbers
multiply to ``(1 + a m)^n`` at most: whatever the ``mu`` were and however they drifted,
``prod(1 + a u) / (1 + a m)^n`` is at most the wealth. So is its average over a fixed set of tilts
(the method of mixtures: Robbins 1970, Howard et al. 2021), an *e-process*. By Ville's inequality
it ever reaches ``1 / level`` with a probability of at most ``level``.

The exponent ``log(1 + a)`` of a tilt is a change of the log-odds for numbers that are 0 or 1. It is
set on a grid in powers of two, so that for any number of outcomes and any variance one of the bets
is within a factor of 1.5 of the best one. The state is one sum for each tilt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hypernova.errors import MonitorError
from hypernova.numeric import is_number

if TYPE_CHECKING:
    from collections.abc import Sized

    from numpy.typing import ArrayLike

    from hypernova.numeric import Floats, Ints

# Numbers worked on at a time: with all tilts, 1.4 MB.
CHUNK = 8192
# Exponents of the tilts for means: the least bounds the precision for many numbers, the greatest
# bets nearly all.
SMALLEST, DOUBLINGS = 0.005, 11
# Points of each round of the search for an end of an interval: 32^6 parts of the range.
POINTS, ROUNDS = 33, 6


def tilt_grid(smallest: float = SMALLEST, doublings: int = DOUBLINGS) -> Floats:
    """Make tilts of both signs whose exponents double.

    Args:
        smallest: Least exponent, above 0.
        doublings: Number of tilts of each sign.

    Returns:
        (2 * doublings,) tilts; those of drops (negative) first.

    Example:
        >>> tilt_grid(math.log(2), 1)
        array([-0.5,  1. ])
    """
    exponents = smallest * 2.0 ** np.arange(doublings)
    tilts: Floats = np.expm1(np.concatenate([-exponents, exponents]))
    return tilts


def log_sums(u: Floats, tilts: Floats) -> Floats:
    """Compute the logarithm of ``prod(1 + a u)`` for each tilt.

    Args:
        u: (n,) numbers in 0..1.
        tilts: (tilts,) above -1.

    Returns:
        (tilts,); 0 for no numbers.
    """
    total = np.zeros(len(tilts))
    for start in range(0, len(u), CHUNK):
        total += np.log1p(np.outer(tilts, u[start : start + CHUNK])).sum(axis=1)
    return total


def log_wealth(sums: Floats, n: Ints, mean: Floats, tilts: Floats) -> Floats:
    """Compute the logarithm of the mixture of all tilts' wealth against a mean.

    Args:
        sums: (..., tilts) the result of `log_sums`.
        n: (...) number of numbers behind each.
        mean: (..., tilts) the mean, 0..1, that each tilt bets against; or (..., 1) for all alike.
        tilts: (tilts,).

    Returns:
        (...) logarithm of the e-value; 0 for no numbers.
    """
    each = sums - n[..., None] * np.log1p(tilts * mean)
    highest = each.max(axis=-1)
    total: Floats = highest + np.log(np.exp(each - highest[..., None]).mean(axis=-1))
    return total


def mean_intervals(
    sums: Floats, n: Ints, mean: Floats, tilts: Floats, log_level: Floats | float
) -> tuple[Floats, Floats]:
    """Find the means that no mixture of bets refutes.

    The wealth is a convex function of the mean that it is taken against, and at most 1 at the mean
    of the numbers themselves, so that these means are an interval.

    Args:
        sums: (groups, tilts) the results of `log_sums`.
        n: (groups,) number of numbers of each.
        mean: (groups,) their mean, 0..1; of no numbers, any.
        tilts: (tilts,).
        log_level: Logarithm of the probability that an interval is ever wrong; (groups,) or one.

    Returns:
        The lower and the upper ends, (groups,) each, rounded outwards.
    """
    part = np.linspace(0.0, 1.0, POINTS)
    ends = []
    for extreme in (0.0, 1.0):
        # `outer` is refuted or the end of the range; `inner` is not refuted.
        outer, inner = np.full(len(n), extreme), np.array(mean, dtype=np.float64)
        for _ in range(ROUNDS):
            points = outer[:, None] + (inner - outer)[:, None] * part
            points[:, -1] = inner
            wealth = log_wealth(sums[:, None], n[:, None], points[..., None], tilts)
            held = wealth < -np.reshape(log_level, (-1, 1))
            held[:, -1] = True
            first = held.argmax(axis=1)
            rows = np.arange(len(n))
            outer, inner = points[rows, np.maximum(first - 1, 0)], points[rows, first]
        ends.append(outer)
    return ends[0], ends[1]


def check_level(level: object) -> float:
    """Return a probability of error as a float.

    Raises:
        MonitorError: It is no number between 0 and 1, both excluded.
    """
    return check_number(level, "level", 0.0, 1.0, ends=False)


def check_number(value: object, name: str, low: float, high: float, *, ends: bool = True) -> float:
    """Return an argument as a float.

    Args:
        value: The argument.
        name: Its name, for the message.
        low: Least value.
        high: Greatest value.
        ends: Whether it may equal them.

    Raises:
        MonitorError: It is no number, or out of range.
    """
    if is_number(value):
        number = float(value)  # type: ignore[arg-type]
        if (low <= number <= high) if ends else (low < number < high):
            return number
    within = f"from {low:g} to {high:g}" if ends else f"between {low:g} and {high:g}"
    raise MonitorError(f"{name} is {value!r}; expected a number {within}")


def check_numbers(values: ArrayLike, name: str, low: float, high: float) -> Floats:
    """Return a sequence of numbers as float64 (n,).

    Args:
        values: The sequence.
        name: Its name, for the message.
        low: Least value, included.
        high: Greatest value, included.

    Raises:
        MonitorError: It is no sequence of numbers, or one of them is NaN or out of range.
    """
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise MonitorError(f"{name} is no sequence of numbers") from None
    if numbers.ndim != 1:
        raise MonitorError(f"{name} has {numbers.ndim} dimensions; expected 1")
    wrong = ~((numbers >= low) & (numbers <= high))
    if wrong.any():
        place = int(wrong.argmax())
        raise MonitorError(
            f"{name}[{place}] is {numbers[place]:g}; expected a number from {low:g} to {high:g}"
        )
    return numbers


def check_lengths(**columns: Sized) -> None:
    """Check that columns have one length.

    Raises:
        MonitorError: They differ.
    """
    if len({len(column) for column in columns.values()}) > 1:
        found = ", ".join(f"{len(column)} {name}" for name, column in columns.items())
        raise MonitorError(f"lengths differ: {found}")


def check_range(low: object, high: object) -> tuple[float, float]:
    """Return the ends of a range as floats.

    Raises:
        MonitorError: They are no finite numbers, or the first is not below the second.
    """
    limit = 1e300
    ends = check_number(low, "low", -limit, limit), check_number(high, "high", -limit, limit)
    if not ends[0] < ends[1] or not math.isfinite(ends[1] - ends[0]):
        raise MonitorError(f"low is {ends[0]:g} and high {ends[1]:g}; expected low below high")
    return ends
