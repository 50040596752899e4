"""Run the server: its socket, its processes or its one process, and its signals.

Not here: the application (`app`), and several processes (`supervisor`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from hypernova.embedder import Embedder
from hypernova.errors import HypernovaError
from hypernova.integrations.server.processes.http_server import HttpServer
from hypernova.signals import signals
from hypernova.system import can_fork, notify_service_manager

if TYPE_CHECKING:
    from fastapi import FastAPI

    from hypernova import Router

_log = logging.getLogger("hypernova.server")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    app: FastAPI,
    router: Router,
    *,
    host: str = "127.0.0.1",
    port: int = 8484,
    workers: int = 1,
    watch: bool = False,
    drain_s: float = 0.0,
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP opens the artifact's file again.

    On SIGTERM or SIGINT the server accepts no new request and gives running ones ten seconds. The
    `Limits` of the application bound heads, idle connections and the number of connections, which
    the number of files that the process may open bounds as well.

    Several workers are forked from this process, which then only watches over them: they share the
    artifact and the embedder in memory, each writes to the outcome log in files of its own, and
    ``/metrics`` adds up over all, those that ended included. A worker that ends is replaced. Limits
    hold for each worker.

    Args:
        app: The application of `create_app`.
        router: The router of that application.
        host: Address to listen at; the default is reachable from this machine alone.
        port: Port to listen at; 0 takes a free one, which is logged.
        workers: Processes that answer requests; with 1 this process does. No thread may run yet
            if there are more, and the router may have no watch.
        watch: With several workers, look at the artifact's file and let all take a new one. One
            worker's router looks itself, see `hypernova.Router.open`.
        drain_s: Seconds between the signal and the end of the server. Meanwhile it answers, and
            ``/readyz`` says 503, so that a load balancer sends its requests elsewhere.

    Raises:
        OSError: The address is in use or not an address of this machine.
        HypernovaError: There can be no workers here, or none can start.

    Example:
        >>> serve(create_app(router), router, port=8484)  # doctest: +SKIP
    """
    if workers > 1:
        _check_can_fork(router)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        # The number of an error in a name, such as a host that does not exist, is no system's.
        in_name = error.errno is not None and error.errno < 0
        text = str(error.strerror or error).partition(" (while")[0]
        why = text if in_name or not error.errno else os.strerror(error.errno)
        raise OSError(f"cannot listen at {host} port {port}: {why}") from None
    if not app.state.guarded and host not in LOOPBACK:
        _log.warning("listening at %s without a token: anyone who reaches it may use it", host)
    url = f"http://[{host}]" if ":" in host else f"http://{host}"

    def serving() -> None:
        several = f"{workers} workers " if workers > 1 else ""
        if app.state.page:
            _log.info("the page is at %s:%d/", url, listening.getsockname()[1])
        _log.info("%sserving at %s:%d", several, url, listening.getsockname()[1])
        notify_service_manager("READY=1")

    # uvicorn raises a caught signal again when it ends: that would end the process before the
    # caller cleans up.
    gc.collect()
    # No collection looks at what is loaded: it would take milliseconds, and in a worker copy pages.
    gc.freeze()
    ending = signals(["SIGINT", "SIGTERM", "SIGBREAK"])
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in ending}
    try:
        with listening:
            if workers > 1:
                _supervise(
                    *(app, router, listening),
                    workers=workers,
                    watch=watch,
                    drain_s=drain_s,
                    serving=serving,
                )
            else:
                server = HttpServer(app, drain_s=drain_s)
                server.on_started, server.on_ending = (
                    serving,
                    partial(notify_service_manager, "STOPPING=1"),
                )
                loop_factory = server.config.get_loop_factory()
                with asyncio.Runner(loop_factory=loop_factory) as runner:
                    runner.run(_run(server, router, listening))
        _log.info("stopped")
    finally:
        gc.unfreeze()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _check_can_fork(router: Router) -> None:
    if not can_fork():
        raise HypernovaError("several workers need a system that forks, such as Linux; start one")
    embedder = router.embedder
    if isinstance(embedder, Embedder) and embedder.device == "cuda":
        raise HypernovaError(
            "several workers cannot share a GPU's memory; start one, or embed on the CPU"
        )


def _supervise(*served: Any, **options: Any) -> None:
    if sys.platform != "win32":  # where `_check_can_fork` has raised, and this cannot be imported
        from hypernova.integrations.server.processes.supervisor import Supervisor

        Supervisor(*served, **options).run()


async def _run(server: HttpServer, router: Router, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        task = loop.create_task(reload(router))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in signals(["SIGHUP"]):
        loop.add_signal_handler(number, on_hangup)
    await server.serve(sockets=[listening])


async def reload(router: Router) -> None:
    """Open the artifact's file again; a refused file is logged, and the old artifact stays."""
    with contextlib.suppress(HypernovaError):
        await asyncio.to_thread(router.reload)
