"""LiteLLM's proxy and Router follow the ranking, in processes of their own environment.

LiteLLM wants other versions of what the tests use, and takes 750 MB: `make test-litellm` makes
an environment for it and names its Python in HYPERNOVA_LITELLM. Not here: LiteLLM itself.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import hypernova
from support.factories import fitted_to_example
from support.paths import EXAMPLES, PACKAGES
from support.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = os.environ.get("HYPERNOVA_LITELLM")
MASTER_KEY = "sk-test"
START_S = 180
MESSAGES = [{"role": "user", "content": "Prove that the sum of two odd numbers is even"}]
# What config.yaml serves of the artifact's five.
SERVED = ["simulated-large", "simulated-coder", "simulated-writer", "simulated-small"]
# Beside the hook of the examples: one with limits, and one that refuses what it cannot read.
HOOKS = """
import json
from litellm.integrations.custom_logger import CustomLogger
from hypernova_hook import router
from hypernova.integrations.litellm import RoutingHook

bounded = RoutingHook(
    router, alias="bounded", allow=["simulated-writer", "simulated-small", "simulated-coder"],
    deny=["simulated-coder"], max_cost_usd=0.005,
)
cheap = RoutingHook(router, alias="cheap", max_cost_usd=0.001)
strict = RoutingHook(router, alias="strict", on_unreadable="error")

