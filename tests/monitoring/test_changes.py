"""Alarms for changes of a mean, against the plain definition, enumeration and known worlds."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest

from hypernova.errors import MonitorError
from hypernova.monitoring.changes import (
    DOUBLINGS,
    EARLY,
    SMALLEST,
    ChangeDetector,
    candidates,
    log_start_shares,
)
from hypernova.monitoring.tilts import tilt_grid

TILTS = tilt_grid(SMALLEST, DOUBLINGS)


def kept_after(n: int) -> float:
    return 1 / (1 + math.log(1 + n / EARLY))


def factor(tilt: float, u: float, baseline: float, slack: float) -> float:
    edge = min(max(baseline + math.copysign(slack, tilt), 0.0), 1.0)
    return (1 + tilt * u) / (1 + tilt * edge)


def plain_total(scores, baseline: float, slack: float, *, bets: bool = False) -> list[float]:
    """The total of all bets after each score: every start and every tilt, one by one."""
    n, tilts = len(scores), TILTS.tolist()
    table = np.array([[factor(a, u, baseline, slack) for u in scores] for a in tilts])
    before = np.hstack([np.ones((len(tilts), 1)), np.cumprod(table, axis=1)])
    kept = (1 + before.mean(axis=0)) / 2 if bets else np.ones(n + 1)
    totals = []
    for end in range(1, n + 1):
        total = kept_after(end) * kept[end]
        for start in range(end):
            share = (kept_after(start) - kept_after(start + 1)) * kept[start]
            total += share * np.prod(table[:, start:end], axis=1).mean()
        totals.append(total)
    return totals


def test_the_total_and_the_alarm_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.random(80) < 0.8, rng.random(60) < 0.2]).astype(float)
    totals = plain_total(scores, 0.8, 0.02)
    detector = ChangeDetector(baseline=0.8, slack=0.02, level=0.01)
    for i, (score, total) in enumerate(zip(scores, totals, strict=True)):
        detector.add([score], [i])
        if max(totals[: i + 1]) < 100:
            assert detector.log_e == pytest.approx(math.log(total))
            assert detector.change() is None
    change = detector.change()
    assert change is not None
    assert change.found_at == np.argmax(np.array(totals) >= 100)


def test_candidates_are_ruled_out_as_by_the_definition() -> None:
    """The alarm is at the score at which the last candidate is ruled out."""
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.random(40) < 0.9, rng.random(40) < 0.1]).astype(float)
    means = candidates(0.8, 0.15, 0.1, 0.0, 1.0)
    slack = (0.1 + means[1] - means[0]) / 2
    totals = np.array([plain_total(scores, mean, slack, bets=True) for mean in means])
    ruled_out = np.argmax(totals >= 100, axis=1)
    detector = ChangeDetector(baseline=0.8, baseline_error=0.15, slack=0.1, level=0.01)
    first = int(ruled_out.min())
    detector.add(scores[:first], np.arange(first))
    assert detector.log_e == pytest.approx(math.log(totals[:, first - 1].min()))
    detector.add(scores[first:], np.arange(first, 80))
    change = detector.change()
    assert change is not None
    assert change.found_at == ruled_out.max()
    assert detector.log_e == pytest.approx(math.log(totals[ruled_out.argmax(), ruled_out.max()]))


def test_shares_of_all_starts_add_up_to_1() -> None:
    shares = np.exp(log_start_shares(0, 100_000))
    assert shares.sum() == pytest.approx(1 - kept_after(100_000), abs=1e-9)
    later = np.exp(log_start_shares(99_000, 1000))
    np.testing.assert_allclose(later, shares[-1000:], rtol=1e-9)


@pytest.mark.parametrize(("error", "mean"), [(0.0, 0.7), (0.1, 0.7)])
def test_a_fair_game_keeps_its_expected_total_of_1(error: float, mean: float) -> None:
    """All sequences of nine scores by their probabilities; a slack of 0 makes the game fair."""
    expected = 0.0
    for scores in itertools.product((0.0, 1.0), repeat=9):
        chance = math.prod(mean if x else 1 - mean for x in scores)
        if error:
            total = plain_total(scores, mean, 0.0, bets=True)[-1]
        else:
            detector = ChangeDetector(baseline=mean, slack=0.0, level=1e-9)
            detector.add(scores, range(9))
            total = math.exp(detector.log_e)
        expected += chance * total
    assert expected == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("error", [0.0, 0.05])
def test_batches_of_any_size_give_the_same(error: float) -> None:
    rng = np.random.default_rng(2)
    scores = np.concatenate([rng.random(700) < 0.8, rng.random(300) < 0.2]).astype(float)
    times = np.sort(rng.integers(0, 50, 1000))  # many at the same time
    arguments = {"baseline": 0.8, "baseline_error": error, "slack": 0.01}
    whole, parts, single = (ChangeDetector(**arguments) for _ in range(3))
    whole.add(scores, times)
    for start, end in ((0, 5), (5, 5), (5, 699), (699, 705), (705, 1000)):
        parts.add(scores[start:end], times[start:end])
    for score, time in zip(scores, times, strict=True):
        single.add([score], [time])
    for other in (parts, single):
        assert other.log_e == pytest.approx(whole.log_e)
        for one, two in zip(
            (other.change().before, other.change().after),
            (whole.change().before, whole.change().after),
            strict=True,
        ):
            assert one.n == two.n
            assert (one.mean, one.low, one.high) == pytest.approx((two.mean, two.low, two.high))
        assert other.change().since == whole.change().since
        assert other.change().found_at == whole.change().found_at


def test_a_change_is_found_with_its_start_and_both_means() -> None:
    rng = np.random.default_rng(3)
    for before, after in ((0.8, 0.75), (0.5, 0.6), (0.9, 0.2)):
        detector = ChangeDetector(baseline=before)
        scores = np.concatenate([rng.random(20_000) < before, rng.random(9000) < after])
        detector.add(scores.astype(float), np.arange(29_000) / 1000)
        change = detector.change()
        assert change is not None
        assert change.is_drop == (after < before)
        assert 20 < change.found_at < 28
        assert change.since == pytest.approx(20, abs=1.5)
        assert change.before.low < before < change.before.high
        assert change.after.low < after < change.after.high
        assert change.before.n + change.after.n == 29_000


def test_a_change_back_leaves_the_change_found() -> None:
    detector = ChangeDetector(baseline=0.8)
    good, bad = [1.0, 1.0, 1.0, 1.0, 0.0], [1.0, 0.0]
    detector.add(good * 400, range(2000))
    detector.add(bad * 500, range(2000, 3000))
    found = detector.change()
    detector.add(good * 2000, range(3000, 13_000))
    change = detector.change()
    assert found is not None
    assert change is not None
    assert change.since == found.since == pytest.approx(2000, abs=5)
    assert change.after.n == 13_000 - change.before.n
    assert change.after.mean > found.after.mean


def test_false_alarms_are_rarer_than_stated_in_worlds_without_change() -> None:
    """Forty worlds of three thousand scores, half with residuals of estimates that are wrong."""
    rng = np.random.default_rng(4)
    alarms = 0
    for world in range(40):
        scores = (rng.random(3000) < 0.8).astype(float)
        if world % 2:
            detector = ChangeDetector(baseline=0.79, slack=0.02)
        else:
            detector = ChangeDetector(baseline=0, baseline_error=0.05, slack=0.02, low=-1, high=1)
            scores -= 0.83
        detector.add(scores, np.arange(3000))
        alarms += detector.change() is not None
    assert alarms <= 2


def test_estimates_that_stay_equally_wrong_are_no_change_and_a_drop_is() -> None:
    rng = np.random.default_rng(5)
    detector = ChangeDetector(baseline=0, baseline_error=0.1, low=-1, high=1)
    detector.add((rng.random(20_000) < 0.8) - 0.85, np.arange(20_000))
    assert detector.change() is None
    detector.add((rng.random(6000) < 0.7) - 0.85, np.arange(20_000, 26_000))
    change = detector.change()
    assert change is not None
    assert change.is_drop
    assert change.since == pytest.approx(20_000, abs=500)


def test_memory_does_not_grow_with_the_scores() -> None:
    detector = ChangeDetector(baseline=0.5)
    detector.add(np.tile([0.0, 1.0], 500), np.arange(1000))
    size = len(pickle.dumps(detector))
    detector.add(np.tile([0.0, 1.0], 30_000), np.arange(1000, 61_000))
    assert len(pickle.dumps(detector)) <= size


@pytest.mark.parametrize(
    "arguments",
    [
        *({"baseline": -0.1}, {"baseline": 1.1}, {"baseline": math.nan}, {"baseline": None}),
        *({"slack": -1}, {"slack": 0.9}, {"baseline_error": -0.1}, {"baseline_error": 2}),
        *({"level": 0}, {"level": 1}, {"low": 1}, {"high": math.inf}),
    ],
)
def test_arguments_out_of_range_are_refused(arguments) -> None:
    with pytest.raises(MonitorError):
        ChangeDetector(**{"baseline": 0.5, **arguments})


@pytest.mark.parametrize(
    ("scores", "times"),
    [([1.0], [1, 2]), ([1.5], [5]), ([math.nan], [5]), ([1, 1], [6, 5]), ([1], [3]), ([1], ["x"])],
)
def test_malformed_scores_are_refused_and_none_is_added(scores, times) -> None:
    detector = ChangeDetector(baseline=0.5)
    detector.add([1.0], [4])
    with pytest.raises(MonitorError):
        detector.add(scores, times)
    assert detector.n == 1
