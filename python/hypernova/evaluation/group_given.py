"""Judge a router whose caller names each prompt's group, beside one that reads the text alone.

Not here: the router, which decides by the text (see ``protocol``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.evaluation.baselines import chosen_outcomes
from hypernova.evaluation.figure_fields import GroupGiven

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.evaluation.evaluation_run import EvaluationRun
    from hypernova.evaluation.figures import PairedFigures
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

ROUTER, BEST_OF_GROUP = "group given", "best model of the group"


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
        rates = _rates(train.score[of_train == name])
        if not np.isnan(rates).all():
            best[name] = int(np.nanargmax(rates))
    return GroupDecisions(
        chosen=under(None),
        by_weight=np.array([under(weight) for weight in cost_weights], dtype=np.int32).reshape(
            len(cost_weights), len(given)
        ),
        best_of_group=np.array([best.get(str(group), single) for group in given], dtype=np.int32),
    )


def _rates(score: Floats) -> Floats:
    """Average the scores of each model, NaN where it has no outcome."""
    known = ~np.isnan(score)
    with np.errstate(invalid="ignore"):
        rates: Floats = np.where(known, score, 0.0).sum(axis=0) / known.sum(axis=0)
    return rates


def add_group_given(run: EvaluationRun, figures: PairedFigures, overlap: float) -> None:
    """Add the router whose caller names groups, if every split has one."""
    found = [d.group_given for d in run.decisions if d.group_given is not None]
    if len(found) < len(run.decisions):
        return
    figures.add(ROUTER, chosen_outcomes(run.table, run.by_task([d.chosen for d in found])))
    figures.add(
        BEST_OF_GROUP, chosen_outcomes(run.table, run.by_task([d.best_of_group for d in found]))
    )
    for other in ("best_single", "held_out", BEST_OF_GROUP):
        figures.pair(ROUTER, other, overlap)


def group_given(figures: PairedFigures) -> GroupGiven | None:
    """Return the field of the report; None where groups are not known."""
    if ROUTER not in figures:
        return None
    return GroupGiven(
        held_out=figures.figure(ROUTER),
        gain=figures.gain(ROUTER, "best_single"),
        over_text=figures.gain(ROUTER, "held_out"),
        best_of_group=figures.figure(BEST_OF_GROUP),
        over_best_of_group=figures.gain(ROUTER, BEST_OF_GROUP),
        frontier_gain=figures.gain("group frontier", "group hull")
        if "group hull" in figures
        else None,
    )
