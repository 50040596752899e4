"""Time a decision from Python, stage by stage.

Not here: comparisons with other libraries, and assertions about time. Each benchmark
asserts its answer before it is timed. Run: make bench
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from benches.fitted import SHAPES as FITTED_SHAPES
from benches.fitted import fitted_artifact, near_prompts

import hypernova
from hypernova.embedder import Embedder

SHAPES = [(20, 384), (100, 384), (1_000, 384), (100, 1_536), (1_000, 1_536)]
MODELS = 25
SHORT = "Fix the race in the scheduler: two workers may take the same job from the queue"
LONG = (
    SHORT + ". " + "The traceback shows a KeyError in the dispatcher when a job is retried. " * 14
)
TEXTS = {"short": SHORT, "long": LONG, "1MB": LONG * 1_000}


def make_artifact(
    clusters: int, dim: int, identity: dict[str, object] | None = None
) -> hypernova.Artifact:
    rng = np.random.default_rng(0)
    centroids = rng.normal(size=(clusters, dim)).astype(np.float32)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)

    def profile() -> np.ndarray:
        return rng.random((clusters + 1, MODELS)).astype(np.float32)

    identity = identity or {"kind": "vectors", "name": "bench", "dim": dim, "fingerprint": "0" * 64}
    return hypernova.Artifact.build(
        models=[f"model-{i}" for i in range(MODELS)],
        centroids=centroids,
        counts=np.ones((clusters + 1, MODELS)),
        mean=profile(),
        success=profile(),
        standard_error=profile(),
        gain_error=profile(),
        cost=profile(),
        latency=profile(),
        novelty=np.array([0, 4], dtype=np.float32),
        embedder=json.dumps(identity),
        metadata="{}",
        default_model=0,
    )


def numpy_nearest(artifact: hypernova.Artifact, vector: np.ndarray) -> int:
    return int(((artifact.centroids - vector) ** 2).sum(axis=1).argmin())


@pytest.fixture(scope="module")
def bundled() -> hypernova.Router:
    return hypernova.Router.open()


@pytest.mark.parametrize(("clusters", "dim"), FITTED_SHAPES)
def test_decide_as_fit_makes_it(benchmark, clusters: int, dim: int) -> None:
    artifact = fitted_artifact(clusters, dim)
    vector = near_prompts(artifact, 1)[0]
    decision = artifact.decide(vector)
    assert decision.cluster == numpy_nearest(artifact, vector)
    assert decision.model == decision.ranking[0].model
    benchmark(artifact.decide, vector)


@pytest.mark.parametrize(("clusters", "dim"), SHAPES)
def test_decide(benchmark, clusters: int, dim: int) -> None:
    artifact = make_artifact(clusters, dim)
    vector = np.random.default_rng(1).normal(size=dim).astype(np.float32)
    assert artifact.decide(vector).cluster == numpy_nearest(artifact, vector)
    benchmark(artifact.decide, vector)


def test_decide_with_options(benchmark) -> None:
    artifact = make_artifact(100, 384)
    vector = np.random.default_rng(1).normal(size=384).astype(np.float32)
    options = {"cost_weight": 0.5, "deny": ["model-3"], "max_cost_usd": 0.9}
    assert artifact.decide(vector, **options).model != "model-3"
    benchmark(artifact.decide, vector, **options)


def test_decide_many_1024(benchmark) -> None:
    artifact = make_artifact(100, 384)
    matrix = np.random.default_rng(1).normal(size=(1_024, 384)).astype(np.float32)
    decided = artifact.decide_many(matrix)
    assert [d.model for d in decided] == [artifact.decide(row).model for row in matrix]
    benchmark(artifact.decide_many, matrix)


@pytest.mark.parametrize(("clusters", "dim"), [(100, 384), (1_000, 1_536)])
def test_open(benchmark, tmp_path, clusters: int, dim: int) -> None:
    path = tmp_path / "router.hnv"
    artifact = make_artifact(clusters, dim)
    artifact.save(path)
    assert hypernova.Artifact.open(path).sha256 == artifact.sha256
    benchmark(hypernova.Artifact.open, path)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("embedder", ["static", "minilm"])
def test_embed(benchmark, embedder: str, text: str) -> None:
    used = Embedder.load(embedder)
    np.testing.assert_allclose(used.embed_one(text), used.embed([text])[0], atol=1e-6)
    benchmark(used.embed_one, text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_route_static(benchmark, bundled: hypernova.Router, text: str) -> None:
    assert bundled.route(text).model == bundled.route_many([text])[0].model
    benchmark(bundled.route, text)
