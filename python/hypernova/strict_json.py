"""Refuse JSON that readers would take differently: keys that stand twice, and NaN or Infinity.

Not here: what a file or a body means, and the class of its errors. Two functions are hooks of the
standard library's parser, and one tells what that refused.
"""

from __future__ import annotations

import json
import sys
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


def reason_of(error: ValueError | RecursionError, *, in_line: bool = False) -> str:
    """Tell why a parser of JSON or TOML refused a text, in the words of a user's message.

    Args:
        error: What the parser raised.
        in_line: Whether the text is one line of a file, whose number the message has already.

    Example:
        >>> try:
        ...     json.loads('{"a": "b')
        ... except ValueError as error:
        ...     reason_of(error)
        'Unterminated string starting at line 1, character 7'
    """
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        line = "" if in_line else f"line {error.lineno}, "
        return f"{error.msg.removesuffix(' at')} at {line}character {error.colno}"
    if "set_int_max_str_digits" in str(error):  # a remedy for programs, and no user of a file
        return f"a whole number of more than {sys.get_int_max_str_digits():,} digits"
    return " ".join(str(error).split())
