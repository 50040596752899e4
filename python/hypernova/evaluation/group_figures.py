"""Figures of a router whose caller names each prompt's group, beside one that reads the text alone.

Not here: its decisions (see ``group_given``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernova.evaluation.figure_fields import GroupGiven

if TYPE_CHECKING:
    from hypernova.evaluation.estimated_table import EstimatedTable
    from hypernova.evaluation.evaluation_run import EvaluationRun
    from hypernova.evaluation.figures import PairedFigures

ROUTER, BEST_OF_GROUP = "group given", "best model of the group"


def add_group_given(
    run: EvaluationRun, table: EstimatedTable, figures: PairedFigures, overlap: float
) -> None:
    """Add the router whose caller names groups, if every split has one."""
    found = [d.group_given for d in run.decisions if d.group_given is not None]
    if len(found) < len(run.decisions):
        return
    figures.add(ROUTER, table.chosen(run.by_task([d.chosen for d in found])))
    figures.add(BEST_OF_GROUP, table.chosen(run.by_task([d.best_of_group for d in found])))
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
