"""A made-up service: an artifact, prompts of a world whose rates are known, and its real log.

Not here: lines of logs that no service writes; tests make those up where they use them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import hypernova
from hypernova.training.assemble import assemble
from hypernova.training.clustering.clusters import Clusters
from hypernova.training.estimates.profile import Evidence, estimate
from support.factories import blobs, make_table, unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Rates of three models in three clusters: m1 is the default model, m0 is better in the first.
RATES = np.array([[0.8, 0.5, 0.5], [0.5, 0.8, 0.4], [0.6, 0.7, 0.4]])
COST, LATENCY = 0.01, 2.0


def fitted_service(rates=RATES, each: int = 300, **metadata: object) -> hypernova.Artifact:
    """Assemble an artifact of a table whose mean scores are exactly these rates, costs known."""
    k, m = rates.shape
    vectors, labels = blobs(np.random.default_rng(1), k, each)
    place = np.tile(np.arange(each), k)
    score = (place[:, None] < rates[labels] * each - 1e-9).astype(float)
    amounts = np.ones((k * each, m))
    table = make_table(vectors, score, cost_usd=COST * amounts, latency_s=LATENCY * amounts)
    return assemble(
        table.models,
        Clusters(np.eye(16, dtype=np.float32)[:k]),
        estimate(Evidence.of(table, labels, k), 1.0),
        shrinkage=1.0,
        guard_z=0.0,
        distances=np.linalg.norm(vectors - np.eye(16)[labels], axis=1),
        metadata={"cluster_sizes": [each] * k, **metadata},
    )


def serve(
    router: hypernova.Artifact | hypernova.Router,
    folder: Path,
    n: int,
    *,
    truth: np.ndarray | Callable[[int], np.ndarray] = RATES,
    explore: float = 0.1,
    mix: tuple[float, ...] | None = None,
    spread: float = 0.05,
    cost: float = 1.0,
    latency: float = 1.0,
    scored: float = 1.0,
    seed: int = 0,
    **options: object,
) -> list[hypernova.Decision]:
    """Serve prompts of a world, and log what happens as a service does.

    Args:
        router: An artifact, or a router, which decides for vectors.
        folder: Of the log.
        n: Number of prompts.
        truth: True rates (k, m), or a function of the prompt's number that gives them.
        explore: As the route option.
        mix: Shares of the clusters; equal by default.
        spread: Spread of the vectors; in training it is 0.05.
        cost: Mean cost over the profile's.
        latency: Mean latency over the profile's.
        scored: Share of the decisions that have an outcome.
        seed: Of the world.
        **options: Further route options.
    """
    rng = np.random.default_rng(seed)
    artifact = router if isinstance(router, hypernova.Artifact) else router.artifact
    k = artifact.n_clusters
    labels = rng.choice(k, n, p=mix)
    vectors = unit(np.eye(16)[labels] + spread * rng.normal(size=(n, 16)))
    seeds = rng.integers(2**63, size=n).tolist()
    decisions = []
    with hypernova.OutcomeLog(folder) as log:
        for i in range(n):
            decision = router.decide(vectors[i], explore=explore, explore_seed=seeds[i], **options)
            log.record_decision(decision)
            decisions.append(decision)
            rates = truth(i) if callable(truth) else truth
            rate = rates[labels[i], artifact.models.index(decision.model)]
            if rng.random() < scored:
                log.record_outcome(
                    decision,
                    float(rng.random() < rate),
                    cost_usd=cost * COST * rng.exponential(),
                    latency_s=latency * LATENCY * rng.exponential(),
                )
    return decisions
