"""Name the method that was called, where the core refuses an option that was passed on to it.

Not here: the check itself. The core knows the options, and a check before it would cost each call.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from hypernova.route_options import RouteOptions

# How an error of an unknown option begins, by whatever takes the options of a router.
_TAKER = re.compile(
    r"^(?:[\w.]+\.)?(?:Artifact|LookupEmbedder|ShadowedArtifact|Router)\.\w+\(\)"
    r"(?= got (?:an unexpected|multiple values for) )"
)
_UNKNOWN = re.compile(r" got an unexpected keyword argument '(\w+)'$")


class called:  # noqa: N801 - reads as a word in `with called("explain"):`
    """Name a method in the errors of the block, where it calls another that costs more than this.

    Args:
        method: Name of the method of `Router`.
    """

    def __init__(self, method: str) -> None:
        self._method = method

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """End the block, with the error that it raised."""
        if isinstance(error, TypeError):
            name_called(error, self._method)


def name_called(error: TypeError, method: str) -> None:
    """Change the message of an unknown option to name a method of `Router`; leave any other.

    Args:
        error: What the core raised. It is raised again, so that its traceback stays.
        method: The method's name.
    """
    message, found = _TAKER.subn(f"Router.{method}()", str(error))
    if not found:
        return
    unknown = _UNKNOWN.search(message)
    near = unknown and get_close_matches(unknown[1], RouteOptions.__annotations__, n=1)
    error.args = (f"{message}; did you mean {near[0]!r}?" if near else message,)
