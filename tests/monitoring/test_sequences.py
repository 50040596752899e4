"""Intervals of means that hold at every look, against enumeration and plain definitions.

Not here: what is built on them (the other files of this folder).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hypernova.errors import MonitorError
from hypernova.monitoring.sequences import MeanSequence
from hypernova.monitoring.tilts import log_sums, log_wealth, tilt_grid

TILTS = tilt_grid()


def plain_wealth(values: list[float], mean: float) -> float:
    """The mixture's wealth by its definition: a product for each tilt, and their mean."""
    return sum(
        math.prod((1 + a * x) / (1 + a * mean) for x in values) for a in TILTS.tolist()
    ) / len(TILTS)


def log_e(values, mean: float) -> float:
    values = np.asarray(values, dtype=float)
    n = np.array(len(values))
    return float(log_wealth(log_sums(values, TILTS), n, np.array([mean]), TILTS))


def wealth(values, mean: float) -> float:
    return math.exp(log_e(values, mean))


def test_the_wealth_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    for n in (0, 1, 7, 60):
        values = rng.random(n)
        for mean in (0.0, 0.2, 0.5, 1.0):
            assert wealth(values, mean) == pytest.approx(plain_wealth(values.tolist(), mean))


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.93])
def test_a_fair_game_keeps_its_expected_wealth_of_1(mean: float) -> None:
    """All sequences of ten scores of 0 and 1, by their probabilities."""
    expected = sum(
        math.prod(mean if x else 1 - mean for x in values) * wealth(values, mean)
        for values in itertools.product((0.0, 1.0), repeat=10)
    )
    assert expected == pytest.approx(1, abs=1e-9)


def drifting(values: tuple[float, ...]) -> float:
    """A mean that depends on all scores before: it moves against them."""
    return 0.9 - 0.8 * (sum(values) + 0.5) / (len(values) + 1)


def test_it_is_wrong_at_any_look_no_more_often_than_stated_while_the_mean_drifts() -> None:
    """All sequences of eleven scores by their probabilities, with a look after each."""
    wrong = expected = 0.0
    log_limit = math.log(1 / 0.3)
    for values in itertools.product((0.0, 1.0), repeat=11):
        means = [drifting(values[:i]) for i in range(len(values))]
        chance = math.prod(m if x else 1 - m for x, m in zip(values, means, strict=True))
        so_far = np.cumsum(means) / np.arange(1, 12)
        sums = np.cumsum(np.log1p(np.outer(values, TILTS)), axis=0)
        found = log_wealth(sums, np.arange(1, 12), so_far[:, None], TILTS)
        wrong += chance * bool((found >= log_limit).any())
        expected += chance * math.exp(found[-1])
    assert 0 < wrong <= 0.3
    assert expected <= 1


def test_the_interval_holds_the_means_that_are_not_refuted() -> None:
    rng = np.random.default_rng(1)
    for values in (rng.random(30), (rng.random(200) < 0.9).astype(float), np.zeros(40)):
        sequence = MeanSequence(level=0.1)
        sequence.add(values)
        low, high = sequence.interval()
        assert 0 <= low <= sequence.mean <= high <= 1
        for mean in np.linspace(0, 1, 101):
            if abs(mean - low) > 1e-6 and abs(mean - high) > 1e-6:
                assert (log_e(values, mean) < math.log(10)) == (low < mean < high)


def test_it_is_right_at_all_looks_and_no_more_than_twice_as_wide() -> None:
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(60):
        values = (rng.random(2000) < 0.7).astype(float)
        sums = np.cumsum(np.log1p(np.outer(values, TILTS)), axis=0)
        found = log_wealth(sums, np.arange(1, 2001), np.array([0.7]), TILTS)
        wrong += bool((found >= math.log(20)).any())
    assert wrong <= 3
    sequence = MeanSequence()
    sequence.add(np.repeat([0.0, 1.0], 50_000))
    low, high = sequence.interval()
    assert high - low < 2 * 2 * 1.96 * 0.5 / math.sqrt(100_000)


def test_numbers_of_little_variance_give_a_narrow_interval() -> None:
    rng = np.random.default_rng(3)
    sequence = MeanSequence(low=-100, high=100)
    sequence.add(rng.normal(3, 1, 20_000))
    low, high = sequence.interval()
    assert low < 3 < high
    assert high - low < 0.2  # with scores of -100 and 100 it would be 5


def test_batches_of_any_size_give_the_same() -> None:
    values = np.random.default_rng(4).uniform(-2, 5, 20_000)
    whole, parts = MeanSequence(low=-2, high=5), MeanSequence(low=-2, high=5)
    whole.add(values)
    for part in (values[:1], values[1:1], values[1:9000], values[9000:]):
        parts.add(part)
    assert whole.n == parts.n == 20_000
    assert whole.mean == pytest.approx(values.mean(), abs=1e-12)
    assert whole.interval() == pytest.approx(parts.interval(), abs=1e-7)


def test_without_a_number_nothing_is_known() -> None:
    sequence = MeanSequence(low=-1, high=3)
    sequence.add([])
    assert (sequence.n, sequence.interval()) == (0, (-1, 3))
    assert math.isnan(sequence.mean)


@pytest.mark.parametrize(
    "arguments",
    [
        *({"level": 0}, {"level": 1}, {"level": math.nan}, {"level": "x"}, {"level": True}),
        *({"low": 1}, {"low": 2}, {"high": math.inf}, {"low": math.nan}),
    ],
)
def test_arguments_out_of_range_are_refused(arguments) -> None:
    with pytest.raises(MonitorError):
        MeanSequence(**arguments)


@pytest.mark.parametrize("values", [[0.5, 1.1], [-0.1], [math.nan], ["x"], 0.5, [[0.5]], None])
def test_a_number_out_of_range_leaves_the_sequence_as_it_was(values) -> None:
    sequence = MeanSequence()
    sequence.add([0.5])
    before = sequence.interval()
    with pytest.raises(MonitorError):
        sequence.add(values)
    assert (sequence.n, sequence.interval()) == (1, before)
