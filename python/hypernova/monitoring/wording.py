"""Figures as words, in the verdict and in the terminal.

Not here: figures of the page (see ``html``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.report_values import Interval


def points(gain: float | None) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    if gain is None or math.isnan(gain):
        return "unknown"
    text = f"{100 * gain:+.1f}"
    return "0.0" if float(text) == 0.0 else text


def interval(ci: Interval) -> str:
    """Write an interval of differences in percentage points."""
    return f"{points(ci.low)} to {points(ci.high)}"


def percent(share: float | None) -> str:
    """Write a share in per cent."""
    return "unknown" if share is None or math.isnan(share) else f"{100 * share:.1f}%"


def percents(ci: Interval) -> str:
    """Write an interval of shares in per cent."""
    return f"{100 * ci.low:.1f} to {100 * ci.high:.1f}%"


def words_of_cluster(words: Sequence[str]) -> str:
    """Write the first distinctive words of a cluster in brackets; nothing without any."""
    return f" ({', '.join(words[:3])})" if words else ""


def round_up(n: int) -> int:
    """Round a number up to two digits: an estimate has no more."""
    step = int(10 ** max(len(str(n)) - 2, 0))
    return -(-n // step) * step
