"""The server as one process or several: its socket, its signals, and its end.

- ``run``: opens the socket and serves, with one process or with a supervisor.
- ``http_server``: uvicorn as this server runs it.
- ``supervisor``: starts workers, replaces one that ends, lets all reload, ends all.
- ``worker``: one of the processes that answer requests at a port.
- ``channel``: messages between the supervisor and one worker.
- ``accepting``: how processes share the connections of a socket.

Not here: the application that they serve (`app`).
"""
