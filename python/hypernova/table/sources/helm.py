"""Read runs of HELM: the answers of a run joined with the statistics of each of its instances.

HELM writes a folder for a run. `scenario_state.json` is the log; the other files accompany it.
Not here: which metric counts, and what becomes of the records (`hypernova.table.importing`).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any

from hypernova.numeric import is_number
from hypernova.table.log_files.json_stream import walk
from hypernova.table.log_files.json_values import content_hash, finite, positive, require_object
from hypernova.table.log_files.messages import sent_text, user_text
from hypernova.table.source import Source, quoted, quoted_list
from hypernova.table.sources.log import LeftOut, Metric, Note, Reported, Sample, ToolLogReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypernova.table.log_files.files import LogFile
    from hypernova.table.log_files.prompt_choice import PromptChoice
    from hypernova.table.sources.log import Record

RUN_SPEC = "run_spec.json"
STATS = "stats.json"
INSTANCE_STATS = "per_instance_stats.json"
# By file of a run, keys of its first object. Files may be renamed or packed, so names are not
# looked at. The last three are written by `helm-summarize`.
_FILES: tuple[tuple[str, frozenset[str]], ...] = (
    (RUN_SPEC, frozenset({"scenario_spec", "adapter_spec", "metric_specs"})),
    ("display_predictions.json", frozenset({"instance_id", "predicted_text"})),
    (INSTANCE_STATS, frozenset({"instance_id", "stats"})),
    (STATS, frozenset({"name", "count", "sum", "sum_squared"})),
    ("scenario.json", frozenset({"name", "description", "tags"})),
    ("display_requests.json", frozenset({"instance_id", "train_trial_index", "request"})),
    ("instances.json", frozenset({"input", "references", "id"})),
)
# Arguments in the name of a run that choose the model or the template, and not the tasks.
_ADAPTER_ARGUMENTS = frozenset({
    "model", "model_deployment", "tokenizer", "method", "instructions", "prompt", "newline",
    "stop", "add_to_stop", "global_prefix", "anthropic", "claude_3", "amazon-nova",
    "follow_format_instructions", "idefics_instruct", "llava", "open_flamingo", "format_prompt",
    "num_train_trials", "max_train_instances", "max_eval_instances", "num_outputs", "num_trials",
    "num_prompt_tokens", "num_output_tokens", "data_augmentation", "temperature",
    "increase_max_tokens", "increase_temperature", "chatml", "output_format_instructions",
    "process_output",
})  # fmt: skip
# Statistics of the request, which say nothing of the quality of the answer.
_BOOKKEEPING = frozenset({
    "num_references", "num_train_trials", "num_prompt_tokens", "num_completion_tokens",
    "num_output_tokens", "num_completions", "max_num_completion_tokens", "num_train_instances",
    "num_instances", "num_perplexity_tokens", "num_bytes", "training_co2_cost",
    "training_energy_cost", "inference_runtime", "inference_denoised_runtime",
    "inference_idealized_runtime", "batch_size", "estimated_num_tokens_cost",
    "finish_reason_length", "finish_reason_stop", "finish_reason_endoftext",
    "finish_reason_unknown", "prompt_truncated", "predicted_index", "max_prob", "logprob",
    "prompt_length",
})  # fmt: skip
# Those of them that latency and tokens come of.
_USED = ("num_prompt_tokens", "num_completion_tokens", "num_output_tokens", "inference_runtime")
# HELM's own metadata calls lower values of these better. No file of a run says so.
_LOWER_IS_BETTER = frozenset({
    "absolute_value_difference", "bits_per_byte", "cer_score", "chinese_cer_score",
    "chinese_mer_score", "chinese_wer_score", "ece_10_bin", "ece_1_bin", "expected_max_toxicity",
    "max_toxicity_probability", "mer_score", "perplexity", "platt_ece_10_bin", "platt_ece_1_bin",
    "toxic_frac", "wer_score",
})  # fmt: skip
_RUN_AGAIN = "run helm-run again, or leave the run out"
_UNKNOWN = "the files of crfm-helm 0.2 to 0.5 are read; run it with one of these, or leave it out"


class HelmReader(ToolLogReader):
    """Read runs of HELM."""

    name = "helm"
    title = "HELM"

    def recognise(self, file: LogFile) -> bool:
        """Return whether a file is the `scenario_state.json` of a run, by its keys."""
        keys = file.first_keys
        # One that is cut short may end within its first value.
        return keys == ("adapter_spec",) or {"adapter_spec", "request_states"} <= set(keys)

    def accompanies(self, file: LogFile) -> bool:
        """Return whether a file is another one of a run, by its keys."""
        return not self.recognise(file) and _file_of_run(file) is not None

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield the records of a run: a sample for each instance and trial that is not perturbed.

        Args:
            log: The `scenario_state.json` of the run.
            others: Files of the import, those in the folder of the log among them.
            prompt: Which text is the prompt; ``auto`` is the text of the instance's input.

        Raises:
            TableError: the run has no statistics, or one of its files is cut short or malformed.
        """
        run = {_file_of_run(file): file for file in others if file.path.parent == log.path.parent}
        if INSTANCE_STATS not in run:
            raise log.source.error(
                f"has no {INSTANCE_STATS} beside it, and so no scores",
                "import the whole folder of the run; wait until helm-run has ended, or run it "
                "again if it failed",
            )
        name = _run_name(run.get(RUN_SPEC)) or log.path.parent.name
        group = _group(name)
        statistics = _Statistics.read(run[INSTANCE_STATS])
        for metric in statistics.metrics:
            lower = metric.partition("@")[0] in _LOWER_IS_BETTER
            yield Metric(metric, group, higher_is_better=False if lower else None)
        states = _States(log, name, group, statistics, prompt)
        yield from states.samples()
        if states.perturbed:
            yield Note(
                "perturbed instances are left out, as in HELM's main figures: no user wrote their "
                "prompts"
            )
        if STATS in run:
            for metric, mean in _means(run[STATS], statistics).items():
                for model in states.models:
                    yield Reported(model, group, metric, mean, f"mean of {metric}")


