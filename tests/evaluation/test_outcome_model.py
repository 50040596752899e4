"""Estimates of missing scores and costs: against dense matrices, and in worlds of known truth.

Not here: what figures do with them (see test_estimated).
"""

from __future__ import annotations

import numpy as np
import pytest

from hypernova.evaluation.cost_model import CostModel
from hypernova.evaluation.estimated_table import kinds_of
from hypernova.evaluation.outcome_model import OutcomeModel
from support.factories import make_table

# Half of the values of Student's distribution with 4 degrees of freedom lie nearer to 0.
QUARTILE = 0.740697


def holes(rng: np.random.Generator, n: int = 60, models: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Scores of three kinds: one model lacks two kinds, one a kind, and others miss at random."""
    kinds = np.arange(n) % 3
    level = np.array([0.8, 0.5, 0.3])[kinds][:, None]
    score = np.clip(
        level + rng.normal(0, 0.15, (1, models)) + rng.normal(0, 0.2, (n, models)), 0, 1
    )
    score[kinds > 0, 0] = np.nan
    score[kinds == 1, 1] = np.nan
    score[:, 2:4][rng.random((n, 2)) < 0.2] = np.nan
    return score, kinds


class Dense:
    """The same model, as one normal distribution of all outcomes: the definition."""

    def __init__(self, model: OutcomeModel, score: np.ndarray, kinds: np.ndarray) -> None:
        task, column = np.indices(score.shape).reshape(2, -1)
        kind = kinds[task]
        same_model, same_kind = column[:, None] == column, kind[:, None] == kind
        prior = same_model * model.model_variance * np.outer(*2 * [model.loading[kind]])
        prior += same_kind * 1.0  # the mean of the kind
        prior += same_model * same_kind * model.interaction_variance[kind]
        prior += (task[:, None] == task) * model.task_variance
        prior += np.eye(score.size) * model.noise
        known = ~np.isnan(score.ravel())
        mean = score.ravel()[known].mean()
        gain = prior[:, known] @ np.linalg.inv(prior[np.ix_(known, known)])
        self.estimate = mean + gain @ (score.ravel()[known] - mean)
        self.covariance = prior - gain @ prior[known]


@pytest.mark.parametrize("seed", range(3))
def test_estimates_are_those_of_the_definition(seed) -> None:
    """Means of the missing outcomes, and the variance of any weighted sum of them."""
    rng = np.random.default_rng(seed)
    score, kinds = holes(rng)
    model = OutcomeModel.fit(score, kinds)
    dense = Dense(model, score, kinds)
    task, column = np.nonzero(np.isnan(score))
    flat = task * score.shape[1] + column
    expected = np.clip(dense.estimate[flat], 0, 1)
    np.testing.assert_allclose(model.filled[task, column], expected, atol=1e-9)
    np.testing.assert_array_equal(model.filled[~np.isnan(score)], score[~np.isnan(score)])
    weights = rng.normal(size=len(flat))
    units = model.unit_weights(task, column, weights).ravel()
    covariance = errors_of(model)
    exact = weights @ dense.covariance[np.ix_(flat, flat)] @ weights
    found = units @ covariance @ units + model.own_variance(task, weights)
    assert found == pytest.approx(exact, rel=1e-9)


def errors_of(model: OutcomeModel) -> np.ndarray:
    """Covariance of the errors of all expected scores, kind by kind."""
    n_kinds, n_models = model.expected.shape
    rows = []
    for kind in range(n_kinds):
        of_main = np.zeros((n_models, n_models + n_kinds))
        of_main[:, :n_models] = model.loading[kind] * np.eye(n_models)
        of_main[:, n_models + kind] = 1.0
        rows.append(of_main - model.spread[kind] @ model.information[kind] @ of_main)
    effects = np.concatenate(rows)
    covariance = effects @ model.main @ effects.T
    for kind in range(n_kinds):
        at = slice(kind * n_models, (kind + 1) * n_models)
        covariance[at, at] += model.spread[kind]
    return covariance


def test_drawn_errors_have_that_covariance_and_wide_tails() -> None:
    """A model's errors, alone and summed over kinds, by their median; and their outer quantile."""
    model = OutcomeModel.fit(*holes(np.random.default_rng(0)))
    covariance = errors_of(model)
    drawn = np.stack(list(model.draw_errors(np.random.default_rng(1), 20_000)))
    n_models = drawn.shape[1]
    for column in range(n_models):
        of_model = covariance[column::n_models, column::n_models]
        for weights in (*np.eye(3), np.array([1.0, 1.0, -0.5])):
            size = np.abs(weights @ drawn[:, column])
            deviation = np.sqrt(weights @ of_model @ weights)
            assert np.median(size) == pytest.approx(QUARTILE * deviation, rel=0.05)
            assert np.quantile(size, 0.95) == pytest.approx(2.776 * deviation, rel=0.08)


def test_a_model_run_on_the_easy_kind_alone_is_not_the_best() -> None:
    """Kinds differ in difficulty, models by as much everywhere: estimates find the truth."""
    rng = np.random.default_rng(0)
    n, skill = 1200, np.array([0.05, 0.0, -0.05, -0.1, -0.1])
    kinds = np.arange(n) % 3
    rate = np.array([0.9, 0.5, 0.3])[kinds][:, None] + skill
    complete = (rng.random((n, 5)) < rate).astype(float)
    score = complete.copy()
    score[kinds > 0, 3] = np.nan
    model = OutcomeModel.fit(score, kinds)
    plain, estimated = np.nanmean(score, axis=0), model.filled.mean(axis=0)
    assert plain.argmax() == 3
    assert estimated.argmax() == 0
    truth = complete[:, 3].mean()
    assert abs(estimated[3] - truth) < abs(plain[3] - truth) / 5


def test_intervals_hold_the_truth_where_models_were_never_run_on_kinds() -> None:
    """40 worlds with effects of model and kind: 95 intervals of 100 hold the true mean, or more."""
    held = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        kinds = np.arange(300) % 4
        rate = np.array([0.8, 0.6, 0.5, 0.4])[:, None] + rng.normal(0, 0.1, 8)
        rate = np.clip(rate + rng.normal(0, 0.08, (4, 8)), 0.02, 0.98)
        complete = (rng.random((300, 8)) < rate[kinds]).astype(float)
        score = complete.copy()
        for column in range(5):
            score[np.isin(kinds, rng.permutation(4)[:2]), column] = np.nan
        model = OutcomeModel.fit(score, kinds)
        task, column = np.nonzero(np.isnan(score[:, :1]))
        weights = np.full(len(task), 1 / len(task))
        units = model.unit_weights(task, column, weights)
        drawn = model.draw_errors(rng, 1000)
        error = sum(of_kind @ each for of_kind, each in zip(units, drawn, strict=True))
        error += np.sqrt(model.own_variance(task, weights)) * rng.normal(size=1000)
        low, high = model.filled[task, 0].mean() + np.quantile(error, [0.025, 0.975])
        held.append(low <= complete[task, 0].mean() <= high)
    assert np.mean(held) >= 0.93


@pytest.mark.parametrize("kinds", [np.zeros(40, dtype=int), np.arange(40) // 20])
def test_little_evidence_is_no_error(kinds) -> None:
    """One kind; models that share no task; equal scores; a model without any outcome."""
    rng = np.random.default_rng(0)
    apart = np.full((40, 3), np.nan)
    apart[np.arange(40), np.arange(40) % 3] = rng.random(40)
    none = np.column_stack([rng.random((40, 2)), np.full(40, np.nan)])
    equal = np.where(rng.random((40, 3)) < 0.3, np.nan, 1.0)
    equal[:, 0] = 1.0
    for score in (apart, none, equal):
        model = OutcomeModel.fit(score, kinds)
        filled = model.filled
        assert not np.isnan(filled).any()
        assert all(np.isfinite(each).all() for each in model.draw_errors(rng, 10))
        assert filled.min() >= 0
        assert filled.max() <= 1
    np.testing.assert_allclose(OutcomeModel.fit(equal, kinds).filled, 1.0)


class TestCosts:
    def test_products_of_model_and_task_are_found(self) -> None:
        rng = np.random.default_rng(0)
        complete = np.exp(rng.normal(0, 0.5, (300, 1))) * np.array([4.0, 1.0, 0.2])
        cost = np.where(rng.random((300, 3)) < 0.3, np.nan, complete)
        cost[:, 0] = complete[:, 0]
        cost[:100, 1] = np.nan
        model = CostModel.fit(cost, np.arange(300) // 100)
        missing = np.isnan(cost)
        np.testing.assert_array_equal(model.filled[~missing], cost[~missing])
        for column in (1, 2):
            of_model = missing[:, column]
            found, truth = model.filled[of_model, column], complete[of_model, column]
            assert found.mean() == pytest.approx(truth.mean(), rel=0.05)
            assert np.corrcoef(found, truth)[0, 1] > 0.95

    def test_nothing_is_said_of_a_model_without_costs_and_free_ones_stay_free(self) -> None:
        cost = np.tile([2.0, 0.0, np.nan], (40, 1))
        cost[:5, :2] = np.nan
        model = CostModel.fit(cost, np.arange(40) // 20)
        np.testing.assert_allclose(model.filled[:, 0], 2.0)
        np.testing.assert_array_equal(model.filled[:, 1], 0.0)
        assert np.isnan(model.filled[:, 2]).all()

    def test_a_kind_where_a_model_is_dearer_makes_others_unsure(self) -> None:
        kinds = np.arange(120) // 40
        cost = np.tile([1.0, 1.0, 1.0, 1.0], (120, 1))
        cost[kinds == 1, 0] = 3.0
        cost[kinds == 2, 3] = np.nan
        model = CostModel.fit(cost, kinds)
        assert model.deviation[2, 3] > model.deviation[2, 2] > 0.05
        cost[:, 0] = 1.0
        np.testing.assert_allclose(CostModel.fit(cost, kinds).deviation, 0.0, atol=1e-6)


class TestKinds:
    @staticmethod
    def table(score, groups=None):
        vectors = np.tile(np.eye(4, dtype=np.float32)[0], (len(score), 1))
        return make_table(vectors, score, groups=groups)

    def test_named_groups_with_small_ones_together(self) -> None:
        groups = ["a"] * 30 + ["b"] * 25 + ["c"] * 3 + [None] * 2
        found = kinds_of(self.table(np.ones((60, 2)), groups), np.zeros(60, dtype=int))
        assert found.tolist() == [0] * 30 + [1] * 25 + [2] * 5

    @pytest.mark.parametrize("group", [None, "one"])
    def test_without_two_groups_tasks_that_the_same_models_were_run_on(self, group) -> None:
        score = np.ones((90, 3))
        score[:30, 0] = np.nan
        score[[85, 86, 87, 88, 89], 1] = np.nan
        found = kinds_of(self.table(score, [group] * 90), np.repeat([7, 3], 45))
        assert len(set(found[:30])) == len(set(found[30:85])) == 1
        assert len(set(found)) == 3  # the last five are too few, and have their cluster

    def test_clusters_where_each_task_lacks_others(self) -> None:
        rng = np.random.default_rng(0)
        score = np.where(rng.random((60, 9)) < 0.5, np.nan, 1.0)
        score[:, 0] = 1.0
        found = kinds_of(self.table(score), np.repeat([7, 3], 30))
        assert found.tolist() == [1] * 30 + [0] * 30
