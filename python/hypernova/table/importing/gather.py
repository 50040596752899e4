"""Gather the samples of one log in arrays, compact enough for a worker process to send.

Not here: what several logs have in common (`collect`).
"""

from __future__ import annotations

import math
import re
from array import array
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import is_blank
from hypernova.table.columns import OPTIONAL_NUMBERS
from hypernova.table.importing.agreement import LogScores, compare
from hypernova.table.importing.requests import KEY_BYTES, Requests, pair_key
from hypernova.table.importing.scores import Refused, ScoreRules
from hypernova.table.source import quoted
from hypernova.table.sources.log import LeftOut, Metric, Note, Reported, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from hypernova.table.columns import Floats, Ints
    from hypernova.table.importing.summary import FigureAgreement
    from hypernova.table.sources.log import Record

_NO_KEY = bytes(KEY_BYTES)
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_USED = -1
_REASONS = tuple(LeftOut)
_CODES = {reason: code for code, reason in enumerate(_REASONS)}


@dataclass(slots=True)
class LogPart:
    """The samples of a log that are not left out, and what it states.

    Attributes:
        label: The log.
        title: The tool.
        samples: Number of samples, those left out among them.
        keys: By task, the digest of group and document.
        ids: By task, the tool's id.
        prompts: By task, the prompt of its first sample.
        groups: By task, the group.
        models: Names of models.
        metrics: Names of metrics.
        number: Number of each sample in the log, from 1 (used,).
        task: Its task (used,).
        model: Its model (used,).
        attempt: Digest of its attempt, zeros for none (used,).
        values: By name, the numbers of `OPTIONAL_NUMBERS` (used,); absent where all are unknown.
        score_sample: Sample of each score (scores,).
        score_metric: Metric of each score (scores,).
        score: The scores, NaN for unscored (scores,).
        refused: First value that is no score, by group and metric.
        higher_is_better: By group and metric, what the log says.
        agreement: Its figures beside the means of its samples.
        left_out: Number of samples left out, by reason.
        models_left_out: Number of samples left out, by model.
        media: Number of samples with images or other media.
        requests: Its samples without quality scores, which have costs.
        notes: Sentences of the reader.
    """

    label: str
    title: str
    samples: int
    keys: list[bytes]
    ids: list[str]
    prompts: list[str]
    groups: list[str | None]
    models: list[str]
    metrics: list[str]
    number: Ints
    task: Ints
    model: Ints
    attempt: NDArray[np.void]
    values: dict[str, Floats]
    score_sample: Ints
    score_metric: Ints
    score: Floats
    refused: dict[tuple[str | None, str], Refused]
    higher_is_better: dict[tuple[str | None, str], bool]
    agreement: list[FigureAgreement]
    left_out: dict[str, int]
    models_left_out: dict[str, int]
    media: int
    requests: Requests
    notes: list[str]


def gather(
    records: Iterable[Record],
    *,
    label: str,
    reader: str,
    title: str,
    rules: ScoreRules,
    rename: Mapping[str, str],
) -> LogPart:
    """Gather the records of a log.

    Args:
        records: The records.
        label: The log, for messages.
        reader: Name of the reader: attempts of two tools may have one id.
        title: Title of the tool.
        rules: The rules by which values become scores.
        rename: New names of models.

    Raises:
        TableError: the log is broken.
    """
    log = _Log(label, reader, rules, rename)
    for record in records:
        if isinstance(record, Sample):
            log.add(record)
        elif isinstance(record, Reported):
            log.reported.append(record)
        elif isinstance(record, Metric):
            log.directions.append(record)
        elif isinstance(record, Note):
            log.notes.append(str(record.text))
        else:
            raise TypeError(f"its reader yielded {quoted(record)}, which is no record")
    return log.part(title)


@dataclass(slots=True)
class _Columns:
    """One entry for each attempt."""

    number: array[int] = field(default_factory=lambda: array("q"))
    task: array[int] = field(default_factory=lambda: array("q"))
    model: array[int] = field(default_factory=lambda: array("q"))
    group: array[int] = field(default_factory=lambda: array("q"))
    left_out: array[int] = field(default_factory=lambda: array("b"))
    attempt: bytearray = field(default_factory=bytearray)
    values: array[float] = field(default_factory=lambda: array("d"))
    score_sample: array[int] = field(default_factory=lambda: array("q"))
    score_metric: array[int] = field(default_factory=lambda: array("q"))
    score: array[float] = field(default_factory=lambda: array("d"))


