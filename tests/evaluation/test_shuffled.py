"""Real outcomes dealt out to the wrong tasks: there is nothing to learn from the text.

Not here: shuffled outcomes in `evaluate` (see test_evaluate).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypernova
from hypernova.embedder import Embedder
from hypernova.training.cross_validation import deal_folds
from hypernova.training.trainer import learn

if TYPE_CHECKING:
    from collections.abc import Iterator


def shuffled(table: hypernova.OutcomeTable, rng: np.random.Generator) -> hypernova.OutcomeTable:
    """Rows of outcomes in another order: models agree on a task as they did."""
    order = rng.permutation(table.n_tasks)
    columns = {name: getattr(table, name)[order] for name in ("score", "cost_usd", "latency_s")}
    return dataclasses.replace(table, **columns)


def held_out(
    table: hypernova.OutcomeTable, vectors: np.ndarray, folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Held-out tasks of each fold, and the models that a router of the others chooses."""
    fold = deal_folds(table.prompt_groups(), folds, np.random.default_rng(seed))
    for f in range(folds):
        train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        artifact = learn(table.subset(train), vectors[train], seed=seed).artifact()
        yield test, artifact.decide_many(vectors[test]).model_indices


@pytest.mark.slow
def test_swebench_verified(shared) -> None:
    """Three shuffles, two folds each: no better than the best two single models by chance.

    The bound is the mean of the two best models' rates in hindsight, which nothing tells
    apart, and three standard errors of a rate over the held-out tasks of all shuffles.
    """
    table = hypernova.OutcomeTable.read(shared / "data" / "swebench_verified")
    vectors = Embedder.load("static").embed(table.prompts)
    scores: list[float] = []
    for seed in range(3):
        dealt = shuffled(table, np.random.default_rng(seed))
        for tasks, chosen in held_out(dealt, vectors, 2, seed):
            scores += dealt.score[tasks, chosen].tolist()
    assert len(scores) == 3 * table.n_tasks
    rate = float(np.sort(table.score.mean(axis=0))[-2:].mean())
    assert np.mean(scores) < rate + 3 * np.sqrt(rate * (1 - rate) / len(scores))


@pytest.mark.slow
def test_llmrouter_mixed(shared) -> None:
    """One split: a model 0.04 ahead of all others is not left for what a prompt says."""
    table = hypernova.OutcomeTable.read(shared / "data" / "llmrouter_mixed")
    vectors = Embedder.load("static").embed(table.prompts)
    dealt = shuffled(table, np.random.default_rng(0))
    tasks, chosen = next(held_out(dealt, vectors, 5, 0))
    single = dealt.score[tasks].mean(axis=0).max()
    assert dealt.score[tasks, chosen].mean() > single - 0.002
