"""Decide with one of two artifacts, under options that may name models of either.

Not here: embedding, and counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hypernova.artifact.decisions import NO_LIMITS
from hypernova.artifact.known_models import known_options
from hypernova.errors import NoCandidateError, NovelPromptError, PolicyError, UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypernova._core import Artifact, Decision, RankingEntry
    from hypernova.numeric import Floats
    from hypernova.route_options import BatchRouteOptions, RouteOptions

# The quantities of an estimate, in the order of the last axis of arrays of estimates.
QUANTITIES = ("success", "cost_usd", "latency_s")
_NAMES = ("allow", "deny")
# Options that draw at random: two artifacts would differ by chance.
_DRAWN = ("explore", "explore_seed")
# Length of a vector that is far from every centroid: vectors of prompts have a length of 1.
_FAR = 1e6
# Options by which estimates of a model depend on the caller; others choose among models.
_ESTIMATING = ("prices", "prompt_chars", "input_tokens", "group")


def settled_options(options: RouteOptions, artifacts: Sequence[Artifact]) -> RouteOptions:
    """Check options for two artifacts, and copy their collections, since an iterator is read once.

    Raises:
        PolicyError: The options explore, or one is out of range.
        UnknownModelError: An option names a model that neither artifact holds.
        TypeError: An option is of the wrong type, or there is none of that name.
    """
    settled: dict[str, Any] = {k: value for k, value in options.items() if value is not None}
    drawn = [name for name in _DRAWN if name in settled]
    if drawn:
        raise PolicyError(
            f"{drawn[0]} draws models at random, so that any two artifacts differ by chance; "
            "leave it out"
        )
    known = {model for artifact in artifacts for model in artifact.models}
    for name in (*_NAMES, "prices"):
        value = settled.get(name)
        if isinstance(value, Mapping):
            settled[name] = dict(value)
        elif isinstance(value, Iterable) and not isinstance(value, str):
            settled[name] = tuple(value)
    named = [*_models_of(settled, *_NAMES, "prices")]
    previous = settled.get("previous_model")
    for model in [*named, *([previous] if isinstance(previous, str) else [])]:
        if isinstance(model, str) and model not in known:
            raise UnknownModelError(
                f"the options name the model {model!r}, which neither artifact holds; check the "
                "name"
            )
    return cast("RouteOptions", settled)


def _models_of(options: Mapping[str, Any], *names: str) -> list[Any]:
    values = [options.get(name) for name in names]
    return [model for value in values if isinstance(value, tuple | dict) for model in value]


class Chooser:
    """An artifact with the part of the caller's options that concerns its models.

    Args:
        artifact: The artifact that decides.
        options: Of `settled_options`.

    Attributes:
        dropped: Models that the artifact does not hold, by the option that names them.

    Raises:
        PolicyError: An option is out of range.
        TypeError: An option is of the wrong type, or there is none of that name.
    """

    def __init__(self, artifact: Artifact, options: RouteOptions) -> None:
        self.artifact = artifact
        known = known_options(frozenset(artifact.models), options)
        mine: dict[str, Any] = known.options
        self.dropped = known.dropped
        if isinstance(mine.get("allow"), tuple):
            mine["allow"] = list(mine["allow"])
        # None of the allowed models is the artifact's: it decides for no prompt.
        self._allows_none = mine.get("allow") == []
        if self._allows_none:
            del mine["allow"]
        self.options = cast("RouteOptions", mine)
        # Out of range or of the wrong type: refused before anything is embedded.
        artifact.decide_many(np.empty((0, artifact.dim), np.float32), **self.options)

    def decide(
        self, vectors: NDArray[np.float32], facts: BatchRouteOptions
    ) -> list[Decision | None]:
        """Decide for each vector.

        Args:
            vectors: float32 (n, dim).
            facts: Options with a value for each row, which go before the caller's.

        Returns:
            n decisions; None where the limits leave no model, or where the prompt is novel and the
            caller has asked for an error.
        """
        if self._allows_none:
            return [None] * len(vectors)
        options: BatchRouteOptions = {**self.options, **facts}
        try:
            return list(self.artifact.decide_many(vectors, **options))
        except (NoCandidateError, NovelPromptError):
            return [self._decide_one(vectors[row], facts, row) for row in range(len(vectors))]

    def _decide_one(
        self, vector: NDArray[np.float32], facts: BatchRouteOptions, row: int
    ) -> Decision | None:
        own = {k: v[row] if isinstance(v, list) else v for k, v in facts.items()}
        options = cast("RouteOptions", {**self.options, **own})
        try:
            return self.artifact.decide(vector, **options)
        except (NoCandidateError, NovelPromptError):
            return None

    def novel(self) -> str | None:
        """Return the choice for a novel prompt; None where the limits leave no model.

        It is the same for each: the whole table decides. Where no prompt is novel to the artifact,
        the choice is that for a prompt of which nothing is known.
        """
        if self.artifact.policy["novelty_limit"] >= 1.0:
            ranking = () if self._allows_none else self.artifact.rank_unread(**self.options)
            return ranking[0].model if ranking else None
        far = np.zeros((1, self.artifact.dim), dtype=np.float32)
        far[0, 0] = _FAR
        (decision,) = self.decide(far, {})
        return None if decision is None else decision.model

    def estimates(
        self,
        vectors: NDArray[np.float32],
        facts: BatchRouteOptions,
        models: Sequence[tuple[str | None, ...]],
    ) -> Floats:
        """Estimate models for each vector, whether or not they meet the caller's limits.

        Args:
            vectors: float32 (n, dim).
            facts: As in `decide`.
            models: For each vector the names of p models; None stands for no model.

        Returns:
            float64 (n, p, 3), by `QUANTITIES`; NaN where the artifact does not know it.
        """
        lengths = {len(names) for names in models} or {0}
        found = np.full((len(vectors), lengths.pop(), len(QUANTITIES)), np.nan)
        if not len(vectors):
            return found
        options = cast("BatchRouteOptions", {**self._without_limits(), **facts})
        decisions = self.artifact.decide_many(vectors, **options)
        for row, names, decision in zip(found, models, decisions, strict=True):
            for entry in decision.ranking:
                if entry.model in names:
                    for place, name in enumerate(names):
                        if name == entry.model:
                            row[place] = estimate_of(entry)
        return found

    def whole_table(self) -> dict[str, tuple[float, float, float]]:
        """Estimate every model for a prompt of which nothing is known, by `QUANTITIES`."""
        ranking = self.artifact.rank_unread(**self._without_limits())
        return {entry.model: estimate_of(entry) for entry in ranking}

    def _without_limits(self) -> RouteOptions:
        kept = {name: value for name, value in self.options.items() if name in _ESTIMATING}
        return cast("RouteOptions", {**kept, **NO_LIMITS})


def estimate_of(entry: RankingEntry) -> tuple[float, float, float]:
    """Return success, cost and latency of a ranking entry; NaN where unknown."""
    cost, latency = entry.cost_usd, entry.latency_s
    return (
        entry.success,
        np.nan if cost is None else cost,
        np.nan if latency is None else latency,
    )
