"""Sums and estimates of what models achieved, against loops over single outcomes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hypernova.training.estimates.outcome_sums import sum_outcomes, sum_pairs
from hypernova.training.estimates.profile import (
    Evidence,
    best_single,
    estimate,
    pooled_success,
)
from support.factories import make_table, unit
from support.plain_completion import fill

NAN = float("nan")
scores = st.sampled_from([0.0, 0.25, 1.0, NAN])


def outcomes(draw, n: int, m: int) -> np.ndarray:
    return np.array(draw(st.lists(scores, min_size=n * m, max_size=n * m))).reshape(n, m)


def evidence_of(score: np.ndarray, clusters, k: int) -> Evidence:
    """Evidence without a table: the sums must not mind a model without outcomes."""
    clusters, unknown = np.asarray(clusters), np.full_like(score, NAN)
    sums = sum_outcomes(score, unknown, unknown, clusters, k)
    pairs = sum_pairs(score, [best_single(sums)], clusters, k)
    return Evidence(sums.with_sums(pairs))


class TestSums:
    @pytest.mark.slow
    @given(st.data())
    def test_equal_a_loop(self, data) -> None:
        n, m, k = data.draw(st.tuples(*[st.integers(1, 6)] * 3))
        score, cost = outcomes(data.draw, n, m), outcomes(data.draw, n, m)
        clusters = np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
        sums = sum_outcomes(score, cost, np.full((n, m), NAN), clusters, k)
        pairs = sum_pairs(score, range(m), clusters, k)
        for c in range(k + 1):
            rows = np.flatnonzero(clusters == c) if c < k else np.arange(n)
            for j in range(m):
                known = [score[i, j] for i in rows if not np.isnan(score[i, j])]
                assert sums["n"][c, j] == len(known)
                assert sums["score"][c, j] == sum(known)
                assert sums["score2"][c, j] == sum(x * x for x in known)
                costs = [cost[i, j] for i in rows if not np.isnan(cost[i, j])]
                assert (sums["cost_n"][c, j], sums["cost"][c, j]) == (len(costs), sum(costs))
                for r in range(m):
                    both = [score[i, j] - score[i, r] for i in rows]
                    both = [d for d in both if not np.isnan(d)]
                    assert pairs["pair_n"][r, c, j] == len(both)
                    assert pairs["pair_gain"][r, c, j] == sum(both)
                    assert pairs["pair_gain2"][r, c, j] == sum(d * d for d in both)
        assert not sums["latency_n"].any()
        assert not sums["latency"].any()

    def test_those_of_parts_add_up_to_those_of_the_whole(self) -> None:
        """Training is a map and a sum."""
        rng = np.random.default_rng(0)
        score, clusters = rng.integers(0, 2, size=(90, 4)).astype(float), rng.integers(0, 5, 90)
        none = np.full_like(score, NAN)

        def sums(rows: slice):
            part = sum_outcomes(score[rows], none[rows], none[rows], clusters[rows], 5)
            return part.with_sums(sum_pairs(score[rows], range(4), clusters[rows], 5))

        whole, added = sums(slice(None)), sums(slice(0, 37)) + sums(slice(37, None))
        for name in ("n", "score", "pair_gain2"):
            assert np.array_equal(whole[name], added[name])
        estimates = [estimate(Evidence(s), 10.0).profile.success for s in (whole, added)]
        assert np.array_equal(*estimates)


class Loops:
    """The estimates of the design, from single outcomes, one (cluster, model) at a time."""

    def __init__(self, score: np.ndarray, clusters, shrinkage: float) -> None:
        self.score, self.clusters, self.a = score, clusters, shrinkage
        self.models = range(score.shape[1])
        self.filled = fill(score, np.asarray(clusters), max(clusters) + 1)
        full = self.filled.score[self.filled.tried]
        self.overall = [
            (full[:, j].sum() + 20 * full.mean()) / (len(full) + 20) for j in self.models
        ]
        enough = min(max(len(self.known(j)) for j in self.models) / 2, 100)
        asked = [j for j in self.models if len(self.known(j)) >= enough]
        sure = [self.overall[j] - 0.5 * self.filled.error[j] for j in self.models]
        # Copies of one outcome are equal models, in whatever order they are added.
        best = max(sure[j] for j in asked)
        self.default = min(j for j in asked if sure[j] >= best - 1e-12)
        self.holes = self.filled.over(self.default)
        self.pooled = [self.pool(j) for j in self.models]

    def rows(self, of: set[int] | None) -> list[int]:
        return [i for i, c in enumerate(self.clusters) if of is None or c in of]

    def known(self, j: int, of: set[int] | None = None) -> list[float]:
        return [x for x in self.score[self.rows(of), j].tolist() if not np.isnan(x)]

    def gains(self, j: int, of: set[int] | None = None) -> list[float]:
        gains = [self.score[i, j] - self.score[i, self.default] for i in self.rows(of)]
        return [g for g in gains if not np.isnan(g)]

    @staticmethod
    def variance(values: list[float]) -> float:
        mean = sum(values) / max(len(values), 1)
        return sum((x - mean) ** 2 for x in values) / max(len(values), 1)

    def squared_error(self, values: list[float], largest: float) -> tuple[float, float]:
        """Variance over the whole table, and the squared error of a mean."""
        variance = max(self.variance(values), largest / (len(values) + 1))
        return variance, variance / max(len(values), 1)

    def pool(self, j: int) -> float:
        gap = self.overall[j] - self.overall[self.default]
        paired = self.squared_error(self.gains(j), 0.5)[1]
        unpaired = sum(self.squared_error(self.known(x), 0.25)[1] for x in (j, self.default))
        most = max(len(self.known(x)) for x in self.models)
        if len(self.known(j)) < min(most / 2, 100):
            error = math.sqrt(self.squared_error(self.known(j), 0.25)[1] + self.holes[j])
            behind = self.overall[self.default] - error
            return max(min(self.overall[j], behind), 0.0)
        if gap == 0:
            return self.overall[j]
        all_shared = len(self.gains(j)) == len(self.known(j))
        noise = paired if all_shared else min(paired, unpaired)
        kept = max(0.0, 1 - (noise + self.holes[j]) / gap**2)
        return self.overall[self.default] + kept * gap

    def success(self, c: int, j: int) -> float:
        # An outcome counts less the amount that pooling took off the rate of its model.
        off = self.overall[j] - self.pooled[j]
        prior = self.pooled[j]
        filled = self.filled.score[self.rows({c}), j]
        here = [x - off for x in filled.tolist() if not np.isnan(x)]
        if not here:
            return prior
        rate = (sum(here) + self.a * prior) / (len(here) + self.a)
        return min(max(rate, 0.0), 1.0)

    def error(self, values: list[float], overall: list[float], largest: float) -> float:
        """Standard error in a cluster of a mean that leans on that of the whole table."""
        weight, n = max(self.a, 1.0), len(values)
        variance, squared = self.squared_error(overall, largest)
        pooled = (n * self.variance(values) + weight * variance) / (n + weight)
        return math.sqrt(pooled / (n + weight) + (weight / (n + weight)) ** 2 * squared)

    def standard_error(self, c: int, j: int) -> float:
        error = self.error(self.known(j, {c}), self.known(j), 0.25)
        return math.hypot(error, self.hole_error(c, j))

    def hole_error(self, c: int, j: int) -> float:
        """Of what holes are filled with; a cluster behind the last with tasks has no holes."""
        return self.filled.cell_error[c, j] if c < len(self.filled.cell_error) else 0.0

    def gain_error(self, c: int, j: int) -> float:
        if j == self.default:
            return 0.0
        error = self.error(self.gains(j, {c}), self.gains(j), 0.5)
        return math.hypot(error, self.hole_error(c, j), self.hole_error(c, self.default))


class TestEstimate:
    @pytest.mark.slow
    @given(st.data())
    def test_equals_a_loop(self, data) -> None:
        n, m, k = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(1, 5)))
        score = outcomes(data.draw, n, m)
        assume(not np.isnan(score).all())
        clusters = data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
        a = data.draw(st.sampled_from([0.0, 0.5, 10.0, 40.0, 1e9]))
        # Copies of a table: with many outcomes the rates are not pooled.
        copies = data.draw(st.sampled_from([1, 60]))
        score, clusters = np.tile(score, (copies, 1)), clusters * copies

        loops = Loops(score, clusters, a)
        evidence = evidence_of(score, clusters, k)
        assert evidence.default_model == loops.default
        np.testing.assert_allclose(pooled_success(evidence), loops.pooled, atol=1e-12)
        estimated = estimate(evidence, a)
        for name in ("success", "standard_error", "gain_error"):
            loop = [[getattr(loops, name)(c, j) for j in range(m)] for c in range(k)]
            seen = getattr(estimated.profile, name)[:-1]
            np.testing.assert_allclose(seen, loop, atol=2e-7, err_msg=name)
        # The last row is the whole table's, and is not pooled.
        np.testing.assert_allclose(estimated.profile.success[-1], loops.overall, atol=2e-7)
        for j in range(m):
            squared = loops.squared_error(loops.known(j), 0.25)[1]
            assert estimated.profile.standard_error[-1, j] == pytest.approx(
                math.sqrt(squared + loops.filled.error[j] ** 2), abs=2e-7
            )
            squared = loops.squared_error(loops.gains(j), 0.5)[1] * (j != loops.default)
            assert estimated.profile.gain_error[-1, j] == pytest.approx(
                math.sqrt(squared + loops.holes[j] * (j != loops.default)), abs=2e-7
            )

    def test_a_worked_example(self) -> None:
        score = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
        table = make_table(np.eye(5, dtype=np.float32), score)
        estimated = estimate(Evidence.of(table, np.array([0, 0, 1, 1, 1]), 3), shrinkage=10.0)
        # Overall rates lean on everyone's 1/2 with weight 20; their gap is noise.
        overall = (np.array([2.0, 3.0]) + 20 * 0.5) / (5 + 20)
        prior = overall[1]
        off = overall - prior
        expected = [
            (np.array([2, 0]) - 2 * off + 10 * prior) / 12,
            (np.array([0, 3]) - 3 * off + 10 * prior) / 13,
            [prior, prior],  # nothing was seen in cluster 2
            overall,
        ]
        assert estimated.default_model == 1
        np.testing.assert_allclose(estimated.profile.success, expected, rtol=1e-6)
        assert estimated.profile.counts.tolist() == [[2, 2], [3, 3], [0, 0], [5, 5]]
        assert estimated.profile.mean[2].tolist() == [0, 0]
        assert np.all(estimated.profile.gain_error[:, 1] == 0)

    def test_unknown_cost_is_not_free(self) -> None:
        cost = np.array([[1.0, NAN], [3.0, NAN], [NAN, NAN], [NAN, NAN]])
        table = make_table(np.eye(4, dtype=np.float32), np.ones((4, 2)), cost_usd=cost)
        estimated = estimate(Evidence.of(table, np.array([0, 0, 1, 1]), 2), shrinkage=1.0)
        assert estimated.profile.cost[:, 0].tolist() == [
            2.0,
            2.0,
            2.0,
        ]  # cluster 1 leans on the whole
        assert np.isnan(estimated.profile.cost[:, 1]).all()

    def test_errors_shrink_with_evidence(self) -> None:
        rng = np.random.default_rng(0)
        errors = []
        for n in (20, 200, 2000):
            score = rng.integers(0, 2, size=(n, 2)).astype(float)
            table = make_table(unit(rng.normal(size=(n, 4))), score)
            evidence = Evidence.of(table, np.zeros(n, dtype=int), 1)
            errors.append(estimate(evidence, shrinkage=5.0).profile.standard_error[0, 0])
        assert errors[0] > errors[1] > errors[2]
        assert errors[2] == pytest.approx(0.5 / np.sqrt(2005), rel=0.05)

    def test_one_of_one_is_not_a_hundred_per_cent(self) -> None:
        """A cell with few or no outcomes leans on what is known."""
        score = np.full((101, 2), NAN)
        score[:100, 0] = np.arange(100) < 70
        score[100, 1] = 1.0
        evidence = evidence_of(score, np.arange(101) % 2, 2)
        estimated = estimate(evidence, shrinkage=10.0)
        assert evidence.default_model == 0
        assert estimated.profile.success[:, 1].max() < 0.75
        assert estimated.profile.gain_error[:, 1].min() > 0.1

    @pytest.mark.parametrize("few", [1, 2, 4])
    def test_a_few_equal_outcomes_are_no_proof(self, few) -> None:
        """Each beat the default model, and all of their differences are equal."""
        score = np.full((200, 2), NAN)
        score[:, 0] = np.arange(200) % 10 < 7
        score[np.flatnonzero(score[:, 0] == 0)[:few], 1] = 1.0
        evidence = evidence_of(score, np.zeros(200, dtype=int), 1)
        estimated = estimate(evidence, shrinkage=1e9)
        # Hardly tried, it is a standard error behind, though it leans on what all models achieve.
        overall = evidence.overall
        assert overall[1] > overall[0]
        error = np.sqrt(0.25 / (few + 1) / few + evidence.holes_error2[1])
        assert evidence.holes_error2[1] > 0.001
        assert pooled_success(evidence)[1] == pytest.approx(overall[0] - error)
        assert estimated.profile.success[0, 1] < estimated.profile.success[0, 0] - 0.05


class TestPooling:
    def rates(self, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        evidence = evidence_of(score, np.zeros(len(score), dtype=int), 1)
        return evidence.overall, pooled_success(evidence)

    def test_equal_rates_stay_equal(self) -> None:
        overall, pooled = self.rates(np.tile([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], (5, 1)))
        assert overall[0] == overall[1]
        assert np.array_equal(pooled, overall)

    def test_a_gap_within_noise_is_gone(self) -> None:
        score = np.ones((100, 2))
        score[:29, 0], score[-31:, 1] = 0.0, 0.0
        overall, pooled = self.rates(score)
        assert overall[0] > overall[1]
        assert pooled[1] == pooled[0] == overall[0]

    def test_a_gap_far_beyond_noise_is_left(self) -> None:
        rng = np.random.default_rng(0)
        overall, pooled = self.rates((rng.random((3000, 3)) < [0.9, 0.6, 0.2]).astype(float))
        np.testing.assert_allclose(pooled, overall, atol=1e-3)
        # The estimator of James and Stein takes at most all, and never overshoots.
        assert pooled[0] == overall[0]
        assert np.all(pooled[1:] >= overall[1:])

    def test_what_outcomes_agree_on_is_less_noise(self) -> None:
        """The same two rates: where one model solves all that the other does, it is better."""
        nested, crossed = np.zeros((200, 2)), np.zeros((200, 2))
        nested[:110, 0], nested[:98, 1] = 1.0, 1.0
        crossed[:110, 0], crossed[-98:, 1] = 1.0, 1.0
        (overall, kept), (same, taken) = self.rates(nested), self.rates(crossed)
        assert np.array_equal(overall, same)
        assert kept[1] < 0.5 * (overall[0] + overall[1])
        assert taken[1] == overall[0]

    def test_models_that_share_no_task(self) -> None:
        """A log with one model a task: hundreds of outcomes tell models apart all the same."""
        rng = np.random.default_rng(0)
        asked = np.arange(900) % 3
        score = (rng.random((900, 3)) < [0.85, 0.85, 0.3]).astype(float)
        score[asked[:, None] != np.arange(3)] = NAN
        overall, pooled = self.rates(score)
        assert pooled[2] == pytest.approx(overall[2], abs=0.01)
        assert pooled[0] == pytest.approx(pooled[1], abs=0.01)

    def test_clusters_do_not_restore_the_gap_that_pooling_removed(self) -> None:
        """Two clusters, alike in both: neither may prefer the luckier model."""
        score = np.ones((200, 2))
        score[:58:2, 0], score[1:63:2, 1] = 0.0, 0.0
        evidence = evidence_of(np.vstack([score, score]), np.repeat([0, 1], 200), 2)
        overall, pooled = evidence.overall, pooled_success(evidence)
        assert pooled[0] == pooled[1] == overall[0] > overall[1] + 0.009
        gap = np.diff(estimate(evidence, 10.0).profile.success, axis=1)
        # All but the part of a rate's distance from everyone's that 20 outcomes stand for.
        np.testing.assert_allclose(gap[:-1, 0], -0.01 * (20 / 420) * (200 / 210), atol=1e-6)


class TestBestSingle:
    def test_only_models_that_were_tried_often_enough_are_asked(self) -> None:
        score = np.full((400, 3), NAN)
        score[:, 0] = np.arange(400) % 2
        score[:99, 1] = 1.0
        score[:100, 2] = np.arange(100) < 90
        assert evidence_of(score, np.zeros(400, dtype=int), 1).default_model == 2

    def test_of_equal_ones_the_lower_index(self) -> None:
        score = np.tile([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]], (20, 1))
        assert evidence_of(score, np.zeros(40, dtype=int), 1).default_model == 1
