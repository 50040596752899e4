"""Draw a quarter and a half of each training part, for the learning curve.

Not here: what is learned from them (see ``protocol``), and the figures (see ``learning_curve``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from hypernova.evaluation.learning_curve_fields import SHARE_NAMES
from hypernova.evaluation.protocol import seed_of
from hypernova.training.cross_validation import held_in
from hypernova.training.trainer import MIN_TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernova.evaluation.protocol import Split, SplitDecisions
    from hypernova.numeric import Ints

# Shares of the training part that are learned from besides the whole, rising.
SHARES = (0.25, 0.5)
# The curve takes one of so many repeats: a quarter and a half together take about two thirds of
# the time of the whole.
REPEATS_PER_CURVE = 10


@dataclass(frozen=True)
class PartDecisions:
    """Decisions of the routers that learned from one share of the training parts.

    Attributes:
        share: Share of the training part, 0 to 1.
        splits: The splits with the smaller training part.
        decisions: One for each of ``splits``.
    """

    share: float
    splits: Sequence[Split]
    decisions: Sequence[SplitDecisions]


def smaller_parts(split: Split, prompts: Ints, groups: Ints, seed: int) -> dict[float, Split]:
    """Draw the smaller training parts of a split, each inside the larger ones.

    Prompts are drawn whole, and of each group about the same share.

    Args:
        split: The two parts.
        prompts: (tasks,) the same number for tasks with the same prompt.
        groups: (tasks,) group numbers, -1 where a task has none.
        seed: Seed of the draw.

    Returns:
        A split with the same test part for each of `SHARES`.
    """
    different, first, inverse = np.unique(
        prompts[split.train], return_index=True, return_inverse=True
    )
    rng = np.random.default_rng(seed)
    of_prompt = groups[split.train][first]
    # Where each prompt stands in a random order of its group, 0 to 1. A start drawn for each
    # group keeps small groups from being drawn all together.
    place = np.empty(len(different))
    for group in np.unique(of_prompt):
        members = np.flatnonzero(of_prompt == group)
        order = rng.permutation(len(members))
        place[members] = (order + rng.random()) / len(members)
    rank = np.empty(len(different), dtype=np.int64)
    rank[np.argsort(place, kind="stable")] = np.arange(len(different))
    return {
        share: replace(
            split,
            train=split.train[(rank < round(share * len(different)))[inverse]],
            shuffle_seeds=(),
        )
        for share in SHARES
    }


def curve_splits(
    splits: Sequence[Split],
    prompts: Ints,
    groups: Ints,
    *,
    repeats: int,
    clusters: int | Literal["auto"],
    seed: int,
    notes: list[str],
) -> dict[float, list[Split]]:
    """Draw the smaller training parts; shares with too few prompts are named in the notes.

    Args:
        splits: The folds of all repeats.
        prompts: As for `smaller_parts`.
        groups: As for `smaller_parts`.
        repeats: Number of repeats; one of `REPEATS_PER_CURVE` is taken.
        clusters: As in `fit`.
        seed: Seed of the evaluation.
        notes: Notes of the report, which are added to.

    Returns:
        The splits of each share that can be learned from.
    """
    count = -(-repeats // REPEATS_PER_CURVE)
    found: dict[float, list[Split]] = {share: [] for share in SHARES}
    for i, split in enumerate(splits):
        if split.repeat < count:
            for share, part in smaller_parts(split, prompts, groups, seed_of(seed, 5, i)).items():
                found[share].append(part)
    for share, parts in list(found.items()):
        different = min(len(np.unique(prompts[part.train])) for part in parts)
        if different < MIN_TASKS or (clusters != "auto" and clusters > held_in(different)):
            del found[share]
            notes.append(
                f"The learning curve has no point for {SHARE_NAMES[share]} of the training part: "
                f"that is {different} different prompts, too few to learn from."
            )
    return found