class Log(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        params = kwargs["litellm_params"]
        notes = [params.get(field) or {} for field in ("metadata", "litellm_metadata")]
        with open("noted.jsonl", "a") as stream:
            print(json.dumps([note.get("hypernova_decision") for note in notes]), file=stream)

log = Log()
"""
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="LiteLLM NOT tested: run `make test-litellm`"
)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("litellm") / "router.hnv"
    fitted_to_example(4).save(path)
    return path


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    provider.forget()
    return provider


def environment(artifact: Path, upstream: Upstream) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(artifact.parent),
        "PYTHONPATH": str(PACKAGES),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it is fetched
        "HYPERNOVA_ARTIFACT": str(artifact),
        "LITELLM_MASTER_KEY": MASTER_KEY,
        "UPSTREAM": upstream.url,
        "UPSTREAM_KEY": "none",
    }


@pytest.fixture(scope="module")
def proxy(artifact: Path, provider: Upstream) -> Iterator[httpx.Client]:
    assert PYTHON is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(PYTHON).parent / "litellm"), "--host", "127.0.0.1", "--port", str(port)]
    config = artifact.parent / "config.yaml"
    hooks = "callbacks: hypernova_hook.hook"
    text = (EXAMPLES / "litellm" / "config.yaml").read_text()
    assert hooks in text
    names = "hypernova_hook.hook, hooks.bounded, hooks.cheap, hooks.strict, hooks.log"
    config.write_text(text.replace(hooks, f"callbacks: [{names}]"))
    shutil.copy(EXAMPLES / "litellm" / "hypernova_hook.py", artifact.parent)
    (artifact.parent / "hooks.py").write_text(HOOKS)
    log = artifact.parent / "proxy.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*command, "--config", str(config)],
            env=environment(artifact, provider),
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
    """The ranking that the hook should give: by its cost weight, of what the proxy serves."""
    router = hypernova.Router.open(artifact)
    decision = router.route(messages=MESSAGES, cost_weight=0.5, allow=SERVED)
    return [entry.model for entry in decision.ranking]


def ask(proxy: httpx.Client, **body: Any) -> httpx.Response:
    asked = {"model": "hypernova", "messages": MESSAGES, **body}
    return proxy.post("/v1/chat/completions", json=asked)


class TestProxy:
    def test_the_first_answers(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        answer = ask(proxy)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == f"from {ranking[0]}"
        assert upstream.seen == ranking[:1]

    def test_other_models_pass_untouched(self, proxy: httpx.Client, upstream: Upstream) -> None:
        assert ask(proxy, model="simulated-small").status_code == 200
        assert upstream.seen == ["simulated-small"]

    def test_a_request_may_have_options(self, proxy: httpx.Client, upstream: Upstream) -> None:
        only = {"hypernova": {"allow": ["simulated-writer", "simulated-maths"]}}
        assert ask(proxy, metadata=only).status_code == 200
        assert ask(proxy, litellm_metadata=only).status_code == 200
        # The proxy does not serve the other.
        assert upstream.seen == ["simulated-writer", "simulated-writer"]

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            ({"metadata": {"hypernova": {"cost_weight": -1}}}, "cost_weight"),
            ({"metadata": {"hypernova": {"allow": ["gpt-9"]}}}, "gpt-9"),
            ({"metadata": {"hypernova": {"cost_wieght": 1}}}, "cost_wieght"),
            ({"metadata": {"hypernova": {"prices": {"simulated-large": 0}}}}, "operator"),
            ({"metadata": {"hypernova": {"explore": 1}}}, "operator"),
            ({"metadata": {"hypernova": {"max_cost_usd": 0}}}, "max_cost_usd"),
            ({"metadata": {"hypernova": "x"}}, "metadata.hypernova is of type str"),
            ({"metadata": {"hypernova": [1]}}, "metadata.hypernova is of type list"),
            ({"metadata": {"hypernova": {"on_novel": 3}}}, "on_novel"),
            ({"litellm_metadata": {"hypernova": {"explore": 1}}}, "operator"),
        ],
    )
    def test_bad_options_are_the_callers_error(
        self, proxy: httpx.Client, upstream: Upstream, body: dict[str, Any], named: str
    ) -> None:
        answer = ask(proxy, **body)
        assert answer.status_code == 400, answer.text
        assert named in answer.text
        assert upstream.seen == []

    @pytest.mark.parametrize(
        ("path", "field"), [("/v1/responses", "input"), ("/v1/completions", "prompt")]
    )
    def test_other_protocols_are_routed_by_their_text(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str], path: str, field: str
    ) -> None:
        answer = proxy.post(path, json={"model": "hypernova", field: MESSAGES[0]["content"]})
        assert answer.status_code == 200, answer.text
        assert f"from {ranking[0]}" in answer.text
        assert upstream.seen == ranking[:1]

    def test_prompts_in_a_list_are_routed_by_their_text(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        body = {"model": "hypernova", "prompt": [MESSAGES[0]["content"]]}
        answer = proxy.post("/v1/completions", json=body)
        assert answer.status_code == 200, answer.text
        assert upstream.seen == ranking[:1]

    def test_the_messages_of_anthropics_protocol_are_read(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        body = {"model": "hypernova", "messages": MESSAGES, "max_tokens": 9}
        answer = proxy.post("/v1/messages", json={**body, "metadata": {"user_id": "u"}})
        assert answer.status_code == 200, answer.text
        assert upstream.seen == ranking[:1]
        assert "hypernova" not in json.dumps(upstream.bodies)

    def test_the_contents_of_googles_protocol_are_read(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        contents = [{"role": "user", "parts": [{"text": MESSAGES[0]["content"]}]}]
        answer = proxy.post("/v1beta/models/hypernova:generateContent", json={"contents": contents})
        assert answer.status_code == 200, answer.text
        assert upstream.seen == ranking[:1]

    def test_neither_options_nor_the_decision_go_to_a_provider(
        self, proxy: httpx.Client, upstream: Upstream
    ) -> None:
        """The metadata of the responses protocol does, and its values are text."""
        metadata = {"team": "search", "hypernova": {"allow": ["simulated-writer"]}}
        body = {"model": "hypernova", "input": "Sort a list", "metadata": metadata}
        answer = proxy.post("/v1/responses", json=body)
        assert answer.status_code == 200, answer.text
        assert upstream.seen == ["simulated-writer"]
        assert upstream.bodies[0].get("metadata") in (None, {"team": "search"})
        assert "hypernova" not in json.dumps(upstream.bodies)

    @pytest.mark.parametrize(
        ("path", "field"),
        [("chat/completions", "messages"), ("responses", "input"), ("messages", "messages")],
    )
    def test_callbacks_are_told_of_the_decision(
        self, proxy: httpx.Client, artifact: Path, path: str, field: str
    ) -> None:
        log = artifact.parent / "noted.jsonl"
        before = log.read_text().count("\n") if log.exists() else 0
        only = {"hypernova": {"allow": ["simulated-small"]}}
        body = {"model": "hypernova", field: MESSAGES, "max_tokens": 9, "metadata": only}
        assert proxy.post(f"/v1/{path}", json=body).status_code == 200
        for _ in range(300):  # LiteLLM logs after it has answered
            told = log.read_text().split("\n")[before:-1] if log.exists() else []
            if any("simulated-small" in line for line in told):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(told)

    def test_items_without_a_role_are_passed_over(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        items = [
            {"type": "message", **MESSAGES[0]},
            {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "3 files"},
        ]
        answer = proxy.post("/v1/responses", json={"model": "hypernova", "input": items})
        assert answer.status_code == 200, answer.text
        assert upstream.seen == ranking[:1]

    def test_a_stream_has_the_ranking_too(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        assert f"from {ranking[0]}" in ask(proxy, stream=True).text
        assert upstream.seen == ranking[:1]


UNREADABLE: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [IMAGE]}]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": None}]}),
    ("/v1/chat/completions", {"messages": [{"role": "system", "content": "Be brief."}]}),
    ("/v1/chat/completions", {"messages": []}),
    ("/v1/completions", {"prompt": [1, 2, 3]}),
    ("/v1/responses", {"input": [{"role": "assistant", "content": "Done."}]}),
]


class TestUnread:
    """Nothing of a user's can be read: the default model answers, within the limits."""

    @pytest.mark.parametrize(("path", "body"), UNREADABLE, ids=str)
    def test_the_default_model_answers(
        self,
        proxy: httpx.Client,
        upstream: Upstream,
        artifact: Path,
        path: str,
        body: dict[str, Any],
    ) -> None:
        default = hypernova.Artifact.open(artifact).default_model
        answer = proxy.post(path, json={"model": "hypernova", **body})
        assert answer.status_code == 200, answer.text
        assert upstream.seen == [default]

    @pytest.mark.parametrize(("path", "body"), UNREADABLE, ids=str)
    def test_or_the_caller_has_an_error_if_the_operator_wants_that(
        self, proxy: httpx.Client, upstream: Upstream, path: str, body: dict[str, Any]
    ) -> None:
        answer = proxy.post(path, json={"model": "strict", **body})
        assert answer.status_code == 400, answer.text
        assert "hypernova: messages" in answer.text
        assert upstream.seen == []

    def test_of_those_within_the_limits(self, proxy: httpx.Client, upstream: Upstream) -> None:
        image = [{"role": "user", "content": [IMAGE]}]
        assert ask(proxy, model="bounded", messages=image).status_code == 200
        assert ask(proxy, model="cheap", messages=image).status_code == 200
        denied = {"hypernova": {"deny": ["simulated-writer"]}}
        assert ask(proxy, model="bounded", messages=image, metadata=denied).status_code == 200
        assert upstream.seen == ["simulated-writer", "simulated-small", "simulated-small"]


class TestOtherCalls:
    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/v1/embeddings", {"input": "Sort a list"}),
            ("/v1/images/generations", {"prompt": "A cat"}),
            ("/v1/moderations", {"input": "Sort a list"}),
            ("/v1/audio/speech", {"input": "Sort a list", "voice": "alloy"}),
            ("/v1/rerank", {"query": "Sort", "documents": ["a list"]}),
            ("/v1/ocr", {"document": {"type": "document_url", "document_url": "data:,"}}),
        ],
    )
    def test_calls_that_are_not_answered_with_text_are_refused(
        self, proxy: httpx.Client, upstream: Upstream, path: str, body: dict[str, Any]
    ) -> None:
        answer = proxy.post(path, json={"model": "hypernova", **body})
        assert answer.status_code == 400, answer.text
        assert "ask for a model by its name" in answer.text
        assert upstream.seen == []

    def test_batches_are_refused(self, proxy: httpx.Client, upstream: Upstream) -> None:
        batch = {"input_file_id": "f", "endpoint": "/v1/embeddings", "completion_window": "24h"}
        answer = proxy.post("/v1/batches", json={"model": "hypernova", **batch})
        assert answer.status_code >= 400  # LiteLLM makes 500 of it where it has no database
        assert upstream.seen == []

    def test_recordings_are_refused(self, proxy: httpx.Client, upstream: Upstream) -> None:
        answer = proxy.post(
            "/v1/audio/transcriptions", data={"model": "hypernova"}, files={"file": ("a.wav", b"R")}
        )
        assert answer.status_code == 400, answer.text
        assert "ask for a model by its name" in answer.text
        assert upstream.seen == []

    @pytest.mark.parametrize(
        "body",
        [
            {"model": "hypernova,simulated-small"},
            {"model": "simulated-small, hypernova", "fastest_response": True},
            {"model": "simulated-small", "fallbacks": ["hypernova"]},
            {"model": "simulated-small", "fallbacks": [{"simulated-small": ["hypernova"]}]},
            {"model": "simulated-small", "context_window_fallbacks": [{"a": ["hypernova"]}]},
            {"model": "simulated-small", "fallbacks": [{"model": "hypernova", "temperature": 0}]},
        ],
        ids=str,
    )
    def test_the_alias_is_no_model_among_others(
        self, proxy: httpx.Client, upstream: Upstream, body: dict[str, Any]
    ) -> None:
        answer = ask(proxy, **body)
        assert answer.status_code == 400, answer.text
        assert "as the only model" in answer.text
        assert upstream.seen == []

    def test_a_name_that_is_only_said_is_none(
        self, proxy: httpx.Client, upstream: Upstream
    ) -> None:
        other = {
            "model": "simulated-writer",
            "messages": [{"role": "user", "content": "hypernova"}],
        }
        assert ask(proxy, model="simulated-small", fallbacks=[other]).status_code == 200
        assert upstream.seen == ["simulated-small"]


