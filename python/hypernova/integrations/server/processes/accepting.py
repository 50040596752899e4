"""Accept connections from a socket that several processes share, so that each gets its share.

All processes wait at one listening socket: a connection that nobody has accepted yet is lost with
none of them, as one in a process's own queue (``SO_REUSEPORT``) would be, and two servers cannot
take one port by mistake. But the process that wakes first takes more: of 16 connections two took 5
and 11. So a process that holds more than another one leaves it the turn, and they take 8 and 8.
Not here: what a connection does (`http.connection`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypernova.integrations.server.metrics.board import Board

_log = logging.getLogger("hypernova.server")
# For a process with fewer connections to accept one; a process that stands still does not.
GIVE_WAY_S = 2e-3
# After an error that will last, such as too many open files.
PAUSE_S = 0.5


class Acceptor:
    """Accepts connections of one process.

    Args:
        listening: The socket, which other processes accept from, too.
        make_protocol: Makes the protocol of a connection.
        board: Shows how many connections each process holds.
    """

    def __init__(
        self, listening: socket.socket, make_protocol: Callable[[], asyncio.Protocol], board: Board
    ) -> None:
        self._loop = asyncio.get_running_loop()
        listening.setblocking(False)
        self._listening = listening
        self._make_protocol = make_protocol
        self._board = board
        self._adopting: asyncio.Task[None] | None = None
        self._gave_way = self._closed = False
        self._resume()
        board.set_accepting(True)

    def close(self) -> None:
        """Accept no more, and leave the socket to the other processes."""
        self._closed = True
        self._board.set_accepting(False)
        self._loop.remove_reader(self._listening.fileno())

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listening.fileno(), self._on_connection)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._loop.call_later(seconds, self._resume)

    def _on_connection(self) -> None:
        if self._adopting is not None:
            return  # it is not on the board yet
        if not (self._gave_way or self._board.holds_fewest()):
            self._gave_way = True
            self._pause(GIVE_WAY_S)
            return
        self._gave_way = False
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another process was quicker
            return
        except OSError as error:
            _log.error("cannot accept a connection now: %s", error)
            self._pause(PAUSE_S)
            return
        self._adopting = self._loop.create_task(self._adopt(connection))

    async def _adopt(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:  # the client has gone already
            connection.close()
        finally:
            self._adopting = None
