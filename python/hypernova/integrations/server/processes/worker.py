"""A worker: one of the processes that answer requests at a port.

It is forked from the supervisor with the artifact, the embedder and the application in its memory,
which it shares until it writes to it. Not here: when a worker starts and ends (`supervisor`), and
single processes (`run`).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from hypernova.errors import HypernovaError

if TYPE_CHECKING:
    import socket

    from hypernova import Router
    from hypernova.integrations.server.app import Service
    from hypernova.integrations.server.processes.channel import Channel, Message
    from hypernova.integrations.server.processes.http_server import WorkerServer

_log = logging.getLogger("hypernova.server")


class Worker:
    """The work of a forked process, until it ends.

    Args:
        server: The server, made before the fork.
        service: The functions behind its paths.
        router: The router that decides.
        channel: Leads to the supervisor; its end ends the worker.
    """

    def __init__(
        self, server: WorkerServer, service: Service, router: Router, channel: Channel
    ) -> None:
        self._server = server
        self._service = service
        self._router = router
        self._channel = channel
        self._orders: asyncio.Queue[Message] = asyncio.Queue()

    def run(self, listening: socket.socket, slot: int) -> None:
        """Answer requests until SIGTERM, or until the supervisor is gone.

        Args:
            listening: The socket to accept connections from.
            slot: The slot of shared memory to count in.
        """
        self._service.be_supervised(slot)
        loop_factory = self._server.config.get_loop_factory()
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(self._serve(listening))

    async def _serve(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._on_message)
        self._server.on_started = lambda: self._channel.send({"ready": True})
        following = loop.create_task(self._follow())
        try:
            await self._server.serve_shared(listening)
        finally:
            following.cancel()

    def _on_message(self) -> None:
        messages, closed = self._channel.receive()
        for message in messages:
            if "end" in message:  # another worker has its place
                self._server.should_exit = True
            else:
                self._orders.put_nowait(message)
        if closed:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._server.handle_exit(signal.SIGTERM, None)

    async def _follow(self) -> None:
        """Take each artifact and its prices, as the supervisor has taken them."""
        while True:
            order = await self._orders.get()
            prices = order["prices"]
            if prices is not None and self._service.prices is not None:
                self._service.prices.replace(
                    {m: tuple(p) if isinstance(p, list) else p for m, p in prices.items()}
                )
            sha256: str = order["sha256"]
            try:
                taken = await asyncio.to_thread(self._take, order["path"], sha256)
            except Exception:  # the supervisor replaces this process by one that has it
                _log.exception("a worker cannot take the artifact %.12s", sha256)
                taken = False
            self._channel.send({"artifact": sha256, "taken": taken})

    def _take(self, path: str | None, sha256: str) -> bool:
        """Take the file if it still is the one that the supervisor checked."""
        if self._router.artifact.sha256 == sha256:
            return True
        if path is None:
            return False
        try:
            artifact = self._router._open_artifact(Path(path))
            if artifact.sha256 != sha256:
                return False
            self._router._take(lambda: artifact)
        except HypernovaError:
            return False
        return True
