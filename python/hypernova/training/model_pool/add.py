"""Add models to an artifact from some dozens of scored prompts.

Not here: what is believed of a model before it is tried (see ``prior``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.decisions import NO_LIMITS, models_taken
from hypernova.artifact.profile import Profile, noted, rebuild
from hypernova.errors import PoolError
from hypernova.table.source import listed
from hypernova.training.checks import check_table
from hypernova.training.estimates.profile import OVERALL_WEIGHT, SCORE_VARIANCE
from hypernova.training.model_pool.change import check_new_name
from hypernova.training.model_pool.prior import Placed, Prior, error_of
from hypernova.training.model_pool.vectors import vectors_of_table

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.numeric import Floats, Ints
    from hypernova.table import OutcomeTable
    from hypernova.training.model_pool.prior import Belief

# Outcomes by which the mean cost in a cluster leans on what the others' costs let expect.
COST_WEIGHT = 10.0


@dataclass(frozen=True)
class Scored:
    """Outcomes of one newcomer on n placed prompts.

    Attributes:
        placed: Where they lie.
        score: (n,) in 0..1.
        default: (n,) score of the default model on the same prompt, NaN where not given.
        cost_usd: (n,), NaN where unknown.
        latency_s: (n,), NaN where unknown.
    """

    placed: Placed
    score: Floats
    default: Floats
    cost_usd: Floats
    latency_s: Floats


@dataclass(frozen=True)
class Newcomer:
    """What is made of a newcomer's outcomes.

    Attributes:
        prior: Its features.
        belief: About their weights.
        noise: Variance of an outcome.
        shared_luck: What part of the default model's luck on a prompt it shares, 0 to 1.
        column: Its column of the profiles.
    """

    prior: Prior
    belief: Belief
    noise: float
    shared_luck: float
    column: Profile


@dataclass(frozen=True)
class Addition:
    """What adding one model came to.

    Attributes:
        model: Its name.
        prompts: Scored prompts.
        paired: Of these, with an outcome of the default model.
        novel: Of these, unlike all that the artifact was fitted on.
        success: Estimate over all.
        error: Its standard error.
        shared_luck: As in `Newcomer`.
        clusters_taken: Clusters at whose centre it is now taken.
        clusters_proven: Clusters at whose centre the guard lets it be preferred to the
            default model.
        prompts_taken: Scored prompts for which it is now taken.
    """

    model: str
    prompts: int
    paired: int
    novel: int
    success: float
    error: float
    shared_luck: float
    clusters_taken: int
    clusters_proven: int
    prompts_taken: int


def add_model(
    artifact: Artifact,
    table: OutcomeTable,
    *,
    models: str | Sequence[str] | None = None,
    embedder: str | os.PathLike[str] | TextEmbedder | None = None,
    device: Device = "cpu",
) -> Artifact:
    """Add models that an artifact does not hold, from their outcomes on some prompts.

    Clusters, and all that is stored of the known models, stay as they are. A new model is
    put after the known ones, so that an index keeps its meaning.

    Args:
        artifact: To add to.
        table: Outcomes of the new models; ``OutcomeTable.read(path, min_models=1)`` reads
            those of one. Where it also has the default model's, what both share of a
            prompt's luck is taken off.
        models: Which to add; outcomes of others are then not read. By default all of the
            table but the default model, none of which the artifact may hold.
        embedder: The artifact's, if it is not bundled: a folder or an open embedder.
        device: As in `hypernova.fit`.

    Returns:
        The new artifact, in memory. Its metadata say under ``changes`` what was added.

    Raises:
        PoolError: The artifact holds the model already, the table has no outcome of it, or
            it is named twice.
        EmbedderMismatchError: The artifact routes vectors only and the table brings none of
            its kind, or the embedder is not the artifact's.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> table = hypernova.OutcomeTable.from_arrays(
        ...     task_ids=["a", "b"], prompts=["Fix the race", "Add a test"],
        ...     models=["new"], score=[[1], [0]], min_models=1)
        >>> hypernova.add_model(artifact, table).models[-1]
        'new'
    """
    return add(artifact, table, models=models, embedder=embedder, device=device)[0]


def add(
    artifact: Artifact,
    table: OutcomeTable,
    *,
    models: str | Sequence[str] | None = None,
    embedder: str | os.PathLike[str] | TextEmbedder | None = None,
    device: Device = "cpu",
) -> tuple[Artifact, list[Addition]]:
    """Do what `add_model` does, and say what it came to."""
    check_table(table, PoolError)
    names = new_models(artifact, table, models)
    placed = Placed.of(artifact, vectors_of_table(artifact, table, embedder, device))
    scored = {name: scored_of(artifact, table, placed, name) for name in names}
    columns = {name: newcomer(artifact, scored[name]) for name in names}
    profile = Profile.of(artifact)
    for column in columns.values():
        profile = profile.beside(column.column)
    note = {
        "what": "add_model",
        "table": table.name,
        "models": [
            {
                "model": name,
                "prompts": len(scored[name].score),
                "paired": int((~np.isnan(scored[name].default)).sum()),
                "shared_luck": round(columns[name].shared_luck, 6),
            }
            for name in names
        ],
    }
    made = rebuild(
        artifact,
        [*artifact.models, *names],
        profile,
        artifact.default_model,
        noted(artifact, note),
    )
    return made, [_addition(made, name, scored[name], columns[name]) for name in names]


def new_models(
    artifact: Artifact, table: OutcomeTable, models: str | Sequence[str] | None
) -> list[str]:
    """Names to add, in the order of the table; raises as `add_model`."""
    default = artifact.default_model
    if isinstance(models, str):
        models = [models]
    asked = [name for name in table.models if name != default] if models is None else list(models)
    for name in asked:
        if asked.count(name) > 1:
            raise PoolError(f"the model {name!r} is named twice; name it once")
        if name in artifact.models:
            others = "" if models is not None else "; or name the models to add, and only these"
            raise PoolError(
                f"the artifact holds the model {name!r} already: fold its outcomes in with "
                f"recalibrate, or start it anew after remove-model{others}"
            )
        if name not in table.models or np.isnan(_column(table, name)).all():
            raise PoolError(
                f"the table {table.name} has no outcome of the model {name!r}; it has some of "
                f"{listed(table.models)}"
            )
        check_new_name(artifact, name)
    if not asked:
        raise PoolError(
            f"the table {table.name} has outcomes of {default!r} only, the default model, which "
            "the artifact holds already; give those of a new model, or use recalibrate"
        )
    return sorted(asked)


def _column(table: OutcomeTable, name: str) -> Floats:
    column: Floats = table.score[:, table.models.index(name)]
    return column


def scored_of(artifact: Artifact, table: OutcomeTable, placed: Placed, name: str) -> Scored:
    """Take the outcomes of one model out of a table whose prompts have been placed."""
    at = np.flatnonzero(~np.isnan(_column(table, name)))
    default = artifact.default_model
    known = default in table.models
    return Scored(
        placed=Placed(placed.clusters[at], placed.novel[at], placed.rows[at], placed.vectors[at]),
        score=_column(table, name)[at],
        default=_column(table, default)[at] if known else np.full(len(at), np.nan),
        cost_usd=table.cost_usd[at, table.models.index(name)],
        latency_s=table.latency_s[at, table.models.index(name)],
    )


def newcomer(artifact: Artifact, scored: Scored) -> Newcomer:
    """Estimate a newcomer's column of the profiles from its outcomes; there may be none."""
    score, placed = scored.score, scored.placed
    noise = _variance(score)
    prior = Prior(artifact, noise)
    expected, features = prior.prompts(placed)
    paired = ~np.isnan(scored.default)
    luck = np.where(paired, scored.default - _default_success(artifact, placed), 0.0)
    part = _shared(score[paired] - expected[paired], luck[paired])
    freed = score - part * luck
    noises = np.where(paired, _variance(freed[paired]), _variance(score[~paired]))
    belief = prior.believe(features, freed - expected, noises)
    level, rows = prior.rows()
    error = error_of(belief, rows)
    # The known models' estimates have errors of their own. As far as the newcomer's luck
    # is told by the default model's, so is that of the default model's estimate.
    default = artifact.standard_error[:, artifact.models.index(artifact.default_model)]
    apart = 1.0 - part * (float(paired.mean()) if len(paired) else 0.0)
    gain_error = np.sqrt(error**2 + (apart * default.astype(np.float64)) ** 2)
    counts = np.bincount(placed.clusters, minlength=artifact.n_clusters).astype(np.float64)
    total = np.bincount(placed.clusters, weights=score, minlength=artifact.n_clusters)
    counts, total = np.append(counts, counts.sum()), np.append(total, total.sum())
    mean = np.where(counts > 0, total / np.maximum(counts, 1.0), 0.0)
    lift = prior.lift(belief)

    def column(values: Floats) -> Floats:
        return values[:, None].astype(np.float32)

    return Newcomer(
        prior=prior,
        belief=belief,
        noise=noise,
        shared_luck=part,
        column=Profile(
            counts=counts[:, None],
            mean=column(np.clip(mean, 0.0, 1.0)),
            success=column(np.clip(level + rows @ belief.weights, 0.0, 1.0)),
            standard_error=column(error),
            gain_error=column(gain_error),
            cost=column(_expense(scored.cost_usd, placed.clusters, artifact.cost)),
            latency=column(_expense(scored.latency_s, placed.clusters, artifact.latency)),
            slopes=None if lift is None else lift[0],
            offsets=None if lift is None else lift[1],
        ),
    )


