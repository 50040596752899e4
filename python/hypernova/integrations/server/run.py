"""Sockets, signals and the life of the server. Not here: what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import uvicorn

from hypernova.errors import HypernovaError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from hypernova import Router
    from hypernova.integrations.server.connection import Connections

_log = logging.getLogger("hypernova.server")
GRACE_S = 10
# Files that are open besides connections: libraries, the log, the artifact, the loop's own.
OTHER_FILES = 64
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(app: FastAPI, router: Router, *, host: str = "127.0.0.1", port: int = 8484) -> None:
    """Answer until SIGTERM or SIGINT; SIGHUP opens the artifact's file again.

    At the end no new request is taken, and those that run have ten seconds. Heads, idle
    connections and their number are bounded by the `Limits` that the application was made with;
    the number also by the files that the process may open.

    Args:
        app: Of `create_app`.
        router: The one that it was made with.
        host: Address to listen at; by default this machine alone can reach it.
        port: 0 for one that is free; what it is gets logged.

    Raises:
        OSError: The address is in use or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise OSError(f"cannot listen at {host} port {port}: {why}") from None
    if not app.state.guarded and host not in LOOPBACK:
        _log.warning("listening at %s without a token: whoever reaches it may ask", host)
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        http=_within_files(app.state.connections).protocol(),
        ws="none",
        proxy_headers=False,
        lifespan="on",
    )
    # At its end uvicorn raises again what it caught, which would end us before our callers can.
    endings = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with listening, asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_run(uvicorn.Server(config), router, listening, shown))
    finally:
        for number, handler in endings.items():
            signal.signal(number, handler)


def _within_files(connections: Connections) -> Connections:
    """Bound the number of connections by that of files which the process may open."""
    try:
        import resource
    except ImportError:  # where there is no such limit
        return connections
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(1, files - OTHER_FILES)
    if files != resource.RLIM_INFINITY and most < connections.limits.max_connections:
        _log.warning("at most %d connections: the process may open %d files", most, files)
        connections.limits = replace(connections.limits, max_connections=most)
    return connections


async def _run(
    server: uvicorn.Server, router: Router, listening: socket.socket, shown: str
) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def hang_up() -> None:
        task = loop.create_task(reload(router))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    with contextlib.suppress(NotImplementedError, AttributeError):  # where there is no SIGHUP
        loop.add_signal_handler(signal.SIGHUP, hang_up)
    _log.info("serving at http://%s:%d", shown, listening.getsockname()[1])
    await server.serve(sockets=[listening])
    _log.info("stopped")


async def reload(router: Router) -> None:
    """Open the artifact's file again; if it is refused, which is logged, the old one goes on."""
    with contextlib.suppress(HypernovaError):
        await asyncio.to_thread(router.reload)
