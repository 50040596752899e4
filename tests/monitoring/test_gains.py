"""The gain of routing over the default model, against enumeration and a world of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hypernova.errors import MonitorError
from hypernova.monitoring.gains import GainSequence, decisions_to_tell, differences_of


def world(rng, n: int, explore: float, *, error: float = 0.0):
    """Decisions of a service with three models, the first of them the default.

    Each prompt has successes of its own; the router takes the best by estimates that are wrong.

    Returns:
        The arguments of `GainSequence.add`, and the gain that each decision had on average.
    """
    truth = rng.uniform(0.2, 0.9, (n, 3))
    chosen = (truth + rng.normal(0, 0.2, truth.shape)).argmax(axis=1)
    drawn = np.where(rng.random(n) < explore, rng.integers(0, 3, n), chosen)
    propensity = explore / 3 + (drawn == chosen) * (1 - explore)
    score = (rng.random(n) < truth[np.arange(n), drawn]).astype(float)
    estimate = np.clip(truth[:, 0] + error, 0, 1)
    mean = (1 - explore) * truth[np.arange(n), chosen] + explore * truth.mean(axis=1)
    return (score, propensity, drawn == 0, estimate), mean - truth[:, 0]


@pytest.mark.parametrize("estimate", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("chosen", [0, 1])
def test_the_expected_difference_is_the_gain_whatever_the_estimate(estimate, chosen) -> None:
    """One decision between two models: all that can happen, by its probability."""
    explore, truth = 0.3, (0.6, 0.9)
    expected = 0.0
    for model in (0, 1):
        propensity = explore / 2 + (1 - explore) * (model == chosen)
        for score in (0.0, 1.0):
            chance = propensity * (truth[model] if score else 1 - truth[model])
            sequence = GainSequence(max_weight=2 / explore)
            sequence.add([score], [propensity], [model == 0], [estimate])
            expected += chance * sequence.figure().gain
    gain = (1 - explore) * truth[chosen] + explore * sum(truth) / 2 - truth[0]
    assert expected == pytest.approx(gain, abs=1e-12)


@pytest.mark.parametrize("error", [0.0, -0.3])
def test_the_interval_holds_the_gain_at_every_look(error: float) -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(20):
        columns, gains = world(rng, 2000, 0.3, error=error)
        sequence, ever = GainSequence(max_weight=10), False
        for start in range(0, 2000, 200):
            end = start + 200
            sequence.add(*(column[start:end] for column in columns))
            figure = sequence.figure()
            ever |= not figure.low <= gains[:end].mean() <= figure.high
        wrong += ever
    assert wrong <= 1


def test_a_gain_is_proven_and_estimates_that_are_wrong_are_corrected() -> None:
    widths = {}
    for error in (0.0, -0.4):
        columns, gains = world(np.random.default_rng(2), 60_000, 0.3, error=error)
        sequence = GainSequence(max_weight=10)
        sequence.add(*columns)
        figure = sequence.figure()
        assert figure.known
        assert 0 < figure.low < gains.mean() < figure.high
        assert figure.gain == pytest.approx(gains.mean(), abs=0.03)
        widths[error] = figure.high - figure.low
    assert widths[-0.4] < 1.3 * widths[0.0]


def test_batches_of_any_size_give_the_same() -> None:
    columns, _ = world(np.random.default_rng(3), 3000, 0.2, error=0.2)
    whole, parts = GainSequence(max_weight=15), GainSequence(max_weight=15)
    whole.add(*columns)
    for start, end in ((0, 1), (1, 1), (1, 500), (500, 501), (501, 3000)):
        parts.add(*(column[start:end] for column in columns))
    one, two = whole.figure(), parts.figure()
    assert (one.gain, one.low, one.high) == pytest.approx((two.gain, two.low, two.high), abs=1e-9)
    assert one.n == two.n == 3000


def test_without_exploration_the_gain_is_unknown() -> None:
    sequence = GainSequence(max_weight=10)
    sequence.add([1.0, 0.0], [1.0, 1.0], [False, True], [0.2, 0.2])
    figure = sequence.figure()
    assert (figure.known, figure.n, figure.without_overlap) == (False, 0, 2)
    assert (figure.low, figure.high) == (-1, 1)
    assert math.isnan(figure.gain)
    sequence.add([1.0], [0.9], [False], [0.2])
    assert sequence.figure().known
    assert sequence.figure().n == 1


def test_differences_of_a_plain_world_have_the_gain_as_mean() -> None:
    values, shares = differences_of(0.1, 4, 0.5, 0.7, 0.8)
    assert shares.sum() == pytest.approx(1)
    assert values @ shares == pytest.approx(0.5 * (1 - 0.1 / 4) * 0.1)


def test_about_half_of_the_courses_tell_a_gain_after_the_decisions_that_were_foretold() -> None:
    explore, models, gain = 0.3, 2, 0.08
    n = decisions_to_tell(gain, explore, models, success=0.6, routed=0.5)
    values, shares = differences_of(explore, models, 0.5, 0.6, 0.6 + gain / 0.5 / 0.85)
    rng = np.random.default_rng(4)
    told = 0
    for _ in range(60):
        own = np.array([1 - 1 / 0.15, 0, 1 - 1 / 0.15, 0, 1 - 1 / 0.85, 0, 1 - 1 / 0.85, 0])
        drawn = rng.choice(len(values), n, p=shares)
        sequence = GainSequence(max_weight=models / explore)
        is_default = own[drawn] != 0
        propensity = np.where(is_default, 1 / (1 - np.where(is_default, own[drawn], 0)), 0.5)
        score = np.array([0, 0, 1, 1, 0, 0, 1, 1])[drawn]
        sequence.add(score, propensity, is_default, np.full(n, 0.6))
        told += sequence.figure().low > 0
    assert 15 <= told <= 45


def test_fewer_decisions_tell_more_with_more_exploration_or_a_greater_gain() -> None:
    base = decisions_to_tell(0.03, 0.05, 5)
    assert decisions_to_tell(0.03, 0.1, 5) < base
    assert decisions_to_tell(0.06, 0.05, 5) < base
    assert decisions_to_tell(0.03, 0.05, 10) > base
    assert decisions_to_tell(0.03, 0.05, 5, level=0.01) > base
    assert decisions_to_tell(0.03, 0.05, 5, n=1000) == base - 1000
    assert decisions_to_tell(0.03, 0.05, 5, n=10**9) == 0
    assert decisions_to_tell(-0.03, 0.05, 5) > 0
    assert decisions_to_tell(0.1, 1.0, 2, success=0.5) > 0


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        *(((0, 0.1, 3), {}), ((0.1, 0, 3), {}), ((0.1, 1.1, 3), {}), ((0.1, 0.1, 1), {})),
        *(((0.1, 0.1, 3), {"routed": 0}), ((0.4, 0.1, 3), {}), ((2, 0.1, 3), {})),
        *(((math.nan, 0.1, 3), {}), ((0.1, 0.1, 3), {"level": 0})),
    ],
)
def test_a_question_without_an_answer_is_refused(arguments, options) -> None:
    with pytest.raises(MonitorError):
        decisions_to_tell(*arguments, **options)


@pytest.mark.parametrize(
    "columns",
    [
        ([1.0], [0.05], [True], [0.5]),  # a weight of 20
        ([1.0], [0.0], [True], [0.5]),
        ([1.0], [1.5], [True], [0.5]),
        ([2.0], [0.5], [True], [0.5]),
        ([1.0], [0.5], [1], [0.5]),
        ([1.0], [0.5], [True], [math.nan]),
        ([1.0], [0.5], [True, False], [0.5]),
    ],
)
def test_malformed_decisions_are_refused_and_none_is_added(columns) -> None:
    sequence = GainSequence(max_weight=10)
    with pytest.raises(MonitorError):
        sequence.add(*columns)
    assert sequence.figure() == GainSequence(max_weight=10).figure() or (
        sequence.figure().n == 0 and sequence.figure().without_overlap == 0
    )


def test_a_model_that_is_rare_and_not_the_default_may_have_any_propensity() -> None:
    sequence = GainSequence(max_weight=10)
    sequence.add([1.0], [0.001], [False], [0.5])
    assert sequence.figure().n == 1


@pytest.mark.parametrize("max_weight", [0.5, math.inf, math.nan, None])
def test_a_weight_out_of_range_is_refused(max_weight) -> None:
    with pytest.raises(MonitorError):
        GainSequence(max_weight=max_weight)
