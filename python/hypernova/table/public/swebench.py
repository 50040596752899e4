"""Read SWE-bench's leaderboard file, with the problem statements that it lacks.

Not here: running or checking anything; the outcomes are those that the file states.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from hypernova.table.columns import Ints, Outcomes, Tasks, check_tasks
from hypernova.table.outcome_table import OutcomeTable
from hypernova.table.parquet import Columns
from hypernova.table.public.headline import Discrepancy, PublicTable, discrepancy
from hypernova.table.source import Source, existing, form_of, listed, opened, shown
from hypernova.table.text import JsonObject, OutcomeRows, json_number, json_objects, json_text

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_DETAILS = "per_instance_details"
_PROBLEM = {"task_id": "instance_id", "prompt": "problem_statement", "group": "repo"}
_RESULT = {"score": "resolved", "cost_usd": "cost", "model": "name"}


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    """A row of a leaderboard that has outcomes by task."""

    at: int
    model: str
    content: JsonObject
    details: JsonObject


def read_swebench(
    leaderboards: str | os.PathLike[str],
    problems: str | os.PathLike[str],
    *,
    leaderboard: str | None = None,
    models: Sequence[str] | None = None,
    max_difference: float | None = None,
) -> PublicTable:
    """Read one leaderboard of SWE-bench's `leaderboards.json` as an outcome table.

    A task is an instance, its group the repository; a model is an entry of the leaderboard, which
    is a language model with the agent around it. Entries without `per_instance_details` are named
    in the result and otherwise ignored. A `resolved` that is null or missing is a hole. A cost that
    is null, missing or exactly 0 is unknown: a run that paid nothing is one whose cost was not
    recorded. `api_calls` are ignored. Two entries of one name are told apart by their date, or else
    by their folder. Tasks on which none of the models has an outcome are left out.

    Args:
        leaderboards: The JSON file: `{"leaderboards": [{"name", "results": [{"name", "resolved",
            "date", "per_instance_details": {instance_id: {"resolved", "cost"}}}]}]}`, where the
            `resolved` of an entry is its headline rate in percent.
        problems: A `.parquet`, `.jsonl` or `.json` file (a list of objects) with `instance_id`,
            `problem_statement` and `repo`, of that leaderboard's instances and no others.
        leaderboard: Name of the leaderboard; by default the only one that has outcomes by task.
        models: Names of the entries wanted; by default all.
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
    path = existing(leaderboards)
    source = Source.of(path, "entry", _RESULT)
    board, results = _leaderboard(_boards(_read_json(path, source), source), source, leaderboard)
    entries, without = _entries(results, source, board)
    tasks = _problems(existing(problems))
    check_tasks(tasks)
    place = {task_id: index for index, task_id in enumerate(tasks.ids)}
    _check_same_instances(entries, place, tasks.source, source)

    rows = OutcomeRows()
    found: list[Discrepancy] = []
    for entry in _chosen(entries, models, source, board):
        outcomes = _outcomes(entry, source)
        if not outcomes:
            without.append(entry.model)
            continue
        solved = sum(score for score, _ in outcomes.values())
        odd = discrepancy(entry.model, _headline(entry, source), int(solved), len(outcomes))
        if odd is not None:
            found.append(odd)
            if max_difference is not None and abs(odd.difference) > max_difference:
                continue
        for instance, (score, cost) in outcomes.items():
            rows.add(entry.at, place[instance], entry.model, (score, cost, np.nan))
    columns = rows.columns(source)
    return PublicTable(
        table=OutcomeTable.of_columns(*_of_tried(tasks, columns), name=path.stem),
        discrepancies=tuple(sorted(found, key=lambda odd: -abs(odd.difference))),
        without_outcomes=tuple(without),
    )


def _read_json(path: Path, source: Source) -> object:
    with opened(path, source) as file:
        raw = file.read()
    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=JsonObject)
    except UnicodeDecodeError as error:
        raise source.error(
            f"is not valid UTF-8 (byte 0x{raw[error.start]:02x} at offset {error.start})",
            "download it again, or save it as UTF-8",
        ) from error
    except json.JSONDecodeError as error:
        raise source.error(
            f"is not valid JSON ({error.msg} at line {error.lineno}, character {error.colno})",
            "it may have been cut short: download it again",
        ) from error
    # An integer of thousands of digits, or "[[[[...".
    except (ValueError, RecursionError) as error:
        raise source.error(f"is not valid JSON ({error})", "download it again") from error


def _boards(document: object, source: Source) -> list[JsonObject]:
    if not isinstance(document, JsonObject) or "leaderboards" not in document:
        found = listed(document) if isinstance(document, JsonObject) else shown(document)
        raise source.error(
            f"is not an object with 'leaderboards', found {found}",
            "give data/leaderboards.json of the SWE-bench site",
        )
    return _objects(document["leaderboards"], source, "leaderboards")


