"""The one form of JSON whose bytes count: artifacts and fingerprints hash it.

Not here: JSON for people and protocols; each layer writes its own.
"""

from __future__ import annotations

import json


def canonical_json(value: object) -> str:
    """Write a value as JSON with sorted keys and no blanks, every character as itself.

    Args:
        value: A tree of dicts, lists and plain values.

    Example:
        >>> canonical_json({"b": [1.0], "a": "é"})
        '{"a":"é","b":[1.0]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
