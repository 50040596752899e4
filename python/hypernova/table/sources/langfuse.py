"""Read exports of Langfuse: generations, and the scores of them or of their traces.

Not here: the scores themselves (`langfuse_scores`), and what becomes of the records
(`hypernova.table.importing`).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hypernova.table.sources.exported_rows import (
    Sent,
    as_moment,
    as_number,
    column_names,
    exported_rows,
    number_cell,
    parsed,
    seconds_between,
    text_cell,
)
from hypernova.table.sources.langfuse_scores import Scores, TraceNames, is_scores, is_traces
from hypernova.table.sources.log import LeftOut, LogReader, Note, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hypernova.table.source import Source
    from hypernova.table.sources.files import LogFile
    from hypernova.table.sources.log import Record
    from hypernova.table.sources.prompt_choice import PromptChoice

_State: TypeAlias = tuple[str, int, int]
_MAX_KINDS = 100_000
_OBSERVATION_COLUMNS = {
    "provided_model_name",
    "parent_observation_id",
    "usage_details",
    "model_parameters",
    "completion_start_time",
    "calculated_total_cost",
}


class LangfuseReader(LogReader):
    """Read exports of Langfuse: files of observations, with those of scores and of traces."""

    name = "langfuse"
    title = "Langfuse"

    def __init__(self) -> None:
        """Hold no scores yet."""
        # Of the last import: an export has a file of observations for each hour, and every one of
        # them may be scored in any file of scores.
        self._kinds: dict[_State, str] = {}
        self._held: tuple[tuple[_State, ...], Scores, TraceNames] | None = None

    def __reduce__(self) -> tuple[type[LangfuseReader], tuple[()]]:
        """Send no scores to another process, which reads those that it needs."""
        return LangfuseReader, ()

    def recognise(self, file: LogFile) -> bool:
        """Return whether a file holds observations."""
        names = column_names(file)
        return {"id", "trace_id", "type"} <= names and bool(names & _OBSERVATION_COLUMNS)

    def accompanies(self, file: LogFile) -> bool:
        """Return whether a file holds scores or traces."""
        return not self.recognise(file) and (is_scores(file) or is_traces(file))

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield the generations that are scored, themselves or by their trace, and the others.

        Without any file of scores, all are requests that only add costs to other logs.

        A score of a generation is that of a sample of its own. A score of a trace is that of all
        its generations together, if they are of one model: the prompt is that of the first, costs
        and tokens are their sums, the latency is from the first start to the last end. The group is
        the name of the trace, or else of the generation. Of the prompt ``auto`` is the last message
        of the user, or all text where there is none; ``field`` names a key of the input.

        Raises:
            TableError: a file is malformed.
            MissingExtraError: a file is Parquet, and pyarrow is not installed.
        """
        scores, names = self._accompanying(others)
        traces: dict[str, list[_Generation]] = {}
        scored_others: Counter[str] = Counter()
        for number, row in exported_rows(log):
            identifier, trace = text_cell(row, "id"), text_cell(row, "trace_id")
            kind = text_cell(row, "type").upper()
            own = scores.of("observation", identifier)
            if kind != "GENERATION":
                scored_others[kind] += bool(own)
                continue
            group = text_cell(row, "trace_name") or names.of(trace) or text_cell(row, "name")
            # Of most generations nothing is kept: an export may be of millions.
            in_trace = bool(trace and scores.of("trace", trace))
            one = _Generation.of(row, number, log.source, group or None, own)
            if in_trace or own or not scores.n_files:
                one.read_more(row, number, log.source)
            one.unscored = LeftOut.UNSCORED if scores.n_files else LeftOut.NO_QUALITY
            if in_trace:
                traces.setdefault(trace, []).append(one)
            else:
                yield one.sample(prompt)
        mixed = 0
        for trace, generations in traces.items():
            of_trace = scores.of("trace", trace)
            if len(generations) == 1:
                generations[0].scores = {**of_trace, **generations[0].scores}
                yield generations[0].sample(prompt)
                continue
            yield from (one.sample(prompt) for one in generations if one.scores)
            together = _together(generations)
            mixed += together is None
            if together is None:
                yield from (one.sample(prompt) for one in generations if not one.scores)
            else:
                together.identifier, together.scores = trace, of_trace
                yield together.sample(prompt)
        yield from _notes(log.source, scores, mixed, scored_others)

    def _accompanying(self, others: Sequence[LogFile]) -> tuple[Scores, TraceNames]:
        files: dict[str, dict[_State, LogFile]] = {"scores": {}, "traces": {}, "": {}}
        for file in others:
            state = _state(file)
            if state not in self._kinds:
                if len(self._kinds) >= _MAX_KINDS:
                    self._kinds.clear()
                self._kinds[state] = (
                    "scores" if is_scores(file) else "traces" if is_traces(file) else ""
                )
            files[self._kinds[state]][state] = file
        scores, traces = sorted(files["scores"]), sorted(files["traces"])
        key = (*scores, *traces)
        if self._held is None or self._held[0] != key:
            self._held = None  # before the next ones are made, which may be as large
            made = Scores(files["scores"][state] for state in scores)
            names = TraceNames(files["traces"][state] for state in traces)
            self._held = key, made, names
        return self._held[1], self._held[2]


