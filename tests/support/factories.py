"""Outcome tables that are made up, so that the best answer is known.

Not here: tests.
"""

from __future__ import annotations

import numpy as np

import hypernova


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of unit length, float32."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def blobs(rng: np.random.Generator, centres: int, each: int, dim: int = 16, spread: float = 0.05):
    """Unit vectors around well separated centres, and the centre of each."""
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
    """Turn a share of outcomes of 0 and 1 over."""
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
    """Two kinds of task, and two models that are good at one each; optimum known."""
    vectors, labels = blobs(rng, centres=2, each=n // 2)
    score = np.where(labels[:, None] == np.arange(2), 1.0, 0.0)
    return make_table(vectors, flipped(rng, score, swap), **columns), labels