def _variance(values: Floats) -> float:
    """Variance of outcomes; a few equal ones do not prove that a model never varies."""
    n = len(values)
    spread = float(((values - values.mean()) ** 2).sum()) if n else 0.0
    return (spread + OVERALL_WEIGHT * SCORE_VARIANCE) / (n + OVERALL_WEIGHT)


def _shared(surprise: Floats, luck: Floats) -> float:
    """What part of the default model's luck on a prompt the newcomer shares, 0 to 1.

    The regression of one on the other, shrunk to 0: with it, outcomes on lucky prompts
    say less (a control variate). At 1 it is the paired difference; at 0 unpaired.
    """
    if not len(luck):
        return 0.0
    surprise, luck = surprise - surprise.mean(), luck - luck.mean()
    weight = float((luck**2).sum()) + OVERALL_WEIGHT * SCORE_VARIANCE
    return min(max(float((surprise * luck).sum()) / weight, 0.0), 1.0)


def _default_success(artifact: Artifact, placed: Placed) -> Floats:
    """What is estimated of the default model for each prompt, (n,)."""
    default = artifact.models.index(artifact.default_model)
    success = placed.rows @ artifact.success[:, default].astype(np.float64)
    if artifact.slopes is not None and artifact.offsets is not None:
        lift = artifact.offsets[default] + placed.vectors @ artifact.slopes[default]
        success = success + np.where(placed.novel, 0.0, lift)
    clipped: Floats = np.clip(success, 0.0, 1.0)
    return clipped


