"""LiteLLM's spend logs: rows that LiteLLM made, what each column gives, and broken files.

`tests/tools/make_litellm_spend_logs.py` made the real ones, of `examples/logs/litellm_spend`.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypernova.errors import TableError
from hypernova.table.log_files.files import LogFile
from hypernova.table.log_files.prompt_choice import PromptChoice
from hypernova.table.sources.litellm_spend import LiteLLMSpendReader
from hypernova.table.sources.log import LeftOut, Note, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[3]
LOG = ROOT / "examples" / "logs" / "litellm_spend" / "spend_logs.csv"
READER = LiteLLMSpendReader()
Row = dict[str, Any]


def request(**more: Any) -> Row:
    return {
        "request_id": "r1",
        "call_type": "acompletion",
        "spend": 0.25,
        "total_tokens": 12,
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "startTime": "2026-11-27 12:00:00.000",
        "endTime": "2026-11-27 12:00:01.500",
        "model": "openai/gpt-4",
        "model_group": "gpt-4",
        "metadata": {"status": "success"},
        "cache_hit": "False",
        "messages": [{"role": "user", "content": "Hi"}],
        "status": "success",
        "proxy_server_request": {},
        **more,
    }


def jsonl(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def json_list(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def comma(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            cells = {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()}
            writer.writerow(cells)
    return path


def parquet(path: Path, rows: Sequence[Row]) -> Path:
    texts = [
        {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()}
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(texts), path)
    return path


FORMS: list[Callable[[Path, Sequence[Row]], Path]] = [jsonl, json_list, comma, parquet]


def records(path: Path, prompt: str = "auto") -> list[Any]:
    log = LogFile(path)
    assert READER.recognise(log)
    return list(READER.read(log, [], PromptChoice.parse(prompt)))


def one(at: Path, prompt: str = "auto", **more: Any) -> Sample:
    found = records(jsonl(at / "log.jsonl", [request(**more)]), prompt)[0]
    assert isinstance(found, Sample)
    return found


def test_rows_that_litellm_made() -> None:
    found = records(LOG)
    # 9 requests to each of two models, and one that failed; the embedding is none of them.
    assert len(found) == 19
    answered = [sample for sample in found if sample.left_out is LeftOut.NO_QUALITY]
    assert [s.model for s in answered] == ["gpt-3.5-turbo"] * 9 + ["gpt-4"] * 9
    assert {s.prompt for s in answered[:9]} == {s.prompt for s in answered[9:]}
    assert answered[0].prompt == "17 + 25 ="
    assert (answered[0].cost_usd, answered[0].latency_s) == (3.5e-05, 0.4)
    assert (answered[0].input_tokens, answered[0].output_tokens) == (10, 20)
    assert all(not sample.scores and sample.group is None for sample in found)
    assert found[-1].left_out is LeftOut.ERROR


@pytest.mark.skipif("HYPERNOVA_LITELLM" not in os.environ, reason="make test-litellm sets it")
def test_rows_that_litellm_makes_now(tmp_path) -> None:
    script = ROOT / "tests" / "tools" / "make_litellm_spend_logs.py"
    python = os.environ["HYPERNOVA_LITELLM"]
    subprocess.run([python, script, tmp_path], check=True, capture_output=True, timeout=300)
    made, kept = (
        [
            (s.model, s.prompt, s.cost_usd, s.latency_s, s.left_out)
            for s in records(path)
            if isinstance(s, Sample)
        ]
        for path in (tmp_path / "spend_logs.csv", LOG)
    )
    assert made == kept


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same(form, tmp_path) -> None:
    rows = [request(), request(request_id="r2", spend=0.5, model_group="")]
    found = records(form(tmp_path / "log", rows))
    assert [sample.model for sample in found] == ["gpt-4", "openai/gpt-4"]
    assert [sample.cost_usd for sample in found] == [0.25, 0.5]
    assert [sample.latency_s for sample in found] == [1.5, 1.5]
    assert [sample.prompt for sample in found] == ["Hi", "Hi"]
    assert [sample.attempt for sample in found] == ["r1", "r2"]
    assert [sample.input_tokens for sample in found] == [10, 10]


@pytest.mark.parametrize(
    ("more", "cost", "latency"),
    [
        ({"spend": 0}, None, 1.5),
        ({"spend": "0.125"}, 0.125, 1.5),
        ({"spend": None, "request_duration_ms": 250}, None, 0.25),
        ({"cache_hit": "True"}, None, None),
        ({"cache_hit": True}, None, None),
        ({"endTime": ""}, 0.25, None),
        ({"endTime": "2026-11-27T12:00:03Z"}, 0.25, 3.0),
    ],
    ids=range(7),
)
def test_costs_and_latencies(more: Row, cost: object, latency: object, tmp_path) -> None:
    found = one(tmp_path, **more)
    assert (found.cost_usd, found.latency_s) == (cost, latency)


@pytest.mark.parametrize(
    ("more", "prompt", "expected"),
    [
        ({"messages": '[{"role": "user", "content": "Hi"}]'}, "auto", "Hi"),
        ({"messages": {}, "proxy_server_request": {"messages": [
            {"role": "system", "content": "Be brief"}, {"role": "user", "content": "Ask"}]}},
         "sent", "Be brief\n\nAsk"),
        ({"messages": "{}", "proxy_server_request": '{"body": {"input": "Ask"}}'}, "auto", "Ask"),
        ({"messages": "{}", "proxy_server_request": "{}"}, "auto", None),
        ({"messages": None, "proxy_server_request": None}, "auto", None),
        ({"messages": [{"role": "system", "content": "Be brief"}]}, "user", None),
    ],
    ids=range(6),
)  # fmt: skip
def test_prompts(more: Row, prompt: str, expected: str | None, tmp_path) -> None:
    found = one(tmp_path, prompt, **more)
    assert found.prompt == expected
    assert found.left_out is (LeftOut.NO_QUALITY if expected else LeftOut.NO_PROMPT)


def test_requests_without_prompts_are_told_with_the_remedy(tmp_path) -> None:
    rows = [request(), request(messages="{}")]
    note = records(jsonl(tmp_path / "log.jsonl", rows))[-1]
    assert isinstance(note, Note)
    assert "1 of 2 requests" in note.text
    assert "store_prompts_in_spend_logs" in note.text


@pytest.mark.parametrize(
    ("more", "left_out"),
    [
        ({"status": "failure"}, LeftOut.ERROR),
        ({"status": None, "metadata": '{"status": "failure"}'}, LeftOut.ERROR),
        ({"model": "", "model_group": None}, LeftOut.NO_MODEL),
        ({"metadata": "[1]"}, LeftOut.NO_QUALITY),
    ],
)
def test_requests_that_tell_nothing(more: Row, left_out: LeftOut, tmp_path) -> None:
    assert one(tmp_path, **more).left_out is left_out


@pytest.mark.parametrize("kind", ["aembedding", "image_generation", "atranscription", "arerank"])
def test_other_calls_are_passed_over(kind: str, tmp_path) -> None:
    assert records(jsonl(tmp_path / "log.jsonl", [request(call_type=kind)])) == []


@pytest.mark.parametrize(
    ("more", "column"),
    [
        ({"spend": "free"}, "spend"),
        ({"spend": True}, "spend"),
        ({"prompt_tokens": [1]}, "prompt_tokens"),
        ({"completion_tokens": {}}, "completion_tokens"),
        ({"request_duration_ms": "long"}, "request_duration_ms"),
    ],
)
def test_cells_of_a_wrong_kind(more: Row, column: str, tmp_path) -> None:
    with pytest.raises(TableError, match=rf"log\.jsonl, line 1, column '{column}': found .*; "):
        one(tmp_path, **more)


@pytest.mark.parametrize("form", [json_list, parquet])
def test_a_file_cut_short_anywhere_is_refused_or_not_taken(form, tmp_path) -> None:
    path = form(tmp_path / "log", [request(), request(request_id="r2")])
    whole = path.read_bytes()
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        if READER.recognise(LogFile(path)):
            with pytest.raises(TableError) as caught:
                records(path)
            assert str(caught.value).isprintable()
            assert str(path) in str(caught.value)


def test_files_of_others_are_not_taken(tmp_path) -> None:
    path = tmp_path / "x.csv"
    for text in ("", "request_id,spend,model\n", "{", '{"request_id": "a"}', "\0", "[[[["):
        path.write_text(text)
        assert not READER.recognise(LogFile(path))
