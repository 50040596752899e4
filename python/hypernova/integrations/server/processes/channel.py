"""Messages between the supervisor and one worker, a line of JSON each.

The end of the channel says that the other process is gone, however it ended. Not here: what the
messages mean (`supervisor`, `worker`).
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

Message = dict[str, Any]


class Channel:
    """One end of a connected pair.

    Args:
        end: The socket of this end.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._begun = b""
        self._unsent = b""

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Make both ends of a channel."""
        one, other = socket.socketpair()
        return cls(one), cls(other)

    def fileno(self) -> int:
        """Return the file descriptor, to wait for."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send a message, without waiting: it goes with the next one if the buffer is full."""
        self._unsent += json.dumps(message).encode() + b"\n"
        # A process that is gone is noticed where its end is read.
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._unsent:
                sent = self._socket.send(self._unsent)
                self._unsent = self._unsent[sent:]

    def receive(self) -> tuple[list[Message], bool]:
        """Return the messages that have come, and whether the other end is closed."""
        closed = False
        try:
            while data := self._socket.recv(1 << 16):
                self._begun += data
            closed = True
        except BlockingIOError:
            pass
        except ConnectionError:
            closed = True
        *lines, self._begun = self._begun.split(b"\n")
        return [json.loads(line) for line in lines], closed

    def close(self) -> None:
        """Close this end in this process."""
        self._socket.close()
