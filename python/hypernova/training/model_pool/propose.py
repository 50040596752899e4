"""Which prompts to score next for a model: where outcomes would change the most decisions.

Not here: asking the model; hypernova calls none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.decisions import decisions
from hypernova.artifact.profile import Profile, metadata_of, rebuild
from hypernova.errors import PoolError
from hypernova.table.source import shown
from hypernova.training.checks import check_count, check_table
from hypernova.training.estimates.profile import SCORE_VARIANCE
from hypernova.training.model_pool.add import Scored, new_models, newcomer, scored_of
from hypernova.training.model_pool.change import check_new_name
from hypernova.training.model_pool.prior import Placed
from hypernova.training.model_pool.vectors import embedded, vectors_of_table

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable

# Of more prompts every n-th is looked at: a step costs their product.
CANDIDATES, DECISIONS = 1000, 250
# A gap of so many standard deviations is never crossed.
FARTHEST = 8.0


@dataclass(frozen=True)
class Proposal:
    """A prompt to score next.

    Attributes:
        index: Its place among the prompts that were given.
        cluster: Its nearest cluster.
        gain: How much success a decision is expected to gain, on average over the prompts,
            from this outcome together with those proposed before it.
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
    """Propose prompts to score for a model, those first that are worth most.

    An outcome is worth what decisions are expected to gain by it: it must be able to move the
    model's estimate, there and for prompts like it, across the utility of the model that
    is taken now. Each next prompt is chosen as if those before it had been scored (the
    knowledge gradient of Frazier, Powell and Dayanik 2009, greedily, looking ahead).

    Args:
        artifact: To be improved.
        prompts: To choose from, and for which decisions count; or their vectors, float32
            (n, dim). Of many, an evenly spaced thousand is looked at.
        model: Which model; one that the artifact holds, whose outcomes are counted then, or
            a new one, by default.
        scored: Outcomes that a new model has already; its prompts are not proposed again.
        count: How many prompts, at most.
        embedder: As in `add_model`.
        device: As in `hypernova.fit`.

    Returns:
        At most ``count`` proposals; none repeats the text, or the vector, of another.

    Raises:
        PoolError: There is nothing to propose, ``count`` is below 1, ``model`` is no name, or
            outcomes are given of a model that the artifact holds.
        EmbedderMismatchError: As in `add_model`.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> found = hypernova.next_prompts(artifact, ["Fix the race", "Add a test"], count=1)
        >>> len(found)
        1
    """
    count = check_count("count", count, 1, PoolError)
    if isinstance(prompts, str):  # its letters would pass for prompts
        raise PoolError(
            f"prompts is {shown(prompts)}; expected a sequence of prompts: "
            "hypernova.table.read_prompts(path) reads some"
        )
    if scored is not None:
        check_table(scored, PoolError)
    if model is not None and model not in artifact.models:
        check_new_name(artifact, model)
    texts = None if isinstance(prompts, np.ndarray) else list(prompts)
    past = set() if scored is None else set(scored.prompts)
    fresh = _fresh(prompts, past)
    if not len(fresh):
        raise PoolError("there is no prompt to propose: none is given, or all are scored already")
    looked = _spread(fresh, CANDIDATES)
    if texts is None:
        vectors = np.ascontiguousarray(np.asarray(prompts)[looked])
    else:
        vectors = embedded(artifact, [texts[i] for i in looked], embedder, device)
    placed = Placed.of(artifact, vectors)
    if model is not None and model in artifact.models:
        if scored is not None:
            raise PoolError(
                f"the artifact holds the model {model!r}, and its outcomes are counted; leave "
                "scored out"
            )
        features, covariance, noise = _of_known(artifact, model, placed)
        whole, name = artifact, model
    else:
        known = _scored(artifact, scored, model, embedder, device)
        new = newcomer(artifact, known)
        features, covariance, noise = new.prior.prompts(placed)[1], new.belief.covariance, new.noise
        name = model or _unused(artifact)
        whole = rebuild(
            artifact,
            [*artifact.models, name],
            Profile.of(artifact).beside(new.column),
            artifact.default_model,
            metadata_of(artifact),
        )
    decided = _spread(np.arange(len(looked)), DECISIONS)
    gap, room = _gaps(whole, vectors[decided], name)
    chosen, gains = _greedy(features, covariance, noise, decided, gap, room, count)
    return [
        Proposal(int(looked[i]), int(placed.clusters[i]), gain)
        for i, gain in zip(chosen, gains, strict=True)
    ]


def _fresh(prompts: Sequence[str] | Floats, past: set[str]) -> Ints:
    """Indices of the first of equal prompts that are not scored yet."""
    seen: set[object] = set(past)
    fresh = []
    for index, prompt in enumerate(prompts):
        key: object = prompt if isinstance(prompt, str) else np.asarray(prompt).tobytes()
        if key not in seen:
            seen.add(key)
            fresh.append(index)
    return np.array(fresh, dtype=np.int64)


def _spread(indices: Ints, most: int) -> Ints:
    """Evenly spaced ones of these, all if there are few."""
    if len(indices) <= most:
        return indices
    picked: Ints = indices[np.linspace(0, len(indices) - 1, most).astype(np.int64)]
    return picked


