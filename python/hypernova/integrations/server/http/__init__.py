"""Requests and responses: how they arrive, what they may hold, and how each is answered.

- ``bodies``: reads request bodies within limits of size and time, and writes response bodies.
- ``connection``: limits on heads, idle time and number of connections.
- ``errors``: the status and the stable code of each error.
- ``middleware``: checks heads and counts requests.
- ``request_ids``: the name of a request, in its answer and its records.
- ``schemas``: the models of requests and responses.
- ``threads``: threads that decide, and the limits on requests that wait for them.

Not here: the paths (`app`), and the process around them (`processes`).
"""
