r"""Serve chats with Ray Serve: replicas of a router in front of deployments of models.

Not here: models. `Model` stands for one; put deployments of an inference engine in its place.

    RAY_USAGE_STATS_ENABLED=0 \
        python examples/beside/ray_serve.py router.hnv outcomes simulated-large simulated-coder
"""

import sys
import time
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from hypernova import OutcomeLog, Router


class Model:
    """Answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, messages: list[dict[str, Any]]) -> str:
        """Answer a conversation."""
        return f"from {self.name}, after {len(messages)} messages"


class Chat:
    """Answers with the model that the router chose, or the next if that fails."""

    def __init__(self, artifact: str, outcomes: str, models: dict[str, Any]) -> None:
        self.router = Router.open(artifact, mmap=True)  # the replicas of a node share its memory
        self.router.warm_up()
        self.log, self.models = OutcomeLog(outcomes), models

    async def __call__(self, request: Request) -> dict[str, str]:
        """Answer `{"messages": [...]}`."""
        messages = (await request.json())["messages"]
        decision = await self.router.aroute(messages=messages, allow=self.models)
        for attempt in decision.attempts():
            self.log.record_decision(attempt)
            start = time.monotonic()
            try:
                text = await self.models[attempt.model].remote(messages)
            except ray.exceptions.RayError as error:
                self.log.record_outcome(attempt, failed=True, latency_s=time.monotonic() - start)
                failure = error
            else:
                return {"id": attempt.id, "model": attempt.model, "text": text}
        raise failure


if __name__ == "__main__":
    artifact, outcomes, *names = sys.argv[1:]
    bound = {name: serve.deployment(Model, name=name).bind(name) for name in names}
    serve.run(serve.deployment(Chat, num_replicas=2).bind(artifact, outcomes, bound), blocking=True)