def _objects(
    value: object, source: Source, column: str | None = None, of: str | None = None
) -> list[JsonObject]:
    if not isinstance(value, list):
        raise source.error(f"found {shown(value)}", "give a list of objects", column=column, of=of)
    for at, item in enumerate(value, 1):
        if not isinstance(item, JsonObject):
            raise source.error(
                f"found {shown(item)}", "give an object", at=at, column=column, of=of
            )
    return value


def _leaderboard(
    boards: list[JsonObject], source: Source, wanted: str | None
) -> tuple[str, list[JsonObject]]:
    # The name of the leaderboard to read, and its entries.
    results: dict[str, list[JsonObject]] = {}
    for at, board in enumerate(boards, 1):
        missing = [key for key in ("name", "results") if key not in board]
        if missing:
            raise source.error(
                f"number {at} lacks {listed(missing)}, found {listed(board)}",
                "download the file again",
                column="leaderboards",
            )
        name = json_text(board["name"], source, at, "leaderboards")
        if name in results:
            raise source.error(
                f"found the leaderboard {shown(name)} twice", "keep one", column="leaderboards"
            )
        results[name] = _objects(board["results"], source, "results", f"leaderboard {shown(name)}")
    if wanted is not None:
        if wanted not in results:
            raise source.error(
                f"holds no leaderboard {shown(wanted)}", f"name one of {listed(results)}"
            )
        return wanted, results[wanted]
    detailed = [name for name, entries in results.items() if any(e.get(_DETAILS) for e in entries)]
    if len(detailed) > 1:
        raise source.error(
            f"holds {len(detailed)} leaderboards with results by task",
            f"say which is meant, {listed(detailed)}",
        )
    if not detailed:
        raise source.error(
            f"no entry of its leaderboards ({listed(results)}) has {_DETAILS!r}",
            "take a newer file; older ones have only the rates",
        )
    return detailed[0], results[detailed[0]]


def _entries(
    results: list[JsonObject], source: Source, board: str
) -> tuple[list[_Entry], list[str]]:
    # The entries that have outcomes by task, under names of their own, and the names of others.
    entries: list[_Entry] = []
    without: list[str] = []
    for at, content in enumerate(results, 1):
        of = f"leaderboard {shown(board)}"
        if "name" not in content:
            raise source.error(
                f"lacks 'name', found {listed(content)}", "add the name", at=at, of=of
            )
        name = json_text(content["name"], source, at, "name")
        details = content.get(_DETAILS)
        if details is None or details == {}:
            without.append(name)
            continue
        of += f", model {shown(name)}"
        if not isinstance(details, JsonObject):
            raise source.error(
                f"found {shown(details)}",
                'write an object {"instance_id": {"resolved": true, "cost": 0.1}}',
                at=at,
                column=_DETAILS,
                of=of,
            )
        repeated = details.repeated(details) if details.pairs else None
        if repeated:
            raise source.error(
                f"found {shown(repeated)} twice", "keep one", at=at, column=_DETAILS, of=of
            )
        entries.append(_Entry(at, name, content, details))
    if not entries:
        raise source.error(
            f"no entry has {_DETAILS!r}",
            "name another leaderboard, or take a newer file",
            of=f"leaderboard {shown(board)}",
        )
    for key in ("date", "folder"):
        entries = _told_apart(entries, key)
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.model in seen:
            raise source.error(
                f"found {shown(entry.model)}, which entry {seen[entry.model]} has already, with "
                "the same date and folder",
                "rename or remove one of the two",
                at=entry.at,
                column="name",
                of=f"leaderboard {shown(board)}",
            )
        seen[entry.model] = entry.at
    return entries, without


def _told_apart(entries: list[_Entry], key: str) -> list[_Entry]:
    count = Counter(entry.model for entry in entries)
    return [
        dataclasses.replace(entry, model=f"{entry.model} [{entry.content[key]}]")
        if count[entry.model] > 1 and isinstance(entry.content.get(key), str)
        else entry
        for entry in entries
    ]


def _chosen(
    entries: list[_Entry], models: Sequence[str] | None, source: Source, board: str
) -> list[_Entry]:
    if models is None:
        return entries
    names = [entry.model for entry in entries]
    unknown = [model for model in models if model not in names]
    if unknown:
        raise source.error(
            f"has no results by task of {listed(unknown)}",
            f"choose from {', '.join(map(shown, names))}",
            of=f"leaderboard {shown(board)}",
        )
    return [entry for entry in entries if entry.model in models]


