"""`read_logs`: an outcome table from logs of evaluation tools, with a summary.

Not here: the tools (`sources`) and how samples become tasks (`importing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypernova.progress import progress_bar
from hypernova.table.importing.options import ImportOptions
from hypernova.table.importing.read import read_log_columns
from hypernova.table.outcome_table import OutcomeTable
from hypernova.table.sources.prompt_choice import PromptChoice

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from hypernova.table.importing.summary import ImportSummary


@dataclass(frozen=True, slots=True)
class ImportedTable:
    """A table that was made of logs.

    Attributes:
        table: The table.
        summary: What was read and what was left out.
    """

    table: OutcomeTable
    summary: ImportSummary


def read_logs(
    *paths: str | os.PathLike[str],
    prompt: str = "auto",
    score: str | Sequence[str] = (),
    scale: tuple[float, float] | None = None,
    choices: Mapping[str, float] | None = None,
    rename: Mapping[str, str] | None = None,
    skip_broken: bool = False,
    min_models: int = 2,
    progress: bool = False,
) -> ImportedTable:
    """Read logs of evaluation tools as one outcome table.

    (the docstring is completed by whoever writes importing/read.py)
    """
    options = ImportOptions(
        prompt=PromptChoice.parse(prompt),
        score=(score,) if isinstance(score, str) else tuple(score),
        scale=scale,
        choices=dict(choices or {}),
        rename=dict(rename or {}),
        skip_broken=skip_broken,
    )
    with progress_bar(None, "reading logs", progress) as tick:
        name, tasks, outcomes, summary = read_log_columns(paths, options, tick)
    table = OutcomeTable.from_columns(tasks, outcomes, name=name, min_models=min_models)
    return ImportedTable(table, summary)
