"""Artifacts that decide differently. Not here: files of prompts and logs."""

from __future__ import annotations

import numpy as np
import pytest

import hypernova
from support.factories import unit
from support.paths import TABLE

LEFT_OUT, RENAMED = 3, 5


@pytest.fixture(scope="session")
def old() -> hypernova.Artifact:
    """The bundled artifact, of text."""
    return hypernova.Router.open().artifact


@pytest.fixture(scope="session")
def new(old: hypernova.Artifact) -> hypernova.Artifact:
    """Other estimates, one model less and one renamed, and another default model."""
    rng = np.random.default_rng(0)
    kept = [m for m in range(old.n_models) if m != LEFT_OUT]
    columns = {
        name: np.ascontiguousarray(getattr(old, name)[:, kept])
        for name in (
            *("counts", "mean", "success", "standard_error", "gain_error", "cost", "latency"),
        )
    }
    noise = rng.normal(0.0, 0.1, columns["success"].shape)
    columns["success"] = np.clip(columns["success"] + noise, 0, 1).astype(np.float32)
    names = [old.models[m] if m != RENAMED else "a new model" for m in kept]
    slopes = {name: np.ascontiguousarray(getattr(old, name)[kept]) for name in _slopes(old)}
    return old.replace(
        models=names, default_model=0, group_profiles=None, token_profiles=None,
        **columns, **slopes,
    )  # fmt: skip


@pytest.fixture(scope="session")
def elsewhere(old: hypernova.Artifact) -> hypernova.Artifact:
    """The same models with the other bundled embedder."""
    embedder = hypernova.Embedder.load("minilm")
    rng = np.random.default_rng(1)
    return old.replace(
        centroids=unit(rng.normal(size=(old.n_clusters, embedder.dim))),
        embedder={"kind": "text", **embedder.identity, "fingerprint": embedder.fingerprint},
        slopes=None, offsets=None, group_profiles=None,
    )  # fmt: skip


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Prompts of several kinds."""
    return list(hypernova.OutcomeTable.read(TABLE).prompts[::16])


def _slopes(artifact: hypernova.Artifact) -> tuple[str, ...]:
    return () if artifact.slopes is None else ("slopes", "offsets")
