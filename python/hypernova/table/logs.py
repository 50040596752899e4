"""`read_logs`: an outcome table from logs of evaluation tools, with a summary.

Not here: the tools (`sources`) and how samples become tasks (`importing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypernova.progress import progress_bar
from hypernova.table.importing.options import ImportOptions
from hypernova.table.importing.read import read_log_columns
from hypernova.table.log_files.prompt_choice import PromptChoice
from hypernova.table.outcome_table import OutcomeTable

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

    The tool of a file is known by its content. A task is what one group and one document have in
    common, whatever model, run, template or file: its outcomes are one for each model, and several
    attempts are repeats. Logs are read in pieces, and large imports in worker processes.

    Args:
        paths: Files and folders. In folders, names that begin with ``.`` or ``_`` are passed over;
            files of no known tool are counted there, and refused where they are named.
        prompt: The text that becomes the prompt: ``auto`` for what the user wrote, as well as the
            tool tells; ``sent`` for everything that was sent to the model; ``user`` for the last
            message of the user; ``field:NAME`` for a field of the document.
        score: Metric or scorer that counts, where a group has several: a name, or names of which
            the first that a group has counts; ``GROUP=NAME`` speaks of one group.
        scale: The lowest and the highest score, which become 0 and 1; by default numbers lie in
            0..1.
        choices: Score, 0..1, of each text that a score may be, beyond those that are known: the
            letters C 1, P 0.5, I 0 and N 0, true, yes, correct and pass 1, false, no, incorrect and
            fail 0, and percentages such as ``85%``.
        rename: New name of each model to rename; two models of one new name become one.
        skip_broken: Leave out logs that cannot be read; the summary names them.
        min_models: Fewest models allowed, as in `OutcomeTable.read`.
        progress: Show a progress bar after a second.

    Returns:
        The table and the summary. Samples that are unscored, that failed, or whose prompt has no
        text are missing, never 0, and counted. A score of which lower is better becomes 1 less the
        score. Unknown costs, latencies and tokens stay unknown.

    Raises:
        NotFoundError: Nothing is at a path.
        TableError: A log is broken (cut short, still being written, of a failed run, of an unknown
            version), all of which are named; no file is a log; a group has several scores, or a
            score is a pair, a list, a mapping or an unknown text; a rule of tables is broken.
        MissingExtraError: A log needs pyarrow, or `progress` tqdm, and it is not installed.

    Example:
        >>> found = read_logs("logs/", score="accuracy")  # doctest: +SKIP
        >>> found.table.models  # doctest: +SKIP
        ('gpt-4o', 'gpt-4o-mini')
        >>> found.summary.left_out  # doctest: +SKIP
        {'not scored': 3}
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
