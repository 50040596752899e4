"""The example with OpenAI's client: a real client, and a real server that fails in many ways.

Not here: OpenAI. The client is in an environment of its own: `make test-beside`.
"""

from __future__ import annotations

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

openai = pytest.importorskip("openai", reason="OpenAI's client NOT tested: `make test-beside`")
example = load_example("beside/openai_client.py")

MESSAGES = [{"role": "user", "content": "Write a SQL query that joins two tables"}]
# Long enough for a busy machine; the models that do not answer are waited for this long.
TIMEOUT_S = 10.0


@pytest.fixture(scope="module")
def router() -> hypernova.Router:
    return hypernova.Router(fitted_to_example(4))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def decision(router: hypernova.Router) -> hypernova.Decision:
    return router.route(messages=MESSAGES)


@pytest.fixture
def ranking(decision: hypernova.Decision) -> list[str]:
    return [entry.model for entry in decision.ranking]


class Asked:
    """What came of asking: the parts, the error if there was one, and the log."""

    def __init__(self, decision: hypernova.Decision, upstream: Upstream, folder: Path) -> None:
        self.parts: list[str] = []
        self.error: Exception | None = None
        with (
            openai.OpenAI(
                base_url=upstream.url, api_key="none", max_retries=0, timeout=TIMEOUT_S
            ) as client,
            hypernova.OutcomeLog(folder) as log,
        ):
            try:
                for part in example.answer(client, MESSAGES, decision, log, score_of):
                    self.parts.append(part)
            except Exception as error:
                self.error = error
        self.log = hypernova.read_log(folder)
        self.outcomes = [(each.decision.model, each.outcome) for each in self.log]
        self.failed = dict(self.log.tally.failed_by_model)


def score_of(text: str) -> float:
    return 0.75 if text.startswith("from ") else 0.0


@pytest.fixture
def ask(decision: hypernova.Decision, upstream: Upstream, tmp_path: Path) -> Callable[[], Asked]:
    return lambda: Asked(decision, upstream, tmp_path)


def test_the_first_answers_and_is_scored_with_its_tokens(
    ask: Callable[[], Asked], upstream: Upstream, ranking: list[str]
) -> None:
    asked = ask()
    assert "".join(asked.parts) == f"from {ranking[0]}"
    assert upstream.seen == ranking[:1]
    [(model, outcome)] = asked.outcomes
    assert (model, outcome.score) == (ranking[0], 0.75)
    assert (outcome.input_tokens, outcome.output_tokens) == (1, 1)
    assert outcome.latency_s > 0
    assert asked.failed == {}


FAILURES: dict[str, Callable[[Upstream, str], Any]] = {
    "429": lambda upstream, model: upstream.statuses.update({model: 429}),
    "404": lambda upstream, model: upstream.statuses.update({model: 404}),
    "408": lambda upstream, model: upstream.statuses.update({model: 408}),
    "500": lambda upstream, model: upstream.failing.add(model),
    "503": lambda upstream, model: upstream.statuses.update({model: 503}),
    "silence": lambda upstream, model: upstream.silent.add(model),
    "half of its JSON": lambda upstream, model: upstream.broken.add(model),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_the_next_answers_and_the_failure_is_logged(
    failure: str, ask: Callable[[], Asked], upstream: Upstream, ranking: list[str]
) -> None:
    FAILURES[failure](upstream, ranking[0])
    asked = ask()
    assert asked.error is None
    assert "".join(asked.parts) == f"from {ranking[1]}"
    assert upstream.seen == ranking[:2]
    assert [(model, outcome.score) for model, outcome in asked.outcomes] == [(ranking[1], 0.75)]
    assert asked.failed == {ranking[0]: 1}


@pytest.mark.parametrize(
    ("status", "error"), [(400, "BadRequest"), (401, "Authentication"), (403, "PermissionDenied")]
)
def test_a_request_that_is_refused_is_not_sent_to_another(
    status: int, error: str, ask: Callable[[], Asked], upstream: Upstream, ranking: list[str]
) -> None:
    upstream.statuses = dict.fromkeys(ranking, status)
    asked = ask()
    assert type(asked.error).__name__ == f"{error}Error"
    assert upstream.seen == ranking[:1]
    assert (asked.outcomes, asked.failed) == ([], {})


def test_an_answer_that_is_cut_short_is_not_begun_again(
    ask: Callable[[], Asked], upstream: Upstream, ranking: list[str]
) -> None:
    upstream.cut = set(ranking)
    asked = ask()
    assert "".join(asked.parts) == f"from {ranking[0]}"
    assert "ended early" in str(asked.error)
    assert upstream.seen == ranking[:1]
    assert asked.failed == {ranking[0]: 1}


def test_the_last_failure_is_raised_when_no_model_answers(
    ask: Callable[[], Asked], upstream: Upstream, ranking: list[str]
) -> None:
    upstream.failing, upstream.statuses = set(ranking[:-1]), {ranking[-1]: 429}
    asked = ask()
    assert type(asked.error) is openai.RateLimitError
    assert upstream.seen == ranking
    assert asked.failed == dict.fromkeys(ranking, 1)
    assert asked.parts == []


def test_nobody_is_there(decision: hypernova.Decision, upstream: Upstream, tmp_path: Path) -> None:
    upstream.__exit__()
    asked = Asked(decision, upstream, tmp_path)
    assert type(asked.error) is openai.APIConnectionError
    assert set(asked.failed) == {entry.model for entry in decision.ranking}


def test_the_program_answers_and_asks_for_the_score(
    router: hypernova.Router, upstream: Upstream, tmp_path: Path
) -> None:
    router.artifact.save(tmp_path / "router.hnv")
    env = {**os.environ, "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": upstream.url}
    files = (tmp_path / "router.hnv", tmp_path / "outcomes")
    program = EXAMPLES / "beside" / "openai_client.py"
    done = run_python(program, *files, MESSAGES[0]["content"], stdin="0.5\n", env=env, code=0)
    [model] = upstream.seen
    assert done.stdout == f"from {model}\nScore: "
    [joined] = hypernova.read_log(files[1])
    assert (joined.decision.model, joined.outcome.score) == (model, 0.5)
