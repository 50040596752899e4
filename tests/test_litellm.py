"""LiteLLM's proxy and Router follow the ranking, in processes of their own environment.

LiteLLM wants other versions of what the tests use, and takes 750 MB: `make test-litellm` makes
an environment for it and names its Python in HYPERNOVA_LITELLM. Not here: LiteLLM itself.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from upstream import Upstream

import hypernova

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = os.environ.get("HYPERNOVA_LITELLM")
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MASTER_KEY = "sk-test"
START_S = 180
MESSAGES = [{"role": "user", "content": "Prove that the sum of two odd numbers is even"}]
# What config.yaml serves of the artifact's five.
SERVED = ["simulated-large", "simulated-coder", "simulated-writer", "simulated-small"]

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="LiteLLM NOT tested: run `make test-litellm`"
)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("litellm") / "router.hnv"
    hypernova.fit(hypernova.OutcomeTable.read(EXAMPLES / "simulated.jsonl"), clusters=4).save(path)
    return path


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


def environment(artifact: Path, upstream: Upstream) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(artifact.parent),
        "PYTHONPATH": str(Path(hypernova.__file__).parent.parent),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it is fetched
        "HYPERNOVA_ARTIFACT": str(artifact),
        "LITELLM_MASTER_KEY": MASTER_KEY,
        "UPSTREAM": upstream.url,
        "UPSTREAM_KEY": "none",
    }


@pytest.fixture(scope="module")
def proxy(artifact: Path, upstream: Upstream) -> Iterator[httpx.Client]:
    assert PYTHON is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(PYTHON).parent / "litellm"), "--host", "127.0.0.1", "--port", str(port)]
    log = artifact.parent / "proxy.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*command, "--config", str(EXAMPLES / "litellm" / "config.yaml")],
            env=environment(artifact, upstream),
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=artifact.parent,
        )
    key = {"authorization": f"Bearer {MASTER_KEY}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=key, timeout=60) as client:
        try:
            for _ in range(START_S * 4):
                assert process.poll() is None, log.read_text()
                try:
                    client.get("/health/liveliness").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.25)
            else:
                raise AssertionError(log.read_text())
            yield client
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def ranking(artifact: Path) -> list[str]:
    """What the hook should rank: by its cost weight, of what the proxy serves."""
    router = hypernova.Router.open(artifact)
    decision = router.route(messages=MESSAGES, cost_weight=0.5, allow=SERVED)
    return [entry.model for entry in decision.ranking]


def ask(proxy: httpx.Client, **body: Any) -> httpx.Response:
    asked = {"model": "hypernova", "messages": MESSAGES, **body}
    return proxy.post("/v1/chat/completions", json=asked)


class TestProxy:
    """In this order: LiteLLM lets a model that failed rest for some seconds."""

    def test_the_first_answers(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        upstream.seen.clear()
        answer = ask(proxy)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == f"from {ranking[0]}"
        assert upstream.seen == ranking[:1]

    def test_other_models_pass_untouched(self, proxy: httpx.Client, upstream: Upstream) -> None:
        upstream.seen.clear()
        assert ask(proxy, model="simulated-small").status_code == 200
        assert upstream.seen == ["simulated-small"]

    def test_a_request_may_have_wishes(self, proxy: httpx.Client, upstream: Upstream) -> None:
        upstream.seen.clear()
        only = {"hypernova": {"allow": ["simulated-writer", "simulated-maths"]}}
        assert ask(proxy, metadata=only).status_code == 200
        assert upstream.seen == ["simulated-writer"]  # the proxy does not serve the other

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            ({"metadata": {"hypernova": {"cost_weight": -1}}}, "cost_weight"),
            ({"metadata": {"hypernova": {"allow": ["gpt-9"]}}}, "gpt-9"),
            ({"metadata": {"hypernova": {"cost_wieght": 1}}}, "cost_wieght"),
            ({"messages": [{"role": "system", "content": "Be brief."}]}, "user"),
        ],
    )
    def test_bad_wishes_are_the_callers_error(
        self, proxy: httpx.Client, upstream: Upstream, body: dict[str, Any], named: str
    ) -> None:
        upstream.seen.clear()
        answer = ask(proxy, **body)
        assert answer.status_code == 400
        assert named in answer.text
        assert upstream.seen == []

    @pytest.mark.parametrize(
        ("path", "field"), [("/v1/responses", "input"), ("/v1/completions", "prompt")]
    )
    def test_other_protocols_are_routed_by_their_text(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str], path: str, field: str
    ) -> None:
        upstream.seen.clear()
        answer = proxy.post(path, json={"model": "hypernova", field: MESSAGES[0]["content"]})
        assert answer.status_code == 200, answer.text
        assert f"from {ranking[0]}" in answer.text
        assert upstream.seen == ranking[:1]

    def test_a_stream_has_the_ranking_too(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        upstream.seen.clear()
        assert f"from {ranking[0]}" in ask(proxy, stream=True).text

    def test_when_the_first_fails_the_next_in_the_ranking_answers(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        upstream.seen.clear()
        upstream.failing = set(ranking[:2])
        answer = ask(proxy)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == f"from {ranking[2]}"
        assert int(answer.headers["x-litellm-attempted-fallbacks"]) > 0
        assert upstream.seen == ranking[:3]


ROUTER = """
import asyncio, json, os, litellm, hypernova
from hypernova.integrations.litellm import Ranked

