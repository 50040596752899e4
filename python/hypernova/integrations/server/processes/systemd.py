"""Tell the service manager how the server is, in systemd's protocol (``Type=notify``).

Not here: the unit (`examples/operate`).
"""

from __future__ import annotations

import os

from hypernova.system import send_datagram

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
    send_datagram(address, state.encode("ascii"))
