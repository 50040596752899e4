"""The application: its paths, and how OpenAPI describes them.

Not here: sockets and signals (`processes`), and the form of requests and responses (`http`).
"""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from hypernova._core import __version__
from hypernova.embedder import Embedder
from hypernova.errors import HypernovaError
from hypernova.integrations.server.http import request_ids, schemas
from hypernova.integrations.server.http.bodies import encode, parse, read_body
from hypernova.integrations.server.http.connection import Connections
from hypernova.integrations.server.http.errors import HttpError, http_error_of
from hypernova.integrations.server.http.middleware import (
    OPEN_PATHS,
    AdmissionMiddleware,
    DirectMiddleware,
    RequestMiddleware,
    is_token,
)
from hypernova.integrations.server.http.request_ids import (
    REQUEST_ID,
    RequestIdMiddleware,
    current_request_id,
    new_request_id,
)
from hypernova.integrations.server.http.threads import Limits, RequestThreads
from hypernova.integrations.server.metrics.prometheus import Metrics
from hypernova.integrations.server.page.answers import ExplanationResponse, RecentResponse
from hypernova.integrations.server.page.assets import add_page
from hypernova.integrations.server.page.recent import Recent
from hypernova.integrations.server.price_file import PriceFile
from hypernova.integrations.server.readiness import Readiness
from hypernova.integrations.server.records import idempotency
from hypernova.integrations.server.records.access_entries import (
    AccessMiddleware,
    note_decisions,
    note_texts,
    refused_entry,
)
from hypernova.integrations.server.records.outcomes import Outcomes
from hypernova.integrations.server.records.timed_log import TimedLog
from hypernova.router.batch import StepwiseBatch
from hypernova.router.conversation import prompt_turns

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from hypernova import Decision, OutcomeLog, Router
    from hypernova.embedder import TextEmbedder
    from hypernova.events import DecisionEvent, ReloadEvent
    from hypernova.integrations.server.records.access_log import AccessLog

