"""Route a prompt to the language model most likely to solve it.

Not here: calls of language models, keys, or traffic; hypernova only decides.

    >>> import hypernova
    >>> router = hypernova.Router.open()  # the bundled artifact
    >>> router.route("Fix the race in the scheduler").model  # doctest: +SKIP

`Router`, `Decision` and `Artifact` serve, and `OutcomeLog` keeps what came of it;
`OutcomeTable` reads, `fit` trains, `evaluate` judges, `monitor` and `recalibrate` read the log,
`add_model` and its like change which models there are, and `diff` tells what a new artifact
would change. All are loaded, with their libraries, when first used, so that the command line can
handle signals soon after its process has started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Loaded with the package: `router`, to which programs write hypernova.router without importing it;
# and `runtime`, which turns onnxruntime's telemetry off before the program imports that itself.
from hypernova import router as router
from hypernova.embedder.onnx import runtime as runtime
from hypernova.errors import HypernovaError
from hypernova.lazy import load_later

if TYPE_CHECKING:
    from hypernova._core import Artifact, Decision, Decisions, RankingEntry, __version__
    from hypernova.comparison import ArtifactDiff, diff
    from hypernova.embedder import CachedEmbedder, CallableEmbedder, Embedder
    from hypernova.evaluation import Report, evaluate
    from hypernova.monitoring import MonitorReport, monitor
    from hypernova.outcome_log import OutcomeLog, read_log
    from hypernova.prices import read_prices
    from hypernova.route_options import BatchRouteOptions, RouteOptions
    from hypernova.router import Router
    from hypernova.table import OutcomeTable, ScannedTable
    from hypernova.training import ModelChange, Recalibration, fit, recalibrate
    from hypernova.training.model_pool import (
        AddedModel,
        Addition,
        Proposal,
        add_model,
        next_prompts,
        remove_model,
        rename_model,
    )

__all__ = [
    "AddedModel",
    "Addition",
    "Artifact",
    "ArtifactDiff",
    "BatchRouteOptions",
    "CachedEmbedder",
    "CallableEmbedder",
    "Decision",
    "Decisions",
    "Embedder",
    "HypernovaError",
    "ModelChange",
    "MonitorReport",
    "OutcomeLog",
    "OutcomeTable",
    "Proposal",
    "RankingEntry",
    "Recalibration",
    "Report",
    "RouteOptions",
    "Router",
    "ScannedTable",
    "__version__",
    "add_model",
    "diff",
    "evaluate",
    "fit",
    "monitor",
    "next_prompts",
    "read_log",
    "read_prices",
    "recalibrate",
    "remove_model",
    "rename_model",
]

# Where each name is.
_LATER = {
    "AddedModel": "training.model_pool",
    "Addition": "training.model_pool",
    "Artifact": "_core",
    "ArtifactDiff": "comparison",
    "BatchRouteOptions": "route_options",
    "CachedEmbedder": "embedder",
    "CallableEmbedder": "embedder",
    "Decision": "_core",
    "Decisions": "_core",
    "Embedder": "embedder",
    "ModelChange": "training",
    "MonitorReport": "monitoring",
    "OutcomeLog": "outcome_log",
    "OutcomeTable": "table",
    "Proposal": "training.model_pool",
    "RankingEntry": "_core",
    "Recalibration": "training",
    "Report": "evaluation",
    "RouteOptions": "route_options",
    "Router": "router",
    "ScannedTable": "table",
    "__version__": "_core",
    "add_model": "training.model_pool",
    "diff": "comparison",
    "evaluate": "evaluation",
    "fit": "training",
    "monitor": "monitoring",
    "next_prompts": "training.model_pool",
    "read_log": "outcome_log",
    "read_prices": "prices",
    "recalibrate": "training",
    "remove_model": "training.model_pool",
    "rename_model": "training.model_pool",
}

__getattr__, __dir__ = load_later(__name__, __all__, _LATER)
