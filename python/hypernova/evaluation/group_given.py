"""Route the test part of a split for a caller who names each prompt's group.

Not here: the router that reads the text alone (see ``protocol``), or figures (see
``group_figures``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.training.estimates.sums import mean_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable


@dataclass(frozen=True)
class GroupDecisions:
    """Decisions for the test part of a split, each with the group that its task has.

    Attributes:
        chosen: (test,) the models that the router chose, under its default policy.
        by_weight: (weights, test) the models that it chose under each cost weight.
        best_of_group: (test,) the model with the best mean score in the group's training part; the
            best single model for a group without one.
    """

    chosen: Ints
    by_weight: Ints
    best_of_group: Ints


def decide_with_groups(
    artifact: Artifact,
    train: OutcomeTable,
    groups: Sequence[str | None],
    vectors: Floats,
    cost_weights: Sequence[float],
    single: int,
) -> GroupDecisions | None:
    """Decide for tasks whose groups are named; None if the artifact has no groups.

    Args:
        artifact: Learned from the training part.
        train: The training part.
        groups: Of each task of the test part.
        vectors: float32 (test, dim).
        cost_weights: Cost weights to route under, besides the default policy.
        single: Best single model of the training part.
    """
    if not artifact.groups:
        return None
    given = list(groups)

    def under(weight: float | None) -> Ints:
        decided = artifact.decide_many(vectors, cost_weight=weight, group=given)
        return np.asarray(decided.model_indices)

    of_train = np.array([str(group) for group in train.groups])
    best = dict.fromkeys(artifact.groups, single)
    for name in best:
        rates = mean_known(train.score[of_train == name])
        if not np.isnan(rates).all():
            best[name] = int(np.nanargmax(rates))
    return GroupDecisions(
        chosen=under(None),
        by_weight=np.array([under(weight) for weight in cost_weights], dtype=np.int32).reshape(
            len(cost_weights), len(given)
        ),
        best_of_group=np.array([best.get(str(group), single) for group in given], dtype=np.int32),
    )
