"""Add models to an artifact from some dozens of scored prompts.

Not here: the prior of a new model (see ``prior``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.decisions import NO_LIMITS, chosen_models
from hypernova.artifact.profile import ModelColumns, Profile, noted, rebuild
from hypernova.errors import ModelPoolError
from hypernova.table.source import quoted_list
from hypernova.training.checks import check_table
from hypernova.training.estimates.outcome_sums import sum_outcomes
from hypernova.training.estimates.profile import MAX_SCORE_VARIANCE, OVERALL_WEIGHT
from hypernova.training.estimates.repeats import count_effective
from hypernova.training.estimates.sums import ratio
from hypernova.training.model_pool.change import check_new_name
from hypernova.training.model_pool.columns import (
    ModelOutcomes,
    column,
    estimated,
    expense,
    group_columns,
    token_columns,
)
from hypernova.training.model_pool.prior import LocatedPrompts, Prior
from hypernova.training.model_pool.vectors import vectors_of_table

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hypernova._core import Artifact
    from hypernova.embedder import Device, TextEmbedder
    from hypernova.numeric import Floats
    from hypernova.table import OutcomeTable
    from hypernova.training.model_pool.prior import Posterior


@dataclass(frozen=True)
class NewModel:
    """A new model's estimates.

    Attributes:
        prior: Features of the model.
        posterior: Posterior of their weights.
        noise: Variance of an outcome.
        control_coefficient: Part of the default model's residual on a prompt that the model
            shares, 0 to 1 (see `_control_coefficient`).
        columns: The model's columns of the profiles.
    """

    prior: Prior
    posterior: Posterior
    noise: float
    control_coefficient: float
    columns: ModelColumns


@dataclass(frozen=True)
class AddedModel:
    """An added model: its outcomes, its success estimate, and where it is chosen now.

    Attributes:
        model: Name of the model.
        prompts: Number of its scored prompts.
        paired: Number of these with an outcome of the default model.
        novel: Number of these that are novel to the artifact.
        success: Success estimate over the whole table, 0 to 1.
        error: Standard error of ``success``.
        control_coefficient: Part of the default model's residual on a prompt that the model
            shares, 0 to 1; 0 without paired outcomes.
        clusters_chosen: Number of clusters at whose centroid the model is chosen.
        clusters_proven: Number of clusters at whose centroid guard and margin let the model
            rank before the default model.
        prompts_chosen: Number of the scored prompts for which the model is chosen.
    """

    model: str
    prompts: int
    paired: int
    novel: int
    success: float
    error: float
    control_coefficient: float
    clusters_chosen: int
    clusters_proven: int
    prompts_chosen: int


@dataclass(frozen=True)
class Addition:
    """An artifact with added models, and a summary of each.

    Attributes:
        artifact: The new artifact, in memory; ``.save(path)`` writes it.
        models: The added models, sorted by name, as in the artifact.
    """

    artifact: Artifact
    models: tuple[AddedModel, ...]


def add_model(
    artifact: Artifact,
    table: OutcomeTable,
    *,
    models: str | Sequence[str] | None = None,
    embedder: str | os.PathLike[str] | TextEmbedder | None = None,
    device: Device = "cpu",
) -> Addition:
    """Add models that an artifact does not hold, from their outcomes on some prompts.

    Clusters, and the columns of the known models, keep their bits. New models come after the
    known ones, so that an index keeps its meaning. A new model's success is a Bayesian linear
    regression on those of the known models (docs/new-models.md).

    Args:
        artifact: Artifact to add to.
        table: Outcomes of the new models; ``OutcomeTable.read(path, min_models=1)`` reads
            those of a single model. Outcomes of the default model on the same prompts, if
            any, lower the variance.
        models: Names of the models to add; outcomes of others are then not read. By default
            all models of the table but the default model; the artifact may hold none of them.
        embedder: Embedder of the artifact, if it is not bundled: a folder or an open embedder.
        device: As in `hypernova.fit`.

    Returns:
        The new artifact and a summary of each added model. The metadata of the artifact list
        the addition under ``changes``.

    Raises:
        ModelPoolError: The artifact holds a model already, the table has no outcome of it, or
            it is named twice.
        EmbedderMismatchError: The artifact routes vectors only and the table brings none of
            its kind, or the embedder is not the artifact's.

    Example:
        >>> import hypernova
        >>> artifact = hypernova.Router.open().artifact
        >>> table = hypernova.OutcomeTable.from_arrays(
        ...     task_ids=["a", "b"], prompts=["Fix the race", "Add a test"],
        ...     models=["new"], score=[[1], [0]], min_models=1)
        >>> hypernova.add_model(artifact, table).artifact.models[-1]
        'new'
    """
    check_table(table, ModelPoolError)
    names = new_models(artifact, table, models)
    vectors = vectors_of_table(artifact, table, embedder, device)
    located = LocatedPrompts.of(artifact, vectors)
    outcomes = {name: outcomes_of(artifact, table, located, name) for name in names}
    new = {name: estimate_new_model(artifact, outcomes[name]) for name in names}
    columns = ModelColumns.of(artifact)
    for name in names:
        columns = columns.beside(new[name].columns)
    note = {
        "what": "add_model",
        "table": table.name,
        "models": [
            {
                "model": name,
                "prompts": len(outcomes[name].score),
                "paired": int((~np.isnan(outcomes[name].default)).sum()),
                "shared_luck": round(new[name].control_coefficient, 6),
            }
            for name in names
        ],
    }
    made = rebuild(
        artifact,
        [*artifact.models, *names],
        columns,
        artifact.default_model,
        noted(artifact, note),
    )
    return Addition(made, tuple(_summary(made, name, outcomes[name], new[name]) for name in names))


def new_models(
    artifact: Artifact, table: OutcomeTable, models: str | Sequence[str] | None
) -> list[str]:
    """Return the names to add, sorted; raises as `add_model`."""
    default = artifact.default_model
    if isinstance(models, str):
        models = [models]
    asked = [name for name in table.models if name != default] if models is None else list(models)
    for name in asked:
        if asked.count(name) > 1:
            raise ModelPoolError(f"the model {name!r} is named twice; name it once")
        if name in artifact.models:
            others = "" if models is not None else "; or name the models to add, and only these"
            raise ModelPoolError(
                f"the artifact holds the model {name!r} already: add its outcomes with "
                f"recalibrate, or start it anew after remove-model{others}"
            )
        if name not in table.models or np.isnan(_scores(table, name)).all():
            raise ModelPoolError(
                f"the table {table.name} has no outcome of the model {name!r}; it has some of "
                f"{quoted_list(table.models)}"
            )
        check_new_name(artifact, name)
    if not asked:
        raise ModelPoolError(
            f"the table {table.name} has outcomes of {default!r} only, the default model, which "
            "the artifact holds already; give those of a new model, or use recalibrate"
        )
    return sorted(asked)


def _scores(table: OutcomeTable, name: str) -> Floats:
    column: Floats = table.score[:, table.models.index(name)]
    return column


def outcomes_of(
    artifact: Artifact, table: OutcomeTable, located: LocatedPrompts, name: str
) -> ModelOutcomes:
    """Select the outcomes of one model from a table whose prompts were located."""
    at = np.flatnonzero(~np.isnan(_scores(table, name)))
    default = artifact.default_model
    known, own = default in table.models, table.models.index(name)
    return ModelOutcomes(
        located=located.subset(at),
        score=_scores(table, name)[at],
        n=table.n[at, own],
        default=_scores(table, default)[at] if known else np.full(len(at), np.nan),
        cost_usd=table.cost_usd[at, own],
        latency_s=table.latency_s[at, own],
        input_tokens=table.input_tokens[at, own],
        output_tokens=table.output_tokens[at, own],
        chars=table.prompt_chars()[at],
        groups=[table.groups[i] for i in at],
    )


def estimate_new_model(artifact: Artifact, outcomes: ModelOutcomes) -> NewModel:
    """Estimate a new model's column of the profile from its outcomes; there may be none."""
    score, located = outcomes.score, outcomes.located
    noise = _variance(score)
    prior = Prior(artifact, noise)
    expected, features = prior.prompts(located)
    paired = ~np.isnan(outcomes.default)
    control = np.where(paired, outcomes.default - _default_success(artifact, located), 0.0)
    coefficient = _control_coefficient(score[paired] - expected[paired], control[paired])
    adjusted = score - coefficient * control
    noises = np.where(paired, _variance(adjusted[paired]), _variance(score[~paired]))
    posterior = prior.posterior(features, adjusted - expected, noises)
    # The known models' estimates have errors of their own. As far as the control variate
    # explains the new model's outcomes, the error of the default model's estimate cancels out.
    unpaired = 1.0 - coefficient * (float(paired.mean()) if len(paired) else 0.0)
    k = artifact.n_clusters
    expenses = outcomes.cost_usd[:, None], outcomes.latency_s[:, None]
    sums = sum_outcomes(score[:, None], *expenses, located.clusters, k)
    mean = ratio(sums["score"], sums["n"], 0.0)[:, 0]
    own = estimated(Profile.of(artifact), artifact, *prior.rows(), posterior, unpaired)
    correction = prior.linear_correction(posterior)
    profile = replace(
        own,
        counts=count_effective(score[:, None], outcomes.n[:, None], located.clusters, k),
        mean=column(np.clip(mean, 0.0, 1.0)),
        cost=column(expense(sums["cost_n"], sums["cost"], artifact.cost)),
        latency=column(expense(sums["latency_n"], sums["latency"], artifact.latency)),
        slopes=None if correction is None else correction.slopes,
        offsets=None if correction is None else correction.offsets,
    )
    columns = ModelColumns(
        profile,
        group_columns(artifact, outcomes, prior, posterior, unpaired, profile),
        token_columns(artifact, outcomes),
    )
    return NewModel(prior, posterior, noise, coefficient, columns)


