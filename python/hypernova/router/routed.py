"""The counts of a table that was routed.

Not here: routing it (see ``table``), whose imports a router without tables does not need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RoutedTable:
    """The counts of a table that `hypernova.Router.route_table` has routed.

    Attributes:
        path: The file of decisions.
        n_prompts: Number of prompts, which is the number of its rows.
        n_decided: Number of prompts with a decision.
        n_errors: Number of prompts without one; the column ``error`` says why.
        model_counts: Number of decisions for each model that was chosen, the most frequent first.
        duration_s: Seconds that it took.
    """

    path: Path
    n_prompts: int
    n_decided: int
    n_errors: int
    model_counts: dict[str, int]
    duration_s: float

    def to_dict(self) -> dict[str, Any]:
        """Give all values as plain ones, for JSON and logs.

        Returns:
            A dict of ``path``, ``n_prompts``, ``n_decided``, ``n_errors``, ``model_counts`` and
            ``duration_s``.
        """
        return {
            "path": str(self.path),
            "n_prompts": self.n_prompts,
            "n_decided": self.n_decided,
            "n_errors": self.n_errors,
            "model_counts": dict(self.model_counts),
            "duration_s": self.duration_s,
        }
