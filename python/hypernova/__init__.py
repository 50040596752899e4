"""Route a prompt to the language model most likely to solve it.

Not here: calls of language models, keys, or traffic; hypernova only decides.

    >>> import hypernova
    >>> router = hypernova.Router.open()  # the bundled artifact
    >>> router.route("Fix the race in the scheduler").model  # doctest: +SKIP

`Router`, `Decision` and `Artifact` serve; `OutcomeTable` reads, `fit` trains and `evaluate`
judges, `add_model` and its like change which models there are: these are loaded, with their
libraries, when first used.
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
    from hypernova.table import OutcomeTable
    from hypernova.training import fit
    from hypernova.training.pool import (
        Proposal,
        add_model,
        next_prompts,
        remove_model,
        rename_model,
    )

__all__ = [
    "Artifact",
    "CachedEmbedder",
    "CallableEmbedder",
    "Decision",
    "Decisions",
    "Embedder",
    "HypernovaError",
    "OutcomeTable",
    "Proposal",
    "RankingEntry",
    "Report",
    "Router",
    "__version__",
    "add_model",
    "evaluate",
    "fit",
    "next_prompts",
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


def __getattr__(name: str) -> object:
    """Load what serving does not need when it is first asked for (PEP 562)."""
    if name == "fit":
        from hypernova.training import fit

        return fit
    if name in ("Proposal", "add_model", "next_prompts", "remove_model", "rename_model"):
        from hypernova.training import pool

        return getattr(pool, name)
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
