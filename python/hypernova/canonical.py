"""The one form of JSON whose bytes count: artifacts and fingerprints hash it.

Not here: JSON for people and protocols; each layer writes its own.
"""

from __future__ import annotations

import json


def canonical_json(value: object) -> str:
    """Return `value` as JSON with sorted keys and no blanks, every character as itself."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
