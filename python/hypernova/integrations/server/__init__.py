"""Decide over HTTP, as `hypernova serve` does: the extra ``server``.

- ``app``: the application: its paths, and how OpenAPI describes them.
- ``http``: requests and responses, from the connection to the threads that decide.
- ``metrics``: the figures for Prometheus, added up over all processes.
- ``page``: the page for people in a browser, and the answers that it asks for.
- ``price_file``: prices for requests that have none of their own.
- ``processes``: the socket, its one process or several, and their signals.
- ``readiness``: the answer to probes and load balancers.
- ``records``: the access log, and outcomes on their way to the outcome log.

Not here: the decision, which is `hypernova.Router`'s, and calls of language models.
"""

from hypernova.errors import MissingExtraError

try:
    import fastapi  # noqa: F401
    import prometheus_client  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        f'hypernova serve needs {error.name}: pip install "hypernova-router[server]"'
    ) from None

from hypernova.integrations.server.app import create_app
from hypernova.integrations.server.http.middleware import is_token
from hypernova.integrations.server.http.threads import Limits
from hypernova.integrations.server.processes.run import serve
from hypernova.integrations.server.records.access_log import AccessLog

__all__ = ["AccessLog", "Limits", "create_app", "is_token", "serve"]
