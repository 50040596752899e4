"""The application: its paths, and how OpenAPI describes them.

Not here: sockets and signals (`run`), and the form of requests and responses (`schemas`).
"""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from hypernova._core import __version__
from hypernova.embedder import Embedder
from hypernova.errors import HypernovaError
from hypernova.integrations.server import schemas
from hypernova.integrations.server.bodies import encode, parse, read_body
from hypernova.integrations.server.connection import Connections
from hypernova.integrations.server.http_errors import HttpError, http_error_of
from hypernova.integrations.server.metrics import Metrics
from hypernova.integrations.server.middleware import (
    AdmissionMiddleware,
    RequestMiddleware,
    is_token,
)
from hypernova.integrations.server.price_file import PriceFile
from hypernova.integrations.server.workers import Limits, Workers
from hypernova.router.batch import StepwiseBatch

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from hypernova import Decision, OutcomeLog, Router
    from hypernova.embedder import TextEmbedder
    from hypernova.events import DecisionEvent, ReloadEvent

_log = logging.getLogger("hypernova.server")
JSON_TYPE = "application/json"
# A body up to this size, with an embedder this fast, is answered on the event loop: at 500 requests
# a second a thread adds 0.36 ms of processor time to each, more than the decision itself takes.
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
) -> FastAPI:
    """Make the ASGI application that `serve` runs, for use in any ASGI server.

    Args:
        router: The router that decides. The metrics observe it; the application never closes it.
        log: Outcome log for decisions and outcomes; without a log outcomes are refused.
        limits: Limits of requests; those of connections hold only where `serve` runs it.
        token: Token that callers must send as ``Authorization: Bearer``; None admits everyone.
        prices: File of prices (`hypernova.read_prices`) for requests without ``prices``. It is read
            again when the artifact is opened again.

    Returns:
        An ASGI application.

    Raises:
        ValueError: The token is empty or not printable ASCII.
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
        raise ValueError("token must be printable ASCII, at least one character")
    limits = limits or Limits()
    service = _Service(router, log, limits, None if prices is None else PriceFile(prices))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="hypernova",
        version=__version__,
        description="Decide which language model should answer a prompt.",
        lifespan=lifespan,
        docs_url=None,  # the page loads scripts from another host
        redoc_url=None,
    )
    app.state.guarded = token is not None
    app.state.connections = Connections(limits, service.metrics.count_refusal)
    for path, call, body, answer, statuses in (
        ("/v1/route", service.route, schemas.RouteRequest, schemas.DecisionResponse, (409,)),
        (
            "/v1/route/batch",
            service.route_batch,
            schemas.BatchRequest,
            schemas.BatchResponse,
            (409,),
        ),
        ("/v1/outcomes", service.outcome, schemas.OutcomeRequest, schemas.OutcomeResponse, (409,)),
    ):
        app.add_api_route(
            path,
            _endpoint(service, call),
            methods=["POST"],
            name=path.rsplit("/", 1)[-1],
            summary=str(call.__doc__).split("\n", 1)[0],
            responses=_responses(answer, 400, 401, 408, 413, 415, 431, 503, *statuses),
            openapi_extra=_request_schema(body),
        )
    app.add_api_route(
        "/v1/artifact", service.artifact, response_model=None, responses=_responses(
            schemas.ArtifactResponse, 400, 401, 408, 431, 503
        ),
    )  # fmt: skip
    app.add_api_route(
        "/healthz",
        service.health,
        response_model=None,
        responses=_responses(schemas.HealthResponse, 400, 408, 431, 503),
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
    app.add_middleware(AdmissionMiddleware, token=token, max_body_bytes=limits.max_body_bytes)
    app.add_middleware(RequestMiddleware, metrics=service.metrics)
    _describe(app, token is not None)
    return app


class _Service:
    """The functions behind the paths."""

    def __init__(
        self, router: Router, log: OutcomeLog | None, limits: Limits, prices: PriceFile | None
    ) -> None:
        self.router = router
        self.prices = prices
        self.log = log
        self.limits = limits
        self.workers = Workers(limits)
        self.metrics = Metrics()
        self.metrics.in_flight.set_function(lambda: self.workers.in_flight)
        self.inline_bytes = 0
        self._measure_embedder()
        self._stop_observing = router.observe(self._observed, on_reload=self._reloaded)

    def close(self) -> None:
        self.workers.close()
        self._stop_observing()

    def _observed(self, observed: DecisionEvent) -> None:
        self.metrics.observe_timing(observed.embed_s, observed.decide_s)
        for decision in observed.decisions:
            self.metrics.count_decision(decision)
            self.metrics.count_shadow(decision)

    def _reloaded(self, reloaded: ReloadEvent) -> None:
        if self.prices is not None:
            self.prices.read_again()
        taken = reloaded.refused is None
        self.metrics.count_reload(taken=taken)
        if taken:
            self._measure_embedder()

    def _measure_embedder(self) -> None:
        embedder = self.router.embedder  # loaded here, so the first request does not wait
        took = min(_seconds_to_embed(embedder, INLINE_BYTES, i) for i in range(5))
        # Writing a log may wait for a disk, and a user's own embedder for anything.
        may_inline = isinstance(embedder, Embedder) and self.log is None
        self.inline_bytes = INLINE_BYTES if may_inline and took < INLINE_S else 0

    def route(self, body: bytes) -> object:
        """Choose a model for a prompt."""
        asked = parse(schemas.RouteRequest, body)
        if (asked.text is None) == (asked.messages is None):
            raise HttpError(400, "bad_request", "send either text or messages")
        messages = None if asked.messages is None else [t.model_dump() for t in asked.messages]
        decision = self.router.route(asked.text, messages=messages, **self._options(asked))
        self._write([decision])
        return decision.to_dict()

    def route_batch(self, body: bytes) -> Iterator[object]:
        """Choose a model for each of many prompts."""
        asked = parse(schemas.BatchRequest, body)
        if len(asked.texts) > self.limits.max_batch:
            message = f"{len(asked.texts)} texts, at most {self.limits.max_batch} go in a batch"
            raise HttpError(413, "too_large", message)
        batch = StepwiseBatch(self.router, asked.texts, self._options(asked))
        while batch.step():
            yield None
        decisions = batch.decide()
        self._write(decisions)
        yield {"decisions": [decision.to_dict() for decision in decisions]}

    def outcome(self, body: bytes) -> object:
        """Write the outcome of a decision to the log."""
        found = parse(schemas.OutcomeRequest, body)
        if self.log is None:
            raise HttpError(409, "no_log", "start the server with --log FOLDER to keep outcomes")
        try:
            self.log.record_outcome(
                found.id,
                found.score,
                failed=found.failed,
                model=found.model,
                cost_usd=found.cost_usd,
                latency_s=found.latency_s,
                input_tokens=found.input_tokens,
                output_tokens=found.output_tokens,
            )
        except OSError as error:
            _log.error("an outcome was not written: %s", error)
            message = "the outcome was not written, see the server's log: send it again later"
            raise HttpError(503, "log_failed", message, {"retry-after": "1"}) from None
        return {"id": found.id, "recorded": True}

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
        except OSError as error:
            # A full disk loses the record of a decision, not the decision.
            _log.error("a decision was not written: %s", error)
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

    async def health(self) -> Response:
        """Return that the server answers."""
        return Response(b'{"status":"ok"}', media_type=JSON_TYPE)

    async def scrape(self) -> Response:
        """Return the metrics for Prometheus."""
        return Response(self.metrics.exposition(), media_type=METRICS_TYPE)


def _seconds_to_embed(embedder: TextEmbedder, size: int, number: int) -> float:
    start = time.perf_counter()
    embedder.embed_one(f"{number} {'sort ' * (size // 5)}")
    return time.perf_counter() - start


def _endpoint(service: _Service, call: Callable[[bytes], Any]) -> Callable[..., Any]:
    """Return an endpoint that reads the body and calls ``call`` with it in a thread.

    A small body with a fast embedder is answered on the event loop, where a thread would cost more
    than the work; a batch is processed in slices.
    """
    limits = service.limits

    def work(body: bytes) -> bytes:
        try:
            return encode(call(body))
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
        if call == service.route and len(body) <= service.inline_bytes:
            return Response(work(body), media_type=JSON_TYPE)

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        if call == service.route_batch:
            answer = await service.workers.run_slices(slices(body), gone)
        else:
            answer = await service.workers.run(lambda: work(body), gone)
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


async def _on_unexpected_error(_: Request, error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return HttpError(500, "internal", "the server failed; its log says why").response()


def _request_schema(body: type[schemas.RequestBody]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {"requestBody": {"required": True, "content": {JSON_TYPE: {"schema": schema}}}}


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
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        document["paths"]["/healthz"]["get"]["security"] = []
