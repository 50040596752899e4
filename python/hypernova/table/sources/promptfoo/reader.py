"""Read evaluations of promptfoo: its JSON export, and JSON Lines of results.

A log is read twice: the first time finds out whether `success` says more than `score`, and what
promptfoo's own totals count. Not here: the parts of a result (`result`), and
what becomes of the records (`hypernova.table.importing`).
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypernova.table.log_files.json_stream import walk
from hypernova.table.log_files.json_values import finite, positive
from hypernova.table.source import Source, quoted
from hypernova.table.sources.log import LeftOut, Note, Reported, Sample, ToolLogReader
from hypernova.table.sources.promptfoo.result import EXPORT, PromptfooResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypernova.table.log_files.files import LogFile
    from hypernova.table.log_files.prompt_choice import PromptChoice
    from hypernova.table.sources.log import Record

VERSIONS = (2, 3)
_RESULTS = "results.results"
# All that may be large is read in pieces, wanted or not.
_STREAMED = (
    *(_RESULTS, "results.prompts", "results.table.body", "results.outputs"),
    *("config.tests", "traces", "blobAssets"),
)
_JSON_START = re.compile(
    r'"results"\s*:\s*\{\s*"(?:version"\s*:\s*\d|timestamp"\s*:\s*"|(?:prompts|outputs)"\s*:\s*\[)'
)
_CSV_COLUMNS = {"Status", "Score", "Grader Reason"}


class PromptfooReader(ToolLogReader):
    """Read evaluations of promptfoo."""

    name = "promptfoo"
    title = "promptfoo"

    def recognise(self, file: LogFile) -> bool:
        """Return whether a file is an export of promptfoo, in whatever format."""
        return _format(file) is not None

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield the records of an evaluation: a sample for each of its results.

        Args:
            log: A JSON export, or JSON Lines of results.
            others: Not used: an evaluation is one file.
            prompt: Which text is the prompt; ``auto`` is the one variable of the test that the
                template uses, or else the prompt as it was rendered, of chat messages the last of
                the user.

        Raises:
            TableError: the log is cut short or malformed, of another version, without results, or
                an export as CSV, YAML or XML.
        """
        del others
        format_ = _format(log)
        if format_ not in {"JSON", "JSON Lines"}:
            raise Source.of(log.path, "").error(f"is an export of promptfoo as {format_}", EXPORT)
        survey = _Survey(log)
        for row in survey.rows():
            survey.count(row)
        if not survey.results:
            raise Source.of(log.path, "").error(
                "is an evaluation of promptfoo without results", "run it again, or leave it out"
            )
        tests: dict[str, int] = {}
        for row in survey.rows():
            yield _sample(row, survey, prompt, tests)
        yield from survey.reported()
        yield from survey.notes()


