"""Read values of JSON that another program wrote: numbers, objects, and a hash of any of them.

Not here: cells of exported tables, which may be texts (`exported_rows`).
"""

from __future__ import annotations

import json
from hashlib import blake2b
from math import isfinite
from typing import TYPE_CHECKING, Any

from hypernova.numeric import is_number, to_float
from hypernova.table.source import quoted

if TYPE_CHECKING:
    from hypernova.table.source import Source


def finite(value: object) -> float | None:
    """Return a finite number as a float; None for anything else."""
    if not is_number(value):
        return None
    try:
        found = to_float(value)
    except OverflowError:
        return None
    return found if isfinite(found) else None


def positive(value: object) -> float | None:
    """Return a positive number, or None: tools write 0 where they do not know."""
    found = finite(value)
    return found if found is not None and found > 0 else None


def object_or_empty(value: object) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def require_object(
    value: object, name: str, source: Source, number: int, remedy: str
) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        TableError: the value is none; the message names it, the place and the remedy.
    """
    if isinstance(value, dict):
        return value
    raise source.error(f"{name} is {quoted(value)}, no object", remedy, at=number)


def content_hash(value: object) -> str:
    """Return a hash of a JSON value, 32 hexadecimal digits, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()
