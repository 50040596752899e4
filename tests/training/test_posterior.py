"""What a log says of the fitted estimates, against a dense regression and in simulated worlds."""

from __future__ import annotations

import numpy as np
import pytest

from hypernova.artifact.sketch import SketchBasis
from hypernova.training.assemble import assemble
from hypernova.training.clustering.clusters import Clusters
from hypernova.training.estimates.profile import Evidence, estimate
from hypernova.training.online.generation import mean_success
from hypernova.training.online.log_sums import DAY_S, LoggedOutcomes, LogSums
from hypernova.training.online.posterior import EffectPrior, outcome_variance, posterior_update
from hypernova.training.online.update import updated_estimate, updated_margin
from support.factories import make_table, unit
from training.test_recalibrate import ARRAYS, rebuilt

NAN = float("nan")
START = 1_764_000_000.0
# Two directions of vectors of four entries.
BASIS = SketchBasis(np.eye(2, 4, dtype="f4"), np.zeros(2), np.array([0.2, 0.1]), 80.0)


def random_outcomes(rng: np.random.Generator, k: int, m: int, n: int, dims: int) -> LoggedOutcomes:
    """Make outcomes of which those of novel prompts have neither coordinates nor deviations."""
    row = rng.integers(0, k + 1, n)
    known = row < k
    sketched = known & (rng.random(n) < 0.7)
    return LoggedOutcomes(
        row=row.tolist(),
        model=rng.choice(m, n, p=rng.dirichlet(np.ones(m))).tolist(),
        time=(START + DAY_S * rng.random(n)).tolist(),
        weight=rng.uniform(1, 5, n).tolist(),
        coordinates=list(rng.normal(size=(n, dims)) * sketched[:, None]),
        estimate=rng.random(n).tolist(),
        deviation=(rng.normal(0.1, 0.2, n) * known).tolist(),
        residual=rng.normal(-0.1, 0.4, n).tolist(),
        score=rng.random(n).tolist(),
        cost=[NAN] * n,
        latency=[NAN] * n,
    )


def summed(batch: LoggedOutcomes, k: int, m: int, dims: int, half_life=None) -> LogSums:
    sums = LogSums((k + 1, m), half_life, dims)
    sums.add(batch)
    return sums


def fitted(rng: np.random.Generator, k: int, m: int, shrinkage: float):
    score = (rng.random((80, m)) < 0.6).astype(float)
    table = make_table(unit(rng.normal(size=(80, 4))), score)
    return estimate(Evidence.of(table, rng.integers(0, k, 80), k), shrinkage)


