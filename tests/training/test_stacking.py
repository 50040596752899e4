"""Weights of estimates against SciPy's non-negative least squares, and what they may not do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from hypernova.training.estimates.stacking import LEANING, StackingSums, StackingWeights

NAN = float("nan")


def parts(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Contrasts and levels of each task's known models, by loops."""
    contrasts, levels = [], []
    for row, has in zip(values, known, strict=True):
        level = row[has].mean() if has.any() else 0.0
        contrasts += [x - level for x in row[has]]
        levels.append(level)
    return np.array(contrasts), np.array(levels)


def drawn(seed: int, c: int = 3, n: int = 60, m: int = 4, holes: float = 0.3):
    """Estimates that hold more and less of the score."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, m)) + rng.normal(size=(n, 1))
    noise = rng.normal(size=(c, n, m)) * rng.uniform(0.2, 3, (c, 1, 1))
    estimates = (truth + noise) * rng.uniform(-0.5, 1.5, (c, 1, 1))
    score = truth + 0.3 * rng.normal(size=(n, m))
    return estimates, np.where(rng.random((n, m)) < holes, NAN, score)


class TestWeights:
    @given(st.integers(0, 500), st.integers(1, 5), st.integers(1, 40), st.integers(1, 4))
    def test_equal_those_of_scipy(self, seed, c, n, m) -> None:
        """With the leaning and the prior as rows of their own."""
        estimates, score = drawn(seed, c, n, m)
        known = ~np.isnan(score)
        weights = StackingWeights.of(StackingSums.of(estimates, score))
        every = [parts(np.nan_to_num(values), known) for values in (*estimates, score)]
        counts = (np.maximum(known.sum(axis=1) - 1, 0).sum(), known.any(axis=1).sum())
        for at, seen in enumerate((weights.contrast, weights.level)):
            x = np.stack([values[at] for values in every[:-1]], axis=1)
            y = every[-1][at]
            unequal = np.eye(c) - 1 / c
            rows = [
                x,
                np.sqrt(LEANING * (x**2).sum() / c) * unequal,
                np.sqrt(max((y**2).sum() / max(counts[at], 1), 1e-12)) * np.eye(c),
            ]
            matrix = np.concatenate([row.reshape(-1, c) for row in rows])
            target = np.concatenate([y, np.zeros(2 * c)])
            expected = nnls(matrix, target)[0]
            np.testing.assert_allclose(seen, expected, atol=1e-6 * max(1, expected.max()))

    def test_sums_of_parts_are_those_of_the_whole(self) -> None:
        estimates, score = drawn(0)
        whole = StackingSums.of(estimates, score)
        added = StackingSums.of(estimates[:, :25], score[:25]) + StackingSums.of(
            estimates[:, 25:], score[25:]
        )
        for name in ("products", "scores", "squares", "n"):
            np.testing.assert_allclose(getattr(added, name), getattr(whole, name), rtol=1e-12)

    def test_an_estimate_that_is_true_has_all_the_weight(self) -> None:
        rng = np.random.default_rng(0)
        score = rng.normal(size=(20_000, 3)) + rng.normal(size=(20_000, 1))
        estimates = np.stack([score, rng.normal(size=score.shape)])
        weights = StackingWeights.of(StackingSums.of(estimates, score))
        # As far as weights lean on equal ones; without leaning the noise would have none.
        assert weights.contrast == pytest.approx((1.0, 0.0), abs=0.15)
        assert weights.level == pytest.approx((1.0, 0.0), abs=0.15)

    def test_noise_has_none(self) -> None:
        rng = np.random.default_rng(0)
        score = rng.normal(size=(5000, 3))
        weights = StackingWeights.of(StackingSums.of(rng.normal(size=(4, *score.shape)), score))
        assert max(weights.contrast + weights.level) < 0.05

    def test_contrast_and_level_are_learned_apart(self) -> None:
        """An estimate that knows which model is better, and nothing of how hard a prompt is."""
        rng = np.random.default_rng(0)
        better, hard = rng.normal(size=(8000, 2)), rng.normal(size=(8000, 1))
        better -= better.mean(axis=1, keepdims=True)
        score = better + hard
        estimates = (better + rng.normal(size=(8000, 1)))[None]
        weights = StackingWeights.of(StackingSums.of(estimates, score))
        assert weights.contrast[0] == pytest.approx(1.0, abs=0.01)
        assert weights.level[0] < 0.05

    def test_a_handful_of_tasks_makes_no_large_weight(self) -> None:
        """A faint estimate that happens to agree with two tasks."""
        score = np.array([[1.0, 0.0], [1.0, 0.0]])
        weights = StackingWeights.of(StackingSums.of(0.01 * (score[None] - 0.5), score))
        assert weights.contrast[0] < 0.1

    def test_nothing_to_learn_from(self) -> None:
        """One model a task has no contrast; no estimate differs from the rates."""
        score = np.array([[1.0, NAN], [NAN, 0.0], [NAN, NAN]])
        assert StackingWeights.of(StackingSums.of(np.ones((2, 3, 2)), score)).contrast == (0.0, 0.0)
        flat = StackingWeights.of(StackingSums.of(np.zeros((2, 3, 2)), np.ones((3, 2))))
        assert flat == StackingWeights((0.0, 0.0), (0.0, 0.0))


class TestAverage:
    def test_is_the_weighted_contrast_and_level(self) -> None:
        estimates = np.random.default_rng(0).normal(size=(2, 30, 4))
        seen = StackingWeights((0.5, 2.0), (1.0, 0.25)).average(estimates)
        for i in range(30):
            a, b = estimates[:, i]
            level = a.mean() + 0.25 * b.mean()
            expected = level + 0.5 * (a - a.mean()) + 2.0 * (b - b.mean())
            np.testing.assert_allclose(seen[i], expected)
