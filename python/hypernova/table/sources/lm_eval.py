"""Read samples of lm-evaluation-harness: `samples_TASK_TIME.jsonl`, one row a document and filter.

The results beside them name the model and state the figures. Not here: reading the results
(`lm_eval_results`), choosing the prompt (`lm_eval_prompts`), and what becomes of the records.
"""

from __future__ import annotations

import json
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Any

from hypernova.table.source import quoted, quoted_list
from hypernova.table.sources.files import CUT_SHORT
from hypernova.table.sources.lm_eval_prompts import PromptTexts
from hypernova.table.sources.lm_eval_results import (
    FIRST_KEYS,
    PLACEHOLDERS,
    SamplesName,
    has_samples,
    is_results,
    is_samples,
    metric_name,
    results_of,
    task_name,
)
from hypernova.table.sources.log import LeftOut, LogReader, Note, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypernova.table.sources.files import LogFile
    from hypernova.table.sources.lm_eval_results import Results
    from hypernova.table.sources.log import Record
    from hypernova.table.sources.prompt_choice import PromptChoice

_REQUIRED = ("doc_id", "doc", "arguments", "resps")
_HASHES = ("doc_hash", "prompt_hash", "target_hash")
_NO_METRICS = frozenset((*FIRST_KEYS, *_HASHES, "filter", "metrics"))


class LmEvalReader(LogReader):
    """Read logs of lm-evaluation-harness."""

    name = "lm-eval"
    title = "lm-evaluation-harness"

    def recognise(self, file: LogFile) -> bool:
        """Return whether a file holds samples, or results of a run that kept no samples."""
        return is_samples(file) or (is_results(file) and not has_samples(file))

    def accompanies(self, file: LogFile) -> bool:
        """Return whether a file holds the results of a run."""
        return is_results(file)

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield what the results state of a task's metrics, and a sample of each row.

        The rows of several filters are samples of one attempt.

        Raises:
            TableError: the log is cut short, damaged, without samples or of an unknown version; its
                results are, or are of several models; no document has the field that is to be the
                prompt.
        """
        if is_results(log):
            raise log.source.error(
                "states results and no samples lie beside it",
                "run lm_eval again with --log_samples, or leave it out",
            )
        name = SamplesName.of(log.path)
        results = results_of(log, name, others)
        yield from _SampleRows(log, name, results, prompt).records()


class _SampleRows:
    """The rows of a file of samples."""

    def __init__(
        self, log: LogFile, name: SamplesName, results: Results | None, prompt: PromptChoice
    ) -> None:
        self._log = log
        self._time = name.time
        self._results = results
        self._task = task_name(name, results)
        self._folder = log.path.absolute().parent.name.replace("__", "/")
        self._model = (results.model if results else "") or self._folder
        self._texts = PromptTexts(prompt, results, self._task)
        self._filters = results.filters(self._task) if results else ()
        # Only for rows without the name of a filter: how often each document was met.
        self._met: dict[str, int] = {}

    def records(self) -> Iterator[Record]:
        """Yield the records.

        Raises:
            TableError: a row is malformed, or the file does not end where the run did.
        """
        if self._results is not None:
            yield from self._results.records(self._task)
        whole = _Whole(self._expected_hash())
        line = 0
        for line, row in self._log.objects():
            if not all(key in row for key in _REQUIRED):
                raise self._log.source.missing_columns(
                    [key for key in _REQUIRED if key not in row],
                    row,
                    at=line,
                    remedy="it may be of a version of lm_eval that is not known: leave the log out",
                )
            whole.add(row)
            yield self._sample(line, row)
        if not whole.ended:
            raise self._log.source.error(
                "its rows are not all those that the results of its run count",
                f"it may be cut short or changed; {CUT_SHORT}",
                at=line,
            )
        if self._texts.n_samples and self._texts.n_without_field == self._texts.n_samples:
            raise self._log.source.error(
                f"no document has the field {quoted(self._texts.choice.field)}, found "
                f"{quoted_list(self._texts.fields)}",
                "give another field, or auto",
            )
        yield from self._notes()

    def _expected_hash(self) -> str | None:
        """Return what the results state of the rows, where they are those of this very run."""
        if self._results is None or not self._time:
            return None
        found = self._results.hashes.get(self._task)
        return found if isinstance(found, str) else None

    def _sample(self, line: int, row: Mapping[str, Any]) -> Sample:
        doc_id = str(row["doc_id"])
        name = row.get("filter")
        if not isinstance(name, str):
            name = self._unnamed_filter(line, doc_id)
        metrics = row.get("metrics")
        if not isinstance(metrics, list):
            metrics = [key for key in row if key not in _NO_METRICS]
        metrics = [metric for metric in metrics if isinstance(metric, str)]
        scores = {
            metric_name(metric, name): row[metric]
            for metric in metrics
            if metric in row and metric not in PLACEHOLDERS
        }
        text, media = self._texts.of(row)
        left_out = None
        if not scores and any(metric in PLACEHOLDERS for metric in metrics):
            left_out = LeftOut.NO_QUALITY
        answers = blake2b(
            f"{row.get('prompt_hash')}{row['resps']!r}".encode("utf-8", "surrogatepass"),
            digest_size=16,
        )
        return Sample(
            model=self._model,
            group=self._task,
            task=doc_id,
            prompt=text,
            scores=scores,
            document=_document(row),
            left_out=left_out,
            attempt="\n".join((self._time, self._model, self._task, doc_id, answers.hexdigest())),
            media=media,
            place=self._log.source.place(line),
        )

    def _unnamed_filter(self, line: int, doc_id: str) -> str:
        """Return the filter of a row of 0.4.5 or older, which wrote the rows filter by filter."""
        if len(self._filters) == 1:
            return self._filters[0]
        met = self._met[doc_id] = self._met.get(doc_id, -1) + 1
        if self._filters:
            return self._filters[met % len(self._filters)]
        if met:
            raise self._log.source.error(
                f"document {quoted(doc_id)} has a second row, and neither names its filter",
                "put the results of its run, results_TIME.json, beside it, or leave it out",
                at=line,
            )
        return "none"

    def _notes(self) -> Iterator[Note]:
        if self._results is None:
            yield Note(
                f"the results of {self._task} (results_TIME.json) do not lie beside its samples: "
                f"its model is named after the folder, {self._model}, and prompts are as sent"
            )
        elif not self._results.names_model:
            yield Note(
                f"runs of lm_eval without the name of a model count as the model {self._model}, "
                "its kind"
            )
        if self._texts.n_uncut and self._results is not None:
            yield Note(
                f"{self._task}: examples or instructions could not be taken off "
                f"{self._texts.n_uncut} prompts of {self._texts.n_samples}; --prompt field:NAME "
                "takes a field of the document"
            )


class _Whole:
    """Whether rows are all those of a run, or of several in one file, by the hash of their hashes.

    Attributes:
        ended: Whether the last row ends a run; true where nothing is known of it.
    """

    def __init__(self, expected: str | None) -> None:
        self._expected = expected
        self._hash = sha256()
        self.ended = expected is None

    def add(self, row: Mapping[str, Any]) -> None:
        """Add the next row."""
        if self._expected is None:
            return
        self._hash.update("".join(str(row.get(key, "")) for key in _HASHES).encode())
        self.ended = self._hash.copy().hexdigest() == self._expected
        if self.ended:
            self._hash = sha256()


def _document(row: Mapping[str, Any]) -> str:
    """Return lm_eval's hash of a document; before 0.4.3 there was none."""
    found = row.get("doc_hash")
    if isinstance(found, str) and found:
        return found
    return json.dumps(row["doc"], sort_keys=True)
