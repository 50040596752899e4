"""Read SWE-bench's leaderboard file, together with the problem statements.

Not here: running the benchmark; the outcomes are those that the file states.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from hypernova.strict_json import reason_of
from hypernova.table.checks import check_tasks
from hypernova.table.columns import Ints, OutcomeBuilder, TaskColumns
from hypernova.table.formats.files import detect_format, open_bytes
from hypernova.table.formats.jsonl import JsonObject, read_objects, require_number, require_text
from hypernova.table.formats.parquet import ParquetColumns
from hypernova.table.source import Source, quoted, quoted_list
from hypernova.table.sources.log import Note, ToolLogReader
from hypernova.table.sources.public.columns import Hole, PublishedColumns
from hypernova.table.sources.public.headline import Discrepancy, discrepancy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from hypernova.table.log_files.files import LogFile
    from hypernova.table.log_files.prompt_choice import PromptChoice
    from hypernova.table.sources.log import Record

_DETAILS = "per_instance_details"
_METRIC = "resolved"
_PROBLEM_COLUMNS = {"task_id": "instance_id", "prompt": "problem_statement", "group": "repo"}
_RESULT_COLUMNS = {"score": "resolved", "cost_usd": "cost", "model": "name"}


@dataclasses.dataclass(frozen=True, slots=True)
class _BoardEntry:
    """An entry of a leaderboard with outcomes by task."""

    at: int
    model: str
    content: JsonObject
    details: JsonObject


class SwebenchReader(ToolLogReader):
    """Read SWE-bench's leaderboard file as a log, with the problem statements beside it."""

    name = "swebench"
    title = "SWE-bench leaderboard"

    def recognise(self, file: LogFile) -> bool:
        """Return whether a file is the leaderboard file."""
        return file.first_keys[:1] == ("leaderboards",)

    def accompanies(self, file: LogFile) -> bool:
        """Return whether a file holds problem statements."""
        return set(_PROBLEM_COLUMNS.values()) <= set(file.columns or file.first_keys)

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield a sample of each result by task, then the headline rates.

        Of several leaderboards and files of problems, those are read whose instances are the same.
        The prompt is the problem statement; ``field`` names it, ``instance_id`` or ``repo``.

        Raises:
            TableError: a file is malformed, or no file of problems belongs to a leaderboard.
            MissingExtraError: the problems are Parquet and pyarrow is not installed.
        """
        source = Source.of(log.path, "entry", _RESULT_COLUMNS)
        problems = {file.path: file for file in others if self.accompanies(file)}
        if not problems:
            raise source.error(
                "holds results without the problem statements",
                "give the file of problems too, with 'instance_id', 'problem_statement' and 'repo'",
            )
        boards = _boards(_read_json(log.path, source), source)
        board, path = _belonging(boards, tuple(problems), source)
        columns = read_swebench_columns(log.path, path, leaderboard=board)
        if columns.without_outcomes:
            yield Note(
                f"{source.label}: {len(columns.without_outcomes)} entries have no results by task"
            )
        yield from columns.records(prompt, _PROBLEM_COLUMNS)


def _belonging(
    boards: list[JsonObject], problems: Sequence[Path], source: Source
) -> tuple[str | None, Path]:
    # Returns the leaderboard and the problems of the same instances. Of one leaderboard and one
    # file nothing is compared here, so that reading them says what does not fit.
    detailed = {}
    for board in boards:
        results = board.get("results")
        details = [
            entry[_DETAILS]
            for entry in (results if isinstance(results, list) else ())
            if isinstance(entry, JsonObject) and isinstance(entry.get(_DETAILS), JsonObject)
        ]
        if any(details):
            detailed[str(board.get("name"))] = {key for keys in details for key in keys}
    if len(problems) == 1 and len(detailed) <= 1:
        return None, problems[0]
    of_file = {path: set(_problems(path).ids) for path in problems}
    fitting = [
        (name, path)
        for name, tried in detailed.items()
        for path, ids in of_file.items()
        if tried == ids
    ]
    if len(fitting) == 1:
        return fitting[0]
    raise source.error(
        f"{len(fitting)} of its leaderboards ({quoted_list(detailed)}) have the instances of the "
        f"problems beside it ({quoted_list(path.name for path in problems)})",
        "name one with `hypernova datasets convert swebench --leaderboard`",
    )


def read_swebench_columns(
    leaderboards: Path,
    problems: Path,
    *,
    leaderboard: str | None = None,
    models: Sequence[str] | None = None,
    max_difference: float | None = None,
) -> PublishedColumns:
    """Read one leaderboard as columns; `hypernova.table.read_swebench` describes the arguments.

    Raises:
        TableError: a file is malformed or the two do not belong together.
        MissingExtraError: the problems are Parquet and pyarrow is not installed.
    """
    source = Source.of(leaderboards, "entry", _RESULT_COLUMNS)
    boards = _boards(_read_json(leaderboards, source), source)
    board, results = _leaderboard(boards, source, leaderboard)
    entries, without = _entries(results, source, board)
    tasks = _problems(problems)
    check_tasks(tasks)
    place = {task_id: index for index, task_id in enumerate(tasks.ids)}
    _check_same_instances(entries, place, tasks.source, source)

    rows = OutcomeBuilder()
    found: list[Discrepancy] = []
    headlines: dict[str, float] = {}
    holes: list[Hole] = []
    for entry in _select(entries, models, source, board):
        outcomes = _outcomes(entry, source)
        if not outcomes:
            without.append(entry.model)
            continue
        headline = _headline(entry, source)
        solved = sum(score for score, _ in outcomes.values())
        odd = discrepancy(entry.model, headline, int(solved), len(outcomes))
        if odd is not None:
            found.append(odd)
            if max_difference is not None and abs(odd.difference) > max_difference:
                continue
        headlines[entry.model] = headline
        for instance in entry.details:
            if instance in outcomes:
                score, cost = outcomes[instance]
                rows.add(entry.at, place[instance], entry.model, (score, cost, np.nan))
            else:
                holes.append(Hole(entry.at, place[instance], entry.model))
    return PublishedColumns(
        tasks=tasks,
        outcomes=rows.build(source),
        name=leaderboards.stem,
        metric=_METRIC,
        headlines=headlines,
        holes=tuple(holes),
        discrepancies=tuple(sorted(found, key=lambda odd: -abs(odd.difference))),
        without_outcomes=tuple(without),
    )


def _read_json(path: Path, source: Source) -> object:
    with open_bytes(path, source) as file:
        raw = file.read()
    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=JsonObject)
    except UnicodeDecodeError as error:
        raise source.error(
            f"is not valid UTF-8 (byte 0x{raw[error.start]:02x} at offset {error.start})",
            "download it again, or save it as UTF-8",
        ) from error
    # Also an integer of thousands of digits, or "[[[[...".
    except (ValueError, RecursionError) as error:
        raise source.error(
            f"is not valid JSON ({reason_of(error)})",
            "it may have been cut short: download it again",
        ) from error


def _boards(document: object, source: Source) -> list[JsonObject]:
    if not isinstance(document, JsonObject) or "leaderboards" not in document:
        found = quoted_list(document) if isinstance(document, JsonObject) else quoted(document)
        raise source.error(
            f"is not an object with 'leaderboards', found {found}",
            "give data/leaderboards.json of the SWE-bench site",
        )
    return _objects(document["leaderboards"], source, "leaderboards")


def _objects(
    value: object, source: Source, column: str | None = None, of: str | None = None
) -> list[JsonObject]:
    if not isinstance(value, list):
        raise source.error(f"found {quoted(value)}", "give a list of objects", column=column, of=of)
    for at, item in enumerate(value, 1):
        if not isinstance(item, JsonObject):
            raise source.error(
                f"found {quoted(item)}", "give an object", at=at, column=column, of=of
            )
    return value


def _leaderboard(
    boards: list[JsonObject], source: Source, wanted: str | None
) -> tuple[str, list[JsonObject]]:
    # Returns the name of the leaderboard to read, and its entries.
    results: dict[str, list[JsonObject]] = {}
    for at, board in enumerate(boards, 1):
        missing = [key for key in ("name", "results") if key not in board]
        if missing:
            raise source.error(
                f"number {at} lacks {quoted_list(missing)}, found {quoted_list(board)}",
                "download the file again",
                column="leaderboards",
            )
        name = require_text(board["name"], source, at, "leaderboards")
        if name in results:
            raise source.error(
                f"found the leaderboard {quoted(name)} twice", "keep one", column="leaderboards"
            )
        results[name] = _objects(board["results"], source, "results", f"leaderboard {quoted(name)}")
    if wanted is not None:
        if wanted not in results:
            raise source.error(
                f"holds no leaderboard {quoted(wanted)}", f"name one of {quoted_list(results)}"
            )
        return wanted, results[wanted]
    detailed = [name for name, entries in results.items() if any(e.get(_DETAILS) for e in entries)]
    if len(detailed) > 1:
        raise source.error(
            f"holds {len(detailed)} leaderboards with results by task",
            f"say which is meant, {quoted_list(detailed)}",
        )
    if not detailed:
        raise source.error(
            f"no entry of its leaderboards ({quoted_list(results)}) has {_DETAILS!r}",
            "take a newer file; older ones have only the rates",
        )
    return detailed[0], results[detailed[0]]


def _entries(
    results: list[JsonObject], source: Source, board: str
) -> tuple[list[_BoardEntry], list[str]]:
    # Returns the entries with outcomes by task, under distinct names, and the names of the others.
    entries: list[_BoardEntry] = []
    without: list[str] = []
    for at, content in enumerate(results, 1):
        of = f"leaderboard {quoted(board)}"
        if "name" not in content:
            raise source.error(
                f"lacks 'name', found {quoted_list(content)}", "add the name", at=at, of=of
            )
        name = require_text(content["name"], source, at, "name")
        details = content.get(_DETAILS)
        if details is None or details == {}:
            without.append(name)
            continue
        of += f", model {quoted(name)}"
        if not isinstance(details, JsonObject):
            raise source.error(
                f"found {quoted(details)}",
                'write an object {"instance_id": {"resolved": true, "cost": 0.1}}',
                at=at,
                column=_DETAILS,
                of=of,
            )
        duplicate = details.first_duplicate(details) if details.pairs else None
        if duplicate:
            raise source.error(
                f"found {quoted(duplicate)} twice", "keep one", at=at, column=_DETAILS, of=of
            )
        entries.append(_BoardEntry(at, name, content, details))
    if not entries:
        raise source.error(
            f"no entry has {_DETAILS!r}",
            "name another leaderboard, or take a newer file",
            of=f"leaderboard {quoted(board)}",
        )
    for key in ("date", "folder"):
        entries = _distinguish(entries, key)
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.model in seen:
            raise source.error(
                f"found {quoted(entry.model)}, which entry {seen[entry.model]} has already, with "
                "the same date and folder",
                "rename or remove one of the two",
                at=entry.at,
                column="name",
                of=f"leaderboard {quoted(board)}",
            )
        seen[entry.model] = entry.at
    return entries, without


def _distinguish(entries: list[_BoardEntry], key: str) -> list[_BoardEntry]:
    count = Counter(entry.model for entry in entries)
    return [
        dataclasses.replace(entry, model=f"{entry.model} [{entry.content[key]}]")
        if count[entry.model] > 1 and isinstance(entry.content.get(key), str)
        else entry
        for entry in entries
    ]


def _select(
    entries: list[_BoardEntry], models: Sequence[str] | None, source: Source, board: str
) -> list[_BoardEntry]:
    if models is None:
        return entries
    names = [entry.model for entry in entries]
    unknown = [model for model in models if model not in names]
    if unknown:
        raise source.error(
            f"has no results by task of {quoted_list(unknown)}",
            f"choose from {', '.join(map(quoted, names))}",
            of=f"leaderboard {quoted(board)}",
        )
    return [entry for entry in entries if entry.model in models]


def _check_same_instances(
    entries: list[_BoardEntry], place: dict[str, int], problems: Source, source: Source
) -> None:
    for entry in entries:
        unknown = [instance for instance in entry.details if instance not in place]
        if unknown:
            raise source.error(
                f"{len(unknown)} of {len(entry.details)} instances are not in {problems.label}, "
                f"the first is {quoted(unknown[0])}",
                "give the problems of this leaderboard",
                at=entry.at,
                column=_DETAILS,
                of=f"model {quoted(entry.model)}",
            )
    tried = {instance for entry in entries for instance in entry.details}
    idle = [instance for instance in place if instance not in tried]
    if idle:
        raise problems.error(
            f"{len(idle)} of {len(place)} instances have no results in {source.label}, the first "
            f"is {quoted(idle[0])}",
            "give the problems of this leaderboard and no others",
            column="task_id",
        )


def _outcomes(entry: _BoardEntry, source: Source) -> dict[str, tuple[float, float]]:
    # Returns score and cost of each instance whose result is known.
    outcomes = {}
    for instance, result in entry.details.items():
        of = f"model {quoted(entry.model)}, task {quoted(instance)}"
        if not isinstance(result, JsonObject):
            raise source.error(
                f"found {quoted(result)}",
                'write an object {"resolved": true, "cost": 0.1}',
                at=entry.at,
                column=_DETAILS,
                of=of,
            )
        resolved = result.get("resolved")
        if resolved is not None and not isinstance(resolved, bool):
            raise source.error(
                f"found {quoted(resolved)}",
                "write true or false, or null where it is not known",
                at=entry.at,
                column="resolved",
                of=of,
            )
        cost = result.get("cost")
        usd = np.nan if cost is None else require_number(cost, source, entry.at, "cost", of)
        if resolved is not None:
            outcomes[instance] = (float(resolved), usd if usd else np.nan)
    return outcomes


def _headline(entry: _BoardEntry, source: Source) -> float:
    of = f"model {quoted(entry.model)}"
    if "resolved" not in entry.content:
        raise source.error(
            f"lacks 'resolved', found {quoted_list(entry.content)}",
            "add the rate in percent, which its results are checked against",
            at=entry.at,
            of=of,
        )
    percent = entry.content["resolved"]
    is_number = isinstance(percent, int | float) and not isinstance(percent, bool)
    if not is_number or not 0 <= percent <= 100:
        raise source.error(
            f"found {quoted(percent)}",
            "give a rate in percent, 0..100",
            at=entry.at,
            column="resolved",
            of=of,
        )
    return float(percent)


def _problems(path: Path) -> TaskColumns:
    suffix, _ = detect_format(
        path, (".json", ".jsonl", ".parquet"), "problems", "give .parquet, .jsonl or .json"
    )
    if suffix == ".parquet":
        file = ParquetColumns.read(path, tuple(_PROBLEM_COLUMNS.values()), ())
        texts = [file.texts(key) for key in _PROBLEM_COLUMNS.values()]
        ids, prompts, repos = (text.texts() for text in texts)
        return _tasks(Source.of(path, "row", _PROBLEM_COLUMNS), file.rows, ids, prompts, repos)
    if suffix == ".jsonl":
        source = Source.of(path, "line", _PROBLEM_COLUMNS)
        with open_bytes(path, source) as lines:
            return _tasks_of_objects(read_objects(lines, source), source)
    source = Source.of(path, "entry", _PROBLEM_COLUMNS)
    problems = _objects(_read_json(path, source), source)
    return _tasks_of_objects(enumerate(problems, 1), source)


def _tasks_of_objects(problems: Iterable[tuple[int, JsonObject]], source: Source) -> TaskColumns:
    rows: list[int] = []
    texts: list[list[str]] = []
    for at, problem in problems:
        missing = [key for key in _PROBLEM_COLUMNS.values() if key not in problem]
        if missing:
            raise source.missing_columns(missing, problem, at=at)
        rows.append(at)
        texts.append(
            [require_text(problem[key], source, at, key) for key in _PROBLEM_COLUMNS.values()]
        )
    ids, prompts, repos = ([text[column] for text in texts] for column in range(3))
    return _tasks(source, np.array(rows, dtype=np.int64), ids, prompts, repos)


def _tasks(
    source: Source, rows: Ints, ids: list[str], prompts: list[str], repos: list[str]
) -> TaskColumns:
    return TaskColumns(source, rows, ids, prompts, [repo or None for repo in repos], None)
