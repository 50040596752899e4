"""Give memory that was freed back to the system, between the steps of learning.

Not here: using less of it. The C library keeps freed memory for later: after a table was read and
embedded, as much again as what is held.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def _trim() -> Callable[[int], int] | None:
    """Return the function of the GNU C library that gives freed memory back, if it is there."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return trim


def release_memory() -> None:
    """Give freed memory back, where that is possible; it takes milliseconds."""
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)
