"""Number the groups of tasks that are large enough to learn from.

Not here: telling groups apart by their prompts (see ``discriminant``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.numeric import Ints

# Groups with fewer tasks are merged into one, "the rest".
MIN_GROUP_TASKS = 20


@dataclass(frozen=True)
class GroupNumbers:
    """Numbers of the groups of a table.

    Attributes:
        names: Groups that have a number of their own, sorted; the rest has the number after.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, groups: Sequence[str | None]) -> GroupNumbers | None:
        """Number the groups of tasks.

        Args:
            groups: Of each task, None where a task has none.

        Returns:
            The numbers; None if fewer than two groups have `MIN_GROUP_TASKS` tasks.
        """
        known = [group for group in groups if group is not None]
        names, sizes = np.unique(np.array(known, dtype=object), return_counts=True)
        large = tuple(names[sizes >= MIN_GROUP_TASKS].tolist())
        return cls(large) if len(large) >= 2 else None

    @property
    def n(self) -> int:
        """Number of groups, with the rest."""
        return len(self.names) + 1

    def number(self, groups: Sequence[str | None]) -> Ints:
        """Return the number of each task's group, (tasks,) in 0..n-1."""
        place = {name: i for i, name in enumerate(self.names)}
        rest = len(self.names)
        return np.array(
            [rest if group is None else place.get(group, rest) for group in groups], dtype=np.int64
        )
