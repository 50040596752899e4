"""Tables with holes by kind: filled as the definition says, in worlds whose truth is known.

Not here: estimates made of completed sums (test_profile_estimates, test_learning_oracle).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import hypernova
from hypernova.training.estimates.completion import Completion, complete
from hypernova.training.estimates.outcome_sums import sum_outcomes
from hypernova.training.estimates.overlap import uncomparable
from hypernova.training.estimates.profile import Evidence
from hypernova.training.trainer import learn
from support.factories import make_table, unit
from support.plain_completion import fill

NAN = float("nan")
# Rates of four models on an easy and on a hard kind: A is the best, D the worst.
EASY, HARD = np.array([0.92, 0.87, 0.85, 0.80]), np.array([0.45, 0.38, 0.37, 0.30])


def completed(score: np.ndarray, cells, k: int) -> Completion:
    none = np.full(score.shape, NAN)
    return complete(sum_outcomes(score, none, none, np.asarray(cells), k))


def world(seed: int, n: int = 800, spread: float = 0.0):
    """A table whose last model was tried on the easy kind alone, and the complete scores."""
    rng = np.random.default_rng(seed)
    hard = np.arange(n) % 2 == 1
    rates = np.where(hard[:, None], HARD + spread * rng.normal(size=4), EASY)
    score = (rng.random((n, 4)) < rates).astype(float)
    kinds = np.where(hard[:, None], np.eye(1, 8, 0), np.eye(1, 8, 1))
    holes = np.where(hard[:, None] & (np.arange(4) == 3), NAN, score)
    table = make_table(
        unit(kinds + 0.2 * rng.normal(size=(n, 8))),
        holes,
        groups=["hard" if each else "easy" for each in hard],
    )
    return table, score, hard


class TestDefinition:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32 - 1))
    def test_is_one_mixed_model_over_all_outcomes(self, seed) -> None:
        rng = np.random.default_rng(seed)
        n, m, k = rng.integers(2, 60), rng.integers(2, 6), int(rng.integers(1, 5))
        score = np.where(rng.random((n, m)) < 0.5, rng.integers(0, 2, (n, m)), rng.random((n, m)))
        cells = rng.integers(0, k, n)
        score[rng.random((n, m)) < rng.choice([0.05, 0.4])] = NAN
        # Kinds that a model was never tried on, and tasks that none was.
        score[(rng.random((k, m)) < 0.3)[cells]] = NAN
        score[rng.random(n) < 0.1] = NAN
        assume(not np.isnan(score).all())
        seen, plain = completed(score, cells, k), fill(score, cells, k)
        rows = [plain.score[plain.tried & (cells == c)].sum(axis=0) for c in range(k)]
        expected = np.array([*rows, np.sum(rows, axis=0)])
        np.testing.assert_allclose(seen.score, expected, atol=1e-6)
        np.testing.assert_allclose(seen.covariance, plain.covariance, atol=1e-8)
        np.testing.assert_allclose(seen.cell_error, plain.cell_error, atol=1e-8)

    @given(st.integers(0, 2**32 - 1))
    def test_a_table_without_holes_keeps_its_sums_to_the_bit(self, seed) -> None:
        """Tasks that no model was tried on are none of its tasks."""
        rng = np.random.default_rng(seed)
        score, cells = rng.random((30, 4)), rng.integers(0, 3, 30)
        score[rng.random(30) < 0.2] = NAN
        assume(not np.isnan(score).all())
        none = np.full(score.shape, NAN)
        sums = sum_outcomes(score, none, none, cells, 3)
        seen = complete(sums)
        assert np.array_equal(seen.score, sums["score"])
        assert np.array_equal(np.broadcast_to(seen.tasks, (4, 4)), sums["n"])
        assert not seen.covariance.any()
        assert not seen.cell_error.any()
        assert not seen.missing.any()

    def test_known_outcomes_of_a_model_count_as_they_are(self) -> None:
        """A model without holes, and a cell without any, keep their sums beside those with some."""
        table, score, hard = world(0)
        seen = completed(table.score, hard.astype(int), 2)
        assert np.array_equal(seen.score[:, :3], completed(score, hard.astype(int), 2).score[:, :3])
        assert seen.score[0, 3] == score[~hard, 3].sum()
        assert seen.error.tolist()[:3] == [0.0, 0.0, 0.0]

    def test_equal_models_stay_equal(self) -> None:
        table, _, hard = world(1)
        score = np.column_stack([table.score, table.score])
        seen = completed(score, hard.astype(int), 2)
        assert np.array_equal(seen.score[:, :4], seen.score[:, 4:])
        assert np.array_equal(seen.cell_error[:, :4], seen.cell_error[:, 4:])

    def test_models_that_share_no_task_are_filled_with_what_is_usual(self) -> None:
        score = np.full((40, 2), NAN)
        score[:20, 0], score[20:, 1] = 1.0, 0.0
        seen = completed(score, np.zeros(40, dtype=int), 1)
        assert np.isfinite(seen.score).all()
        assert (seen.score <= 40).all()
        assert (seen.error > 0.02).all()


class TestWorlds:
    @pytest.mark.parametrize("seed", range(4))
    def test_a_model_that_was_tried_on_the_easy_kind_alone(self, seed) -> None:
        """Its mean is the highest, its rate the lowest, and that is said."""
        table, score, hard = world(seed)
        evidence = Evidence.of(table, hard.astype(int), 2)
        assert np.nanmean(table.score, axis=0).argmax() == 3
        assert evidence.default_model == 0
        rate = evidence.completion.score[-1] / evidence.completion.tasks[-1]
        assert abs(rate[3] - score[:, 3].mean()) < 3 * evidence.completion.error[3]
        (found,) = uncomparable(evidence, table.models)
        assert (found.model, found.default_model) == (table.models[3], table.models[0])
        assert found.tried == 0.5
        assert found.mean == pytest.approx(score[~hard, 3].mean())
        assert found.mean > found.default_rate > found.rate
        assert f"{found.model} cannot be the default model: it was tried on 50%" in str(found)

    def test_errors_cover_the_truth(self) -> None:
        """Where kinds differ in which model is good at them, over 60 worlds of eight kinds."""
        within, errors, plain = [], [], []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            kinds = np.arange(640) % 8
            rates = 0.55 + 0.1 * rng.normal(size=(8, 1)) + 0.05 * rng.normal(size=6)
            rates = rates + 0.1 * rng.normal(size=(8, 6))
            score = (rng.random((640, 6)) < rates.clip(0, 1)[kinds]).astype(float)
            holes = score.copy()
            holes[np.isin(kinds, rng.choice(8, 4, replace=False)), 0] = NAN
            seen = completed(holes, kinds, 8)
            off = seen.score[-1, 0] / 640 - score[:, 0].mean()
            within.append(abs(off) < 2 * seen.error[0])
            errors.append(abs(off))
            plain.append(abs(np.nanmean(holes[:, 0]) - score[:, 0].mean()))
        assert np.mean(within) > 0.85
        assert np.mean(errors) < np.mean(plain)

    def test_errors_grow_with_what_is_missing(self) -> None:
        rng = np.random.default_rng(0)
        kinds = np.arange(400) % 4
        score = (rng.random((400, 5)) < 0.6).astype(float)
        errors = []
        for gone in range(1, 4):
            holes = score.copy()
            holes[kinds < gone, 2] = NAN
            errors.append(completed(holes, kinds, 4).error[2])
        assert errors[0] < errors[1] < errors[2]

    def test_no_model_is_taken_for_a_kind_that_it_was_never_tried_on(self) -> None:
        """The default model is behind the others on that kind by less than kinds vary."""
        rng = np.random.default_rng(3)
        names = [f"kind {i % 6}" for i in range(1200)]
        kind = np.arange(1200) % 6
        rates = np.tile([0.8, 0.7, 0.7, 0.7, 0.78], (6, 1)) + 0.12 * rng.normal(size=(6, 5))
        rates[0] = [0.50, 0.52, 0.53, 0.51, 0.20]
        rates[1:, 0] = 0.84
        score = (rng.random((1200, 5)) < rates.clip(0, 1)[kind]).astype(float)
        score[kind == 0, 4] = NAN
        vectors = unit(np.eye(6)[kind] + 0.1 * rng.normal(size=(1200, 6)))
        table = make_table(vectors, score, groups=names)
        learned = learn(table, vectors)
        artifact = learned.artifact()
        assert artifact.default_model == artifact.models[0]
        chosen = artifact.decide_many(vectors[kind == 0]).model_indices
        assert not (chosen == 4).any()
        # Without caution it would be: what is known of it elsewhere speaks for it.
        cell = learned.part.by_cell.cluster_success
        row = int(np.argmax(learned.part.caution[:, 4]))
        assert cell[row, 4] > cell[row, 0]
        by_group = artifact.decide_many(vectors[kind == 0], group="kind 0").model_indices
        assert not (by_group == 4).any()

    def test_fit_keeps_it_and_evaluate_says_it(self) -> None:
        table, _, _ = world(0, n=60)
        artifact = hypernova.fit(table)
        assert artifact.default_model == artifact.models[0]
        (found,) = artifact.metadata["uncomparable"]
        assert found["model"] == artifact.models[3]
        assert found["tried"] == 0.5
        report = hypernova.evaluate(table, folds=2, repeats=1, jobs=1, learning_curve=False)
        assert any(f"{artifact.models[3]} cannot be the default" in note for note in report.notes)

    def test_a_table_without_holes_names_none(self) -> None:
        table, score, hard = world(0, n=120)
        whole = make_table(table.embedding, score, groups=table.groups)
        assert not uncomparable(Evidence.of(whole, hard.astype(int), 2), whole.models)
        assert "uncomparable" not in hypernova.fit(whole).metadata
