"""The examples of serving run as their readers run them: a service, and a batch job.

Not here: those with clients that the tests' environment lacks (tests/beside), the LiteLLM proxy
(`test_litellm.py`), and the demo data (`test_examples.py`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
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
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--app-dir",
        str(EXAMPLES / "beside"),
        "--port",
        "0",
    ]
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


def begins_with(service: httpx.Client, upstream: Upstream, model: str) -> httpx.Response:
    """The answer to a request whose first attempt is not one of exploration."""
    for _ in range(20):
        upstream.seen.clear()
        answer = service.post("/chat", json={"messages": MESSAGES})
        if upstream.seen[0] == model:
            return answer
    raise AssertionError(upstream.seen)


@pytest.mark.slow
@pytest.mark.parametrize("failure", ["failing", "broken"])
def test_the_service_answers_with_the_next_model_and_logs_both(
    failure: str, service: httpx.Client, upstream: Upstream, artifact: Path, tmp_path: Path
) -> None:
    first, second = hypernova.Router.open(artifact).route(messages=MESSAGES).ranking[:2]
    getattr(upstream, failure).add(first.model)
    answer = begins_with(service, upstream, first.model).raise_for_status().json()
    assert upstream.seen == [first.model, second.model]
    assert answer["model"] == second.model
    assert answer["message"]["content"] == f"from {second.model}"
    scored = service.post(f"/score/{answer['decision']}", json={"score": 1.0})
    scored.raise_for_status()
    log = hypernova.read_log(tmp_path / "outcomes")
    scores = {joined.decision.model: joined.outcome.score for joined in log}
    assert scores == {second.model: 1.0}
    assert log.tally.failed_by_model[first.model] >= 1


@pytest.mark.slow
def test_the_service_says_when_no_model_answers(service: httpx.Client, upstream: Upstream) -> None:
    upstream.failing = {f"simulated-{n}" for n in ("large", "coder", "maths", "small", "writer")}
    assert service.post("/chat", json={"messages": MESSAGES}).status_code == 502
    assert sorted(upstream.seen) == sorted(upstream.failing)


@pytest.mark.slow
def test_the_service_passes_faults_of_the_request_on(
    service: httpx.Client, upstream: Upstream
) -> None:
    answer = service.post("/chat", json={"messages": [{"role": "system", "content": "x"}]})
    assert answer.status_code == 400
    assert "user" in answer.json()["detail"]
    assert service.post("/chat", json={"messages": "x"}).status_code == 422
    assert upstream.seen == []
    upstream.too_long = {f"simulated-{n}" for n in ("large", "coder", "maths", "small", "writer")}
    assert service.post("/chat", json={"messages": MESSAGES}).status_code == 400
    assert len(upstream.seen) == 1


@pytest.mark.slow
def test_the_batch_job_decides_as_the_router_does(artifact: Path, tmp_path: Path) -> None:
    tasks = pa.json.read_json(EXAMPLES / "prompts.jsonl")
    pq.write_table(tasks, tmp_path / "prompts.parquet")
    (tmp_path / "out").mkdir()
    files = (tmp_path / "prompts.parquet", tmp_path / "out" / "decisions.parquet")
    program = EXAMPLES / "beside" / "batch.py"
    done = run_python(program, *files, "-a", artifact, "--cost-weight", "5", code=0)
    rows = pq.read_table(files[1]).to_pylist()
    router = hypernova.Router.open(artifact)
    prompts = tasks["prompt"].to_pylist()
    expected = router.route_many(prompts, cost_weight=5.0)
    assert [row["task_id"] for row in rows] == tasks["task_id"].to_pylist()
    assert [row["model"] for row in rows] == [decision.model for decision in expected]
    default = router.artifact.default_model
    alone = router.route_many(prompts, allow=[default])
    lines = done.stdout.splitlines()
    assert lines[-2] == f"expected: {summed(expected)}"
    assert lines[-1] == f"{default} alone: {summed(alone)}"
    counts = Counter(decision.model for decision in expected)
    assert [line.split() for line in lines[:-3]] == [[str(n), m] for m, n in counts.most_common()]
    assert lines[-3].split()[0] == "0"
    assert [path.name for path in files[1].parent.iterdir()] == ["decisions.parquet"]


def summed(decisions: list[hypernova.Decision]) -> str:
    """Mean success and sum of costs, as the batch job prints them."""
    first = [decision.ranking[0] for decision in decisions]
    success = sum(entry.success for entry in first) / len(first)
    return f"success {success:.3f}, ${sum(entry.cost_usd or 0.0 for entry in first):.2f}"


@pytest.mark.slow
def test_the_batch_job_counts_prompts_without_a_decision(artifact: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.parquet"
    pq.write_table(pa.table({"prompt": ["", None]}, pa.schema({"prompt": pa.string()})), prompts)
    program = EXAMPLES / "beside" / "batch.py"
    done = run_python(program, prompts, tmp_path / "out.parquet", "-a", artifact, code=0)
    assert done.stdout.splitlines()[0].split()[0] == "2"
    assert "expected: success nan, $0.00" in done.stdout
