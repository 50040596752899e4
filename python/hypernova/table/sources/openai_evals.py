"""Read logs of OpenAI evals: a run's specification, its events and its final report.

Not here: what becomes of the records (`hypernova.table.importing`).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypernova.table.source import quoted, quoted_list
from hypernova.table.sources.exported_rows import as_number
from hypernova.table.sources.log import LeftOut, LogReader, Note, Reported, Sample
from hypernova.table.sources.messages import sent_text, user_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypernova.errors import TableError
    from hypernova.table.source import Source
    from hypernova.table.sources.files import LogFile
    from hypernova.table.sources.log import Record
    from hypernova.table.sources.prompt_choice import PromptChoice

_ACCURACY = "accuracy"
_SPEC_KEYS = (b'"completion_fns"', b'"base_eval"', b'"model_names"', b'"model_name"')
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_RUN_AGAIN = "run the eval again, or wait until it has ended"


class OpenAIEvalsReader(LogReader):
    """Read logs of OpenAI evals, as `oaieval` records them."""

    name = "openai-evals"
    title = "OpenAI evals"

    def recognise(self, file: LogFile) -> bool:
        """Return whether the first line holds the specification of a run, and nothing else.

        It may be longer than the head of the file, or be cut short.
        """
        first = file.first_object
        if first is not None and (list(first) != ["spec"] or not isinstance(first["spec"], dict)):
            return False
        begins = file.unit == "line" and file.first_keys == ("spec",)
        return begins and any(key in file.head for key in _SPEC_KEYS)

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield a sample of each sample of the run, then the figures of its final report.

        The group is the base eval. The score is ``accuracy``, whether a match is correct, and each
        metric that the eval records; of several matches or numbers of one sample it is their mean.
        A choice that the grader gave is a metric where it has no score. The prompt is the last
        message of the user in the first prompt that was sampled, or all of that prompt where it
        holds no such message or is a text.

        Raises:
            TableError: the run has no final report, events are missing, an event is malformed, or
                the prompt is to be a field of the document, which such a log does not hold.
        """
        del others
        if prompt.kind == "field":
            raise log.source.error(
                f"holds no documents, so no field {quoted(prompt.field)}",
                "choose auto, sent or user as the prompt",
            )
        run = _Run(log.source)
        for line, row in log.objects():
            run.add(line, row)
        run.check_complete()
        model, group = run.model(), run.group()
        repeated = 0
        for sample_id, gathered in run.samples.items():
            repeated += gathered.types["match"] > 1
            yield gathered.sample(model, group, sample_id, run, prompt)
        if repeated:
            yield Note(
                f"{log.source.label}: {repeated} samples have several matches, whose mean is their "
                f"score; the {_ACCURACY} that the log states is that of all matches"
            )
        yield from run.reported(model, group)


@dataclass(slots=True)
class _Gathered:
    """The events of one sample.

    Attributes:
        line: Line of the first event.
        types: Number of events of each type.
        prompt: What was sampled first: a text, messages, or nothing.
        values: The values of each metric.
        tokens: Tokens of the prompts and of the answers, or None where not stated.
    """

    line: int
    types: Counter[str] = field(default_factory=Counter)
    prompt: object = None
    values: dict[str, list[object]] = field(default_factory=dict)
    tokens: tuple[float | None, float | None] = (None, None)

    def sample(
        self, model: str, group: str, sample_id: str, run: _Run, choice: PromptChoice
    ) -> Sample:
        """Return the sample that the events speak of."""
        user, sent, media = _texts(self.prompt)
        text = {"auto": user or sent, "sent": sent, "user": user}[choice.kind]
        text = text if text and text.strip() else None
        scores = {name: _one(values) for name, values in self.values.items()}
        left_out = LeftOut.ERROR if self.types["error"] else None
        if left_out is None and text is None:
            left_out = LeftOut.NO_PROMPT
        if left_out is None and not scores:
            left_out = LeftOut.UNSCORED
        return Sample(
            model=model,
            group=group,
            task=sample_id,
            # The id with the text: ids stand for places in a file, which may have been edited.
            document=f"{sample_id}\n{user or sent or ''}",
            prompt=text,
            scores=scores,
            input_tokens=self.tokens[0],
            output_tokens=self.tokens[1],
            left_out=left_out,
            attempt=f"{run.run_id}/{sample_id}" if run.run_id else None,
            media=media,
            place=run.source.place(self.line),
        )