@dataclass(frozen=True, slots=True)
class _Statistics:
    """The statistics of instances that are not perturbed.

    Attributes:
        by_attempt: By id of the instance and index of the trial, the mean of each statistic that
            is a score, a latency or a number of tokens.
        metrics: The statistics that may be scores, in the order of the file.
        counts: By statistic and part of the instances, the number of values.
    """

    by_attempt: dict[tuple[str, int], dict[str, float]]
    metrics: dict[str, None]
    counts: Counter[tuple[str, str]]

    @classmethod
    def read(cls, file: LogFile) -> _Statistics:
        """Read `per_instance_stats.json`."""
        found = cls({}, {}, Counter())
        for number, entry, source in _list_entries(file):
            if entry.get("perturbation") is not None:
                continue
            instance, trial = entry.get("instance_id"), entry.get("train_trial_index", 0)
            statistics = entry.get("stats")
            if not (isinstance(instance, str) and type(trial) is int):
                raise source.error("lacks an instance_id or its trial", _RUN_AGAIN, at=number)
            if not isinstance(statistics, list):
                raise source.error(f"stats is {quoted(statistics)}", _UNKNOWN, at=number)
            # HELM may write one instance in several entries, of one metric each.
            values = found.by_attempt.setdefault((instance, trial), {})
            for statistic in statistics:
                named, mean = _statistic(statistic, source, number)
                if mean is None:
                    continue
                metric = intern(named["name"])
                if metric not in _BOOKKEEPING:
                    found.metrics[metric] = None
                    found.counts[metric, _part(named)] += 1
                elif metric not in _USED:
                    continue
                values[metric] = mean
        return found


