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
from hypernova.training.clustering.clusters import NEAREST, SHARPNESS
from hypernova.training.cross_validation import Setting
from hypernova.training.estimates.outcome_sums import COST_BITS, LATENCY_BITS
from hypernova.training.trainer import learn
from support.factories import uneven_table, unit

NAN = float("nan")
# Of artifacts: figures are float32, costs of one outcome are rounded to 2**-36 USD.
FLOAT32 = 2e-7
# Costs and latencies are rounded to this before they are summed.
COST, LATENCY = 2.0**-COST_BITS, 2.0**-LATENCY_BITS


class PlainEstimates:
    """Estimates from outcomes, assignments and shares, in the order of docs/fitting.md."""

    def __init__(self, table, clusters, shares, setting: Setting, groups=None) -> None:
        self.score, self.clusters, self.shares = table.score, clusters, shares
        self.cost, self.latency = table.cost_usd, table.latency_s
        self.k, self.m, self.a = shares.shape[1], table.n_models, setting.shrinkage
        self.groups = groups
        tried = self.score[~np.isnan(self.score)]
        self.n = [len(self.outcomes(j)) for j in range(self.m)]
        self.overall = np.array(
            [(sum(self.outcomes(j)) + 20 * tried.mean()) / (self.n[j] + 20) for j in range(self.m)]
        )
        enough = min(max(self.n) / 2, 100)
        candidates = [j for j in range(self.m) if self.n[j] >= enough]
        self.default = max(candidates, key=lambda j: (self.overall[j], -j))
        self.pooled = np.array([self.pooled_rate(j, enough) for j in range(self.m)])
        self.success = np.array(
            [[self.shrunk(c, j) for j in range(self.m)] for c in range(self.k)]
        ).clip(0, 1)

    def column(self, values, j, c=None, of=None) -> np.ndarray:
        """Known values of a model, in all clusters, one, or some."""
        at = np.ones(len(values), bool) if c is None else self.clusters == c
        if of is not None:
            at = np.isin(self.clusters, of)
        found = values[at, j]
        return found[~np.isnan(found)]

    def outcomes(self, j, c=None, of=None) -> np.ndarray:
        return self.column(self.score, j, c, of)

    def gains(self, j, c=None) -> np.ndarray:
        return self.column(self.score - self.score[:, [self.default]], j, c)

    @staticmethod
    def mean_error(values, largest: float) -> float:
        """Squared error of a mean whose values vary at least as one more could make them."""
        variance = np.var(values) if len(values) else 0.0
        return max(variance, largest / (len(values) + 1)) / max(len(values), 1)

    def pooled_rate(self, j: int, enough: float) -> float:
        """Positive-part James and Stein: the gap to the default model, as far as it is no noise."""
        gap = self.overall[j] - self.overall[self.default]
        if gap == 0 or self.n[j] < enough:
            return self.overall[j]
        noise = self.mean_error(self.gains(j), 0.5)
        if len(self.gains(j)) < self.n[j]:
            both = [self.mean_error(self.outcomes(i), 0.25) for i in (j, self.default)]
            noise = min(noise, sum(both))
        return self.overall[self.default] + max(0.0, 1 - noise / gap**2) * gap

    def shrunk(self, c: int, j: int) -> float:
        shift, prior = self.overall[j] - self.pooled[j], self.pooled[j]
        if self.groups is not None:
            alike = np.flatnonzero(self.groups == self.groups[c])
            group = self.outcomes(j, of=alike) - shift
            prior = (group.sum() + 20 * prior) / (len(group) + 20)
        here = self.outcomes(j, c) - shift
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
        return np.array([*rows, last])

    def gain_errors(self) -> np.ndarray:
        rows = [
            [self.error(self.gains(j, c), self.gains(j), 0.5) for j in range(self.m)]
            for c in range(self.k)
        ]
        errors = [*rows, [math.sqrt(self.mean_error(self.gains(j), 0.5)) for j in range(self.m)]]
        return np.where(np.arange(self.m) == self.default, 0.0, errors)

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

    def correction(self, vectors, weight: float) -> tuple[np.ndarray, np.ndarray]:
        """Ridge regression of each model's residuals over its own tasks, centred."""
        slopes = np.zeros((self.m, vectors.shape[1]))
        offsets = np.zeros(self.m)
        # Estimates that are served are float32.
        residuals = self.score - self.shares @ self.success.astype(np.float32).astype(float)
        for j in range(self.m):
            known = ~np.isnan(residuals[:, j])
            if known.any():
                x = vectors[known].astype(np.float64)
                slopes[j] = Ridge(alpha=weight).fit(x, residuals[known, j]).coef_
                offsets[j] = -slopes[j] @ x.mean(axis=0)
        return slopes, offsets