class _Log:
    """A log that is being read."""

    def __init__(
        self, label: str, reader: str, rules: ScoreRules, rename: Mapping[str, str]
    ) -> None:
        self.reported: list[Reported] = []
        self.directions: list[Metric] = []
        self.notes: list[str] = []
        self._label = label
        self._reader = reader
        self._rules = rules
        # The same rules without one option: a value that they score otherwise is touched by it.
        self._unscaled = None if rules.scale is None else ScoreRules(None, rules.choices)
        self._unchosen = ScoreRules(rules.scale) if rules.choices else None
        self._scaled: set[str] = set()
        self._chosen: set[str] = set()
        self._rename = rename
        self._columns = _Columns()
        self._tasks: dict[bytes, int] = {}
        self._ids: list[str] = []
        self._prompts: list[str] = []
        self._task_groups: list[str | None] = []
        self._groups: dict[str | None, int] = {}
        self._models: dict[str, int] = {}
        self._metrics: dict[str, int] = {}
        # Of each attempt its entry, and the metrics of which it has a score.
        self._attempts: dict[bytes, tuple[int, set[str]]] = {}
        self._refused: dict[tuple[str | None, str], Refused] = {}
        self._requests = Requests()
        self._duplicates = 0
        self._media = 0

    def add(self, sample: Sample) -> None:
        """Add a sample, or what it adds to one that has its attempt."""
        columns = self._columns
        if sample.model and not isinstance(sample.model, str):
            raise TypeError(f"its reader gave the model {quoted(sample.model)}, no text")
        model = self._rename.get(sample.model, sample.model) if sample.model else ""
        group = _printed(sample.group) if sample.group else None
        if sample.left_out is LeftOut.NO_QUALITY:
            task = -1
            numbers = _numbers(sample)
            # One without any cost, time or token has nothing to add.
            if model and sample.prompt and not all(map(math.isnan, numbers)):
                self._requests.add(model, sample.prompt, numbers)
        else:
            task = self._task(sample, group)
        left_out = _code(sample.left_out)
        if left_out == _USED and task < 0:
            left_out = _code(LeftOut.NO_PROMPT)
        if left_out == _USED and not model:
            left_out = _code(LeftOut.NO_MODEL)
        attempt = _NO_KEY
        entry = len(columns.number)
        scored: set[str] = set()
        if sample.attempt is not None and left_out == _USED:
            attempt = pair_key(self._reader, sample.attempt)
            known = self._attempts.setdefault(attempt, (entry, scored))
            if known[0] != entry:
                self._add_to(known[0], known[1], sample, group)
                return
        self._media += sample.media
        columns.number.append(entry + 1)
        columns.task.append(task)
        columns.model.append(self._models.setdefault(model, len(self._models)))
        columns.group.append(self._groups.setdefault(group, len(self._groups)))
        columns.left_out.append(left_out)
        columns.attempt += attempt
        columns.values.extend(_numbers(sample))
        self._add_scores(entry, sample, group, scored)

    def part(self, title: str) -> LogPart:
        """Return what was gathered."""
        columns = self._columns
        number, task, model, group, sample, metric = (
            np.array(getattr(columns, name), dtype=np.int64)
            for name in ("number", "task", "model", "group", "score_sample", "score_metric")
        )
        left_out = np.array(columns.left_out, dtype=np.int8)
        score = np.array(columns.score, dtype=np.float64)
        values = np.array(columns.values, dtype=np.float64).reshape(-1, len(OPTIONAL_NUMBERS))
        attempt = np.frombuffer(bytes(columns.attempt), dtype=f"V{KEY_BYTES}")
        used = left_out == _USED
        agreement: list[FigureAgreement] = []
        if self.reported:
            scores = {}
            for name in {figure.metric for figure in self.reported} & self._metrics.keys():
                # A metric with another value than scores has no mean.
                if all(refused != name for _, refused in self._refused):
                    rows = metric == self._metrics[name]
                    scores[name] = np.full(len(number), np.nan)
                    scores[name][sample[rows]] = score[rows]
            log = LogScores(
                self._label,
                self._models,
                self._groups,
                model,
                group,
                task,
                used,
                scores,
                self._scaled,
                self._chosen,
            )
            agreement = compare(log, self._renamed(self.reported), self._rules)
        counts = np.bincount(left_out[~used], minlength=len(_REASONS)).tolist()
        by_reason = {str(reason): n for reason, n in zip(_REASONS, counts, strict=True) if n}
        if self._duplicates:
            by_reason[LeftOut.DUPLICATE] = by_reason.get(LeftOut.DUPLICATE, 0) + self._duplicates
        by_model = np.bincount(model[~used], minlength=len(self._models)).tolist()
        kept = used[sample]
        place = np.cumsum(used) - 1  # the number of each among those that are used
        return LogPart(
            label=self._label,
            title=title,
            samples=len(number) + self._duplicates,
            keys=list(self._tasks),
            ids=self._ids,
            prompts=self._prompts,
            groups=self._task_groups,
            models=list(self._models),
            metrics=list(self._metrics),
            number=number[used],
            task=task[used],
            model=model[used],
            attempt=attempt[used],
            values={
                name: column[used]
                for name, column in zip(OPTIONAL_NUMBERS, values.T, strict=True)
                if not np.isnan(column[used]).all()
            },
            score_sample=place[sample[kept]],
            score_metric=metric[kept],
            score=score[kept],
            refused=self._refused,
            higher_is_better=self._directions(),
            agreement=agreement,
            left_out=by_reason,
            models_left_out={m: n for m, n in zip(self._models, by_model, strict=True) if n and m},
            media=self._media,
            requests=self._requests,
            notes=list(dict.fromkeys(self.notes)),
        )

    def _add_to(self, entry: int, scored: set[str], sample: Sample, group: str | None) -> None:
        """Add what an attempt lacks; where it lacks no metric, the sample was read before."""
        columns = self._columns
        self._duplicates += scored >= sample.scores.keys()
        width = len(OPTIONAL_NUMBERS)
        for place, number in enumerate(_numbers(sample), entry * width):
            if columns.values[place] != columns.values[place]:
                columns.values[place] = number
        self._add_scores(entry, sample, group, scored)

    def _add_scores(self, entry: int, sample: Sample, group: str | None, scored: set[str]) -> None:
        """Add the scores of a sample, except those of metrics that are in `scored` already."""
        columns = self._columns
        for name, value in sample.scores.items():
            if name in scored:
                continue
            found = self._rules.score(value)
            if isinstance(found, Refused):
                if sample.left_out is None:
                    first = self._refused.get((group, name))
                    place = f"{self._label}, {sample.place or f'sample {entry + 1}'}"
                    self._refused[group, name] = (
                        replace(found, place=place) if first is None else first.with_words(found)
                    )
                found = math.nan
            if found == found:
                scored.add(name)
                if self._unscaled is not None and self._unscaled.score(value) != found:
                    self._scaled.add(name)
                if self._unchosen is not None and self._unchosen.score(value) != found:
                    self._chosen.add(name)
            columns.score_sample.append(entry)
            columns.score_metric.append(self._metrics.setdefault(name, len(self._metrics)))
            columns.score.append(found)

    def _task(self, sample: Sample, group: str | None) -> int:
        """Return the number of a sample's task, -1 without a prompt."""
        prompt = sample.prompt
        if prompt is None or is_blank(prompt):
            return -1
        document = prompt if sample.document is None else sample.document
        key = pair_key(group or "", document)
        task = self._tasks.setdefault(key, len(self._tasks))
        if task == len(self._ids):
            self._ids.append(_printed(str(sample.task)))
            self._prompts.append(_whole(prompt))
            self._task_groups.append(group)
        return task

    def _directions(self) -> dict[tuple[str | None, str], bool]:
        found: dict[tuple[str | None, str], bool] = {}
        for metric in self.directions:
            if metric.higher_is_better is not None:
                groups: Iterable[str | None] = (
                    self._groups if metric.group is None else [_printed(metric.group)]
                )
                for group in groups:
                    if metric.group is not None or (group, metric.name) not in found:
                        found[group, metric.name] = metric.higher_is_better
        return found

    def _renamed(self, stated: Iterable[Reported]) -> list[Reported]:
        return [
            Reported(
                self._rename.get(figure.model, figure.model),
                None if figure.group is None else _printed(figure.group),
                figure.metric,
                figure.value,
                figure.name,
            )
            for figure in stated
        ]


def _code(reason: LeftOut | None) -> int:
    return _USED if reason is None else _CODES[reason]


def _numbers(sample: Sample) -> tuple[float, ...]:
    return tuple(
        math.nan if number is None else number
        for number in (
            sample.cost_usd,
            sample.latency_s,
            sample.input_tokens,
            sample.output_tokens,
        )
    )


def _whole(text: str) -> str:
    """Return a text without halves of surrogate pairs, which JSON can hold and no file can."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HALF_PAIR.sub("\ufffd", text)
    return text


def _printed(name: str) -> str:
    """Return a name of a group or a task on one line, without characters that do not print."""
    if name.isprintable():
        return name
    return " ".join(_whole("".join(c if c.isprintable() else " " for c in name)).split())