class _Run:
    """The events of one run, gathered by sample."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.samples: dict[str, _Gathered] = {}
        self.run_id = ""
        self._spec: dict[str, Any] = {}
        self._report: dict[str, Any] | None = None
        self._event_ids: set[int] = set()
        self._usage: dict[str, float] = {}
        self._grader = False
        self._last: str | None = None

    def add(self, line: int, row: Mapping[str, Any]) -> None:
        """Take one line."""
        if "spec" in row:
            if self._spec:
                raise self._error("holds the specification of a second run", "part the two", line)
            self._spec = self._object(row["spec"], "spec", line)
            self.run_id = str(self._spec.get("run_id") or "")
            self._grader = "modelgraded" in str(self._setting("cls"))
        elif "final_report" in row:
            if self._report is not None:
                raise self._error("holds a second final report", "part the two runs", line)
            self._report = self._object(row["final_report"], "final_report", line)
        else:
            self._add_event(line, row)

    def _add_event(self, line: int, row: Mapping[str, Any]) -> None:
        missing = [key for key in ("sample_id", "type", "data") if key not in row]
        if missing:
            raise self.source.missing_columns(
                missing, row, at=line, remedy="give the log as oaieval wrote it"
            )
        kind, sample_id = row["type"], row["sample_id"]
        if not isinstance(kind, str):
            raise self._found(kind, "type", line)
        if isinstance(sample_id, bool) or not isinstance(sample_id, str | int):
            raise self._found(sample_id, "sample_id", line)
        event_id = row.get("event_id")
        if isinstance(event_id, int):
            self._event_ids.add(event_id)
        self._last = str(sample_id)
        gathered = self.samples.setdefault(self._last, _Gathered(line))
        gathered.types[kind] += 1
        if kind == "sampling":
            self._add_sampling(gathered, self._object(row["data"], "data", line), line)
        elif kind == "match":
            correct = self._object(row["data"], "data", line).get("correct")
            if not isinstance(correct, bool):
                raise self._found(correct, "correct", line)
            # An eval that records this metric itself records the same: its metric replaces it.
            gathered.values.setdefault("", []).append(correct)
        elif kind == "metrics":
            data = self._object(row["data"], "data", line)
            # The choice is what the score was made of, where there is one.
            scored = data.get("score") is not None and "choice" in data
            for name, value in data.items():
                if not ((scored and name == "choice") or (name == "score" and value is None)):
                    gathered.values.setdefault(name, []).append(value)

    def _add_sampling(self, gathered: _Gathered, data: Mapping[str, Any], line: int) -> None:
        first = gathered.types["sampling"] == 1
        if first:
            gathered.prompt = data.get("prompt")
        usage = data.get("usage")
        if usage is None:
            return
        used = self._object(usage, "usage", line)
        for name, value in used.items():
            if (number := _number(value)) is not None:
                self._usage[name] = self._usage.get(name, 0.0) + number
        # After the first, the grader was sampled, which may be another model.
        if first or not self._grader:
            before = gathered.tokens
            gathered.tokens = (
                _plus(before[0], _first_number(used, _INPUT)),
                _plus(before[1], _first_number(used, _OUTPUT)),
            )

    def check_complete(self) -> None:
        """Refuse a run that has not ended well, or whose events are not all there.

        The final report is often written before the last events, so it does not tell.
        """
        if not self._spec:
            raise self._error("holds no specification of a run", "give the log as oaieval wrote it")
        if self._report is None:
            raise self._error("holds no final report: the run failed or goes on", _RUN_AGAIN)
        for gathered in self.samples.values():
            if matches := gathered.values.pop("", None):
                gathered.values.setdefault(_ACCURACY, matches)
        absent = max(self._event_ids, default=-1) + 1 - len(self._event_ids)
        if absent:
            raise self._error(f"lacks {absent} of its events", "it was edited: give it whole")
        short = [
            name
            for name, value in self._usage.items()
            if (_number(self._report.get(f"usage_{name}")) or 0.0) > value
        ]
        # A grader's choices: "counts/A", and of several metrics "counts/METRIC/A".
        counted = sum(
            _number(value) or 0.0
            for name, value in self._report.items()
            if name.startswith("counts/") and name.count("/") == 1
        )
        graded = sum(gathered.types["metrics"] for gathered in self.samples.values())
        if short or counted > graded or self._ends_early() or not self.samples:
            raise self._error(
                "is cut short: events that the final report counts are missing", _RUN_AGAIN
            )

    def _ends_early(self) -> bool:
        # Whether the sample of the last event lacks an event that every other sample has.
        rest = [of.types for name, of in self.samples.items() if name != self._last]
        if not rest or self._last is None:
            return False
        common = Counter(rest[0])
        for types in rest[1:]:
            common &= types
        return not common <= self.samples[self._last].types

    def model(self) -> str:
        """Return the model: the completion functions of the run, without a grader."""
        named = self._spec.get("completion_fns")
        if named is None:  # before 2023-06
            names = self._spec.get("model_names")
            named = names.get("completions") if isinstance(names, dict) else None
            named = self._spec.get("model_name") if named is None else named
        every = [named] if isinstance(named, str) else named
        if not isinstance(every, list) or not every or not all(isinstance(x, str) for x in every):
            raise self._error(
                f"found {quoted(named)} as the completion functions of its specification",
                "write the names of the models there",
            )
        return ",".join(every[:-1] if self._grader and len(every) > 1 else every)

    def group(self) -> str:
        """Return the base eval."""
        for key in ("base_eval", "eval_name"):
            if isinstance(name := self._spec.get(key), str) and name:
                return name
        raise self._error(
            f"its specification has no 'base_eval', found {quoted_list(self._spec)}",
            "give the log as oaieval wrote it",
        )

    def reported(self, model: str, group: str) -> Iterator[Reported]:
        """Yield the figures of the final report that are means of a metric of the samples."""
        metrics = {name for gathered in self.samples.values() for name in gathered.values}
        for name, value in (self._report or {}).items():
            number = _number(value)
            if name in metrics and number is not None and not math.isnan(number):
                yield Reported(model, group, name, number, name)

    def _setting(self, key: str) -> object:
        config = self._spec.get("run_config")
        spec = config.get("eval_spec") if isinstance(config, dict) else None
        return spec.get(key) if isinstance(spec, dict) else None

    def _object(self, value: object, column: str, line: int) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        raise self._found(value, column, line)

    def _found(self, value: object, column: str, line: int) -> TableError:
        return self.source.error(
            f"found {quoted(value)}", "give the log as oaieval wrote it", at=line, column=column
        )

    def _error(self, problem: str, remedy: str, line: int | None = None) -> TableError:
        return self.source.error(problem, remedy, at=line)


def _texts(prompt: object) -> tuple[str | None, str | None, bool]:
    # Returns what the user wrote, what was sent, and whether there is media beside them.
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt, prompt, False
    if isinstance(prompt, list) and all(isinstance(message, dict) for message in prompt):
        sent, media = sent_text(prompt)
        return user_text(prompt)[0], sent, media
    return None, None, False  # nothing, or token ids


def _one(values: list[object]) -> object:
    # The value of a metric that was recorded once; the mean of numbers that were recorded more.
    if len(values) == 1:
        return values[0]
    numbers = [float(value) if isinstance(value, bool) else _number(value) for value in values]
    known = [number for number in numbers if number is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else values


def _plus(before: float | None, more: float | None) -> float | None:
    if before is None or more is None:
        return more if before is None else before
    return before + more


def _first_number(row: Mapping[str, Any], names: Sequence[str]) -> float | None:
    return next((number for name in names if (number := _number(row.get(name))) is not None), None)


def _number(value: object) -> float | None:
    return None if isinstance(value, str) else as_number(value)
