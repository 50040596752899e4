"""Prepare the next part of a sequence in a thread, while the caller works on the one before.

Not here: what is prepared (tokens, see ``backend``), and the work (the run of a model).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

Part = TypeVar("Part")
Prepared = TypeVar("Prepared")


def prepare_ahead(
    prepare: Callable[[Part, threading.Event], Prepared],
    parts: Iterable[Part],
    *,
    threaded: bool = True,
) -> Generator[Prepared]:
    """Yield each part prepared, in order, the next one in the making.

    The first part is prepared by the caller's thread, and each further one by a thread of its own
    while the caller works. What ``prepare`` raises is raised where its result would have been
    yielded: the caller meets results and errors in the order of the parts, as without threads.

    Args:
        prepare: Called with a part, and an event that is set when its result is no longer wanted;
            it should then return soon, with anything.
        parts: The parts; one more than has been yielded is taken from them.
        threaded: False prepares each part when it is asked for, in the caller's thread.

    Yields:
        What ``prepare`` returns for each part. Close the generator (``contextlib.closing``): that
        ends the thread, and waits for it.

    Example:
        >>> list(prepare_ahead(lambda part, unwanted: part * 2, [1, 2, 3]))
        [2, 4, 6]
    """
    unwanted = threading.Event()
    thread: _Preparation[Part, Prepared] | None = None
    waiting: list[Prepared] = []
    try:
        for part in parts:
            if not threaded:
                yield prepare(part, unwanted)
            elif not waiting:
                waiting.append(prepare(part, unwanted))
            else:
                thread = _Preparation(prepare, part, unwanted)
                thread.start()
                yield waiting.pop()
                waiting.append(thread.result())
        yield from waiting
    finally:
        unwanted.set()
        if thread is not None and thread.is_alive():
            thread.join()


class _Preparation(threading.Thread, Generic[Part, Prepared]):
    """A thread that prepares one part."""

    def __init__(
        self,
        prepare: Callable[[Part, threading.Event], Prepared],
        part: Part,
        unwanted: threading.Event,
    ) -> None:
        super().__init__(name="hypernova-ahead", daemon=True)
        self._prepare = prepare
        self._part = part
        self._unwanted = unwanted
        self._prepared: list[Prepared] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Prepare the part, and keep what comes of it."""
        try:
            self._prepared.append(self._prepare(self._part, self._unwanted))
        except BaseException as error:  # raised again by `result`
            self._error = error

    def result(self) -> Prepared:
        """Wait for the thread; return what it prepared, or raise what it raised."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._prepared[0]
