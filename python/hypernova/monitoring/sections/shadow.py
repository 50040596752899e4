"""A shadow artifact beside the one that answered: agreement, and what it would have gained.

Not here: deciding with both (see ``hypernova.router``), or comparing two artifacts without a log
of both (``hypernova diff``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.monitoring.observations import count_by
from hypernova.monitoring.report_fields import ShadowComparison
from hypernova.monitoring.sections.routing_gain import compare
from hypernova.report_values import Interval

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.monitoring.observations import Observations
    from hypernova.numeric import Floats

# A log has one at a time, and a damaged one may name any number.
MAX_SHADOWS = 5


def shadow_comparisons(
    artifact: Artifact, seen: Observations, level: float
) -> tuple[ShadowComparison, ...]:
    """Compare each shadow of the log with the artifact, the one with most decisions first.

    Args:
        artifact: The artifact that answered.
        seen: Observations of the log.
        level: Of each interval.
    """
    of_shadow = seen.decisions.where(
        (seen.decisions["shadow"] >= 0) & (seen.decisions["artifact"] == 0)
    )
    counts = count_by(of_shadow["shadow"], len(seen.shadows))
    most = sorted(range(len(counts)), key=lambda at: (-counts[at], at))[:MAX_SHADOWS]
    return tuple(_comparison(artifact, seen, at, level) for at in most if counts[at])


def _comparison(
    artifact: Artifact, seen: Observations, shadow: int, level: float
) -> ShadowComparison:
    decisions = seen.decisions.where(
        (seen.decisions["shadow"] == shadow) & (seen.decisions["artifact"] == 0)
    )
    own = seen.of_artifact()
    outcomes = own.where(
        (own["shadow"] == shadow) & (own["shadow_model"] >= 0) & (own["fallback"] == 0)
    )
    same = outcomes["model"] == outcomes["shadow_model"]
    scores = outcomes["score"][same]
    # A model that the router does not have is never drawn: nothing tells its score.
    there = (outcomes["shadow_model"] >= 0) & (outcomes["shadow_model"] < artifact.n_models)
    there &= np.isfinite(outcomes["shadow_success"])
    rows = outcomes.where(there)
    figure = compare(rows, rows["model"] == rows["shadow_model"], rows["shadow_success"], level)
    # Of a model that was drawn nothing says what the router would have taken.
    decided = decisions.where(decisions["shadow_model"] >= 0)
    chosen = decided.where(decided["explored"] == 0)
    agreed = chosen["model"] == chosen["shadow_model"]
    return ShadowComparison(
        sha256=seen.shadows[shadow],
        decisions=len(decisions),
        failed=len(decisions) - len(decided),
        same=float(agreed.mean()) if len(chosen) else None,
        expected_gain=_mean(chosen["shadow_success"] - chosen["success"]),
        expected_cost=_relative(chosen["shadow_cost"], chosen["cost"]),
        unknown_models=int((~there).sum()),
        same_n=len(scores),
        same_score=_mean(scores),
        known=figure.known,
        # The figure is of the router over the shadow.
        gain=-figure.gain if figure.known else None,
        ci=Interval(-figure.high, -figure.low) if figure.known else None,
        n=figure.n,
    )


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)].astype(np.float64)
    return float(known.mean()) if len(known) else None


def _relative(shadow: Floats, router: Floats) -> float | None:
    """Compute how much more the shadow's choices are expected to cost; None if unknown."""
    known = np.isfinite(shadow) & np.isfinite(router)
    cost = float(router[known].sum(dtype=np.float64))
    return float(shadow[known].sum(dtype=np.float64)) / cost - 1.0 if cost > 0.0 else None
