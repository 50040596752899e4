"""Progress bars for what takes longer than a second. Not here: what takes so long."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hypernova.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Nothing is shown for what is over sooner.
DELAY_S = 1.0


@contextmanager
def bar(total: int, what: str, show: bool) -> Iterator[Callable[[int], None]]:
    """Give a function that is called with the number of steps just done."""
    if not show:
        yield lambda _: None
        return
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise MissingExtraError(
            'progress bars need tqdm: pip install "hypernova-router[train]"'
        ) from error

    class Bar(tqdm):  # type: ignore[misc]  # it has no types
        # tqdm's own have a thread that watches them, and a lock that is a named semaphore.
        monitor_interval = 0
        _lock = threading.RLock()

    with Bar(total=total, desc=what, delay=DELAY_S, leave=False) as shown:
        yield shown.update
