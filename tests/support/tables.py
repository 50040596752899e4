"""Whether two outcome tables are equal, for the tests that read and write them.

Not here: tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hypernova.table import OutcomeTable


def assert_same(left: OutcomeTable, right: OutcomeTable, *, embedding: bool = True) -> None:
    assert left.task_ids == right.task_ids
    assert left.prompts == right.prompts
    assert left.groups == right.groups
    assert left.models == right.models
    for name in ("score", "cost_usd", "latency_s"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    if embedding:
        assert (left.embedding is None) == (right.embedding is None)
        if left.embedding is not None and right.embedding is not None:
            assert left.embedding.tobytes() == right.embedding.tobytes()
