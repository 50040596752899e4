"""Make records of the objects in a log of Inspect AI, whether summaries or whole samples.

Not here: the files that hold them (`reader`).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from hypernova.table.log_files.json_values import content_hash, object_or_empty
from hypernova.table.log_files.messages import sent_text, user_text
from hypernova.table.source import quoted, quoted_list
from hypernova.table.sources.log import LeftOut, Note, Record, Reported, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hypernova.table.log_files.prompt_choice import PromptChoice
    from hypernova.table.source import Source

NEWEST = 2
_FIGURES = ("accuracy", "mean")
# Reducers of epochs that leave the mean as it is: of a single epoch there is none.
_MEANS = {"", "mean"}
_REFERENCE = "attachment://"
# Of a sample, the values that a record takes no text from.
_WITHOUT_TEXTS = {"attachments", "events", "events_data", "store", "output"}
_NO_MODEL = {"none", "none/none"}
# The end that a summary gives to a longer text, and the text that it puts for media.
_THINNED_END = ("...", "(content truncated)")
_MEDIA = re.compile(r"\((?:Image|Audio|Video|Document|Data)\)")
_DAMAGED = "the log is damaged: copy it again, or leave it out"


class Texts(NamedTuple):
    """The texts of a sample.

    Attributes:
        prompt: The chosen prompt, or None without text.
        media: Whether it has images or other media.
        document: Hash of the input and of its choices in any order.
    """

    prompt: str | None
    media: bool
    document: str


@dataclass(slots=True)
class Run:
    """The header of a log, and what its samples turned out to be.

    Attributes:
        model: The model under test.
        task: The task.
        eval_id: Id of the run, for samples without an id of their own.
        roles: Roles that the model under test plays for others, such as a grader's.
        invalidated: Whether a person has marked any sample as invalid.
        results: The log's own figures.
        prompt: Which text is the prompt.
        source: The log, for messages.
    """

    model: str
    task: str
    eval_id: str
    roles: tuple[str, ...]
    invalidated: bool
    results: list[dict[str, Any]]
    prompt: PromptChoice
    source: Source
    _samples: int = 0
    _with_field: int = 0
    _fields: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, header: Mapping[str, Any], source: Source, prompt: PromptChoice) -> Self:
        """Read the header.

        Raises:
            TableError: it is of a newer version, of a run that did not succeed, or damaged.
        """
        version = header.get("version")
        if type(version) is not int:
            raise source.error(f"has the version {quoted(version)}, no number", _DAMAGED)
        if version > NEWEST:
            raise source.error(
                f"has version {version} of the format, and {NEWEST} is the newest that is known",
                "update hypernova, or leave the log out",
            )
        spec = object_or_empty(header.get("eval"))
        _check_status(header, source)
        model, task = spec.get("model"), spec.get("task")
        if not isinstance(model, str) or not isinstance(task, str):
            raise source.error("names no model and no task in its header", _DAMAGED)
        ids = [_text(spec.get(key)) for key in ("eval_id", "run_id", "created")]
        results = object_or_empty(header.get("results")).get("scores")
        return cls(
            model=model,
            task=task,
            eval_id=next(filter(None, ids), source.label),
            roles=tuple(
                role
                for role, bound in object_or_empty(spec.get("model_roles")).items()
                if object_or_empty(bound).get("model") == model
            ),
            invalidated=header.get("invalidated") is True,
            results=[row for row in results if isinstance(row, dict)]
            if isinstance(results, list)
            else [],
            prompt=prompt,
            source=source,
        )

    def figures(self) -> Iterator[Record]:
        """Yield the log's own mean of each score, or a note where it is not the mean of epochs."""
        # A score stands once for each reducer; that of the mean, if any, is that of a table.
        chosen: dict[str, tuple[str, dict[str, Any]]] = {}
        for row in self.results:
            name, scorer, reducer = (_text(row.get(key)) for key in ("name", "scorer", "reducer"))
            metric = name if scorer in {name, ""} else f"{scorer}/{name}"
            if metric and (metric not in chosen or reducer in _MEANS):
                chosen[metric] = (reducer, object_or_empty(row.get("metrics")))
        for metric, (reducer, metrics) in chosen.items():
            name = next((key for key in _FIGURES if key in metrics), "")
            value = _number(object_or_empty(metrics.get(name)).get("value"))
            if value is None:
                continue
            if reducer in _MEANS:
                yield Reported(self.model, self.task, metric, value, name)
            else:
                yield Note(
                    f"{self.source.label} states the {name} {value:.4g} of {metric} by the "
                    f"reducer {reducer}, and the table has the mean of the epochs"
                )

    def counted(self, sample: Sample) -> Sample:
        """Count a sample for `check`, and return it."""
        self._samples += 1
        return sample

    def saw_field(self, names: Iterable[str], *, found: bool) -> None:
        """Note the fields of a sample, and whether the one that was asked for is among them."""
        self._with_field += found
        self._fields.update(dict.fromkeys(names))

    def check(self) -> None:
        """Check what its samples turned out to be, after the last one.

        Raises:
            TableError: there was no sample, or none had the field that is to be the prompt.
        """
        if not self._samples:
            raise self.source.error(
                "holds no samples",
                "run it with log_samples, give the log and not its header, or leave it out",
            )
        if self.prompt.kind == "field" and not self._with_field:
            raise self.source.error(
                f"has no sample with the field {quoted(self.prompt.field)}, found "
                f"{quoted_list(self._fields)}",
                "give another field, or auto",
            )


