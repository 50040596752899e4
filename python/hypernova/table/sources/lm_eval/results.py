"""Read the results that lm-evaluation-harness writes beside its samples: model, tasks, figures.

Not here: the samples (`reader`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hypernova.table.log_files.files import LogFile
from hypernova.table.log_files.json_stream import walk
from hypernova.table.log_files.json_values import object_or_empty
from hypernova.table.sources.log import Metric, Reported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TIME = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?"
_SAMPLES_NAME = re.compile(rf"samples_(.+)_({_TIME})\.jsonl?(?:\.gz)?")
_RESULTS_NAME = re.compile(rf".*_({_TIME})\.json(?:\.gz)?")
# The keys that every row begins with.
FIRST_KEYS = ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps")
# The arguments that lm_eval takes a model's name from, the first that is there.
_NAMING = ("peft", "delta", "pretrained", "model", "path", "engine")
_MEANS = ("mean", "nanmean")
# Metrics that lm_eval aggregates in another way than by the mean, unless the task says so.
_NO_MEANS = frozenset(
    ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "brier_score", "bypass")
) | {"f1", "mcc", "bleu", "chrf", "chrf++", "ter"}
# Metrics without a meaning: what stands for one where lm_eval was told to score nothing.
PLACEHOLDERS = ("bypass",)
_KEPT = frozenset(
    ("results", "configs", "higher_is_better", "config", "model_name", "n-shot", "task_hashes")
) | {"system_instruction", "chat_template"}


@dataclass(frozen=True, slots=True)
class SamplesName:
    """The name of a file of samples.

    Attributes:
        task: The task; the whole name where it is none that lm_eval gives.
        time: When its run ended, as lm_eval writes it; empty where the name has none.
    """

    task: str
    time: str

    @classmethod
    def of(cls, path: Path) -> SamplesName:
        """Return the parts of a file's name."""
        found = _SAMPLES_NAME.fullmatch(path.name)
        if found:
            return cls(found[1], found[2])
        return cls(path.name.removeprefix("samples_").partition(".json")[0] or path.name, "")


def is_samples(file: LogFile) -> bool:
    """Return whether a file holds samples, maybe cut short."""
    keys = file.first_keys
    # The head may end within the first row, which can be long.
    return len(keys) > 1 and keys[: len(FIRST_KEYS)] == FIRST_KEYS[: len(keys)]


def is_results(file: LogFile) -> bool:
    """Return whether a file holds results, maybe cut short."""
    keys = file.first_keys
    return keys[:1] == ("results",) and ("configs" in keys or b"_stderr" in file.head)


def has_samples(file: LogFile) -> bool:
    """Return whether samples of the run whose results a file holds lie beside it."""
    folder = file.path.parent
    times = _sample_times(folder, folder.stat().st_mtime_ns)
    found = _RESULTS_NAME.fullmatch(file.path.name)
    # Samples without a time in their name may be of any run.
    return "" in times or (found[1] in times if found else bool(times))


@lru_cache(maxsize=16)
def _sample_times(folder: Path, changed: int) -> frozenset[str]:
    """Return the times in the names of the samples in a folder that was last changed then."""
    del changed
    times = set()
    for path in folder.iterdir():
        time = SamplesName.of(path).time
        if time or (".jsonl" in path.suffixes and is_samples(LogFile(path))):
            times.add(time)
    return frozenset(times)


def task_name(name: SamplesName, results: Results | None) -> str:
    """Return the task of a file of samples.

    Before 0.4.3 the name of the file began with the model's arguments and ended with the task.
    """
    if results is None or name.time or name.task in results.configs:
        return name.task
    ends = [task for task in results.configs if name.task.endswith(f"_{task}")]
    return max(ends, key=len, default=name.task)


def results_of(log: LogFile, name: SamplesName, others: Sequence[LogFile]) -> Results | None:
    """Return the results of the run that wrote samples, or None if they are not there.

    They have the time of the samples in their name. Samples without a time in their name have the
    results in their folder, if these are of one model.

    Raises:
        TableError: the results are cut short or damaged, or there are those of several models.
    """
    folder = log.path.parent
    if name.time:
        ends = (f"_{name.time}.json", f"_{name.time}.json.gz")
        same_time = [file for file in others if file.path.name.endswith(ends)]
        same_time.sort(key=lambda file: file.path.parent != folder)
        return _read(same_time[0]) if same_time else None
    beside = [_read(file) for file in others if file.path.parent == folder and is_results(file)]
    if len({results.model for results in beside}) > 1:
        raise log.source.error(
            "has no time in its name, and results of several models lie beside it",
            "give it the name that lm_eval gave it, samples_TASK_TIME.jsonl, or keep each model's "
            "files in a folder of its own",
        )
    if len(beside) != 1:
        beside = [one for one in beside if task_name(name, one) in one.configs]
    return beside[0] if beside else None