def _expense(values: Floats, clusters: Ints, others: Floats) -> Floats:
    """Mean cost or latency by row of the profiles, (k + 1,); NaN if none is known.

    Where the known models' prompts are dear, the newcomer's are expected to be: one or
    two outcomes in a cluster lean on that.

    Args:
        values: (n,), NaN where unknown.
        clusters: (n,).
        others: (k + 1, m), NaN where unknown.
    """
    known = ~np.isnan(values)
    k = len(others) - 1
    if not known.any():
        return np.full(k + 1, np.nan)
    usable = ~np.isnan(others).any(axis=0) & (others[-1] > 0.0)
    dear = np.ones(k + 1)
    if usable.any():
        of_each = others[:, usable].astype(np.float64)
        dear = (of_each / of_each[-1]).mean(axis=1)
    at, spent = clusters[known], values[known]
    expected = float(dear[at].sum())
    rate = float(spent.sum()) / expected if expected > 0.0 else float(spent.mean())
    n = np.bincount(at, minlength=k)
    total = np.bincount(at, weights=spent, minlength=k)
    rows = (total + COST_WEIGHT * rate * dear[:-1]) / (n + COST_WEIGHT)
    return np.append(rows, rate * dear[-1])


def _addition(made: Artifact, name: str, scored: Scored, new: Newcomer) -> Addition:
    place = made.models.index(name)
    proven = 0
    # What is proven does not hang on the artifact's own limits; what is taken does.
    for decision in made.decide_many(made.centroids, **NO_LIMITS):
        order = [entry.model for entry in decision.ranking]
        default = order.index(made.default_model) if made.default_model in order else len(order)
        proven += name in order[:default]
    return Addition(
        model=name,
        prompts=len(scored.score),
        paired=int((~np.isnan(scored.default)).sum()),
        novel=int(scored.placed.novel.sum()),
        success=float(made.success[-1, place]),
        error=float(made.standard_error[-1, place]),
        shared_luck=new.shared_luck,
        clusters_taken=int((models_taken(made, made.centroids) == place).sum()),
        clusters_proven=proven,
        prompts_taken=int((models_taken(made, scored.placed.vectors) == place).sum()),
    )
