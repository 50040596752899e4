"""Leave out whole kinds of task, and say what routing gains on kinds that a table lacks.

Not here: figures of each named group that was left out (``leave_one_group_out`` of the report), or
the margin that training chooses for unseen kinds (see ``hypernova.training.margin``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova.evaluation.protocol import KindSplits, Split, seed_of
from hypernova.evaluation.unseen_fields import UnseenKinds, WorstKind
from hypernova.evaluation.verdict import points
from hypernova.training.clustering.groups import MIN_GROUP_TASKS
from hypernova.training.cross_validation import MAX_KIND_FOLDS, deal_kinds
from hypernova.training.estimates.sums import mean_known
from hypernova.training.partition import find_partition
from hypernova.training.trainer import MIN_TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova.evaluation.evaluation_run import EvaluationRun
    from hypernova.evaluation.figure_fields import Gain
    from hypernova.evaluation.figures import PairedFigures
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

ROUTER, BEST_SINGLE = "unseen kinds", "unseen kinds, best single"


def kind_splits(
    table: OutcomeTable,
    vectors: Floats,
    prompts: Ints,
    clusters: int | Literal["auto"],
    seed: int,
) -> KindSplits:
    """Leave out each kind of task in turn, or sets of kinds where there are many.

    Kinds are the groups that learning tells apart, else clusters of prompts.

    Args:
        table: Outcomes.
        vectors: float32 (tasks, dim).
        prompts: (tasks,) the same number for tasks with the same prompt.
        clusters: As in `fit`.
        seed: Seed of learning.

    Returns:
        Without a split where there are not two kinds, or too few other tasks to learn from.
    """
    different = int(prompts.max()) + 1
    given = None if clusters == "auto" else clusters
    partition = find_partition(table.groups, vectors, different, given)
    kinds = partition.cells(table.groups, vectors)
    sets = deal_kinds(kinds, min(MAX_KIND_FOLDS, len(np.unique(kinds))))
    splits = []
    for number in range(int(sets.max()) + 1):
        test = np.flatnonzero(sets == number)
        train = np.flatnonzero(~np.isin(prompts, prompts[test]))
        if len(np.unique(prompts[train])) >= max(MIN_TASKS, (given or 0) + 1):
            splits.append(Split(0, train, test, seed_of(seed, 6, number)))
    source: Literal["groups", "clusters"] = "groups" if partition.groups else "clusters"
    return KindSplits(source, kinds, splits if len(splits) > 1 else [])


def unseen_kinds(run: EvaluationRun, figures: PairedFigures, gain: Gain) -> UnseenKinds | None:
    """Compute the field of the report; None if no kind was left out.

    Args:
        run: The evaluation.
        figures: Where `ROUTER` and `BEST_SINGLE` were added as a pair.
        gain: On held-out tasks, whose kinds return.
    """
    if not run.kinds.splits:
        return None
    unseen = figures.gain(ROUTER, BEST_SINGLE)
    by_task = figures.gains(ROUTER, BEST_SINGLE)
    kinds = run.kinds.kinds
    numbers, sizes = np.unique(kinds, return_counts=True)
    means = np.array([mean_known(by_task[kinds == number]) for number in numbers])
    # A handful of tasks is worst by chance.
    enough = (sizes >= MIN_GROUP_TASKS) & ~np.isnan(means)
    worst = int(np.argmin(np.where(enough, means, np.inf)))
    novel = [decisions.novel for decisions in run.kind_decisions]
    named = run.kinds.source == "groups"
    share = break_even(gain.mean, unseen.mean)
    return UnseenKinds(
        expected=run.unseen,
        kinds=run.kinds.source,
        left_out=len(numbers),
        sets=len(run.kinds.splits),
        gain=unseen,
        worst=WorstKind(
            name=_named(run, kinds == numbers[worst]) if named else "a cluster of prompts",
            tasks=int(sizes[worst]),
            gain=None if np.isnan(means[worst]) else float(means[worst]),
        ),
        novel=float(np.concatenate(novel).mean()),
        break_even=share,
        text=sentence(gain, unseen, share),
    )


def _named(run: EvaluationRun, members: NDArray[np.bool_]) -> str:
    """Name the group of a kind; those of too few tasks are one kind together."""
    numbers = np.unique(run.groups[members])
    if len(numbers) > 1 or numbers[0] < 0:
        return "the rest"
    name: str = run.group_names[int(numbers[0])]
    return name


def break_even(returning: float | None, unseen: float | None) -> float | None:
    """Compute the share of prompts of unseen kinds up to which routing pays, 0 to 1.

    Args:
        returning: Gain on kinds that return.
        unseen: Gain on kinds that were left out.

    Returns:
        1 where routing gains on both, 0 where it does not gain on kinds that return; None where a
        gain is unknown, or both are 0.
    """
    if returning is None or unseen is None or returning == unseen == 0.0:
        return None
    if returning <= 0.0:
        return 0.0
    return 1.0 if unseen >= 0.0 else returning / (returning - unseen)


def sentence(gain: Gain, unseen: Gain, share: float | None) -> str:
    """Say what routing gains on kinds that return and on others, and up to which share it pays."""
    both = (
        f"{points(gain.mean)} points on kinds of prompt that return, {points(unseen.mean)} on "
        "kinds that were left out of learning"
    )
    if share is None:
        return f"Nothing is routed on kinds of prompt that the table lacks: {both}."
    if not gain.is_proven:
        return (
            "Whether routing pays on kinds of prompt that the table lacks is not to be said while "
            f"the gain on others is not proven: {both}."
        )
    if share == 0.0:
        return f"Routing pays with no share of prompts of kinds that the table lacks: {both}."
    if share == 1.0:
        return f"Routing pays on kinds of prompt that the table lacks, too: {both}."
    percent = 100 * share
    shown = f"{percent:.0f}%" if percent >= 1 else "1%"
    return (
        f"Routing pays as long as fewer than {shown} of prompts are of kinds that the table "
        f"lacks: {both}."
    )
