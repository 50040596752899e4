"""Route a prompt to the language model most likely to solve it.

Not here: calls of language models, keys, or traffic; hypernova only decides.

    >>> import hypernova
    >>> router = hypernova.Router.open()  # the bundled artifact
    >>> router.route("Fix the race in the scheduler").model  # doctest: +SKIP

`Router`, `Decision` and `Artifact` serve, and `OutcomeLog` keeps what came of it;
`OutcomeTable` reads, `fit` trains, `evaluate` judges, `monitor` and `recalibrate` read the log, and
`add_model` and its like change which models there are: these are loaded, with their
libraries, when first used.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from hypernova._core import DEBUG_BUILD, Artifact, Decision, Decisions, RankingEntry, __version__
from hypernova.errors import HypernovaError
from hypernova.lazy import load_later
from hypernova.router.router import Router

if TYPE_CHECKING:
    from hypernova.embedder import CachedEmbedder, CallableEmbedder, Embedder
    from hypernova.evaluation import Report, evaluate
    from hypernova.monitoring import MonitorReport, monitor
    from hypernova.outcome_log import OutcomeLog, read_log
    from hypernova.prices import read_prices
    from hypernova.route_options import BatchRouteOptions, RouteOptions
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

if DEBUG_BUILD:
    warnings.warn(
        "hypernova's core is a debug build, many times slower than a release build; "
        "build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )


# What serving does not need, and where it is.
_LATER = {
    "AddedModel": "training.model_pool",
    "Addition": "training.model_pool",
    "BatchRouteOptions": "route_options",
    "CachedEmbedder": "embedder",
    "CallableEmbedder": "embedder",
    "Embedder": "embedder",
    "ModelChange": "training",
    "MonitorReport": "monitoring",
    "OutcomeLog": "outcome_log",
    "OutcomeTable": "table",
    "Proposal": "training.model_pool",
    "Recalibration": "training",
    "Report": "evaluation",
    "RouteOptions": "route_options",
    "ScannedTable": "table",
    "add_model": "training.model_pool",
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