def _check_status(header: Mapping[str, Any], source: Source) -> None:
    status = header.get("status")
    if status == "success":
        return
    complete = "complete it with inspect eval-retry, or leave the log out"
    if status == "started":
        raise source.error(
            "is of a run that has not ended", "wait until it has ended, or leave the log out"
        )
    if status == "cancelled":
        raise source.error("is of a run that was cancelled", complete)
    if status == "error":
        message = _text(object_or_empty(header.get("error")).get("message"))
        reason = f" ({quoted(message)})" if message else ""
        raise source.error(f"is of a run that failed{reason}", complete)
    raise source.error(f"has the status {quoted(status)}, which is not known", _DAMAGED)


def sample_key(data: object, source: Source) -> tuple[str, int]:
    """Return the id and the epoch of a sample.

    Raises:
        TableError: it is no object, or lacks them.
    """
    found = object_or_empty(data)
    sample_id, epoch = found.get("id"), found.get("epoch")
    if not isinstance(sample_id, str | int) or type(epoch) is not int:
        raise source.error("holds a sample without an id and an epoch", _DAMAGED)
    return str(sample_id), epoch


def to_sample(run: Run, data: Mapping[str, Any], texts: Texts, place: str) -> Sample:
    """Return the record of a sample or of its summary.

    Args:
        run: The header.
        data: The sample, attachments resolved, or its summary.
        texts: Its texts.
        place: Its place in messages.
    """
    sample_id, epoch = sample_key(data, run.source)
    usage = object_or_empty(data.get("model_usage"))
    roles = object_or_empty(data.get("role_usage"))
    model = _model(run, usage, roles)
    spent = _spent(
        object_or_empty(usage.get(model)), [object_or_empty(roles.get(role)) for role in run.roles]
    )
    scores = _scores(object_or_empty(data.get("scores")))
    left_out = None
    if data.get("invalidation") is not None:
        left_out = LeftOut.INVALID
    elif data.get("error") is not None:
        left_out = LeftOut.ERROR
    elif model in _NO_MODEL:
        left_out = LeftOut.NO_MODEL
    elif texts.prompt is None:
        left_out = LeftOut.NO_PROMPT
    latency = _number(data.get("working_time"))
    return Sample(
        model=model,
        group=run.task,
        task=sample_id or "unnamed",
        prompt=texts.prompt,
        scores=scores,
        document=texts.document,
        cost_usd=spent.cost_usd,
        latency_s=_number(data.get("total_time")) if latency is None else latency,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        left_out=left_out,
        attempt=_text(data.get("uuid")) or f"{run.eval_id}/{sample_id}/{epoch}",
        media=texts.media,
        place=place,
    )


def texts_of(run: Run, data: Mapping[str, Any], prompt: PromptChoice | None = None) -> Texts:
    """Return the texts of a sample.

    Args:
        run: The header.
        data: The sample, attachments resolved, or a part with the keys that its texts need.
        prompt: Which text is the prompt; None takes that of the run.

    Raises:
        TableError: its input is neither a text nor messages.
    """
    prompt = prompt or run.prompt
    given = data.get("input")
    if isinstance(given, str):
        turns: list[Any] = [{"role": "user", "content": given}]
    elif isinstance(given, list):
        turns = _with_media(given)
    else:
        raise run.source.error("holds a sample whose input is no text and no messages", _DAMAGED)
    media = False
    text: str | None
    if prompt.kind == "field":
        text = _field(run, data, prompt.field)
    elif prompt.kind == "sent":
        messages = data.get("messages")
        sent = messages if isinstance(messages, list) and messages else turns
        text, media = sent_text(_with_media(_before_answer(sent)))
    else:
        text, media = user_text(turns)
    if not text or text.isspace():
        text = None
    return Texts(text, media, _document(turns, data.get("choices")))


def is_thinned(summary: Mapping[str, Any]) -> bool:
    """Return whether a summary may lack a part of the sample's input."""
    given = summary.get("input")
    if isinstance(given, str):
        return given.endswith(_THINNED_END)
    for message in given if isinstance(given, list) else ():
        content = object_or_empty(message).get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for part in parts:
            text = object_or_empty(part).get("text")
            if not isinstance(text, str) or text.startswith(_REFERENCE):
                return True
            if text.endswith(_THINNED_END) or _is_placeholder(part):
                return True
    return False