_log = logging.getLogger("hypernova.server")
JSON_TYPE = "application/json"
# A body up to this size, with an embedder this fast and a quick log, is answered on the event loop:
# at 500 requests a second a thread adds 0.36 ms of processor time to each, more than the decision
# itself takes.
INLINE_BYTES = 1024
INLINE_S = 0.5e-3
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def create_app(
    router: Router,
    *,
    log: OutcomeLog | None = None,
    limits: Limits | None = None,
    token: str | None = None,
    prices: str | os.PathLike[str] | None = None,
    access_log: AccessLog | None = None,
    page: bool = False,
) -> FastAPI:
    """Make the ASGI application that `serve` runs, for use in any ASGI server.

    Args:
        router: The router that decides. The metrics observe it; the application never closes it.
        log: Outcome log for decisions and outcomes; without a log outcomes are refused.
        limits: Limits of requests; those of connections hold only where `serve` runs it.
        token: Token that callers must send as ``Authorization: Bearer``; None admits everyone.
        prices: File of prices (`hypernova.read_prices`) for requests without ``prices``. It is read
            again when the artifact is opened again.
        access_log: Log of requests, which the caller closes; None keeps none.
        page: Serve a page for people at ``/``. Its files are given to anyone; what they show is
            asked for with the token.

    Returns:
        An ASGI application.

    Raises:
        ValueError: The token is empty, only spaces, or not printable ASCII.
        HypernovaError: The embedder cannot be loaded; see `hypernova.Router.embedder`. Or the file
            of prices cannot be read.

    Example:
        >>> import hypernova
        >>> from hypernova.integrations.server import create_app
        >>> app = create_app(hypernova.Router.open())
        >>> sorted(app.openapi()["paths"])[-2:]
        ['/v1/route', '/v1/route/batch']
    """
    if token is not None and not is_token(token):
        raise ValueError("token must be printable ASCII, at least one visible character")
    token = token and token.strip()  # no header has spaces around its value
    limits = limits or Limits()
    service = Service(router, log, limits, None if prices is None else PriceFile(prices))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.recent.taking():
            yield
        service.close()
        if access_log is not None:
            access_log.flush()  # a worker ends without its caller

    app = FastAPI(
        title="hypernova",
        version=__version__,
        description="Decide which language model should answer a prompt.",
        lifespan=lifespan,
        docs_url=None,  # the page loads scripts from another host
        redoc_url=None,
        redirect_slashes=False,  # it would send callers to whatever host a request names
    )
    app.state.guarded = token is not None
    app.state.page = page
    app.state.service = service
    app.state.connections = Connections(
        limits,
        partial(_on_refusal, service.metrics, access_log),
        service.metrics.set_connections,
    )
    direct = {}
    for path, call, body, answer, statuses in (
        ("/v1/route", service.route, schemas.RouteRequest, schemas.DecisionResponse, (409,)),
        ("/v1/explain", service.explain, schemas.RouteRequest, ExplanationResponse, (409,)),
        (
            "/v1/route/batch",
            service.route_batch,
            schemas.BatchRequest,
            schemas.BatchResponse,
            (409,),
        ),
        (
            "/v1/outcomes",
            service.outcome,
            schemas.OutcomeRequest,
            schemas.OutcomeResponse,
            (409, 422),
        ),
    ):
        direct[path] = _endpoint(service, call)
        app.add_api_route(
            path,
            direct[path],
            methods=["POST"],
            name=path.rsplit("/", 1)[-1],
            summary=str(call.__doc__).split("\n", 1)[0],
            responses=_responses(answer, 400, 401, 408, 413, 415, 431, 503, *statuses),
            openapi_extra=_request_schema(body, idempotent=call == service.outcome),
        )
    app.add_api_route(
        "/v1/artifact", service.artifact, response_model=None, responses=_responses(
            schemas.ArtifactResponse, 400, 401, 408, 431, 503
        ),
    )  # fmt: skip
    app.add_api_route(
        "/v1/recent", service.recent_figures, name="recent", response_model=None,
        responses=_responses(RecentResponse, 400, 401, 408, 431, 503),
    )  # fmt: skip
    app.add_api_route(
        "/healthz",
        service.health,
        response_model=None,
        responses=_responses(schemas.HealthResponse, 400, 408, 431, 503),
    )
    app.add_api_route(
        "/livez",
        service.health,
        name="livez",
        summary="Return that the process answers",
        response_model=None,
        responses=_responses(schemas.HealthResponse, 400, 408, 431, 503),
    )
    app.add_api_route(
        "/readyz",
        service.ready,
        response_model=None,
        responses={
            **_responses(schemas.ReadyResponse, 400, 408, 431),
            503: {"model": schemas.ReadyResponse | schemas.ErrorResponse},
        },
    )
    app.add_api_route(
        "/metrics",
        service.scrape,
        response_model=None,
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {}}},
            **_responses(None, 400, 401, 408, 431, 503),
        },
    )
    app.add_exception_handler(HttpError, _on_http_error)
    app.add_exception_handler(HTTPException, _on_starlette_error)
    app.add_exception_handler(Exception, _on_unexpected_error)
    page_paths = add_page(app, guarded=token is not None) if page else frozenset()
    app.add_middleware(DirectMiddleware, endpoints=direct)
    app.add_middleware(
        AdmissionMiddleware,
        token=token,
        max_body_bytes=limits.max_body_bytes,
        open_paths=OPEN_PATHS | page_paths,
    )
    app.add_middleware(RequestMiddleware, metrics=service.metrics)
    if access_log is not None:
        access_log.on_lost = service.metrics.count_access_log_lost
        app.add_middleware(AccessMiddleware, log=access_log, token=token)
    app.add_middleware(RequestIdMiddleware)
    _describe(app, token is not None)
    return app


