"""Costs, latencies and tokens of outcomes from logs of requests, which hold no scores."""

from __future__ import annotations

import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova.errors import TableError
from hypernova.table import OutcomeTable, read_logs

ROOT = Path(__file__).parents[3] / "examples" / "logs"
EVALS = ROOT / "openai_evals"
SPEND = ROOT / "litellm_spend"
NUMBERS = ("cost_usd", "latency_s", "input_tokens", "output_tokens")

Row = dict[str, Any]


def evals(folder: Path, *, model: str = "m", usage: Row | None = None, tasks: int = 3) -> Path:
    """Write a log of OpenAI evals with the prompts ``Question 0``, ..."""
    path = folder / f"{model.replace('/', '_')}.jsonl"
    rows: list[Row] = [
        {"spec": {"completion_fns": [model], "base_eval": "e", "run_id": model}},
        {"final_report": {}},
    ]
    for at in range(tasks):
        prompt = {"prompt": f"Question {at}", "sampled": ["x"], "usage": usage}
        event = {"sample_id": f"e.{at}", "run_id": "r"}
        rows += [
            {**event, "type": "sampling", "data": prompt},
            {**event, "type": "match", "data": {"correct": bool(at % 2)}},
        ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def request(prompt: str, model: str = "m", **more: Any) -> Row:
    return {
        "request_id": f"{prompt}/{model}/{sorted(more.items())}",
        "model": model,
        "spend": 1.0,
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "startTime": "2026-11-27 12:00:00",
        "endTime": "2026-11-27 12:00:02",
        "messages": [{"role": "user", "content": prompt}],
        **more,
    }


def spend(folder: Path, *rows: Row) -> Path:
    path = folder / "spend.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(*paths: Path, **options: Any) -> tuple[OutcomeTable, tuple[str, ...]]:
    found = read_logs(*paths, min_models=1, **options)
    return found.table, found.summary.notes


def test_spend_logs_fill_the_costs_of_real_logs() -> None:
    score = ["accuracy", "score"]
    alone, _ = read(EVALS, score=score)
    table, notes = read(EVALS, SPEND, score=score)
    assert np.isnan(alone.cost_usd).all()
    np.testing.assert_array_equal(table.score, alone.score)
    assert table.task_ids == alone.task_ids
    sums = np.array([group == "sums" for group in table.groups])
    # LiteLLM prices these names at 0.5 and 1.5, and at 30 and 60 USD per million tokens.
    np.testing.assert_allclose(table.cost_usd[sums], [[3.5e-05, 0.0015]] * 8)
    assert np.isnan(table.cost_usd[~sums]).all()
    assert (table.latency_s[sums] > 0.3).all()
    # Tokens that the log of the eval states stay.
    np.testing.assert_array_equal(table.input_tokens, alone.input_tokens)
    assert any("18 of 18 requests" in note and "16 outcomes" in note for note in notes)


def test_numbers_of_repeated_requests_are_their_means_and_known_ones_stay(tmp_path) -> None:
    log = evals(tmp_path, usage={"prompt_tokens": 9})
    requests = spend(
        tmp_path,
        request("Question 0", spend=1.0),
        request("Question 0", spend=2.0, endTime="2026-11-27 12:00:05"),
        request("Question 0", spend=0),  # unknown
        request(" Question 1\n"),
        request("Question 1", "other"),
        request("Elsewhere"),
        request("Question 2", status="failure"),
    )
    table, notes = read(log, requests)
    np.testing.assert_array_equal(table.cost_usd[:, 0], [1.5, 1.0, np.nan])
    np.testing.assert_array_equal(table.latency_s[:, 0], [3.0, 2.0, np.nan])
    np.testing.assert_array_equal(table.input_tokens[:, 0], [9, 9, 9])
    np.testing.assert_array_equal(table.output_tokens[:, 0], [3, 3, np.nan])
    assert any("4 of 6 requests" in note and "2 outcomes" in note for note in notes)
    assert table.models == ("m",)


def test_models_meet_by_their_new_names(tmp_path) -> None:
    log, requests = evals(tmp_path, model="openai/m"), spend(tmp_path, request("Question 1", "m-1"))
    table, _ = read(log, requests)
    assert np.isnan(table.cost_usd).all()
    table, _ = read(log, requests, rename={"openai/m": "x", "m-1": "x"})
    np.testing.assert_array_equal(table.cost_usd[:, 0], [np.nan, 1.0, np.nan])


def test_requests_alone_are_no_table_and_say_what_to_add(tmp_path) -> None:
    for path in (SPEND / "spend_logs.csv", spend(tmp_path, request("Question 0"))):
        with pytest.raises(TableError) as caught:
            read_logs(path)
        message = str(caught.value)
        assert "no quality score" in message
        assert "; give logs with scored samples: these are requests without scores" in message
        assert message.isprintable()


def test_requests_leave_no_tasks_behind(tmp_path) -> None:
    log, requests = evals(tmp_path), spend(tmp_path, *(request(f"x{n}") for n in range(5)))
    found = read_logs(log, requests, min_models=1)
    assert found.summary.tasks == 3
    assert not any("have no outcome" in note for note in found.summary.notes)
    assert found.summary.left_out == {"no quality score": 5}


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from("mn"), st.integers(0, 9)),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 2**32),
)
def test_any_requests_in_any_order(rows: list[tuple[int, str, int]], seed: int) -> None:
    made = [
        request(f"Question {task}", model, spend=cost, request_id=str(at))
        for at, (task, model, cost) in enumerate(rows)
    ]
    random.Random(seed).shuffle(made)
    with TemporaryDirectory() as name:
        folder = Path(name)
        logs = [evals(folder, model="m"), evals(folder, model="n")]
        table, _ = read(*logs, spend(folder, *made), score="accuracy")
    for column, model in enumerate(table.models):
        for task in range(3):
            costs = [cost for at, of, cost in rows if (at, of) == (task, model) and cost]
            expected = sum(costs) / len(costs) if costs else np.nan
            np.testing.assert_allclose(table.cost_usd[task, column], expected, rtol=1e-12)
