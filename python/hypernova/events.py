"""Events of a router, the observers that receive them, and the clock that times decisions.

Not here: metrics and spans; `hypernova.integrations` makes them of events.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hypernova.forked import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from logging import Logger

    from hypernova._core import Decision

Event = TypeVar("Event")


class DecisionEvent(NamedTuple):
    """One call of a router that decided.

    Attributes:
        decisions: One for `hypernova.Router.route` and ``aroute``; one for each text of
            ``route_many``.
        started_ns: Start of the call, in nanoseconds since the epoch.
        embed_s: Seconds that embedding took, of all texts together.
        decide_s: Seconds that deciding from the vectors took.
    """

    decisions: tuple[Decision, ...]
    started_ns: int
    embed_s: float
    decide_s: float


class ReloadEvent(NamedTuple):
    """A new artifact was taken or refused.

    Attributes:
        artifact: sha256 of the artifact that decides from now on.
        refused: Why the new one was refused; None if it was taken.
    """

    artifact: str
    refused: str | None


class Stopwatch:
    """Times one call, which embeds and then decides; it starts when it is made."""

    def __init__(self) -> None:
        self._started_ns = time.time_ns()
        self._start = self._embedded = time.perf_counter()

    def embedded(self) -> None:
        """Note the end of embedding."""
        self._embedded = time.perf_counter()

    def decided(self, decisions: tuple[Decision, ...]) -> DecisionEvent:
        """Return the event of a call that has just decided."""
        now = time.perf_counter()
        return DecisionEvent(
            decisions, self._started_ns, self._embedded - self._start, now - self._embedded
        )


class Observers:
    """The callbacks of one router. Safe to share among threads.

    Attributes:
        on_decision: Called with each `DecisionEvent`; a tuple that is replaced, never changed, so
            that a running call goes on with those that it began with.
        on_reload: Called with each `ReloadEvent`; likewise.
    """

    def __init__(self) -> None:
        self.on_decision: tuple[Callable[[DecisionEvent], None], ...] = ()
        self.on_reload: tuple[Callable[[ReloadEvent], None], ...] = ()
        self._lock = ForkSafeLock()

    def add(
        self,
        on_decision: Callable[[DecisionEvent], None] | None,
        on_reload: Callable[[ReloadEvent], None] | None,
    ) -> Callable[[], None]:
        """Add callbacks; return a function that removes them."""
        with self._lock:
            if on_decision is not None:
                self.on_decision = (*self.on_decision, on_decision)
            if on_reload is not None:
                self.on_reload = (*self.on_reload, on_reload)

        def remove() -> None:
            with self._lock:
                self.on_decision = tuple(c for c in self.on_decision if c is not on_decision)
                self.on_reload = tuple(c for c in self.on_reload if c is not on_reload)

        return remove


def logger() -> Logger:
    """Return the package's logger; a process that has nothing to log does not load ``logging``."""
    import logging

    return logging.getLogger("hypernova")


def notify(observers: Iterable[Callable[[Event], None]], event: Event) -> None:
    """Call each observer; an exception of an observer is logged, and costs no decision."""
    for observer in observers:
        try:
            observer(event)
        except Exception:
            logger().exception("an observer raised; the decision or the reload stands")