def _check_same_instances(
    entries: list[_Entry], place: dict[str, int], problems: Source, source: Source
) -> None:
    for entry in entries:
        unknown = [instance for instance in entry.details if instance not in place]
        if unknown:
            raise source.error(
                f"{len(unknown)} of {len(entry.details)} instances are not in {problems.label}, "
                f"the first is {shown(unknown[0])}",
                "give the problems of this leaderboard",
                at=entry.at,
                column=_DETAILS,
                of=f"model {shown(entry.model)}",
            )
    tried = {instance for entry in entries for instance in entry.details}
    idle = [instance for instance in place if instance not in tried]
    if idle:
        raise problems.error(
            f"{len(idle)} of {len(place)} instances have no results in {source.label}, the first "
            f"is {shown(idle[0])}",
            "give the problems of this leaderboard and no others",
            column="task_id",
        )


def _outcomes(entry: _Entry, source: Source) -> dict[str, tuple[float, float]]:
    # The score and the cost of each instance whose result is known.
    outcomes = {}
    for instance, result in entry.details.items():
        of = f"model {shown(entry.model)}, task {shown(instance)}"
        if not isinstance(result, JsonObject):
            raise source.error(
                f"found {shown(result)}",
                'write an object {"resolved": true, "cost": 0.1}',
                at=entry.at,
                column=_DETAILS,
                of=of,
            )
        resolved = result.get("resolved")
        if resolved is not None and not isinstance(resolved, bool):
            raise source.error(
                f"found {shown(resolved)}",
                "write true or false, or null where it is not known",
                at=entry.at,
                column="resolved",
                of=of,
            )
        cost = result.get("cost")
        usd = np.nan if cost is None else json_number(cost, source, entry.at, "cost", of)
        if resolved is not None:
            outcomes[instance] = (float(resolved), usd if usd else np.nan)
    return outcomes


def _headline(entry: _Entry, source: Source) -> float:
    of = f"model {shown(entry.model)}"
    if "resolved" not in entry.content:
        raise source.error(
            f"lacks 'resolved', found {listed(entry.content)}",
            "add the rate in percent, which its results are checked against",
            at=entry.at,
            of=of,
        )
    percent = entry.content["resolved"]
    is_number = isinstance(percent, int | float) and not isinstance(percent, bool)
    if not is_number or not 0 <= percent <= 100:
        raise source.error(
            f"found {shown(percent)}",
            "give a rate in percent, 0..100",
            at=entry.at,
            column="resolved",
            of=of,
        )
    return float(percent)


def _of_tried(tasks: Tasks, outcomes: Outcomes) -> tuple[Tasks, Outcomes]:
    # Without the tasks that no outcome is of.
    kept = np.unique(outcomes.task)
    if len(kept) == len(tasks.ids):
        return tasks, outcomes
    picked = kept.tolist()
    return Tasks(
        source=tasks.source,
        rows=tasks.rows[kept],
        ids=[tasks.ids[index] for index in picked],
        prompts=[tasks.prompts[index] for index in picked],
        groups=[tasks.groups[index] for index in picked],
        embedding=None,
    ), dataclasses.replace(outcomes, task=np.searchsorted(kept, outcomes.task))


def _problems(path: Path) -> Tasks:
    form, _ = form_of(
        path, (".json", ".jsonl", ".parquet"), "problems", "give .parquet, .jsonl or .json"
    )
    if form == ".parquet":
        file = Columns(path, tuple(_PROBLEM.values()), ())
        texts = [file.texts(key) for key in _PROBLEM.values()]
        ids, prompts, repos = ([text.values[code] for code in text.codes] for text in texts)
        return _tasks(Source.of(path, "row", _PROBLEM), file.rows, ids, prompts, repos)
    if form == ".jsonl":
        source = Source.of(path, "line", _PROBLEM)
        with opened(path, source) as lines:
            return _tasks_of_objects(json_objects(lines, source), source)
    source = Source.of(path, "entry", _PROBLEM)
    problems = _objects(_read_json(path, source), source)
    return _tasks_of_objects(enumerate(problems, 1), source)


def _tasks_of_objects(problems: Iterable[tuple[int, JsonObject]], source: Source) -> Tasks:
    rows: list[int] = []
    texts: list[list[str]] = []
    for at, problem in problems:
        missing = [key for key in _PROBLEM.values() if key not in problem]
        if missing:
            raise source.missing(missing, problem, at=at)
        rows.append(at)
        texts.append([json_text(problem[key], source, at, key) for key in _PROBLEM.values()])
    ids, prompts, repos = ([text[column] for text in texts] for column in range(3))
    return _tasks(source, np.array(rows, dtype=np.int64), ids, prompts, repos)


def _tasks(
    source: Source, rows: Ints, ids: list[str], prompts: list[str], repos: list[str]
) -> Tasks:
    return Tasks(source, rows, ids, prompts, [repo or None for repo in repos], None)