class Service:
    """The functions behind the paths."""

    def __init__(
        self, router: Router, log: OutcomeLog | None, limits: Limits, prices: PriceFile | None
    ) -> None:
        self.router = router
        self.prices = prices
        self.log = None if log is None else TimedLog(log)
        self.limits = limits
        self.metrics = Metrics()
        self.metrics.workers.set(1)
        self.metrics.set_artifact(router.artifact)
        self.recent = Recent(self.metrics.collect)
        self.readiness = Readiness(log=log is not None)
        self.outcomes = Outcomes(self.log, self.metrics.count_outcome, self.readiness.log_written)
        self.threads = RequestThreads(limits, self.metrics.in_flight)
        # In a worker the supervisor reads the prices and counts reloads, once for all.
        self.is_supervised = False
        self.inline_bytes = 0
        self._measure_embedder()
        self._stop_observing = router.observe(self._observed, on_reload=self._reloaded)

    def close(self) -> None:
        """End the threads, and observe the router no more."""
        self.threads.close()
        self._stop_observing()

    def be_supervised(self, slot: int) -> None:
        """Be one of several processes, which counts in a slot of the shared metrics."""
        self.is_supervised = True
        self.metrics.attach(slot)
        self.metrics.set_artifact(self.router.artifact)

    def _observed(self, observed: DecisionEvent) -> None:
        self.metrics.observe_timing(observed.embed_s, observed.decide_s)
        for decision in observed.decisions:
            self.metrics.count_decision(decision)
            self.metrics.count_shadow(decision)

    def _reloaded(self, reloaded: ReloadEvent) -> None:
        taken = reloaded.refused is None
        if not self.is_supervised:
            if self.prices is not None:
                self.prices.read_again()
            self.metrics.count_reload(taken=taken)
        if taken:
            self.metrics.set_artifact(self.router.artifact)
            self._measure_embedder()

    def _measure_embedder(self) -> None:
        embedder = self.router.embedder  # loaded here, so the first request does not wait
        took = min(_seconds_to_embed(embedder, INLINE_BYTES, i) for i in range(5))
        # A user's own embedder may wait for anything.
        may_inline = isinstance(embedder, Embedder)
        self.inline_bytes = INLINE_BYTES if may_inline and took < INLINE_S else 0

    def may_inline(self, body: bytes) -> bool:
        """Return whether a decision may be made on the event loop: it keeps no other waiting."""
        return len(body) <= self.inline_bytes and (self.log is None or self.log.is_quick())

    def route(self, body: bytes) -> object:
        """Choose a model for a prompt."""
        decision = self.router.route(**self._prompt(body))
        note_decisions([decision])
        self._write([decision])
        return decision.to_dict()

    def explain(self, body: bytes) -> object:
        """Explain the choice for a prompt; nothing is logged or counted as a decision."""
        return self.router.explain(**self._prompt(body)).to_dict()

    def _prompt(self, body: bytes) -> dict[str, Any]:
        asked = parse(schemas.RouteRequest, body)
        if (asked.text is None) == (asked.messages is None):
            raise HttpError(400, "bad_request", "send either text or messages")
        messages = None if asked.messages is None else [t.model_dump() for t in asked.messages]
        note_texts(lambda: prompt_turns(asked.text, messages))
        return {"text": asked.text, "messages": messages, **self._options(asked)}

    def route_batch(self, body: bytes) -> Iterator[object]:
        """Choose a model for each of many prompts."""
        asked = parse(schemas.BatchRequest, body)
        if len(asked.texts) > self.limits.max_batch:
            message = f"{len(asked.texts)} texts, at most {self.limits.max_batch} go in a batch"
            raise HttpError(413, "too_large", message)
        note_texts(lambda: asked.texts)
        batch = StepwiseBatch(self.router, asked.texts, self._options(asked))
        while batch.step():
            yield None
        decisions = batch.decide()
        note_decisions(decisions)
        self._write(decisions)
        yield {"decisions": [decision.to_dict() for decision in decisions]}

    def outcome(self, body: bytes, key_values: Sequence[str] = ()) -> object:
        """Write the outcome of a decision to the log."""
        return self.outcomes.record(body, key_values)

    def _options(self, asked: schemas.OptionsRequest) -> dict[str, Any]:
        options = asked.options()
        if self.prices is None:
            return options
        return self.prices.add_to(options, self.router.artifact)

    def _write(self, decisions: Sequence[Decision]) -> None:
        if self.log is None:
            return
        try:
            for decision in decisions:
                self.log.record_decision(decision)
            self.readiness.log_written(True)
        except OSError as error:
            # A full disk loses the record of a decision, not the decision.
            _log.error("request %s: a decision was not written: %s", current_request_id(), error)
            self.readiness.log_written(False)
            self.metrics.count_log_failure()

    async def artifact(self) -> Response:
        """Return the artifact in use."""
        artifact = self.router.artifact
        answer = {
            "sha256": artifact.sha256,
            "models": list(artifact.models),
            "default_model": artifact.default_model,
            "clusters": artifact.n_clusters,
            "groups": artifact.groups,
            "embedder": self.router.embedder.name,
            "policy": artifact.policy,
            "format": ".".join(map(str, artifact.version)),
            "version": __version__,
        }
        return Response(encode(answer), media_type=JSON_TYPE)

    async def recent_figures(self) -> Response:
        """Return the last hour's figures."""
        answer = encode(self.recent.figures())
        return Response(answer, media_type=JSON_TYPE, headers={"cache-control": "no-store"})

    async def health(self) -> Response:
        """Return that the server answers."""
        return Response(b'{"status":"ok"}', media_type=JSON_TYPE)

    async def ready(self) -> Response:
        """Return whether the server should get requests."""
        return self.readiness.response()

    async def scrape(self) -> Response:
        """Return the metrics for Prometheus."""
        return Response(self.metrics.exposition(), media_type=METRICS_TYPE)


