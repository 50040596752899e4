"""Success over time, for a drawing: parts of the log with equal numbers of outcomes.

Not here: any test. A part that sticks out may be chance; changes are found by ``calibration``.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from hypernova.monitoring.report_fields import HistoryPart
from hypernova.monitoring.sections.calibration import iso

if TYPE_CHECKING:
    from hypernova.monitoring.observations import Columns

# Parts of fewer outcomes would show noise, and more of them than this nobody can tell apart.
MIN_OUTCOMES = 100
MAX_PARTS = 24


def history(outcomes: Columns) -> tuple[HistoryPart, ...]:
    """Divide outcomes in order of arrival.

    Args:
        outcomes: Of the artifact and its ancestors.

    Returns:
        Parts from the first to the last; empty if there are fewer than two of `MIN_OUTCOMES`.
    """
    parts = min(len(outcomes) // MIN_OUTCOMES, MAX_PARTS)
    if parts < 2:
        return ()
    ends = np.linspace(0, len(outcomes), parts + 1).astype(int)
    found = []
    for start, end in itertools.pairwise(ends):
        rows = slice(int(start), int(end))
        costs = outcomes["cost"][rows]
        known = costs[np.isfinite(costs)]
        found.append(
            HistoryPart(
                since=iso(float(outcomes["time"][start])),
                until=iso(float(outcomes["time"][end - 1])),
                n=int(end - start),
                predicted=float(outcomes["success"][rows].mean(dtype=np.float64)),
                observed=float(outcomes["score"][rows].mean(dtype=np.float64)),
                cost_usd=float(known.mean(dtype=np.float64)) if len(known) else None,
            )
        )
    return tuple(found)