@dataclass(slots=True)
class _Survey:
    """A log, and what it holds as a whole.

    Attributes:
        log: The log.
        evaluation: Id of the evaluation, if the log has one.
        prompts: Its prompts, one for each template and model, with promptfoo's totals.
        results: Number of results.
        counted: By model, the number of results without an error, which promptfoo's totals count.
        unjudged: Number of results that nothing judged.
        differs: Whether `success` is more or less than a `score` of one somewhere.
        named: By model and metric, the number of results with a score of it.
        templates: By model, the templates that it ran with.
    """

    log: LogFile
    evaluation: str = ""
    prompts: list[Mapping[str, Any]] = field(default_factory=list)
    results: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    unjudged: int = 0
    differs: bool = False
    named: Counter[tuple[str, str]] = field(default_factory=Counter)
    templates: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def rows(self) -> Iterator[PromptfooResult]:
        """Yield the results of the log, read in pieces; the rest of it is kept in this."""
        source = Source.of(self.log.path, "result")
        if _format(self.log) == "JSON Lines":
            for number, value in self.log.objects():
                yield PromptfooResult.read(value, self.log.source, number)
            return
        number = 0
        prompts: list[Mapping[str, Any]] = []
        version: object = None
        with self.log.open() as file:
            for path, value in walk(file, Source.of(self.log.path, "line"), *_STREAMED):
                if path == _RESULTS:
                    number += 1
                    yield PromptfooResult.read(value, source, number)
                elif path == "results.version":
                    version = value
                    self._check_version(value)
                elif path == "evalId" and isinstance(value, str):
                    self.evaluation = value
                elif path == "results.prompts":
                    prompts.append(value if isinstance(value, dict) else {})
                elif path == "results.table.head" and isinstance(value, dict):
                    found = value.get("prompts")
                    every = found if isinstance(found, list) else []
                    prompts = [prompt for prompt in every if isinstance(prompt, dict)]
                elif path == "results.outputs":
                    raise source.error("has outputs instead of results", EXPORT)
        if version is None:
            self._check_version(version)
        # A second pass has them from its beginning, wherever they stand.
        self.prompts = prompts

    def template(self, number: object) -> str | None:
        """Return the template of the prompt of a number; None if the log does not have it."""
        if type(number) is not int or not 0 <= number < len(self.prompts):
            return None
        found = self.prompts[number].get("raw")
        return found if isinstance(found, str) else None

    def count(self, row: PromptfooResult) -> None:
        """Count a result."""
        self.results += 1
        self.templates[row.model].add(row.template_id)
        left_out = row.left_out
        if left_out is LeftOut.ERROR:
            return
        self.counted[row.model] += 1
        if left_out is LeftOut.UNSCORED:
            self.unjudged += 1
            return
        score = row.values.get("score")
        self.differs = self.differs or score != row.success
        for name, value in row.named.items():
            if finite(value) is not None:
                self.named[row.model, name] += 1

    def reported(self) -> Iterator[Reported]:
        """Yield the means that follow from promptfoo's totals of each model."""
        for model, totals in self._totals().items():
            tests = totals.passed + totals.failed
            if not tests or tests != self.counted[model]:
                continue
            yield Reported(model, None, "score", totals.score / tests, "mean score")
            if self.differs:
                yield Reported(model, None, "success", totals.passed / tests, "pass rate")
            for metric, total in totals.named.items():
                results = self.named[model, metric]
                # Otherwise assertions of one metric are weighted, and the total is no mean.
                if results and totals.assertions[metric] == totals.weights[metric] == results:
                    yield Reported(model, None, metric, total / results, f"mean {metric}")

    def notes(self) -> Iterator[Note]:
        """Yield sentences on templates, on tests that nothing judges, and on odd totals."""
        every = set().union(*self.templates.values())
        if len(every) > 1:
            uneven = any(used != every for used in self.templates.values())
            yield Note(
                f"{len(every)} prompt templates: the results of a model under each are repeats of "
                "one task" + (", but not every model ran with every template" if uneven else "")
            )
        if self.unjudged:
            yield Note("tests without assertions are not scored; promptfoo counts them as passed")
        for model, totals in self._totals().items():
            tests, found = totals.passed + totals.failed, self.counted[model]
            if tests != found:
                yield Note(
                    f"{self.log.source.label}: promptfoo's totals of {quoted(model)} count "
                    f"{tests:g} tests, and the log has {found}, so they are not compared"
                )

    def _totals(self) -> dict[str, _Totals]:
        totals: dict[str, _Totals] = defaultdict(_Totals)
        for prompt in self.prompts:
            model, metrics = prompt.get("provider"), prompt.get("metrics")
            if isinstance(model, str) and isinstance(metrics, dict):
                totals[model].add(metrics)
        return totals

    def _check_version(self, version: object) -> None:
        if version in VERSIONS:
            return
        raise Source.of(self.log.path, "").error(
            f"holds results of promptfoo in version {quoted(version)}, and 2 and 3 are known",
            "upgrade hypernova-router, or export it with a promptfoo that writes version 3",
        )


