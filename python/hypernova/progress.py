"""Progress bars for work that takes longer than a second. Not here: the work."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hypernova.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Work that is done sooner shows no bar.
DELAY_S = 1.0


@contextmanager
def progress_bar(
    total: int | None, description: str, show: bool
) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while the block runs.

    Args:
        total: Number of steps; None if it is not known, which leaves out the time left.
        description: Text before the bar.
        show: False shows nothing, and needs no tqdm.

    Yields:
        A function to call with the number of steps that were just done; a 0 while none is done
        keeps the clock of a bar that is shown going.

    Raises:
        MissingExtraError: ``show``, and tqdm is not installed.
    """
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

    with Bar(total=total, desc=description, delay=DELAY_S, leave=False) as shown:

        def tick(steps: int) -> None:
            if steps:
                shown.update(steps)
            elif time.monotonic() > begun + DELAY_S:
                shown.refresh()

        begun = time.monotonic()
        yield tick
