"""Tell the service manager how the server is, in systemd's protocol (``Type=notify``).

Not here: the unit (`examples/operate`).
"""

from __future__ import annotations

import contextlib
import os
import socket

VARIABLE = "NOTIFY_SOCKET"


def notify(state: str) -> None:
    """Send a state such as ``READY=1``; without a service manager that asks for it, do nothing.

    Source: the manual page sd_notify(3).
    """
    address = os.environ.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    # A manager that does not listen is no reason not to serve.
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
    ):
        out.sendto(state.encode("ascii"), address)
