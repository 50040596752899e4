"""Answer a chat with the model that the router chose, or with the next if that fails.

Not here: keys, retries, streaming. Decisions and outcomes go to an outcome log, from which
`hypernova recalibrate` learns. Needs the extra server, and httpx:

    ROUTER=router.hnv UPSTREAM=https://.../v1 OUTCOMES=outcomes \
        uvicorn --app-dir examples fastapi_service:app
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

import hypernova


class Chat(BaseModel):
    """A conversation, and the model that answered its last turn."""

    messages: list[dict[str, Any]]
    previous_model: str | None = None


class Score(BaseModel):
    """The score of an answer."""

    id: str
    score: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the router, the upstream and the log, and close them."""
    router = hypernova.Router.open(os.environ["ROUTER"], watch=True)
    _ = router.embedder  # loads it before the first request
    async with httpx.AsyncClient(base_url=os.environ["UPSTREAM"], timeout=60) as upstream:
        with hypernova.OutcomeLog(os.environ["OUTCOMES"]) as log:
            app.state.router, app.state.upstream, app.state.log = router, upstream, log
            yield
    router.close()


app = FastAPI(lifespan=lifespan)


@app.post("/chat")
async def chat(asked: Chat) -> dict[str, Any]:
    """Answer with the first model of the ranking that works."""
    decision = await app.state.router.aroute(
        messages=asked.messages,
        previous_model=asked.previous_model,
        switch_cost=0.05,  # success that a change of model has to gain
        explore=0.05,  # a model that is never chosen gets no outcomes
    )
    while True:
        app.state.log.record_decision(decision)
        start = time.monotonic()
        body = {"model": decision.model, "messages": asked.messages}
        try:
            answer = await app.state.upstream.post("chat/completions", json=body)
            answer.raise_for_status()
        except httpx.HTTPError:
            # No answer, so no score: an outage does not make a model worse.
            took = time.monotonic() - start
            app.state.log.record_outcome(decision, failed=True, latency_s=took)
            try:
                decision = decision.after_failure(decision.model)
            except hypernova.errors.NoCandidateError:
                raise HTTPException(502, "no model answers") from None
        else:
            return {
                "id": decision.id,
                "model": decision.model,
                "reason": decision.reason,
                "message": answer.json()["choices"][0]["message"],
            }


@app.post("/score")
async def score(found: Score) -> None:
    """Record the score of an answer, given by the user, a judge or tests."""
    app.state.log.record_outcome(found.id, found.score)
