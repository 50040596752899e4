"""Which prompts are proposed: against brute force, and where the answer is plain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

import hypernova
from hypernova.errors import ModelPoolError
from hypernova.training.model_pool import propose
from support.factories import assembled, blobs, fitted, make_table, scored, unit

BUNDLED = hypernova.Router.open().artifact


class TestPromise:
    @pytest.mark.slow
    @given(st.floats(-3, 3), st.floats(0, 3), st.floats(1e-6, 4))
    def test_equals_the_integral(self, gap, room, variance) -> None:
        spread = np.sqrt(variance)

        def choice(z: float) -> float:
            most = max(0.0, gap + room) if gap < 0 else np.inf
            return min(max(0.0, gap + spread * z), most) * norm.pdf(z)

        turns = [float(np.clip(at, -12, 12)) for at in (-gap / spread, room / spread)]
        mean = quad(choice, -12, 12, points=sorted(turns), limit=200)[0]
        gain = propose._expected_gain(np.array(gap), np.array(room), np.array(variance))
        assert gain == pytest.approx(mean - max(0.0, gap), abs=3e-6)

    def test_what_is_known_promises_nothing(self) -> None:
        gap, room = np.array([0.0, 0.3, -np.inf]), np.array([1.0, 0.2, 0.0])
        assert propose._expected_gain(gap, room, np.zeros(3)).tolist() == [0, 0, 0]


class TestGreedy:
    @given(st.integers(0, 200), st.integers(1, 6))
    def test_equals_brute_force(self, seed, count) -> None:
        """Covariances conditioned from scratch on each candidate, not updated."""
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(8, 5))
        root = rng.normal(size=(5, 5))
        covariance, noise = root @ root.T / 5, 0.3
        decided = np.array([0, 2, 3, 7])
        gap, room = rng.normal(size=4), rng.uniform(0, 3, 4)
        kernel = features @ covariance @ features.T

        def explained(chosen: list[int], extra: int | None = None) -> np.ndarray:
            rows = [*chosen, *([] if extra is None else [extra])]
            if not rows:
                return np.zeros(4)
            noises = np.full(len(rows), noise)
            if extra is not None:
                noises[-1] = noise / count
            cross = kernel[np.ix_(decided, rows)]
            inner = np.linalg.inv(kernel[np.ix_(rows, rows)] + np.diag(noises))
            return np.einsum("dr,rs,ds->d", cross, inner, cross)

        picked: list[int] = []
        gains = []
        for _ in range(count):
            free = [i for i in range(8) if i not in picked]
            worth = {
                i: propose._expected_gain(gap, room, explained(picked, i)).mean() for i in free
            }
            picked.append(max(free, key=lambda i: (round(worth[i], 10), -i)))
            gains.append(propose._expected_gain(gap, room, explained(picked)).mean())
        chosen, seen = propose._select_greedily(
            features, covariance, noise, decided, gap, room, count
        )
        assert chosen == picked
        np.testing.assert_allclose(seen, gains, atol=1e-9)
        assert len(set(chosen)) == len(chosen)
        assert seen == sorted(seen)


def lopsided():
    """Two clusters: in one the default model never fails, in the other nothing succeeds much."""
    rng = np.random.default_rng(0)
    vectors, labels = blobs(rng, centres=2, each=200)
    rates = np.array([[1.0, 0.98, 0.97], [0.3, 0.25, 0.2]])
    score = (rng.random((400, 3)) < rates[labels]).astype(float)
    table = make_table(vectors, score)
    return assembled(table, vectors, 2), vectors, labels


class TestNextPrompts:
    def test_where_nothing_can_be_gained_nothing_is_asked(self) -> None:
        artifact, vectors, labels = lopsided()
        found = hypernova.next_prompts(artifact, vectors, count=20)
        assert {int(labels[one.index]) for one in found} == {1}
        clusters = artifact.decide_many(vectors).clusters
        assert all(one.cluster == clusters[one.index] for one in found)
        gains = [one.gain for one in found]
        assert gains[0] > 0
        assert gains == sorted(gains)

    def test_of_a_model_that_the_artifact_holds(self) -> None:
        """Scored in one cluster only, it is asked in the other."""
        artifact, vectors, labels = lopsided()
        known = np.flatnonzero(labels == 0)[:60]
        table = hypernova.OutcomeTable.from_arrays(
            task_ids=[f"n{i}" for i in known], prompts=[f"n{i}" for i in known],
            models=["new"], score=np.ones((60, 1)), embedding=vectors[known], min_models=1,
        )  # fmt: skip
        made = hypernova.add_model(artifact, table).artifact
        found = hypernova.next_prompts(made, vectors, model="new", count=5)
        assert {int(labels[one.index]) for one in found} == {1}

    def test_outcomes_so_far_move_what_is_asked(self) -> None:
        artifact, _ = fitted()
        rng = np.random.default_rng(0)
        vectors = unit(rng.normal(size=(60, 16)))
        nothing = hypernova.next_prompts(artifact, vectors, count=5)
        hopeless = scored(rng, 200, score=np.zeros((200, 1)))
        after = hypernova.next_prompts(artifact, vectors, scored=hopeless, count=5)
        assert after[-1].gain < 0.1 * nothing[-1].gain

    def test_neither_twice_nor_again(self) -> None:
        prompts = ["Fix the race", "Add a test", "Fix the race", "Drop the column"]
        table = hypernova.OutcomeTable.from_arrays(
            task_ids=["a"], prompts=["Add a test"], models=["new"], score=[[1.0]], min_models=1
        )
        found = hypernova.next_prompts(BUNDLED, prompts, scored=table)
        assert sorted(one.index for one in found) == [0, 3]
        with pytest.raises(ModelPoolError, match="all are scored already"):
            hypernova.next_prompts(BUNDLED, ["Add a test"], scored=table)
        with pytest.raises(ModelPoolError, match="no prompt to propose"):
            hypernova.next_prompts(BUNDLED, [])

    def test_many_prompts_are_thinned_evenly(self) -> None:
        artifact, _, _ = lopsided()
        vectors = unit(np.random.default_rng(0).normal(size=(5000, 16)))
        found = hypernova.next_prompts(artifact, vectors, count=3)
        looked = set(np.linspace(0, 4999, propose.MAX_CANDIDATES).astype(int).tolist())
        assert {one.index for one in found} <= looked

    def test_the_same_input_gives_the_same_proposals(self) -> None:
        artifact, vectors, _ = lopsided()
        first, second = (hypernova.next_prompts(artifact, vectors, count=9) for _ in range(2))
        assert first == second

    def test_counts_and_tables_that_do_not_fit_are_refused(self) -> None:
        artifact, vectors, _ = lopsided()
        with pytest.raises(ModelPoolError, match="whole number from 1"):
            hypernova.next_prompts(artifact, vectors, count=0)
        rng = np.random.default_rng(0)
        with pytest.raises(ModelPoolError, match="leave scored out"):
            hypernova.next_prompts(artifact, vectors, model="m0", scored=scored(rng, 5))
        two = scored(rng, 5, names=("a", "b"))
        with pytest.raises(ModelPoolError, match="2 new models"):
            hypernova.next_prompts(artifact, vectors, scored=two)
        assert hypernova.next_prompts(artifact, vectors, scored=two, model="b", count=1)
