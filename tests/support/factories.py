"""Made-up tables, artifacts and decisions, of which the best answer is known.

Not here: random examples of hypothesis (strategies.py), and files of tables (tables.py).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import cache

import numpy as np

import hypernova
from support.paths import TABLE

# The sha256 of the artifact that made-up decisions name.
ARTIFACT = "a" * 64


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to unit length, float32."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def blobs(rng: np.random.Generator, centres: int, each: int, dim: int = 16, spread: float = 0.05):
    """Draw unit vectors around well separated centres, and give the centre of each."""
    basis = np.eye(dim)[:centres]
    labels = np.repeat(np.arange(centres), each)
    return unit(basis[labels] + spread * rng.normal(size=(len(labels), dim))), labels


def interleaved(rng: np.random.Generator, n: int = 800):
    """Vectors around four places, and two groups with half of each place's vectors.

    What tells the groups apart is one small step in one direction, much smaller than
    the way from place to place and the noise in all other directions: k-means finds
    the places, and then the noise.

    Returns:
        Vectors float32 (n, 32), places (n,) in 0..3 and groups (n,) in 0..1.
    """
    place, group = rng.integers(0, 4, n), rng.integers(0, 2, n)
    raw = np.eye(32)[place] + 0.2 * rng.normal(size=(n, 32))
    raw[:, 31] = 0.25 * (2 * group - 1)
    return unit(raw), place, group


def flipped(rng: np.random.Generator, score: np.ndarray, share: float) -> np.ndarray:
    """Swap 0 and 1 in a share of the outcomes."""
    return np.where(rng.random(score.shape) < share, 1.0 - score, score)


def make_table(vectors, score, **columns) -> hypernova.OutcomeTable:
    """Make a table of tasks t0, t1, ... and at most ten models m0, m1, ..."""
    score = np.asarray(score, dtype=float)
    n, m = score.shape
    assert m <= 10  # the table sorts models by name
    arguments = {
        "task_ids": [f"t{i}" for i in range(n)],
        "prompts": [f"prompt {i}" for i in range(n)],
        "models": [f"m{j}" for j in range(m)],
        "score": score,
        "embedding": vectors,
        **columns,
    }
    return hypernova.OutcomeTable.from_arrays(**arguments)


def two_kinds(rng: np.random.Generator, n: int = 240, swap: float = 0.1, **columns):
    """Make a table of two kinds of task and two models, each good at one, and the kinds."""
    vectors, labels = blobs(rng, centres=2, each=n // 2)
    score = np.where(labels[:, None] == np.arange(2), 1.0, 0.0)
    return make_table(vectors, flipped(rng, score, swap), **columns), labels


def uneven_table(n: int, dim: int, holes: float, seed: int = 0, **columns):
    """Make a table on which every estimate has something to do, and its vectors.

    Six kinds of prompt in three groups; five models, of which one has no known cost and two are
    equal; costs and latencies of any size. With holes, one model never saw the first kinds, one
    was hardly tried, and the others miss outcomes at random.
    """
    rng = np.random.default_rng([seed, n, dim])
    vectors, kinds = blobs(rng, centres=6, each=-(-n // 6), dim=dim, spread=0.15)
    vectors, kinds = vectors[:n], kinds[:n]
    m = 5
    rates = np.clip(rng.uniform(0.2, 0.8, (6, m))[kinds] + 0.8 * vectors[:, 8 : 8 + m], 0, 1)
    # Passed or not, half passed, and thirds, which no float holds.
    score = np.where(rng.random((n, m)) < rates, 1.0, rng.choice([0.0, 1 / 3, 0.1], (n, m)))
    score[:, 4] = score[:, 3]
    cost = 10.0 ** rng.uniform(-6, 1, (n, m)) * [1, 1, 1, np.nan, 1]
    latency = np.where(rng.random((n, m)) < 0.5, rng.uniform(0.1, 900, (n, m)), np.nan)
    if holes:
        hole = rng.random((n, m)) < holes
        hole[:, 0] &= rng.random(n) < 0.5
        hole[: n // 2, 1] = True  # a kind that the model never saw
        hole[n // 10 :, 2] = True  # hardly tried
        hole[np.arange(n), rng.integers(3, 5, n)] = False  # each task has an outcome
        score[hole] = cost[hole] = latency[hole] = np.nan
    groups = [f"group {kind % 3}" for kind in kinds]
    given = {"cost_usd": cost, "latency_s": latency, "groups": groups, **columns}
    return make_table(vectors, score, **given), vectors


@cache
def fitted_to_example(clusters: int) -> hypernova.Artifact:
    """Fit an artifact to the simulated table of the examples; once for all tests that serve it."""
    return hypernova.fit(hypernova.OutcomeTable.read(TABLE), clusters=clusters)


@dataclass(frozen=True)
class Entry:
    """One place of the ranking of a made-up decision."""

    model: str
    success: float
    cost_usd: float | None = None
    latency_s: float | None = None


@dataclass(frozen=True)
class Decision:
    """A decision with the fields that the outcome log reads of one."""

    model: str = "m0"
    cluster: int = 0
    propensity: float = 1.0
    success: float = 0.5
    artifact: str = ARTIFACT
    reason: str = "routed"
    novelty: float = 0.25
    others: tuple[Entry, ...] = ()
    group: str | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    default_model: str = "m0"
    shadow: Decision | None = None
    shadow_error: str | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def ranking(self) -> tuple[Entry, ...]:
        return (Entry(self.model, self.success, self.cost_usd, self.latency_s), *self.others)

    @property
    def shadow_artifact(self) -> str | None:
        if self.shadow_error is not None:
            return "b" * 64
        return None if self.shadow is None else self.shadow.artifact


def assembled(
    table, vectors, clusters: int, *, shrinkage=10.0, ridge=None, guard_z=0.0, **given
) -> hypernova.Artifact:
    """Assemble an artifact of the estimates of clusters, and a ridge regression if one is given."""
    from hypernova.training.assemble import assemble
    from hypernova.training.clustering.clusters import Clusters
    from hypernova.training.clustering.kmeans import assign, kmeans
    from hypernova.training.estimates.linear_correction import Coordinates, fit_ridges
    from hypernova.training.estimates.outcome_sums import sum_products
    from hypernova.training.estimates.profile import Evidence, estimate

    found = Clusters(kmeans(vectors, clusters, 0))
    evidence = Evidence.of(table, assign(vectors, found.centroids)[0], found.k)
    correction = None
    if ridge is not None:
        x = Coordinates.of(vectors)
        (correction,) = fit_ridges(sum_products(x.values, table.score), [ridge], x.basis)
    return assemble(
        table.models,
        found,
        estimate(evidence, shrinkage),
        shrinkage=shrinkage,
        guard_z=guard_z,
        correction=correction,
        **given,
    )


def fitted(seed: int = 0, *, ridge: float | None = 60.0, shrinkage: float = 10.0, clusters=4):
    """Fit an artifact of four models and 16 dimensions; return it and its table."""
    rng = np.random.default_rng(seed)
    vectors, labels = blobs(rng, centres=4, each=60, spread=0.2)
    rates = rng.uniform(0.3, 0.7, size=(4, 4))[labels] + 0.2 * vectors[:, 8:12]
    score = (rng.random((240, 4)) < rates).astype(float)
    cost = np.tile([0.1, 0.2, 0.3, 0.4], (240, 1)) * (1 + labels[:, None])
    table = make_table(vectors, score, cost_usd=cost)
    artifact = assembled(
        table,
        vectors,
        clusters,
        shrinkage=shrinkage,
        ridge=ridge,
        guard_z=1.0,
        identity={"kind": "vectors", "name": "a test", "dim": 16, "fingerprint": "0" * 64},
        metadata={"in_sample": {"accuracy": 0.5}},
    )
    return artifact, table


def scored(rng: np.random.Generator, n: int, *, names=("new",), **columns):
    """Make a table of new models' outcomes on n prompts near the clusters."""
    vectors, _ = blobs(rng, centres=4, each=-(-n // 4), spread=0.2)
    given_columns = {"score": rng.integers(0, 2, (n, len(names))).astype(float), **columns}
    return hypernova.OutcomeTable.from_arrays(
        task_ids=[f"s{i}" for i in range(n)],
        prompts=[f"scored {i}" for i in range(n)],
        models=list(names),
        embedding=rng.permutation(vectors)[:n],
        min_models=1,
        **given_columns,
    )
