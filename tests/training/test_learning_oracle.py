"""All that `fit` estimates against plain NumPy: loops over a table, no sums, float64.

Not here: the estimates of single functions (test_profile_estimates, test_linear_correction), or
which setting is selected (test_model_selection).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from hypernova._core import Artifact, nearest_centroids
from hypernova.training.clustering.clusters import NEAREST
from hypernova.training.estimates.outcome_sums import COST_BITS, LATENCY_BITS
from hypernova.training.estimates.stacking import StackingWeights
from hypernova.training.trainer import learn
from hypernova.training.training_part import RIDGES, SHRINKAGE, Setting
from support.factories import uneven_table, unit
from support.plain_completion import fill

NAN = float("nan")
# Of artifacts: figures are float32, costs of one outcome are rounded to 2**-36 USD.
FLOAT32 = 2e-7
# Costs and latencies are rounded to this before they are summed.
COST, LATENCY = 2.0**-COST_BITS, 2.0**-LATENCY_BITS


class PlainEstimates:
    """Estimates from outcomes and cells, in the order of docs/fitting.md."""

    def __init__(self, table, cells, k: int) -> None:
        self.score, self.clusters = table.score, cells
        self.cost, self.latency = table.cost_usd, table.latency_s
        self.k, self.m, self.a = k, table.n_models, SHRINKAGE
        self.filled = fill(self.score, cells, k)
        known = self.filled.score[self.filled.tried]
        self.n = [len(self.outcomes(j)) for j in range(self.m)]
        self.overall = (known.sum(axis=0) + 20 * known.mean()) / (len(known) + 20)
        enough = min(max(self.n) / 2, 100)
        candidates = [j for j in range(self.m) if self.n[j] >= enough]
        sure = self.overall - 0.5 * self.filled.error
        self.default = max(candidates, key=lambda j: (sure[j], -j))
        self.holes = self.filled.over(self.default)
        self.pooled = np.array([self.pooled_rate(j, enough) for j in range(self.m)])
        shrunk = [[self.shrunk(c, j) for j in range(self.m)] for c in range(k)]
        # Estimates that are served are float32.
        self.by_cell = np.array(shrunk).clip(0, 1).astype(np.float32).astype(float)

    def column(self, values, j, c=None) -> np.ndarray:
        """Known values of a model, in all cells or one."""
        at = np.ones(len(values), bool) if c is None else self.clusters == c
        found = values[at, j]
        return found[~np.isnan(found)]

    def outcomes(self, j, c=None) -> np.ndarray:
        return self.column(self.score, j, c)

    def gains(self, j, c=None) -> np.ndarray:
        return self.column(self.score - self.score[:, [self.default]], j, c)

    @staticmethod
    def mean_error(values, largest: float) -> float:
        """Squared error of a mean whose values vary at least as one more could make them."""
        variance = np.var(values) if len(values) else 0.0
        return max(variance, largest / (len(values) + 1)) / max(len(values), 1)

    def pooled_rate(self, j: int, enough: float) -> float:
        """Positive-part James and Stein: the gap to the default model, as far as it is no noise."""
        best = self.overall[self.default]
        gap = self.overall[j] - best
        if self.n[j] < enough:
            error = math.sqrt(self.mean_error(self.outcomes(j), 0.25) + self.holes[j])
            return max(min(self.overall[j], best - error), 0.0)
        if gap == 0:
            return best
        noise = self.mean_error(self.gains(j), 0.5)
        if len(self.gains(j)) < self.n[j]:
            both = [self.mean_error(self.outcomes(i), 0.25) for i in (j, self.default)]
            noise = min(noise, sum(both))
        noise += self.holes[j]
        return best + max(0.0, 1 - noise / gap**2) * gap

    def shrunk(self, c: int, j: int) -> float:
        shift, prior = self.overall[j] - self.pooled[j], self.pooled[j]
        here = self.column(self.filled.score, j, c) - shift
        return (here.sum() + self.a * prior) / (len(here) + self.a) if len(here) else prior

    def error(self, here, everywhere, largest: float) -> float:
        weight, n = max(self.a, 1.0), len(here)
        overall = self.mean_error(everywhere, largest)
        within = np.var(here) if n else 0.0
        pooled = (n * within + weight * overall * max(len(everywhere), 1)) / (n + weight)
        return math.sqrt(pooled / (n + weight) + (weight / (n + weight)) ** 2 * overall)

    def standard_errors(self) -> np.ndarray:
        rows = [
            [self.error(self.outcomes(j, c), self.outcomes(j), 0.25) for j in range(self.m)]
            for c in range(self.k)
        ]
        last = [math.sqrt(self.mean_error(self.outcomes(j), 0.25)) for j in range(self.m)]
        return np.hypot([*rows, last], np.vstack([self.filled.cell_error, self.filled.error]))

    def gain_errors(self) -> np.ndarray:
        rows = [
            [self.error(self.gains(j, c), self.gains(j), 0.5) for j in range(self.m)]
            for c in range(self.k)
        ]
        errors = [*rows, [math.sqrt(self.mean_error(self.gains(j), 0.5)) for j in range(self.m)]]
        holes = np.vstack([self.caution(), np.sqrt(self.holes)])
        return np.where(np.arange(self.m) == self.default, 0.0, np.hypot(errors, holes))

    def caution(self) -> np.ndarray:
        """What the holes of a model and of the default model take off its success in a cell."""
        error = self.filled.cell_error
        both = np.sqrt(error**2 + error[:, [self.default]] ** 2)
        return np.where(np.arange(self.m) == self.default, 0.0, both)

    def expenses(self, values) -> np.ndarray:
        """Mean of the known ones; without any in a cluster that of the model, else unknown."""
        means = np.full((self.k + 1, self.m), NAN)
        for j in range(self.m):
            for c in [*range(self.k), None]:
                for known in (self.column(values, j, c), self.column(values, j)):
                    if len(known):
                        means[self.k if c is None else c, j] = known.mean()
                        break
        return means

    def raw(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of outcomes and their plain means."""
        cells = [[self.outcomes(j, c) for j in range(self.m)] for c in [*range(self.k), None]]
        counts = np.array([[len(cell) for cell in row] for row in cells])
        means = np.array([[cell.mean() if len(cell) else 0.0 for cell in row] for row in cells])
        return counts, means

    def ridge(self, vectors, weight: float) -> tuple[np.ndarray, np.ndarray]:
        """Ridge regressions of level and contrast, each over the tasks that it is known on."""
        slopes = np.zeros((self.m, vectors.shape[1]))
        offsets = np.zeros(self.m)
        known = ~np.isnan(self.score)
        level = np.where(known, self.score - self.overall, 0.0).sum(axis=1)
        level /= np.maximum(known.sum(axis=1), 1)
        for j in range(self.m):
            both = [(known[:, j], (self.score - level[:, None])[:, j]), (known.any(axis=1), level)]
            if known[:, j].all():
                both = [(known[:, j], self.score[:, j])]
            for at, y in both:
                if at.any():
                    x = vectors[at].astype(np.float64)
                    slope = Ridge(alpha=weight).fit(x, y[at]).coef_
                    slopes[j] += slope
                    offsets[j] -= slope @ x.mean(axis=0)
        return slopes, offsets

    def averaged(self, vectors) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, slopes and offsets of the weighted average: contrasts and level apart."""

        def weighted(values, contrast: float, level: float) -> np.ndarray:
            mean = values.mean(axis=-1, keepdims=True)
            return contrast * (values - mean) + level * mean

        pairs = list(zip(WEIGHTS.contrast, WEIGHTS.level, strict=True))
        rows = self.pooled + weighted(self.by_cell - self.pooled, *pairs[0])
        rows = (rows - self.caution()).clip(0, 1)
        slopes, offsets = np.zeros((self.m, vectors.shape[1])), np.zeros(self.m)
        for weight, pair in zip(RIDGES, pairs[1:], strict=True):
            slope, offset = self.ridge(vectors, weight)
            slopes += weighted(slope.T, *pair).T
            offsets += weighted(offset, *pair)
        return rows, slopes, offsets


def plain_shares(vectors, centroids, sharpness: float) -> np.ndarray:
    """Softmax over the nearest centroids; a loop over vectors."""
    rows = []
    for vector in vectors.astype(np.float64):
        squared = ((centroids.astype(np.float64) - vector) ** 2).sum(axis=1)
        nearest = np.argsort(squared, kind="stable")[:NEAREST]
        weights = np.zeros(len(centroids))
        weights[nearest] = np.exp(-sharpness / 2 * (squared[nearest] - squared.min()))
        rows.append(weights / weights.sum())
    return np.array(rows)


WEIGHTS = StackingWeights((0.7, 0.1, 0.2, 0.3, 0.4), (0.5, 0.0, 0.3, 0.1, 0.4))
CASES = [("prompts", 1), ("prompts", 5), ("prompts", 12), ("groups", 3)]


def plain_of(table, vectors, learned) -> PlainEstimates:
    """Estimates in the cells that were learned in: by group, or by the nearest centroid."""
    if learned.setting.source == "groups":
        names = sorted(set(table.groups))
        return PlainEstimates(table, np.array([names.index(g) for g in table.groups]), len(names))
    centroids = learned.artifact().centroids
    return PlainEstimates(table, nearest_centroids(vectors, centroids)[0], len(centroids))


def learned_with(table, vectors, source: str, clusters: int):
    setting = Setting(source, clusters, 1.0, WEIGHTS)
    given = clusters if source == "prompts" else "auto"
    return learn(table, vectors, clusters=given, setting=setting, seed=1)


@pytest.mark.parametrize("holes", [0.0, 0.4])
@pytest.mark.parametrize(("n", "dim"), [(90, 16), (240, 16), (150, 200)], ids=str)
@pytest.mark.parametrize(("source", "clusters"), CASES)
def test_an_artifact_is_what_plain_loops_estimate(source, clusters, n, dim, holes) -> None:
    """More tasks than dimensions and fewer; with and without holes and groups."""
    table, vectors = uneven_table(n, dim, holes)
    assert np.isnan(table.score).any() == bool(holes)
    learned = learned_with(table, vectors, source, clusters)
    artifact, plain = learned.artifact(), plain_of(table, vectors, learned)

    assert artifact.models.index(artifact.default_model) == plain.default
    counts, means = plain.raw()
    assert np.array_equal(artifact.counts, counts)
    rows, slopes, offsets = plain.averaged(vectors)
    expected = {
        "mean": means,
        "success": np.vstack([rows, plain.overall]),
        "standard_error": plain.standard_errors(),
        "gain_error": plain.gain_errors(),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(artifact, name), values, atol=FLOAT32, err_msg=name)
    for seen, column, rounded in (
        (artifact.cost, table.cost_usd, COST),
        (artifact.latency, table.latency_s, LATENCY),
    ):
        np.testing.assert_allclose(seen, plain.expenses(column), rtol=FLOAT32, atol=rounded)
    assert np.abs(slopes).max() > 0.01
    np.testing.assert_allclose(artifact.slopes, slopes, atol=1e-6)
    np.testing.assert_allclose(artifact.offsets, offsets, atol=1e-6)


@pytest.mark.parametrize(("source", "clusters"), [("prompts", 12), ("groups", 3)])
def test_a_prompt_is_served_as_plain_loops_estimate(source, clusters) -> None:
    """From vector to ranking: shares, estimates, correction and guard, in one formula."""
    table, vectors = uneven_table(240, 16, 0.4)
    learned = learned_with(table, vectors, source, clusters)
    artifact, plain = learned.artifact(), plain_of(table, vectors, learned)
    default = artifact.models.index(artifact.default_model)
    rows, slopes, offsets = plain.averaged(vectors)
    new = unit(np.random.default_rng(7).normal(size=(200, 16)) + 3 * vectors[:200])
    shares, chosen = plain_shares(new, artifact.centroids, artifact.sharpness), []
    for vector, share in zip(new.astype(np.float64), shares, strict=True):
        success = np.clip(share @ rows + offsets + slopes @ vector, 0, 1)
        error = share @ plain.gain_errors()[:-1]
        proven = success > success[default] + learned.setting.guard_z * error
        proven[default] = True
        chosen.append(int(np.argmax(np.where(proven, success, -1))))
    taken = Artifact.from_bytes(artifact.to_bytes()).decide_many(new).model_indices
    assert len(set(chosen)) > 1
    assert taken.tolist() == chosen
