"""Places of tasks, exchanged for the shuffled control, and the bytes that threads may not change.

Not here: what is estimated from the sums (test_learning_oracle).
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from hypernova.evaluation.protocol import shuffle_tasks
from hypernova.training.estimates.linear_correction import Coordinates
from hypernova.training.partition import find_partition
from hypernova.training.placed_tasks import PlacedTasks
from support.commands import run_python
from support.factories import uneven_table
from support.paths import TESTS


def placed(n: int, dim: int, holes: float, source: str = "prompts") -> PlacedTasks:
    """Tasks of which some have equal prompts, and so equal vectors."""
    prompts = [f"prompt {i - i % 3 if i < 60 else i}" for i in range(n)]
    table, vectors = uneven_table(n, dim, holes, prompts=prompts)
    vectors[1:60:3] = vectors[2:60:3] = vectors[0:60:3]
    clusters = 5 if source == "prompts" else None
    partition = find_partition(table.groups, vectors, n, clusters)
    assert partition.source == source
    return PlacedTasks.of(table, vectors, partition)


class TestExchanged:
    @pytest.mark.parametrize("source", ["prompts", "groups"])
    @pytest.mark.parametrize("holes", [0.0, 0.4])
    @pytest.mark.parametrize("dim", [16, 200])
    def test_equals_placing_the_exchanged_tasks(self, dim, holes, source) -> None:
        """To the bit, though without holes half of the sums are not summed again."""
        tasks = placed(150, dim, holes, source)
        before = tasks.sums(None)
        prompts = tasks.table.prompt_groups()
        for seed in range(5):
            given = shuffle_tasks(prompts, seed)
            assert not np.array_equal(given, np.arange(150))
            seen = tasks.exchanged(given, before)
            coordinates = Coordinates(tasks.coordinates.values[given], tasks.coordinates.basis)
            direct = replace(tasks, coordinates=coordinates, cells=tasks.cells[given])
            expected = direct.sums(None)
            assert set(seen) == set(expected)
            assert (seen.references, seen.classes) == (expected.references, expected.classes)
            for name in expected:
                assert np.array_equal(seen[name], expected[name]), name
            assert not np.array_equal(seen["score"], before["score"])
            assert np.array_equal(seen["score"][-1], before["score"][-1])

    def test_in_place_is_what_it_was(self) -> None:
        tasks = placed(90, 16, 0.0)
        before = tasks.sums(None)
        same = tasks.exchanged(np.arange(90), before)
        assert set(same) == set(before)
        assert all(np.array_equal(same[name], before[name]) for name in before)


class TestSums:
    def test_gains_over_all_models_hold_those_over_the_best(self) -> None:
        """Pieces do not know the default model yet; the whole does."""
        tasks = placed(150, 16, 0.4)
        over_best, over_all = (tasks.sums(r) for r in (None, range(5)))
        (best,) = over_best.references
        for name in ("pair_n", "pair_gain", "pair_gain2"):
            assert np.array_equal(over_best[name][0], over_all[name][best])


FIT = """
import hypernova
from support.factories import uneven_table
table, _ = uneven_table({n}, 256, {holes})
print(hypernova.fit(table, seed=1).sha256)
"""
FIT_GROUPS = """
import numpy as np, hypernova
from support.factories import flipped, interleaved, make_table
rng = np.random.default_rng(0)
vectors, place, group = interleaved(rng, 1500)
vectors = np.hstack([vectors, np.zeros((1500, 224), np.float32)])
score = flipped(rng, ((group + place)[:, None] % 2 == np.arange(2)).astype(float), 0.1)
names = [f"{{p}}{{g}}" for p, g in zip(place, group)]
artifact = hypernova.fit(make_table(vectors, score, groups=names), seed=1)
assert artifact.metadata["setting"]["source"] == "groups"
print(artifact.sha256)
"""
# Folds learn from such sums too, at two sizes below: learning what `fit` throws away takes long.
SUM = """
import hashlib
from hypernova.training.partition import find_partition
from hypernova.training.placed_tasks import PlacedTasks
from support.factories import uneven_table
table, vectors = uneven_table({n}, 256, {holes})
tasks = PlacedTasks.of(table, vectors, find_partition(table.groups, vectors, {n}, 9))
print(hashlib.sha256(tasks.sums(None).to_bytes()).hexdigest())
"""


def in_a_process(program: str, threads: int, **values: float) -> str:
    """Print of a program whose libraries compute in so many threads."""
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    code = program.format(**values)
    return run_python("-c", code, cwd=TESTS, env={**os.environ, **count}, code=0).stdout.strip()


class TestThreads:
    """Of numpy and faiss, in real processes: no byte depends on their number."""

    @pytest.mark.slow
    @pytest.mark.parametrize(("n", "holes"), [(3000, 0.0), (1200, 0.4)])
    def test_sums(self, n, holes) -> None:
        assert len({in_a_process(SUM, t, n=n, holes=holes) for t in (1, 2, 4)}) == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("n", [200, 400])
    def test_an_artifact(self, n) -> None:
        """With fewer tasks than dimensions, and with more."""
        assert len({in_a_process(FIT, t, n=n, holes=0.4) for t in (1, 2)}) == 1

    @pytest.mark.slow
    def test_an_artifact_of_groups(self) -> None:
        assert len({in_a_process(FIT_GROUPS, t) for t in (1, 2)}) == 1