class TestPosteriorUpdate:
    @pytest.mark.parametrize("dims", [0, 2])
    @pytest.mark.parametrize("shrinkage", [0.0, 10.0, 1e9])
    @pytest.mark.parametrize("n", [3, 60, 1000])
    def test_is_the_posterior_mean_of_a_dense_system(self, n, shrinkage, dims) -> None:
        """All effects as one ridge regression over the outcomes themselves, from the definition."""
        rng = np.random.default_rng(n)
        k, m, kept, half_life = 4, 3, 0.5, 2.0
        base = fitted(rng, k, m, shrinkage)
        batch = random_outcomes(rng, k, m, n, dims)
        sums = summed(batch, k, m, dims, half_life)
        basis = BASIS if dims else None
        update = posterior_update(sums, EffectPrior.of(base, sums, shrinkage, kept, basis))

        row, model = np.array(batch.row), np.array(batch.model)
        time = np.array(batch.time)
        weight = np.array(batch.weight) * 0.5 ** ((time.max() - time) / (half_life * DAY_S))
        worth = np.ones(m)
        for j in set(batch.model):
            own = weight[model == j]
            worth[j] = own.sum() / (own**2).sum()
        p = np.clip(batch.estimate, 0.1, 0.9)
        w = weight * worth[model] * 0.2 / (p * (1 - p))
        z = np.array(batch.coordinates).reshape(n, dims)
        known = row < k
        d = np.array(batch.deviation)
        center = np.sum(w[known] * d[known]) / np.sum(w[known]) if known.any() else 0.0
        d = np.where(known, d - center, 0.0)

        counts, effective = base.profile.counts * kept, sums.effective()
        cell = 2 * (counts + max(shrinkage, 1.0))
        cell[k] = 40.0
        of_model = 2 * (counts[k] + 20)
        cluster = [
            np.average(cell[c], weights=effective[c]) if effective[c].any() else cell[c].mean()
            for c in range(k + 1)
        ]
        tried = effective.sum(axis=0)
        common = np.average(of_model, weights=tried)
        slope = 2 * (counts[k][:, None] + 30 / BASIS.spread**2)[:, :dims]
        common_slope = np.average(slope, axis=0, weights=tried) if dims else np.zeros(0)
        unit_of = [
            np.ones((n, 1)), np.eye(m)[model], np.eye(k + 1)[row],
            np.eye((k + 1) * m)[row * m + model],
            z, (np.eye(m)[model][:, :, None] * z[:, None]).reshape(n, m * dims), d[:, None],
        ]  # fmt: skip
        prior = np.concatenate(
            [[common], of_model, cluster, cell.ravel(), common_slope, slope.ravel(), [0.2 / 0.01]]
        )
        x, y = np.hstack(unit_of), np.array(batch.residual)

        def solve(x, y, prior):
            inverse = np.linalg.inv(x.T @ (w[:, None] * x) + np.diag(prior))
            return inverse @ (x.T @ (w * y)), np.diag(inverse)

        mean, variance = solve(x, y, prior)
        noise = np.average(outcome_variance(sums), weights=tried)
        held = np.zeros(m)
        for j in range(m):
            learned = 1 / of_model[j] - variance[1 + j]
            if learned > 1e-12 / of_model[j]:
                observed = mean[1 + j] / of_model[j] / learned
                sure = noise * variance[1 + j] / of_model[j] / learned
                held[j] = mean[1 + j] * max(0.0, 1 - sure / observed**2)
        level = mean[0] + held
        np.testing.assert_allclose(update.models, level, atol=1e-6)
        rest, _ = solve(x[:, 1 + m :], y - level[model], prior[1 + m :])
        of_cluster, rest = rest[: k + 1], rest[k + 1 :]
        of_cell, rest = rest[: (k + 1) * m].reshape(k + 1, m), rest[(k + 1) * m :]
        assert update.scale == pytest.approx(np.clip(rest[-1], -0.5, 1.0), abs=1e-5)
        if -0.5 < rest[-1] < 1.0:
            coefficients = rest[:dims] + rest[dims:-1].reshape(m, dims)
            np.testing.assert_allclose(update.coefficients, coefficients, atol=1e-5)
            total = level + of_cluster[:, None] + of_cell
            total[:k] -= update.scale * center
            np.testing.assert_allclose(update.cells, total, atol=1e-5)

    def test_sums_of_parts_are_those_of_the_whole(self) -> None:
        rng = np.random.default_rng(5)
        whole = random_outcomes(rng, 3, 2, 400, 2)
        parts = [LoggedOutcomes(), LoggedOutcomes()]
        for name, values in vars(whole).items():
            for part, at in zip(parts, (slice(0, 150), slice(150, None)), strict=True):
                getattr(part, name).extend(values[at])
        first, second = (summed(part, 3, 2, 2, half_life=0.5) for part in parts)
        first.merge(second)
        at_once = summed(whole, 3, 2, 2, half_life=0.5)
        for name in at_once.sums.values:
            np.testing.assert_allclose(first[name], at_once[name], rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("seed", range(12))
    def test_any_sums_make_an_artifact(self, seed) -> None:
        """Cells without outcomes, no shrinkage, all decayed, one outcome or thousands."""
        rng = np.random.default_rng(seed)
        k, m = int(rng.integers(1, 6)), int(rng.integers(2, 6))
        score = np.where(rng.random((30, m)) < 0.6, NAN, rng.random((30, m)).round())
        score[0] = 1.0
        table = make_table(unit(rng.normal(size=(30, 4))), score)
        evidence = Evidence.of(table, rng.integers(0, k, 30), k)
        shrinkage = float(rng.choice([0.0, 10.0, 1e9]))
        base = estimate(evidence, shrinkage)
        basis = BASIS if seed % 2 else None
        batch = random_outcomes(rng, k, m, int(rng.choice([1, 5, 5000])), 2 * (seed % 2))
        sums = summed(batch, k, m, 2 * (seed % 2))
        kept = float(rng.choice([0.0, 1e-300, 0.3, 1.0]))
        new, generation = updated_estimate(base, sums, shrinkage, kept, basis)
        assert np.isfinite(generation.coefficients).all()
        assert -0.5 <= generation.scale <= 1.0
        built = rebuilt(
            assemble(
                table.models,
                Clusters(np.eye(k, 8, dtype="f4")),
                estimate(evidence, 1.0),
                shrinkage=1.0,
                guard_z=1.0,
            ),
            **{name: getattr(new.profile, name) for name in ARRAYS},
            default_model=new.default_model,
        )
        assert built.gain_error[:, new.default_model].tolist() == [0.0] * (k + 1)

    def test_gain_errors_are_honest(self) -> None:
        """In 60 worlds as fitted: what was claimed is at least the error that was made."""
        rng = np.random.default_rng(0)
        k, m, n = 6, 4, 3000
        made, claimed = [], []
        for _ in range(60):
            theta = np.clip(0.6 + 0.15 * rng.normal(size=(k, m)), 0.05, 0.95)
            labels = np.repeat(np.arange(k), 40)
            # Outcomes of one task go together, so that pairing has something to gain.
            alike = rng.random((len(labels), 1)) < 0.5
            draw = np.where(alike, rng.random((len(labels), 1)), rng.random((len(labels), m)))
            table = make_table(np.eye(16, dtype="f4")[labels], (draw < theta[labels]).astype(float))
            base = estimate(Evidence.of(table, labels, k), 10.0)
            row, best = rng.integers(0, k, n), base.profile.success[:-1].argmax(axis=1)
            explored = rng.random(n) < 0.3
            model = np.where(explored, rng.integers(0, m, n), best[row])
            score = (rng.random(n) < theta[row, model]).astype(float)
            sums = LogSums((k + 1, m))
            estimated = base.profile.success[row, model].astype(float)
            batch = LoggedOutcomes(
                row.tolist(), model.tolist(), [START] * n, [1.0] * n,
                [np.zeros(0)] * n, estimated.tolist(),
                (estimated - mean_success(base.profile)[model]).tolist(),
                (score - estimated).tolist(), score.tolist(), [NAN] * n, [NAN] * n,
            )  # fmt: skip
            sums.add(batch)
            new, _ = updated_estimate(base, sums, 10.0, 1.0)
            others = np.arange(m) != new.default_model
            gap = new.profile.success[:-1] - new.profile.success[:-1, [new.default_model]]
            true = theta - theta[:, [new.default_model]]
            made.append((gap - true)[:, others] ** 2)
            claimed.append(new.profile.gain_error[:-1, others] ** 2)
        assert np.mean(made) <= 1.05 * np.mean(claimed)
        assert np.mean(made) >= 0.5 * np.mean(claimed)


def test_the_margin_shrinks_with_outcomes_of_other_models_alone() -> None:
    batch = random_outcomes(np.random.default_rng(0), 2, 2, 400, 0)
    batch.weight = [1.0] * 400
    sums = summed(batch, 2, 2, 0)
    tried = batch.model.count(1)
    assert updated_margin(1.0, sums, 0) == pytest.approx(tried**-0.5)
    assert updated_margin(0.01, sums, 0) == 0.01
    batch.model = [0] * 400
    assert updated_margin(1.0, summed(batch, 2, 2, 0), 0) == 1.0
