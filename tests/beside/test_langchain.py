"""The example with LangChain: real chat models of it, before a real server.

Not here: LangSmith, which is off. LangChain is in an environment of its own: `make test-beside`.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

import hypernova
from support.commands import run_python
from support.examples import load_example
from support.factories import fitted_to_example
from support.paths import EXAMPLES
from support.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

why = "LangChain NOT tested: `make test-beside`"
openai = pytest.importorskip("openai", reason=why)
langchain_openai = pytest.importorskip("langchain_openai", reason=why)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage  # noqa: E402
from langchain_core.prompts import ChatPromptTemplate  # noqa: E402

example = load_example("beside/langchain_chat.py")

PROMPT = "Write a SQL query that joins two tables"
OTHER = "Prove that the sum of two odd numbers is even"
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def router() -> hypernova.Router:
    return hypernova.Router(fitted_to_example(4))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def chat(router: hypernova.Router, upstream: Upstream) -> Any:
    own = {"base_url": upstream.url, "api_key": "none", "max_retries": 0, "timeout": TIMEOUT_S}
    models = {
        name: langchain_openai.ChatOpenAI(model=name, **own) for name in router.artifact.models
    }
    return example.routed(router, models, example.FAILURES)


def ranking(router: hypernova.Router, prompt: str = PROMPT) -> list[str]:
    return [entry.model for entry in router.route(prompt).ranking]


async def gathered(chat: Any, prompt: Any) -> str:
    return "".join([part.text async for part in chat.astream(prompt)])


WAYS: dict[str, Callable[[Any, Any], str]] = {
    "invoke": lambda chat, prompt: chat.invoke(prompt).text,
    "stream": lambda chat, prompt: "".join(part.text for part in chat.stream(prompt)),
    "batch": lambda chat, prompt: chat.batch([prompt])[0].text,
    "ainvoke": lambda chat, prompt: asyncio.run(chat.ainvoke(prompt)).text,
    "astream": lambda chat, prompt: asyncio.run(gathered(chat, prompt)),
}
PROMPTS = {
    "a text": PROMPT,
    "messages": [SystemMessage("You are a database"), HumanMessage(PROMPT)],
    "pairs": [("system", "You are a database"), ("user", PROMPT)],
    "a filled-in template": ChatPromptTemplate.from_messages([("user", "{asked}")]).invoke(
        {"asked": PROMPT}
    ),
    "parts": [HumanMessage([{"type": "text", "text": PROMPT}])],
}


@pytest.mark.parametrize("way", WAYS)
def test_the_chosen_model_answers(
    way: str, chat: Any, router: hypernova.Router, upstream: Upstream
) -> None:
    first = ranking(router)[0]
    assert WAYS[way](chat, PROMPT) == f"from {first}"
    assert upstream.seen == [first]


@pytest.mark.parametrize("way", WAYS)
def test_the_next_answers_if_it_fails(
    way: str, chat: Any, router: hypernova.Router, upstream: Upstream
) -> None:
    first, second, third = ranking(router)[:3]
    upstream.failing, upstream.statuses = {first}, {second: 429}
    assert WAYS[way](chat, PROMPT) == f"from {third}"
    assert upstream.seen == [first, second, third]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_form_of_a_prompt_is_routed_by_its_text(
    prompt: str, chat: Any, router: hypernova.Router, upstream: Upstream
) -> None:
    chat.invoke(PROMPTS[prompt])
    assert upstream.seen == ranking(router)[:1]


def test_a_batch_is_routed_one_by_one(chat: Any, router: hypernova.Router) -> None:
    firsts = [ranking(router, prompt)[0] for prompt in (PROMPT, OTHER)]
    assert firsts[0] != firsts[1]
    found = chat.batch([PROMPT, OTHER, PROMPT])
    assert [type(one) for one in found] == [AIMessage] * 3
    assert [one.text for one in found] == [f"from {firsts[i]}" for i in (0, 1, 0)]


def test_it_is_a_part_of_a_chain(chat: Any, router: hypernova.Router) -> None:
    chain = ChatPromptTemplate.from_template("{asked}") | chat | (lambda answer: answer.text)
    assert chain.invoke({"asked": PROMPT}) == f"from {ranking(router)[0]}"


def test_a_request_that_is_refused_is_not_sent_to_another(
    chat: Any, router: hypernova.Router, upstream: Upstream
) -> None:
    upstream.statuses = dict.fromkeys(router.artifact.models, 400)
    with pytest.raises(openai.BadRequestError):
        chat.invoke(PROMPT)
    assert upstream.seen == ranking(router)[:1]


def test_no_model_answers(chat: Any, router: hypernova.Router, upstream: Upstream) -> None:
    upstream.failing = set(router.artifact.models)
    with pytest.raises(openai.InternalServerError):
        chat.invoke(PROMPT)
    assert upstream.seen == ranking(router)


def test_the_program_answers(router: hypernova.Router, upstream: Upstream, tmp_path: Path) -> None:
    router.artifact.save(tmp_path / "router.hnv")
    env = {**os.environ, "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": upstream.url}
    program = EXAMPLES / "beside" / "langchain_chat.py"
    done = run_python(program, tmp_path / "router.hnv", PROMPT, env=env, code=0)
    assert done.stdout == f"from {ranking(router)[0]}"
