"""Read logs of evaluation tools as the columns of one table.

Not here: the tools (`hypernova.table.sources`) and the table itself.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypernova.errors import HypernovaError, MissingExtraError, TableError
from hypernova.parallel import default_jobs, map_calls, pickles
from hypernova.paths import path_label
from hypernova.table.importing.collect import Collector
from hypernova.table.importing.discover import discover, files_in, reader_of
from hypernova.table.importing.gather import LogPart, gather
from hypernova.table.importing.registry import log_readers
from hypernova.table.importing.scores import ScoreRules
from hypernova.table.log_files.files import LogFile
from hypernova.table.source import Source

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from hypernova.table.columns import OutcomeColumns, TaskColumns
    from hypernova.table.importing.options import ImportOptions
    from hypernova.table.importing.summary import ImportSummary
    from hypernova.table.log_files.prompt_choice import PromptChoice
    from hypernova.table.sources.log import ToolLogReader

# Worker processes take a third of a second to start.
_BYTES_FOR_WORKERS = 16 << 20
_LOGS_FOR_WORKERS = 4
_TABLE_KEYS = {"task_id", "prompt", "outcomes"}
_TABLE_COLUMNS = {"task_id", "prompt", "model", "score"}
_MAX_NAMED = 12


def are_logs(path: str | os.PathLike[str]) -> bool:
    """Return whether a file, or any file in a folder, is a log of a known tool.

    A file whose first row is that of an outcome table is none, nor is a folder that begins with
    such a file, or holds `tasks.parquet` or `outcomes.parquet`. Only the heads of files are read.

    Raises:
        TableError: the folder cannot be opened.
    """
    place = Path(path)
    try:
        if place.is_dir():
            if any((place / name).exists() for name in ("tasks.parquet", "outcomes.parquet")):
                return False
            if all((place / name).is_dir() for name in ("tasks", "outcomes")):
                return False
    except PermissionError as error:
        raise Source.of(place, "").error(
            f"cannot be opened ({error.strerror})",
            "check its permissions and those of the folders that it is in",
        ) from error
    for file in files_in(place):
        # Of a folder of a table in many files one is enough.
        if _is_table(file):
            return False
        if reader_of(file, log_readers()) is not None:
            return True
    return False


def _is_table(file: LogFile) -> bool:
    columns = set(file.columns)
    return (
        set(file.first_keys) >= _TABLE_KEYS or columns >= _TABLE_KEYS or columns >= _TABLE_COLUMNS
    )


def read_log_columns(
    paths: Sequence[str | os.PathLike[str]],
    options: ImportOptions,
    tick: Callable[[int], None],
) -> tuple[str, TaskColumns, OutcomeColumns, ImportSummary]:
    """Read files and folders of logs, of one or several tools.

    Large imports are read in worker processes, a log in each; the result is the same.

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
    rules = ScoreRules(options.scale, options.choices)
    readers = log_readers()
    found = discover(paths, readers)
    shared = (rules, options.rename, options.prompt, *readers)
    calls = (
        partial(
            _read_log,
            log.path,
            log.others,
            readers[log.reader],
            rules,
            options.rename,
            options.prompt,
        )
        for log in found.logs
    )
    several = (
        default_jobs() > 1
        and len(found.logs) >= _LOGS_FOR_WORKERS
        and sum(log.size for log in found.logs) >= _BYTES_FOR_WORKERS
        and all(pickles(readers[number]) for number in {log.reader for log in found.logs})
    )
    collector = Collector(options)
    broken = dict(found.broken)
    n_logs = len(found.logs) + len(broken)
    with closing(_parts(calls, len(found.logs), shared if several else None)) as parts:
        for log, part in zip(found.logs, parts, strict=True):
            if isinstance(part, LogPart):
                collector.add(part)
            else:
                broken[path_label(log.path)] = part
            tick(1)
    if len(broken) == n_logs > 1:
        raise TableError(f"{found.label}: no log can be read ({_listed(broken)}); give other logs")
    if broken and (n_logs == 1 or not options.skip_broken):
        raise _broken(broken, n_logs)
    tasks, outcomes, summary = collector.table(
        found.label, broken=broken, unknown_files=found.unknown
    )
    return found.name, tasks, outcomes, summary


def _parts(
    calls: Iterable[partial[LogPart | str]], total: int, shared: Sequence[Any] | None
) -> Generator[LogPart | str, None, None]:
    """Read each log, in worker processes if there is something that they share."""
    if shared is None:
        for call in calls:
            yield call()
    else:
        yield from map_calls(calls, total=total, description="reading logs", shared=shared)


def _read_log(
    path: Path,
    others: tuple[Path, ...],
    reader: ToolLogReader,
    rules: ScoreRules,
    rename: Mapping[str, str],
    prompt: PromptChoice,
) -> LogPart | str:
    """Read one log, in this process or a worker; return what is wrong with a broken one."""
    try:
        return gather(
            reader.read(LogFile(path), [LogFile(other) for other in others], prompt),
            label=path_label(path),
            reader=reader.name,
            title=reader.title,
            rules=rules,
            rename=rename,
        )
    except MissingExtraError:
        raise
    except HypernovaError as error:
        return str(error)
    except MemoryError:
        raise
    # A log of a shape that its reader does not expect must not hide which of thousands it is.
    except Exception as error:
        reason = " ".join(str(error).split())
        return (
            f"{path_label(path)}: cannot be read as a log of {reader.title} "
            f"({type(error).__name__}: {reason}); leave it out, and report it if the tool opens it"
        )


def _broken(broken: Mapping[str, str], n_logs: int) -> TableError:
    how = "--skip-broken of hypernova import, or read_logs(..., skip_broken=True)"
    if n_logs == 1:
        return TableError(next(iter(broken.values())))
    which = "one log" if len(broken) == 1 else f"{len(broken)} logs"
    return TableError(
        f"{which} of {n_logs} cannot be read: {_listed(broken)}; to read the others without: {how}"
    )


def _listed(broken: Mapping[str, str]) -> str:
    reasons = [f"({number}) {reason}" for number, reason in enumerate(broken.values(), 1)]
    if len(reasons) == 1:
        return next(iter(broken.values()))
    if len(reasons) > _MAX_NAMED:
        others = len(reasons) - _MAX_NAMED
        reasons = [*reasons[:_MAX_NAMED], f"and {others} more"]
    return ", ".join(reasons)
