"""The minimiser of prototypes, beside SciPy's L-BFGS-B and on functions whose minimum is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, rosen, rosen_der

from hypernova.training.clustering.lbfgs import minimise


class Counted:
    """A function that counts its calls."""

    def __init__(self, function) -> None:
        self.function, self.calls = function, 0

    def __call__(self, x):
        self.calls += 1
        return self.function(x)


@pytest.mark.parametrize("dim", [2, 20, 100])
def test_a_curved_valley_takes_about_the_calls_of_scipy(dim) -> None:
    def function(x):
        return float(rosen(x)), rosen_der(x)

    ours, theirs = Counted(function), Counted(function)
    reached = minimise(ours, np.zeros(dim), 1000)
    minimize(theirs, np.zeros(dim), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    np.testing.assert_allclose(reached, 1.0, atol=1e-3)
    assert ours.calls < 1.5 * theirs.calls


@given(st.integers(1, 30), st.integers(0, 99))
def test_the_minimum_of_a_bowl(dim, seed) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(dim, dim))
    bowl, side = root @ root.T + np.eye(dim), rng.normal(size=dim)
    reached = minimise(lambda x: (0.5 * x @ bowl @ x - side @ x, bowl @ x - side), side, 500)
    np.testing.assert_allclose(bowl @ reached, side, atol=1e-3)


@given(st.integers(0, 30), st.integers(0, 99))
def test_no_step_leads_up(iterations, seed) -> None:
    """Also where a step of Newton would: a function that is flat far away."""
    start = 3.0 * np.random.default_rng(seed).normal(size=4)

    def function(x):
        square = x @ x
        return float(square / (1.0 + square)), 2.0 * x / (1.0 + square) ** 2

    reached = minimise(function, start, iterations)
    assert function(reached)[0] <= function(start)[0]
    if iterations == 0:
        assert np.array_equal(reached, start)


def test_a_minimum_stays_where_it_is() -> None:
    counted = Counted(lambda x: (float(x @ x), 2.0 * x))
    assert np.array_equal(minimise(counted, np.zeros(3), 25), np.zeros(3))
    assert counted.calls == 1