@dataclass(slots=True)
class _Totals:
    """The totals that promptfoo states of a model, over all of its prompts.

    Attributes:
        score: Sum of the scores; that of an error is 0.
        passed: Number of tests that passed.
        failed: Number of tests that an assertion failed.
        named: By metric, the sum of its scores.
        assertions: By metric, the number of its assertions.
        weights: By metric, the sum of their weights.
    """

    score: float = 0.0
    passed: float = 0
    failed: float = 0
    named: Counter[str] = field(default_factory=Counter)
    assertions: Counter[str] = field(default_factory=Counter)
    weights: Counter[str] = field(default_factory=Counter)

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Add the metrics of a prompt."""
        self.score += finite(metrics.get("score")) or 0
        self.passed += finite(metrics.get("testPassCount")) or 0
        self.failed += finite(metrics.get("testFailCount")) or 0
        assertions = metrics.get("namedScoresCount")
        for sums, values in (
            (self.named, metrics.get("namedScores")),
            (self.assertions, assertions),
            (self.weights, metrics.get("namedScoreWeights") or assertions),
        ):
            for name, value in values.items() if isinstance(values, dict) else ():
                sums[name] += finite(value) or 0  # type: ignore[assignment]


def _format(file: LogFile) -> str | None:
    """Return the format of an export of promptfoo, or None if the file is none."""
    text = file.head.decode("utf-8", "ignore").removeprefix("\ufeff").lstrip()
    keys = set(file.first_keys)
    if text.startswith("{"):
        if _JSON_START.search(text) and keys & {"results"}:
            return "JSON"
        known = {"promptIdx", "testIdx", "namedScores", "gradingResult"}
        return "JSON Lines" if {"provider", "prompt"} <= keys and known & keys else None
    if text.startswith("evalId:") and "\nresults:\n" in text:
        return "YAML"
    if text.startswith("<") and "<promptfoo>" in text[:1000]:
        return "XML"
    if "Grader Reason" in text:
        header = next(csv.reader(text.splitlines()[:1]), [])
        return "CSV" if set(header) >= _CSV_COLUMNS else None
    return None


def _sample(
    row: PromptfooResult, survey: _Survey, choice: PromptChoice, tests: dict[str, int]
) -> Sample:
    """Return the sample of a result; `tests` has a number for each test without one."""
    document = row.document
    test = row.values.get("testIdx")
    if type(test) is not int:
        test = tests.setdefault(document, len(tests))
    template = row.values.get("promptIdx")
    identity = row.values.get("id")
    if not (isinstance(identity, str) and identity):
        numbered = survey.evaluation and type(template) is int and "testIdx" in row.values
        identity = f"{survey.evaluation}:{test}:{template}" if numbered else None
    text, media = row.prompt_text(choice, survey.template(template))
    left_out = row.left_out
    if left_out is None and not row.model:
        left_out = LeftOut.NO_MODEL
    if left_out is None and text is None:
        left_out = LeftOut.NO_PROMPT
    scores = {"score": row.values.get("score")}
    if survey.differs:
        scores["success"] = row.success
    scores = {**{name: value for name, value in row.named.items() if name not in scores}, **scores}
    # An answer from the cache, or from the test itself, took and cost something else at its time.
    measured = row.response.get("cached") is not True and "providerOutput" not in row.test
    cost = row.values.get("cost") or row.response.get("cost")
    latency = positive(row.values.get("latencyMs"))
    usage = row.response.get("tokenUsage") or row.values.get("tokenUsage")
    usage = usage if isinstance(usage, dict) else {}
    return Sample(
        model=row.model,
        group=row.group,
        task=str(test),
        prompt=text,
        # The 0 of an error is no score, and promptfoo's own counts leave it out.
        scores={} if left_out is LeftOut.ERROR else scores,
        document=document,
        cost_usd=positive(cost) if measured else None,
        latency_s=latency / 1000 if measured and latency is not None else None,
        input_tokens=positive(usage.get("prompt")),
        output_tokens=positive(usage.get("completion")),
        left_out=left_out,
        attempt=identity,
        media=media,
        place=row.source.place(row.number),
    )