@dataclass(slots=True)
class _Generation:
    """A generation, or several of one trace."""

    identifier: str
    model: str
    group: str | None
    scores: dict[str, object]
    failed: bool
    place: str
    unscored: LeftOut = LeftOut.UNSCORED
    sent: Sent | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    tokens: tuple[float | None, float | None] = (None, None)
    start: float | None = None
    end: float | None = None

    @classmethod
    def of(
        cls,
        row: Mapping[str, Any],
        number: int,
        source: Source,
        group: str | None,
        scores: dict[str, object],
    ) -> _Generation:
        """Read what is needed of every row."""
        return cls(
            identifier=text_cell(row, "id"),
            model=text_cell(row, "provided_model_name", "model"),
            group=group,
            scores=scores,
            failed=text_cell(row, "level").upper() == "ERROR",
            place=source.place(number),
        )

    def read_more(self, row: Mapping[str, Any], number: int, source: Source) -> None:
        """Read what is needed of a row that is scored."""
        self.sent = Sent.of(row.get("input"))
        self.cost_usd = _cost(row, source, number)
        self.tokens = _tokens(row, source, number)
        self.start, self.end = as_moment(row.get("start_time")), as_moment(row.get("end_time"))
        self.latency_s = number_cell(row, "latency", source, number)
        if self.latency_s is None:
            self.latency_s = seconds_between(row, "start_time", "end_time")

    def sample(self, choice: PromptChoice) -> Sample:
        """Return it as a sample; without scores it is only counted."""
        text = self.sent.prompt(choice) if self.sent else None
        left_out = None
        if self.failed:
            left_out = LeftOut.ERROR
        elif not self.scores:
            left_out = self.unscored
        elif not self.model:
            left_out = LeftOut.NO_MODEL
        elif text is None:
            left_out = LeftOut.NO_PROMPT
        return Sample(
            model=self.model,
            group=self.group,
            task=self.identifier,
            prompt=text,
            scores=self.scores,
            document=self.sent.written if self.sent else None,
            cost_usd=self.cost_usd,
            latency_s=self.latency_s,
            input_tokens=self.tokens[0],
            output_tokens=self.tokens[1],
            left_out=left_out,
            attempt=self.identifier or None,
            media=self.sent is not None and self.sent.media,
            place=self.place,
        )


def _together(generations: list[_Generation]) -> _Generation | None:
    # Returns the generations of a trace as one, or None if they are of several models.
    every = sorted(
        generations, key=lambda one: (math.inf if one.start is None else one.start, one.identifier)
    )
    # A call that failed and was tried again says nothing of the model, but it was paid for.
    done = [one for one in every if not one.failed] or every
    if len({one.model for one in done}) != 1:
        return None
    starts = [one.start for one in every]
    ends = [one.end for one in every]
    latency = None
    if None not in starts and None not in ends:
        latency = round(max(ends) - min(starts), 6)  # type: ignore[type-var, operator]
    return _Generation(
        identifier="",
        model=done[0].model,
        group=done[0].group,
        scores={},
        cost_usd=_sum(one.cost_usd for one in every),
        latency_s=latency if latency is not None and latency >= 0 else None,
        tokens=(_sum(one.tokens[0] for one in every), _sum(one.tokens[1] for one in every)),
        failed=done[0].failed,
        place=done[0].place,
        sent=done[0].sent,
    )


def _sum(values: Iterable[float | None]) -> float | None:
    # A sum of which a part is unknown is unknown.
    known = list(values)
    return None if None in known else math.fsum(known)  # type: ignore[arg-type]


def _cost(row: Mapping[str, Any], source: Source, number: int) -> float | None:
    # 0 is what a model without a price has, and models without any price are rare.
    for column in ("total_cost", "calculated_total_cost"):
        if cost := number_cell(row, column, source, number):
            return cost
    details = parsed(row.get("cost_details"))
    return (as_number(details.get("total")) or None) if isinstance(details, dict) else None


def _tokens(
    row: Mapping[str, Any], source: Source, number: int
) -> tuple[float | None, float | None]:
    details = parsed(row.get("usage_details"))
    if isinstance(details, list):  # as Parquet holds a mapping
        pairs = [pair for pair in details if isinstance(pair, tuple | list) and len(pair) == 2]
        details = {str(name): count for name, count in pairs}
    found: list[float | None] = []
    for side, columns in (
        ("input", ("input_usage", "prompt_tokens", "input_tokens")),
        ("output", ("output_usage", "completion_tokens", "output_tokens")),
    ):
        # Kinds of tokens, such as input_cached_tokens, do not overlap in Langfuse.
        parts = [
            count
            for name, value in (details.items() if isinstance(details, dict) else ())
            if side in name and (count := as_number(value)) is not None
        ]
        cells = (number_cell(row, column, source, number) for column in columns)
        found.append(math.fsum(parts) if parts else next((x for x in cells if x), None))
    return found[0], found[1]


def _notes(source: Source, scores: Scores, mixed: int, others: Counter[str]) -> Iterator[Note]:
    if not scores.n_files:
        yield Note(
            f"{source.label}: holds no scores, and no file of scores is beside it: its generations "
            "only add costs to other logs; give the export's files of scores too"
        )
    if mixed:
        yield Note(
            f"{source.label}: {mixed} traces are scored whose generations are of several models, "
            "so that their scores are no model's; score the generations"
        )
    for kind, count in sorted(others.items()):
        if count:
            yield Note(
                f"{source.label}: {count} observations of the type {kind} are scored, which no "
                "model answered alone; score the trace or the generations"
            )


def _state(file: LogFile) -> _State:
    try:
        state = file.path.stat()
    except OSError:  # of a file that is gone, reading it says so
        return str(file.path), 0, 0
    return str(file.path), state.st_size, state.st_mtime_ns
