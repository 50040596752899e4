"""Decide over HTTP: what `hypernova serve` runs. The extra ``server``.

A module for each part: ``app`` has the paths, ``wire`` what requests and answers look like,
``gate`` tokens and the size of bodies, ``work`` threads and their limits, ``metrics`` what
Prometheus reads, ``faults`` the status of each error, ``run`` sockets and signals.
Not here: the decision, which is `hypernova.Router`'s; and calls of language models.
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
from hypernova.integrations.server.gate import is_token
from hypernova.integrations.server.run import serve
from hypernova.integrations.server.work import Limits

__all__ = ["Limits", "create_app", "is_token", "serve"]