class TestBounds:
    """In this order: models fail at the end."""

    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"allow": ["simulated-large", "simulated-small"]},
            {"deny": []},
            {"max_cost_usd": 1e9},
            {"max_cost_usd": 1e9, "min_success": 0, "allow": SERVED, "deny": []},
            {"allow": None, "deny": None, "max_cost_usd": None},
            {"previous_model": "simulated-large", "switch_cost": 9},
            {"cost_weight": 0, "on_novel": "best_overall"},
        ],
        ids=str,
    )
    def test_a_request_cannot_widen_what_the_operator_allows(
        self, proxy: httpx.Client, upstream: Upstream, asked: dict[str, Any]
    ) -> None:
        for field in ("metadata", "litellm_metadata"):
            for model in ("bounded", "cheap"):
                answer = ask(proxy, model=model, **{field: {"hypernova": asked}})
                assert answer.status_code == 200, answer.text
                body = {"model": model, "input": "Sort a list", field: {"hypernova": asked}}
                assert proxy.post("/v1/responses", json=body).status_code == 200
        assert len(upstream.seen) == 8
        assert set(upstream.seen[::4] + upstream.seen[1::4]) <= {
            "simulated-writer",
            "simulated-small",
        }
        assert set(upstream.seen[2::4] + upstream.seen[3::4]) == {"simulated-small"}

    @pytest.mark.parametrize(
        "asked",
        [
            {"allow": ["simulated-large", "simulated-coder"]},
            {"deny": ["simulated-writer", "simulated-small"]},
            {"max_cost_usd": 0.0001},
            {"min_success": 1},
        ],
        ids=str,
    )
    def test_what_is_left_of_nothing_is_an_error_and_no_model_outside(
        self, proxy: httpx.Client, upstream: Upstream, asked: dict[str, Any]
    ) -> None:
        answer = ask(proxy, model="bounded", metadata={"hypernova": asked})
        assert answer.status_code == 400, answer.text
        assert upstream.seen == []

    def test_a_request_can_narrow_them(self, proxy: httpx.Client, upstream: Upstream) -> None:
        for asked in (
            {"allow": ["simulated-small"]},
            {"deny": ["simulated-writer"]},
            {"max_cost_usd": 0.001},
        ):
            assert ask(proxy, model="bounded", metadata={"hypernova": asked}).status_code == 200
        assert upstream.seen == ["simulated-small"] * 3

    @pytest.mark.parametrize("kind", ["too_long", "failing"])
    @pytest.mark.parametrize("fallbacks", [["simulated-large"], [{"*": ["simulated-large"]}]])
    def test_a_request_has_no_fallbacks_of_its_own(
        self, proxy: httpx.Client, upstream: Upstream, kind: str, fallbacks: list[Any]
    ) -> None:
        setattr(upstream, kind, {"simulated-small"})
        body = {
            "fallbacks": fallbacks,
            "context_window_fallbacks": [{"simulated-small": ["simulated-large"]}],
            "content_policy_fallbacks": [{"simulated-small": ["simulated-large"]}],
            "router_settings_override": {"fallbacks": fallbacks},
        }
        answer = ask(proxy, model="cheap", **body)
        assert answer.status_code >= 400, answer.text
        assert set(upstream.seen) <= {"simulated-small"}  # none while it rests


