"""Choose among LangChain's chat models by the router; the rest of the ranking are fallbacks.

Not here: keys, which each chat model has of its own. With one endpoint for all models:

    python examples/beside/langchain_chat.py router.hnv "Join two tables"
"""

import sys
from collections.abc import Mapping

import openai
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, convert_to_messages, convert_to_openai_messages
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_openai import ChatOpenAI

from hypernova import Router

ChatModel = Runnable[LanguageModelInput, AIMessage]
FAILURES = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)


def routed(
    router: Router,
    models: Mapping[str, ChatModel],
    failures: tuple[type[BaseException], ...],
) -> ChatModel:
    """Return a runnable that stands for the model that the router chooses for each prompt.

    Args:
        router: Decides.
        models: Chat models by their names in the artifact; no others are chosen.
        failures: Exceptions after which the next model is asked.
    """

    def choose(prompt: LanguageModelInput) -> ChatModel:
        messages = convert_to_messages([prompt] if isinstance(prompt, str) else prompt)
        decision = router.route(messages=convert_to_openai_messages(messages), allow=models)
        first, *others = (models[entry.model] for entry in decision.ranking)
        return first.with_fallbacks(others, exceptions_to_handle=failures)

    return RunnableLambda(choose)


if __name__ == "__main__":
    opened = Router.open(sys.argv[1])
    chats = {name: ChatOpenAI(model=name, max_retries=0) for name in opened.artifact.models}
    for part in routed(opened, chats, FAILURES).stream(sys.argv[2]):
        print(part.text, end="", flush=True)
