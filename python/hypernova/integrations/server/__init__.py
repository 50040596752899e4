"""Decide over HTTP, as `hypernova serve` does: the extra ``server``.

``app`` has the paths, ``schemas`` the requests and responses, ``bodies`` reads and writes them,
``middleware`` checks heads and counts requests, ``workers`` are the threads and their limits,
``price_file`` holds prices for requests without any, ``connection`` limits connections,
``metrics`` are for Prometheus, ``http_errors`` gives each error
its status, ``page`` is for people in a browser, and ``run`` handles socket and signals. Not here:
the decision, which is `hypernova.Router`'s, and calls of language models.
"""

from hypernova.errors import MissingExtraError

try:
    import fastapi  # noqa: F401
    import prometheus_client  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        f"hypernova serve needs {error.name}: pip install 'hypernova-router[server]'"
    ) from None

from hypernova.integrations.server.app import create_app
from hypernova.integrations.server.middleware import is_token
from hypernova.integrations.server.run import serve
from hypernova.integrations.server.workers import Limits

__all__ = ["Limits", "create_app", "is_token", "serve"]