class TestFailures:
    """Last: LiteLLM lets a model that failed rest for some seconds."""

    def test_when_the_first_fails_the_next_in_the_ranking_answers(
        self, proxy: httpx.Client, upstream: Upstream, ranking: list[str]
    ) -> None:
        upstream.failing = set(ranking[:2])
        answer = ask(proxy)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == f"from {ranking[2]}"
        assert int(answer.headers["x-litellm-attempted-fallbacks"]) > 0
        assert upstream.seen == ranking[:3]


ROUTER = """
import asyncio, json, os, litellm, hypernova
from hypernova.integrations.litellm import RoutingHook

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
    hook = RoutingHook(router, names={name: f"our-{name}" for name in served}, cost_weight=0.5)
    messages = json.loads(os.environ["MESSAGES"])
    plan = await hook.plan(messages, served=calls.get_model_names())
    answer = await calls.acompletion(messages=messages, **plan)
    for _ in range(100):  # it logs after it has answered
        if noted:
            break
        await asyncio.sleep(0.1)
    unread = await hook.plan([], served=calls.get_model_names())
    refused = []
    for wrong in ({"deny": ["gpt-9"]}, {"cost_weight": -1}, {"fallbacks": -1},
                  {"on_unreadable": "x"}, {"names": {"gpt-9": "x"}}):
        try:
            RoutingHook(router, **wrong)
        except ValueError as error:
            refused.append(str(error))
    print(json.dumps({"plan": plan, "answer": answer.choices[0].message.content, "noted": noted,
                      "unread": unread, "refused": refused}))

asyncio.run(main())
"""


def test_the_router_takes_the_plan(artifact: Path, upstream: Upstream, ranking: list[str]) -> None:
    assert PYTHON is not None
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
    default = hypernova.Artifact.open(artifact).default_model
    assert found["unread"]["model"] == f"our-{default}"
    assert found["unread"]["metadata"]["hypernova_decision"]["reason"] == "unread"
    # What the operator got wrong is theirs to hear of at the start.
    named = ["gpt-9", "cost_weight", "fallbacks", "on_unreadable", "gpt-9"]
    assert len(found["refused"]) == len(named)
    for message, name in zip(found["refused"], named, strict=True):
        assert name in message


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