def _scored(
    artifact: Artifact,
    scored: OutcomeTable | None,
    model: str | None,
    embedder: str | os.PathLike[str] | TextEmbedder | None,
    device: Device,
) -> Scored:
    """Outcomes of the new model so far; none if no table is given."""
    if scored is None:
        nothing = np.zeros(0)
        placed = Placed(
            np.zeros(0, dtype=np.int64),
            np.zeros(0, dtype=bool),
            np.zeros((0, artifact.n_clusters + 1)),
            np.zeros((0, artifact.dim), dtype=np.float32),
        )
        return Scored(placed, nothing, nothing, nothing, nothing)
    names = new_models(artifact, scored, None if model is None else [model])
    if len(names) > 1:
        raise PoolError(
            f"the table {scored.name} has outcomes of {len(names)} new models; say for which to "
            "propose prompts"
        )
    placed = Placed.of(artifact, vectors_of_table(artifact, scored, embedder, device))
    return scored_of(artifact, scored, placed, names[0])


def _unused(artifact: Artifact) -> str:
    name = "new"
    while name in artifact.models:
        name += "er"
    return name


def _of_known(artifact: Artifact, model: str, placed: Placed) -> tuple[Floats, Floats, float]:
    """Features, their covariance, and the noise for a model whose outcomes are counted.

    Its prompts are not known any more, so that clusters are taken for independent.
    """
    place = artifact.models.index(model)
    error = artifact.standard_error[:, place].astype(np.float64)
    rate = float(artifact.success[-1, place])
    noise = max(rate * (1.0 - rate), SCORE_VARIANCE / 10.0)
    return placed.rows, np.diag(error**2), noise


def _gaps(artifact: Artifact, vectors: Floats, model: str) -> tuple[Floats, Floats]:
    """Utility of a model less that of the one that is taken without it, and its room.

    Returns:
        The gap, (n,), and how much higher the model's success could be, (n,).
    """
    gaps, rooms = np.full(len(vectors), -np.inf), np.zeros(len(vectors))
    # Under the artifact's own limits: an outcome of a model that they exclude decides nothing.
    for row, decision in enumerate(decisions(artifact, vectors)):
        if decision is None:
            continue
        mine = next((e for e in decision.ranking if e.model == model), None)
        other = next((e.utility for e in decision.ranking if e.model != model), None)
        if mine is not None and other is not None:
            gaps[row], rooms[row] = mine.utility - other, 1.0 - mine.success
    return gaps, rooms


def _greedy(
    features: Floats,
    covariance: Floats,
    noise: float,
    decided: Ints,
    gap: Floats,
    room: Floats,
    count: int,
) -> tuple[list[int], list[float]]:
    """Choose prompts one after the other by the gain that outcomes on all of them promise."""
    reach = features @ covariance
    own = np.einsum("np,np->n", reach, features)
    across = reach[decided] @ features.T  # covariance of decisions and candidates
    known = np.zeros(len(decided))  # variance that outcomes are going to explain
    chosen: list[int] = []
    gains: list[float] = []
    free = np.ones(len(features), dtype=bool)
    for _ in range(min(count, len(features))):
        # A single outcome hardly ever turns a decision, so each is weighed as if all
        # that are asked for went to prompts like it.
        variance = known[:, None] + across**2 / (own + noise / count)
        promised = _promise(gap[:, None], room[:, None], variance)
        best = int(np.argmax(np.where(free, promised.mean(axis=0), -np.inf)))
        free[best] = False
        chosen.append(best)
        # As if it had been scored.
        known = known + across[:, best] ** 2 / (own[best] + noise)
        gains.append(float(_promise(gap, room, known).mean()))
        step = reach @ features[best] / math.sqrt(own[best] + noise)
        projected = (features[best] @ covariance) / math.sqrt(own[best] + noise)
        covariance = covariance - np.outer(projected, projected)
        reach = reach - np.outer(step, projected)
        across = across - np.outer(step[decided], step)
        own = np.maximum(own - step**2, 0.0)
    return chosen, gains


def _promise(gap: Floats, room: Floats, variance: Floats) -> Floats:
    """Expected gain of choosing by a gap that is going to be known better.

    ``E[max(0, g + s Z)] - max(0, g)`` for a standard normal Z, ``g`` the gap and ``s**2``
    the variance. Where ``g`` is below 0 nothing above ``g + room`` counts: where the model
    that is taken hardly ever fails, no other can be much better.
    """
    deviation = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.where(deviation > 0.0, np.abs(gap) / deviation, np.inf)
        top = np.where((deviation > 0.0) & (gap < 0.0), room / deviation, np.inf)
    # A room below the gap leaves nothing.
    loss = np.interp(at, _AT, _LOSS, right=0.0) - np.interp(top, _AT, _LOSS, right=0.0)
    promise: Floats = deviation * np.maximum(loss, 0.0)
    return promise


def _unit_loss(at: float) -> float:
    beyond = 0.5 * math.erfc(at / math.sqrt(2.0))
    return math.exp(-0.5 * at * at) / math.sqrt(2.0 * math.pi) - at * beyond


# A table: error functions of millions of numbers took most of the time.
_AT = np.linspace(0.0, FARTHEST, 4097)
_LOSS = np.array([_unit_loss(at) for at in _AT.tolist()])
