"""Decide over HTTP, as `hypernova serve` does: the extra ``server``.

``app`` has the paths, ``schemas`` the requests and responses, ``bodies`` reads and writes them,
``middleware`` checks heads and counts requests, ``threads`` embed and decide within limits,
``price_file`` holds prices for requests without any, ``connection`` limits connections, ``metrics``
are for Prometheus and lie on the ``board`` that processes share, ``readiness`` is for probes,
``timed_log`` knows a log's pace, and ``http_errors`` gives each error its status. ``request_ids``
names requests, ``access_entries`` describes them and ``access_log`` writes that; ``outcomes``
records outcomes and ``idempotency`` knows those that come again. ``run`` handles the socket: one
process serves with ``http_server``, or a ``supervisor`` keeps several of ``worker``, which share
connections by ``accepting`` and hear of new artifacts by a ``channel``; ``systemd`` is told.
Not here: the decision, which is `hypernova.Router`'s, and calls of language models.
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

from hypernova.integrations.server.access_log import AccessLog
from hypernova.integrations.server.app import create_app
from hypernova.integrations.server.middleware import is_token
from hypernova.integrations.server.run import serve
from hypernova.integrations.server.threads import Limits

__all__ = ["AccessLog", "Limits", "create_app", "is_token", "serve"]
