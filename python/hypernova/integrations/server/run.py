"""Run the server: its socket, its signals, and its end.

Not here: the application (`app`).
"""

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
# Open files besides connections: libraries, the log, the artifact, those of the event loop.
OTHER_FILES = 64
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(app: FastAPI, router: Router, *, host: str = "127.0.0.1", port: int = 8484) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP opens the artifact's file again.

    On SIGTERM or SIGINT the server accepts no new request and gives running ones ten seconds. The
    `Limits` of the application bound heads, idle connections and the number of connections, which
    the number of files that the process may open bounds as well.

    Args:
        app: The application of `create_app`.
        router: The router of that application.
        host: Address to listen at; the default is reachable from this machine alone.
        port: Port to listen at; 0 takes a free one, which is logged.

    Raises:
        OSError: The address is in use or not an address of this machine.

    Example:
        >>> serve(create_app(router), router, port=8484)  # doctest: +SKIP
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise OSError(f"cannot listen at {host} port {port}: {why}") from None
    if not app.state.guarded and host not in LOOPBACK:
        _log.warning("listening at %s without a token: anyone who reaches it may use it", host)
    shown = f"[{host}]" if ":" in host else host
    if app.state.page:
        _log.info("the page is at http://%s:%d/", shown, listening.getsockname()[1])
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        http=_limit_by_open_files(app.state.connections).protocol(),
        ws="none",
        proxy_headers=False,
        lifespan="on",
    )
    # uvicorn raises a caught signal again when it ends: that would end the process before the
    # caller cleans up.
    handlers = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with listening, asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_run(uvicorn.Server(config), router, listening, shown))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _limit_by_open_files(connections: Connections) -> Connections:
    """Bound the number of connections by the number of files that the process may open."""
    try:
        import resource
    except ImportError:  # a platform without such a limit
        return connections
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = max(1, files - OTHER_FILES)
    if files != resource.RLIM_INFINITY and allowed < connections.limits.max_connections:
        _log.warning("at most %d connections: the process may open %d files", allowed, files)
        connections.limits = replace(connections.limits, max_connections=allowed)
    return connections


async def _run(
    server: uvicorn.Server, router: Router, listening: socket.socket, shown: str
) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        task = loop.create_task(reload(router))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    with contextlib.suppress(NotImplementedError, AttributeError):  # a platform without SIGHUP
        loop.add_signal_handler(signal.SIGHUP, on_hangup)
    _log.info("serving at http://%s:%d", shown, listening.getsockname()[1])
    await server.serve(sockets=[listening])
    _log.info("stopped")


async def reload(router: Router) -> None:
    """Open the artifact's file again; a refused file is logged, and the old artifact stays."""
    with contextlib.suppress(HypernovaError):
        await asyncio.to_thread(router.reload)