@dataclass(slots=True)
class _States:
    """The requests of a run, and what was met in them.

    Attributes:
        perturbed: Number of requests of perturbed instances.
        models: The models that answered.
    """

    log: LogFile
    run_name: str
    group: str
    statistics: _Statistics
    prompt: PromptChoice
    perturbed: int = 0
    models: dict[str, None] = field(default_factory=dict)

    def samples(self) -> Iterator[Sample]:
        """Yield a sample for each instance and trial."""
        source = Source.of(self.log.path, "request state")
        adapter: object = None
        seen: set[tuple[str, int]] = set()
        number = 0
        with self.log.open() as file:
            for path, value in walk(file, Source.of(self.log.path, "line"), "request_states"):
                if path == "adapter_spec":
                    adapter = value
                if path != "request_states":
                    continue
                number += 1
                state = _State.read(value, adapter, source, number)
                if state.instance.get("perturbation") is not None:
                    self.perturbed += 1
                # An instance has a request for each of its choices in some methods of HELM.
                elif state.key not in seen:
                    seen.add(state.key)
                    yield self._sample(state, number, source)

    def _sample(self, state: _State, number: int, source: Source) -> Sample:
        values = self.statistics.by_attempt.get(state.key, {})
        text, media = _prompt(state, self.prompt, source, number)
        if state.model:
            self.models[state.model] = None
        left_out = None
        if not state.answered:
            left_out = LeftOut.ERROR
        elif not state.model:
            left_out = LeftOut.NO_MODEL
        elif text is None:
            left_out = LeftOut.NO_PROMPT
        completion = values.get("num_completion_tokens", values.get("num_output_tokens"))
        runtime = values.get("inference_runtime", state.result.get("request_time"))
        return Sample(
            model=state.model,
            group=self.group,
            task=state.key[0],
            prompt=text,
            scores={metric: values.get(metric) for metric in self.statistics.metrics},
            document=_document(state.instance),
            latency_s=positive(runtime),
            input_tokens=positive(values.get("num_prompt_tokens")),
            output_tokens=positive(completion),
            left_out=left_out,
            attempt=self._attempt(state),
            media=media,
            place=source.place(number),
        )

    def _attempt(self, state: _State) -> str:
        """Return what tells the answer from any other, in whichever copy of the run it is."""
        completions = state.result.get("completions")
        answered_at = state.result.get("request_datetime")
        return content_hash([self.run_name, state.model, *state.key, answered_at, completions])


@dataclass(frozen=True, slots=True)
class _State:
    """A request of a run.

    Attributes:
        key: Id of the instance and index of the trial.
        model: Name of the model; empty without one.
        instance: The instance.
        given: The input of the instance.
        request: The request.
        result: The answer; empty without one.
    """

    key: tuple[str, int]
    model: str
    instance: Mapping[str, Any]
    given: Mapping[str, Any]
    request: Mapping[str, Any]
    result: Mapping[str, Any]

    @classmethod
    def read(cls, value: object, adapter: object, source: Source, number: int) -> _State:
        """Check an entry of `request_states`."""
        state = require_object(value, "a request state", source, number, _UNKNOWN)
        instance = require_object(state.get("instance"), "the instance", source, number, _UNKNOWN)
        given = require_object(
            instance.get("input"), "the instance's input", source, number, _UNKNOWN
        )
        request = require_object(state.get("request"), "the request", source, number, _UNKNOWN)
        result = state.get("result")
        identity, trial = instance.get("id"), state.get("train_trial_index", 0)
        if not (isinstance(identity, str) and type(trial) is int):
            raise source.error("lacks the id of its instance or its trial", _UNKNOWN, at=number)
        model = request.get("model")
        if model is None and isinstance(adapter, dict):
            model = adapter.get("model")
        if result is not None:
            result = require_object(result, "the result", source, number, _UNKNOWN)
        return cls(
            (identity, trial),
            model if isinstance(model, str) else "",
            instance,
            given,
            request,
            result or {},
        )

    @property
    def answered(self) -> bool:
        """Whether the model answered."""
        return self.result.get("success") is True


def _file_of_run(file: LogFile) -> str | None:
    """Return the name that HELM gives to a file of a run, or None if it is none."""
    keys = set(file.first_keys)
    return next((name for name, needed in _FILES if needed <= keys), None)


def _run_name(file: LogFile | None) -> str | None:
    """Return the name of the run in its specification."""
    if file is None:
        return None
    with file.open() as opened:
        specification = dict(walk(opened, Source.of(file.path, "line")))
    name = specification.get("name")
    return name if isinstance(name, str) else None


def _group(run_name: str) -> str:
    """Return the scenario with its own arguments: the name of a run without model and template."""
    scenario, _, arguments = run_name.partition(":")
    kept = [
        argument
        for argument in arguments.split(",")
        if argument and argument.partition("=")[0] not in _ADAPTER_ARGUMENTS
    ]
    return f"{scenario}:{','.join(kept)}" if kept else scenario


