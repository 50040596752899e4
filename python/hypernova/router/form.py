"""A decision as plain values, for JSON and logs.

Not here: how it is encoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypernova._core import Decision


def as_dict(decision: Decision) -> dict[str, Any]:
    """Give all that a decision says, its ranking as a list of dicts.

    Example:
        >>> import hypernova
        >>> from hypernova.router import as_dict
        >>> said = as_dict(hypernova.Router.open().route("Fix the race in the scheduler"))
        >>> said["ranking"][0]["model"] == said["model"]
        True
    """
    return {
        "model": decision.model,
        "reason": decision.reason,
        "cluster": decision.cluster,
        "distance": decision.distance,
        "novelty": decision.novelty,
        "ranking": [
            {
                "model": entry.model,
                "success": entry.success,
                "cost_usd": entry.cost_usd,
                "latency_s": entry.latency_s,
                "n": entry.n,
                "utility": entry.utility,
            }
            for entry in decision.ranking
        ],
        "artifact": decision.artifact,
        "id": decision.id,
        "propensity": decision.propensity,
    }