served = os.environ["SERVED"].split()
model_list = [
    {"model_name": f"our-{name}", "litellm_params": {
        "model": f"openai/{name}", "api_base": os.environ["UPSTREAM"], "api_key": "none"}}
    for name in served
]
noted = []
class Log(litellm.integrations.custom_logger.CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        noted.append(kwargs["litellm_params"]["metadata"]["hypernova_decision"])
litellm.callbacks = [Log()]

async def main():
    calls = litellm.Router(model_list=model_list, num_retries=0)
    router = hypernova.Router.open(os.environ["HYPERNOVA_ARTIFACT"])
    ranked = Ranked(router, names={name: f"our-{name}" for name in served}, cost_weight=0.5)
    messages = json.loads(os.environ["MESSAGES"])
    plan = await ranked.plan(messages, served=calls.get_model_names())
    answer = await calls.acompletion(messages=messages, **plan)
    for _ in range(100):  # it logs after it has answered
        if noted:
            break
        await asyncio.sleep(0.1)
    print(json.dumps({"plan": plan, "answer": answer.choices[0].message.content, "noted": noted}))

asyncio.run(main())
"""


def test_the_router_takes_the_plan(artifact: Path, upstream: Upstream, ranking: list[str]) -> None:
    assert PYTHON is not None
    upstream.seen.clear()
    upstream.failing = {ranking[0]}
    env = environment(artifact, upstream)
    env |= {"MESSAGES": json.dumps(MESSAGES), "SERVED": " ".join(SERVED)}
    done = subprocess.run(
        [PYTHON, "-c", ROUTER], env=env, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().split("\n")[-1])
    assert [found["plan"]["model"], *found["plan"]["fallbacks"]] == [f"our-{m}" for m in ranking]
    assert found["answer"] == f"from {ranking[1]}"
    assert upstream.seen == ranking[:2]
    assert found["noted"][0]["model"] == ranking[0]
    assert found["noted"][0]["artifact"] == hypernova.Artifact.open(artifact).sha256


def test_importing_the_integration_reaches_nobody(artifact: Path, upstream: Upstream) -> None:
    """LiteLLM's own import fetches a list of prices, and goes on trying in a thread."""
    program = """
import sys, threading
outwards = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}
reached = []
sys.addaudithook(lambda event, _: event in outwards and reached.append(event))
import hypernova.integrations.litellm
assert not reached, reached
assert threading.enumerate() == [threading.main_thread()]
"""
    env = environment(artifact, upstream)
    del env["LITELLM_LOCAL_MODEL_COST_MAP"]
    done = subprocess.run(
        [str(PYTHON), "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
