"""Name the models that seem better than the default model on tasks that others were not tried on.

Not here: the rates (see ``profile``), or how holes are filled (see ``completion``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.profile import has_enough_outcomes
from hypernova.training.estimates.sums import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.training.estimates.profile import Evidence


@dataclass(frozen=True)
class Uncomparable:
    """A model that shares too few kinds of tasks with the others to be the default model.

    Attributes:
        model: Name of the model.
        tried: Share of the tasks on which it was tried, 0 to 1.
        mean: Its mean score there.
        rate: Its success estimate over all tasks, adjusted for those that it was tried on.
        error: Standard error that the tasks on which it was not tried add to ``rate``.
        default_model: Name of the default model.
        default_rate: Success estimate of the default model over all tasks.
    """

    model: str
    tried: float
    mean: float
    rate: float
    error: float
    default_model: str
    default_rate: float

    def to_dict(self) -> dict[str, object]:
        """Return the fields as metadata of an artifact have them."""
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }

    def __str__(self) -> str:
        return (
            f"{self.model} cannot be the default model: it was tried on {self.tried:.0%} of the "
            f"tasks. Its mean score there is {self.mean:.3f}; over all tasks, judged by what "
            f"other models reach on the same ones, about {self.rate:.3f}, standard error of what "
            f"is missing {self.error:.3f}. The default model is {self.default_model}, "
            f"{self.default_rate:.3f}."
        )


def uncomparable(evidence: Evidence, models: Sequence[str]) -> tuple[Uncomparable, ...]:
    """Name the models that only their holes keep from being the default model.

    These have enough outcomes, and a mean score or a rate above that of the default model, which
    they do not keep once it is lowered for what is missing (`best_single`).

    Args:
        evidence: Sums over k cells and m models.
        models: Names of the m models.

    Returns:
        By their mean scores, the highest first; empty for a table without holes.
    """
    completion, sums, default = evidence.completion, evidence.sums, evidence.default_model
    mean, rate = ratio(sums["score"][-1], sums["n"][-1], 0.0), evidence.overall
    seems = np.maximum(mean, rate) > rate[default]
    seems &= has_enough_outcomes(sums["n"][-1]) & (completion.missing[-1] > 0)
    seems[default] = False
    found = sorted(np.flatnonzero(seems).tolist(), key=lambda j: (-mean[j], j))
    return tuple(
        Uncomparable(
            model=models[j],
            tried=float(1.0 - completion.missing[-1, j]),
            mean=float(mean[j]),
            rate=float(rate[j]),
            error=float(completion.error[j]),
            default_model=models[default],
            default_rate=float(rate[default]),
        )
        for j in found
    )
