"""Hold published results as columns, and give them as records of a log.

Not here: the files of a publisher, and tables made of the columns (`hypernova.table.published`).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hypernova.table.source import quoted
from hypernova.table.sources.log import Reported, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hypernova.table.columns import OutcomeColumns, TaskColumns
    from hypernova.table.sources.headline import Discrepancy
    from hypernova.table.sources.log import Record
    from hypernova.table.sources.prompt_choice import PromptChoice


class Hole(NamedTuple):
    """A task without a score of a model, although the file has a place for it.

    Attributes:
        row: Row of the file.
        task: Index of the task.
        model: Name of the model.
    """

    row: int
    task: int
    model: str


@dataclass(frozen=True, slots=True)
class PublishedColumns:
    """Published results as the columns of a table.

    Attributes:
        tasks: The tasks, checked where the file is checked against them.
        outcomes: The outcomes, unchecked.
        name: Base name of the file without its suffix.
        metric: The publisher's name of the scores.
        headlines: Headline rate in percent of each model in `outcomes`; empty where the publisher
            states none.
        holes: Tasks without a score, by model.
        discrepancies: Models whose outcomes disagree with their headline rate, the largest
            difference first, including those left out for it.
        without_outcomes: Names of models that the publisher lists without outcomes by task.
    """

    tasks: TaskColumns
    outcomes: OutcomeColumns
    name: str
    metric: str
    headlines: Mapping[str, float] = field(default_factory=dict)
    holes: tuple[Hole, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()
    without_outcomes: tuple[str, ...] = ()

    def without_untried(self) -> PublishedColumns:
        """Return the columns without the tasks that have no outcome."""
        kept = np.unique(self.outcomes.task)
        if len(kept) == len(self.tasks.ids):
            return self
        picked = kept.tolist()
        tasks = dataclasses.replace(
            self.tasks,
            rows=self.tasks.rows[kept],
            ids=[self.tasks.ids[index] for index in picked],
            prompts=[self.tasks.prompts[index] for index in picked],
            groups=[self.tasks.groups[index] for index in picked],
        )
        place = {task: index for index, task in enumerate(picked)}
        return dataclasses.replace(
            self,
            tasks=tasks,
            outcomes=dataclasses.replace(
                self.outcomes, task=np.searchsorted(kept, self.outcomes.task)
            ),
            holes=tuple(
                hole._replace(task=place[hole.task]) for hole in self.holes if hole.task in place
            ),
        )

    def records(self, prompt: PromptChoice, fields: Mapping[str, str]) -> Iterator[Record]:
        """Yield a sample of each outcome and hole by task, then the headline rates.

        Args:
            prompt: Which text is the prompt. The files hold one text for a task, which is what the
                user wrote and what was sent.
            fields: Name in the file of ``task_id``, ``prompt`` and ``group``, which
                ``field:NAME`` may name.

        Raises:
            TableError: `prompt` names another field.
        """
        texts = self._texts(prompt, fields)
        outcomes = self.outcomes
        # A stable order by task: the outcomes of SWE-bench stand by model.
        order = np.argsort(outcomes.task, kind="stable")
        holes = sorted(self.holes, key=lambda hole: hole.task)
        # As lists, which give numbers faster than arrays do.
        columns = (
            column[order].tolist()
            for column in (
                outcomes.rows,
                outcomes.task,
                outcomes.model,
                outcomes.score,
                outcomes.cost_usd,
            )
        )
        at = 0
        for row, task, model, score, cost in zip(*columns, strict=True):
            while at < len(holes) and holes[at].task < task:
                yield self._sample(holes[at], texts, None, math.nan)
                at += 1
            yield self._sample(Hole(row, task, outcomes.models[model]), texts, score, cost)
        for hole in holes[at:]:
            yield self._sample(hole, texts, None, math.nan)
        for model, percent in self.headlines.items():
            # As decimals, so that the digits that the publisher rounded to are kept.
            rate = float(Decimal(repr(float(percent))) / 100)
            yield Reported(model, None, self.metric, rate, "headline rate")

    def _texts(self, prompt: PromptChoice, fields: Mapping[str, str]) -> list[str]:
        if prompt.kind != "field" or prompt.field == fields["prompt"]:
            return self.tasks.prompts
        if prompt.field == fields["task_id"]:
            return self.tasks.ids
        if prompt.field == fields["group"]:
            return [group or "" for group in self.tasks.groups]
        raise self.tasks.source.error(
            f"has no field {quoted(prompt.field)} that a prompt is read from",
            f"choose from {', '.join(map(quoted, fields.values()))}",
        )

    def _sample(self, of: Hole, texts: list[str], score: float | None, cost: float) -> Sample:
        task_id = self.tasks.ids[of.task]
        return Sample(
            model=of.model,
            group=self.tasks.groups[of.task],
            task=task_id,
            # Two tasks of one text stay two: the publisher's ids are distinct.
            document=task_id,
            prompt=texts[of.task] if texts[of.task].strip() else None,
            scores={self.metric: score},
            cost_usd=None if math.isnan(cost) else cost,
            place=self.outcomes.source.place(of.row),
        )
