"""Find the logs among files and folders, each with the reader of its tool.

Not here: reading them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.errors import NotFoundError, TableError
from hypernova.paths import path_label
from hypernova.table.formats.parquet import import_pyarrow
from hypernova.table.log_files.files import PARQUET_MAGIC, LogFile
from hypernova.table.scan.files import natural_order
from hypernova.table.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypernova.table.sources.log import ToolLogReader


@dataclass(frozen=True, slots=True)
class FoundLog:
    """A log and its tool.

    Attributes:
        path: The file.
        reader: Index of its reader.
        others: Files beside it that belong to logs of the tool, or else those of the whole import.
        size: Its length in bytes.
    """

    path: Path
    reader: int
    others: tuple[Path, ...]
    size: int


@dataclass(slots=True)
class FoundFiles:
    """The files of an import.

    Attributes:
        logs: The logs, in natural order.
        unknown: Files in folders that no reader knows, in natural order.
        broken: Files and folders in folders that cannot be opened, with the reasons.
        name: A name for the table.
        label: The files and folders, for messages.
    """

    logs: list[FoundLog] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    name: str = "logs"
    label: str = "logs"


def discover(
    paths: Sequence[str | os.PathLike[str]], readers: Sequence[ToolLogReader]
) -> FoundFiles:
    """Find the logs among files and folders.

    Folders are walked with those in them; names that begin with ``.`` or ``_`` are passed over,
    and a file that is found twice is read once.

    Args:
        paths: Files and folders.
        readers: The readers that are asked, in this order.

    Raises:
        NotFoundError: nothing is at a path.
        TableError: a named file is no log of a known tool, or no file is a log.
        MissingExtraError: a named file is Parquet, and pyarrow is not installed.
    """
    if not paths:
        raise TableError("no log was named; name files or folders of logs")
    broken: dict[str, str] = {}
    named, in_folders = _files(paths, broken)
    every = sorted({**in_folders, **named}.values(), key=natural_order)
    found = FoundFiles(name=_name(paths), label=_label(paths), broken=broken)
    logs: list[tuple[Path, int]] = []
    # By reader: files that accompany its logs, by folder.
    companions: list[dict[Path, list[Path]]] = [{} for _ in readers]
    identities = {path: identity for identity, path in {**in_folders, **named}.items()}
    for path in every:
        file = LogFile(path)
        reader = reader_of(file, readers)
        if reader is not None:
            logs.append((path, reader))
            continue
        of = [n for n, one in enumerate(readers) if _says(one.accompanies, file)]
        for n in of:
            companions[n].setdefault(path.parent, []).append(path)
        if of:
            continue
        if identities[path] in named:
            raise _unknown(file, readers)
        try:
            if not file.head:  # which is empty, too, where it cannot be opened
                file.check_opens()
        except TableError as error:
            found.broken[path_label(path)] = str(error)
            continue
        found.unknown.append(path_label(path))
    if not logs and not found.broken:
        raise TableError(
            f"{found.label}: found no log among {len(every)} files; name logs of {_tools(readers)}"
        )
    walked = {path.parent for path in in_folders.values()}
    for folder in dict.fromkeys(path.parent for path, _ in logs):
        if folder not in walked:
            _add_neighbours(folder, readers, companions)
    for path, reader in logs:
        beside = companions[reader].get(path.parent)
        others = beside or [one for group in companions[reader].values() for one in group]
        found.logs.append(FoundLog(path, reader, tuple(others), path.stat().st_size))
    return found


def files_in(path: Path) -> Iterator[LogFile]:
    """Yield the file at a path, or the files in a folder in natural order; nothing without one."""
    if path.is_file():
        yield LogFile(path)
    elif path.is_dir():
        broken: dict[str, str] = {}
        for file, _ in _walk(path, set(), broken):
            yield LogFile(file)


def reader_of(file: LogFile, readers: Sequence[ToolLogReader]) -> int | None:
    """Return the index of the first reader that knows a file as a log, or None."""
    return next((n for n, one in enumerate(readers) if _says(one.recognise, file)), None)


_Identity = tuple[int, int]


def _files(
    paths: Sequence[str | os.PathLike[str]], broken: dict[str, str]
) -> tuple[dict[_Identity, Path], dict[_Identity, Path]]:
    """Return the files that are named, and those in folders that are, by their identity."""
    named: dict[_Identity, Path] = {}
    in_folders: dict[_Identity, Path] = {}
    seen: set[_Identity] = set()
    for given in paths:
        path = Path(given)
        label = path_label(given)
        if not os.fspath(given):  # such as a variable of the shell that is not set
            raise NotFoundError("the path of a log is empty; name a file or a folder")
        try:
            if not path.exists():
                raise NotFoundError(f"{label}: no such file or folder; check the path")
        except PermissionError as error:
            raise Source.of(path, "").error(
                f"cannot be opened ({error.strerror})",
                "check the permissions of the folders that it is in",
            ) from error
        if path.is_dir():
            for file, identity in _walk(path, seen, broken):
                in_folders.setdefault(identity, file)
        elif path.is_file():
            status = path.stat()
            named.setdefault((status.st_dev, status.st_ino), path)
        else:
            raise TableError(f"{label}: is no regular file; name a log, or a folder of logs")
    return named, in_folders


def _walk(
    folder: Path, seen: set[_Identity], broken: dict[str, str]
) -> Iterator[tuple[Path, _Identity]]:
    """Yield the files in a folder, in natural order, with their identities.

    Args:
        folder: The folder.
        seen: Identities of folders that were walked: a link may lead back to one.
        broken: Receives the folders that cannot be opened, with the reasons.
    """
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    try:
        entries = sorted(folder.iterdir(), key=natural_order)
    except OSError as error:
        problem = Source.of(folder, "").error(
            f"cannot be opened ({error.strerror})", "check the folder and its permissions"
        )
        broken[path_label(folder)] = str(problem)
        return
    for path in entries:
        if path.name[0] in "._":
            continue
        try:
            status = path.stat()
        except OSError:  # a link to nothing, or to itself
            continue
        if path.is_dir():
            yield from _walk(path, seen, broken)
        elif path.is_file():
            yield path, (status.st_dev, status.st_ino)


def _add_neighbours(
    folder: Path, readers: Sequence[ToolLogReader], companions: Sequence[dict[Path, list[Path]]]
) -> None:
    """Find the files beside a log that was named alone."""
    try:
        entries = sorted(folder.iterdir(), key=natural_order)
    except OSError:
        return  # a file can be read in a folder that cannot be listed
    for path in entries:
        if path.is_file():
            file = LogFile(path)
            for n, reader in enumerate(readers):
                known = companions[n].setdefault(folder, [])
                if path not in known and _says(reader.accompanies, file):
                    known.append(path)


def _says(question: Callable[[LogFile], bool], file: LogFile) -> bool:
    """Ask a reader about a file; one that fails at it does not know it."""
    try:
        return bool(question(file))
    except MemoryError:
        raise
    except Exception:
        return False


def _unknown(file: LogFile, readers: Sequence[ToolLogReader]) -> TableError:
    source = Source.of(file.path, "")
    if not file.head and file.path.stat().st_size:
        with file.open() as opened:
            opened.read(1)  # which raises what is wrong with it
    if file.head.startswith(PARQUET_MAGIC):
        import_pyarrow(source)
    kind = "is empty, and" if not file.path.stat().st_size else "is"
    return source.error(
        f"{kind} no log of a tool that is known", f"give a log of {_tools(readers)}"
    )


def _tools(readers: Sequence[ToolLogReader]) -> str:
    titles = [reader.title for reader in readers]
    return ", ".join(titles[:-1]) + f" or {titles[-1]}" if titles[1:] else "".join(titles)


def _label(paths: Sequence[str | os.PathLike[str]]) -> str:
    first = path_label(paths[0])
    return first if len(paths) == 1 else f"{first} and {len(paths) - 1} more"


def _name(paths: Sequence[str | os.PathLike[str]]) -> str:
    if len(paths) > 1:
        return "logs"
    path = Path(paths[0])
    if path.is_dir():
        # "." and ".." have no name of their own.
        return path.resolve().name if path.name in {"", ".."} else path.name
    return path.name.partition(".")[0] or path.name
