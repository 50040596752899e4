"""Serving: from a text, a conversation or a vector to a decision.

Not here: training, of which serving imports nothing.

- ``router``: `Router`
- ``lifecycle``: opening, reloading, observing and closing one
- ``serving``: an artifact with its embedder, as one request sees them
- ``shadow``: a second artifact that decides beside the first, for the log
- ``called``: the method that was called, in the error of an unknown option
- ``conversation``: the turns of a chat, and their vector
- ``lengths``: the length of each prompt, where prices are for tokens
- ``batch``: many texts in steps that leave room for other requests
- ``table``: a table of prompts in files, chunk by chunk into a file of decisions
- ``chunk_vectors``: the vectors of such a chunk
- ``table_rows``: the rows of such a file
- ``routed``: the counts of such a table
- ``explanation``: what a decision rests on, and the text of each reason
- ``watch``: a thread that reloads an artifact whose file was replaced
- ``pickling``: the state of a router in a pickle, and routers that share what was loaded
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.lazy import load_later

if TYPE_CHECKING:
    from hypernova.route_options import RouteOptions
    from hypernova.router.conversation import turns_of
    from hypernova.router.explanation import Explanation, ModelEstimate, NearCluster, ReadText
    from hypernova.router.routed import RoutedTable
    from hypernova.router.router import BUNDLED_ARTIFACT, Router

__all__ = [
    "BUNDLED_ARTIFACT",
    "Explanation",
    "ModelEstimate",
    "NearCluster",
    "ReadText",
    "RouteOptions",
    "RoutedTable",
    "Router",
    "turns_of",
]

# Where each name is.
_LATER = {
    "BUNDLED_ARTIFACT": "router",
    "Explanation": "explanation",
    "ModelEstimate": "explanation",
    "NearCluster": "explanation",
    "ReadText": "explanation",
    "RouteOptions": ".route_options",
    "RoutedTable": "routed",
    "Router": "router",
    "turns_of": "conversation",
}
__getattr__, __dir__ = load_later(__name__, __all__, _LATER)