def _read(file: LogFile) -> Results:
    status = file.path.stat()
    return _read_once(file.path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read_once(path: Path, changed: int, size: int) -> Results:
    """Read results; a run of many tasks has one file of results for many of samples."""
    del changed, size
    file = LogFile(path)
    with file.open() as opened:
        entries = walk(opened, file.source)
        kept = {key: value for key, value in entries if key in _KEPT}
    return Results(
        results=object_or_empty(kept.get("results")),
        configs=object_or_empty(kept.get("configs")),
        higher_is_better=object_or_empty(kept.get("higher_is_better")),
        shots=object_or_empty(kept.get("n-shot")),
        hashes=object_or_empty(kept.get("task_hashes")),
        config=object_or_empty(kept.get("config")),
        model_name=_text(kept.get("model_name")),
        system_instruction=_text(kept.get("system_instruction")),
        chat_template=isinstance(kept.get("chat_template"), str),
    )


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a run.

    Attributes:
        results: By task, its figures.
        configs: By task, its configuration.
        higher_is_better: By task, by metric.
        shots: By task, its number of few-shot examples.
        hashes: By task, the hash of the hashes of its samples.
        config: What the run was asked for.
        model_name: The model, or a name that lm_eval drew at random.
        system_instruction: The system message.
        chat_template: Whether prompts were sent as chats.
    """

    results: Mapping[str, Any]
    configs: Mapping[str, Any] = field(default_factory=dict)
    higher_is_better: Mapping[str, Any] = field(default_factory=dict)
    shots: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    model_name: str = ""
    system_instruction: str = ""
    chat_template: bool = False

    @property
    def model(self) -> str:
        """The model; where nothing names one, the kind of model, such as ``dummy``."""
        named = _named_in(self.config.get("model_args"))
        if named:
            return self.model_name or named
        # A name that no argument holds is drawn at random, another one for each run.
        return _text(self.config.get("model")) or self.model_name

    @property
    def names_model(self) -> bool:
        """Whether the run was given a name of its model."""
        return bool(_named_in(self.config.get("model_args")))

    def filters(self, task: str) -> tuple[str, ...]:
        """Return the filters of a task, in the order of its samples."""
        return tuple(dict.fromkeys(name for _, name, _ in self._figures(task)))

    def records(self, task: str) -> Iterator[Metric | Reported]:
        """Yield what the run states of a task's metrics, and the figures that are means."""
        directions = object_or_empty(self.higher_is_better.get(task))
        aggregations = self._aggregations(task)
        for metric, name, value in self._figures(task):
            if metric in PLACEHOLDERS:
                continue
            how = aggregations.get(metric, "perplexity" if metric == "perplexity" else None)
            higher = directions.get(metric)
            if how == "perplexity":
                # A sample has the log-likelihood, which is high where perplexity is low.
                higher = True
            filtered = metric_name(metric, name)
            if isinstance(higher, bool):
                yield Metric(filtered, task, higher)
            if how in _MEANS or (how is None and metric not in _NO_MEANS):
                number = _number(value)
                if number is not None:
                    yield Reported(self.model, task, filtered, number, f"{metric},{name}")

    def _figures(self, task: str) -> Iterator[tuple[str, str, object]]:
        """Yield metric, filter and value of each figure."""
        for key, value in object_or_empty(self.results.get(task)).items():
            metric, comma, name = key.partition(",")
            if comma and not metric.endswith("_stderr"):
                yield metric, name, value

    def _aggregations(self, task: str) -> dict[str, str]:
        found = {}
        stated = object_or_empty(self.configs.get(task)).get("metric_list")
        for metric in stated if isinstance(stated, list) else ():
            how = object_or_empty(metric).get("aggregation")
            name = object_or_empty(metric).get("metric")
            if isinstance(name, str) and isinstance(how, str):
                found[name] = how
        return found


def metric_name(metric: str, name: str) -> str:
    """Return the name of a metric of a filter: without the filter where it is ``none``."""
    return metric if name == "none" else f"{metric},{name}"


def _named_in(arguments: object) -> str:
    """Return the model that its arguments name, as lm_eval finds it."""
    if isinstance(arguments, Mapping):
        return next((str(arguments[key]) for key in _NAMING if key in arguments), "")
    if isinstance(arguments, str):
        for key in _NAMING:
            if f"{key}=" in arguments:
                return arguments.split(f"{key}=")[1].split(",")[0]
    return ""


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]  # a decimal number is written as text
    except (TypeError, ValueError):
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