def _variance(values: Floats) -> float:
    """Estimate the variance of outcomes, shrunk towards the largest possible one.

    A few equal outcomes do not prove that a model never varies.
    """
    n = len(values)
    spread = float(((values - values.mean()) ** 2).sum()) if n else 0.0
    return (spread + OVERALL_WEIGHT * MAX_SCORE_VARIANCE) / (n + OVERALL_WEIGHT)


def _control_coefficient(residuals: Floats, control: Floats) -> float:
    """Regress a new model's residuals on the default model's, its control variate.

    Args:
        residuals: Of the new model, (n,).
        control: Of the default model on the same prompts, (n,).

    Returns:
        The coefficient, shrunk to 0 and clipped to 0..1. Multiplied by it, the control is
        taken off the outcomes: 1 gives the paired difference, 0 an unpaired one.
    """
    if not len(control):
        return 0.0
    residuals, control = residuals - residuals.mean(), control - control.mean()
    weight = float((control**2).sum()) + OVERALL_WEIGHT * MAX_SCORE_VARIANCE
    return min(max(float((residuals * control).sum()) / weight, 0.0), 1.0)


def _default_success(artifact: Artifact, located: LocatedPrompts) -> Floats:
    """Estimate the default model's success for each prompt, (n,)."""
    default = artifact.models.index(artifact.default_model)
    success = located.rows @ artifact.success[:, default].astype(np.float64)
    if artifact.slopes is not None and artifact.offsets is not None:
        correction = artifact.offsets[default] + located.vectors @ artifact.slopes[default]
        success = success + np.where(located.novel, 0.0, correction)
    clipped: Floats = np.clip(success, 0.0, 1.0)
    return clipped


def _summary(made: Artifact, name: str, outcomes: ModelOutcomes, new: NewModel) -> AddedModel:
    index = made.models.index(name)
    proven = 0
    # Guard and margin are independent of the artifact's own limits; the choice of a model is not.
    for decision in made.decide_many(made.centroids, **NO_LIMITS):
        order = [entry.model for entry in decision.ranking]
        default = order.index(made.default_model) if made.default_model in order else len(order)
        proven += name in order[:default]
    return AddedModel(
        model=name,
        prompts=len(outcomes.score),
        paired=int((~np.isnan(outcomes.default)).sum()),
        novel=int(outcomes.located.novel.sum()),
        success=float(made.success[-1, index]),
        error=float(made.standard_error[-1, index]),
        control_coefficient=new.control_coefficient,
        clusters_chosen=int((chosen_models(made, made.centroids) == index).sum()),
        clusters_proven=proven,
        prompts_chosen=int((chosen_models(made, outcomes.located.vectors) == index).sum()),
    )
