"""Cost and latency of each model against the profile.

Not here: prices; what was expected is logged with the decision, else it is the profile's.

Costs have no upper bound, and an interval that holds at every look needs one. So each outcome
counts up to ten times what was expected of it: a mean ratio above 1 is proven all the more without
the bound, and one below 1 up to what rare answers of more than ten times the cost would add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.monitoring.report_fields import AmountRow
from hypernova.monitoring.sequences import MeanSequence
from hypernova.report_values import Interval

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.monitoring.observations import Columns

MAX_RATIO = 10.0
# Mean ratios from 1 / (1 + tolerance) to 1 + tolerance are as in the profile.
TOLERANCE = {"cost": 0.25, "latency": 0.5}


def amounts(
    artifact: Artifact, outcomes: Columns, kind: str, level: float
) -> tuple[AmountRow, ...]:
    """Compare costs or latencies with what was expected.

    Args:
        artifact: The artifact.
        outcomes: Of its own decisions.
        kind: ``"cost"`` or ``"latency"``.
        level: Of all rows together.

    Returns:
        A row of each model with known amounts, the most frequent first.
    """
    expected, observed = outcomes[f"expected_{kind}"], outcomes[kind]
    known = np.isfinite(expected) & np.isfinite(observed) & (expected > 0.0)
    allowed = 1.0 + TOLERANCE[kind]
    rows = []
    for model, name in enumerate(artifact.models):
        mine = known & (outcomes["model"] == model)
        n = int(mine.sum())
        if not n:
            continue
        due = expected[mine].astype(np.float64)
        came = observed[mine].astype(np.float64)
        ratio = np.minimum(came / due, MAX_RATIO)
        sequence = MeanSequence(low=0.0, high=MAX_RATIO, level=level / artifact.n_models)
        sequence.add(ratio)
        ci = Interval(*sequence.interval())
        rows.append(
            AmountRow(
                model=name,
                n=n,
                expected=float(due.mean()),
                observed=float(came.mean()),
                ratio=float(ratio.mean()),
                ci=ci,
                off=ci.low > allowed or ci.high < 1.0 / allowed,
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.n))
