"""Observed success against predicted success, by group."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hypernova.errors import MonitorError
from hypernova.monitoring.estimate_checks import EstimateCheck, e_bh
from hypernova.monitoring.tilts import tilt_grid


def plain_e(residuals, tolerance: float) -> float:
    """The e-value of one group by its definition."""
    total = 0.0
    for a in tilt_grid().tolist():
        edge = math.copysign(tolerance, a)
        total += math.prod((1 + a * (1 + r) / 2) / (1 + a * (1 + edge) / 2) for r in residuals)
    return total / len(tilt_grid())


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_evidence_is_that_of_the_definition(tolerance: float) -> None:
    rng = np.random.default_rng(0)
    groups, predicted = rng.integers(0, 3, 300), rng.random(300)
    observed = (rng.random(300) < 0.3).astype(float)
    check = EstimateCheck(4, tolerance=tolerance)
    check.add(groups, predicted, observed)
    for group in range(3):
        here = groups == group
        residuals = (observed - predicted)[here].tolist()
        assert check.log_e[group] == pytest.approx(math.log(plain_e(residuals, tolerance)))
        assert check.predicted[group] == pytest.approx(predicted[here].mean())
        assert check.observed[group] == pytest.approx(observed[here].mean())
    assert check.n.tolist() == [*np.bincount(groups), 0]
    assert check.log_e[3] == 0
    assert np.isnan([check.predicted[3], check.observed[3]]).all()


def test_batches_of_any_size_give_the_same() -> None:
    rng = np.random.default_rng(1)
    rows = (rng.integers(0, 5, 20_000), rng.random(20_000), rng.random(20_000))
    whole, parts = EstimateCheck(5), EstimateCheck(5)
    whole.add(*rows)
    for start, end in ((0, 1), (1, 1), (1, 30), (30, 12_000), (12_000, 20_000)):
        parts.add(*(column[start:end] for column in rows))
    np.testing.assert_allclose(whole.log_e, parts.log_e, atol=1e-9)
    np.testing.assert_allclose(whole.intervals(0.05), parts.intervals(0.05), atol=1e-7)


def test_estimates_that_are_right_on_average_are_named_in_few_worlds_of_daily_looks() -> None:
    """Fifty worlds of ten groups: each prompt's own estimate is wrong by up to 0.2."""
    rng = np.random.default_rng(2)
    named = 0
    for _ in range(50):
        check, ever = EstimateCheck(10), False
        for _ in range(30):
            truth = rng.uniform(0.3, 0.7, 120)
            predicted = truth + rng.uniform(-0.2, 0.2, 120)
            check.add(rng.integers(0, 10, 120), predicted, rng.random(120) < truth)
            ever |= bool(e_bh(check.log_e, 0.05).any())
        named += ever
    assert named <= 3


def test_a_group_that_is_wrong_is_named_and_its_interval_holds_the_error() -> None:
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 8, 12_000)
    error = np.where(groups == 5, -0.12, np.where(groups == 6, 0.01, 0.0))
    predicted = rng.uniform(0.3, 0.8, 12_000)
    check = EstimateCheck(8, tolerance=0.02)
    check.add(groups, predicted, rng.random(12_000) < predicted + error)
    assert np.flatnonzero(e_bh(check.log_e, 0.05)).tolist() == [5]
    low, high = check.intervals(0.05 / 8)
    assert (low < np.array([0, 0, 0, 0, 0, -0.12, 0.01, 0])).all()
    assert (high > np.array([0, 0, 0, 0, 0, -0.12, 0.01, 0])).all()
    assert high[5] < 0


def plain_e_bh(e: list[float], level: float) -> list[bool]:
    """The largest set of k groups that all have an e-value of groups / (level * k) or more."""
    for k in range(len(e), 0, -1):
        limit = len(e) / (level * k)
        if sum(value >= limit for value in e) >= k:
            return [value >= limit for value in e]
    return [False] * len(e)


def test_e_bh_is_its_definition() -> None:
    rng = np.random.default_rng(4)
    for size in (1, 2, 5, 9):
        for _ in range(50):
            log_e = rng.normal(2.5, 3, size)
            assert e_bh(log_e, 0.1).tolist() == plain_e_bh(np.exp(log_e).tolist(), 0.1)
    assert e_bh([], 0.05).tolist() == []
    assert e_bh([-math.inf, math.inf], 0.05).tolist() == [False, True]


@pytest.mark.parametrize(
    ("groups", "predicted", "observed"),
    [
        ([0, 1], [0.5], [1.0]),
        ([2], [0.5], [1.0]),
        ([-1], [0.5], [1.0]),
        ([0.5], [0.5], [1.0]),
        (["a"], [0.5], [1.0]),
        ([True], [0.5], [1.0]),
        ([math.nan], [0.5], [1.0]),
        ([0], [1.5], [1.0]),
        ([0], [0.5], [math.nan]),
    ],
)
def test_malformed_outcomes_are_refused_and_none_is_added(groups, predicted, observed) -> None:
    check = EstimateCheck(2)
    with pytest.raises(MonitorError):
        check.add(groups, predicted, observed)
    assert check.n.tolist() == [0, 0]


def test_arguments_out_of_range_are_refused() -> None:
    for n_groups in (0, -1, 1.5, True):
        with pytest.raises(MonitorError):
            EstimateCheck(n_groups)
    for tolerance in (-0.1, 1.0, math.nan):
        with pytest.raises(MonitorError):
            EstimateCheck(1, tolerance=tolerance)
    for level in (0, 1, 2):
        with pytest.raises(MonitorError):
            EstimateCheck(1).intervals(level)
        with pytest.raises(MonitorError):
            e_bh([0.0], level)
    with pytest.raises(MonitorError):
        e_bh([math.nan], 0.05)
