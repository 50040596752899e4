"""AIQ, calls, the gap recovered and calibration: against loops, and where they are known."""

from __future__ import annotations

import json
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypernova
from hypernova.artifact.decisions import NO_LIMITS, estimates_of
from hypernova.evaluation.areas import CallOrder, first_reach, mean_accuracy
from hypernova.evaluation.calibration import BINS, CalibrationSums
from hypernova.training.trainer import learn
from support.factories import make_table, two_kinds, unit

NAN = float("nan")
QUICK = {"folds": 4, "repeats": 2, "clusters": 2, "jobs": 1, "learning_curve": False}

points = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]), st.sampled_from([0.0, 0.3, 0.6, 0.9])),
    min_size=1,
    max_size=6,
)


def best_mix(found, budget: float) -> float:
    """The best accuracy of a mix of two points within a budget, or of one with the null router."""
    cheapest = min(cost for cost, _ in found)
    if budget < cheapest:
        return max(a for c, a in found if c == cheapest) * budget / cheapest
    best = 0.0
    for c1, a1 in found:
        for c2, a2 in found:
            if c1 <= budget:
                best = max(best, a1)
                if c2 > budget:
                    best = max(best, a1 + (a2 - a1) * (budget - c1) / (c2 - c1))
    return best


class TestMeanAccuracy:
    @given(points, st.sampled_from([0.0, 0.25, 1.0]), st.sampled_from([2.0, 4.0]))
    def test_is_the_mean_of_the_best_mixes(self, found, low, high) -> None:
        """All corners of the curve lie on the grid or halfway between two of its points."""
        n = round((high - low) * 400)
        grid = low + (np.arange(n) + 0.5) * (high - low) / n
        expected = statistics.fmean(best_mix(found, budget) for budget in grid.tolist())
        cost, accuracy = zip(*found, strict=True)
        assert mean_accuracy(cost, accuracy, low, high) == pytest.approx(expected, abs=1e-5)

    def test_a_worked_example(self) -> None:
        """From $1 to $3: up from 0.4 to 0.8 at $2, then flat; a point below the hull is nothing."""
        cost, accuracy = [1.0, 2.0, 2.5, 1.5], [0.4, 0.8, 0.7, 0.5]
        assert mean_accuracy(cost, accuracy, 1.0, 3.0) == pytest.approx((0.6 + 0.8) / 2)


class TestCallOrder:
    @given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, NAN]), min_size=1, max_size=9), st.data())
    def test_equals_an_order_in_which_ties_are_drawn(self, margins, data) -> None:
        order = CallOrder.of(np.array([margins]))
        there = [m for m in margins if m == m]
        share = data.draw(st.floats(0, 1))
        sent, mean = order.sent(share)[0], order.sent_on_average()[0]
        for i, margin in enumerate(margins):
            if margin != margin:
                assert np.isnan([sent[i], mean[i]]).all()
                continue
            before = sum(m > margin for m in there) / len(there)
            equal = sum(m == margin for m in there) / len(there)
            assert sent[i] == pytest.approx(min(max((share - before) / equal, 0), 1))
            assert mean[i] == pytest.approx(1 - before - equal / 2)
        if there:
            # As many calls as were asked for.
            assert np.nanmean(sent) == pytest.approx(share)

    def test_the_first_share_that_reaches(self) -> None:
        calls, recovered = [0.0, 0.5, 1.0], [0.0, 0.8, 1.0]
        assert first_reach(calls, recovered, 0.4) == pytest.approx(0.25)
        assert first_reach(calls, recovered, 0.8) == pytest.approx(0.5)
        assert first_reach(calls, recovered, 0.9) == pytest.approx(0.75)
        assert first_reach(calls, [0.6, 0.8, 1.0], 0.5) == 0.0


class TestCalibration:
    @given(
        st.lists(
            st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0, NAN])),
            min_size=1,
            max_size=12,
        )
    )
    def test_equals_loops(self, pairs) -> None:
        estimates, score = (np.array(values)[:, None] for values in zip(*pairs, strict=True))
        sums, rates = CalibrationSums.none(), np.array([0.4])
        for part in np.array_split(np.arange(len(pairs)), 2):
            sums.add(estimates[part], score[part], rates)
        found, known = sums.calibration(), [(e, s) for e, s in pairs if s == s]
        if not known:
            assert found is None
            return
        error = 0.0
        for b, each in enumerate(found.bins):
            inside = [
                (e, s) for e, s in known if each.low <= e < each.high or (b == BINS - 1 and e == 1)
            ]
            assert each.n == pytest.approx(len(inside), abs=1)  # an end may round to either side
            error += abs(sum(e - s for e, s in inside)) / len(known)
        assert sum(each.n for each in found.bins) == found.n == len(known)
        assert found.brier == pytest.approx(statistics.fmean((e - s) ** 2 for e, s in known))
        assert found.brier_of_rates == pytest.approx(
            statistics.fmean((0.4 - s) ** 2 for _, s in known)
        )
        assert 0 <= found.error <= 1
        if all(abs(10 * e - round(10 * e)) > 1e-9 for e, _ in known):
            assert found.error == pytest.approx(error)

    def test_estimates_that_come_true_and_those_that_do_not(self) -> None:
        rng = np.random.default_rng(0)
        estimates = rng.random((40_000, 1))
        true = (rng.random(estimates.shape) < estimates).astype(float)
        found = CalibrationSums.none()
        found.add(estimates, true, np.array([0.5]))
        assert found.calibration().error < 0.01
        assert found.calibration().brier == pytest.approx(1 / 6, abs=0.005)  # of e * (1 - e)
        sure = CalibrationSums.none()
        sure.add(np.where(estimates > 0.5, 1.0, 0.0), true, np.array([0.5]))
        assert sure.calibration().error == pytest.approx(0.25, abs=0.01)

    @pytest.mark.parametrize("groups", [None, ["a", "b"] * 120])
    def test_estimates_are_those_of_the_definition(self, groups) -> None:
        """The core's, as an artifact serves them, and those of training in NumPy."""
        table, _ = two_kinds(np.random.default_rng(0), swap=0.3, groups=groups)
        learned = learn(table, table.embedding)
        artifact = learned.artifact()
        new = unit(table.embedding + 0.02 * np.random.default_rng(1).normal(size=(240, 16)))
        decisions = artifact.decide_many(new, **NO_LIMITS)
        part = learned.part
        shares = part.found.shares(new)
        success = part.rates + learned.setting.weights.average(part.estimates(new, shares))
        novel = decisions.reason_codes == decisions.reasons.index("default_novel")
        expected = np.where(novel[:, None], artifact.success[-1], np.clip(success, 0, 1))
        assert 0 < novel.sum() < 200
        np.testing.assert_allclose(estimates_of(decisions), expected, atol=2e-6)
        some = estimates_of(artifact.decide_many(new, allow=["m1"], **NO_LIMITS))
        assert np.isnan(some[:, 0]).all()
        np.testing.assert_array_equal(some[:, 1], estimates_of(decisions)[:, 1])