def plain_shares(vectors, centroids) -> np.ndarray:
    """Softmax over the nearest centroids; a loop over vectors."""
    rows = []
    for vector in vectors.astype(np.float64):
        squared = ((centroids.astype(np.float64) - vector) ** 2).sum(axis=1)
        nearest = np.argsort(squared, kind="stable")[:NEAREST]
        weights = np.zeros(len(centroids))
        weights[nearest] = np.exp(-SHARPNESS / 2 * (squared[nearest] - squared.min()))
        rows.append(weights / weights.sum())
    return np.array(rows)


SETTINGS = [
    Setting("prompts", 1, 10.0, 60.0, 1.0),
    Setting("prompts", 5, 10.0, 60.0, 1.0),
    Setting("prompts", 12, 40.0, None, 0.0),
    Setting("prompts", 4, 1e9, 60.0, 1.0),
    Setting("groups", 0, 10.0, 60.0, 0.0),
]


@pytest.mark.parametrize("holes", [0.0, 0.4])
@pytest.mark.parametrize(("n", "dim"), [(90, 16), (240, 16), (150, 200)], ids=str)
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.source}{s.clusters}")
def test_an_artifact_is_what_plain_loops_estimate(setting, n, dim, holes) -> None:
    """More tasks than dimensions and fewer; with and without holes, groups, correction."""
    table, vectors = uneven_table(n, dim, holes)
    assert np.isnan(table.score).any() == bool(holes)
    learned = learn(table, vectors, setting=setting, seed=1)
    artifact = learned.artifact()
    clusters, _ = nearest_centroids(vectors, artifact.centroids)
    shares = plain_shares(vectors, artifact.centroids)
    groups = learned.found.groups
    assert (groups is not None) == (setting.source == "groups")
    plain = PlainEstimates(table, clusters, shares, setting, groups)

    assert artifact.models.index(artifact.default_model) == plain.default
    counts, means = plain.raw()
    assert np.array_equal(artifact.counts, counts)
    expected = {
        "mean": means,
        "success": np.vstack([plain.success, plain.overall]),
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
    if setting.ridge is None:
        assert artifact.slopes is None
    else:
        slopes, offsets = plain.correction(vectors, setting.ridge)
        assert np.abs(slopes).max() > 0.01
        np.testing.assert_allclose(artifact.slopes, slopes, atol=1e-6)
        np.testing.assert_allclose(artifact.offsets, offsets, atol=1e-6)


def test_a_prompt_is_served_as_plain_loops_estimate() -> None:
    """From vector to ranking: shares, estimates, correction and guard, in one formula."""
    table, vectors = uneven_table(240, 16, 0.4)
    setting = Setting("prompts", 12, 10.0, 60.0, 1.0)
    artifact = learn(table, vectors, setting=setting).artifact()
    centroids, default = artifact.centroids, artifact.models.index(artifact.default_model)
    plain = PlainEstimates(
        table, nearest_centroids(vectors, centroids)[0], plain_shares(vectors, centroids), setting
    )
    slopes, offsets = plain.correction(vectors, 60.0)
    new = unit(np.random.default_rng(7).normal(size=(200, 16)) + 3 * vectors[:200])
    shares, chosen = plain_shares(new, centroids), []
    for vector, share in zip(new.astype(np.float64), shares, strict=True):
        success = np.clip(share @ plain.success + offsets + slopes @ vector, 0, 1)
        error = share @ plain.gain_errors()[:-1]
        proven = success > success[default] + setting.guard_z * error
        proven[default] = True
        chosen.append(int(np.argmax(np.where(proven, success, -1))))
    taken = Artifact.from_bytes(artifact.to_bytes()).decide_many(new).model_indices
    assert len(set(chosen)) > 1
    assert taken.tolist() == chosen
