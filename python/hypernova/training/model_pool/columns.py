"""Estimate the columns of a new model: rows of clusters and groups, costs and tokens.

Not here: the posterior that success follows from (see ``prior`` and ``add``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hypernova.artifact.profile import GroupProfiles, Profile, TokenProfiles, clusters_of_groups
from hypernova.training.estimates.outcome_sums import sum_tokens
from hypernova.training.estimates.repeats import count_effective
from hypernova.training.estimates.sums import ratio, sum_by_cell
from hypernova.training.estimates.token_use import TokenUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints
    from hypernova.training.model_pool.prior import LocatedPrompts, Posterior, Prior

# Weight of the prior of a cluster's mean cost, in outcomes; the prior comes from the known
# models' costs.
COST_PRIOR_WEIGHT = 10.0


@dataclass(frozen=True)
class ModelOutcomes:
    """Outcomes of one new model on n prompts.

    Attributes:
        located: The prompts.
        score: (n,) in 0..1.
        n: Number of outcomes behind each score, (n,).
        default: (n,) score of the default model on the same prompt, NaN where unknown.
        cost_usd: (n,), NaN where unknown.
        latency_s: (n,), NaN where unknown.
        input_tokens: (n,), NaN where unknown.
        output_tokens: (n,), NaN where unknown.
        chars: Number of characters of each prompt, (n,).
        groups: Group of each prompt, None where it has none.
    """

    located: LocatedPrompts
    score: Floats
    n: Floats
    default: Floats
    cost_usd: Floats
    latency_s: Floats
    input_tokens: Floats
    output_tokens: Floats
    chars: Ints
    groups: Sequence[str | None]


def column(values: Floats) -> NDArray[np.float32]:
    """Return values (n,) as a column, float32 (n, 1)."""
    return np.ascontiguousarray(values[:, None], dtype=np.float32)


def estimated(
    known: Profile,
    artifact: Artifact,
    level: Floats,
    rows: Floats,
    posterior: Posterior,
    unpaired: float,
) -> Profile:
    """Estimate the success of a new model, with errors, for rows of a profile; nothing else.

    Args:
        known: The rows, with the known models.
        artifact: Holds the known models.
        level: Prior mean of the rows, (n,).
        rows: Their features, (n, p).
        posterior: Of the features' weights.
        unpaired: Part of the default model's error that does not cancel out.
    """
    error = posterior.standard_error(rows)
    default = known.standard_error[:, artifact.models.index(artifact.default_model)]
    gain_error = np.sqrt(error**2 + (unpaired * default.astype(np.float64)) ** 2)
    nothing = np.zeros((len(rows), 1))
    return Profile(
        counts=nothing,
        mean=column(nothing[:, 0]),
        success=column(np.clip(level + rows @ posterior.weights, 0.0, 1.0)),
        standard_error=column(error),
        gain_error=column(gain_error),
        cost=column(np.full(len(rows), np.nan)),
        latency=column(np.full(len(rows), np.nan)),
        slopes=None,
        offsets=None,
    )


def group_columns(
    artifact: Artifact,
    outcomes: ModelOutcomes,
    prior: Prior,
    posterior: Posterior,
    unpaired: float,
    profile: Profile,
) -> GroupProfiles | None:
    """Estimate a new model's column of the groups' profiles, with the costs of their clusters.

    What the known models say of a group leads to an expectation, towards which the mean score of
    the group's own outcomes is shrunk.
    """
    groups = GroupProfiles.of(artifact)
    if groups is None:
        return None
    clusters = clusters_of_groups(artifact)
    level, rows = prior.group_rows(groups.profile.success, clusters)
    correction = prior.group_correction(posterior, groups)
    expected = estimated(groups.profile, artifact, level, rows, posterior, unpaired)
    place = {name: g for g, name in enumerate(groups.names)}
    known = np.array([name in place for name in outcomes.groups], dtype=bool)
    at = np.array([place[name] for name in outcomes.groups if name in place], dtype=np.int64)
    n = sum_by_cell(np.ones(len(at)), at, (len(place), 1))
    score = sum_by_cell(outcomes.score[known], at, (len(place), 1))
    scores, behind = outcomes.score[known, None], outcomes.n[known, None]
    weight = max(artifact.policy["shrinkage"], 1.0)
    success = (score + weight * expected.success) / (n + weight)
    return GroupProfiles(
        names=groups.names,
        tasks=groups.tasks,
        profile=replace(
            expected,
            counts=count_effective(scores, behind, at, len(place))[:-1],
            mean=ratio(score, n, 0.0).astype(np.float32),
            success=success.astype(np.float32),
            cost=np.ascontiguousarray(profile.cost[clusters]),
            latency=np.ascontiguousarray(profile.latency[clusters]),
        ),
        offsets=None if correction is None else correction[0],
        slopes=None if correction is None else correction[1],
    )


def token_columns(artifact: Artifact, outcomes: ModelOutcomes) -> TokenProfiles | None:
    """Estimate the tokens of a new model; None if the artifact has none of the known models."""
    known = TokenProfiles.of(artifact)
    if known is None:
        return None
    sums = sum_tokens(
        outcomes.input_tokens[:, None],
        outcomes.output_tokens[:, None],
        outcomes.chars,
        outcomes.located.clusters,
        artifact.n_clusters,
    )
    read, written = (
        column(expense(sums[f"{name}_n"], sums[name], of_known))
        for name, of_known in (("input_tokens", known.input), ("output_tokens", known.output))
    )
    use = TokenUse.of(sums)
    clusters = None if known.group_input is None else clusters_of_groups(artifact)
    return TokenProfiles(
        per_prompt=np.full((1, 2), np.nan, np.float32) if use is None else use.prompt_tokens,
        input=read,
        output=written,
        group_input=None if clusters is None else np.ascontiguousarray(read[clusters]),
        group_output=None if clusters is None else np.ascontiguousarray(written[clusters]),
    )


def expense(n: Floats, total: Floats, others: Floats) -> Floats:
    """Estimate mean cost or latency by row of the profile.

    A cluster that is expensive for the known models is expected to be so for the new one, and
    its mean leans on that.

    Args:
        n: Number of known ones of the new model, (k + 1, 1).
        total: Their sum, (k + 1, 1).
        others: Of the known models, (k + 1, m), NaN where unknown.

    Returns:
        (k + 1,); NaN if none is known.
    """
    n, total = n[:, 0], total[:, 0]
    if n[-1] == 0:
        return np.full(len(others), np.nan)
    usable = ~np.isnan(others).any(axis=0) & (others[-1] > 0.0)
    relative = np.ones(len(others))
    if usable.any():
        of_each = others[:, usable].astype(np.float64)
        relative = (of_each / of_each[-1]).mean(axis=1)
    expected = float(n[:-1] @ relative[:-1])
    rate = float(total[-1]) / (expected if expected > 0.0 else float(n[-1]))
    rows = (total[:-1] + COST_PRIOR_WEIGHT * rate * relative[:-1]) / (n[:-1] + COST_PRIOR_WEIGHT)
    return np.append(rows, rate * relative[-1])
