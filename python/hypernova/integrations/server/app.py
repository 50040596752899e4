"""The paths of the server. Not here: sockets and signals, which are in ``run``."""

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
from hypernova.integrations.server import wire
from hypernova.integrations.server.connection import Connections
from hypernova.integrations.server.edge import Edge
from hypernova.integrations.server.faults import FaultError, fault_of
from hypernova.integrations.server.gate import Gate, is_token, read_body
from hypernova.integrations.server.metrics import Metrics
from hypernova.integrations.server.work import Limits, Workers
from hypernova.router.batch import Batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from hypernova import Decision, OutcomeLog, Router
    from hypernova.embedder import TextEmbedder
    from hypernova.events import Observed, Reloaded

_log = logging.getLogger("hypernova.server")
JSON = "application/json"
# A body so small, embedded in so little time, is answered on the event loop: at 500 requests a
# second a thread adds 0.36 ms of processor time to each, more than the decision itself takes.
QUICK_BYTES = 1024
QUICK_S = 0.5e-3
METRICS = "text/plain; version=0.0.4; charset=utf-8"


def create_app(
    router: Router,
    *,
    log: OutcomeLog | None = None,
    limits: Limits | None = None,
    token: str | None = None,
) -> FastAPI:
    """Make the application that `serve` runs, for a server of one's own.

    Args:
        router: What decides. It is observed for the metrics, and not closed.
        log: Where decisions and outcomes are written; without it outcomes are refused.
        limits: See `Limits`. Those of connections hold where `serve` runs the application.
        token: What callers must send as ``Authorization: Bearer``; None lets everyone in.

    Returns:
        An ASGI application.

    Raises:
        ValueError: The token is empty or not printable ASCII.
        HypernovaError: The embedder cannot be loaded, as `hypernova.Router.embedder` has it.

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
    service = _Service(router, log, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="hypernova",
        version=__version__,
        description="Decide which language model should answer a prompt.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.guarded = token is not None
    app.state.connections = Connections(limits, service.metrics.refused)
    for path, call, body, answer, statuses in (
        ("/v1/route", service.route, wire.RouteBody, wire.Answer, (409,)),
        ("/v1/route/batch", service.route_batch, wire.BatchBody, wire.BatchAnswer, (409,)),
        ("/v1/outcomes", service.outcome, wire.OutcomeBody, wire.OutcomeAnswer, (409,)),
    ):
        app.add_api_route(
            path,
            _endpoint(service, call),
            methods=["POST"],
            name=path.rsplit("/", 1)[-1],
            summary=str(call.__doc__).split("\n", 1)[0],
            responses=_responses(answer, 400, 401, 408, 413, 415, 431, 503, *statuses),
            openapi_extra=_takes(body),
        )
    app.add_api_route(
        "/v1/artifact", service.artifact, response_model=None, responses=_responses(
            wire.ArtifactAnswer, 400, 401, 408, 431, 503
        ),
    )  # fmt: skip
    app.add_api_route(
        "/healthz",
        service.health,
        response_model=None,
        responses=_responses(wire.HealthAnswer, 400, 408, 431, 503),
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
    app.add_exception_handler(FaultError, _fault)
    app.add_exception_handler(HTTPException, _http_fault)
    app.add_exception_handler(Exception, _internal)
    app.add_middleware(Gate, token=token, max_body_bytes=limits.max_body_bytes)
    app.add_middleware(Edge, metrics=service.metrics)
    _describe(app, token is not None)
    return app


class _Service:
    """What the paths do."""

    def __init__(self, router: Router, log: OutcomeLog | None, limits: Limits) -> None:
        self.router = router
        self.log = log
        self.limits = limits
        self.workers = Workers(limits)
        self.metrics = Metrics()
        self.metrics.in_flight.set_function(lambda: self.workers.in_flight)
        self.quick_bytes = 0
        self._look_at_embedder()
        self._forget = router.observe(self._observed, on_reload=self._reloaded)

    def close(self) -> None:
        self.workers.close()
        self._forget()

    def _observed(self, observed: Observed) -> None:
        self.metrics.took(observed.embed_s, observed.decide_s)
        for decision in observed.decisions:
            self.metrics.decided(decision)

    def _reloaded(self, reloaded: Reloaded) -> None:
        taken = reloaded.refused is None
        self.metrics.reloaded(taken=taken)
        if taken:
            self._look_at_embedder()

    def _look_at_embedder(self) -> None:
        embedder = self.router.embedder  # loaded now: the first request does not wait for it
        took = min(_seconds(embedder, QUICK_BYTES, i) for i in range(5))
        # A file's writes may wait for a disk, and a function of the user's for anything.
        known = isinstance(embedder, Embedder) and self.log is None
        self.quick_bytes = QUICK_BYTES if known and took < QUICK_S else 0

    def route(self, body: bytes) -> object:
        """Decide which model should answer a prompt."""
        asked = wire.parse(wire.RouteBody, body)
        if (asked.text is None) == (asked.messages is None):
            raise FaultError(400, "bad_request", "send either text or messages")
        messages = None if asked.messages is None else [t.model_dump() for t in asked.messages]
        decision = self.router.route(asked.text, messages=messages, **asked.options())
        self._write([decision])
        return decision.to_dict()

    def route_batch(self, body: bytes) -> Iterator[object]:
        """Decide for each of many prompts."""
        asked = wire.parse(wire.BatchBody, body)
        if len(asked.texts) > self.limits.max_batch:
            message = f"{len(asked.texts)} texts, at most {self.limits.max_batch} go in a batch"
            raise FaultError(413, "too_large", message)
        batch = Batch(self.router, asked.texts, asked.options())
        while batch.step():
            yield None
        decisions = batch.decide()
        self._write(decisions)
        yield {"decisions": [decision.to_dict() for decision in decisions]}

    def outcome(self, body: bytes) -> object:
        """Write to the log how a decision turned out."""
        found = wire.parse(wire.OutcomeBody, body)
        if self.log is None:
            raise FaultError(409, "no_log", "start the server with --log FOLDER to keep outcomes")
        try:
            self.log.record_outcome(
                found.id,
                found.score,
                model=found.model,
                cost_usd=found.cost_usd,
                latency_s=found.latency_s,
            )
        except OSError as error:
            _log.error("an outcome was not written: %s", error)
            message = "the outcome was not written, see the server's log: send it again later"
            raise FaultError(503, "log_failed", message, {"retry-after": "1"}) from None
        return {"id": found.id, "recorded": True}

    def _write(self, decisions: Sequence[Decision]) -> None:
        if self.log is None:
            return
        try:
            for decision in decisions:
                self.log.record_decision(decision)
        except OSError as error:
            # A full disk costs what could be learned of a decision, not the decision.
            _log.error("a decision was not written: %s", error)
            self.metrics.log_failed()

    async def artifact(self) -> Response:
        """What decides."""
        artifact = self.router.artifact
        answer = {
            "sha256": artifact.sha256,
            "models": list(artifact.models),
            "default_model": artifact.default_model,
            "clusters": artifact.n_clusters,
            "embedder": self.router.embedder.name,
            "policy": artifact.policy,
            "format": ".".join(map(str, artifact.version)),
            "version": __version__,
        }
        return Response(wire.encode(answer), media_type=JSON)

    async def health(self) -> Response:
        """Whether the server answers."""
        return Response(b'{"status":"ok"}', media_type=JSON)

    async def scrape(self) -> Response:
        """What Prometheus reads."""
        return Response(self.metrics.text(), media_type=METRICS)


def _seconds(embedder: TextEmbedder, size: int, number: int) -> float:
    start = time.perf_counter()
    embedder.embed_one(f"{number} {'sort ' * (size // 5)}")
    return time.perf_counter() - start


def _endpoint(service: _Service, call: Callable[[bytes], Any]) -> Callable[..., Any]:
    """Read the body, and do the rest in a thread: parsing a large body takes its time, too.

    What takes less than handing it to a thread and back is done at once; what takes long, in
    slices.
    """
    limits = service.limits

    def work(body: bytes) -> bytes:
        try:
            return wire.encode(call(body))
        except HypernovaError as error:
            if (fault := fault_of(error)) is None:
                raise
            raise fault from error

    def slices(body: bytes) -> Iterator[bytes | None]:
        try:
            for found in call(body):
                yield None if found is None else wire.encode(found)
        except HypernovaError as error:
            if (fault := fault_of(error)) is None:
                raise
            raise fault from error

    async def endpoint(request: Request) -> Response:
        body = await read_body(request, most=limits.max_body_bytes, seconds=limits.timeout_s)
        if call == service.route and len(body) <= service.quick_bytes:
            return Response(work(body), media_type=JSON)

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        if call == service.route_batch:
            answer = await service.workers.run_slices(slices(body), gone)
        else:
            answer = await service.workers.run(lambda: work(body), gone)
        return Response(answer, media_type=JSON)

    # FastAPI resolves the names of annotations in the function's module.
    endpoint.__annotations__ = {"request": Request}
    return endpoint


async def _fault(_: Request, error: Exception) -> Response:
    assert isinstance(error, FaultError)
    _log.debug("%d %s: %s", error.status, error.code, error.message)
    return error.response()


async def _http_fault(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"
    return FaultError(error.status_code, code, str(error.detail), headers).response()


async def _internal(_: Request, error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return FaultError(500, "internal", "the server failed; its log says why").response()


def _takes(body: type[wire.Strict]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def _responses(answer: type[Any] | None, *faults: int) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {code: {"model": wire.Fault} for code in faults}
    return found if answer is None else {200: {"model": answer}, **found}


def _describe(app: FastAPI, token: bool) -> None:
    """Add to OpenAPI what FastAPI cannot know: bodies are read by us, and tokens checked."""
    document = app.openapi()
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components |= wire.schemas((wire.RouteBody, wire.BatchBody, wire.OutcomeBody))
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        document["paths"]["/healthz"]["get"]["security"] = []
