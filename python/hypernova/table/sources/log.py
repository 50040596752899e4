"""The interface that a reader of a tool's logs implements, and the records that it yields.

Not here: any tool, and what becomes of the records (`hypernova.table.importing`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypernova.table.log_files.files import LogFile
    from hypernova.table.log_files.prompt_choice import PromptChoice


class LeftOut(StrEnum):
    """Why a sample gives no outcome; the words are those of the summary."""

    ERROR = "the tool or the model failed"
    UNSCORED = "not scored"
    NO_PROMPT = "prompt without text"
    NO_MODEL = "no model"
    DUPLICATE = "read before"
    NO_QUALITY = "no quality score"
    INVALID = "marked as invalid"


@dataclass(slots=True)
class Sample:
    """One attempt of one model at one task.

    Attributes:
        model: Name of the model, as the tool has it.
        group: The tool's own task, benchmark or subject; None without one.
        task: Id of the task, unique at least among the tasks of its group in its log.
        document: Text that is the same wherever the task is the same, whatever template, model or
            run it was sent by: the document's own text or hash. None takes `prompt`.
        prompt: The prompt that was chosen (`PromptChoice`), or None without text.
        scores: By metric or scorer, the value as the tool has it: a letter, a boolean, a number, a
            text, a pair, a list or a mapping. None and NaN are unscored.
        cost_usd: USD, or None where unknown.
        latency_s: Seconds, or None where unknown.
        input_tokens: Tokens of the prompt, or None.
        output_tokens: Tokens of the answer, or None.
        left_out: Why it can give no outcome, whatever its scores; None if it can.
        attempt: Id of the attempt, the same wherever the same attempt is read again, or None if the
            tool has none. Two samples of one log with one attempt and different metrics are one
            sample.
        media: Whether the prompt has images or other media beside its text.
        place: Place in the file for messages, such as ``line 4`` or ``samples/7_epoch_1.json``.
    """

    model: str
    group: str | None
    task: str
    prompt: str | None
    scores: Mapping[str, object] = field(default_factory=dict)
    document: str | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    left_out: LeftOut | None = None
    attempt: str | None = None
    media: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class Reported:
    """A mean score that the log itself states.

    Attributes:
        model: The model.
        group: The group; None for all of the log's.
        metric: The metric or scorer, as in `Sample.scores`.
        value: The figure, in the unit of the scores.
        name: The tool's name of the figure, such as ``accuracy``.
    """

    model: str
    group: str | None
    metric: str
    value: float
    name: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, as the log states it.

    Attributes:
        name: As in `Sample.scores`.
        group: The group that it is a metric of; None for all of the log's.
        higher_is_better: None where the tool does not say.
    """

    name: str
    group: str | None = None
    higher_is_better: bool | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for the summary on something odd in the log that leaves it usable."""

    text: str


Record: TypeAlias = Sample | Reported | Metric | Note


class ToolLogReader(ABC):
    """Read the logs of one tool; register one in the entry-point group ``hypernova.log_readers``.

    Attributes:
        name: Short name for messages and options, such as ``inspect``.
        title: The tool's own name, such as ``Inspect AI``.
    """

    name: str
    title: str

    @abstractmethod
    def recognise(self, file: LogFile) -> bool:
        """Return whether a file is a log of this tool, by its content and never by its name alone.

        It is asked of every file, so it looks at `LogFile.head`, its lines or the names in its
        archive, and raises nothing.
        """

    def accompanies(self, file: LogFile) -> bool:
        """Return whether a file belongs to logs of this tool without being one, as results do.

        Such a file is not read alone, and is not reported as unknown.
        """
        del file
        return False

    @abstractmethod
    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield the records of a log in its order, read in pieces.

        Args:
            log: A file that `recognise` takes.
            others: The files of this import that `accompanies` takes, and those beside `log`.
            prompt: Which text is the prompt.

        Raises:
            TableError: The log is broken: cut short, still being written, of a failed run, of a
                version that is not known. The message names the file, the place and the remedy.
        """