def _seconds_to_embed(embedder: TextEmbedder, size: int, number: int) -> float:
    start = time.perf_counter()
    embedder.embed_one(f"{number} {'sort ' * (size // 5)}")
    return time.perf_counter() - start


def _endpoint(service: Service, call: Callable[[bytes], Any]) -> Callable[..., Any]:
    """Return an endpoint that reads the body and calls ``call`` with it in a thread.

    A small body with a fast embedder is answered on the event loop, where a thread would cost more
    than the work; a batch is processed in slices.
    """
    limits = service.limits

    def work(*arguments: Any) -> bytes:
        try:
            return encode(call(*arguments))
        except HypernovaError as error:
            if (http_error := http_error_of(error)) is None:
                raise
            raise http_error from error

    def slices(body: bytes) -> Iterator[bytes | None]:
        try:
            for found in call(body):
                yield None if found is None else encode(found)
        except HypernovaError as error:
            if (http_error := http_error_of(error)) is None:
                raise
            raise http_error from error

    async def endpoint(request: Request) -> Response:
        body = await read_body(request, max_bytes=limits.max_body_bytes, timeout_s=limits.timeout_s)
        if call == service.route and service.may_inline(body):
            return Response(work(body), media_type=JSON_TYPE)

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        if call == service.route_batch:
            answer = await service.threads.run_slices(slices(body), gone)
        elif call == service.outcome:
            keys = request.headers.getlist(idempotency.HEADER)
            answer = await service.threads.run(lambda: work(body, keys), gone)
        else:
            answer = await service.threads.run(lambda: work(body), gone)
        return Response(answer, media_type=JSON_TYPE)

    # FastAPI resolves the names of annotations in the function's module.
    endpoint.__annotations__ = {"request": Request}
    return endpoint


async def _on_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HttpError)
    _log.debug("%d %s: %s", error.status, error.code, error.message)
    return error.response()


async def _on_starlette_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"
    return HttpError(error.status_code, code, str(error.detail), headers).response()


async def _on_unexpected_error(request: Request, error: Exception) -> Response:
    # This answer does not pass through our middleware, so the id is added here.
    request_id = request.scope.get(REQUEST_ID, "-")
    _log.error("request %s failed", request_id, exc_info=error)
    headers = {request_ids.HEADER: request_id}
    return HttpError(500, "internal", "the server failed; its log says why", headers).response()


def _on_refusal(metrics: Metrics, access_log: AccessLog | None, error: HttpError) -> None:
    """Name, count and log a request that is refused before it reaches a path."""
    request_id = error.headers[request_ids.HEADER] = new_request_id()
    metrics.count_refusal(error.status)
    if access_log is not None:
        access_log.write(refused_entry(request_id, error.status, error.code))


def _request_schema(body: type[schemas.RequestBody], *, idempotent: bool) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    found = {"requestBody": {"required": True, "content": {JSON_TYPE: {"schema": schema}}}}
    return {**found, "parameters": [idempotency.PARAMETER]} if idempotent else found


def _responses(answer: type[Any] | None, *statuses: int) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {
        code: {"model": schemas.ErrorResponse} for code in statuses
    }
    return found if answer is None else {200: {"model": answer}, **found}


def _describe(app: FastAPI, token: bool) -> None:
    """Add to OpenAPI the bodies and the token, which FastAPI does not see."""
    document = app.openapi()
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components |= schemas.schemas(
        (schemas.RouteRequest, schemas.BatchRequest, schemas.OutcomeRequest)
    )
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                response["headers"] = request_ids.OPENAPI_HEADERS
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        for path in OPEN_PATHS:
            document["paths"][path]["get"]["security"] = []
