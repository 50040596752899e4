"""Answer with OpenAI's client and the model that the router chose, or the next if that fails.

Not here: retries of one model, tools. OPENAI_API_KEY and OPENAI_BASE_URL are the client's:

    python examples/beside/openai_client.py router.hnv outcomes "Join two tables"
"""

import sys
import time
from collections.abc import Callable, Iterator

import openai
from openai.types.chat import ChatCompletionMessageParam as Turn

from hypernova import Decision, OutcomeLog, Router

Score = Callable[[str], float]


def answer(
    client: openai.OpenAI, messages: list[Turn], decision: Decision, log: OutcomeLog, score: Score
) -> Iterator[str]:
    """Yield the parts of an answer as they come; log each attempt, and the answer's score."""
    for attempt in decision.attempts():
        log.record_decision(attempt)
        start, text, usage = time.monotonic(), "", None
        try:
            for chunk in client.chat.completions.create(
                model=attempt.model, messages=messages,
                stream=True, stream_options={"include_usage": True},
            ):  # fmt: skip
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    yield choice.delta.content or ""
            if usage is None:  # it would be in the last chunk
                raise ValueError(f"the answer of {attempt.model} ended early")
        except (openai.BadRequestError, openai.AuthenticationError, openai.PermissionDeniedError):
            raise  # every model would refuse the request
        except (openai.APIError, ValueError) as error:  # a ValueError, too, for broken JSON
            log.record_outcome(attempt, failed=True, latency_s=time.monotonic() - start)
            if text:
                raise  # another model would begin anew
            failure = error
        else:
            took, sent, got = time.monotonic() - start, usage.prompt_tokens, usage.completion_tokens
            log.record_outcome(
                attempt, score(text), latency_s=took, input_tokens=sent, output_tokens=got
            )
            return
    raise failure


if __name__ == "__main__":
    asked: list[Turn] = [{"role": "user", "content": sys.argv[3]}]
    decided = Router.open(sys.argv[1]).route(messages=asked, explore=0.05)
    calls, outcomes = openai.OpenAI(max_retries=0), OutcomeLog(sys.argv[2])  # the next, not again
    for part in answer(calls, asked, decided, outcomes, lambda _: float(input("\nScore: "))):
        print(part, end="", flush=True)
