"""The examples of serving run as their readers run them: a service, and a batch job.

Not here: the LiteLLM proxy (`test_litellm.py`), and the demo data (`test_examples.py`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

import hypernova
from support.commands import run_python
from support.factories import fitted_to_example
from support.paths import EXAMPLES
from support.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MESSAGES = [{"role": "user", "content": "Write a SQL query that joins two tables"}]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples") / "router.hnv"
    fitted_to_example(4).save(path)
    return path


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def service(artifact: Path, upstream: Upstream, tmp_path: Path) -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", "0"]
    env = {
        **os.environ,
        "ROUTER": str(artifact),
        "UPSTREAM": upstream.url,
        "OUTCOMES": str(tmp_path / "outcomes"),
    }
    process = subprocess.Popen(
        [*command, "fastapi_service:app"], env=env, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        found = None
        for line in process.stderr:
            if found := re.search(r"running on (http://\S+)", line):
                break
        assert found
        threading.Thread(target=process.stderr.read, daemon=True).start()
        with httpx.Client(base_url=found[1], timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)
        process.stderr.close()


@pytest.mark.slow
def test_the_service_answers_with_the_next_model_and_logs_both(
    service: httpx.Client, upstream: Upstream, artifact: Path, tmp_path: Path
) -> None:
    upstream.failing = {"simulated-large"}
    body = {"messages": MESSAGES, "previous_model": "simulated-large"}
    for _ in range(20):  # once in a while it explores, and does not begin with the model
        upstream.seen.clear()
        answer = service.post("/chat", json=body).raise_for_status().json()
        if upstream.seen[0] == "simulated-large":
            break
    router = hypernova.Router.open(artifact)
    decision = router.route(messages=MESSAGES, previous_model="simulated-large", switch_cost=0.05)
    expected = [entry.model for entry in decision.ranking if entry.model != "simulated-large"]
    assert upstream.seen == ["simulated-large", expected[0]]
    assert (answer["model"], answer["reason"]) == (expected[0], "fallback")
    assert answer["message"]["content"] == f"from {expected[0]}"
    service.post("/score", json={"id": answer["id"], "score": 1.0}).raise_for_status()
    log = hypernova.read_log(tmp_path / "outcomes")
    scored = {joined.decision.model: joined.outcome.score for joined in log}
    assert scored == {expected[0]: 1.0}
    assert log.tally.failed_by_model["simulated-large"] >= 1


@pytest.mark.slow
def test_the_service_says_when_no_model_answers(service: httpx.Client, upstream: Upstream) -> None:
    upstream.failing = {f"simulated-{n}" for n in ("large", "coder", "maths", "small", "writer")}
    assert service.post("/chat", json={"messages": MESSAGES}).status_code == 502
    assert sorted(upstream.seen) == sorted(upstream.failing)


@pytest.mark.slow
def test_the_batch_job_decides_as_the_router_does(artifact: Path, tmp_path: Path) -> None:
    files = (EXAMPLES / "prompts.jsonl", tmp_path / "out.jsonl")
    done = run_python(EXAMPLES / "batch.py", *files, "-a", artifact, "--cost-weight", "5", code=0)
    prompts, rows = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        for path in (EXAMPLES / "prompts.jsonl", tmp_path / "out.jsonl")
    )
    router = hypernova.Router.open(artifact)
    expected = [router.route(task["prompt"], cost_weight=5.0) for task in prompts]
    assert [row["task_id"] for row in rows] == [task["task_id"] for task in prompts]
    assert [row["model"] for row in rows] == [decision.model for decision in expected]
    assert [row["then"] for row in rows] == [
        [entry.model for entry in decision.ranking[1:3]] for decision in expected
    ]
    cost = sum(decision.ranking[0].cost_usd or 0.0 for decision in expected)
    assert f"expected ${cost:.2f}, with {router.artifact.default_model} alone $" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
