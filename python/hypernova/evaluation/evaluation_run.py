"""All that an evaluation decided, from which the figures are computed.

Not here: how it was decided (see ``protocol``), or the figures (see ``results``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernova.evaluation.curve_parts import PartDecisions
    from hypernova.evaluation.protocol import InSampleFit, KindSplits, Split, SplitDecisions
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable


@dataclass(frozen=True)
class EvaluationRun:
    """The table, the options, and all decisions of an evaluation.

    Attributes:
        table: Outcomes; each task has one at least.
        vectors: float32 (tasks, dim).
        prompts: (tasks,) the same number for tasks with the same prompt, from 0.
        groups: (tasks,) group numbers, -1 where a task has none.
        group_names: Names by group number.
        folds: Number of folds.
        repeats: Number of times that the tasks were dealt into folds.
        seed: Seed of the evaluation.
        clusters: Number of clusters, or ``"auto"``.
        embedder: Identity of the embedder.
        cost_weights: Rising, from 0; empty where no cost is known.
        call_weights: Rising, from 0; empty where some cost is known.
        in_sample: The artifact of all tasks.
        splits: The folds of all repeats.
        decisions: One for each of ``splits``.
        group_splits: The groups that were left out.
        group_decisions: One for each of ``group_splits``.
        unseen: Share of prompts of unseen kinds that learning was told to expect.
        kinds: The kinds of task that were left out.
        kind_decisions: One for each split of ``kinds``.
        curve_parts: Smaller training parts of the first repeats, by rising share; empty if not
            asked for.
        notes: Notes from before the figures.
        texts: (tasks,) the text of each prompt that was embedded.
        shared_text: The report's field.
        alike_prompts: The report's field.
    """

    table: OutcomeTable
    vectors: Floats
    prompts: Ints
    groups: Ints
    group_names: list[str]
    folds: int
    repeats: int
    seed: int
    clusters: int | Literal["auto"]
    embedder: Mapping[str, object]
    cost_weights: Sequence[float]
    call_weights: Sequence[float]
    in_sample: InSampleFit
    splits: Sequence[Split]
    decisions: Sequence[SplitDecisions]
    group_splits: Sequence[Split]
    group_decisions: Sequence[SplitDecisions]
    unseen: float
    kinds: KindSplits
    kind_decisions: Sequence[SplitDecisions]
    curve_parts: Sequence[PartDecisions]
    notes: list[str]
    texts: Sequence[str]
    shared_text: dict[str, Any] | None
    alike_prompts: dict[str, Any] | None

    def by_task(
        self,
        values: Sequence[Any],
        empty: float = -1,
        splits: Sequence[Split] | None = None,
    ) -> Any:
        """Put the values of each split's test part into rows of all tasks, (repeats, tasks).

        Args:
            values: One value for each split, or one for each of its tasks.
            empty: Value of tasks that no split holds out.
            splits: The splits; by default the folds of all repeats.
        """
        splits = self.splits if splits is None else splits
        rows = max(split.repeat for split in splits) + 1
        filled = np.full((rows, self.table.n_tasks), empty)
        for split, value in zip(splits, values, strict=True):
            filled[split.repeat, split.test] = value
        return filled
