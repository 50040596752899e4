"""`read_swebench` and `read_routerbench`: outcome tables of published results.

Not here: their files (`sources`), and reading them together with logs (`logs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypernova.table.formats.files import require_path
from hypernova.table.outcome_table import OutcomeTable
from hypernova.table.sources.public.routerbench import read_routerbench_columns
from hypernova.table.sources.public.swebench import read_swebench_columns

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova.table.sources.public.columns import PublishedColumns
    from hypernova.table.sources.public.headline import Discrepancy


@dataclass(frozen=True, slots=True)
class PublicTable:
    """Public data as an outcome table, with the models that disagree or are missing.

    Attributes:
        table: The table.
        discrepancies: Models whose outcomes disagree with their headline rate, the largest
            difference first, including those left out of the table for it. Empty where the
            publisher states no headline rates.
        without_outcomes: Names of models that the publisher lists without outcomes by task.
    """

    table: OutcomeTable
    discrepancies: tuple[Discrepancy, ...] = ()
    without_outcomes: tuple[str, ...] = ()


def read_swebench(
    leaderboards: str | os.PathLike[str],
    problems: str | os.PathLike[str],
    *,
    leaderboard: str | None = None,
    models: Sequence[str] | None = None,
    max_difference: float | None = None,
) -> PublicTable:
    """Read one leaderboard of SWE-bench's `leaderboards.json` as an outcome table.

    A task is an instance, and its group the repository. A model is an entry of the leaderboard: a
    language model with the agent around it. Entries without `per_instance_details` are only named
    in the result. A `resolved` that is null or missing is a hole. A cost that is null, missing or
    exactly 0 is unknown: a run that cost nothing is a run whose cost was not recorded. `api_calls`
    are ignored. The date, or else the folder, distinguishes two entries of one name. Tasks without
    any outcome are left out.

    Args:
        leaderboards: The JSON file: `{"leaderboards": [{"name", "results": [{"name", "resolved",
            "date", "per_instance_details": {instance_id: {"resolved", "cost"}}}]}]}`, where the
            `resolved` of an entry is its headline rate in percent.
        problems: A `.parquet`, `.jsonl` or `.json` file (a list of objects) with `instance_id`,
            `problem_statement` and `repo`: the instances of that leaderboard and no others.
        leaderboard: Name of the leaderboard; by default the only one that has outcomes by task.
        models: Names of the entries to read; by default all.
        max_difference: Leave out models whose rate differs from their headline by more than
            rounding and by more than this, 0..1; None keeps all.

    Returns:
        The table, the models whose outcomes disagree with their headline rate, and the entries
        without outcomes.

    Raises:
        NotFoundError: nothing is at a path.
        TableError: a file is malformed or the two do not belong together. The message names the
            file, the entry and the key.
        MissingExtraError: the problems are Parquet and pyarrow is not installed.

    Example:
        >>> loaded = read_swebench("leaderboards.json", "verified.parquet")  # doctest: +SKIP
        >>> [found.model for found in loaded.discrepancies]  # doctest: +SKIP
    """
    columns = read_swebench_columns(
        require_path(leaderboards),
        require_path(problems),
        leaderboard=leaderboard,
        models=models,
        max_difference=max_difference,
    )
    return _public_table(columns.without_untried())


def read_routerbench(
    path: str | os.PathLike[str], *, models: Sequence[str] | None = None
) -> PublicTable:
    """Read a wide table in RouterBench's format.

    The columns are `sample_id`, `prompt`, `eval_name` (the group; optional), and for each model
    `MODEL` with its score, 0..1, and `MODEL|total_cost` in USD. Answers (`MODEL|model_response`),
    the oracle's choice and other columns are ignored. An empty score is a hole, an empty cost is
    unknown. A prompt that is a list of strings in Python's notation, as
    RouterBench stores the turns of a conversation, becomes the turns with a line break between
    them. The format states no headline rates, so the outcomes are not compared with any.

    Args:
        path: A `.csv`, `.tsv` or `.parquet` file; CSV and TSV may be packed with gzip.
        models: Names of the models to read; by default all.

    Returns:
        The table, without discrepancies.

    Raises:
        NotFoundError: nothing is at the path.
        TableError: the file is a pickle or malformed. The message names the file, the row and the
            column.
        MissingExtraError: the file is Parquet and pyarrow is not installed.

    Example:
        >>> table = read_routerbench("routerbench_0shot.csv").table  # doctest: +SKIP
    """
    return _public_table(read_routerbench_columns(require_path(path), models=models))


def _public_table(columns: PublishedColumns) -> PublicTable:
    return PublicTable(
        table=OutcomeTable.from_columns(columns.tasks, columns.outcomes, name=columns.name),
        discrepancies=columns.discrepancies,
        without_outcomes=columns.without_outcomes,
    )
