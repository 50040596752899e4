"""What a router tells those who asked to be told of its decisions (``Router.observe``).

Not here: where that goes; `hypernova.integrations` makes metrics and spans of it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypernova._core import Decision

_log = logging.getLogger("hypernova")

Told = TypeVar("Told")


class Observed(NamedTuple):
    """One call of a router that decided.

    Attributes:
        decisions: One for a prompt or a conversation; for `hypernova.Router.route_many` as many
            as there were texts.
        started_ns: When it began, in nanoseconds since the epoch.
        embed_s: Seconds that embedding took, of all texts together.
        decide_s: Seconds that deciding from the vectors took.
    """

    decisions: tuple[Decision, ...]
    started_ns: int
    embed_s: float
    decide_s: float


class Reloaded(NamedTuple):
    """A new artifact was taken or refused.

    Attributes:
        artifact: sha256 of the artifact that decides from now on.
        refused: Why the new one was refused; None if it was taken.
    """

    artifact: str
    refused: str | None


class Begun:
    """A clock for one call."""

    def __init__(self) -> None:
        self._started_ns = time.time_ns()
        self._start = self._embedded = time.perf_counter()

    def embedded(self) -> None:
        """The vectors are there."""
        self._embedded = time.perf_counter()

    def decided(self, decisions: tuple[Decision, ...]) -> Observed:
        """The decisions are there."""
        now = time.perf_counter()
        return Observed(
            decisions, self._started_ns, self._embedded - self._start, now - self._embedded
        )


def tell(observers: Iterable[Callable[[Told], None]], told: Told) -> None:
    """Call each observer; one that raises is logged, for a decision is not lost over it."""
    for observer in observers:
        try:
            observer(told)
        except Exception:
            _log.exception("an observer raised; what it was told of stands")
