"""Make artifacts of a given shape as `hypernova.fit` makes them, for benchmarks of time.

Not here: fitting. Everything that a fit leaves in an artifact is there, in sizes as on the tables
that fits were looked at for (SWE-bench Verified: 8 x 512, 24 models; a mixed one: 14 x 512, 9
models): clusters blended over the 8 nearest with a sharpness of 150 to 310, centroids 1.6 to 1.9
long, a linear correction whose slopes are 0.3 to 0.8 long, a margin, and groups with corrections of
their own. Values are drawn, so decisions mean nothing.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

import hypernova

SHAPES = [(100, 384), (16, 512)]
MODELS = 24
_GROUPS, _NEAREST, _SHARPNESS = 8, 8, 150.0


def fitted_artifact(
    clusters: int, dim: int, models: int = MODELS, *, minor: int = 3
) -> hypernova.Artifact:
    """Make an artifact as a fit makes it.

    Args:
        clusters: Number of clusters.
        dim: Length of a vector.
        models: Number of models.
        minor: Minor version of the format: below 3 without margin and groups, as version 0.1.0
            reads it.
    """
    rng = np.random.default_rng(0)

    def directions(rows: int, length: float) -> np.ndarray:
        drawn = rng.normal(size=(rows, dim))
        drawn *= length / np.linalg.norm(drawn, axis=1, keepdims=True)
        return np.ascontiguousarray(drawn, dtype=np.float32)

    quality = rng.normal(0.6, 0.06, size=models)

    def profile(rows: int) -> dict[str, Any]:
        shape = (rows, models)
        success = np.clip(quality + rng.normal(0.0, 0.04, size=shape), 0.0, 1.0)
        return {
            "counts": np.full(shape, 40.0),
            "mean": success.astype(np.float32),
            "success": success.astype(np.float32),
            "standard_error": rng.uniform(0.02, 0.08, size=shape).astype(np.float32),
            "gain_error": rng.uniform(0.02, 0.08, size=shape).astype(np.float32),
            "cost": rng.lognormal(-4.0, 1.0, size=shape).astype(np.float32),
            "latency": rng.lognormal(2.0, 0.5, size=shape).astype(np.float32),
        }

    more: dict[str, Any] = {}
    if minor >= 3:
        groups = profile(_GROUPS)
        more["margin"] = 0.02
        more["group_profiles"] = groups | {
            "names": [f"group-{i}" for i in range(_GROUPS)],
            "tasks": np.full(_GROUPS, 40.0),
            "offsets": rng.normal(0.0, 0.01, size=(_GROUPS, models)).astype(np.float32),
            "slopes": directions(models, 0.35),
        }
    identity = {"kind": "vectors", "name": "bench", "dim": dim, "fingerprint": "0" * 64}
    return hypernova.Artifact.build(
        models=[f"model-{i}" for i in range(models)],
        # A part that all share: embeddings of prompts lie in a cone.
        centroids=directions(clusters, 1.4) + directions(1, 0.8),
        **profile(clusters + 1),
        novelty=np.linspace(0.9, 2.2, 101, dtype=np.float32),
        embedder=json.dumps(identity),
        metadata="{}",
        default_model=int(quality.argmax()),
        novelty_limit=0.99,
        shrinkage=40.0,
        sharpness=_SHARPNESS,
        n_nearest=_NEAREST,
        slopes=directions(models, 0.35),
        offsets=rng.normal(0.0, 0.02, size=models).astype(np.float32),
        **more,
    )


def near_prompts(artifact: hypernova.Artifact, count: int) -> np.ndarray:
    """Draw unit vectors (count, dim) that are not novel: a centroid plus noise."""
    rng = np.random.default_rng(1)
    taken = artifact.centroids[rng.integers(0, artifact.n_clusters, count)]
    noisy = taken + rng.normal(size=taken.shape) * 1.2 / np.sqrt(artifact.dim)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    return np.ascontiguousarray(noisy, dtype=np.float32)
