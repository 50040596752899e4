"""Prior and posterior of a new model's success, given the known models of an artifact.

Not here: the new model's outcomes (see ``add``).

A cluster that is hard for all known models is taken to be hard for the new one, and the new
model's strengths are looked for first among theirs. Its success at a prompt x is

    mean of the known models at x
    + one number for its overall level
    + a mix of the known models' differences from that mean
    + one number for each cluster,

where each of the three additions has a Gaussian prior around 0. So it is a Bayesian linear
regression with an exact posterior. The mix alone is the Gaussian process whose covariance is
the known models' own. UniRoute (arXiv 2502.08773) had the idea of placing a new model by its
outcomes in the clusters; the prior is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hypernova._core import nearest_centroids
from hypernova.training.clustering.clusters import shares
from hypernova.training.estimates.linear_correction import LinearCorrection
from hypernova.training.estimates.profile import MAX_SCORE_VARIANCE, OVERALL_WEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypernova._core import Artifact
    from hypernova.artifact.profile import GroupProfiles
    from hypernova.numeric import Floats, Ints


@dataclass(frozen=True)
class LocatedPrompts:
    """Vectors of prompts, and where they lie among an artifact's clusters.

    Attributes:
        clusters: Nearest cluster, (n,).
        novel: Whether the prompt is novel, and estimated by the whole table, (n,).
        rows: Share of each row of the profile, float64 (n, k + 1).
        vectors: float32 (n, dim).
    """

    clusters: Ints
    novel: NDArray[np.bool_]
    rows: Floats
    vectors: Floats

    @classmethod
    def of(cls, artifact: Artifact, vectors: Floats) -> LocatedPrompts:
        """Locate vectors, float32 (n, dim)."""
        centroids = artifact.centroids
        clusters, distances = nearest_centroids(vectors, centroids)
        novel = artifact.is_novel(distances)
        rows = np.zeros((len(vectors), len(centroids) + 1))
        if artifact.sharpness is None or artifact.n_nearest is None:
            rows[np.arange(len(vectors)), clusters] = 1.0
        else:
            rows[:, :-1] = shares(vectors, centroids, artifact.sharpness, artifact.n_nearest)
        rows[novel] = 0.0
        rows[novel, -1] = 1.0
        return cls(clusters, novel, rows, vectors)

    def subset(self, indices: Ints) -> LocatedPrompts:
        """Return the prompts at these indices."""
        return LocatedPrompts(
            self.clusters[indices], self.novel[indices], self.rows[indices], self.vectors[indices]
        )


@dataclass(frozen=True)
class Posterior:
    """Gaussian posterior of the weights of a new model's features.

    Attributes:
        weights: Mean, float64 (p,).
        covariance: Covariance, float64 (p, p).
    """

    weights: Floats
    covariance: Floats

    def standard_error(self, features: Floats) -> Floats:
        """Compute the standard deviation of ``features @ weights``, (n,).

        Args:
            features: (n, p).
        """
        variance = np.einsum("np,pq,nq->n", features, self.covariance, features, optimize=True)
        error: Floats = np.sqrt(np.maximum(variance, 0.0))
        return error


class Prior:
    """A new model's features and the prior mean of its success.

    The features are scaled so that the prior of the weights is a standard Gaussian.

    Args:
        artifact: Holds the known models.
        noise: Variance of an outcome around its expectation.

    Attributes:
        mix: Slice of the features that are the known models' differences from their mean.
    """

    def __init__(self, artifact: Artifact, noise: float = MAX_SCORE_VARIANCE) -> None:
        success = artifact.success.astype(np.float64)
        k, m = artifact.n_clusters, len(artifact.models)
        self._success, self._level = success, success.mean(axis=1)
        spread = success - self._level[:, None]
        # The overall level is a feature of its own, so the differences are without it.
        spread = spread - spread[-1]
        apart = float(success[-1].std(ddof=1)) if m > 1 else 0.0
        counts = artifact.counts[:-1].sum(axis=1)
        sizes = counts / counts.sum() if counts.any() else np.full(k, 1.0 / k)
        scales = [
            # The standard deviation among the known models, but at least the error of a rate
            # that leans on the rate of all with `OVERALL_WEIGHT` outcomes.
            np.full(1, max(apart, np.sqrt(MAX_SCORE_VARIANCE / OVERALL_WEIGHT))),
            # The sample covariance of the known models; a single model has none.
            np.full(m, 1.0 / np.sqrt(max(m - 1, 1))),
            # The error of a cluster that leans on the overall rate with the artifact's shrinkage.
            np.full(k, np.sqrt(noise / max(artifact.policy["shrinkage"], 1.0))),
        ]
        self._scale = np.concatenate(scales)
        own = np.vstack([np.eye(k), sizes])
        self._rows = np.hstack([np.ones((k + 1, 1)), spread, own]) * self._scale
        self.mix = slice(1, 1 + m)
        self._slopes, self._offsets = artifact.slopes, artifact.offsets

    def rows(self) -> tuple[Floats, Floats]:
        """Return prior mean (k + 1,) and features (k + 1, p) of the rows of the profile."""
        return self._level, self._rows

    def group_rows(self, success: Floats, clusters: Ints) -> tuple[Floats, Floats]:
        """Return prior mean (g,) and features (g, p) of groups.

        Args:
            success: Of the known models in each group, (g, m).
            clusters: Row of the profile whose own number each group has, (g,).
        """
        success = success.astype(np.float64)
        level, features = success.mean(axis=1), self._rows[clusters].copy()
        overall = self._success[-1] - self._level[-1]
        features[:, self.mix] = (success - level[:, None] - overall) * self._scale[self.mix]
        return level, features

    def group_correction(
        self, posterior: Posterior, groups: GroupProfiles
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Mix the new model's linear correction inside groups from those of the known models.

        Returns:
            Offsets (g, 1) and slopes (1, dim); None if there is none.
        """
        if groups.slopes is None or groups.offsets is None:
            return None
        mix = self._mix(posterior)
        offsets, slopes = (groups.offsets @ mix)[:, None], (mix @ groups.slopes)[None]
        return offsets.astype(np.float32), slopes.astype(np.float32)

    def _mix(self, posterior: Posterior) -> Floats:
        """Return the part of each known model in the new one's linear correction, (m,)."""
        mix = posterior.weights[self.mix] * self._scale[self.mix]
        # Around the mean of the known models.
        around: Floats = mix - mix.mean() + 1.0 / len(mix)
        return around

    def prompts(self, located: LocatedPrompts) -> tuple[Floats, Floats]:
        """Compute prior mean (n,) and features (n, p) of prompts."""
        expected, features = located.rows @ self._level, located.rows @ self._rows
        if self._slopes is not None and self._offsets is not None:
            corrections = located.vectors.astype(np.float64) @ self._slopes.T.astype(np.float64)
            corrections = np.where(located.novel[:, None], 0.0, corrections + self._offsets)
            mean = corrections.mean(axis=1)
            expected = expected + mean
            features[:, self.mix] += (corrections - mean[:, None]) * self._scale[self.mix]
        return expected, features

    def linear_correction(self, posterior: Posterior) -> LinearCorrection | None:
        """Mix the new model's linear correction from those of the known models.

        Returns:
            The correction of one model; None if the artifact has none.
        """
        if self._slopes is None or self._offsets is None:
            return None
        mix = self._mix(posterior)
        slope, offset = mix @ self._slopes, mix @ self._offsets
        return LinearCorrection(
            slope[None].astype(np.float32), np.atleast_1d(offset).astype(np.float32)
        )

    def posterior(self, features: Floats, residuals: Floats, noise: Floats) -> Posterior:
        """Compute the posterior of the weights given outcomes.

        Args:
            features: (n, p), of `prompts`; n may be 0.
            residuals: (n,) outcome less prior mean.
            noise: (n,) variance of each outcome.
        """
        weighed = features / noise[:, None]
        # The prior precision, an identity, keeps the matrix well conditioned.
        covariance = np.linalg.inv(np.eye(features.shape[1]) + features.T @ weighed)
        covariance = (covariance + covariance.T) / 2.0
        return Posterior(covariance @ (weighed.T @ residuals), covariance)
