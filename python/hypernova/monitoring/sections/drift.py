"""Novelty and the mix of clusters against training.

Not here: success on them (see ``calibration``). Decisions count with or without outcome, those of
ancestors too: recalibrating keeps clusters and novelty.

**Mix.** The total variation distance of two mixes is the largest difference that the share of any
set of clusters shows. Each block of decisions is asked for the clusters that were too frequent in
the blocks before it: its share of them, less their share in training, is on average at most the
distance. The choice of the set is made before the decisions that it is tried on, so that an
interval of these numbers, valid at every look, proves a distance (a classifier two-sample test, in
sequence; Podkopaev and Ramdas 2023, "Sequential predictive two-sample and independence testing").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypernova.monitoring.observations import count_by
from hypernova.monitoring.report_fields import ClusterMix, ClusterShare, Novelty
from hypernova.monitoring.sequences import MeanSequence
from hypernova.report_values import Interval

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.monitoring.observations import Columns, Training
    from hypernova.numeric import Floats, Ints

# A tenth of the prompts of another cluster, beyond the sampling error of the table's own mix.
MIX_TOLERANCE = 0.1
# Novel prompts beyond those of training: with the usual limit 1% are expected, and 5% tolerated.
NOVEL_TOLERANCE = 0.04
# Decisions that are asked for one set of clusters.
BLOCK = 100


def novelty(artifact: Artifact, decisions: Columns, level: float) -> Novelty:
    """Compare the share of novel prompts with that of training.

    Args:
        artifact: The artifact.
        decisions: Of the artifact and its ancestors.
        level: Of the interval.
    """
    limit = float(artifact.policy["novelty_limit"])
    values = decisions["novelty"][decisions["named"] == 0]
    novel = (values > limit).astype(np.float64)
    sequence = MeanSequence(level=level)
    sequence.add(novel)
    ci = Interval(*sequence.interval())
    expected = 1.0 - limit
    return Novelty(
        n=len(novel),
        limit=limit,
        expected=expected,
        observed=float(novel.mean()) if len(novel) else None,
        ci=ci,
        tolerance=NOVEL_TOLERANCE,
        mean=float(values.mean(dtype=np.float64)) if len(novel) else None,
        off=ci.low > expected + NOVEL_TOLERANCE,
    )


def cluster_mix(
    artifact: Artifact, decisions: Columns, training: Training, level: float
) -> ClusterMix:
    """Compare the shares of clusters with those of training.

    Args:
        artifact: The artifact.
        decisions: Of the artifact and its ancestors.
        training: Number of tasks of each cluster.
        level: Of the proven distance.
    """
    k, tasks = artifact.n_clusters, float(training.sizes.sum())
    trained = training.sizes / tasks if tasks > 0 else np.full(k, 1.0 / k)
    counts = count_by(decisions["cluster"], k)
    n = len(decisions)
    observed = counts / max(n, 1)
    sequence = MeanSequence(low=-1.0, high=1.0, level=level)
    sequence.add(_excess(decisions["cluster"], trained, k))
    at_least = max(sequence.interval()[0], 0.0)
    # The expected distance of a sample of `tasks` from its own distribution, and the prior's.
    sampling = float(np.sqrt(trained * (1.0 - trained) / (2.0 * np.pi * max(tasks, 1.0))).sum())
    tolerance = min(MIX_TOLERANCE + sampling, 1.0)
    moved = sorted(range(k), key=lambda c: (-abs(observed[c] - trained[c]), c))
    return ClusterMix(
        n=n,
        distance=float(np.abs(observed - trained).sum() / 2.0) if n else None,
        at_least=at_least,
        tolerance=tolerance,
        clusters=tuple(
            ClusterShare(
                cluster=c,
                words=tuple(training.words[c]),
                trained=float(trained[c]),
                observed=float(observed[c]) if n else None,
                n=int(counts[c]),
            )
            for c in moved
        ),
        off=at_least > tolerance,
    )


def _excess(clusters: Ints, trained: Floats, k: int) -> Floats:
    """Compute for each decision whether its cluster was too frequent before, less the chance of it.

    Args:
        clusters: (n,) clusters in order of arrival.
        trained: (k,) shares in training.
        k: Number of clusters.

    Returns:
        float64 (n,), -1 to 1.
    """
    values = np.zeros(len(clusters))
    counts: Ints = np.zeros(k, np.int64)
    for start in range(0, len(clusters), BLOCK):
        block = clusters[start : start + BLOCK]
        frequent = counts > trained * start
        values[start : start + BLOCK] = frequent[block] - trained[frequent].sum()
        counts += count_by(block, k)
    return values
