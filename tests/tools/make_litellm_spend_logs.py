"""Write `examples/logs/litellm_spend/spend_logs.csv` with the package `litellm`, offline.

LiteLLM's router answers with made-up texts, and the proxy's own function makes the row of each
request that it would write to its table ``LiteLLM_SpendLogs``. The rows are written as PostgreSQL's
COPY writes CSV. Needs ``litellm[proxy]``; run it as
``python tests/tools/make_litellm_spend_logs.py FOLDER``.

Not here: reading the logs (`tests/table/sources/test_litellm_spend.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ |= {"STORE_PROMPTS_IN_SPEND_LOGS": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.spend_tracking.spend_tracking_utils import get_logging_payload

import litellm

MODELS = ("gpt-3.5-turbo", "gpt-4")
SUMS = [(17, 25), (8, 64), (31, 9), (52, 48), (12, 7), (99, 1), (45, 46), (3, 3)]
COLUMNS = (
    "request_id", "call_type", "api_key", "spend", "total_tokens", "prompt_tokens",
    "completion_tokens", "startTime", "endTime", "request_duration_ms", "completionStartTime",
    "model", "model_id", "model_group", "custom_llm_provider", "api_base", "user", "metadata",
    "cache_hit", "cache_key", "request_tags", "team_id", "organization_id", "end_user",
    "requester_ip_address", "messages", "response", "session_id", "status", "proxy_server_request",
)  # fmt: skip


class Keep(CustomLogger):
    """Keep the row of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.asked = 0

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Take a request that was answered."""
        self.rows.append(dict(get_logging_payload(kwargs, response_obj, start_time, end_time)))

    async def async_log_failure_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Take a request that failed."""
        now = datetime.now(UTC)
        kwargs = {**kwargs, "completion_start_time": now}
        row = get_logging_payload(kwargs, response_obj or {}, start_time or now, end_time or now)
        self.rows.append({**row, "status": "failure"})


async def requests(keep: Keep) -> None:
    """Send every sum to both models, one of them twice, one that fails, and an embedding."""
    router = litellm.Router(
        model_list=[
            {"model_name": model, "litellm_params": {"model": f"openai/{model}", "api_key": "none"}}
            for model in MODELS
        ],
        num_retries=0,
    )
    for model in MODELS:
        for left, right in [*SUMS, SUMS[0]]:
            messages = [
                {"role": "system", "content": "Answer with the number alone."},
                {"role": "user", "content": f"{left} + {right} ="},
            ]
            body = {"model": model, "messages": messages}
            await router.acompletion(
                **body, mock_response=str(left + right), proxy_server_request={"body": body}
            )
            await wait(keep)
    with contextlib.suppress(litellm.RateLimitError):
        await router.acompletion(
            **body, mock_response=litellm.RateLimitError("busy", "openai", model)
        )
    await wait(keep)
    await litellm.aembedding(
        model="openai/text-embedding-3-small", input=["a"], api_key="none", mock_response=[0.5, 0.5]
    )
    await wait(keep)


async def wait(keep: Keep) -> None:
    """Wait until the logger has been called for the last request."""
    keep.asked += 1
    for _ in range(100):
        if len(keep.rows) >= keep.asked:
            return
        await asyncio.sleep(0.05)
    raise SystemExit(f"litellm logged {len(keep.rows)} of {keep.asked} requests")


def cell(value: object) -> object:
    """Return a cell as PostgreSQL writes it."""
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return "" if value is None else value


def main(target: Path) -> None:
    """Write the rows into `target`."""
    keep = Keep()
    litellm.callbacks = [keep]
    asyncio.run(requests(keep))
    begun = datetime(2026, 11, 27, 12, tzinfo=UTC)
    target.mkdir(parents=True, exist_ok=True)
    with (target / "spend_logs.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for at, row in enumerate(keep.rows):
            # A made-up answer takes no time: the clock is made up with it.
            row |= {"startTime": begun + timedelta(seconds=10 * at)}
            row |= {"endTime": row["startTime"] + timedelta(milliseconds=400 + 25 * at)}
            row |= {"completionStartTime": row["endTime"], "request_duration_ms": 400 + 25 * at}
            row["metadata"] = {"status": row.get("status") or "success"}
            writer.writerow([cell(row.get(column)) for column in COLUMNS])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
