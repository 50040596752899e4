"""Read logs of evaluation tools as the columns of one table.

Not here: the tools (`hypernova.table.sources`) and the table itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from hypernova.table.columns import OutcomeColumns, TaskColumns
    from hypernova.table.importing.options import ImportOptions
    from hypernova.table.importing.summary import ImportSummary


def are_logs(path: str | os.PathLike[str]) -> bool:
    """Return whether a file, or any file in a folder, is a log of a known tool."""
    del path
    return False  # TODO


def read_log_columns(
    paths: Sequence[str | os.PathLike[str]],
    options: ImportOptions,
    tick: Callable[[int], None],
) -> tuple[str, TaskColumns, OutcomeColumns, ImportSummary]:
    """Read files and folders of logs, of one or several tools.

    Args:
        paths: Files and folders.
        options: What the import was told.
        tick: Called with the number of logs that were just read.

    Returns:
        A name, the columns, unchecked, and the summary.

    Raises:
        NotFoundError: nothing is at a path.
        TableError: a log is broken, no file is a log, scores are ambiguous or cannot be read.
        MissingExtraError: a file needs pyarrow, which is not installed.
    """
    raise NotImplementedError
