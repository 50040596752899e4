r"""Answer chats over HTTP with the model that the router chose, or the next if that fails.

Not here: keys, streaming, and learning from the log, as `hypernova recalibrate` does.

    ROUTER=router.hnv UPSTREAM=https://.../v1 OUTCOMES=outcomes \
        uvicorn --app-dir examples/beside fastapi_service:app
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import environ
from typing import Annotated, Any

import httpx
from fastapi import Body, FastAPI, HTTPException

from hypernova import HypernovaError, OutcomeLog, Router


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the router, the upstream and the log, and close them."""
    with Router.open(environ["ROUTER"], watch=True) as router:
        router.warm_up()
        with OutcomeLog(environ["OUTCOMES"]) as log:
            async with httpx.AsyncClient(base_url=environ["UPSTREAM"], timeout=60) as upstream:
                app.state.router, app.state.log, app.state.upstream = router, log, upstream
                yield


app = FastAPI(lifespan=lifespan)


@app.post("/chat")
async def chat(messages: Annotated[list[dict[str, Any]], Body(embed=True)]) -> dict[str, Any]:
    """Answer with the first model of the ranking that works."""
    try:
        decision = await app.state.router.aroute(messages=messages, explore=0.05)
    except HypernovaError as error:  # no text of a user, for instance
        raise HTTPException(400, str(error)) from None
    for attempt in decision.attempts():
        app.state.log.record_decision(attempt)
        start, asked = time.monotonic(), {"model": attempt.model, "messages": messages}
        try:
            reply = await app.state.upstream.post("chat/completions", json=asked)
            if reply.status_code == 400:  # every model would refuse it
                raise HTTPException(400, reply.text)
            message = reply.raise_for_status().json()["choices"][0]["message"]
            return {"decision": attempt.id, "model": attempt.model, "message": message}
        except (httpx.HTTPError, ValueError, LookupError):
            app.state.log.record_outcome(attempt, failed=True, latency_s=time.monotonic() - start)
    raise HTTPException(502, "no model answers")


@app.post("/score/{decision}")
async def score(decision: str, score: Annotated[float, Body(ge=0, le=1, embed=True)]) -> None:
    """Record the score of an answer, given by the user, a judge or tests."""
    app.state.log.record_outcome(decision, score)