@pytest.mark.slow
class TestReport:
    def test_half_of_the_tasks_need_the_strong_model(self) -> None:
        """The strong model solves all, the weak one every other task, and prompts tell which.

        The gap is recovered with half of the calls, evenly as they rise; the area is 0.75.
        """
        rng, hard = np.random.default_rng(0), np.arange(120) % 2
        vectors = unit(np.eye(16)[hard] + 0.05 * rng.normal(size=(120, 16)))
        score = np.stack([1.0 - hard, np.ones(120)], axis=1)
        report = hypernova.evaluate(make_table(vectors, score), **QUICK)
        gap, trade = report.gap_recovered, report.call_frontier
        assert (gap.strong, gap.weak, gap.tasks) == ("m1", "m0", 120)
        assert gap.apgr == pytest.approx(0.75, abs=0.01)
        assert gap.ci95.low < gap.apgr < gap.ci95.high
        assert gap.calls_for_50 == pytest.approx(0.25, abs=0.01)
        assert gap.calls_for_80 == pytest.approx(0.40, abs=0.01)
        assert [point.calls for point in gap.curve] == pytest.approx(np.linspace(0, 1, 21).tolist())
        assert [gap.curve[i].recovered for i in (0, 10, 20)] == pytest.approx([0, 1, 1], abs=0.02)
        # Calls are no costs.
        assert (trade.model, trade.other) == ("m1", "m0")
        assert (report.pareto, report.aiq, report.frontier_gain) == ((), None, None)
        assert "cost" not in report.verdict.replace("what it costs is not known", "")
        between = [p for p in trade.points if p.calls == pytest.approx(0.5, abs=0.01)]
        assert len(between) > 10
        for point in between:
            assert point.accuracy == pytest.approx(1.0, abs=0.01)
            assert point.over_mix.mean == pytest.approx(0.25, abs=0.01)
            assert point.over_mix.is_proven
            assert point.over_mix.cost_change is None
        assert trade.points[-1].calls == 0.0
        assert 0.1 < trade.gain.mean < 0.25
        # Estimates lean on overall rates: those of sure outcomes are not quite sure.
        assert report.calibration.n == 240
        assert report.calibration.brier < 0.02 < report.calibration.brier_of_rates
        text = str(report)
        assert "APGR 0.7" in text
        assert "calls to m1 recover half of its lead over m0" in " ".join(text.split())
        assert max(map(len, text.splitlines()[1:])) <= 88
        read = hypernova.Report.from_dict(json.loads(json.dumps(report.to_dict())))
        assert read == report

    def test_a_lead_that_is_not_proven_is_no_gap(self) -> None:
        """Two models that are equally good, each at one kind."""
        table, _ = two_kinds(np.random.default_rng(0), n=120)
        report = hypernova.evaluate(table, **{**QUICK, "repeats": 1})
        assert report.gap_recovered is None
        assert report.call_frontier.gain.mean > 0.1

    def test_a_third_model_that_matters(self) -> None:
        rng, kind = np.random.default_rng(0), np.arange(120) % 3
        vectors = unit(np.eye(16)[kind] + 0.05 * rng.normal(size=(120, 16)))
        score = (kind[:, None] <= np.arange(3)).astype(float)
        cost = np.tile([1.0, 2.0, 4.0], (120, 1))
        once = {**QUICK, "repeats": 1}
        assert hypernova.evaluate(make_table(vectors, score), **once).gap_recovered is None
        # One that is dearer and no better does not.
        worse = np.column_stack([score[:, [0, 2]], score[:, 0]])
        table = make_table(vectors, worse, cost_usd=cost)
        gap = hypernova.evaluate(table, **once).gap_recovered
        assert (gap.strong, gap.weak) == ("m1", "m0")
        # Two of three tasks need it, and they go first.
        assert gap.apgr == pytest.approx(2 / 3, abs=0.02)
