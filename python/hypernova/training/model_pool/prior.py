"""What the known models of an artifact say of a model that is hardly tried.

Not here: where its outcomes come from (see ``add``).

A cluster that is hard for all is hard for the newcomer, and what it is good at is first
looked for among what the known models are good at. Its success at a prompt x is

    mean of the known models at x
    + one number for how good it is over all
    + a mix of the known models' differences from that mean
    + one number for each cluster,

each of the three additions Gaussian around zero, so that outcomes move them as far as
there are any, and what is not known yet has a variance. The mix alone is the Gaussian
process whose covariance is the known models' own. That a new model is placed by its
outcomes in the clusters is the idea of UniRoute (arXiv 2502.08773); the prior is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import nearest_centroids
from hypernova.training.clustering.clusters import shares
from hypernova.training.estimates.profile import OVERALL_WEIGHT, SCORE_VARIANCE

if TYPE_CHECKING:
    from hypernova._core import Artifact
    from hypernova.numeric import Floats, Ints


def novel(distances: Floats, artifact: Artifact) -> Floats:
    """Which prompts the artifact takes for novel (FORMAT.md, *Novelty*), bool (n,)."""
    quantiles = artifact.novelty_quantiles.astype(np.float64)
    at = np.searchsorted(artifact.novelty_quantiles, distances, side="right")
    low = quantiles[np.clip(at - 1, 0, len(quantiles) - 2)]
    high = quantiles[np.clip(at, 1, len(quantiles) - 1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (at - 1 + (distances - low) / (high - low)) / (len(quantiles) - 1)
    novelty = np.where(at == 0, 0.0, np.where(at == len(quantiles), 1.0, between))
    found: Floats = novelty.astype(np.float32).astype(np.float64) > artifact.policy["novelty_limit"]
    return found


@dataclass(frozen=True)
class Placed:
    """Prompts among an artifact's clusters.

    Attributes:
        clusters: Nearest cluster, (n,).
        novel: Whether the whole table judges it, (n,).
        rows: Share of each row of the profiles, float64 (n, k + 1).
        vectors: float32 (n, dim).
    """

    clusters: Ints
    novel: Floats
    rows: Floats
    vectors: Floats

    @classmethod
    def of(cls, artifact: Artifact, vectors: Floats) -> Placed:
        """Place vectors, float32 (n, dim)."""
        centroids = artifact.centroids
        clusters, distances = nearest_centroids(vectors, centroids)
        unlike = novel(distances, artifact)
        rows = np.zeros((len(vectors), len(centroids) + 1))
        if artifact.sharpness is None or artifact.nearest is None:
            rows[np.arange(len(vectors)), clusters] = 1.0
        else:
            rows[:, :-1] = shares(vectors, centroids, artifact.sharpness, artifact.nearest)
        rows[unlike] = 0.0
        rows[unlike, -1] = 1.0
        return cls(clusters, unlike, rows, vectors)


@dataclass(frozen=True)
class Belief:
    """What is believed of a newcomer: a Gaussian over the weights of its features.

    Attributes:
        weights: Mean, float64 (p,).
        covariance: (p, p).
    """

    weights: Floats
    covariance: Floats


class Prior:
    """A newcomer's features, and what is believed of their weights before any outcome.

    The features are scaled so that each weight has a variance of 1.

    Args:
        artifact: Its models are the known ones.
        noise: Variance of an outcome around its expectation.

    Attributes:
        mix: Which features are the known models' differences from their mean.
    """

    def __init__(self, artifact: Artifact, noise: float = SCORE_VARIANCE) -> None:
        success = artifact.success.astype(np.float64)
        k, m = artifact.n_clusters, len(artifact.models)
        self._level = success.mean(axis=1)
        spread = success - self._level[:, None]
        # How good a model is over all is a feature of its own.
        spread = spread - spread[-1]
        apart = float(success[-1].std(ddof=1)) if m > 1 else 0.0
        counts = artifact.counts[:-1].sum(axis=1)
        sizes = counts / counts.sum() if counts.any() else np.full(k, 1.0 / k)
        scales = [
            # As far as the known models are apart, or as a rate that leans on that of all
            # with so many outcomes, if they are not.
            np.full(1, max(apart, np.sqrt(SCORE_VARIANCE / OVERALL_WEIGHT))),
            # The sample covariance of the known models; of a single one there is none.
            np.full(m, 1.0 / np.sqrt(max(m - 1, 1))),
            # As a cluster that leans on the overall rate with the artifact's shrinkage.
            np.full(k, np.sqrt(noise / max(artifact.policy["shrinkage"], 1.0))),
        ]
        self._scale = np.concatenate(scales)
        own = np.vstack([np.eye(k), sizes])
        self._rows = np.hstack([np.ones((k + 1, 1)), spread, own]) * self._scale
        self.mix = slice(1, 1 + m)
        self._slopes, self._offsets = artifact.slopes, artifact.offsets

    def rows(self) -> tuple[Floats, Floats]:
        """Expectation (k + 1,) and features (k + 1, p) of the rows of the profiles."""
        return self._level, self._rows

    def prompts(self, placed: Placed) -> tuple[Floats, Floats]:
        """Expectation (n,) and features (n, p) of prompts."""
        expected, features = placed.rows @ self._level, placed.rows @ self._rows
        if self._slopes is not None and self._offsets is not None:
            lifts = placed.vectors.astype(np.float64) @ self._slopes.T.astype(np.float64)
            lifts = np.where(placed.novel[:, None], 0.0, lifts + self._offsets)
            mean = lifts.mean(axis=1)
            expected = expected + mean
            features[:, self.mix] += (lifts - mean[:, None]) * self._scale[self.mix]
        return expected, features

    def lift(self, belief: Belief) -> tuple[Floats, Floats] | None:
        """Slope (1, dim) and offset (1,) of a newcomer, the mix of the known models'."""
        if self._slopes is None or self._offsets is None:
            return None
        mix = belief.weights[self.mix] * self._scale[self.mix]
        # Around the mean of the known models.
        mix = mix - mix.mean() + 1.0 / len(mix)
        slope, offset = mix @ self._slopes, mix @ self._offsets
        return slope[None].astype(np.float32), np.atleast_1d(offset).astype(np.float32)

    def believe(self, features: Floats, surprise: Floats, noise: Floats) -> Belief:
        """Learn from outcomes.

        Args:
            features: (n, p), of `prompts`; n may be 0.
            surprise: (n,) outcome less expectation.
            noise: (n,) variance of each outcome.
        """
        weighed = features / noise[:, None]
        # The identity keeps it well conditioned, however strong the shrinkage.
        covariance = np.linalg.inv(np.eye(features.shape[1]) + features.T @ weighed)
        covariance = (covariance + covariance.T) / 2.0
        return Belief(covariance @ (weighed.T @ surprise), covariance)


def error_of(belief: Belief, features: Floats) -> Floats:
    """Standard error of an expectation, (n,)."""
    variance = np.einsum("np,pq,nq->n", features, belief.covariance, features, optimize=True)
    error: Floats = np.sqrt(np.maximum(variance, 0.0))
    return error