def _means(file: LogFile, statistics: _Statistics) -> dict[str, float]:
    """Return HELM's mean of each metric over the instances that are not perturbed.

    HELM has a mean for each split. Several are weighted with their instances.
    """
    sums: dict[str, float] = {}
    counts: Counter[str] = Counter()
    for number, entry, source in _list_entries(file):
        named, mean = _statistic(entry, source, number)
        metric = named["name"]
        count = statistics.counts[metric, _part(named)]
        if mean is None or named.get("perturbation") is not None:
            continue
        if metric in statistics.metrics and count:
            sums[metric] = sums.get(metric, 0.0) + mean * count
            counts[metric] += count
    return {metric: total / counts[metric] for metric, total in sums.items()}


def _list_entries(file: LogFile) -> Iterator[tuple[int, Mapping[str, Any], Source]]:
    """Yield number and object of each entry of a file that is a list."""
    source = Source.of(file.path, "entry")
    with file.open() as opened:
        for number, (path, value) in enumerate(walk(opened, Source.of(file.path, "line"), ""), 1):
            if path:
                raise source.error("is no list of statistics", _UNKNOWN)
            yield number, require_object(value, "a statistic", source, number, _UNKNOWN), source


def _part(named: Mapping[str, Any]) -> str:
    """Return the part of the instances that a statistic is of: a split, or a part of one."""
    return repr((named.get("split"), named.get("sub_split")))


def _statistic(
    value: object, source: Source, number: int
) -> tuple[Mapping[str, Any], float | None]:
    """Return the name of a statistic, in which ``name`` is a text, and its mean if it has one."""
    statistic = require_object(value, "a statistic", source, number, _UNKNOWN)
    named = require_object(
        statistic.get("name"), "the name of a statistic", source, number, _UNKNOWN
    )
    mean = statistic.get("mean")
    if not isinstance(named.get("name"), str):
        raise source.error(f"the name of a statistic is {quoted(named)}", _UNKNOWN, at=number)
    if mean is not None and not is_number(mean):
        raise source.error(
            f"the mean of {quoted(named['name'])} is {quoted(mean)}, no number",
            _RUN_AGAIN,
            at=number,
        )
    return named, None if mean is None else finite(mean)


def _prompt(
    state: _State, choice: PromptChoice, source: Source, number: int
) -> tuple[str | None, bool]:
    """Return the prompt, None without text, and whether media is left out."""
    given, request = state.given, state.request
    if choice.kind == "field":
        return _field(state, choice.field, source, number), False
    if choice.kind == "sent":
        parts, messages, text = "multimodal_prompt", request.get("messages"), request.get("prompt")
        found = _parts(request.get(parts))
    else:
        messages, text = given.get("messages"), given.get("text")
        if choice.kind == "user" and isinstance(request.get("messages"), list):
            messages = request["messages"]
        found = _parts(given.get("multimedia_content"))
    if found is None and isinstance(messages, list):
        found = sent_text(messages) if choice.kind == "sent" else user_text(messages)
    if found is None:
        found = (text if isinstance(text, str) else "", False)
    return found[0] if found[0].strip() else None, found[1]


def _parts(content: object) -> tuple[str, bool] | None:
    """Return the text of HELM's multimedia content, and whether it has media; None without any."""
    objects = content.get("media_objects") if isinstance(content, dict) else None
    if not isinstance(objects, list):
        return None
    texts, media = [], False
    for part in objects:
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            texts.append(text)
        else:
            media = True
    return "\n\n".join(texts), media


def _field(state: _State, name: str, source: Source, number: int) -> str | None:
    """Return a field of the input, or of the further data of the instance."""
    extra = state.instance.get("extra_data")
    fields = {**(extra if isinstance(extra, dict) else {}), **state.given}
    if name not in fields:
        raise source.error(
            f"has no field {quoted(name)}, found {quoted_list(fields)}",
            "choose one of these with --prompt field:NAME",
            at=number,
        )
    value = fields[name]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.strip() else None


def _document(instance: Mapping[str, Any]) -> str:
    """Return a hash of the input and the references, which no adapter or model changes."""
    return content_hash([instance.get("input"), instance.get("references")])
