"""Refuse JSON that readers would take differently: keys that stand twice, and NaN or Infinity.

Not here: what a file or a body means, and the class of its errors; both functions are hooks of
the standard library's parser.
"""

from __future__ import annotations

from typing import Any, NoReturn

# A key is as long as its sender likes; a message is one line.
_SHOWN = 60


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of an object's pairs, as an ``object_pairs_hook``.

    Raises:
        ValueError: A key stands twice.

    Example:
        >>> import json
        >>> json.loads('{"a": 1, "a": 2}', object_pairs_hook=unique_keys)
        Traceback (most recent call last):
        ValueError: the key 'a' stands twice in one object
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                shown = repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
                raise ValueError(f"the key {shown} stands twice in one object")
            seen.add(name)
    return found


def refuse_constant(name: str) -> NoReturn:
    """Refuse ``NaN`` and ``Infinity``, as a ``parse_constant``.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{name} is no number of JSON")
