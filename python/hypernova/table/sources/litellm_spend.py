"""Read LiteLLM's spend logs: what requests cost, how long they took and which tokens they used.

They hold no scores, so they only add to what other logs say. Not here: which outcomes they add to
(`hypernova.table.importing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypernova.table.log_files.exported_rows import (
    Sent,
    column_names,
    exported_rows,
    number_cell,
    parsed,
    seconds_between,
    text_cell,
)
from hypernova.table.sources.log import LeftOut, Note, Sample, ToolLogReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypernova.table.log_files.files import LogFile
    from hypernova.table.log_files.prompt_choice import PromptChoice
    from hypernova.table.source import Source
    from hypernova.table.sources.log import Record

_COLUMNS = {"request_id", "spend", "prompt_tokens", "completion_tokens", "model"}
# Calls that answer no prompt with text.
_OTHER_CALLS = ("embedding", "image", "speech", "transcription", "moderation", "rerank")


class LiteLLMSpendReader(ToolLogReader):
    """Read the table ``LiteLLM_SpendLogs`` of a LiteLLM proxy."""

    name = "litellm-spend"
    title = "LiteLLM spend logs"

    def recognise(self, file: LogFile) -> bool:
        """Return whether a file has the columns of the table."""
        return column_names(file) >= _COLUMNS

    def read(
        self, log: LogFile, others: Sequence[LogFile], prompt: PromptChoice
    ) -> Iterator[Record]:
        """Yield a sample without scores for each request that a model answered.

        The model is the name that the caller asked for, ``model_group``, or else ``model``. The
        prompt is read from ``messages`` or ``proxy_server_request``: LiteLLM writes neither unless
        it is told to. A cost of 0 is unknown; of an answer from the cache so are cost and latency.

        Raises:
            TableError: the file is malformed.
            MissingExtraError: the file is Parquet, and pyarrow is not installed.
        """
        del others
        requests = without_prompt = 0
        for number, row in exported_rows(log):
            if any(word in text_cell(row, "call_type") for word in _OTHER_CALLS):
                continue
            sample = _sample(row, number, log.source, prompt)
            requests += 1
            without_prompt += sample.left_out is LeftOut.NO_PROMPT
            yield sample
        if without_prompt:
            yield Note(
                f"{log.source.label}: {without_prompt} of {requests} requests have no prompt, so "
                "nothing can be matched to them; set store_prompts_in_spend_logs in LiteLLM's "
                "general_settings"
            )


def _sample(row: Mapping[str, Any], number: int, source: Source, choice: PromptChoice) -> Sample:
    cached = str(row.get("cache_hit")).lower() == "true"
    latency = number_cell(row, "request_duration_ms", source, number)
    latency = seconds_between(row, "start_time", "end_time") if latency is None else latency / 1000
    cost = number_cell(row, "spend", source, number)
    sent = _sent(row)
    text = sent.prompt(choice)
    model = text_cell(row, "model_group", "model")
    left_out = LeftOut.NO_QUALITY
    if _failed(row):
        left_out = LeftOut.ERROR
    elif not model:
        left_out = LeftOut.NO_MODEL
    elif text is None:
        left_out = LeftOut.NO_PROMPT
    identifier = text_cell(row, "request_id")
    return Sample(
        model=model,
        group=None,
        task=identifier,
        prompt=text,
        cost_usd=None if cached else cost or None,
        latency_s=None if cached else latency,
        input_tokens=number_cell(row, "prompt_tokens", source, number) or None,
        output_tokens=number_cell(row, "completion_tokens", source, number) or None,
        left_out=left_out,
        attempt=identifier or None,
        media=sent.media,
        place=source.place(number),
    )


def _sent(row: Mapping[str, Any]) -> Sent:
    for column in ("messages", "proxy_server_request"):
        content = parsed(row.get(column))
        if content and content != "{}":
            return Sent.of(content)
    return Sent.of(None)


def _failed(row: Mapping[str, Any]) -> bool:
    metadata = parsed(row.get("metadata"))
    inner = metadata.get("status") if isinstance(metadata, dict) else None
    return "failure" in (row.get("status"), inner)