def contains_reference(value: object) -> bool:
    """Return whether a text in the input, messages or metadata refers to an attachment."""
    if isinstance(value, str):
        return value.startswith(_REFERENCE)
    if isinstance(value, dict):
        return any(map(contains_reference, value.values()))
    return isinstance(value, list) and any(map(contains_reference, value))


def with_attachments(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sample with its attachments in place of the texts that refer to them."""
    attachments = object_or_empty(sample.get("attachments"))
    if not attachments:
        return dict(sample)
    return {
        key: value if key in _WITHOUT_TEXTS else _resolved(value, attachments)
        for key, value in sample.items()
    }


class _Spent(NamedTuple):
    cost_usd: float | None
    input_tokens: float | None
    output_tokens: float | None


def _model(run: Run, usage: Mapping[str, Any], roles: Mapping[str, Any]) -> str:
    """Return the model of a sample: of a run without one, the only one that its solver asked."""
    if run.model in _NO_MODEL and len(usage) == 1 and not roles:
        return next(iter(usage))
    return run.model


def _spent(usage: Mapping[str, Any], roles: list[dict[str, Any]]) -> _Spent:
    """Return what a model spent on answering, without what it spent in roles such as a grader's."""
    cost = _number(usage.get("total_cost"))
    tokens = _input_tokens(usage)
    answer = _number(usage.get("output_tokens"))
    for role in filter(None, roles):
        cost = _less(cost, _number(role.get("total_cost")))
        tokens = _less(tokens, _input_tokens(role))
        answer = _less(answer, _number(role.get("output_tokens")))
    return _Spent(cost, tokens, answer)


def _input_tokens(usage: Mapping[str, Any]) -> float | None:
    if _number(usage.get("input_tokens")) is None:
        return None
    # The tool counts tokens of a provider's cache apart.
    keys = ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write")
    return sum(_number(usage.get(key)) or 0 for key in keys)


def _less(whole: float | None, part: float | None) -> float | None:
    if whole is None or part is None:
        return None
    # The difference of two sums of cents has digits that mean nothing.
    return max(0.0, round(whole - part, 12))


def _scores(scores: Mapping[str, Any]) -> dict[str, object]:
    """Return the current value of each scorer; of one with several values, each by its key."""
    found: dict[str, object] = {}
    for name, score in scores.items():
        value = object_or_empty(score).get("value")
        if isinstance(value, dict):
            found |= {f"{name}/{key}": part for key, part in value.items()}
        else:
            found[name] = value
    return found


def _with_media(messages: list[Any]) -> list[Any]:
    """Return messages with media where an older version, such as 0.3.112, put "(Image)" for it."""
    found = []
    for message in messages:
        content = object_or_empty(message).get("content")
        if isinstance(content, list) and any(map(_is_placeholder, content)):
            parts = [{"type": "media"} if _is_placeholder(part) else part for part in content]
            message = {**message, "content": parts}
        found.append(message)
    return found


def _is_placeholder(part: object) -> bool:
    return _MEDIA.fullmatch(_text(object_or_empty(part).get("text"))) is not None


def _before_answer(messages: list[Any]) -> list[Any]:
    """Return the messages before the first one that a model generated."""
    for number, message in enumerate(messages):
        found = object_or_empty(message)
        if found.get("source") == "generate" or (
            found.get("role") == "assistant" and found.get("model") is not None
        ):
            return messages[:number]
    return messages


def _resolved(value: object, attachments: Mapping[str, Any]) -> object:
    if isinstance(value, str) and value.startswith(_REFERENCE):
        found = attachments.get(value[len(_REFERENCE) :])
        return found if isinstance(found, str) else value
    if isinstance(value, dict):
        return {key: _resolved(part, attachments) for key, part in value.items()}
    if isinstance(value, list):
        return [_resolved(part, attachments) for part in value]
    return value


def _field(run: Run, data: Mapping[str, Any], name: str) -> str | None:
    metadata = object_or_empty(data.get("metadata"))
    known = {key: data[key] for key in ("input", "target", "choices") if key in data}
    value = metadata[name] if name in metadata else known.get(name)
    run.saw_field({**metadata, **known}, found=value is not None)
    if isinstance(value, str) or value is None:
        return value
    if name == "input" and name not in metadata and isinstance(value, list):
        return user_text(_with_media(value))[0]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False)


def _document(turns: list[Any], choices: object) -> str:
    """Return the same text for the same input, whatever ids, template, run or order of choices."""
    parts: list[Any] = []
    for turn in turns:
        message = object_or_empty(turn)
        content = message.get("content")
        if isinstance(content, list):
            content = [
                {key: value for key, value in object_or_empty(part).items() if value is not None}
                for part in content
            ]
        parts.append([message.get("role"), content])
    options = sorted(map(str, choices)) if isinstance(choices, list) else []
    return content_hash([parts, options])


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) and value >= 0 else None
    except OverflowError:
        return None
