"""Name the method that was called, where the core refuses an option that was passed on to it.

Not here: the check itself. The core knows the options, and a check before it would cost each call.
"""

from __future__ import annotations

from typing import NoReturn

# How an error of an unknown option begins, by whatever takes the options of a router.
_TAKER = (
    r"^(?:[\w.]+\.)?(?:Artifact|LookupEmbedder|ShadowedArtifact|Router)\.\w+\(\)"
    r"(?= got (?:an unexpected|multiple values for) )"
)
_UNKNOWN = r" got an unexpected keyword argument '(\w+)'$"


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
            _name_called(error, self._method)


def raise_as_called(error: TypeError, method: str) -> NoReturn:
    """Raise an error again, which names a method of `Router` if it is one of an unknown option.

    In an ``except`` block it costs nothing where there is no error.
    """
    _name_called(error, method)
    raise error


def _name_called(error: TypeError, method: str) -> None:
    # Only an error needs these.
    import re
    from difflib import get_close_matches

    from hypernova.route_options import RouteOptions

    message, found = re.subn(_TAKER, f"Router.{method}()", str(error))
    if not found:
        return
    unknown = re.search(_UNKNOWN, message)
    near = unknown and get_close_matches(unknown[1], RouteOptions.__annotations__, n=1)
    error.args = (f"{message}; did you mean {near[0]!r}?" if near else message,)
