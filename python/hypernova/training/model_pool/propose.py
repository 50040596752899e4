"""Propose the prompts to score next for a model, by the expected gain of decisions.

Not here: asking the model; hypernova calls none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.decisions import decisions_or_none
from hypernova.artifact.profile import ModelColumns, rebuild
from hypernova.errors import ModelPoolError
from hypernova.table.source import quoted
from hypernova.training.checks import check_count, check_table
from hypernova.training.estimates.profile import MAX_SCORE_VARIANCE
from hypernova.training.model_pool.add import estimate_new_model, new_models, outcomes_of
from hypernova.training.model_pool.change import check_new_name
from hypernova.training.model_pool.columns import ModelOutcomes
from hypernova.training.model_pool.prior import LocatedPrompts
from hypernova.training.model_pool.vectors import embed_for, vectors_of_table

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

# Of more prompts, evenly spaced ones are considered: a step costs the product of the two.
MAX_CANDIDATES, MAX_DECISIONS = 1000, 250
# Gaps beyond this many standard deviations are never crossed.
MAX_GAP_Z = 8.0


@dataclass(frozen=True)
class Proposal:
    """A prompt to score next.

    Attributes:
        index: Index of the prompt among those given.
        cluster: Nearest cluster of the prompt.
        gain: Expected gain in success of a decision, averaged over the prompts, from this
            outcome together with those proposed before it.
    """

    index: int
    cluster: int
    gain: float


def next_prompts(
    artifact: Artifact,
    prompts: Sequence[str] | Floats,
    *,
    model: str | None = None,
    scored: OutcomeTable | None = None,
    count: int = 25,
    embedder: str | os.PathLike[str] | TextEmbedder | None = None,
    device: Device = "cpu",
) -> list[Proposal]:
    """Propose prompts to score for a model, the most valuable first.

    The value of an outcome is the gain in success that decisions are expected to have by it:
    it must be able to move the model's estimate, there and for similar prompts, across the
    utility of the model that is chosen now. Each next prompt is selected as if those before it
    had been scored (the knowledge gradient of Frazier, Powell and Dayanik 2009, greedily).

    Args:
        artifact: Artifact to improve.
        prompts: Prompts to select from, over which the gain is averaged; or their vectors,
            float32 (n, dim). Of more than a thousand, evenly spaced ones are considered.
        model: Name of a model that the artifact holds, or of a new one; by default a new one.
        scored: Outcomes that a new model has already; its prompts are not proposed again.
        count: Number of prompts, at most; from 1.
        embedder: As in `add_model`.
        device: As in `hypernova.fit`.

    Returns:
        At most ``count`` proposals; none repeats the text, or the vector, of another.

    Raises:
        ModelPoolError: There is no prompt to propose, ``count`` is below 1, ``model`` is no valid
            name, or outcomes are given of a model that the artifact holds.
        EmbedderMismatchError: As in `add_model`.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> found = hypernova.next_prompts(artifact, ["Fix the race", "Add a test"], count=1)
        >>> len(found)
        1
    """
    count = check_count("count", count, 1, ModelPoolError)
    if isinstance(prompts, str):  # its letters would pass for prompts
        raise ModelPoolError(
            f"prompts is {quoted(prompts)}; expected a sequence of prompts: "
            "hypernova.table.read_prompts(path) reads some"
        )
    if scored is not None:
        check_table(scored, ModelPoolError)
    if model is not None and model not in artifact.models:
        check_new_name(artifact, model)
    texts = None if isinstance(prompts, np.ndarray) else list(prompts)
    past = set() if scored is None else set(scored.prompts)
    fresh = _fresh(prompts, past)
    if not len(fresh):
        raise ModelPoolError(
            "there is no prompt to propose: none is given, or all are scored already"
        )
    considered = _spread(fresh, MAX_CANDIDATES)
    if texts is None:
        vectors = np.ascontiguousarray(np.asarray(prompts)[considered])
    else:
        vectors = embed_for(artifact, [texts[i] for i in considered], embedder, device)
    located = LocatedPrompts.of(artifact, vectors)
    if model is not None and model in artifact.models:
        if scored is not None:
            raise ModelPoolError(
                f"the artifact holds the model {model!r}, and its outcomes are counted; leave "
                "scored out"
            )
        features, covariance, noise = _known_features(artifact, model, located)
        whole, name = artifact, model
    else:
        outcomes = _outcomes_so_far(artifact, scored, model, embedder, device)
        new = estimate_new_model(artifact, outcomes)
        features = new.prior.prompts(located)[1]
        covariance, noise = new.posterior.covariance, new.noise
        name = model or _unused_name(artifact)
        whole = rebuild(
            artifact,
            [*artifact.models, name],
            ModelColumns.of(artifact).beside(new.columns),
            artifact.default_model,
            artifact.metadata,
        )
    decided = _spread(np.arange(len(considered)), MAX_DECISIONS)
    gap, room = _gaps(whole, vectors[decided], name)
    selected, gains = _select_greedily(features, covariance, noise, decided, gap, room, count)
    return [
        Proposal(int(considered[i]), int(located.clusters[i]), gain)
        for i, gain in zip(selected, gains, strict=True)
    ]


def _fresh(prompts: Sequence[str] | Floats, past: set[str]) -> Ints:
    """Return the indices of prompts that are not scored yet, the first of equal ones."""
    seen: set[object] = set(past)
    fresh = []
    for index, prompt in enumerate(prompts):
        key: object = prompt if isinstance(prompt, str) else np.asarray(prompt).tobytes()
        if key not in seen:
            seen.add(key)
            fresh.append(index)
    return np.array(fresh, dtype=np.int64)


def _spread(indices: Ints, maximum: int) -> Ints:
    """Return evenly spaced indices of these, all if they are few."""
    if len(indices) <= maximum:
        return indices
    picked: Ints = indices[np.linspace(0, len(indices) - 1, maximum).astype(np.int64)]
    return picked


def _outcomes_so_far(
    artifact: Artifact,
    scored: OutcomeTable | None,
    model: str | None,
    embedder: str | os.PathLike[str] | TextEmbedder | None,
    device: Device,
) -> ModelOutcomes:
    """Return the outcomes of the new model so far; none without a table."""
    if scored is None:
        nothing = np.zeros(0)
        located = LocatedPrompts(
            np.zeros(0, dtype=np.int64),
            np.zeros(0, dtype=bool),
            np.zeros((0, artifact.n_clusters + 1)),
            np.zeros((0, artifact.dim), dtype=np.float32),
        )
        no_chars = np.zeros(0, dtype=np.int64)
        return ModelOutcomes(located, *(nothing,) * 7, no_chars, ())
    names = new_models(artifact, scored, None if model is None else [model])
    if len(names) > 1:
        raise ModelPoolError(
            f"the table {scored.name} has outcomes of {len(names)} new models; name the one "
            "for which to propose prompts"
        )
    vectors = vectors_of_table(artifact, scored, embedder, device)
    return outcomes_of(artifact, scored, LocatedPrompts.of(artifact, vectors), names[0])


def _unused_name(artifact: Artifact) -> str:
    name = "new"
    while name in artifact.models:
        name += "er"
    return name


def _known_features(
    artifact: Artifact, model: str, located: LocatedPrompts
) -> tuple[Floats, Floats, float]:
    """Return features, their covariance, and the noise of a model that the artifact holds.

    The artifact does not hold the prompts of its outcomes, so clusters count as independent.
    """
    index = artifact.models.index(model)
    error = artifact.standard_error[:, index].astype(np.float64)
    rate = float(artifact.success[-1, index])
    noise = max(rate * (1.0 - rate), MAX_SCORE_VARIANCE / 10.0)
    return located.rows, np.diag(error**2), noise


def _gaps(artifact: Artifact, vectors: Floats, model: str) -> tuple[Floats, Floats]:
    """Compare the utility of a model with that of the best other one.

    Returns:
        The utility of the model less that of the other, (n,), -inf where there is no
        comparison; and the difference of the model's success from 1, (n,).
    """
    gaps, rooms = np.full(len(vectors), -np.inf), np.zeros(len(vectors))
    # Under the artifact's own limits: outcomes of a model that they exclude change no decision.
    for row, decision in enumerate(decisions_or_none(artifact, vectors)):
        if decision is None:
            continue
        mine = next((e for e in decision.ranking if e.model == model), None)
        other = next((e.utility for e in decision.ranking if e.model != model), None)
        if mine is not None and other is not None:
            gaps[row], rooms[row] = mine.utility - other, 1.0 - mine.success
    return gaps, rooms


def _select_greedily(
    features: Floats,
    covariance: Floats,
    noise: float,
    decided: Ints,
    gap: Floats,
    room: Floats,
    count: int,
) -> tuple[list[int], list[float]]:
    """Select prompts one by one, each by the expected gain together with those before it."""
    reach = features @ covariance
    own = np.einsum("np,np->n", reach, features)
    across = reach[decided] @ features.T  # covariances of decisions and candidates
    known = np.zeros(len(decided))  # variance that the selected outcomes will explain
    selected: list[int] = []
    gains: list[float] = []
    free = np.ones(len(features), dtype=bool)
    for _ in range(min(count, len(features))):
        # A single outcome hardly ever changes a decision, so each candidate counts as if all
        # ``count`` outcomes were on prompts like it.
        variance = known[:, None] + across**2 / (own + noise / count)
        expected = _expected_gain(gap[:, None], room[:, None], variance)
        best = int(np.argmax(np.where(free, expected.mean(axis=0), -np.inf)))
        free[best] = False
        selected.append(best)
        # Condition on its outcome.
        known = known + across[:, best] ** 2 / (own[best] + noise)
        gains.append(float(_expected_gain(gap, room, known).mean()))
        step = reach @ features[best] / math.sqrt(own[best] + noise)
        projected = (features[best] @ covariance) / math.sqrt(own[best] + noise)
        covariance = covariance - np.outer(projected, projected)
        reach = reach - np.outer(step, projected)
        across = across - np.outer(step[decided], step)
        own = np.maximum(own - step**2, 0.0)
    return selected, gains


def _expected_gain(gap: Floats, room: Floats, variance: Floats) -> Floats:
    """Compute the expected gain of a choice by a gap that will be known better.

    The gain is ``E[max(0, g + s Z)] - max(0, g)`` for a standard normal Z, with ``g`` the gap
    and ``s**2`` the variance. Where ``g`` is below 0, gaps above ``g + room`` do not count:
    no model can be much better than one that hardly ever fails.
    """
    deviation = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.where(deviation > 0.0, np.abs(gap) / deviation, np.inf)
        top = np.where((deviation > 0.0) & (gap < 0.0), room / deviation, np.inf)
    # A room smaller than the gap leaves no gain.
    loss = np.interp(at, _AT, _LOSS, right=0.0) - np.interp(top, _AT, _LOSS, right=0.0)
    gain: Floats = deviation * np.maximum(loss, 0.0)
    return gain


def _unit_loss(at: float) -> float:
    """Compute the unit normal loss, ``E[max(0, Z - at)]``."""
    beyond = 0.5 * math.erfc(at / math.sqrt(2.0))
    return math.exp(-0.5 * at * at) / math.sqrt(2.0 * math.pi) - at * beyond


# Interpolated in a table: error functions of millions of numbers took most of the time.
_AT = np.linspace(0.0, MAX_GAP_Z, 4097)
_LOSS = np.array([_unit_loss(at) for at in _AT.tolist()])
