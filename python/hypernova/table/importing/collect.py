"""Merge the samples of all logs into the tasks and outcomes of one table.

Not here: reading a log (`gather`) and choosing metrics (`scores`).
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernova.errors import TableError
from hypernova.table.columns import (
    MAX_NUMBER,
    OPTIONAL_NUMBERS,
    OutcomeColumns,
    TaskColumns,
    unknown,
)
from hypernova.table.importing.names import similar_names, unused_renames
from hypernova.table.importing.requests import Requests, fill_from_requests
from hypernova.table.importing.scores import GroupMetrics, choose_metrics, low_on_scale
from hypernova.table.importing.summary import FigureAgreement, ImportSummary
from hypernova.table.model_names import name_problem
from hypernova.table.repeats import merged
from hypernova.table.scan.places import SourceFiles, place_of
from hypernova.table.source import Source, quoted, quoted_list
from hypernova.table.sources.log import LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hypernova.table.columns import Floats, Ints
    from hypernova.table.importing.gather import LogPart
    from hypernova.table.importing.options import ImportOptions

_DIGITS = re.compile("[0-9]+")
_NO_SCORES = "give logs with scored samples"
# What to do where most samples are left out for a reason.
_NO_OUTCOME: dict[str, str] = {
    LeftOut.NO_PROMPT: "choose another text as the prompt: hypernova import --prompt sent or "
    "field:NAME, or read_logs(..., prompt=...)",
    LeftOut.ERROR: "run the evaluation again: no model is to blame for its failures",
}


class Collector:
    """Logs that were read, in their order."""

    def __init__(self, options: ImportOptions) -> None:
        self._options = options
        self._sources: list[Source] = []
        self._titles: Counter[str] = Counter()
        self._samples = 0
        self._left_out: Counter[str] = Counter()
        self._models_left_out: Counter[str] = Counter()
        self._media = 0
        self._requests = Requests()
        self._notes: Counter[str] = Counter()
        self._tasks: dict[bytes, int] = {}
        self._ids: list[str] = []
        self._prompts: list[str] = []
        self._task_groups: list[int] = []
        # Numbered as they were found: the two have the same order.
        self._groups: dict[str | None, GroupMetrics] = {}
        self._group_numbers: dict[str | None, int] = {}
        self._models: dict[str, int] = {}
        self._metrics: dict[str, int] = {}
        # By group and metric: what logs say, and the first that says so.
        self._directions: dict[tuple[str | None, str], dict[bool, str]] = {}
        self._agreement: list[FigureAgreement] = []
        self._pieces: dict[str, list[NDArray[Any]]] = {}
        self._values: dict[str, list[Floats]] = {name: [] for name in OPTIONAL_NUMBERS}
        self._n_used = 0

    def add(self, part: LogPart) -> None:
        """Add a log."""
        log = len(self._sources)
        self._sources.append(Source(part.label, "sample"))
        self._titles[part.title] += 1
        self._samples += part.samples
        self._left_out.update(part.left_out)
        self._models_left_out.update(part.models_left_out)
        self._media += part.media
        self._requests.extend(part.requests)
        self._notes.update(part.notes)
        self._agreement += part.agreement
        for key, says in part.higher_is_better.items():
            self._directions.setdefault(key, {}).setdefault(says, part.label)
        tasks = self._add_tasks(part)
        models = _numbered(self._models, part.models)
        metrics = _numbered(self._metrics, part.metrics)
        self._add_metrics(part, tasks)
        pieces = {
            "row": place_of(log, 0) + part.number,
            "task": tasks[part.task],
            "model": models[part.model],
            "attempt": part.attempt,
            "score_sample": part.score_sample + self._n_used,
            "score_metric": metrics[part.score_metric].astype(np.int32),
            "score": part.score,
        }
        for name, piece in pieces.items():
            self._pieces.setdefault(name, []).append(piece)
        for name in OPTIONAL_NUMBERS:
            self._values[name].append(part.values.get(name, unknown(len(part.task))))
        self._n_used += len(part.task)

    def table(
        self, label: str, *, broken: Mapping[str, str], unknown_files: Sequence[str]
    ) -> tuple[TaskColumns, OutcomeColumns, ImportSummary]:
        """Return the columns of the table, and the summary.

        Args:
            label: The logs, for messages.
            broken: Logs that were left out, with the reasons.
            unknown_files: Files of no known tool.

        Raises:
            TableError: scores are ambiguous or cannot be read, or there is no outcome.
        """
        pieces = {name: np.concatenate(parts) for name, parts in self._pieces.items()}
        chosen, notes = choose_metrics(list(self._groups.values()), self._options.score)
        notes += self._without_metric(chosen)
        first = _first_of_attempt(pieces["attempt"])
        score = self._chosen_scores(pieces, chosen, first)
        turned = self._turned(chosen)
        task_group = np.array(self._task_groups, dtype=np.int64)
        notes += low_on_scale(
            self._options.scale, list(self._groups), score, task_group[pieces["task"]]
        )
        if turned:
            lower = np.array([name in turned for name in self._groups])
            score = np.where(lower[task_group[pieces["task"]]], 1.0 - score, score)
            notes += [
                f"lower is better of {quoted(metric)}: its scores are turned round, to 1 less the "
                "score"
                for metric in dict.fromkeys(chosen[group] for group in turned)
            ]
        is_first = first == np.arange(len(first))
        left_out = Counter(self._left_out)
        left_out[LeftOut.DUPLICATE] += int(np.count_nonzero(~is_first))
        left_out[LeftOut.UNSCORED] += int(np.count_nonzero(is_first & np.isnan(score)))
        rows = np.flatnonzero(is_first & ~np.isnan(score))
        if not len(rows):
            reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items() if n)
            most = max(left_out, key=left_out.__getitem__)
            remedy = _NO_OUTCOME.get(str(most), _NO_SCORES)
            if len(self._requests):
                remedy = (
                    f"{_NO_SCORES}: these are requests without scores, which add their costs to "
                    "such logs"
                )
            raise TableError(
                f"{label}: no sample gives an outcome ({reasons or 'the logs hold none'}); {remedy}"
            )
        self._check_models(pieces, rows)
        outcomes, values_note = self._outcomes(label, pieces, rows, score, first)
        # Tasks without an outcome teach nothing.
        kept = self._in_order(np.unique(outcomes.task))
        place = np.empty(len(self._ids), dtype=np.int64)
        place[kept] = np.arange(len(kept))
        outcomes = dataclasses.replace(outcomes, task=place[outcomes.task])
        tasks = self._task_columns(label, kept, pieces, rows)
        notes += values_note
        if len(self._requests):
            outcomes, note = fill_from_requests(outcomes, tasks.prompts, self._requests)
            notes.append(note)
        notes += self._closing_notes(len(self._ids) - len(kept), set(outcomes.models))
        summary = self._summary(
            tasks,
            outcomes,
            chosen=chosen,
            agreement=self._agreements(chosen, turned),
            left_out={str(reason): n for reason, n in left_out.items() if n},
            broken=dict(broken),
            unknown_files=tuple(unknown_files),
            notes=tuple(notes),
        )
        return tasks, outcomes, summary

    def _add_tasks(self, part: LogPart) -> Ints:
        """Return the number of each task of a log among all."""
        numbers = np.empty(len(part.keys), dtype=np.int64)
        rows = zip(part.keys, part.ids, part.prompts, part.groups, strict=True)
        for place, (key, task_id, prompt, group) in enumerate(rows):
            task = self._tasks.setdefault(key, len(self._tasks))
            if task == len(self._ids):
                self._ids.append(task_id)
                self._prompts.append(prompt)
                self._groups.setdefault(group, GroupMetrics(group))
                self._task_groups.append(
                    self._group_numbers.setdefault(group, len(self._group_numbers))
                )
            numbers[place] = task
        return numbers

    def _add_metrics(self, part: LogPart, tasks: Ints) -> None:
        """Note which groups of a log have which metrics."""
        groups = list(self._groups)
        group_of_task = np.array([self._task_groups[task] for task in tasks], dtype=np.int64)
        pairs = group_of_task[part.task[part.score_sample]] * len(part.metrics) + part.score_metric
        for pair in np.unique(pairs).tolist():
            group, metric = (
                groups[pair // len(part.metrics)],
                part.metrics[pair % len(part.metrics)],
            )
            first, n = self._groups[group].logs.get(metric, (part.label, 0))
            self._groups[group].logs[metric] = first, n + 1
        for (group, metric), refused in part.refused.items():
            if group in self._groups:
                known = self._groups[group].refused
                known[metric] = known.get(metric, refused).with_words(refused)
        # A group whose samples are all left out lacks no metric.
        for group in {groups[n] for n in np.unique(group_of_task[part.task]).tolist()}:
            self._groups[group].n_logs += 1

    def _chosen_scores(
        self,
        pieces: Mapping[str, NDArray[Any]],
        chosen: Mapping[str | None, str],
        first: Ints,
    ) -> Floats:
        """Return the score of each sample by the metric of its group, NaN without one."""
        metric_of_group = np.array(
            [self._metrics[chosen[name]] if name in chosen else -1 for name in self._groups],
            dtype=np.int64,
        )
        group = np.array(self._task_groups, dtype=np.int64)[pieces["task"]]
        sample, value = pieces["score_sample"], pieces["score"]
        counts = pieces["score_metric"] == metric_of_group[group[sample]]
        return _first_known(value[counts], first[sample[counts]], len(first))

    def _turned(self, chosen: Mapping[str | None, str]) -> set[str | None]:
        """Return the groups whose scores are better the lower they are."""
        turned = set()
        for group, metric in chosen.items():
            says = self._directions.get((group, metric), {})
            if len(says) > 1:
                raise TableError(
                    f"{says[False]}: lower is better of {quoted(metric)}, but {says[True]} says "
                    "that higher is; import logs of one version of the metric"
                )
            if False in says:
                turned.add(group)
        return turned

    def _check_models(self, pieces: Mapping[str, NDArray[Any]], rows: Ints) -> None:
        used = np.unique(pieces["model"][rows])
        names = list(self._models)
        for model in used.tolist():
            problem = name_problem(names[model])
            if problem:
                row = rows[pieces["model"][rows] == model][0]
                raise self._source("").error(
                    f"model: {problem[0]}",
                    "give it another: hypernova import --rename, or read_logs(..., rename=...)",
                    at=int(pieces["row"][row]),
                )

    def _source(self, label: str) -> Source:
        return SourceFiles.over(label, self._sources)

    def _outcomes(
        self,
        label: str,
        pieces: Mapping[str, NDArray[Any]],
        rows: Ints,
        score: Floats,
        first: Ints,
    ) -> tuple[OutcomeColumns, list[str]]:
        """Return the outcomes, with the tasks numbered as they were read, and notes on them."""
        codes, model = np.unique(pieces["model"][rows], return_inverse=True)
        names = list(self._models)
        numbers, odd = {}, 0
        for name in OPTIONAL_NUMBERS:
            parts = self._values[name]
            if all(not any(part.strides) for part in parts if len(part)):
                numbers[name] = unknown(len(rows))
                continue
            values = _first_known(np.concatenate(parts), first)[rows]
            wrong = (values < 0.0) | (values > MAX_NUMBER)
            odd += int(np.count_nonzero(wrong))
            values[wrong] = np.nan
            numbers[name] = values
        notes = []
        if odd:
            notes.append(
                f"{odd} costs, latencies or numbers of tokens are negative or above "
                f"{MAX_NUMBER:g}, and are taken for unknown"
            )
        source = self._source(label) if len(self._sources) > 1 else self._sources[0]
        outcomes = OutcomeColumns(
            source=source,
            rows=pieces["row"][rows],
            task=pieces["task"][rows],
            model=model.astype(np.int64),
            models=[names[code] for code in codes],
            score=score[rows],
            **numbers,
        )
        return outcomes, notes

    def _in_order(self, tasks: Ints) -> Ints:
        """Return tasks by group, id and prompt, whatever the order in which they were read."""
        names = list(self._groups)
        order = sorted(
            tasks.tolist(),
            key=lambda task: (
                names[self._task_groups[task]] or "",
                _by_numbers(self._ids[task]),
                self._prompts[task],
            ),
        )
        return np.array(order, dtype=np.int64)

    def _task_columns(
        self, label: str, kept: Ints, pieces: Mapping[str, NDArray[Any]], rows: Ints
    ) -> TaskColumns:
        first_row = np.empty(len(self._ids), dtype=np.int64)
        first_row[pieces["task"][rows[::-1]]] = pieces["row"][rows[::-1]]
        names = list(self._groups)
        groups = [names[self._task_groups[task]] for task in kept.tolist()]
        ids = [self._ids[task] for task in kept.tolist()]
        return TaskColumns(
            source=self._source(label) if len(self._sources) > 1 else self._sources[0],
            rows=first_row[kept],
            ids=distinct_ids(ids, groups),
            prompts=[self._prompts[task] for task in kept.tolist()],
            groups=groups,
            embedding=None,
        )

    def _without_metric(self, chosen: Mapping[str | None, str]) -> list[str]:
        """Name groups in which some logs lack the metric that counts."""
        notes = []
        for group, metric in chosen.items():
            found = self._groups[group]
            lacking = found.n_logs - found.logs[metric][1]
            if lacking:
                of = "samples without a group" if group is None else f"samples of {quoted(group)}"
                notes.append(
                    f"{lacking} of {found.n_logs} logs with {of} have no score {quoted(metric)}"
                )
        return notes

    def _closing_notes(self, dropped: int, models: set[str]) -> list[str]:
        notes = [
            text if n == 1 else f"{text} (in {n} logs)" for text, n in self._notes.most_common()
        ]
        if self._media:
            have = "1 sample has images or other media beside its text"
            if self._media > 1:
                have = f"{self._media} samples have images or other media beside their text"
            notes.append(f"{have}, which no router sees")
        if dropped:
            one = "1 task has no outcome and is left out"
            notes.append(
                one if dropped == 1 else f"{dropped} tasks have no outcome and are left out"
            )
        without = [name for name in self._models if name and name not in models]
        without += [name for name in self._models_left_out if name not in self._models]
        if without:
            notes.append(f"no outcome was found of {quoted_list(without)}")
        # A name may be both old and new, where another model bears it.
        seen = {*self._models, *self._models_left_out}
        renamed = {old: new for old, new in self._options.rename.items() if new not in seen}
        unused = unused_renames(renamed, seen)
        if unused:
            notes.append(f"no log has the model {quoted_list(unused)} that was to be renamed")
        return notes

    def _agreements(
        self, chosen: Mapping[str | None, str], turned: set[str | None]
    ) -> tuple[FigureAgreement, ...]:
        """Return the figures of metrics that count, turned round where the scores are."""
        found = []
        for one in self._agreement:
            groups = [group for group in chosen if one.group in {None, group}]
            if not any(chosen[group] == one.metric for group in groups):
                continue
            if any(group in turned for group in groups if chosen[group] == one.metric):
                one = dataclasses.replace(one, reported=1.0 - one.reported, mean=1.0 - one.mean)
            found.append(one)
        return tuple(found)

    def _summary(
        self,
        tasks: TaskColumns,
        outcomes: OutcomeColumns,
        *,
        chosen: Mapping[str | None, str],
        **given: object,
    ) -> ImportSummary:
        cells = merged(outcomes, len(tasks.ids))
        n_of_model = np.bincount(cells.model, minlength=len(cells.models))
        sums = np.bincount(cells.model, weights=cells.score, minlength=len(cells.models))
        models = {
            name: (int(n_of_model[place]), float(sums[place] / n_of_model[place]))
            for name, place in sorted((name, place) for place, name in enumerate(cells.models))
        }
        groups = Counter(group or "" for group in tasks.groups)
        repeats = 0 if not any(cells.n.strides) else int(np.count_nonzero(cells.n > 1.0))
        return ImportSummary(
            logs=dict(self._titles),
            samples=self._samples,
            tasks=len(tasks.ids),
            groups=dict(groups),
            models=models,
            filled=len(cells.task) / (len(tasks.ids) * len(cells.models)),
            repeats=repeats,
            metrics={group or "": metric for group, metric in chosen.items()},
            similar_models=similar_names(cells.models),
            **given,  # type: ignore[arg-type]
        )


def _numbered(known: dict[str, int], names: Iterable[str]) -> Ints:
    """Return the number of each name, new ones numbered on."""
    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)


def _first_of_attempt(attempt: NDArray[Any]) -> Ints:
    """Return of each sample the first that has its attempt, itself where it has none."""
    halves = np.frombuffer(attempt.tobytes(), dtype=np.uint64).reshape(-1, 2)
    first = np.arange(len(halves))
    known = np.flatnonzero(halves.any(axis=1))
    order = known[np.lexsort((known, halves[known, 1], halves[known, 0]))]
    if len(order):
        begins = np.r_[True, (halves[order[1:]] != halves[order[:-1]]).any(axis=1)]
        first[order] = order[begins][np.cumsum(begins) - 1]
    return first


def _first_known(values: Floats, place: Ints, n: int | None = None) -> Floats:
    """Return at each of `n` places the first value that is known, NaN without one."""
    found = np.full(len(values) if n is None else n, np.nan)
    rows = np.flatnonzero(~np.isnan(values))[::-1]
    # Of repeated indices the last assignment stands, so going backwards leaves the first.
    found[place[rows]] = values[rows]
    return found


def _by_numbers(name: str) -> str:
    """Return a text by which names sort so that numbers in them count as numbers."""
    # Of any length, which int() does not take.
    digits = _DIGITS.sub(lambda found: f"{len(found[0].lstrip('0')):09}{found[0]}", name)
    return f"{digits}\0{name}"


def distinct_ids(ids: Sequence[str], groups: Sequence[str | None]) -> list[str]:
    """Return an id for each task, no two the same.

    It is the tool's id; ``group/id`` where tasks of several groups have that; ``#2``, ``#3`` are
    appended where an earlier task has it.

    Args:
        ids: The tools' ids.
        groups: The group of each task.

    Example:
        >>> distinct_ids(["1", "1", "1", "2"], ["maths", "maths", "law", "law"])
        ['maths/1', 'maths/1#2', 'law/1', '2']
    """
    group_of: dict[str, str | None] = {}
    clashing = set()
    for task_id, group in zip(ids, groups, strict=True):
        if group_of.setdefault(task_id, group) != group:
            clashing.add(task_id)
    wanted = [
        f"{group}/{task_id}" if group is not None and task_id in clashing else task_id or "task"
        for task_id, group in zip(ids, groups, strict=True)
    ]
    taken = set(wanted)
    found, times = [], Counter[str]()
    for name in wanted:
        times[name] += 1
        unique = name
        while times[name] > 1 and unique in taken:
            unique = f"{name}#{times[name]}"
            times[name] += unique in taken
        taken.add(unique)
        found.append(unique)
    return found
