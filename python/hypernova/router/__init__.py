"""Serving: from a text, a conversation or a vector to a decision.

Not here: training, of which serving imports nothing.
"""

from hypernova.router.conversation import turns_of
from hypernova.router.explanation import Explanation, ModelEstimate, NearCluster, ReadText
from hypernova.router.options import RouteOptions
from hypernova.router.router import BUNDLED_ARTIFACT, Router

__all__ = [
    "BUNDLED_ARTIFACT",
    "Explanation",
    "ModelEstimate",
    "NearCluster",
    "ReadText",
    "RouteOptions",
    "Router",
    "turns_of",
]
