"""Route a prompt to the language model most likely to solve it.

Not here: calls of language models, keys, or traffic; hypernova only decides.

    >>> import hypernova
    >>> router = hypernova.Router.open()  # the bundled artifact
    >>> router.route("Fix the race in the scheduler").model  # doctest: +SKIP

`Router`, `Decision` and `Artifact` serve, and `OutcomeLog` keeps what came of it;
`OutcomeTable` reads, `fit` trains, `recalibrate` learns from the log and `evaluate` judges:
these are loaded, with their libraries, when first used.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from hypernova._core import DEBUG_BUILD, Artifact, Decision, Decisions, RankingEntry, __version__
from hypernova.errors import HypernovaError
from hypernova.router import Router

if TYPE_CHECKING:
    from hypernova.embedder import CachedEmbedder, CallableEmbedder, Embedder
    from hypernova.judging import Report, evaluate
    from hypernova.outcome_log import OutcomeLog, read_log
    from hypernova.table import OutcomeTable
    from hypernova.training import fit, recalibrate

__all__ = [
    "Artifact",
    "CachedEmbedder",
    "CallableEmbedder",
    "Decision",
    "Decisions",
    "Embedder",
    "HypernovaError",
    "OutcomeLog",
    "OutcomeTable",
    "RankingEntry",
    "Report",
    "Router",
    "__version__",
    "evaluate",
    "fit",
    "read_log",
    "recalibrate",
]

if DEBUG_BUILD:
    warnings.warn(
        "hypernova's core is a debug build, many times slower than a release build; "
        "build it with `maturin develop --release`",
        RuntimeWarning,
        stacklevel=2,
    )


def __getattr__(name: str) -> object:
    """Load what serving does not need when it is first asked for (PEP 562)."""
    if name in ("fit", "recalibrate"):
        from hypernova import training

        return getattr(training, name)
    if name in ("OutcomeLog", "read_log"):
        from hypernova import outcome_log

        return getattr(outcome_log, name)
    if name == "OutcomeTable":
        from hypernova.table import OutcomeTable

        return OutcomeTable
    if name in ("evaluate", "Report"):
        from hypernova import judging

        return getattr(judging, name)
    if name in ("CachedEmbedder", "CallableEmbedder", "Embedder"):
        from hypernova import embedder

        return getattr(embedder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
