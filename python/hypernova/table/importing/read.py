"""Read logs of evaluation tools as the columns of one table.

Not here: the tools (`hypernova.table.sources`) and the table itself.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.errors import HypernovaError, MissingExtraError, TableError
from hypernova.parallel import default_jobs, map_calls, pickles
from hypernova.paths import path_label
from hypernova.table.importing.collect import Collector
from hypernova.table.importing.discover import discover, has_log, is_log
from hypernova.table.importing.gather import LogPart, gather
from hypernova.table.importing.registry import log_readers
from hypernova.table.importing.scores import ScoreRules
from hypernova.table.sources.files import LogFile

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from hypernova.table.columns import OutcomeColumns, TaskColumns
    from hypernova.table.importing.options import ImportOptions
    from hypernova.table.importing.summary import ImportSummary
    from hypernova.table.sources.log import LogReader
    from hypernova.table.sources.prompt_choice import PromptChoice

# Worker processes take a third of a second to start.
_BYTES_FOR_WORKERS = 16 << 20
_LOGS_FOR_WORKERS = 4
_TABLE_KEYS = {"task_id", "prompt", "outcomes"}
_TABLE_COLUMNS = {"task_id", "prompt", "model", "score"}
_MAX_NAMED = 12


def are_logs(path: str | os.PathLike[str]) -> bool:
    """Return whether a file, or any file in a folder, is a log of a known tool.

    A file whose first row is that of an outcome table is none, nor is a folder that holds
    `tasks.parquet` or `outcomes.parquet`. Nothing but the heads of files is read.
    """
    place = Path(path)
    if place.is_dir():
        if any((place / name).exists() for name in ("tasks.parquet", "outcomes.parquet")):
            return False
        return has_log(place, log_readers())
    if not place.is_file():
        return False
    file = LogFile(place)
    if set(file.first_keys) >= _TABLE_KEYS or set(file.columns) >= _TABLE_COLUMNS:
        return False
    return is_log(place, log_readers())


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
        len(found.logs) >= _LOGS_FOR_WORKERS
        and sum(log.size for log in found.logs) >= _BYTES_FOR_WORKERS
        and all(pickles(readers[number]) for number in {log.reader for log in found.logs})
    )
    collector = Collector(options)
    broken: dict[str, str] = {}
    parts = map_calls(
        calls,
        jobs=default_jobs() if several else 1,
        total=len(found.logs),
        description="reading logs",
        shared=shared,
    )
    with closing(parts):  # type: ignore[type-var]  # a generator
        for log, part in zip(found.logs, parts, strict=True):
            if isinstance(part, LogPart):
                collector.add(part)
            else:
                broken[path_label(log.path)] = part
            tick(1)
    if broken and not options.skip_broken:
        raise _broken(broken, len(found.logs))
    if len(broken) == len(found.logs):
        raise TableError(f"{found.label}: no log can be read ({_listed(broken)}); give other logs")
    tasks, outcomes, summary = collector.table(
        found.label, broken=broken, unknown_files=found.unknown
    )
    return found.name, tasks, outcomes, summary


def _read_log(
    path: Path,
    others: tuple[Path, ...],
    reader: LogReader,
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
